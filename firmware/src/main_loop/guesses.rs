//! Guesses: what the worker is told of an utterance before that is closed.
//!
//! What listen tells of the open utterance in; what goes to an idle worker, and whether it was
//! worth it, out. Runs on the main loop. Pure. The arbiter knows nothing of it: a guess takes
//! nobody's place, and what is asked for goes first, always.

use pressel_pipeline::limits::AHEAD_REST_MS;
use pressel_pipeline::time::Millis;
use pressel_wire::Trigger;

use crate::stream::Ahead;
use crate::worker::message::Excerpt;

/// Guesses since the start. What is neither adopted nor dropped is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuessCounts {
    /// The worker began with an utterance whose end was not known.
    pub made: u32,
    /// Exactly that was asked for in the end.
    pub adopted: u32,
    /// Something else was, or nothing.
    pub dropped: u32,
}

/// What was told of the open utterance.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    /// The newest, while the worker has something else to do.
    next: Option<Ahead>,
    /// What the worker was told last, since the last request.
    told: Option<Ahead>,
    /// The last request came while the worker was at something else that nobody had asked for.
    gave_way: bool,
    /// No work ahead until then.
    rests_until: Millis,
    counts: GuessCounts,
}

/// Returns what the worker is told.
pub(super) fn part(ahead: &Ahead) -> Excerpt {
    Excerpt {
        utterance: ahead.utterance,
        slot: ahead.slot,
        start: ahead.look.start,
        samples: ahead.look.samples,
    }
}

impl Guesses {
    pub(super) const fn counts(&self) -> GuessCounts {
        self.counts
    }

    /// Listen tells of the open utterance; what it told before is old.
    pub(super) fn put(&mut self, ahead: Ahead) {
        self.next = Some(ahead);
    }

    /// Takes what is to be told to an idle worker now.
    pub(super) fn take(&mut self, now: Millis) -> Option<Ahead> {
        let ahead = self.next.take()?;
        if now < self.rests_until {
            return None;
        }
        self.drop_told();
        self.told = Some(ahead);
        self.counts.made += u32::from(ahead.look.is_guess);
        Some(ahead)
    }

    /// The utterance is closed: what was not told yet is of no use.
    pub(super) fn close(&mut self, utterance: u32) {
        self.next.take_if(|next| next.utterance == utterance);
    }

    /// This is asked for now. Returns whether the worker has begun with it.
    pub(super) fn ask(&mut self, asked: Excerpt, trigger: Trigger) -> bool {
        let is_it = |told: &Ahead| told.look.is_guess && part(told) == asked;
        let adopted = trigger != Trigger::File && self.told.as_ref().is_some_and(is_it);
        if adopted {
            self.told = None;
            self.counts.adopted += 1;
        }
        self.gave_way = self.told.is_some();
        self.drop_told();
        adopted
    }

    /// The utterance has its outcome. Returns whether the worker is to forget what it was told.
    pub(super) fn end(&mut self, utterance: u32) -> bool {
        self.close(utterance);
        let is_told = self.told.is_some_and(|told| told.utterance == utterance);
        if is_told {
            self.drop_told();
        }
        is_told
    }

    /// The worker is gone, with a request or without one. Returns whether it was at something that
    /// nobody had asked for. If it was or may have been, there is no work ahead for a while;
    /// `scale` is the clock's milliseconds in a real one.
    pub(super) fn lose(&mut self, is_asked: bool, now: Millis, scale: u64) -> bool {
        let is_over_it = !is_asked && self.told.is_some();
        if is_over_it || (is_asked && self.gave_way) {
            self.rests_until = now + AHEAD_REST_MS * scale;
        }
        self.gave_way = false;
        self.drop_told();
        is_over_it
    }

    fn drop_told(&mut self) {
        let told = self.told.take();
        self.counts.dropped += u32::from(told.is_some_and(|told| told.look.is_guess));
    }
}

#[cfg(test)]
mod tests {
    use pressel_pipeline::ahead::Look;

    use super::*;

    fn ahead(utterance: u32, samples: u32, is_guess: bool) -> Ahead {
        Ahead {
            utterance,
            slot: 2,
            look: Look {
                start: 0,
                samples,
                is_guess,
            },
        }
    }

    /// What happens to guesses.
    enum Event {
        Put(Ahead),
        /// The worker is idle; is it told something?
        Take(bool),
        Close(u32),
        /// This is asked for; has the worker begun with it?
        Ask(Ahead, bool),
        /// This has its outcome; is there something to forget?
        End(u32, bool),
        /// The worker is lost, with a request or without; was it over a guess?
        Lose(bool, bool),
    }
    use Event::{Ask, Close, End, Lose, Put, Take};

