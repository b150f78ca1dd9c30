//! Ears: numbers in, numbers out.
//!
//! Flow: samples -> [`vad`] and [`wake_word`] on listen's thread; utterance -> [`mel`] -> [`whisper`]
//! in the worker process. The faces (traits and plain types) are always compiled; the ONNX Runtime
//! backend is the feature `ort`, the scripted one for tests is the feature `fake`.

pub mod error;
pub mod vad;
pub mod wake_word;
pub mod transcriber;

pub use error::ModelError;
pub use transcriber::{DecodeOptions, Transcriber, Transcription};
pub use vad::Vad;
pub use wake_word::WakeWord;
