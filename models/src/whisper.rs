//! The recogniser: Whisper in the Hugging Face layout, through ONNX Runtime.
//!
//! Flow: utterance -> log-mel -> encoder -> decoder, token by token -> text. In the worker process,
//! on one thread; another thread may end a running call through a [`Canceller`]. Big buffers are
//! made when the model is loaded.
//!
//! A model is a folder: see [`Whisper::load`].

use core::sync::atomic::{AtomicBool, Ordering};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ort::session::RunOptions;

use crate::{
    DecodeOptions, LoadError, Mel, ModelError, Provider, Runtime, Transcriber, Transcript,
    Transcription, error::one_line, mel::HOP_SAMPLES, runtime::SessionSettings,
    transcriber::TEMPERATURES_MAX,
};

mod ahead;
mod decode;
mod fallback;
mod folder;
mod graphs;
mod languages;
mod pauses;
mod phrases;
mod prepared;
mod prompt;
mod rules;
mod sampling;
mod stock;
mod timestamps;
mod vocabulary;
mod window;
mod writing;

use decode::Job;
use folder::Folder;
#[cfg(feature = "prepare")]
pub(crate) use folder::{EMBEDDING_FILE, PREPARED_FORMAT};
pub use folder::{has_timestamps, is_prepared, learnt_on_windows};
use graphs::Graphs;
use languages::Languages;
pub use pauses::quietest;
use phrases::Phrases;
pub use phrases::{Nearest, Phrase};
use prompt::{Beginning, Prompt};
use rules::Rules;
use timestamps::Stretch;
use vocabulary::Vocabulary;
pub use window::WindowPolicy;

/// How to run a Whisper model. The numbers are board data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WhisperConfig {
    /// Threads inside one operator, the caller's included.
    pub threads: usize,
    /// Whether those threads spin for a moment before they sleep.
    pub spin: bool,
    /// What runs the graphs.
    pub provider: Provider,
}

/// A loaded Whisper model.
pub struct Whisper {
    mel: Mel,
    /// Factor on the samples.
    gain: f32,
    window: WindowPolicy,
    /// Shape: `[bins, frames]`, room for the longest window.
    features: Vec<f32>,
    graphs: Graphs,
    languages: Languages,
    prompt: Prompt,
    rules: Rules,
    vocabulary: Vocabulary,
    vocab_size: usize,
    /// Tokens of what was said before, for the utterance at hand.
    previous: Vec<i64>,
    beginning: Beginning,
    /// Tokens of the last pass, the beginning and the end not included.
    tokens: Vec<u32>,
    /// Those of them that are text.
    words: Vec<u32>,
    stretches: Vec<Stretch>,
    provider: Provider,
    canary: Option<String>,
    unknown_below: Option<f32>,
    phrases: Phrases,
    /// Where it was loaded from, for messages.
    folder: PathBuf,
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
    /// Loads the model in `folder`: `config.json`, `generation_config.json`, `tokenizer.json`, and
    /// the first pair that is whole of `encoder.onnx` and `decoder.onnx` (prepared, for the CPU
    /// only), `encoder_model.onnx` and `decoder_model_merged.onnx` (a stock export), or the
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
        let folder = Folder::read(folder, config.provider)?;
        let settings = SessionSettings {
            threads: config.threads,
            spin: config.spin,
            provider: config.provider,
        };
        let graphs = Graphs::load(runtime, &folder, settings)?;
        let rules = Rules::derive(&folder)?;
        let languages = Languages::derive(&folder)?;
        let prompt = Prompt::derive(&folder, rules.length_max, languages.are_many())?;
        let foreign = |error: ort::Error| LoadError::Onnx {
            file: folder.encoder.clone(),
            problem: one_line(error.message()),
        };
        let mut whisper = Self {
            mel: Mel::new(folder.config.num_mel_bins),
            gain: 1.0,
            window: folder
                .window
                .within(graphs.frames_min(), graphs.frames_max()),
            features: vec![0.0; folder.config.num_mel_bins * graphs.frames_max()],
            vocab_size: folder.config.vocab_size,
            previous: Vec::with_capacity(rules.length_max),
            beginning: Beginning::default(),
            tokens: Vec::with_capacity(rules.length_max),
            words: Vec::with_capacity(rules.length_max),
            stretches: Vec::with_capacity(rules.length_max),
            folder: folder.path,
            provider: config.provider,
            canary: folder.canary,
            unknown_below: folder.unknown_below,
            phrases: Phrases::default(),
            run: Arc::new(RunOptions::new().map_err(foreign)?),
            vocabulary: folder.vocabulary,
            graphs,
            languages,
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

    /// Returns the mean probability of tokens below which a text is not believed, by the key
    /// `unknown_below` of its `pressel.json`: a model that knows a vocabulary only has it, and
    /// makes unlikely words, or nothing, of speech outside it. `None` is a model for all words.
    #[must_use]
    pub fn unknown_below(&self) -> Option<f32> {
        self.unknown_below
    }

    /// Returns true when the graphs were made for this program with `pressel models prepare`; a
    /// stock export runs too, slower.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.graphs.is_prepared()
    }

