//! A voice-activity detector that needs no model: level above the noise floor.
//!
//! Flow: the level of each frame follows the sound, a floor follows the quietest of it; the
//! probability rises with the distance between them. On listen's thread, no allocation. It hears
//! any loud sound as speech: it is what is left when Silero cannot be loaded.

use super::{FRAME_SAMPLES, Vad};
use crate::ModelError;

/// Level of the floor before anything was heard, and the lowest that it can be. Units: dB of full
/// scale. Why -60: below it are only the converter's own noise and digital silence.
const FLOOR_MIN_DB: f32 = -60.0;
/// Level at which the floor stops: louder noise than this leaves no room for speech.
const FLOOR_MAX_DB: f32 = -25.0;
/// Rise of the floor in one frame (32 ms). Why 0.1: 3 dB a second, so that a fan is forgotten in a
/// few seconds, and a sentence does not lift it above itself.
const FLOOR_RISE_DB: f32 = 0.1;
/// Share of the way down to a quieter frame that the floor goes at once.
const FLOOR_FALL: f32 = 0.3;
/// Distance from the floor at which a frame is as likely speech as not. Units: dB.
const HALFWAY_DB: f32 = 9.0;
/// Distance over which the probability goes from about 0.27 to 0.73. Units: dB.
const SLOPE_DB: f32 = 2.0;

/// The level-based detector.
#[derive(Clone, Debug)]
pub struct LevelVad {
    floor_db: f32,
}

impl LevelVad {
    /// Returns a detector that has heard nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            floor_db: FLOOR_MIN_DB,
        }
    }
}

impl Default for LevelVad {
    fn default() -> Self {
        Self::new()
    }
}

impl Vad for LevelVad {
    fn hear(&mut self, frame: &[i16; FRAME_SAMPLES]) -> Result<f32, ModelError> {
        let level_db = level_db(frame).max(FLOOR_MIN_DB);
        if level_db < self.floor_db {
            self.floor_db += (level_db - self.floor_db) * FLOOR_FALL;
        } else {
            self.floor_db = (self.floor_db + FLOOR_RISE_DB)
                .min(level_db)
                .min(FLOOR_MAX_DB);
        }
        let distance = level_db - self.floor_db - HALFWAY_DB;
        Ok(1.0 / (1.0 + (-distance / SLOPE_DB).exp()))
    }

    fn reset(&mut self) {
        *self = Self::new();
    }
}

/// Level of a frame without its mean (cheap microphones have an offset). Units: dB of full scale.
fn level_db(frame: &[i16; FRAME_SAMPLES]) -> f32 {
    let count = FRAME_SAMPLES as f32;
    let mean = frame.iter().map(|&x| f32::from(x)).sum::<f32>() / count;
    let power = frame
        .iter()
        .map(|&x| (f32::from(x) - mean).powi(2))
        .sum::<f32>()
        / count;
    10.0 * (power / 32_768.0_f32.powi(2)).max(1e-12).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise or tone of the given peak.
    fn frame(peak: i16) -> [i16; FRAME_SAMPLES] {
        let mut state = 1_u32;
        std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let unit = f32::from((state >> 16) as u16 as i16) / 32_768.0;
            (unit * f32::from(peak)) as i16
        })
    }

    /// Hears `count` frames of `peak` and checks the last probability.
    fn check(vad: &mut LevelVad, peak: i16, count: usize, speech: bool) {
        let mut probability = 0.0;
        for _ in 0..count {
            probability = vad.hear(&frame(peak)).unwrap();
            assert!((0.0..=1.0).contains(&probability));
        }
        assert_eq!(0.5 < probability, speech, "peak {peak}: {probability}");
    }

    #[test]
    fn speech_is_what_stands_above_the_noise() {
        let mut vad = LevelVad::new();
        check(&mut vad, 0, 100, false);
        check(&mut vad, 100, 300, false);
        check(&mut vad, 4_000, 60, true);
        check(&mut vad, 100, 30, false);
    }

    #[test]
    fn a_fan_that_starts_is_forgotten() {
        let mut vad = LevelVad::new();
        check(&mut vad, 100, 100, false);
        check(&mut vad, 1_000, 5, true);
        check(&mut vad, 1_000, 400, false);
        check(&mut vad, 20_000, 30, true);
    }

    #[test]
    fn an_offset_is_not_speech() {
        let mut vad = LevelVad::new();
        assert!(vad.hear(&[8_000; FRAME_SAMPLES]).unwrap() < 0.1);
        assert!(vad.hear(&[i16::MIN; FRAME_SAMPLES]).unwrap() < 0.1);
    }
}
