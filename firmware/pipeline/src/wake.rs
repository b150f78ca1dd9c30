//! The wake machine: a score above the threshold, then deaf for the refractory time.
//!
//! ```text
//!   Armed ── mean score >= threshold ──▶ Refractory ── until ──▶ Armed
//! ```
//!
//! Scores of one wake word in, marks out. Runs on listen.

use crate::limits::WAKE_SMOOTHING_MAX;
use crate::time::SampleTime;

/// The state of one wake word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// Whether the word is listened for.
    pub ear: Ear,
    /// The last scores, newest first.
    recent: [f32; WAKE_SMOOTHING_MAX],
}

/// Whether a word is listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ear {
    /// The word is listened for.
    Armed,
    /// The word was heard; its scores are coalesced until then.
    Refractory {
        /// Sample time at which the word is listened for again.
        until: SampleTime,
    },
}

impl State {
    /// The word is listened for, and no score of it is known yet.
    pub const ARMED: Self = Self {
        ear: Ear::Armed,
        recent: [0.0; WAKE_SMOOTHING_MAX],
    };

    /// Forgets the scores from before a gap in the stream; a refractory time goes on.
    #[must_use]
    pub const fn without_scores(self) -> Self {
        Self {
            ear: self.ear,
            recent: [0.0; WAKE_SMOOTHING_MAX],
        }
    }
}

/// Numbers that the configuration may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Mean score from which on the word counts as said, 0 to 1.
    pub threshold: f32,
    /// Scores that are averaged, 1 to [`WAKE_SMOOTHING_MAX`].
    pub smoothing: usize,
    /// Samples in which further scores belong to the same saying.
    pub refractory: u64,
    /// Samples from the end of the word to the end of the frame that finds it.
    pub lag: u64,
}

/// What one score led to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The next state.
    pub next: State,
    /// The word has just been heard.
    pub heard: Option<Heard>,
}

/// A wake word that was said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// The mean score.
    pub score: f32,
    /// Sample time at which the word ended, as far as is known.
    pub end: SampleTime,
}

/// Takes the score of the frame that ends at sample time `at`.
#[must_use]
pub fn step(state: &State, score: f32, at: SampleTime, tuning: &Tuning) -> Step {
    let mut next = *state;
    next.recent.rotate_right(1);
    next.recent[0] = score;
    let count = tuning.smoothing.clamp(1, WAKE_SMOOTHING_MAX);
    let mean = next.recent[..count].iter().sum::<f32>() / count as f32;
    let deaf = matches!(next.ear, Ear::Refractory { until } if at < until);
    if deaf {
        return Step { next, heard: None };
    }
    next.ear = Ear::Armed;
    if tuning.threshold <= mean {
        next.ear = Ear::Refractory {
            until: at + tuning.refractory,
        };
        let heard = Some(Heard {
            score: mean,
            end: at.saturating_sub(tuning.lag),
        });
        return Step { next, heard };
    }
    Step { next, heard: None }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Gives one score for each 100 samples; returns when the word was heard.
    fn check(tuning: &Tuning, scores: &[f32], expected: &[SampleTime]) {
        let mut state = State::ARMED;
        let mut heard = Vec::new();
        for (n, &score) in scores.iter().enumerate() {
            let step = step(&state, score, n as u64 * 100, tuning);
            state = step.next;
            heard.extend(step.heard.map(|heard| heard.end));
        }
        assert_eq!(heard, expected);
    }

    const PLAIN: Tuning = Tuning {
        threshold: 0.5,
        smoothing: 1,
        refractory: 300,
        lag: 0,
    };

    #[test]
    fn one_saying_is_heard_once() {
        let scores = [0.1, 0.6, 0.9, 0.7, 0.2, 0.8, f32::NAN];
        check(&PLAIN, &scores, &[100, 500]);
    }

    #[test]
    fn a_single_high_score_is_not_enough_for_a_mean_of_two() {
        let tuning = Tuning {
            smoothing: 2,
            ..PLAIN
        };
        check(&tuning, &[0.0, 0.9, 0.0, 0.0, 0.6, 0.6, 0.6], &[500]);
    }

    #[test]
    fn the_word_ended_before_it_was_found() {
        let tuning = Tuning { lag: 150, ..PLAIN };
        check(&tuning, &[0.9, 0.0, 0.0, 0.9], &[0, 150]);
    }

    #[test]
    fn a_gap_forgets_scores_and_not_the_refractory_time() {
        let tuning = Tuning {
            smoothing: 2,
            ..PLAIN
        };
        let before = step(&State::ARMED, 0.9, 0, &tuning).next;
        let behind = step(&before.without_scores(), 0.9, 100, &tuning);
        assert_eq!(behind.heard, None);
        let heard = step(&before, 0.9, 100, &tuning).next;
        let forgot = heard.without_scores();
        assert_eq!(forgot.ear, Ear::Refractory { until: 400 });
    }
}
