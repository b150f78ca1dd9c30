//! Windows of a recording: what goes with one to the worker, and what comes back beside its text.
//!
//! What was said before a window and its language in; its segments, and where the next window
//! begins, out. Used by both processes: `jobs` and `transcribe` keep a [`Context`], the worker
//! makes [`Heard`] of what the model gave. Pure functions, and nothing here is trusted: times and
//! places of a worker that has gone mad are only odd times and places.
//!
//! The rule is Whisper's own for long recordings: a window is the next 30 s from where the words of
//! the last one ended, and the words before go with it. Source: Radford and others, "Robust Speech
//! Recognition via Large-Scale Weak Supervision", 2022, section 4.5.

use heapless::Vec;
use pressel_models::Transcript;
use pressel_pipeline::limits::{
    CONTEXT_BYTES_MAX, RATE_HZ, SEGMENTS_MAX, TEXT_BYTES_MAX, WINDOW_ADVANCE_MIN,
};
use serde::{Deserialize, Serialize};

/// Samples in a millisecond.
pub const MS_SAMPLES: u64 = RATE_HZ as u64 / 1_000;

/// One segment: a stretch of speech and its words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Where it begins, in milliseconds from the window's first sample.
    pub start_ms: u32,
    /// Where it ends.
    pub end_ms: u32,
    /// Where its words end in the text, in bytes. They begin where those of the one before end.
    pub text_end: u16,
}

/// The segments of one window.
pub type Spans = Vec<Span, SEGMENTS_MAX>;

/// What a window gave beside its text. All zero for what was heard as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// When what was said, in order.
    pub spans: Spans,
    /// Samples that were heard to their end: the next window begins there.
    pub samples: u32,
    /// The words are not to be relied on: they do not go with the next window, nor do those before.
    pub forgets: bool,
}

impl Heard {
    /// Makes the worker's answer. `samples`: what the model says that it heard. Neighbours are
    /// joined when there are too many; the text is cut at `text_bytes`.
    #[must_use]
    pub fn of(transcript: &Transcript, text_bytes: usize, samples: u32, forgets: bool) -> Self {
        let text_bytes = text_bytes.min(TEXT_BYTES_MAX);
        let mut spans = Spans::new();
        let joined = transcript.segments.len().div_ceil(SEGMENTS_MAX).max(1);
        for group in transcript.segments.chunks(joined) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else {
                continue;
            };
            let span = Span {
                start_ms: first.start_ms,
                end_ms: last.end_ms,
                text_end: place(last.text_end.min(text_bytes)),
            };
            // There are not more groups than places.
            spans.push(span).ok();
        }
        if spans.is_empty() && 0 < text_bytes {
            // A model that gave words and no times: all of it.
            let whole = Span {
                start_ms: 0,
                end_ms: u32::try_from(u64::from(samples) / MS_SAMPLES).unwrap_or(u32::MAX),
                text_end: place(text_bytes),
            };
            spans.push(whole).ok();
        }
        Self {
            spans,
            samples,
            forgets,
        }
    }
}

fn place(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// Returns how far a window of `samples` goes on when the model heard `heard` of them.
///
/// Never less than a second: a model that closes its words at once, or says nonsense, must not stop
/// the recording. Never more than the window.
#[must_use]
pub fn advance(samples: u32, heard: u32) -> u32 {
    let least = u32::try_from(WINDOW_ADVANCE_MIN).unwrap_or(u32::MAX);
    heard.max(least).min(samples)
}

/// What was said so far, as far as the next window wants to know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The last words, at most [`CONTEXT_BYTES_MAX`] bytes.
    text: String,
    /// See [`Context::language`].
    language: [u8; 2],
}

impl Context {
    /// Learns what a window gave. The same windows in the same order make the same context, however
    /// often the program ended between them.
    pub fn learn(&mut self, text: &str, language: [u8; 2], forgets: bool) {
        let text = text.trim();
        if !text.is_empty() {
            if self.language == [0; 2] {
                self.language = language;
            }
            if !self.text.is_empty() {
                self.text.push(' ');
            }
            self.text.push_str(text);
        }
        if forgets {
            self.text.clear();
        }
        let before = self.text.len().saturating_sub(CONTEXT_BYTES_MAX);
        let cut = (before..=self.text.len()).find(|&at| self.text.is_char_boundary(at));
        self.text.drain(..cut.unwrap_or(0));
    }

