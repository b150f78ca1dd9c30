//! The wake machine: a score above the threshold, then deaf for the refractory time.
//!
//! ```text
//!   Armed ── score >= threshold ──▶ Refractory ── until ──▶ Armed
//! ```
//!
//! Scores of one wake word in, marks out. Runs on listen.

use crate::time::SampleTime;

/// The state of one wake word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The word is listened for.
    Armed,
    /// The word was heard; its scores are coalesced until then.
    Refractory {
        /// Sample time at which the word is listened for again.
        until: SampleTime,
    },
}

/// Numbers that the configuration may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Score from which on the word counts as said, 0 to 1.
    pub threshold: f32,
    /// Samples in which further scores belong to the same saying.
    pub refractory: u64,
}

/// What one score led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub next: State,
    /// True when the word has just been heard.
    pub heard: bool,
}

/// Takes the score of the frame that ends at sample time `at`.
#[must_use]
pub fn step(state: &State, score: f32, at: SampleTime, tuning: &Tuning) -> Step {
    match *state {
        State::Refractory { until } if at < until => Step {
            next: *state,
            heard: false,
        },
        State::Armed | State::Refractory { .. } => {
            if tuning.threshold <= score {
                let next = State::Refractory {
                    until: at + tuning.refractory,
                };
                Step { next, heard: true }
            } else {
                Step {
                    next: State::Armed,
                    heard: false,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn one_saying_is_heard_once() {
        let tuning = Tuning {
            threshold: 0.5,
            refractory: 300,
        };
        let mut state = State::Armed;
        let mut heard = Vec::new();
        for (n, score) in [0.1, 0.6, 0.9, 0.7, 0.2, 0.8, f32::NAN]
            .into_iter()
            .enumerate()
        {
            let at = n as u64 * 100;
            let step = step(&state, score, at, &tuning);
            state = step.next;
            if step.heard {
                heard.push(at);
            }
        }
        assert_eq!(heard, [100, 500]);
    }
}
