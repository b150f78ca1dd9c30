//! Transcripts in parts: cutting them for the wire, and putting them together again.
//!
//! Text goes in and `Transcript` messages come out, or the other way. A part that was lost is never
//! papered over: the text is then marked as incomplete.

use heapless::String;

use crate::limits::{NAME_BYTES_MAX, PART_BYTES_MAX, TEXT_BYTES_MAX};
use crate::message::{Name, Outcome, OutcomeResult, Transcript};

/// Returns the longest beginning of `text` with whole characters and at most `bytes_max` bytes.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Returns `text` as a name for `Hello`, cut to [`NAME_BYTES_MAX`] bytes.
pub fn name(text: &str) -> Name {
    owned(cut(text, NAME_BYTES_MAX))
}

/// Copies text that is known to fit; text that does not fit would give an empty string.
fn owned<const N: usize>(text: &str) -> String<N> {
    debug_assert!(text.len() <= N);
    String::try_from(text).unwrap_or_default()
}

/// Returns the messages that carry `text`, first part first.
///
/// There is at least one, also for empty text, and at most [`crate::limits::PARTS_MAX`].
/// Text beyond [`TEXT_BYTES_MAX`] bytes is left out: the caller cuts first, and says so.
pub fn transcript_parts(utterance: u32, text: &str) -> TranscriptParts<'_> {
    let text = cut(text, TEXT_BYTES_MAX);
    let (mut rest, mut parts) = (text, 0_u8);
    loop {
        rest = &rest[cut(rest, PART_BYTES_MAX).len()..];
        parts = parts.saturating_add(1);
        if rest.is_empty() {
            return TranscriptParts {
                utterance,
                rest: text,
                part: 0,
                parts,
            };
        }
    }
}

/// The iterator of [`transcript_parts`].
#[derive(Clone, Debug)]
pub struct TranscriptParts<'a> {
    utterance: u32,
    rest: &'a str,
    part: u8,
    parts: u8,
}

impl Iterator for TranscriptParts<'_> {
    type Item = Transcript;

    fn next(&mut self) -> Option<Transcript> {
        if self.part == self.parts {
            return None;
        }
        let text = cut(self.rest, PART_BYTES_MAX);
        let (utterance, part, parts) = (self.utterance, self.part, self.parts);
        self.rest = &self.rest[text.len()..];
        self.part += 1;
        Some(Transcript {
            utterance,
            part,
            parts,
            text: owned(text),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.parts - self.part);
        (left, Some(left))
    }
}
impl ExactSizeIterator for TranscriptParts<'_> {}

/// The text that belongs to an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assembled<'a> {
    /// The text, as far as it arrived in order. Empty for outcomes without text.
    pub text: &'a str,
    /// False when parts are missing.
    pub complete: bool,
}

/// Puts the parts of one utterance together. Memory: about 1.6 KB.
///
/// The sender sends all parts of an utterance and then its outcome, and no other part between.
#[derive(Clone, Debug, Default)]
pub struct Assembler {
    text: String<TEXT_BYTES_MAX>,
    utterance: u32,
    parts: u8,
    parts_next: u8,
}

impl Assembler {
    /// Returns an assembler that has seen nothing.
    pub const fn new() -> Self {
        Self {
            text: String::new(),
            utterance: 0,
            parts: 0,
            parts_next: 0,
        }
    }

    /// Takes one part. Part 0 begins the text anew; another part that comes twice counts once;
    /// after a gap the rest is left out.
    pub fn push(&mut self, transcript: &Transcript) {
        let same = (transcript.utterance, transcript.parts) == (self.utterance, self.parts);
        if transcript.part == 0 || !same {
            self.text.clear();
            self.utterance = transcript.utterance;
            self.parts = transcript.parts;
            self.parts_next = 0;
        }
        let expected = transcript.part == self.parts_next && transcript.part < self.parts;
        if expected && self.text.push_str(&transcript.text).is_ok() {
            self.parts_next += 1;
        }
    }

    /// Returns the text that belongs to `outcome`. The next part begins a new text.
    pub fn finish(&mut self, outcome: &Outcome) -> Assembled<'_> {
        let OutcomeResult::Text { bytes, .. } = outcome.result else {
            self.clear();
            return Assembled {
                text: "",
                complete: true,
            };
        };
        if self.utterance != outcome.utterance {
            self.clear();
        }
        let complete = self.parts != 0
            && self.parts_next == self.parts
            && self.text.len() == usize::from(bytes);
        (self.parts, self.parts_next) = (0, 0);
        Assembled {
            text: &self.text,
            complete,
        }
    }

    fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests;
