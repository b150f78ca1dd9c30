//! A model folder: its files found, its JSON read and checked.
//!
//! Flow: a path -> [`Folder`]. At start-up only. Nothing is loaded into ONNX Runtime here.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    vocabulary::Vocabulary,
    window::{Preparation, PresselFile, WindowPolicy},
};
use crate::{
    LoadError, Provider,
    mel::{FFT_SAMPLES, FRAMES_MAX, HOP_SAMPLES, RATE_HZ},
};

mod matching;

/// Names of the encoder and the decoder that were made for this program, without `.onnx`.
const PREPARED: [&str; 2] = ["encoder", "decoder"];
/// The same in a stock export.
const STOCK: [&str; 2] = ["encoder_model", "decoder_model_merged"];

/// The version of the prepared graphs that is run here.
pub(crate) const PREPARED_FORMAT: u64 = 2;
/// The embedding beside the two prepared graphs.
pub(crate) const EMBEDDING_FILE: &str = "embedding.bin";

/// What to do about a folder that is not whole.
const LAYOUT: &str = "a Whisper folder holds config.json, generation_config.json, tokenizer.json, \
                      encoder_model.onnx and decoder_model_merged.onnx (an optimum export)";

/// The largest sizes that are believed, of which memory is made before a graph is there to compare:
/// four times those of large-v3, the largest Whisper (1280 wide, 32 layers, 20 heads, 51866
/// tokens, 448 positions in a transcript).
const WIDTH_MAX: usize = 4 * 1_280;
const LAYERS_MAX: usize = 4 * 32;
const HEADS_MAX: usize = 4 * 20;
const VOCABULARY_MAX: usize = 4 * 51_866;
const CONTEXT_MAX: usize = 4 * 448;

/// A model folder whose JSON files are read and agree.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) config: Config,
    pub(super) generation: Generation,
    pub(super) vocabulary: Vocabulary,
    pub(super) window: WindowPolicy,
    /// See [`Whisper::canary`](super::Whisper::canary).
    pub(super) canary: Option<String>,
    /// See [`Whisper::unknown_below`](super::Whisper::unknown_below).
    pub(super) unknown_below: Option<f32>,
    /// Whether the ONNX files were made for this program.
    pub(super) prepared: bool,
    /// The ONNX file of the encoder.
    pub(super) encoder: PathBuf,
    /// The ONNX file of the decoder.
    pub(super) decoder: PathBuf,
}

/// The keys of `config.json` that matter here.
#[derive(Deserialize)]
pub(super) struct Config {
    pub(super) model_type: String,
    pub(super) d_model: usize,
    pub(super) decoder_layers: usize,
    pub(super) decoder_attention_heads: usize,
    pub(super) num_mel_bins: usize,
    pub(super) vocab_size: usize,
    pub(super) max_source_positions: usize,
    pub(super) max_target_positions: usize,
    decoder_start_token_id: Option<i64>,
    eos_token_id: Option<OneOrMany>,
}

/// The keys of `generation_config.json` that matter here.
#[derive(Deserialize)]
pub(super) struct Generation {
    decoder_start_token_id: Option<i64>,
    eos_token_id: Option<OneOrMany>,
    pub(super) suppress_tokens: Option<Vec<i64>>,
    pub(super) begin_suppress_tokens: Option<Vec<i64>>,
    pub(super) max_length: Option<usize>,
    pub(super) is_multilingual: Option<bool>,
    pub(super) lang_to_id: Option<HashMap<String, i64>>,
    pub(super) task_to_id: Option<HashMap<String, i64>>,
    pub(super) no_timestamps_token_id: Option<i64>,
    pub(super) prev_sot_token_id: Option<i64>,
    pub(super) forced_decoder_ids: Option<Vec<(usize, Option<i64>)>>,
}

