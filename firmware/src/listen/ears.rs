//! The ears: the VAD and wake-word models, and what happens when they fail.
//!
//! Frames in, probabilities out. Runs on listen. A call of the voice activity model that fails
//! hands over to the level-based detector for good, one of the wake words' model ends these, and
//! each says so once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pressel_models::vad::{FRAME_SAMPLES, LevelVad};
use pressel_models::{ModelError, Vad, wake_word};
use pressel_pipeline::limits::WAKE_WORDS_MAX;

use super::words::{Word, Words};
use crate::alloc_guard;
use crate::vitals::{Vitals, Watched};

/// The models that listen owns.
pub struct Ears {
    voice: Box<dyn Vad + Send>,
    words: Option<Words>,
    fallen_back: bool,
    /// Of the thread `jobs`: where it says that it is alive.
    vitals: Option<Arc<Vitals>>,
}

impl Ears {
    /// Makes the ears from loaded models.
    #[must_use]
    pub fn new(voice: Box<dyn Vad + Send>, words: Option<Words>) -> Self {
        Self {
            voice,
            words,
            fallen_back: false,
            vitals: None,
        }
    }

    /// Makes ears that hear by level only.
    #[must_use]
    pub fn by_level() -> Self {
        let mut ears = Self::new(Box::new(LevelVad::new()), None);
        ears.fallen_back = true;
        ears
    }

    /// Makes these listen for wake words as well.
    #[must_use]
    pub fn with_words(mut self, words: Words) -> Self {
        self.words = Some(words);
        self
    }

    /// Returns whether the level tells speech from silence, because there is no model or it failed.
    #[must_use]
    pub fn has_fallen_back(&self) -> bool {
        self.fallen_back
    }

    /// Makes these the ears of the thread `jobs`, which hears long recordings: it beats with each
    /// frame, and hears nothing more once `stop` is set.
    pub fn serve_jobs(&mut self, stop: Arc<AtomicBool>, vitals: Arc<Vitals>) {
        self.vitals = Some(Arc::clone(&vitals));
        let voice = std::mem::replace(&mut self.voice, Box::new(LevelVad::new()));
        self.voice = Box::new(OfJobs {
            voice,
            stop,
            vitals,
        });
    }

    /// Beats for what is read and not heard.
    pub fn beat(&self) {
        if let Some(vitals) = &self.vitals {
            vitals.beat(Watched::Jobs);
        }
    }

    /// Returns the probability of speech, and whether the model has just been given up.
    pub fn voice(&mut self, frame: &[i16; FRAME_SAMPLES]) -> (f32, bool) {
        let heard = alloc_guard::permit(|| self.voice.hear(frame));
        match heard {
            Ok(probability) => (probability, false),
            Err(_) if !self.fallen_back => {
                self.fallen_back = true;
                self.voice = alloc_guard::permit(|| Box::new(LevelVad::new()));
                (self.voice.hear(frame).unwrap_or(0.0), true)
            }
            Err(_) => (0.0, false),
        }
    }

    /// Returns the wake words that are listened for.
    #[must_use]
    pub fn words(&self) -> &[Word] {
        self.words.as_ref().map_or(&[], Words::list)
    }

    /// Writes the score of each wake word. Returns false when their model has just been given up.
    pub fn wake_scores(
        &mut self,
        frame: &[i16; wake_word::FRAME_SAMPLES],
        scores: &mut [f32; WAKE_WORDS_MAX],
    ) -> bool {
        let words = self.words.as_mut();
        words.is_none_or(|words| words.hear(frame, scores))
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        alloc_guard::permit(|| {
            self.voice.reset();
            if let Some(words) = &mut self.words {
                words.reset();
            }
        });
    }
}

/// A voice activity model that beats, and is not asked any more once `stop` is set.
struct OfJobs {
    voice: Box<dyn Vad + Send>,
    stop: Arc<AtomicBool>,
    vitals: Arc<Vitals>,
}

