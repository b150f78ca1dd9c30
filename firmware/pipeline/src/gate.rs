//! The gate: speech or silence, with hangover.
//!
//! ```text
//!   Silence ── speech_min of frames >= open ──▶ Speech   (SpeechStart at the first of them)
//!   Speech ── hangover of frames < close ─────▶ Silence  (SpeechEnd after the last speech)
//! ```
//!
//! Frame probabilities of the VAD in, marks with sample times out. Runs on listen.

use crate::time::SampleTime;

/// The state of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No speech; `run` is the start of the frames that may become speech.
    Silence {
        /// Start of the current run of speech frames.
        run: Option<SampleTime>,
    },
    /// Speech.
    Speech {
        /// End of the last frame that was speech.
        last: SampleTime,
    },
}

/// One frame of the VAD.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Sample time of its first sample.
    pub start: SampleTime,
    /// Sample time just after its last sample.
    pub end: SampleTime,
    /// Probability of speech, 0 to 1.
    pub probability: f32,
}

/// A border of speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Speech began at this sample.
    SpeechStart(SampleTime),
    /// Speech ended at this sample; known only after the hangover.
    SpeechEnd(SampleTime),
}

/// Numbers that the configuration may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// A frame at or above this starts or continues a run of speech. Silero's own default is 0.5.
    pub open_probability: f32,
    /// A frame below this is silence; between the two a frame continues what is.
    pub close_probability: f32,
    /// Samples of speech before the gate opens.
    pub speech_min: u64,
    /// Samples of silence before the gate closes.
    pub hangover: u64,
}

/// What one frame led to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The next state.
    pub next: State,
    /// A border of speech, if one was found.
    pub mark: Option<Mark>,
}

/// Takes one frame.
#[must_use]
pub fn step(state: &State, frame: Frame, tuning: &Tuning) -> Step {
    let is_speech = tuning.open_probability <= frame.probability;
    let is_silence = frame.probability < tuning.close_probability;
    match *state {
        State::Silence { run } => {
            let run = match (is_speech, is_silence) {
                (true, _) => run.or(Some(frame.start)),
                (false, true) => None,
                (false, false) => run,
            };
            match run {
                Some(start) if is_speech && start + tuning.speech_min <= frame.end => Step {
                    next: State::Speech { last: frame.end },
                    mark: Some(Mark::SpeechStart(start)),
                },
                _ => Step {
                    next: State::Silence { run },
                    mark: None,
                },
            }
        }
        State::Speech { last } => {
            let last = if is_silence { last } else { frame.end };
            if last + tuning.hangover <= frame.end {
                let next = State::Silence { run: None };
                Step {
                    next,
                    mark: Some(Mark::SpeechEnd(last)),
                }
            } else {
                Step {
                    next: State::Speech { last },
                    mark: None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const TUNING: Tuning = Tuning {
        open_probability: 0.5,
        close_probability: 0.35,
        speech_min: 200,
        hangover: 300,
    };

    /// Plays frames of 100 samples and returns the marks.
    fn check(probabilities: &[f32], expected: &[Mark]) {
        let mut state = State::Silence { run: None };
        let mut marks = Vec::new();
        for (n, &probability) in probabilities.iter().enumerate() {
            let start = n as u64 * 100;
            let step = step(
                &state,
                Frame {
                    start,
                    end: start + 100,
                    probability,
                },
                &TUNING,
            );
            state = step.next;
            marks.extend(step.mark);
        }
        assert_eq!(marks, expected);
    }

    #[test]
    fn gate_opens_at_the_first_frame_of_enough_speech() {
        check(&[0.1, 0.9, 0.9], &[Mark::SpeechStart(100)]);
    }

    #[test]
    fn click_does_not_open_the_gate() {
        check(&[0.1, 0.9, 0.1, 0.9, 0.1], &[]);
    }

    #[test]
    fn gate_closes_after_hangover() {
        check(
            &[0.9, 0.9, 0.1, 0.1, 0.1, 0.1],
            &[Mark::SpeechStart(0), Mark::SpeechEnd(200)],
        );
    }

    #[test]
    fn pause_shorter_than_hangover_keeps_the_gate_open() {
        check(&[0.9, 0.9, 0.1, 0.1, 0.9, 0.1], &[Mark::SpeechStart(0)]);
    }

    #[test]
    fn doubtful_frames_continue_what_is() {
        check(
            &[0.4, 0.4, 0.9, 0.4, 0.9, 0.4, 0.4, 0.4, 0.4],
            &[Mark::SpeechStart(200)],
        );
    }

    #[test]
    fn probability_that_is_no_number_neither_opens_nor_closes() {
        check(
            &[f32::NAN, f32::NAN, 0.9, 0.9, f32::NAN],
            &[Mark::SpeechStart(200)],
        );
    }
}
