//! The wake words that listen knows: their names, their numbers, and the model that scores them.
//!
//! Frames in, one score a word out. Runs on listen. A model call that fails is the last one: the
//! words are not heard any more, and that is said once.

use heapless::Vec;
use pressel_models::{WakeWord, wake_word};
use pressel_pipeline::limits::WAKE_WORDS_MAX;
use pressel_pipeline::wake;

use crate::alloc_guard;
use crate::stream::WordName;

/// One wake word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Word {
    /// What the events call it.
    pub name: WordName,
    /// When it counts as said.
    pub tuning: wake::Tuning,
}

/// The words, and the model that scores them in this order.
pub struct Words {
    model: Box<dyn WakeWord + Send>,
    list: Vec<Word, WAKE_WORDS_MAX>,
    has_failed: bool,
}

impl Words {
    /// Makes them of a loaded model; `list` has one entry for each of its words.
    #[must_use]
    pub fn new(model: Box<dyn WakeWord + Send>, list: Vec<Word, WAKE_WORDS_MAX>) -> Self {
        assert!(model.word_count() == list.len());
        Self {
            model,
            list,
            has_failed: false,
        }
    }

    /// Returns the words that are listened for: none once the model has failed.
    #[must_use]
    pub fn list(&self) -> &[Word] {
        if self.has_failed { &[] } else { &self.list }
    }

    /// Writes the score of each word. Returns false when the model has just been given up.
    pub fn hear(
        &mut self,
        frame: &[i16; wake_word::FRAME_SAMPLES],
        scores: &mut [f32; WAKE_WORDS_MAX],
    ) -> bool {
        if self.has_failed {
            return true;
        }
        let count = self.list.len();
        let heard = alloc_guard::permit(|| self.model.hear(frame, &mut scores[..count]));
        self.has_failed = heard.is_err();
        !self.has_failed
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.model.reset();
    }
}

/// One word named `word`, at a score of a half and 2 s apart, for tests.
#[cfg(test)]
pub(crate) fn one_word(model: Box<dyn WakeWord + Send>) -> Words {
    let mut list = Vec::new();
    let tuning = wake::Tuning {
        threshold: 0.5,
        smoothing: 1,
        refractory: 32_000,
        lag: 0,
    };
    for number in 0..model.word_count() {
        let name = WordName::new(if number == 0 { "word" } else { "another" }).unwrap();
        list.push(Word { name, tuning }).unwrap();
    }
    Words::new(model, list)
}