/// The keys of `preprocessor_config.json` that matter here.
#[derive(Deserialize)]
struct Preprocessor {
    feature_size: Option<usize>,
    sampling_rate: Option<usize>,
    n_fft: Option<usize>,
    hop_length: Option<usize>,
}

/// A key that exports write as a number or as a list.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum OneOrMany {
    One(i64),
    Many(Vec<i64>),
}

impl Folder {
    /// Reads the folder, to be run by `provider`.
    pub(super) fn read(path: &Path, provider: Provider) -> Result<Self, LoadError> {
        if !path.is_dir() {
            return Err(LoadError::Missing {
                file: path.into(),
                remedy: LAYOUT,
            });
        }
        let config: Config = json(&path.join("config.json"))?;
        check_config(&path.join("config.json"), &config)?;
        let generation = json(&path.join("generation_config.json"))?;
        check_preprocessor(&path.join("preprocessor_config.json"), &config)?;
        let own: PresselFile = optional_json(&path.join("pressel.json"))?.unwrap_or_default();
        let window = WindowPolicy::new(&own);
        let vocabulary = vocabulary(&path.join("tokenizer.json"), config.vocab_size)?;
        let files = graphs(path, provider)?;
        if files.prepared {
            check_format(&path.join("pressel.json"), own.prepared.as_ref())?;
        }
        let folder = Self {
            path: path.into(),
            config,
            generation,
            vocabulary,
            window,
            canary: own.canary,
            unknown_below: own.unknown_below,
            prepared: files.prepared,
            encoder: files.encoder,
            decoder: files.decoder,
        };
        matching::check(&folder)?;
        Ok(folder)
    }

    /// Returns the token that begins a transcript.
    pub(super) fn start_token(&self) -> Result<i64, LoadError> {
        let token = self.generation.decoder_start_token_id;
        let token = token.or(self.config.decoder_start_token_id);
        self.known(
            "decoder_start_token_id",
            token.or_else(|| self.id("<|startoftranscript|>")),
        )
    }

    /// Returns the tokens that end a transcript.
    pub(super) fn end_tokens(&self) -> Result<Vec<i64>, LoadError> {
        let listed = self
            .generation
            .eos_token_id
            .clone()
            .or(self.config.eos_token_id.clone());
        match listed {
            Some(OneOrMany::Many(tokens)) if !tokens.is_empty() => tokens
                .into_iter()
                .map(|token| self.known("eos_token_id", Some(token)))
                .collect(),
            Some(OneOrMany::One(token)) => Ok(vec![self.known("eos_token_id", Some(token))?]),
            _ => Ok(vec![self.known("eos_token_id", self.id("<|endoftext|>"))?]),
        }
    }

    /// Returns the number of the token written `token`, if the vocabulary has it.
    pub(super) fn id(&self, token: &str) -> Option<i64> {
        self.vocabulary.id(token).map(i64::from)
    }

    /// Returns `token` when it is there and in the vocabulary.
    pub(super) fn known(&self, key: &'static str, token: Option<i64>) -> Result<i64, LoadError> {
        let problem = match token {
            Some(token) if self.in_vocabulary(token) => return Ok(token),
            Some(token) => format!(
                "{token} is outside of the {} tokens",
                self.config.vocab_size
            ),
            None => "is missing".into(),
        };
        Err(self.wrong(key, problem))
    }

    /// Returns true when the model can say `token`.
    pub(super) fn in_vocabulary(&self, token: i64) -> bool {
        usize::try_from(token).is_ok_and(|token| token < self.config.vocab_size)
    }

    /// Returns the error of a bad value in `generation_config.json`.
    pub(super) fn wrong(&self, key: &'static str, problem: String) -> LoadError {
        LoadError::Config {
            file: self.path.join("generation_config.json"),
            key,
            problem,
        }
    }
}

