//! The ledger: every utterance has exactly one outcome, and the counters agree.
//!
//! Outcomes in, numbered and counted; out to the link, the oldest first. Runs on the main loop.

use heapless::Deque;
use pressel_pipeline::limits::OUTCOMES_WAITING_MAX;
use pressel_pipeline::time::Millis;
use pressel_wire::{Counters, OutcomeResult};

use crate::outcome::{Finished, short};

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

#[cfg(test)]
mod tests {
    use pressel_wire::{DropReason, FailCode, Trigger};

    use super::*;

    fn finished(id: u32, result: OutcomeResult) -> Finished {
        Finished::bare(id, Trigger::Ptt, result, 1_000)
    }

    #[test]
    fn each_outcome_is_counted_and_numbered_without_a_gap() {
        let text = OutcomeResult::Text {
            bytes: 2,
            truncated: false,
        };
        let results = [
            text,
            OutcomeResult::NoSpeech,
            OutcomeResult::Dropped(DropReason::Busy),
            OutcomeResult::Failed(FailCode::Timeout),
        ];
        let mut ledger = Ledger::new();
        for (id, &result) in results.iter().enumerate() {
            ledger.opened();
            assert!(!ledger.enter(finished(id as u32, result)));
        }
        let counters = ledger.counters();
        assert_eq!(counters.utterances, 4);
        let ends = [
            counters.texts,
            counters.no_speech,
            counters.dropped,
            counters.failed,
        ];
        assert_eq!(ends, [1; 4]);
        for sequence in 0..4 {
            let outcome = ledger.next(1_250).unwrap().outcome;
            assert_eq!((outcome.sequence, outcome.utterance), (sequence, sequence));
            assert_eq!(outcome.timing.link_ms, 250);
            ledger.sent();
        }
        assert!(ledger.is_empty() && ledger.next(2_000).is_none());
    }

    #[test]
    fn full_ledger_lets_the_oldest_go_and_says_so() {
        let mut ledger = Ledger::default();
        for id in 0..10 {
            let made_room = ledger.enter(finished(id, OutcomeResult::NoSpeech));
            assert_eq!(made_room, OUTCOMES_WAITING_MAX as u32 <= id);
        }
        assert_eq!(ledger.counters().no_speech, 10);
        assert_eq!(ledger.next(1_000).unwrap().outcome.sequence, 2);
    }
}
