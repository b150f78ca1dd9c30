//! Guesses: what the worker is told of an utterance before that is closed.
//!
//! What listen tells of the open utterance in; what goes to an idle worker, and whether it was worth
//! it, out. Runs on the main loop. Pure. The arbiter knows nothing of it: a guess takes nobody's
//! place, and what is asked for goes first, always.

use pressel_pipeline::limits::AHEAD_REST_MS;
use pressel_pipeline::time::Millis;
use pressel_wire::Trigger;

use crate::stream::Ahead;
use crate::worker::message::Part;

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
    /// No work ahead until then.
    rests_until: Millis,
    counts: GuessCounts,
}

/// Returns what the worker is told.
pub(super) fn part(ahead: &Ahead) -> Part {
    Part {
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
    pub(super) fn ask(&mut self, asked: Part, trigger: Trigger) -> bool {
        let is_it = |told: &Ahead| told.look.is_guess && part(told) == asked;
        let adopted = trigger != Trigger::File && self.told.as_ref().is_some_and(is_it);
        if adopted {
            self.told = None;
            self.counts.adopted += 1;
        }
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

    /// The worker is gone. Returns whether it had been told something since the last request.
    pub(super) fn lose(&mut self) -> bool {
        let was_told = self.told.is_some();
        self.drop_told();
        was_told
    }

    /// A worker was lost over work ahead: there is none until then. `scale` is the clock's
    /// milliseconds in a real one.
    pub(super) fn rest(&mut self, now: Millis, scale: u64) {
        self.rests_until = now + AHEAD_REST_MS * scale;
    }

    fn drop_told(&mut self) {
        let told = self.told.take();
        self.counts.dropped += u32::from(told.is_some_and(|told| told.look.is_guess));
    }
}
