//! The recogniser: an utterance in, its text out.
//!
//! Flow: samples of one utterance -> text and how sure the model is. In the worker process, one
//! call at a time; a call ends early only through `cancel` or the model's own canceller.

use core::sync::atomic::AtomicBool;

use crate::{ModelError, whisper::Nearest};

mod language;
mod options;

pub use language::Language;
pub use options::{DecodeOptions, TEMPERATURES_MAX, Task};

/// Turns one utterance into text.
pub trait Transcriber {
    /// Recognises `audio` (mono 16 kHz, at most 30 s) and replaces what is in `transcript` with
    /// what was said. `context` is what was said before it, its last words at least; empty is
    /// nothing. A caller that goes through a long recording leaves it empty behind a result whose
    /// [`Transcription::temperature`] was above 0.5, as Whisper does: a guess breeds guesses.
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
        context: &str,
        cancel: &AtomicBool,
        transcript: &mut Transcript,
    ) -> Result<Transcription, ModelError>;

    /// Returns the name of the execution provider that really runs the model: `cpu` or `cuda`.
    fn provider(&self) -> &'static str;
}

/// What was said. The caller keeps one and its memory is used again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// All of it.
    pub text: String,
    /// When which part of it was said, in order and without overlap. Empty when timestamps were not
    /// asked for, or the model has none.
    pub segments: Vec<Segment>,
}

/// One stretch of speech and its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins, in milliseconds from the first sample.
    pub start_ms: u32,
    /// Where it ends; not before it begins.
    pub end_ms: u32,
    /// Where its words end in the text, in bytes. They begin where those of the one before end.
    pub text_end: usize,
}

impl Transcript {
    /// Empties it, and keeps its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.segments.clear();
    }
}

/// What one recognition gave besides its text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transcription {
    /// True when the model heard no speech; the text is empty then.
    pub no_speech: bool,
    /// The language: the asked one, the detected one, or the model's only one. `None` when it was
    /// to be detected and nothing was heard.
    pub language: Option<Language>,
    /// How sure the detection of the language is, 0 to 1; 1 when nothing was to be detected.
    pub language_probability: f32,
    /// Samples of the audio that the transcript stands for. Less than all of them only with
    /// timestamps: the last words were cut off, and are to be heard again from here on.
    pub heard_samples: u32,
    /// Mean natural logarithm of the probability of the chosen tokens.
    pub mean_logprob: f32,
    /// The highest temperature that a part of it was decoded at.
    pub temperature: f32,
    /// Tokens decoded, timestamps included, in what was taken.
    pub token_count: u32,
    /// How many times it was decoded, all parts together.
    pub pass_count: u32,
    /// Milliseconds in the log-mel spectrogram and the encoder.
    pub encode_ms: u32,
    /// Milliseconds in the decoder.
    pub decode_ms: u32,
    /// The nearest phrase of the closed list, when it was asked for and one is near; an utterance
    /// that is heard in pieces has none.
    pub nearest: Option<Nearest>,
}
