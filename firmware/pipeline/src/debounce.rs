//! Debounce of one input: the first edge counts at once, the bounces after it do not.
//!
//! Level and time in, a clean edge out. Runs on the main loop. A press is never late: the input is
//! only deaf *after* an accepted edge, and looked at again when the deaf time is over.

use crate::time::Millis;

/// The state of one debounced input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The level is settled; the next change counts.
    Settled {
        /// The accepted level: true is pressed.
        pressed: bool,
    },
    /// An edge was accepted; changes are ignored until the deadline.
    Deaf {
        /// The accepted level.
        pressed: bool,
        /// When the level is looked at again.
        until: Millis,
    },
}

/// What one look at the input gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub next: State,
    /// The clean edge, if one was accepted: true for a press.
    pub edge: Option<bool>,
}

impl State {
    /// Returns the state of an input that is released and settled.
    #[must_use]
    pub const fn released() -> Self {
        Self::Settled { pressed: false }
    }

    /// Returns when [`step`] must be called again even if no edge arrives.
    #[must_use]
    pub const fn deadline(&self) -> Option<Millis> {
        match self {
            Self::Settled { .. } => None,
            Self::Deaf { until, .. } => Some(*until),
        }
    }
}

/// Looks at the input's level at time `now`.
#[must_use]
pub fn step(state: &State, level: bool, now: Millis, debounce_ms: u64) -> Step {
    match *state {
        State::Deaf { until, .. } if now < until => Step {
            next: *state,
            edge: None,
        },
        State::Settled { pressed } | State::Deaf { pressed, .. } => {
            if level == pressed {
                Step {
                    next: State::Settled { pressed },
                    edge: None,
                }
            } else {
                let next = State::Deaf {
                    pressed: level,
                    until: now + debounce_ms,
                };
                Step {
                    next,
                    edge: Some(level),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Plays (time, level) samples and returns the accepted edges as (time, pressed).
    fn check(inputs: &[(Millis, bool)], expected: &[(Millis, bool)]) {
        let mut state = State::released();
        let mut edges = Vec::new();
        for &(now, level) in inputs {
            let step = step(&state, level, now, 20);
            state = step.next;
            edges.extend(step.edge.map(|edge| (now, edge)));
        }
        assert_eq!(edges, expected);
    }

    #[test]
    fn press_counts_at_once() {
        check(&[(5, true)], &[(5, true)]);
    }

    #[test]
    fn bounces_after_a_press_are_ignored() {
        check(
            &[(5, true), (6, false), (8, true), (30, true)],
            &[(5, true)],
        );
    }

    #[test]
    fn release_inside_the_deaf_time_is_seen_when_it_is_over() {
        check(
            &[(5, true), (10, false), (25, false)],
            &[(5, true), (25, false)],
        );
    }

    #[test]
    fn level_without_change_gives_nothing() {
        check(&[(0, false), (50, false)], &[]);
    }
}
