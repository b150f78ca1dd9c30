//! The recogniser: an utterance in, its text out.
//!
//! Flow: samples of one utterance -> text and how sure the model is. In the worker process, one
//! call at a time; a call ends early only through `cancel` or the model's own canceller.

use core::sync::atomic::AtomicBool;

use crate::ModelError;

/// Turns one utterance into text.
pub trait Transcriber {
    /// Recognises `audio` (mono 16 kHz, at most 30 s) and replaces `text` with what was said.
    ///
    /// `cancel` is looked at between the steps; when it is set the call returns
    /// [`ModelError::Cancelled`] within one step.
    ///
    /// # Errors
    /// [`ModelError`], whose variants say what the caller does next.
    fn transcribe(
        &mut self,
        audio: &[i16],
        options: &DecodeOptions,
        cancel: &AtomicBool,
        text: &mut String,
    ) -> Result<Transcription, ModelError>;

    /// Returns the name of the execution provider that really runs the model: `cpu` or `cuda`.
    fn provider(&self) -> &'static str;
}

/// How to decode. Names and meanings are Whisper's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecodeOptions {
    /// A result whose no-speech probability is above this, and whose mean log-probability is below
    /// `logprob_threshold`, is no speech.
    pub no_speech_threshold: f32,
    /// See `no_speech_threshold`.
    pub logprob_threshold: f32,
    /// Tokens at most for each second of audio: the guard against endless repetition.
    pub tokens_per_second_max: u32,
}

impl Default for DecodeOptions {
    /// Whisper's own thresholds; 8 tokens a second is faster than people speak.
    fn default() -> Self {
        Self {
            no_speech_threshold: 0.6,
            logprob_threshold: -1.0,
            tokens_per_second_max: 8,
        }
    }
}

/// What one recognition gave besides its text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transcription {
    /// True when the model heard no speech; the text is empty then.
    pub no_speech: bool,
    /// Two-letter code of the language, or of the model's only language.
    pub language: [u8; 2],
    /// Mean natural logarithm of the probability of the chosen tokens.
    pub mean_logprob: f32,
    /// Tokens of text decoded.
    pub token_count: u32,
    /// Milliseconds in the log-mel spectrogram and the encoder.
    pub encode_ms: u32,
    /// Milliseconds in the decoder.
    pub decode_ms: u32,
}