/// Returns whether the model in `folder` can say when it heard what: its vocabulary goes on behind
/// the token for no timestamps. Loads nothing; false for a folder that cannot be read.
#[must_use]
pub fn has_timestamps(folder: &Path) -> bool {
    let config = json::<Config>(&folder.join("config.json"));
    let generation = json::<Generation>(&folder.join("generation_config.json"));
    let (Ok(config), Ok(generation)) = (config, generation) else {
        return false;
    };
    let quiet = generation.no_timestamps_token_id;
    let first = quiet.and_then(|quiet| usize::try_from(quiet).ok()?.checked_add(1));
    first.is_some_and(|first| first < config.vocab_size)
}

/// Returns whether the model in `folder` learnt on Whisper's windows of 30 s: its `pressel.json`
/// names no shorter speech. Loads nothing; true for a folder that cannot be read.
#[must_use]
pub fn learnt_on_windows(folder: &Path) -> bool {
    let own = optional_json::<PresselFile>(&folder.join("pressel.json"));
    let policy = WindowPolicy::new(&own.ok().flatten().unwrap_or_default());
    FRAMES_MAX <= policy.speech_frames_max
}

/// Returns whether `folder` holds graphs that `pressel models prepare` made. Loads nothing.
#[must_use]
pub fn is_prepared(folder: &Path) -> bool {
    pair(folder, PREPARED, "").is_some()
}

fn json<T: DeserializeOwned>(file: &Path) -> Result<T, LoadError> {
    optional_json(file)?.ok_or(LoadError::Missing {
        file: file.into(),
        remedy: LAYOUT,
    })
}

fn optional_json<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, LoadError> {
    if !file.exists() {
        return Ok(None);
    }
    let broken = |problem: String| LoadError::Json {
        file: file.into(),
        problem,
    };
    let bytes = fs::read(file).map_err(|error| broken(error.to_string()))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| broken(error.to_string()))
}

fn check_config(file: &Path, config: &Config) -> Result<(), LoadError> {
    let wrong = |key, problem: String| {
        Err(LoadError::Config {
            file: file.into(),
            key,
            problem,
        })
    };
    if config.model_type != "whisper" {
        return wrong(
            "model_type",
            format!("is {}, not whisper", config.model_type),
        );
    }
    if ![80, 128].contains(&config.num_mel_bins) {
        return wrong(
            "num_mel_bins",
            format!("{} is neither 80 nor 128", config.num_mel_bins),
        );
    }
    let heads = config.decoder_attention_heads;
    if heads == 0 || config.d_model == 0 || !config.d_model.is_multiple_of(heads) {
        return wrong(
            "decoder_attention_heads",
            format!("{heads} does not divide d_model"),
        );
    }
    if config.decoder_layers == 0 || config.vocab_size == 0 || config.max_target_positions == 0 {
        return wrong(
            "decoder_layers",
            "or vocab_size or max_target_positions is 0".into(),
        );
    }
    for (key, found, most) in [
        ("d_model", config.d_model, WIDTH_MAX),
        ("decoder_layers", config.decoder_layers, LAYERS_MAX),
        ("decoder_attention_heads", heads, HEADS_MAX),
        ("vocab_size", config.vocab_size, VOCABULARY_MAX),
        (
            "max_target_positions",
            config.max_target_positions,
            CONTEXT_MAX,
        ),
    ] {
        if most < found {
            return wrong(key, format!("{found} is more than {most}"));
        }
    }
    let positions = config.max_source_positions;
    if positions == 0 || FRAMES_MAX / 2 < positions {
        return wrong(
            "max_source_positions",
            format!("{positions} is not 1 to 1500"),
        );
    }
    Ok(())
}

/// Graphs of another version of this program are refused. Those that nobody marked are checked by
/// their tensors alone.
fn check_format(file: &Path, found: Option<&Preparation>) -> Result<(), LoadError> {
    match found {
        Some(found) if found.format != PREPARED_FORMAT => Err(LoadError::Config {
            file: file.into(),
            key: "prepared.format",
            problem: format!(
                "is {}, this program runs {PREPARED_FORMAT}: run `pressel models prepare` again",
                found.format
            ),
        }),
        _ => Ok(()),
    }
}

