//! The main loop: one thread, one `poll(2)`, the owner of every peripheral.
//!
//! Microphone, pins, serial line, listen's events, worker's answers and keeper's deliveries in;
//! blocks, commands, requests, lights and bytes out. After [`MainLoop::seal`] it never blocks
//! outside `poll(2)`, never allocates, never takes a lock, never runs a model and never touches a
//! disk.
//! [`MainLoop::turn`] is one turn, for tests; [`MainLoop::run`] is the endless loop.

mod alerts;
mod capture;
mod duty;
mod files;
mod guesses;
mod ledger;
mod mending;
mod outbox;
mod panics;
mod pins;
mod recogniser;
mod restarts;
mod serial;
mod tell;
mod utterances;
mod wait;

pub use capture::Capture;
pub use guesses::GuessCounts;
pub use ledger::Ledger;
pub use outbox::Outbox;
pub use pins::{AnyPin, Chain, ChainNews, Input, Led, PinName, Pins};
pub use recogniser::Recogniser;
pub use serial::Serial;

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Receiver;
use heapless::Deque;
use pressel_hal::Clock;
use pressel_pipeline::lights;
use pressel_pipeline::limits::{
    BEAT_MS, COMMANDS_WAITING_MAX, ERRANDS_WAITING_MAX, REASON_BYTES_MAX,
};
use pressel_pipeline::session;
use pressel_pipeline::time::Millis;
use pressel_wire::{Mark, Name, State, Trigger};

use crate::bell::Bell;
use crate::jobs::JobsEnds;
use crate::keeper::{Delivery, Doors, Errand, Record};
use crate::rings::MainEnds;
use crate::second_looks::Confirmed;
use crate::stream::Command;
use crate::vitals::Vitals;

/// What stays the same from start to end.
pub struct Fixed {
    /// The machine's time.
    pub clock: Box<dyn Clock>,
    /// How the button behaves.
    pub session: session::Tuning,
    /// Samples kept after a release, to tell how long a closed utterance has waited.
    pub post_roll: u64,
    /// Wake words that the recogniser must hear, too.
    pub confirmed: Confirmed,
    /// The number of this start, higher than all before.
    pub boot: u32,
    /// Everything before this was acknowledged when the appliance started.
    pub acknowledged: Mark,
    /// Name of the board.
    pub board: Name,
    /// Name of the speech model.
    pub model: Name,
    /// Workers are started with CUDA.
    pub cuda: bool,
    /// Three crashes in a minute: this start does with less.
    pub safe_mode: bool,
    /// The voice activity model is not there: the level decides.
    pub hears_by_level: bool,
}

#[cfg(test)]
impl Fixed {
    /// What most tests want; they change what matters to them.
    pub(crate) fn of_test(clock: Box<dyn Clock>) -> Self {
        let config = crate::config::Config::default();
        Self {
            clock,
            session: config.session(),
            post_roll: config.tuning().utterance.post_roll,
            confirmed: Confirmed::new(),
            boot: 99,
            acknowledged: Mark::default(),
            board: pressel_wire::text::name("sim"),
            model: pressel_wire::text::name("nano"),
            cuda: false,
            safe_mode: false,
            hears_by_level: false,
        }
    }
}

/// The doors to the other threads.
pub struct Neighbours {
    /// Rings between here and listen.
    pub ends: MainEnds,
    /// Wakes listen.
    pub listen_bell: Bell,
    /// Listen rings it for its events.
    pub event_bell: Bell,
    /// The way to the keeper.
    pub keeper: Doors,
    /// What the keeper opened.
    pub deliveries: Receiver<Delivery>,
    /// The keeper rings it for its deliveries, and `jobs` for its news.
    pub delivery_bell: Bell,
    /// The thread of file jobs.
    pub jobs: JobsEnds,
    /// Where this loop publishes how it is.
    pub vitals: Arc<Vitals>,
    /// Readable after SIGINT or SIGTERM.
    pub signals: OwnedFd,
}

/// Why the main loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one value, at the end")]
pub enum End {
    /// SIGINT or SIGTERM.
    Asked,
    /// The model could not be loaded at the start; what is wrong and what to do.
    Model(heapless::String<REASON_BYTES_MAX>),
    /// Listen's thread ended; it had panicked too often.
    ListenDied,
    /// The main loop has panicked too often.
    Panicked,
    /// `poll(2)` failed with this errno.
    Poll(i32),
}

/// The main loop. Memory: about 70 KB, all of it here.
pub struct MainLoop {
    fixed: Fixed,
    neighbours: Neighbours,
    capture: Capture,
    pins: Pins,
    serial: Serial,
    recogniser: Recogniser,
    ledger: Ledger,
    outbox: Outbox,
    alerts: alerts::Alerts,
    files: files::Files,
    session: session::State,
    view: lights::View,
    /// The utterance that listen records.
    open: Option<(u32, Trigger)>,
    /// The mute switch is on.
    switch_mutes: bool,
    /// The host has muted.
    host_mutes: bool,
    /// The microphone is being opened after a mute.
    unmuting: bool,
    /// The host holds its push-to-talk.
    host_holds: bool,
    /// The end was asked for; signals are not waited for any more.
    stopping: bool,
    commands: Deque<Command, COMMANDS_WAITING_MAX>,
    errands: Deque<Errand, ERRANDS_WAITING_MAX>,
    records_missing: u32,
    state_sent: Option<State>,
    /// The state that is in the log: a host that asks often does not fill it.
    state_noted: Option<State>,
    counters_at: Millis,
    started_at: Millis,
    /// For a panic: the utterance that would be lost with the turn.
    in_hand: Option<panics::InHand>,
    panics: u32,
    end: Option<End>,
}

