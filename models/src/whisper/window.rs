//! How much silence the encoder hears behind an utterance.
//!
//! Flow: samples -> frames of the encoder's window. Whisper was trained on 30 s always; a shorter
//! window costs less in proportion, but one that is too short makes stock weights repeat
//! themselves. So there is a margin behind the utterance, and a floor.

use serde::Deserialize;

use crate::mel::{FRAMES_MAX, FRAMES_MIN, HOP_SAMPLES};

/// The window of stock weights. Frames are twice the encoder's positions.
///
/// Why 384 and 128 positions: the shipped rule of voxtype for stock weights,
/// `max(50 s + 128, 384)`; with less, word errors jump from 5 % to 226 %
/// (whisper-acft README, tiny.en).
const STOCK: WindowPolicy = WindowPolicy {
    floor_frames: 768,
    margin_frames: 256,
    speech_frames_max: FRAMES_MAX,
    least: FRAMES_MIN,
    most: FRAMES_MAX,
};

/// Frames that windows are rounded up to: the encoder takes two frames for one position.
const FRAMES_STEP: usize = 2;

/// An utterance of this length is never cut: 1 s.
const SPEECH_FRAMES_LEAST: usize = 100;

/// Chooses the encoder's window. Units: frames of 10 ms.
///
/// A model folder may say otherwise in `pressel.json`: `{"window_floor_frames": 200,
/// "window_margin_frames": 60, "speech_frames_max": 800}`; a missing key is the stock value. Its
/// other keys: [`Whisper::canary`](super::Whisper::canary),
/// [`Whisper::unknown_below`](super::Whisper::unknown_below), and `prepared`, which `pressel
/// models prepare` writes. An encoder whose ONNX file has a fixed number of frames always gets
/// that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowPolicy {
    /// The shortest window.
    pub floor_frames: usize,
    /// Silence behind the utterance.
    pub margin_frames: usize,
    /// The longest utterance that is heard in one piece; a longer one is cut at its pauses. 30 s
    /// for stock weights; less for a network that learnt on short clips.
    pub speech_frames_max: usize,
    least: usize,
    most: usize,
}

/// `pressel.json`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct PresselFile {
    window_floor_frames: Option<usize>,
    window_margin_frames: Option<usize>,
    speech_frames_max: Option<usize>,
    pub(super) canary: Option<String>,
    pub(super) unknown_below: Option<f32>,
    pub(super) prepared: Option<Preparation>,
}

/// What `pressel models prepare` says about the graphs that it made.
#[derive(Deserialize)]
pub(super) struct Preparation {
    pub(super) format: u64,
}

impl WindowPolicy {
    /// Returns the stock policy with what `file` says put over it.
    pub(super) fn new(file: &PresselFile) -> Self {
        Self {
            floor_frames: file.window_floor_frames.unwrap_or(STOCK.floor_frames),
            margin_frames: file.window_margin_frames.unwrap_or(STOCK.margin_frames),
            speech_frames_max: file
                .speech_frames_max
                .unwrap_or(STOCK.speech_frames_max)
                .clamp(SPEECH_FRAMES_LEAST, FRAMES_MAX),
            ..STOCK
        }
    }

    /// Returns the same policy for an encoder that takes `least` to `most` frames.
    pub(super) fn within(self, least: usize, most: usize) -> Self {
        assert!(least <= most);
        Self {
            least,
            most,
            ..self
        }
    }

    /// Returns the longest window.
    pub(super) fn frames_max(&self) -> usize {
        self.most
    }

    /// Returns the samples of the longest utterance that is heard in one piece.
    pub(super) fn speech_samples_max(&self) -> usize {
        self.speech_frames_max.min(self.most) * HOP_SAMPLES
    }

    /// Returns the window of an utterance.
    pub(super) fn frames(&self, samples: usize) -> usize {
        let wanted = samples
            .div_ceil(HOP_SAMPLES)
            .saturating_add(self.margin_frames);
        wanted
            .max(self.floor_frames)
            .next_multiple_of(FRAMES_STEP)
            .clamp(self.least, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: WindowPolicy, samples: usize, expected: usize) {
        assert_eq!(policy.frames(samples), expected, "{samples} samples");
    }

    #[test]
    fn stock_weights_get_a_margin_and_a_floor() {
        check(STOCK, 0, 768);
        check(STOCK, 16_000, 768);
        check(STOCK, 10 * 16_000, 1_256);
        check(STOCK, 10 * 16_000 + 1, 1_258);
        check(STOCK, 30 * 16_000, 3_000);
    }

    #[test]
    fn a_folder_may_have_its_own_window() {
        let file = r#"{"window_floor_frames": 100, "window_margin_frames": 31}"#;
        let policy = WindowPolicy::new(&serde_json::from_str(file).unwrap());
        check(policy, 800, 100);
        check(policy, 16_000, 132);
        assert_eq!(
            WindowPolicy::new(&serde_json::from_str("{}").unwrap()),
            STOCK
        );
        let own: PresselFile = serde_json::from_str(r#"{"canary": "lights on"}"#).unwrap();
        assert_eq!(own.canary.as_deref(), Some("lights on"));
        assert!(serde_json::from_str::<PresselFile>(r#"{"window": 1}"#).is_err());
    }

    #[test]
    fn a_fixed_encoder_gets_its_own_number() {
        for samples in [0, 16_000, 480_000] {
            check(STOCK.within(3_000, 3_000), samples, 3_000);
        }
    }
}
