//! Whether a result is good enough, and how often it is tried again.
//!
//! Flow: what a pass of the decoder gave -> good, silence, or again. Pure.
//!
//! The rules are openai-whisper's `decode_with_fallback`. transformers has the same, with one
//! difference: it takes the compression ratio of the tokens' bytes, openai-whisper and this that of
//! the text.

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output, create_comp_flags_from_zip_params,
};

use crate::DecodeOptions;

/// zlib's own level and window: what Python's `zlib.compress` uses.
const LEVEL: i32 = 6;
/// Positive: with zlib's head and check sum, six bytes.
const WINDOW_BITS: i32 = 15;
/// zlib's strategies: the usual one, and fixed codes only.
const STRATEGIES: [i32; 2] = [0, 4];

/// What one pass of the decoder gave.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pass {
    pub(super) temperature: f32,
    pub(super) mean_logprob: f32,
    /// Tokens chosen, the end token included.
    pub(super) choices: u32,
    /// The probability that nothing is said, if the model can say so.
    pub(super) no_speech: Option<f32>,
    pub(super) compression_ratio: f32,
    /// The token budget ran out before the end token came.
    pub(super) used_up: bool,
    /// The words, without timestamps.
    pub(super) text: String,
}

/// What becomes of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the result.
    Good,
    /// It is the result: nothing was said.
    Silence,
    /// Another temperature may do better.
    Again,
}

impl Pass {
    /// Returns what becomes of it.
    pub(super) fn verdict(&self, options: &DecodeOptions) -> Verdict {
        let unsure = self.mean_logprob < options.logprob_threshold;
        let silent = self
            .no_speech
            .is_some_and(|p| options.no_speech_threshold < p);
        if silent && unsure {
            Verdict::Silence
        } else if unsure || self.repeats(options) {
            Verdict::Again
        } else {
            Verdict::Good
        }
    }

    /// Returns true when the text repeats itself.
    fn repeats(&self, options: &DecodeOptions) -> bool {
        options.compression_ratio_threshold < self.compression_ratio
    }

    /// Returns true when the guard trips: a short window may have made the decoder go in circles.
    pub(super) fn goes_in_circles(&self, options: &DecodeOptions) -> bool {
        self.used_up || self.repeats(options)
    }
}

/// Returns how many times more bytes `text` has than zlib makes of it; 0 for none.
///
/// zlib takes the shorter of its two ways of coding for each block; this tries both on the whole.
pub(super) fn compression_ratio(text: &str) -> f32 {
    let lengths = STRATEGIES.map(|strategy| deflated(text.as_bytes(), strategy));
    let shortest = lengths.into_iter().flatten().min();
    shortest.map_or(0.0, |bytes| text.len() as f32 / bytes as f32)
}

/// Returns the bytes of zlib's stream.
fn deflated(bytes: &[u8], strategy: i32) -> Option<usize> {
    let flags = create_comp_flags_from_zip_params(LEVEL, WINDOW_BITS, strategy);
    let mut length = 0;
    let (status, _) = compress_to_output(
        &mut CompressorOxide::new(flags),
        bytes,
        TDEFLFlush::Finish,
        |part| {
            length += part.len();
            true
        },
    );
    (status == TDEFLStatus::Done).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Pass = Pass {
        temperature: 0.0,
        mean_logprob: -0.5,
        choices: 9,
        no_speech: Some(0.1),
        compression_ratio: 1.2,
        used_up: false,
        text: String::new(),
    };

    fn check(pass: Pass, expected: Verdict) {
        assert_eq!(
            pass.verdict(&DecodeOptions::default()),
            expected,
            "{pass:?}"
        );
    }

    #[test]
    fn unsure_and_repeating_results_are_tried_again_and_silence_is_not() {
        let (no_speech, compression_ratio, mean_logprob) = (Some(0.7), 2.5, -1.1);
        check(FINE, Verdict::Good);
        check(Pass { no_speech, ..FINE }, Verdict::Good);
        check(
            Pass {
                mean_logprob,
                ..FINE
            },
            Verdict::Again,
        );
        check(
            Pass {
                compression_ratio,
                ..FINE
            },
            Verdict::Again,
        );
        let silent = Pass {
            no_speech,
            mean_logprob,
            ..FINE
        };
        check(silent.clone(), Verdict::Silence);
        check(
            Pass {
                compression_ratio,
                ..silent.clone()
            },
            Verdict::Silence,
        );
        check(
            Pass {
                no_speech: None,
                ..silent
            },
            Verdict::Again,
        );
        check(
            Pass {
                used_up: true,
                ..FINE
            },
            Verdict::Good,
        );
    }

    #[test]
    fn the_guard_trips_over_a_used_up_budget_and_over_repetition() {
        let options = DecodeOptions::default();
        assert!(!FINE.goes_in_circles(&options));
        assert!(
            Pass {
                used_up: true,
                ..FINE
            }
            .goes_in_circles(&options)
        );
        let repeated = Pass {
            compression_ratio: 2.41,
            ..FINE
        };
        assert!(repeated.goes_in_circles(&options));
    }
}