/// The spectrogram is computed in code: a folder that wants another one is refused.
fn check_preprocessor(file: &Path, config: &Config) -> Result<(), LoadError> {
    let Some(found) = optional_json::<Preprocessor>(file)? else {
        return Ok(());
    };
    let pairs = [
        ("feature_size", found.feature_size, config.num_mel_bins),
        ("sampling_rate", found.sampling_rate, RATE_HZ),
        ("n_fft", found.n_fft, FFT_SAMPLES),
        ("hop_length", found.hop_length, HOP_SAMPLES),
    ];
    for (key, found, expected) in pairs {
        if let Some(found) = found.filter(|&found| found != expected) {
            let problem = format!("is {found}, Whisper's is {expected}");
            return Err(LoadError::Config {
                file: file.into(),
                key,
                problem,
            });
        }
    }
    Ok(())
}

fn vocabulary(file: &Path, vocab_size: usize) -> Result<Vocabulary, LoadError> {
    if file.is_file() {
        Vocabulary::read(file, vocab_size)
    } else {
        Err(LoadError::Missing {
            file: file.into(),
            remedy: LAYOUT,
        })
    }
}

/// The ONNX files of a folder.
struct Files {
    prepared: bool,
    encoder: PathBuf,
    decoder: PathBuf,
}

/// Finds both ONNX files: the prepared pair, the plain one, or the quantized one.
///
/// The prepared pair is for the CPU: its operators and its bound memory are. Elsewhere the others
/// go first.
fn graphs(path: &Path, provider: Provider) -> Result<Files, LoadError> {
    let prepared = pair(path, PREPARED, "");
    if provider == Provider::Cpu
        && let Some(files) = prepared
    {
        return Ok(files);
    }
    if let Some(files) = ["", "_quantized"]
        .iter()
        .find_map(|suffix| pair(path, STOCK, suffix))
    {
        return Ok(files);
    }
    if prepared.is_some() {
        let problem = format!(
            "{} holds graphs prepared for the CPU only; lay the stock export beside them",
            path.display()
        );
        return Err(LoadError::Provider {
            name: provider.name(),
            problem,
        });
    }
    Err(lacking(path))
}

/// Finds a pair of ONNX files in the folder or in its folder `onnx`.
fn pair(path: &Path, names: [&str; 2], suffix: &str) -> Option<Files> {
    let [encoder, decoder] = names.map(|name| found(path, &format!("{name}{suffix}.onnx")));
    Some(Files {
        prepared: names == PREPARED,
        encoder: encoder?,
        decoder: decoder?,
    })
}

fn found(path: &Path, file: &str) -> Option<PathBuf> {
    let homes = [path.to_path_buf(), path.join("onnx")];
    let mut files = homes.iter().map(|home| home.join(file));
    files.find(|file| file.is_file())
}

/// Says which ONNX file is missing.
fn lacking(path: &Path) -> LoadError {
    let is_there = |file| found(path, file).is_some();
    let again = "the model is half prepared: run `pressel models prepare` again";
    let (name, remedy) = if is_there("encoder.onnx") {
        ("decoder.onnx", again)
    } else if is_there("decoder.onnx") {
        ("encoder.onnx", again)
    } else if !is_there("encoder_model.onnx") && !is_there("encoder_model_quantized.onnx") {
        ("encoder_model.onnx", LAYOUT)
    } else if path.join("decoder_model.onnx").is_file() {
        let remedy = "export with optimum's merged decoder (with past)";
        ("decoder_model_merged.onnx", remedy)
    } else {
        ("decoder_model_merged.onnx", LAYOUT)
    };
    LoadError::Missing {
        file: path.join(name),
        remedy,
    }
}
