//! The ledger: every utterance has exactly one outcome, and the counters agree.
//!
//! Results in, numbered outcomes out. Runs on the main loop.

use heapless::{Deque, String};
use pressel_pipeline::limits::{OUTCOMES_WAITING_MAX, TEXT_BYTES_MAX};
use pressel_pipeline::time::{Millis, SampleTime, millis};
use pressel_pipeline::utterance::CloseReason;
use pressel_pipeline::waiting::Utterance;
use pressel_wire::{CONFIDENCE_UNKNOWN, Counters, Outcome, OutcomeResult, Timing, Trigger};

use crate::stream::ClosedUtterance;

/// An outcome on its way to the link.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What the link tells.
    pub outcome: Outcome,
    /// Its text, empty unless the result is text.
    pub text: String<TEXT_BYTES_MAX>,
    /// Sample time of the utterance's start.
    pub start: SampleTime,
    /// When the result was there.
    pub done_at: Millis,
}

impl Finished {
    /// An outcome without text and timing, as for an utterance that never reached the worker.
    #[must_use]
    pub fn bare(id: u32, trigger: Trigger, result: OutcomeResult, now: Millis) -> Self {
        let outcome = Outcome {
            sequence: 0,
            utterance: id,
            trigger,
            result,
            confidence: CONFIDENCE_UNKNOWN,
            audio_ms: 0,
            timing: Timing::default(),
        };
        Self {
            outcome,
            text: String::new(),
            start: 0,
            done_at: now,
        }
    }

    /// An outcome of a recorded utterance, without text.
    #[must_use]
    pub fn of(utterance: &Utterance, result: OutcomeResult, now: Millis) -> Self {
        let mut finished = Self::bare(utterance.id, utterance.trigger, result, now);
        finished.start = utterance.start;
        finished.outcome.audio_ms = short(millis(u64::from(utterance.samples)));
        finished.outcome.timing.capture_ms = utterance.capture_ms;
        finished
    }
}

/// Makes the arbiter's view of an utterance that listen closed; `now` is when that was seen.
#[must_use]
pub fn utterance(closed: &ClosedUtterance, post_roll: u64, now: Millis) -> Utterance {
    let end = closed.start + u64::from(closed.samples);
    let speech_end = closed
        .speech
        .map_or(end, |span| closed.start + u64::from(span.end));
    let spoken_until = match (closed.reason, closed.trigger) {
        (CloseReason::Released, _) => end.saturating_sub(post_roll),
        (_, Trigger::Ptt) => end,
        _ => speech_end,
    };
    Utterance {
        id: closed.id,
        slot: closed.slot,
        trigger: closed.trigger,
        start: closed.start,
        samples: closed.samples,
        speech: closed.speech,
        closed_at: now,
        capture_ms: short(millis(closed.closed_at.saturating_sub(spoken_until))),
    }
}

/// Numbers outcomes, counts them, and keeps those that the link has no room for.
pub struct Ledger {
    waiting: Deque<Finished, OUTCOMES_WAITING_MAX>,
    counters: Counters,
    sequence: u32,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger {
    /// Makes an empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self {
            waiting: Deque::new(),
            counters: Counters::default(),
            sequence: 0,
        }
    }

    /// Counts an utterance that was opened.
    pub fn opened(&mut self) {
        self.counters.utterances = self.counters.utterances.saturating_add(1);
    }

    /// Enters an outcome. Returns true when an older one had to make room for it.
    pub fn enter(&mut self, mut finished: Finished) -> bool {
        finished.outcome.sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let counter = match finished.outcome.result {
            OutcomeResult::Text { .. } => &mut self.counters.texts,
            OutcomeResult::NoSpeech => &mut self.counters.no_speech,
            OutcomeResult::Dropped(_) => &mut self.counters.dropped,
            _ => &mut self.counters.failed,
        };
        *counter = counter.saturating_add(1);
        let made_room = self.waiting.is_full() && self.waiting.pop_front().is_some();
        // There is room now.
        self.waiting.push_back(finished).ok();
        made_room
    }

    /// Returns the oldest outcome that the link has not taken, stamped with its wait.
    pub fn next(&mut self, now: Millis) -> Option<&Finished> {
        let finished = self.waiting.front_mut()?;
        finished.outcome.timing.link_ms = short(now.saturating_sub(finished.done_at));
        Some(finished)
    }

    /// Takes out what [`Ledger::next`] showed.
    pub fn sent(&mut self) {
        self.waiting.pop_front();
    }

    /// Returns whether no outcome waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns the counts of utterances and outcomes.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

/// Returns a time that fits the wire; longer than 49 days is 49 days.
#[must_use]
pub fn short(ms: u64) -> u32 {
    u32::try_from(ms).unwrap_or(u32::MAX)
}
