//! The trim: which part of an utterance is recognised.
//!
//! A closed utterance in, a range of its slot out. Runs on the main loop, and in `offline`; on
//! listen for an utterance that is still being recorded. The gate knows where the speech is; what
//! is recognised is the speech and a little audio around it.

use crate::limits::{SPEECH_PADDING_MS, SPEECH_TAIL_MS};
use crate::time::samples;
use crate::waiting::{SpeechSpan, Utterance};

/// Returns the first sample of the slot that is recognised, and how many.
///
/// An utterance without speech is not recognised at all; asked all the same, this is all of it.
#[must_use]
pub fn speech(utterance: &Utterance) -> (u32, u32) {
    let all = SpeechSpan {
        start: 0,
        end: utterance.samples,
    };
    around(utterance.speech.unwrap_or(all), utterance.samples)
}

/// Returns the same for speech in an utterance of so many samples.
#[must_use]
pub fn around(speech: SpeechSpan, utterance_samples: u32) -> (u32, u32) {
    let count = |ms| u32::try_from(samples(ms)).unwrap_or(u32::MAX);
    let start = speech.start.saturating_sub(count(SPEECH_PADDING_MS));
    let end = speech.end.saturating_add(count(SPEECH_TAIL_MS));
    let end = end.min(utterance_samples);
    (start, end.saturating_sub(start))
}

#[cfg(test)]
mod tests {
    use pressel_wire::Trigger;

    use super::*;

    fn check(samples: u32, speech: Option<(u32, u32)>, expected: (u32, u32)) {
        let utterance = Utterance {
            id: 1,
            slot: 0,
            trigger: Trigger::Ptt,
            start: 0,
            samples,
            speech: speech.map(|(start, end)| SpeechSpan { start, end }),
            closed_at: 0,
            capture_ms: 0,
        };
        assert_eq!(super::speech(&utterance), expected);
    }

    #[test]
    fn speech_keeps_three_tenths_of_a_second_before_it_and_two_after_it() {
        check(48_000, Some((16_000, 32_000)), (11_200, 24_000));
    }

    #[test]
    fn padding_stops_at_the_borders_of_the_utterance() {
        check(16_000, Some((1_000, 15_000)), (0, 16_000));
        check(32_000, Some((31_999, u32::MAX)), (27_199, 4_801));
    }

    #[test]
    fn utterance_without_speech_is_whole() {
        check(16_000, None, (0, 16_000));
    }
}
