//! Tokens become text and segments.
//!
//! Flow: the tokens of one piece -> words behind those of the pieces before it, and their times. On
//! the recogniser's thread, once for each piece.

use super::{
    Whisper,
    decode::Job,
    fallback::{Pass, Verdict},
};
use crate::{ModelError, Segment, Transcript, mel::RATE_HZ};

/// Samples in a millisecond.
const MS_SAMPLES: usize = RATE_HZ / 1_000;

impl Whisper {
    /// Returns the text of `self.words`, without special tokens.
    pub(super) fn text_of_words(&self) -> Result<String, ModelError> {
        Ok(self.vocabulary.decode(&self.words))
    }

    /// Writes what the pass heard in a piece of `audio` samples that begins at sample `from`.
    /// Returns the samples of the piece that the text stands for.
    pub(super) fn write(
        &mut self,
        audio: usize,
        from: usize,
        job: &Job,
        pass: &Pass,
        transcript: &mut Transcript,
    ) -> Result<usize, ModelError> {
        if pass.verdict(job.options) == Verdict::Silence {
            return Ok(audio);
        }
        let Some(timestamps) = self.rules.timestamps.filter(|_| job.timed) else {
            append(&mut transcript.text, pass.text.trim());
            return Ok(audio);
        };
        let heard = timestamps.cut(&self.tokens, audio, &mut self.stretches);
        let from_ms = (from / MS_SAMPLES) as u32;
        for stretch in &self.stretches {
            self.words.clear();
            let tokens = &self.tokens[stretch.tokens.clone()];
            let words = tokens.iter().copied();
            self.words
                .extend(words.filter(|&token| !self.rules.is_timestamp(token)));
            let text = self.text_of_words()?;
            if append_segment(&mut transcript.text, &text) {
                transcript.segments.push(Segment {
                    start_ms: from_ms + stretch.start_ms,
                    end_ms: from_ms + stretch.end_ms,
                    text_end: transcript.text.len(),
                });
            }
        }
        Ok(heard)
    }
}

/// Appends the words of a piece, with a space before them where there are words already.
fn append(text: &mut String, words: &str) {
    if !text.is_empty() && !words.is_empty() {
        text.push(' ');
    }
    text.push_str(words);
}

/// Appends the words of a segment as the model wrote them: the space before a word is the word's,
/// and languages without spaces have none. Returns false when there are no words.
fn append_segment(text: &mut String, words: &str) -> bool {
    let words = words.trim_end();
    let words = if text.is_empty() {
        words.trim_start()
    } else {
        words
    };
    text.push_str(words);
    !words.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(segments: &[&str], expected: &str, kept: usize) {
        let mut text = String::new();
        let count = segments
            .iter()
            .filter(|words| append_segment(&mut text, words))
            .count();
        assert_eq!((text.as_str(), count), (expected, kept));
    }

    #[test]
    fn segments_keep_the_spaces_of_their_words() {
        check(&[" One.", " Two. ", "  "], "One. Two.", 2);
        check(&["一。", "二。"], "一。二。", 2);
        check(&["", " "], "", 0);
    }

    #[test]
    fn pieces_are_joined_by_one_space() {
        let mut text = String::new();
        for words in ["", "one", "", "two"] {
            append(&mut text, words);
        }
        assert_eq!(text, "one two");
    }
}