impl Vad for OfJobs {
    fn hear(&mut self, frame: &[i16; FRAME_SAMPLES]) -> Result<f32, ModelError> {
        self.vitals.beat(Watched::Jobs);
        if self.stop.load(Ordering::Relaxed) {
            return Ok(0.0);
        }
        self.voice.hear(frame)
    }

    fn reset(&mut self) {
        self.voice.reset();
    }
}

#[cfg(test)]
mod tests {
    use pressel_models::WakeWord;
    use pressel_models::fake::{ScriptedVad, ScriptedWakeWord};

    use super::super::words::one_word;
    use super::*;

    /// A wake-word model that fails after it has written half an answer.
    struct BrokenWakeWord;
    impl WakeWord for BrokenWakeWord {
        fn word_count(&self) -> usize {
            2
        }
        fn hear(
            &mut self,
            _frame: &[i16; wake_word::FRAME_SAMPLES],
            scores: &mut [f32],
        ) -> Result<(), ModelError> {
            scores[0] = 0.9;
            Err(ModelError::Reload)
        }
        fn reset(&mut self) {}
    }

    /// A square wave at a tenth of full scale.
    fn loud() -> [i16; FRAME_SAMPLES] {
        core::array::from_fn(|index| if index % 8 < 4 { 3_000 } else { -3_000 })
    }

    #[test]
    fn failed_model_hands_over_to_the_level_and_says_so_once() {
        let script = vec![Ok(0.25), Err(ModelError::Reload), Ok(0.25)];
        let mut ears = Ears::new(Box::new(ScriptedVad::new(script)), None);
        let silence = [0; FRAME_SAMPLES];
        assert_eq!(ears.voice(&silence), (0.25, false));
        let (quiet, fell_back) = ears.voice(&silence);
        assert!(quiet < 0.1 && fell_back);
        let (speech, fell_back) = ears.voice(&loud());
        assert!(0.9 < speech && !fell_back);
        ears.reset();
        assert!(ears.voice(&silence).0 < 0.1);
    }

    #[test]
    fn ears_that_are_to_end_hear_nothing_more() {
        let mut ears = Ears::by_level();
        let stop = Arc::new(AtomicBool::new(false));
        let vitals = Arc::new(Vitals::new());
        ears.serve_jobs(Arc::clone(&stop), Arc::clone(&vitals));
        assert!(0.9 < ears.voice(&loud()).0);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(ears.voice(&loud()), (0.0, false));
    }

    #[test]
    fn ears_without_models_hear_by_level_and_know_no_words() {
        let mut ears = Ears::by_level();
        assert!(0.9 < ears.voice(&loud()).0);
        assert!(ears.words().is_empty());
        let mut scores = [0.5; WAKE_WORDS_MAX];
        assert!(ears.wake_scores(&[0; wake_word::FRAME_SAMPLES], &mut scores));
        assert_eq!(scores, [0.5; WAKE_WORDS_MAX]);
    }

    #[test]
    fn failed_wake_word_model_ends_its_words_and_says_so_once() {
        let frame = [0; wake_word::FRAME_SAMPLES];
        let silent = || Box::new(ScriptedVad::new(vec![]));
        let mut ears = Ears::new(silent(), None).with_words(one_word(Box::new(BrokenWakeWord)));
        assert_eq!(ears.words().len(), 2);
        let mut scores = [0.0; WAKE_WORDS_MAX];
        assert!(!ears.wake_scores(&frame, &mut scores));
        assert!(ears.words().is_empty());
        assert!(ears.wake_scores(&frame, &mut scores));

        let model = Box::new(ScriptedWakeWord::new(vec![0]));
        let mut ears = Ears::new(silent(), Some(one_word(model)));
        assert!(ears.wake_scores(&frame, &mut scores));
        assert_eq!(scores[0], 1.0);
    }
}
