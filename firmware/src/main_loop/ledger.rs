//! The ledger: every utterance has exactly one outcome, and the counters agree.
//!
//! Utterances and outcomes in, counters out. Runs on the main loop.

use pressel_wire::{Counters, OutcomeResult};

/// Counts utterances and outcomes.
#[derive(Debug, Default)]
pub struct Ledger {
    counters: Counters,
}

impl Ledger {
    /// Makes an empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts an utterance that was opened.
    pub fn opened(&mut self) {
        self.counters.utterances = self.counters.utterances.saturating_add(1);
    }

    /// Counts an outcome.
    pub fn enter(&mut self, result: &OutcomeResult) {
        let counter = match result {
            OutcomeResult::Text { .. } | OutcomeResult::Command { .. } => &mut self.counters.texts,
            OutcomeResult::NoSpeech | OutcomeResult::Unknown => &mut self.counters.no_speech,
            OutcomeResult::Dropped(_) => &mut self.counters.dropped,
            OutcomeResult::Failed(_) => &mut self.counters.failed,
        };
        *counter = counter.saturating_add(1);
    }

    /// Returns the counts of utterances and outcomes.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

#[cfg(test)]
mod tests {
    use pressel_wire::{DropReason, FailCode};

    use super::*;

    #[test]
    fn each_outcome_is_counted() {
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
        for result in &results {
            ledger.opened();
            ledger.enter(result);
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
    }
}
