//! Voice activity: how likely a frame is speech.
//!
//! Flow: 512-sample frames -> a probability. On listen's thread; no allocation in our code. Silero
//! is the detector; the level-based one stands in when Silero cannot be loaded.

use crate::ModelError;

mod level;
#[cfg(feature = "ort")]
mod silero;

pub use level::LevelVad;
#[cfg(feature = "ort")]
pub use silero::Silero;

/// Samples in one frame: 32 ms at 16 kHz. Source: Silero VAD 5 and later, 16 kHz.
pub const FRAME_SAMPLES: usize = 512;

/// A streaming voice-activity detector.
pub trait Vad {
    /// Hears one frame and returns the probability that it is speech, 0 to 1.
    ///
    /// Keeps state from frame to frame. Does not allocate in our code.
    ///
    /// # Errors
    /// [`ModelError`] from the model's session; the caller falls back to a level-based detector.
    fn hear(&mut self, frame: &[i16; FRAME_SAMPLES]) -> Result<f32, ModelError>;

    /// Forgets what was heard, as after a gap in the stream.
    fn reset(&mut self);
}