impl MainLoop {
    /// Puts the parts together. Allocates; [`MainLoop::seal`] ends that.
    #[must_use]
    pub fn new(
        fixed: Fixed,
        neighbours: Neighbours,
        capture: Capture,
        pins: Pins,
        serial: Serial,
    ) -> Box<Self> {
        let started_at = fixed.clock.now_ms();
        let scale = fixed.clock.of_real_ms(1);
        let cuda = fixed.cuda;
        let mut recogniser = Recogniser::new(scale, cuda);
        recogniser.confirm(fixed.confirmed.clone());
        let outbox = Outbox::new(fixed.boot, fixed.acknowledged);
        Box::new(Self {
            fixed,
            neighbours,
            capture,
            pins,
            serial,
            recogniser,
            ledger: Ledger::new(),
            outbox,
            alerts: alerts::Alerts::default(),
            files: files::Files::default(),
            session: session::State::Idle,
            view: lights::View::default(),
            open: None,
            switch_mutes: false,
            host_mutes: false,
            unmuting: false,
            host_holds: false,
            stopping: false,
            commands: Deque::new(),
            errands: Deque::new(),
            records_missing: 0,
            state_sent: None,
            state_noted: None,
            counters_at: started_at,
            started_at,
            in_hand: None,
            panics: 0,
            end: None,
        })
    }

    /// Ends the time in which this thread may allocate.
    pub fn seal(&self) {
        crate::alloc_guard::seal();
    }

    /// One turn: waits for something to do, and does it. Returns the reason to end, if there is
    /// one.
    pub fn turn(&mut self) -> Option<End> {
        let ready = match self.wait(self.fixed.clock.of_real_ms(BEAT_MS)) {
            Ok(ready) => ready,
            Err(errno) => return Some(End::Poll(errno)),
        };
        let awake = Instant::now();
        let now = self.fixed.clock.now_ms();
        // Audio first: nothing below may make it late.
        self.take_audio(now);
        if ready.signals {
            return Some(End::Asked);
        }
        self.take_pins(&ready, now);
        self.take_link(now);
        self.take_listen_events(now);
        self.take_answers(now);
        self.take_deliveries(now);
        self.take_jobs(now);
        self.keep_time(now);
        self.give_work(now);
        self.give_link(now);
        self.show(now);
        self.mend_pins();
        self.flush_errands();
        self.publish(now);
        self.neighbours.vitals.turned(awake.elapsed());
        self.end.take()
    }

    /// Returns the counters, as the link tells them.
    #[must_use]
    pub fn counters(&self) -> pressel_wire::Counters {
        let mut counters = self.ledger.counters();
        let uptime_s = self.fixed.clock.now_ms().saturating_sub(self.started_at) / 1_000;
        counters.uptime_s = u32::try_from(uptime_s).unwrap_or(u32::MAX);
        counters.overruns = self.capture.overruns();
        counters.lost_samples = self.capture.lost_samples();
        counters.dropped_blocks = self.capture.dropped_blocks();
        counters.link_dropped = self.serial.dropped();
        counters.link_bad_frames = self.serial.bad_frames();
        counters.worker_restarts = self.recogniser.restarts();
        counters
    }

    /// Hands an errand to the keeper, now or as soon as there is room.
    fn ask(&mut self, errand: Errand) {
        self.flush_errands();
        // Order is kept: behind others that wait, or straight into the queue.
        let refused = if self.errands.is_empty() {
            self.neighbours.keeper.ask(errand).err()
        } else {
            Some(errand)
        };
        let Some(errand) = refused else { return };
        if self.errands.push_back(errand).is_err() {
            // More devices, pins and workers than there are change hands at once: cannot be.
            self.records_missing = self.records_missing.saturating_add(1);
        }
    }

    /// Hands an errand to the keeper if there is room now.
    fn ask_now(&mut self, errand: Errand) -> bool {
        self.errands.is_empty() && self.neighbours.keeper.ask(errand).is_ok()
    }

    /// Hands a record to the keeper; a full queue drops it and counts. The last places are kept for
    /// outcomes, which the journal must not miss.
    fn note(&mut self, record: Record) {
        let is_outcome = matches!(record, Record::Outcome { .. });
        if !is_outcome && !self.neighbours.keeper.has_room_for_lines() {
            self.records_missing = self.records_missing.saturating_add(1);
            return;
        }
        if 0 < self.records_missing && self.neighbours.keeper.has_room_for_lines() {
            let missing = Errand::Record(Record::Missing(self.records_missing));
            if self.neighbours.keeper.ask(missing).is_err() {
                self.records_missing = self.records_missing.saturating_add(1);
                return;
            }
            self.records_missing = 0;
        }
        if self.neighbours.keeper.ask(Errand::Record(record)).is_err() {
            self.records_missing = self.records_missing.saturating_add(1);
        }
    }

    fn flush_errands(&mut self) {
        while let Some(errand) = self.errands.pop_front() {
            if let Err(errand) = self.neighbours.keeper.ask(errand) {
                // There is room: it was just taken out.
                self.errands.push_front(errand).ok();
                return;
            }
        }
    }

    fn signal_fd(&self) -> i32 {
        self.neighbours.signals.as_raw_fd()
    }
}

#[cfg(test)]
mod delivery_tests;
#[cfg(test)]
mod schedule;
#[cfg(test)]
mod tests;
