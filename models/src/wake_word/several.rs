//! Several detectors as one: each hears every frame, the scores stand one behind the other.

use super::{FRAME_SAMPLES, WakeWord};
use crate::ModelError;

/// Detectors of different kinds, in the order of their scores.
pub struct Several(pub Vec<Box<dyn WakeWord + Send>>);

impl WakeWord for Several {
    fn word_count(&self) -> usize {
        self.0.iter().map(|detector| detector.word_count()).sum()
    }

    fn hear(&mut self, frame: &[i16; FRAME_SAMPLES], scores: &mut [f32]) -> Result<(), ModelError> {
        assert!(scores.len() == self.word_count());
        let mut rest = scores;
        for detector in &mut self.0 {
            let (own, others) = rest.split_at_mut(detector.word_count());
            detector.hear(frame, own)?;
            rest = others;
        }
        Ok(())
    }

    fn reset(&mut self) {
        for detector in &mut self.0 {
            detector.reset();
        }
    }
}

#[cfg(all(test, feature = "fake"))]
mod tests {
    use super::*;
    use crate::fake::ScriptedWakeWord;

    #[test]
    fn each_detector_has_its_own_scores() {
        let one =
            |at: u64| -> Box<dyn WakeWord + Send> { Box::new(ScriptedWakeWord::new(vec![at])) };
        let mut both = Several(vec![one(0), one(1)]);
        assert_eq!(both.word_count(), 2);
        let mut scores = [0.5; 2];
        both.hear(&[0; FRAME_SAMPLES], &mut scores).unwrap();
        assert_eq!(scores, [1.0, 0.0]);
        both.hear(&[0; FRAME_SAMPLES], &mut scores).unwrap();
        assert_eq!(scores, [0.0, 1.0]);
    }
}
