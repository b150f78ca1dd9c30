//! The ledger: every utterance has exactly one outcome, and the counters agree.
//!
//! Outcomes in, numbered and counted; out to the link, the oldest first. Runs on the main loop.

use heapless::Deque;
use pressel_pipeline::limits::OUTCOMES_KEPT_MAX;
use pressel_pipeline::time::Millis;
use pressel_wire::{Counters, OutcomeResult};

use crate::outcome::{Finished, short};

/// Numbers outcomes, counts them, and keeps those that the link has no room for.
pub struct Ledger {
    waiting: Deque<Finished, OUTCOMES_KEPT_MAX>,
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
