//! The watchdog: which thread is stuck, from beats and time alone.
//!
//! ```text
//!            beats                      no beat for `stuck_ms`
//!  BEGINS ─────────▶ MOVES ──────────────────────────────────────▶ STUCK
//!     │                ▲                       beats                 │
//!     │                └─────────────────────────────────────────────┤
//!     └──────────────────── no beat for `begin_ms` ─────────────────▶┘
//! ```
//!
//! Beats and milliseconds in, actions out: say once that a thread is stuck, say that it moves
//! again, feed systemd's watchdog while all that are vital move. Pure: no clock, no thread, no log.

use heapless::Vec;
use pressel_pipeline::limits::{FIRST_BEAT_MS_MAX, STUCK_MS_MAX, STUCK_MS_MIN};
use pressel_pipeline::time::Millis;

use crate::vitals::Watched;

/// Threads that are watched.
const COUNT: usize = Watched::ALL.len();

/// Milliseconds between two looks.
pub const LOOK_MS: Millis = 250;

/// Most that one look counts against a thread, in milliseconds. A look that comes later was held up
/// itself, by a stopped process or machine, and proves nothing about the others.
const LOOK_MS_MAX: Millis = 1_000;

/// The numbers of the watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// A thread is stuck that has not beaten for so long.
    pub stuck_ms: Millis,
    /// A thread is stuck that has not begun after so long.
    pub begin_ms: Millis,
    /// Time between two feedings; `None` when nobody wants them.
    pub feed_ms: Option<Millis>,
}

impl Tuning {
    /// Returns the numbers for the interval that systemd wants, in milliseconds.
    #[must_use]
    pub fn new(interval_ms: Option<Millis>) -> Self {
        let half = interval_ms.map_or(STUCK_MS_MAX, |interval| interval / 2);
        Self {
            stuck_ms: half.clamp(STUCK_MS_MIN, STUCK_MS_MAX),
            begin_ms: FIRST_BEAT_MS_MAX,
            feed_ms: interval_ms.map(|interval| interval / 4),
        }
    }
}

/// What is to be done after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Say that this thread is stuck; said once until it moves.
    Stuck {
        /// The thread.
        thread: Watched,
        /// Since its last beat, or since the start.
        for_ms: Millis,
        /// It has never beaten.
        never: bool,
    },
    /// Say that this thread moves again.
    Moves {
        /// The thread.
        thread: Watched,
        /// How long it did not.
        after_ms: Millis,
    },
    /// Tell systemd that all is well.
    Feed,
}

/// A thread as the watchdog sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its turns.
    pub turns: u32,
    /// When they were seen to change last.
    pub at: Millis,
    /// It has not beaten yet.
    pub begins: bool,
    /// It is stuck, and that was said.
    pub is_stuck: bool,
}

/// The watchdog.
#[derive(Clone, Debug)]
pub struct Watchdog {
    tuning: Tuning,
    looked_at: Millis,
    fed_at: Option<Millis>,
    seen: [Seen; COUNT],
}

impl Watchdog {
    /// Begins to watch.
    #[must_use]
    pub fn new(tuning: Tuning, now: Millis) -> Self {
        let nothing = Seen {
            turns: 0,
            at: now,
            begins: true,
            is_stuck: false,
        };
        Self {
            tuning,
            looked_at: now,
            fed_at: None,
            seen: [nothing; COUNT],
        }
    }

    /// Looks at the beats.
    pub fn step(&mut self, now: Millis, beats: [u32; COUNT]) -> Vec<Action, { COUNT + 1 }> {
        let held_up = (now - self.looked_at).saturating_sub(LOOK_MS_MAX);
        self.looked_at = now;
        let mut actions = Vec::new();
        for ((thread, seen), turns) in Watched::ALL.into_iter().zip(&mut self.seen).zip(beats) {
            seen.at += held_up;
            let for_ms = now - seen.at;
            let longest = if seen.begins {
                self.tuning.begin_ms
            } else {
                self.tuning.stuck_ms
            };
            let never = seen.begins;
            let action = if turns != seen.turns {
                let was_stuck = seen.is_stuck;
                *seen = Seen {
                    turns,
                    at: now,
                    begins: false,
                    is_stuck: false,
                };
                was_stuck.then_some(Action::Moves {
                    thread,
                    after_ms: for_ms,
                })
            } else if longest < for_ms && !seen.is_stuck {
                seen.is_stuck = true;
                Some(Action::Stuck {
                    thread,
                    for_ms,
                    never,
                })
            } else {
                None
            };
            actions.extend(action);
        }
        if let Some(feed_ms) = self.tuning.feed_ms
            && self.fed_at.is_none_or(|at| at + feed_ms <= now)
            && !self.is_vital_stuck()
        {
            self.fed_at = Some(now);
            actions.extend([Action::Feed]);
        }
        actions
    }

    fn is_vital_stuck(&self) -> bool {
        let mut threads = Watched::ALL.into_iter().zip(&self.seen);
        threads.any(|(thread, seen)| thread.is_vital() && seen.is_stuck)
    }

    /// Returns the first thread that is stuck.
    #[must_use]
    pub fn stuck(&self) -> Option<Watched> {
        let mut threads = Watched::ALL.into_iter().zip(&self.seen);
        threads.find_map(|(thread, seen)| seen.is_stuck.then_some(thread))
    }

