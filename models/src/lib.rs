//! Ears: numbers in, numbers out.
//!
//! Flow: samples -> [`vad`] and [`wake_word`] on listen's thread; utterance -> [`mel`] ->
//! [`whisper`] in the worker process. [`places`] finds the files and [`runtime`] the ONNX Runtime
//! library, both at start-up. The faces (traits and plain types) are always compiled; the ONNX
//! Runtime backend is the feature `ort`, the scripted one for tests is the feature `fake`.

pub mod error;
#[cfg(feature = "fake")]
pub mod fake;
pub mod mel;
#[cfg(feature = "ort")]
#[cfg_attr(
    not(feature = "prepare"),
    allow(dead_code, reason = "nothing writes ONNX files in such a build")
)]
mod onnx;
pub mod places;
#[cfg(feature = "prepare")]
pub mod prepare;
#[cfg(feature = "ort")]
pub mod runtime;
pub mod transcriber;
pub mod vad;
pub mod wake_word;
#[cfg(feature = "ort")]
pub mod whisper;

pub use error::{LoadError, ModelError};
pub use mel::Mel;
#[cfg(feature = "ort")]
pub use runtime::{Provider, Runtime, RuntimeError};
pub use transcriber::{
    DecodeOptions, Language, Segment, Task, Transcriber, Transcript, Transcription,
};
#[cfg(feature = "ort")]
pub use vad::Silero;
pub use vad::{LevelVad, Vad};
pub use wake_word::WakeWord;
#[cfg(feature = "ort")]
pub use wake_word::{Network, OpenWakeWord};
#[cfg(feature = "ort")]
pub use whisper::{Canceller, Whisper, WhisperConfig};

#[cfg(test)]
mod testing;
