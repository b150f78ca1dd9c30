//! Vitals: what the threads publish of themselves, for `pressel status` and the watchdog.
//!
//! Every thread counts its turns; the main loop also writes its state and counters. All are atomic
//! numbers: nobody waits for a reader, and a reader waits for nobody. The numbers of one moment may
//! be a turn apart.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use core::time::Duration;

use pressel_wire::{Alert, Counters, DeviceState, Provider, State};

use crate::main_loop::GuessCounts;

/// A thread whose progress is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The main loop.
    MainLoop,
    /// Voice activity, wake words, utterances.
    Listen,
    /// Journal, devices, worker process.
    Keeper,
    /// File jobs.
    Jobs,
    /// The worker process, seen by the main loop: it beats while no deadline of it is overdue.
    Worker,
}

impl Watched {
    /// Every one, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::MainLoop,
        Self::Listen,
        Self::Keeper,
        Self::Jobs,
        Self::Worker,
    ];

    /// Returns whether the appliance is restarted when this thread is stuck. Not for `jobs`: a
    /// stick that hangs must not cost the voice, and a restart does not mend it.
    #[must_use]
    pub const fn is_vital(self) -> bool {
        !matches!(self, Self::Jobs)
    }

    /// Returns the name, as `ps -L` shows it; but the main loop runs on the process's first thread,
    /// which has the name of the process, `pressel`, and a worker is the process `pressel-worker`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MainLoop => "main-loop",
            Self::Listen => "listen",
            Self::Keeper => "keeper",
            Self::Jobs => "jobs",
            Self::Worker => "worker",
        }
    }

    /// Returns the thread of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|thread| thread.name() == name)
    }
}

/// What the main loop publishes once a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// What the appliance is doing.
    pub state: State,
    /// Counters since start.
    pub counters: Counters,
    /// Outcomes that the link has not taken, or the host not acknowledged.
    pub outbox: u8,
    /// Errands that wait for the keeper.
    pub errands: u8,
    /// Commands that wait for listen.
    pub commands: u8,
    /// A file's chunk waits or is at the worker.
    pub chunk: bool,
    /// Alerts that are on, a bit for each code.
    pub alerts: u8,
    /// Utterances that the worker began with before their end was known.
    pub guesses: GuessCounts,
    /// Wake words that the recogniser did not hear.
    pub wakes_refused: u32,
}

impl Published {
    /// Returns whether an alert is on.
    #[must_use]
    pub fn is_on(&self, alert: Alert) -> bool {
        1_u8.checked_shl(alert as u32).unwrap_or(0) & self.alerts != 0
    }
}

/// The numbers. Share it in an `Arc`.
#[derive(Debug)]
pub struct Vitals {
    beats: [AtomicU32; Watched::ALL.len()],
    panics: AtomicU32,
    /// The main loop's longest turn in microseconds, without its sleep.
    longest_turn_us: AtomicU32,
    counters: [AtomicU32; 12],
    guesses: [AtomicU32; 3],
    wakes_refused: AtomicU32,
    state: AtomicU8,
    provider: AtomicU8,
    flags: AtomicU8,
    waiting: AtomicU8,
    outbox: AtomicU8,
    errands: AtomicU8,
    commands: AtomicU8,
    alerts: AtomicU8,
    /// The thread that is to hang.
    hang: AtomicU8,
}

/// No thread is to hang.
const NONE: u8 = u8::MAX;

const MICROPHONE: u8 = 1;
const WORKER: u8 = 2;
const MUTED: u8 = 4;
const CHUNK: u8 = 8;