    /// Returns a handle that ends a running call from another thread.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller {
            run: Arc::clone(&self.run),
        }
    }

    /// Checks that the model can do what `options` ask for; a call with others is
    /// [`ModelError::BadInput`].
    ///
    /// # Errors
    /// [`LoadError::Cannot`] with what it does not know: language, task or token.
    pub fn check(&self, options: &DecodeOptions) -> Result<(), LoadError> {
        let cannot = |problem: String| {
            Err(LoadError::Cannot {
                model: self.folder.clone(),
                problem,
            })
        };
        if let Some(language) = options.language
            && self.languages.asked(Some(language)).is_err()
        {
            let known = self.languages.codes();
            return cannot(format!(
                "it does not know the language {language}; it knows {known}"
            ));
        }
        if self.languages.are_many() && !self.prompt.knows(options.task) {
            return cannot(format!(
                "it cannot {}: take a model that can",
                options.task.name()
            ));
        }
        let unknown = self
            .rules
            .unknown(&options.suppress_tokens, self.vocab_size);
        unknown.map_or(Ok(()), |token| {
            cannot(format!(
                "token {token} is none of its {} tokens",
                self.vocab_size
            ))
        })
    }

    /// Hears a window of silence, so that a graph which cannot run is found now and not at the
    /// first utterance, and the first utterance is not slow.
    fn warm_up(&mut self, file: &Path) -> Result<(), LoadError> {
        let start = [self.prompt.start; 3];
        let heard = self.encode(&[], self.window.frames(0)).and_then(|()| {
            self.graphs.feed(&start, None, &self.run)?;
            self.graphs.feed(&start[..1], None, &self.run)
        });
        heard.map_err(|error| LoadError::Tensor {
            file: file.into(),
            name: "logits".into(),
            problem: format!("cannot be computed ({error}): take all files from one export"),
        })
    }

    /// Lets the encoder hear the audio in a window of so many frames.
    fn encode(&mut self, audio: &[i16], frames: usize) -> Result<(), ModelError> {
        let features = &mut self.features[..self.mel.bins() * frames];
        self.mel.compute(audio, frames, self.gain, features);
        self.graphs.hear(features, frames, &self.run)
    }

    /// Returns whether the model learnt on Whisper's windows of 30 s. A small network that learnt
    /// on short clips (its `pressel.json` says so) does worse in a window that it never saw, knows
    /// nothing of what was said before, and its likeliest text is its only good one.
    fn learnt_on_windows(&self) -> bool {
        self.window.frames_max() * HOP_SAMPLES <= self.window.speech_samples_max()
    }

    /// Recognises the pieces of `audio`, one after the other, and fills `transcript`. What was said
    /// before is in `self.previous`.
    fn transcribe_pieces(
        &mut self,
        audio: &[i16],
        job: &mut Job,
        transcript: &mut Transcript,
    ) -> Result<Transcription, ModelError> {
        let mut all = Transcription {
            no_speech: true,
            language: None,
            language_probability: 0.0,
            heard_samples: audio.len() as u32,
            mean_logprob: 0.0,
            temperature: 0.0,
            token_count: 0,
            pass_count: 0,
            encode_ms: 0,
            decode_ms: 0,
            nearest: None,
        };
        let (mut logprob_sum, mut chosen, mut from) = (0.0, 0, 0);
        for piece in pauses::cut(audio, self.window.speech_samples_max()) {
            // Where there is no sound at all, nobody has to ask a model.
            if piece.iter().any(|&sample| sample != 0) {
                let pass = self.recognise(piece, job)?;
                logprob_sum += pass.mean_logprob * pass.choices as f32;
                chosen += pass.choices;
                all.temperature = all.temperature.max(pass.temperature);
                all.token_count += self.tokens.len() as u32;
                let heard = self.write(piece.len(), from, job, &pass, transcript)?;
                if job.options.nearest && piece.len() == audio.len() {
                    let free = pass.mean_logprob * pass.choices as f32;
                    all.nearest = self.nearest(free, job)?;
                }
                if heard < piece.len() {
                    all.heard_samples = (from + heard) as u32;
                    break;
                }
            }
            from += piece.len();
        }
        if 0 < chosen {
            all.mean_logprob = logprob_sum / chosen as f32;
        }
        Ok(Transcription {
            no_speech: transcript.text.is_empty(),
            language: job.spoken.map(|spoken| spoken.language),
            language_probability: job.spoken.map_or(0.0, |spoken| spoken.probability),
            pass_count: job.pass_count,
            encode_ms: job.encode_ms,
            decode_ms: job.decode_ms,
            ..all
        })
    }

    /// Begins a call: looks whether it is to be done, and whether it can be.
    fn begin<'a>(
        &self,
        audio: &[i16],
        options: &'a DecodeOptions,
        cancel: &'a AtomicBool,
    ) -> Result<Job<'a>, ModelError> {
        // First take back an old end, then look at the flag: see `Canceller::cancel`.
        self.run.unterminate().map_err(|_| ModelError::Reload)?;
        if cancel.load(Ordering::SeqCst) {
            return Err(ModelError::Cancelled);
        }
        let hot = |&temperature: &f32| temperature.is_finite() && 0.0 <= temperature;
        let ladder = &options.temperature;
        if self.window.frames_max() * HOP_SAMPLES < audio.len()
            || !(1..=TEMPERATURES_MAX).contains(&ladder.len())
            || !ladder.iter().all(hot)
            || self.check(options).is_err()
        {
            return Err(ModelError::BadInput);
        }
        Ok(Job {
            options,
            cancel,
            timed: !options.without_timestamps && self.rules.timestamps.is_some(),
            spoken: self.languages.asked(options.language)?,
            pass_count: 0,
            encode_ms: 0,
            decode_ms: 0,
        })
    }
}

impl Transcriber for Whisper {
    fn transcribe(
        &mut self,
        audio: &[i16],
        options: &DecodeOptions,
        context: &str,
        cancel: &AtomicBool,
        transcript: &mut Transcript,
    ) -> Result<Transcription, ModelError> {
        transcript.clear();
        let mut job = self.begin(audio, options, cancel)?;
        self.previous.clear();
        if self.learnt_on_windows() {
            let context = if options.condition_on_previous_text {
                context
            } else {
                ""
            };
            for text in [options.initial_prompt.as_str(), context] {
                self.prompt
                    .encode(&self.vocabulary, text, &mut self.previous);
            }
        }
        self.transcribe_pieces(audio, &mut job, transcript)
    }

    fn provider(&self) -> &'static str {
        self.provider.name()
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod timed_tests;
