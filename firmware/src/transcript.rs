//! The result for one recording, and how it is written out.
//!
//! In: segments of text with their times, from the recogniser. Out: JSON, plain text, SRT, WebVTT.
//! Runs on the thread of the caller. What may not happen: a [`Transcript`] whose times go back,
//! overlap or pass the end, or a written file that a reader of its format refuses.

mod collect;
mod write;

use std::fmt;
use std::path::Path;

use pressel_models::Language;
use pressel_pipeline::time::SampleTime;
use serde::Serialize;

use crate::keeper::report::seconds;

pub use self::collect::Collected;
pub use self::write::{Format, WriteError, write};

/// A stretch of text with its times.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Segment {
    /// Start in seconds from the start of the recording, rounded to milliseconds.
    pub start: f64,
    /// End in seconds, later than `start`, rounded to milliseconds.
    pub end: f64,
    /// What was said: one line, no spaces at its ends, not empty.
    pub text: String,
}

impl Segment {
    /// Makes a segment of what was said between two places of a recording, in samples at 16 kHz.
    #[must_use]
    pub fn of_samples(start: SampleTime, end: SampleTime, text: &str) -> Self {
        Self {
            start: seconds(start),
            end: seconds(end),
            text: text.to_owned(),
        }
    }
}

/// What was said in one recording.
///
/// Serialised, its fields stand in the order below; that order is part of the JSON contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Transcript {
    segments: Vec<Segment>,
    full_text: String,
    language: String,
    duration: f64,
    file: String,
}

/// Segments that do not make a transcript: a fault of the caller, reported instead of a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TranscriptError {
    /// The duration is negative, infinite or not a number.
    Duration,
    /// A segment's end is not later than its start, or a time is not a number of at least 0.
    Times {
        /// Index of the segment.
        index: usize,
    },
    /// A segment starts before the end of the one before it.
    Overlap {
        /// Index of the later segment.
        index: usize,
    },
    /// A segment ends after the end of the recording.
    PastEnd {
        /// Index of the segment.
        index: usize,
    },
}

impl fmt::Display for TranscriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duration => f.write_str("duration is not a length of time"),
            Self::Times { index } => write!(f, "segment {index} has impossible times"),
            Self::Overlap { index } => write!(f, "segment {index} starts before the last one ends"),
            Self::PastEnd { index } => write!(f, "segment {index} ends after the recording"),
        }
    }
}
impl std::error::Error for TranscriptError {}

impl Transcript {
    /// Makes a transcript of the recording `file`, which is `duration` seconds long.
    ///
    /// All times are rounded to milliseconds. White space and control characters in a text become
    /// single spaces; segments without text are left out. `language` is a two-letter code.
    ///
    /// # Errors
    /// [`TranscriptError`] when the times, after rounding, are not in order: each segment ends
    /// after it starts, starts at or after the end of the one before it, and ends within
    /// `duration`.
    pub fn new(
        file: &Path,
        segments: impl IntoIterator<Item = Segment>,
        language: &str,
        duration: f64,
    ) -> Result<Self, TranscriptError> {
        if !duration.is_finite() || duration < 0.0 {
            return Err(TranscriptError::Duration);
        }
        let duration = to_milliseconds(duration);
        let mut kept: Vec<Segment> = Vec::new();
        for (index, segment) in segments.into_iter().enumerate() {
            let (start, end) = (to_milliseconds(segment.start), to_milliseconds(segment.end));
            // Written so that a NaN fails.
            if !(start >= 0.0 && end > start && end.is_finite()) {
                return Err(TranscriptError::Times { index });
            }
            if kept.last().is_some_and(|last| start < last.end) {
                return Err(TranscriptError::Overlap { index });
            }
            if end > duration {
                return Err(TranscriptError::PastEnd { index });
            }
            let text = one_line(&segment.text);
            if !text.is_empty() {
                kept.push(Segment { start, end, text });
            }
        }
        let texts: Vec<&str> = kept.iter().map(|segment| segment.text.as_str()).collect();
        Ok(Self {
            full_text: texts.join(" "),
            segments: kept,
            language: language.to_owned(),
            duration,
            file: file.to_string_lossy().into_owned(),
        })
    }