impl Vitals {
    /// Makes vitals of an appliance that has not begun.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            beats: [const { AtomicU32::new(0) }; Watched::ALL.len()],
            panics: AtomicU32::new(0),
            longest_turn_us: AtomicU32::new(0),
            counters: [const { AtomicU32::new(0) }; 12],
            guesses: [const { AtomicU32::new(0) }; 3],
            wakes_refused: AtomicU32::new(0),
            state: AtomicU8::new(DeviceState::Starting as u8),
            provider: AtomicU8::new(Provider::None as u8),
            flags: AtomicU8::new(0),
            waiting: AtomicU8::new(0),
            outbox: AtomicU8::new(0),
            errands: AtomicU8::new(0),
            commands: AtomicU8::new(0),
            alerts: AtomicU8::new(0),
            hang: AtomicU8::new(NONE),
        }
    }

    /// Counts a turn of a thread. Each beats at least once a second while it is well.
    pub fn beat(&self, thread: Watched) {
        // Only in a test of the watchdog, see `hang`.
        while self.hang.load(Ordering::Relaxed) == thread as u8 {
            if thread == Watched::Worker {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        self.beats[thread as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Lets a thread hang for ever in its next beat, for tests of the watchdog.
    pub fn hang(&self, thread: Watched) {
        self.hang.store(thread as u8, Ordering::Relaxed);
    }

    /// Returns the turns of a thread since start; the number wraps.
    #[must_use]
    pub fn beats(&self, thread: Watched) -> u32 {
        self.beats[thread as usize].load(Ordering::Relaxed)
    }

    /// Counts a panic that was caught.
    pub fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many panics were caught since start.
    #[must_use]
    pub fn panics(&self) -> u32 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Notes how long a turn of the main loop took from the end of its sleep.
    pub fn turned(&self, took: Duration) {
        let took_us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.longest_turn_us.fetch_max(took_us, Ordering::Relaxed);
    }

    /// Returns the main loop's longest turn since start, in microseconds.
    #[must_use]
    pub fn longest_turn_us(&self) -> u32 {
        self.longest_turn_us.load(Ordering::Relaxed)
    }

    /// Writes what the main loop knows.
    pub fn publish(&self, published: &Published) {
        let Published {
            state,
            counters,
            outbox,
            errands,
            commands,
            chunk,
            alerts,
            guesses,
            wakes_refused,
        } = *published;
        self.wakes_refused.store(wakes_refused, Ordering::Relaxed);
        let GuessCounts {
            made,
            adopted,
            dropped,
        } = guesses;
        for (place, value) in self.guesses.iter().zip([made, adopted, dropped]) {
            place.store(value, Ordering::Relaxed);
        }
        for (place, (_, value)) in self.counters.iter().zip(counters.fields()) {
            place.store(value, Ordering::Relaxed);
        }
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        let flags = flag(state.microphone_ok, MICROPHONE)
            | flag(state.worker_ok, WORKER)
            | flag(state.muted, MUTED)
            | flag(chunk, CHUNK);
        for (place, value) in [
            (&self.state, state.state as u8),
            (&self.provider, state.provider as u8),
            (&self.flags, flags),
            (&self.waiting, state.waiting),
            (&self.outbox, outbox),
            (&self.errands, errands),
            (&self.commands, commands),
            (&self.alerts, alerts),
        ] {
            place.store(value, Ordering::Relaxed);
        }
    }

    /// Reads what the main loop wrote last.
    #[must_use]
    pub fn read(&self) -> Published {
        let number = |place: &AtomicU8| place.load(Ordering::Relaxed);
        let flags = number(&self.flags);
        let mut counters = Counters::default();
        for (place, (name, _)) in self.counters.iter().zip(Counters::default().fields()) {
            if let Some(counter) = counters.field_mut(name) {
                *counter = place.load(Ordering::Relaxed);
            }
        }
        let [made, adopted, dropped] =
            [0, 1, 2].map(|place| self.guesses[place].load(Ordering::Relaxed));
        Published {
            state: State {
                state: DeviceState::from(number(&self.state)),
                provider: Provider::from(number(&self.provider)),
                microphone_ok: flags & MICROPHONE != 0,
                worker_ok: flags & WORKER != 0,
                muted: flags & MUTED != 0,
                waiting: number(&self.waiting),
            },
            counters,
            outbox: number(&self.outbox),
            errands: number(&self.errands),
            commands: number(&self.commands),
            chunk: flags & CHUNK != 0,
            alerts: number(&self.alerts),
            guesses: GuessCounts {
                made,
                adopted,
                dropped,
            },
            wakes_refused: self.wakes_refused.load(Ordering::Relaxed),
        }
    }
}

impl Default for Vitals {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read() {
        let vitals = Vitals::new();
        let published = Published {
            state: State {
                state: DeviceState::Recognising,
                provider: Provider::Cuda,
                microphone_ok: true,
                worker_ok: false,
                muted: true,
                waiting: 3,
            },
            counters: Counters {
                uptime_s: 7,
                worker_restarts: 9,
                ..Counters::default()
            },
            outbox: 1,
            errands: 2,
            commands: 4,
            chunk: true,
            alerts: 1 << Alert::JournalDown as u8,
            guesses: GuessCounts {
                made: 5,
                adopted: 3,
                dropped: 1,
            },
            wakes_refused: 8,
        };
        assert!(published.is_on(Alert::JournalDown) && !published.is_on(Alert::SafeMode));
        assert!(!published.is_on(Alert::Unknown));
        vitals.publish(&published);
        assert_eq!(vitals.read(), published);
        vitals.beat(Watched::Jobs);
        assert_eq!(
            (vitals.beats(Watched::Jobs), vitals.beats(Watched::Keeper)),
            (1, 0)
        );
    }
}
