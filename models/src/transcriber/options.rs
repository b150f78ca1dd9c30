//! How to decode: Whisper's options, by its own names and with its own defaults.
//!
//! Flow: configuration or command line -> [`DecodeOptions`] -> each call of the recogniser. Plain
//! data. What is not here, as beam search, is not there.

use super::Language;

/// Temperatures at most in [`DecodeOptions::temperature`]: the bound of a recognition's passes.
pub const TEMPERATURES_MAX: usize = 8;

/// What becomes of the speech. Only multilingual models know more than the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Task {
    /// Text in the language that is spoken.
    #[default]
    Transcribe,
    /// Text in English.
    Translate,
}

impl Task {
    /// Returns Whisper's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Transcribe => "transcribe",
            Self::Translate => "translate",
        }
    }
}

/// How to decode. Names and meanings are Whisper's; a threshold that is infinite is none.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodeOptions {
    /// What becomes of the speech. English-only models ignore it.
    pub task: Task,
    /// The language that is spoken; `None` is detected from the audio, for the price of one decoder
    /// pass. English-only models ignore it.
    pub language: Option<Language>,
    /// Temperatures in the order in which they are tried: the next one when the result of the one
    /// before it fails a threshold. 0 is the likeliest token always; above it one sample is drawn,
    /// as Whisper's Python does by default (`best_of` none). 1 to [`TEMPERATURES_MAX`] of them.
    pub temperature: Vec<f32>,
    /// Strikes out the blank and the end as the first token, by the model's list.
    pub suppress_blank: bool,
    /// Tokens that are never said; -1 stands for the model's own list. Control tokens never are.
    pub suppress_tokens: Vec<i64>,
    /// No timestamps: faster, and [`Transcript::segments`](super::Transcript::segments) stays
    /// empty. A model without timestamps never gives any. Whisper's own default is false: its users
    /// have long files, an utterance has no use for them.
    pub without_timestamps: bool,
    /// The latest beginning of the first segment, in seconds.
    pub max_initial_timestamp: f32,
    /// Text that the model is told to have heard before: names and jargon, written as they are to
    /// be. It stands before the context of every call (Whisper's `carry_initial_prompt`), and its
    /// oldest words fall out when both together are too long.
    pub initial_prompt: String,
    /// Whether the `context` of a call is told to the model.
    pub condition_on_previous_text: bool,
    /// A text whose bytes are more than this many times those that zlib makes of it repeats itself:
    /// it is decoded again.
    pub compression_ratio_threshold: f32,
    /// A result whose mean log-probability is below this is decoded again.
    pub logprob_threshold: f32,
    /// A result whose no-speech probability is above this, and whose mean log-probability is below
    /// `logprob_threshold`, is no speech.
    pub no_speech_threshold: f32,
    /// Tokens of text at most for each second of audio in a short window, three times as many in
    /// the full one: the guard against endless repetition. This one is Pressel's own.
    pub tokens_per_second_max: u32,
    /// Whether the nearest phrase of [`Whisper::set_phrases`](crate::whisper::Whisper::set_phrases)
    /// is looked for, too. This one is Pressel's own.
    pub nearest: bool,
}

impl Default for DecodeOptions {
    /// Whisper's own values, but for `without_timestamps`; 8 tokens a second is faster than people
    /// speak.
    fn default() -> Self {
        Self {
            task: Task::Transcribe,
            language: None,
            temperature: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            suppress_blank: true,
            suppress_tokens: vec![-1],
            without_timestamps: true,
            max_initial_timestamp: 1.0,
            initial_prompt: String::new(),
            condition_on_previous_text: true,
            compression_ratio_threshold: 2.4,
            logprob_threshold: -1.0,
            no_speech_threshold: 0.6,
            tokens_per_second_max: 8,
            nearest: false,
        }
    }
}
