//! The recogniser: Whisper in the Hugging Face layout, through ONNX Runtime.
//!
//! Flow: utterance -> log-mel -> encoder -> decoder, token by token -> text. In the worker process,
//! on one thread; another thread may end a running call through a [`Canceller`]. Big buffers are
//! made when the model is loaded.
//!
//! A model is a folder: see [`Whisper::load`].

use core::sync::atomic::{AtomicBool, Ordering};
use std::{path::Path, sync::Arc, time::Instant};

use ort::session::RunOptions;
use tokenizers::Tokenizer;

use crate::{
    DecodeOptions, LoadError, Mel, ModelError, Provider, Runtime, Transcriber, Transcript,
    Transcription,
    error::one_line,
    mel::{HOP_SAMPLES, RATE_HZ},
    runtime::SessionSettings,
};

mod folder;
mod graphs;
mod greedy;
mod pauses;
mod prompt;
mod stock;
mod window;

use folder::Folder;
pub use folder::has_timestamps;
use graphs::Graphs;
use greedy::Rules;
pub use pauses::quietest;
use prompt::Prompt;
pub use window::WindowPolicy;

/// Tokens that any utterance may have, however short. Why 16: two words of a model that spells.
const TOKENS_FLOOR: usize = 16;

/// How to run a Whisper model. The numbers are board data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WhisperConfig {
    /// Threads inside one operator, the caller's included.
    pub threads: usize,
    /// Whether those threads spin for a moment before they sleep.
    pub spin: bool,
    /// What runs the graphs.
    pub provider: Provider,
    /// Two-letter code of the language that is spoken. English-only models know only `en`.
    pub language: [u8; 2],
}

/// A loaded Whisper model.
pub struct Whisper {
    mel: Mel,
    window: WindowPolicy,
    /// Shape: `[bins, frames]`, room for the longest window.
    features: Vec<f32>,
    graphs: Graphs,
    prompt: Prompt,
    rules: Rules,
    tokenizer: Tokenizer,
    /// Tokens of the utterance at hand, the prompt not included.
    tokens: Vec<u32>,
    language: [u8; 2],
    provider: Provider,
    canary: Option<String>,
    run: Arc<RunOptions>,
}

/// Ends a running call from another thread. Cheap to clone.
#[derive(Clone)]
pub struct Canceller {
    run: Arc<RunOptions>,
}

impl Canceller {
    /// Ends the operator graph that is running now; the call returns [`ModelError::Cancelled`].
    ///
    /// Set the `cancel` flag of that utterance first: a call that is just beginning takes back an
    /// end from before it, and then looks at the flag. Returns false when ONNX Runtime refuses,
    /// which leaves the flag.
    pub fn cancel(&self) -> bool {
        self.run.terminate().is_ok()
    }
}

impl Whisper {
    /// Loads the model in `folder`: `config.json`, `generation_config.json`, `tokenizer.json`,
    /// `encoder_model.onnx` and `decoder_model_merged.onnx`; or, where a plain one is absent, the
    /// `_quantized.onnx` of both. The ONNX files may lie in a folder `onnx` inside it.
    /// `preprocessor_config.json` and `pressel.json` (see [`WindowPolicy`] and
    /// [`Whisper::canary`]) are read when there.
    ///
    /// # Errors
    /// [`LoadError`] that names the file, what is wrong with it, and what to do.
    pub fn load(
        runtime: &Runtime,
        folder: &Path,
        config: &WhisperConfig,
    ) -> Result<Self, LoadError> {
        let folder = Folder::read(folder)?;
        let settings = SessionSettings {
            threads: config.threads,
            spin: config.spin,
            provider: config.provider,
        };
        let graphs = Graphs::load(runtime, &folder, settings)?;
        let prompt = Prompt::derive(&folder, config.language)?;
        let rules = Rules::derive(&folder)?;
        let foreign = |error: ort::Error| LoadError::Onnx {
            file: folder.encoder.clone(),
            problem: one_line(error.message()),
        };
        let mut whisper = Self {
            mel: Mel::new(folder.config.num_mel_bins),
            window: folder
                .window
                .within(graphs.frames_min(), graphs.frames_max()),
            features: vec![0.0; folder.config.num_mel_bins * graphs.frames_max()],
            tokens: Vec::with_capacity(rules.length_max),
            language: if prompt.multilingual {
                config.language
            } else {
                *b"en"
            },
            provider: config.provider,
            canary: folder.canary,
            run: Arc::new(RunOptions::new().map_err(foreign)?),
            tokenizer: folder.tokenizer,
            graphs,
            prompt,
            rules,
        };
        whisper.warm_up(&folder.decoder)?;
        Ok(whisper)
    }

    /// Returns what this model hears in the clip "turn on the kitchen light", by the key `canary`
    /// of its `pressel.json`: a model that knows other words has other words there. `None` when the
    /// folder does not say.
    #[must_use]
    pub fn canary(&self) -> Option<&str> {
        self.canary.as_deref()
    }