    /// Returns each thread as it was seen last, and when that was.
    #[must_use]
    pub fn seen(&self) -> ([Seen; COUNT], Millis) {
        (self.seen, self.looked_at)
    }

    /// Returns the time of the next look.
    #[must_use]
    pub fn next_look(&self) -> Millis {
        let feed = self.tuning.feed_ms.unwrap_or(LOOK_MS);
        self.looked_at + feed.clamp(1, LOOK_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTEN: usize = Watched::Listen as usize;

    /// Looks every 250 ms until `until`, in which all threads beat but `but`; returns what was said
    /// and how often systemd was fed.
    fn watch(
        watchdog: &mut Watchdog,
        beats: &mut [u32; COUNT],
        from: Millis,
        until: Millis,
        but: Option<usize>,
    ) -> (std::vec::Vec<Action>, usize) {
        let (mut said, mut fed) = (std::vec::Vec::new(), 0);
        let mut now = from;
        while now < until {
            for (index, beat) in beats.iter_mut().enumerate() {
                *beat = beat.wrapping_add(u32::from(Some(index) != but));
            }
            for action in watchdog.step(now, *beats) {
                match action {
                    Action::Feed => fed += 1,
                    action => said.push(action),
                }
            }
            now += LOOK_MS;
        }
        (said, fed)
    }

    #[test]
    fn well_threads_feed_at_a_quarter_of_the_interval() {
        let mut watchdog = Watchdog::new(Tuning::new(Some(8_000)), 0);
        let (said, fed) = watch(&mut watchdog, &mut [u32::MAX - 9; COUNT], 0, 20_000, None);
        assert_eq!((said.len(), fed), (0, 10));
    }

    #[test]
    fn nobody_who_wants_no_feeding_is_fed() {
        let mut watchdog = Watchdog::new(Tuning::new(None), 0);
        let (said, fed) = watch(&mut watchdog, &mut [0; COUNT], 0, 20_000, None);
        assert_eq!((said.len(), fed), (0, 0));
    }

    #[test]
    fn stuck_thread_is_named_once_and_ends_the_feeding_until_it_moves() {
        let mut watchdog = Watchdog::new(Tuning::new(Some(10_000)), 0);
        let mut beats = [0; COUNT];
        let (_, fed) = watch(&mut watchdog, &mut beats, 0, 1_000, None);
        assert_eq!(fed, 1);
        let (said, fed) = watch(&mut watchdog, &mut beats, 1_000, 60_000, Some(LISTEN));
        let stuck = Action::Stuck {
            thread: Watched::Listen,
            for_ms: 5_250,
            never: false,
        };
        assert_eq!(said, [stuck]);
        // At 2.5 and 5 s; stuck at 6 s.
        assert_eq!(fed, 2);
        assert_eq!(watchdog.stuck(), Some(Watched::Listen));
        let (said, fed) = watch(&mut watchdog, &mut beats, 60_000, 60_250, None);
        let moves = Action::Moves {
            thread: Watched::Listen,
            after_ms: 59_250,
        };
        assert_eq!((said.as_slice(), fed), ([moves].as_slice(), 1));
    }

    #[test]
    fn stuck_stick_costs_no_restart() {
        let mut watchdog = Watchdog::new(Tuning::new(Some(10_000)), 0);
        let jobs = Some(Watched::Jobs as usize);
        let mut beats = [0; COUNT];
        watch(&mut watchdog, &mut beats, 0, 1_000, None);
        let (said, fed) = watch(&mut watchdog, &mut beats, 1_000, 61_000, jobs);
        assert_eq!((said.len(), fed), (1, 24));
        assert_eq!(watchdog.stuck(), Some(Watched::Jobs));
    }

    #[test]
    fn thread_that_never_begins_is_found() {
        let mut watchdog = Watchdog::new(Tuning::new(None), 0);
        let mut beats = [0; COUNT];
        let (said, _) = watch(&mut watchdog, &mut beats, 0, 30_000, Some(LISTEN));
        assert_eq!(said, []);
        let (said, _) = watch(&mut watchdog, &mut beats, 30_000, 90_000, Some(LISTEN));
        let Action::Stuck { thread, never, .. } = said[0] else {
            panic!("{said:?}")
        };
        assert_eq!((thread, never, said.len()), (Watched::Listen, true, 1));
    }

    #[test]
    fn look_that_was_held_up_itself_proves_nothing() {
        let mut watchdog = Watchdog::new(Tuning::new(None), 0);
        let mut beats = [0; COUNT];
        watch(&mut watchdog, &mut beats, 0, 1_000, None);
        // The machine slept for an hour.
        assert_eq!(watchdog.step(3_600_000, beats).len(), 0);
        // But a thread that is stuck all the same is found by looks that are always late.
        let said: std::vec::Vec<Action> = (1..=9)
            .flat_map(|late| watchdog.step(3_600_000 + late * 4_000, beats))
            .collect();
        assert_eq!(said.len(), COUNT);
    }

    #[test]
    fn limits_follow_the_interval() {
        let stuck_ms = |interval| Tuning::new(interval).stuck_ms;
        assert_eq!(stuck_ms(None), 5_000);
        assert_eq!(stuck_ms(Some(60_000)), 5_000);
        assert_eq!(stuck_ms(Some(6_000)), 3_000);
        assert_eq!(stuck_ms(Some(2_000)), 2_000);
        let tuning = Tuning::new(Some(2_000));
        assert_eq!(tuning.feed_ms, Some(500));
    }
}