    /// Returns the segments, in order of time.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Returns the texts of all segments, joined by single spaces.
    pub fn full_text(&self) -> &str {
        &self.full_text
    }

    /// Returns the two-letter code of the language.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// Returns the length of the recording in seconds, rounded to milliseconds.
    pub fn duration(&self) -> f64 {
        self.duration
    }

    /// Returns the recording's path; bytes that are not UTF-8 are replaced.
    pub fn file(&self) -> &str {
        &self.file
    }
}

/// Returns the code of a language of the wire as text; zeros, when nothing was recognised, are
/// none.
#[must_use]
pub fn language_name(wire: [u8; 2]) -> String {
    Language::of_wire(wire).map_or_else(String::new, |language| language.to_string())
}

fn to_milliseconds(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

fn one_line(text: &str) -> String {
    let plain = text.replace(char::is_control, " ");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(start: f64, end: f64, text: &str) -> Segment {
        Segment {
            start,
            end,
            text: text.to_owned(),
        }
    }

    fn check(times: &[(f64, f64)], duration: f64, expected: Result<usize, TranscriptError>) {
        let segments = times.iter().map(|(start, end)| segment(*start, *end, "x"));
        let made = Transcript::new(Path::new("a.wav"), segments, "en", duration);
        assert_eq!(made.map(|transcript| transcript.segments.len()), expected);
    }

    #[test]
    fn times_must_be_in_order_and_within_the_recording() {
        check(&[], 0.0, Ok(0));
        check(&[(0.0, 1.0), (1.0, 2.0)], 2.0, Ok(2));
        check(&[(0.0, 1.0004), (1.0, 2.0003)], 2.0, Ok(2));
        check(&[], f64::NAN, Err(TranscriptError::Duration));
        check(&[], -1.0, Err(TranscriptError::Duration));
        check(&[(1.0, 1.0)], 2.0, Err(TranscriptError::Times { index: 0 }));
        check(
            &[(f64::NAN, 1.0)],
            2.0,
            Err(TranscriptError::Times { index: 0 }),
        );
        check(
            &[(0.0, f64::NAN)],
            2.0,
            Err(TranscriptError::Times { index: 0 }),
        );
        check(
            &[(-0.1, 1.0)],
            2.0,
            Err(TranscriptError::Times { index: 0 }),
        );
        check(
            &[(0.0, 1.0), (0.9, 2.0)],
            2.0,
            Err(TranscriptError::Overlap { index: 1 }),
        );
        check(
            &[(0.0, 2.001)],
            2.0,
            Err(TranscriptError::PastEnd { index: 0 }),
        );
    }

    #[test]
    fn texts_become_one_line_and_empty_ones_are_left_out() {
        let segments = [
            segment(0.0, 1.0, "  go\n\nleft\u{0} "),
            segment(1.0, 2.0, " "),
            segment(2.0, 3.0, "now"),
        ];
        let made = Transcript::new(Path::new("a.wav"), segments, "en", 3.0);
        let made = made.expect("times are in order");
        assert_eq!(made.full_text(), "go left now");
        assert_eq!(made.segments().len(), 2);
    }

    proptest! {
        #[test]
        fn every_transcript_keeps_its_invariants(
            steps in prop::collection::vec((0.0..2.0, 0.0..2.0, ".{0,20}"), 0..20),
            duration in 0.0..40.0,
        ) {
            let mut now = 0.0;
            let segments = steps.into_iter().map(|(gap, length, text): (f64, f64, String)| {
                let start = now + gap - 0.05;
                now = start + length;
                Segment { start, end: now, text }
            });
            if let Ok(made) = Transcript::new(Path::new("a.wav"), segments, "en", duration) {
                let mut last = 0.0;
                for segment in made.segments() {
                    prop_assert!(last <= segment.start && segment.start < segment.end);
                    prop_assert!(!segment.text.is_empty());
                    last = segment.end;
                }
                prop_assert!(last <= made.duration());
                let texts: Vec<_> = made.segments().iter().map(|s| s.text.clone()).collect();
                prop_assert_eq!(made.full_text(), texts.join(" "));
                prop_assert_eq!(one_line(made.full_text()), made.full_text());
            }
        }
    }
}
