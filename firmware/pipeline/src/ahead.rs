//! Work ahead: what of an utterance the worker may look at while it is still being recorded.
//!
//! ```text
//!            AHEAD_EVERY_MS more of speech ──▶ Listen     (what can be prepared is)
//!   Waiting ─ GUESS_PAUSE_MS of silence ────▶ Guess ──▶ Guessed
//!      ▲                                                   │
//!      └───────────── speech goes on: Listen ──────────────┘ (the guess was wrong)
//! ```
//!
//! Where speech is and how far it was heard in, parts of the slot out. Runs on listen, once a
//! block, for one utterance. A guess is exactly what will be asked for when nothing more is said.

use crate::limits::{AHEAD_EVERY_MS, GUESS_PAUSE_MS, SPEECH_TAIL_MS};
use crate::time::samples;
use crate::trim;
use crate::waiting::SpeechSpan;

/// What was told of one utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No guess is open.
    Waiting {
        /// End of speech at the last look.
        told: u32,
    },
    /// It was guessed that nothing more is said.
    Guessed {
        /// End of speech then.
        end: u32,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Waiting { told: 0 }
    }
}

/// An utterance that is being recorded. All in samples from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Where speech was heard so far.
    pub speech: SpeechSpan,
    /// All before this is in the slot, and was judged to be speech or silence.
    pub heard: u32,
    /// Its end, when it is known already.
    pub end: Option<u32>,
}

/// A part of the slot, all of it recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// First sample in the slot.
    pub start: u32,
    /// Count of samples.
    pub samples: u32,
    /// It is guessed that nothing more is said; otherwise more is to come.
    pub is_guess: bool,
}

/// What one look led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub next: State,
    /// What the worker may look at, if it is worth it.
    pub look: Option<Look>,
}

/// Looks at the utterance.
#[must_use]
pub fn step(state: &State, sight: &Sight) -> Step {
    let Sight { speech, heard, end } = *sight;
    let count = |ms| u32::try_from(samples(ms)).unwrap_or(u32::MAX);
    let told = match *state {
        State::Guessed { end } if end == speech.end => {
            return Step {
                next: *state,
                look: None,
            };
        }
        State::Guessed { .. } => {
            return listen(sight);
        }
        State::Waiting { told } => told,
    };
    // Once it is known where the utterance ends, there is no pause to wait for.
    let pause = count(end.map_or(GUESS_PAUSE_MS, |_| SPEECH_TAIL_MS));
    let tail = speech.end.saturating_add(count(SPEECH_TAIL_MS));
    let is_quiet = speech.end.saturating_add(pause) <= heard;
    if is_quiet && end.is_none_or(|end| tail <= end) {
        let (start, samples) = trim::around(speech, tail);
        let look = Look {
            start,
            samples,
            is_guess: true,
        };
        return Step {
            next: State::Guessed { end: speech.end },
            look: Some(look),
        };
    }
    if told.saturating_add(count(AHEAD_EVERY_MS)) <= speech.end {
        return listen(sight);
    }
    Step {
        next: *state,
        look: None,
    }
}

/// More is to come.
fn listen(sight: &Sight) -> Step {
    let (start, _) = trim::around(sight.speech, sight.heard);
    let look = Look {
        start,
        samples: sight.heard.saturating_sub(start),
        is_guess: false,
    };
    Step {
        next: State::Waiting {
            told: sight.speech.end,
        },
        look: Some(look),
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use pressel_wire::Trigger;
    use proptest::prelude::*;

    use super::*;
    use crate::waiting::Utterance;

    const MS: u32 = 16;

    fn sight(speech_ms: (u32, u32), heard_ms: u32, end_ms: Option<u32>) -> Sight {
        Sight {
            speech: SpeechSpan {
                start: speech_ms.0 * MS,
                end: speech_ms.1 * MS,
            },
            heard: heard_ms * MS,
            end: end_ms.map(|ms| ms * MS),
        }
    }

    /// Looks at these one after the other; a part is its start and end in milliseconds.
    fn check(sights: &[Sight], expected: &[Option<(u32, u32, bool)>]) {
        let mut state = State::default();
        let mut looks = Vec::new();
        for sight in sights {
            let step = step(&state, sight);
            state = step.next;
            looks.push(step.look.map(|look| {
                let end = look.start + look.samples;
                (look.start / MS, end / MS, look.is_guess)
            }));
        }
        assert_eq!(looks, expected);
    }

    #[test]
    fn guess_comes_once_after_the_pause() {
        check(
            &[
                sight((500, 800), 800, None),
                sight((500, 800), 1_040, None),
                sight((500, 800), 1_056, None),
                sight((500, 800), 1_072, None),
            ],
            &[
                Some((200, 800, false)),
                None,
                Some((200, 1_000, true)),
                None,
            ],
        );
    }

    #[test]
    fn speech_that_goes_on_is_told_at_once_and_guessed_again() {
        check(
            &[
                sight((400, 460), 712, None),
                sight((400, 720), 720, None),
                sight((400, 736), 736, None),
                sight((400, 736), 986, None),
            ],
            &[
                Some((100, 660, true)),
                Some((100, 720, false)),
                None,
                Some((100, 936, true)),
            ],
        );
    }

    #[test]
    fn long_speech_is_told_every_half_second() {
        let heard: Vec<_> = (1..=12)
            .map(|n| sight((0, n * 100), n * 100, None))
            .collect();
        let mut expected = [None; 12];
        expected[4] = Some((0, 500, false));
        expected[9] = Some((0, 1_000, false));
        check(&heard, &expected);
    }

    #[test]
    fn what_ends_before_the_tail_is_there_is_not_guessed() {
        check(&[sight((100, 300), 510, Some(490))], &[None]);
        check(&[sight((100, 300), 499, Some(500))], &[None]);
        check(
            &[sight((100, 300), 500, Some(500))],
            &[Some((0, 500, true))],
        );
        // While the end is not known, the pause is longer than the tail.
        check(&[sight((100, 300), 549, None)], &[None]);
    }

    proptest! {
        /// A guess is in the slot already, and what is asked for when no more speech came.
        #[test]
        fn guess_is_what_is_asked_for_in_the_end(
            start in 0_u32..4_000,
            length in 1_u32..4_000,
            quiet in 0_u32..1_000,
            more in 0_u32..1_000,
            knows in any::<bool>(),
        ) {
            let speech_end = start + length;
            let samples = speech_end + quiet + more;
            let sight = sight((start, speech_end), speech_end + quiet, knows.then_some(samples));
            let told = State::Waiting { told: sight.speech.end };
            if let Some(look) = step(&told, &sight).look {
                prop_assert!(look.is_guess);
                prop_assert!(look.start + look.samples <= sight.heard);
                let utterance = Utterance {
                    id: 1,
                    slot: 0,
                    trigger: Trigger::Voice,
                    start: 0,
                    samples: samples * MS,
                    speech: Some(sight.speech),
                    closed_at: 0,
                    capture_ms: 0,
                };
                prop_assert_eq!(trim::speech(&utterance), (look.start, look.samples));
            }
        }
    }
}
