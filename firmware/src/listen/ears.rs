//! The ears: the VAD and wake-word models, and what happens when they fail.
//!
//! Frames in, probabilities out. Runs on listen. A model call that fails hands over to the
//! level-based detector for good, and says so once.

use pressel_models::vad::{FRAME_SAMPLES, LevelVad};
use pressel_models::{Vad, WakeWord, wake_word};

use crate::alloc_guard;

/// The models that listen owns.
pub struct Ears {
    voice: Box<dyn Vad + Send>,
    wake: Option<Box<dyn WakeWord + Send>>,
    fallen_back: bool,
}

impl Ears {
    /// Makes the ears from loaded models.
    #[must_use]
    pub fn new(voice: Box<dyn Vad + Send>, wake: Option<Box<dyn WakeWord + Send>>) -> Self {
        Self {
            voice,
            wake,
            fallen_back: false,
        }
    }

    /// Makes ears that hear by level only.
    #[must_use]
    pub fn by_level() -> Self {
        Self::new(Box::new(LevelVad::new()), None)
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

    /// Returns the number of wake words, or `None` without a wake-word model.
    #[must_use]
    pub fn wake_word_count(&self) -> Option<usize> {
        self.wake.as_ref().map(|wake| wake.word_count())
    }

    /// Writes the score of each wake word; a failed model hears nothing.
    pub fn wake_scores(&mut self, frame: &[i16; wake_word::FRAME_SAMPLES], scores: &mut [f32]) {
        if let Some(wake) = &mut self.wake
            && alloc_guard::permit(|| wake.hear(frame, scores)).is_err()
        {
            scores.fill(0.0);
        }
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        alloc_guard::permit(|| {
            self.voice.reset();
            if let Some(wake) = &mut self.wake {
                wake.reset();
            }
        });
    }
}