    /// Returns the last words.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the two-letter code of the language of the first window that had words, in which all
    /// later ones are heard; zeros before that. Source: as Whisper does with the first window.
    #[must_use]
    pub fn language(&self) -> [u8; 2] {
        self.language
    }
}

#[cfg(test)]
mod tests {
    use pressel_models::Segment;
    use proptest::prelude::*;

    use super::*;

    /// Segments of a second each, with one letter each.
    fn transcript(count: u32) -> Transcript {
        let segments = (0..count).map(|index| Segment {
            start_ms: index * 1_000,
            end_ms: index * 1_000 + 900,
            text_end: index as usize + 1,
        });
        Transcript {
            text: "x".repeat(count as usize),
            segments: segments.collect(),
        }
    }

    fn span(start_ms: u32, end_ms: u32, text_end: u16) -> Span {
        Span {
            start_ms,
            end_ms,
            text_end,
        }
    }

    fn check(transcript: &Transcript, text_bytes: usize, expected: &[Span]) {
        let heard = Heard::of(transcript, text_bytes, 160_000, false);
        assert_eq!(heard.spans, expected);
    }

    #[test]
    fn segments_keep_their_times_and_too_many_are_joined_with_their_neighbours() {
        check(&transcript(0), 0, &[]);
        check(&transcript(2), 2, &[span(0, 900, 1), span(1_000, 1_900, 2)]);
        // What was cut off belongs to nobody.
        check(&transcript(2), 1, &[span(0, 900, 1), span(1_000, 1_900, 1)]);
        let most = u32::try_from(SEGMENTS_MAX).unwrap();
        let all = Heard::of(&transcript(most + 1), 99, 0, false).spans;
        assert_eq!(all[..2], [span(0, 1_900, 2), span(2_000, 3_900, 4)]);
        assert_eq!(
            all.last(),
            Some(&span(most * 1_000, most * 1_000 + 900, 33))
        );
        assert_eq!(Heard::of(&transcript(most), 99, 0, false).spans.len(), 32);
    }

    #[test]
    fn words_without_times_are_one_segment() {
        let text = "stop".to_owned();
        let segments = std::vec::Vec::new();
        check(&Transcript { text, segments }, 4, &[span(0, 10_000, 4)]);
    }

    #[test]
    fn window_goes_on_by_a_second_at_least_and_never_beyond_itself() {
        for (samples, heard, expected) in [
            (480_000, 400_000, 400_000),
            (480_000, 480_000, 480_000),
            (480_000, u32::MAX, 480_000),
            (480_000, 0, 16_000),
            (480_000, 15_999, 16_000),
            (20_000, 0, 16_000),
            (9_000, 0, 9_000),
            (0, 5, 0),
        ] {
            assert_eq!(advance(samples, heard), expected, "{samples} {heard}");
        }
    }

    #[test]
    fn language_is_that_of_the_first_words() {
        let mut context = Context::default();
        for (text, language, expected) in [
            ("", *b"fr", [0; 2]),
            ("guten Tag", *b"de", *b"de"),
            ("hello", *b"en", *b"de"),
        ] {
            context.learn(text, language, false);
            assert_eq!(context.language(), expected);
        }
        assert_eq!(context.text(), "guten Tag hello");
    }

    #[test]
    fn words_that_are_not_to_be_relied_on_are_forgotten_with_all_before() {
        let mut context = Context::default();
        context.learn("one", *b"en", false);
        context.learn("two two two", *b"en", true);
        assert_eq!(context.text(), "");
        context.learn(" three ", *b"en", false);
        context.learn("", [0; 2], false);
        assert_eq!(context.text(), "three");
    }

    proptest! {
        #[test]
        fn context_is_the_end_of_what_was_said_and_never_too_long(
            texts in prop::collection::vec("[a-zé ]{0,300}", 0..20),
        ) {
            let mut context = Context::default();
            for text in &texts {
                context.learn(text, *b"en", false);
            }
            let said: std::vec::Vec<_> = texts.iter().map(|text| text.trim()).collect();
            let said: std::vec::Vec<_> = said.into_iter().filter(|text| !text.is_empty()).collect();
            let said = said.join(" ");
            prop_assert!(said.ends_with(context.text()));
            prop_assert!(context.text().len() <= CONTEXT_BYTES_MAX);
            let least = said.len().min(CONTEXT_BYTES_MAX - 3);
            prop_assert!(least <= context.text().len());
        }
    }
}
