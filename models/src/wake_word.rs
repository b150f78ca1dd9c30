//! Wake words: how likely each known word has just been said.
//!
//! Flow: 1,280-sample frames -> one score for each word. On listen's thread; no allocation in our
//! code. Two kinds behind one face: networks that this project trains ([`Network`]) and files of
//! openWakeWord ([`OpenWakeWord`]).

use crate::ModelError;

#[cfg(feature = "ort")]
mod bound;
#[cfg(feature = "ort")]
mod network;
#[cfg(feature = "ort")]
mod open_wake_word;
mod several;

#[cfg(feature = "ort")]
pub use network::{Network, NetworkFile, NetworkWord};
#[cfg(feature = "ort")]
pub use open_wake_word::{EMBEDDING_FILE, OpenWakeWord, SPECTROGRAM_FILE};
pub use several::Several;

/// Samples in one frame: 80 ms at 16 kHz. Source: openWakeWord.
pub const FRAME_SAMPLES: usize = 1_280;

/// A streaming detector of one or more wake words.
pub trait WakeWord {
    /// Returns the number of words this detector knows.
    fn word_count(&self) -> usize;

    /// Hears one frame and writes one score, 0 to 1, for each word into `scores`.
    ///
    /// # Errors
    /// [`ModelError`] from the model's session.
    fn hear(&mut self, frame: &[i16; FRAME_SAMPLES], scores: &mut [f32]) -> Result<(), ModelError>;

    /// Forgets what was heard, as after a gap in the stream.
    fn reset(&mut self);
}
