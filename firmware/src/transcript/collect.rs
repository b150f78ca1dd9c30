//! Collects what chunks and windows gave: the same segments for `transcribe` and for a file job.
//!
//! Places in the recording, texts and segments in, in order; a [`Transcript`] out. What may not
//! happen: times that go back, overlap or pass the end, or words that are lost, whatever times the
//! model gave. Runs on the thread of the caller.

use std::ops::Range;
use std::path::Path;

use pressel_pipeline::time::SampleTime;

use super::{Segment, Transcript, TranscriptError, language_name};
use crate::keeper::report::seconds;
use crate::window::{MS_SAMPLES, Span};

/// What a recording has given so far.
#[derive(Debug, Default)]
pub struct Collected {
    segments: Vec<Segment>,
    language: [u8; 2],
}

impl Collected {
    /// Adds what was said between two places of the recording, in samples: where the chunk began,
    /// and where the next one does. Without `spans` it is one segment.
    pub fn add(&mut self, place: Range<SampleTime>, text: &str, spans: &[Span], language: [u8; 2]) {
        if text.trim().is_empty() {
            return;
        }
        // Whisper's rule: the first window says which language it is.
        if self.language == [0; 2] {
            self.language = language;
        }
        if spans.is_empty() {
            let segment = Segment::of_samples(place.start, place.end, text);
            self.segments.push(segment);
        } else {
            self.add_window(&place, text, spans);
        }
    }

    /// Adds the segments of a window, on the grid of milliseconds. Each stays inside of the window,
    /// and keeps a millisecond at least, whatever its times say.
    fn add_window(&mut self, place: &Range<SampleTime>, text: &str, spans: &[Span]) {
        let (begin, end) = (place.start / MS_SAMPLES, place.end / MS_SAMPLES);
        let mut spoken = Vec::new();
        let mut from = 0;
        for (index, span) in spans.iter().enumerate() {
            let mut to = usize::from(span.text_end).clamp(from, text.len());
            // What no segment claims is the last one's.
            if index + 1 == spans.len() {
                to = text.len();
            }
            // Words end between two letters; what does not goes to the next.
            let Some(words) = text.get(from..to) else {
                continue;
            };
            from = to;
            if !words.trim().is_empty() {
                spoken.push((span, words));
            }
        }
        let mut low = begin;
        let count = spoken.len() as u64;
        for (index, (span, words)) in spoken.into_iter().enumerate() {
            let behind = count - 1 - index as u64;
            let high = end.saturating_sub(behind).max(low + 1);
            let start = begin + u64::from(span.start_ms);
            let start = start.clamp(low, high - 1);
            let stop = (begin + u64::from(span.end_ms)).clamp(start + 1, high);
            low = stop;
            let (start, stop) = (start * MS_SAMPLES, stop * MS_SAMPLES);
            self.segments.push(Segment::of_samples(start, stop, words));
        }
    }

    /// Returns whether nothing was said so far.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.segments.is_empty()
    }

    /// Makes the transcript of a recording of so many samples.
    ///
    /// # Errors
    /// [`TranscriptError`]: the places were not in order, a fault of the caller.
    pub fn into_transcript(
        self,
        path: &Path,
        samples: SampleTime,
    ) -> Result<Transcript, TranscriptError> {
        let language = language_name(self.language);
        Transcript::new(path, self.segments, &language, seconds(samples))
    }
}

#[cfg(test)]
mod tests {
    use pressel_pipeline::limits::{RATE_HZ, SEGMENTS_MAX, WINDOW_TAIL_MIN};
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = RATE_HZ as u64;

    fn span(start_ms: u32, end_ms: u32, text_end: u16) -> Span {
        Span {
            start_ms,
            end_ms,
            text_end,
        }
    }

    /// One window from second 10 to second 40 of a minute.
    fn check(text: &str, spans: &[Span], expected: &[(f64, f64, &str)]) {
        let mut collected = Collected::default();
        collected.add(10 * SECOND..40 * SECOND, text, spans, *b"en");
        let made = collected.into_transcript(Path::new("a.wav"), 60 * SECOND);
        let made = made.expect("times are in order");
        let of = |segment: &Segment| (segment.start, segment.end, segment.text.clone());
        let found: Vec<_> = made.segments().iter().map(of).collect();
        let expected = expected
            .iter()
            .map(|(start, end, text)| (*start, *end, (*text).to_owned()));
        assert_eq!(found, expected.collect::<Vec<_>>());
    }

    #[test]
    fn segments_have_their_place_in_the_recording() {
        let spans = [span(500, 1_500, 3), span(2_000, 30_000, 8)];
        check(
            "one two!",
            &spans,
            &[(10.5, 11.5, "one"), (12.0, 40.0, "two!")],
        );
        check("  ", &spans, &[]);
        check("one", &[], &[(10.0, 40.0, "one")]);
    }

    #[test]
    fn odd_times_and_places_lose_no_word() {
        // Backwards, beyond the end, of no length.
        let spans = [
            span(9_000, 2_000, 1),
            span(5_000, 5_000, 2),
            span(90_000, u32::MAX, 3),
        ];
        check(
            "abc",
            &spans,
            &[
                (19.0, 19.001, "a"),
                (19.001, 19.002, "b"),
                (39.999, 40.0, "c"),
            ],
        );
        // In the middle of a letter, beyond the text, not to its end.
        check(
            "éa",
            &[span(0, 9, 1), span(9, 18, 2)],
            &[(10.009, 10.018, "éa")],
        );
        check(
            "ab",
            &[span(0, 9, 9), span(9, 18, 1)],
            &[(10.0, 10.009, "ab")],
        );
        check("ab", &[span(0, 9, 1)], &[(10.0, 10.009, "ab")]);
    }

    #[test]
    fn language_is_that_of_the_first_words() {
        let mut collected = Collected::default();
        for (second, text, language) in [(0, "", *b"xx"), (1, "ja", *b"de"), (2, "yes", *b"en")] {
            collected.add(second * SECOND..(second + 1) * SECOND, text, &[], language);
        }
        let made = collected
            .into_transcript(Path::new("a.wav"), 3 * SECOND)
            .unwrap();
        assert_eq!(made.language(), "de");
    }

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        let ms = || prop_oneof![4 => 0..31_000_u32, 1 => any::<u32>()];
        let span = (ms(), ms(), prop_oneof![4 => 0..40_u16, 1 => any::<u16>()]);
        let span = span.prop_map(|(start, end, text)| self::span(start, end, text));
        prop::collection::vec(span, 1..=SEGMENTS_MAX)
    }

    proptest! {
        #[test]
        fn whatever_a_model_says_makes_a_transcript_with_all_words(
            windows in prop::collection::vec(
                (WINDOW_TAIL_MIN as u64..500_000, "[a-zé ]{0,40}", spans()), 0..20),
            tail in 0..1_600_u64,
        ) {
            let mut collected = Collected::default();
            let (mut at, mut said) = (0, String::new());
            for (samples, text, spans) in &windows {
                collected.add(at..at + samples, text, spans, *b"en");
                at += samples;
                said.push_str(text);
            }
            let made = collected.into_transcript(Path::new("a.wav"), at + tail);
            let made = made.expect("times are in order");
            // Transcript::new keeps its own invariants; here no letter is lost.
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(letters(made.full_text()), letters(&said));
        }
    }
}
