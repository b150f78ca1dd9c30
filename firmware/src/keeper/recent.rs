//! The last outcomes, for `pressel status`.
//!
//! The keeper puts them in, the control thread reads them. The lock is held for a copy; nobody else
//! takes it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pressel_pipeline::limits::RECENT_OUTCOMES_MAX;

use crate::journal::Spoken;

/// The last outcomes. Share it in an `Arc`.
#[derive(Debug, Default)]
pub struct Recent {
    outcomes: Mutex<VecDeque<Spoken>>,
}

impl Recent {
    /// Adds an outcome; the oldest one too many leaves.
    pub fn push(&self, spoken: Spoken) {
        let mut outcomes = self.outcomes();
        if RECENT_OUTCOMES_MAX <= outcomes.len() {
            outcomes.pop_front();
        }
        outcomes.push_back(spoken);
    }

    /// Returns them, the newest last.
    #[must_use]
    pub fn list(&self) -> Vec<Spoken> {
        self.outcomes().iter().cloned().collect()
    }

    fn outcomes(&self) -> MutexGuard<'_, VecDeque<Spoken>> {
        // A panic while it was held left a whole list behind.
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pressel_wire::{Outcome, OutcomeResult, Timing, Trigger};

    use super::*;

    fn spoken(sequence: u32) -> Spoken {
        Spoken {
            epoch: 1,
            at_ms: 5,
            outcome: Outcome {
                sequence,
                utterance: sequence,
                trigger: Trigger::Ptt,
                result: OutcomeResult::NoSpeech,
                confidence: 0,
                audio_ms: 1,
                timing: Timing::default(),
            },
            text: heapless::String::new(),
        }
    }

    #[test]
    fn last_ones_are_kept_in_order() {
        let recent = Recent::default();
        assert_eq!(recent.list(), []);
        let all: Vec<Spoken> = (0..20).map(spoken).collect();
        for spoken in all.clone() {
            recent.push(spoken);
        }
        assert_eq!(recent.list(), all[20 - RECENT_OUTCOMES_MAX..]);
    }
}