    fn check(events: &[Event], expected: [u32; 3]) {
        let mut guesses = Guesses::default();
        for event in events {
            match *event {
                Put(ahead) => guesses.put(ahead),
                Take(told) => assert_eq!(guesses.take(5).is_some(), told),
                Close(utterance) => guesses.close(utterance),
                Ask(ahead, begun) => {
                    assert_eq!(guesses.ask(part(&ahead), Trigger::Voice), begun);
                }
                End(utterance, forgets) => assert_eq!(guesses.end(utterance), forgets),
                Lose(is_asked, over_it) => {
                    assert_eq!(guesses.lose(is_asked, 0, 0), over_it);
                }
            }
        }
        let GuessCounts {
            made,
            adopted,
            dropped,
        } = guesses.counts();
        assert_eq!([made, adopted, dropped], expected);
    }

    #[test]
    fn guess_is_adopted_when_exactly_that_is_asked_for() {
        let guess = ahead(1, 900, true);
        check(
            &[
                Put(guess),
                Take(true),
                Take(false),
                Close(1),
                Ask(guess, true),
                End(1, false),
            ],
            [1, 1, 0],
        );
        check(
            &[Put(guess), Take(true), Ask(ahead(1, 901, false), false)],
            [1, 0, 1],
        );
        check(
            &[Put(guess), Take(true), Ask(ahead(2, 900, true), false)],
            [1, 0, 1],
        );
        // More was said after it.
        let more = ahead(1, 1_200, false);
        check(
            &[
                Put(guess),
                Take(true),
                Put(more),
                Take(true),
                Ask(guess, false),
            ],
            [1, 0, 1],
        );
        check(&[Put(more), Take(true), Ask(more, false)], [0, 0, 0]);
    }

    #[test]
    fn newest_is_told_and_nothing_of_an_utterance_that_is_closed() {
        let guess = ahead(1, 900, true);
        check(
            &[
                Put(ahead(1, 500, false)),
                Put(guess),
                Take(true),
                Take(false),
            ],
            [1, 0, 0],
        );
        check(&[Put(guess), Close(1), Take(false)], [0, 0, 0]);
        check(&[Put(guess), Close(2), Take(true)], [1, 0, 0]);
    }

    #[test]
    fn what_ends_without_a_request_is_forgotten() {
        let guess = ahead(1, 900, true);
        check(
            &[
                Put(guess),
                Take(true),
                End(2, false),
                End(1, true),
                End(1, false),
            ],
            [1, 0, 1],
        );
        check(
            &[Put(ahead(1, 500, false)), Take(true), End(1, true)],
            [0, 0, 0],
        );
        check(&[Put(guess), End(1, false), Take(false)], [0, 0, 0]);
    }

    #[test]
    fn loss_of_the_worker_is_over_a_guess_until_something_is_asked() {
        let guess = ahead(1, 900, true);
        check(
            &[
                Put(guess),
                Take(true),
                Lose(false, true),
                Lose(false, false),
            ],
            [1, 0, 1],
        );
        check(
            &[Put(guess), Take(true), Ask(guess, true), Lose(true, false)],
            [1, 1, 0],
        );
        check(&[Put(guess), Lose(false, false), Take(true)], [1, 0, 0]);
    }

    /// The worker is lost at 1,000 in real time; is something told a minute after that?
    fn check_rest(is_asked: bool, asked: Option<Ahead>, rests: bool) {
        let mut guesses = Guesses::default();
        guesses.put(ahead(1, 900, true));
        guesses.take(0);
        if let Some(asked) = asked {
            guesses.ask(part(&asked), Trigger::Ptt);
        }
        guesses.lose(is_asked, 1_000, 2);
        for (now, told) in [
            (2 * AHEAD_REST_MS + 999, !rests),
            (2 * AHEAD_REST_MS + 1_000, true),
        ] {
            guesses.put(ahead(1, 900, true));
            assert_eq!(guesses.take(now).is_some(), told);
        }
    }

    #[test]
    fn nothing_is_told_for_a_while_after_a_loss_over_a_guess() {
        check_rest(false, None, true);
        // It may be the guess that does not end.
        check_rest(true, Some(ahead(1, 901, true)), true);
        // It was asked for: what is lost is a request.
        check_rest(true, Some(ahead(1, 900, true)), false);
    }
}