    /// Returns a handle that ends a running call from another thread.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller {
            run: Arc::clone(&self.run),
        }
    }

    /// Hears a window of silence, so that a graph which cannot run is found now and not at the
    /// first utterance, and the first utterance is not slow.
    fn warm_up(&mut self, file: &Path) -> Result<(), LoadError> {
        let heard = self.encode(&[]).and_then(|()| {
            self.graphs.feed(&self.prompt.tokens, None, &self.run)?;
            self.graphs.feed(&self.prompt.tokens[..1], None, &self.run)
        });
        heard.map_err(|error| LoadError::Tensor {
            file: file.into(),
            name: "logits".into(),
            problem: format!("cannot be computed ({error}): take all files from one export"),
        })
    }

    fn encode(&mut self, audio: &[i16]) -> Result<(), ModelError> {
        let frames = self.window.frames(audio.len());
        let features = &mut self.features[..self.mel.bins() * frames];
        self.mel.compute(audio, frames, features);
        self.graphs.hear(features, frames, &self.run)
    }

    /// Decodes greedily into `self.tokens` and returns the sum of the tokens' log-probabilities,
    /// the end token's included when it was reached, and the probability of no speech.
    fn decode(&mut self, tokens_max: usize, cancel: &AtomicBool) -> Result<Decoded, ModelError> {
        self.tokens.clear();
        self.graphs.rewind();
        self.graphs.feed(&self.prompt.tokens, Some(0), &self.run)?;
        let no_speech = self.rules.no_speech(self.graphs.marked_logits())?;
        let (mut logprob_sum, mut chosen) = (0.0, 0);
        loop {
            let first = self.tokens.is_empty();
            let choice = self.rules.choose(self.graphs.logits_mut(), first)?;
            logprob_sum += choice.logprob;
            chosen += 1;
            if self.rules.is_end(choice.token) {
                break;
            }
            self.tokens.push(choice.token);
            if tokens_max <= self.tokens.len() {
                break;
            }
            if cancel.load(Ordering::SeqCst) {
                return Err(ModelError::Cancelled);
            }
            self.graphs
                .feed(&[i64::from(choice.token)], None, &self.run)?;
        }
        Ok(Decoded {
            mean_logprob: logprob_sum / chosen as f32,
            no_speech,
        })
    }

    /// Appends the words of `self.tokens` to `text`, without special tokens and timestamps, and
    /// with a space before them where there are words already.
    fn write_text(&mut self, text: &mut String) -> Result<(), ModelError> {
        self.tokens.retain(|&token| !self.rules.is_timestamp(token));
        let words = self.tokenizer.decode(&self.tokens, true);
        let words = words.map_err(|_| ModelError::BadOutput)?;
        if !text.is_empty() && !words.trim().is_empty() {
            text.push(' ');
        }
        text.push_str(words.trim());
        Ok(())
    }
}

/// What the decoder says beside the tokens.
struct Decoded {
    mean_logprob: f32,
    no_speech: Option<f32>,
}

impl Whisper {
    /// Recognises one piece and appends what was said to `text`.
    fn transcribe_piece(
        &mut self,
        audio: &[i16],
        options: &DecodeOptions,
        cancel: &AtomicBool,
        text: &mut String,
    ) -> Result<Transcription, ModelError> {
        let start = Instant::now();
        self.encode(audio)?;
        let encode_ms = start.elapsed().as_millis() as u32;
        if cancel.load(Ordering::SeqCst) {
            return Err(ModelError::Cancelled);
        }
        let start = Instant::now();
        let per_second = options.tokens_per_second_max as usize;
        let guard = (audio.len() * per_second)
            .div_ceil(RATE_HZ)
            .max(TOKENS_FLOOR);
        let room = self
            .rules
            .length_max
            .saturating_sub(self.prompt.tokens.len());
        let decoded = self.decode(guard.min(room), cancel)?;
        let decode_ms = start.elapsed().as_millis() as u32;
        let token_count = self.tokens.len() as u32;
        let silent = decoded
            .no_speech
            .is_some_and(|p| options.no_speech_threshold < p);
        let before = text.len();
        if !(silent && decoded.mean_logprob < options.logprob_threshold) {
            self.write_text(text)?;
        }
        Ok(Transcription {
            no_speech: text.len() == before,
            language: self.language,
            heard_samples: audio.len() as u32,
            mean_logprob: decoded.mean_logprob,
            token_count,
            encode_ms,
            decode_ms,
        })
    }
}

impl Transcriber for Whisper {
    fn transcribe(
        &mut self,
        audio: &[i16],
        options: &DecodeOptions,
        _context: &str,
        cancel: &AtomicBool,
        transcript: &mut Transcript,
    ) -> Result<Transcription, ModelError> {
        transcript.clear();
        // First take back an old end, then look at the flag: see `Canceller::cancel`.
        self.run.unterminate().map_err(|_| ModelError::Reload)?;
        if cancel.load(Ordering::SeqCst) {
            return Err(ModelError::Cancelled);
        }
        if self.window.frames_max() * HOP_SAMPLES < audio.len() {
            return Err(ModelError::BadInput);
        }
        let mut all = Transcription {
            no_speech: true,
            language: self.language,
            heard_samples: audio.len() as u32,
            mean_logprob: 0.0,
            token_count: 0,
            encode_ms: 0,
            decode_ms: 0,
        };
        let (mut logprob_sum, mut chosen) = (0.0, 0);
        for piece in pauses::cut(audio, self.window.speech_samples_max()) {
            let one = self.transcribe_piece(piece, options, cancel, &mut transcript.text)?;
            // The end token was chosen too.
            logprob_sum += one.mean_logprob * (one.token_count + 1) as f32;
            chosen += one.token_count + 1;
            all.no_speech &= one.no_speech;
            all.token_count += one.token_count;
            all.encode_ms += one.encode_ms;
            all.decode_ms += one.decode_ms;
        }
        if 0 < chosen {
            all.mean_logprob = logprob_sum / chosen as f32;
        }
        Ok(all)
    }

    fn provider(&self) -> &'static str {
        self.provider.name()
    }
}

#[cfg(test)]
mod tests;
