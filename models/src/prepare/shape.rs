//! The sizes of a Whisper, and the parameters that follow from them.
//!
//! Flow: `config.json` -> [`Shape`] -> the names and shapes of all parameters. On the thread that
//! prepares a model.

use std::{fs, path::Path};

use serde::Deserialize;

use super::weights::Side;
use crate::{LoadError, mel::FRAMES_MAX};

/// Sizes that no Whisper has: large has a width of 1280 and 32 layers. Hit: the folder is refused.
const WIDTH_MAX: usize = 8192;
const LAYERS_MAX: usize = 128;
const VOCABULARY_MAX: usize = 1 << 20;

/// Head sizes of the operator that keeps the cache are multiples of this.
const HEAD_STEP: usize = 8;

/// The keys of `config.json` that matter here.
#[derive(Deserialize)]
struct Config {
    model_type: String,
    d_model: usize,
    encoder_layers: usize,
    decoder_layers: usize,
    encoder_attention_heads: usize,
    decoder_attention_heads: usize,
    encoder_ffn_dim: usize,
    decoder_ffn_dim: usize,
    num_mel_bins: usize,
    vocab_size: usize,
    max_source_positions: usize,
    max_target_positions: usize,
    #[serde(default)]
    scale_embedding: bool,
    #[serde(default = "gelu")]
    activation_function: String,
}

fn gelu() -> String {
    "gelu".into()
}

/// The sizes of a Whisper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) width: usize,
    pub(super) encoder_layers: usize,
    pub(super) decoder_layers: usize,
    pub(super) heads: usize,
    pub(super) encoder_inner: usize,
    pub(super) decoder_inner: usize,
    pub(super) bins: usize,
    pub(super) vocabulary: usize,
    /// Positions of the encoder: two frames each.
    pub(super) positions: usize,
    /// Positions of the decoder: the cache's length.
    pub(super) context: usize,
}

/// A parameter that a Whisper has.
#[derive(Debug)]
pub(super) struct Parameter {
    /// Its name without the side: `layers.0.fc1.weight`.
    pub(super) name: String,
    /// Its shape in Hugging Face's order.
    pub(super) dims: Vec<usize>,
    /// Not every Whisper has it.
    pub(super) is_optional: bool,
}

impl Shape {
    /// Reads `config.json`.
    pub(super) fn read(file: &Path) -> Result<Self, LoadError> {
        let broken = |problem: String| LoadError::Json {
            file: file.into(),
            problem,
        };
        let bytes = fs::read(file).map_err(|error| broken(error.to_string()))?;
        let config: Config =
            serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        if let Some((key, problem)) = wrong(&config) {
            return Err(LoadError::Config {
                file: file.into(),
                key,
                problem,
            });
        }
        Ok(Self {
            width: config.d_model,
            encoder_layers: config.encoder_layers,
            decoder_layers: config.decoder_layers,
            heads: config.decoder_attention_heads,
            encoder_inner: config.encoder_ffn_dim,
            decoder_inner: config.decoder_ffn_dim,
            bins: config.num_mel_bins,
            vocabulary: config.vocab_size,
            positions: config.max_source_positions,
            context: config.max_target_positions,
        })
    }

    /// Returns the size of a head.
    pub(super) fn head(&self) -> usize {
        self.width / self.heads
    }

    /// Returns the size of a head in the decoder's cache: the next that its operator takes.
    pub(super) fn cache_head(&self) -> usize {
        self.head().next_multiple_of(HEAD_STEP)
    }

    /// Returns the parameters of one side, in the order of the layers.
    pub(super) fn parameters(&self, side: Side) -> Vec<Parameter> {
        let (layers, inner) = match side {
            Side::Encoder => (self.encoder_layers, self.encoder_inner),
            Side::Decoder => (self.decoder_layers, self.decoder_inner),
        };
        let width = self.width;
        let mut list = List::default();
        match side {
            Side::Encoder => {
                list.both("conv1", &[width, self.bins, 3]);
                list.both("conv2", &[width, width, 3]);
                list.one("embed_positions.weight", &[self.positions, width]);
            }
            Side::Decoder => {
                list.one("embed_tokens.weight", &[self.vocabulary, width]);
                list.one("embed_positions.weight", &[self.context, width]);
                list.optional("proj_out.weight", &[self.vocabulary, width]);
            }
        }
        for layer in 0..layers {
            let layer = format!("layers.{layer}");
            list.attention(&format!("{layer}.self_attn"), width);
            if side == Side::Decoder {
                list.attention(&format!("{layer}.encoder_attn"), width);
            }
            list.both(&format!("{layer}.fc1"), &[inner, width]);
            list.both(&format!("{layer}.fc2"), &[width, inner]);
            list.both(&format!("{layer}.final_layer_norm"), &[width]);
        }
        list.both("layer_norm", &[width]);
        list.parameters
    }
}

/// Parameters as they are listed.
#[derive(Default)]
struct List {
    parameters: Vec<Parameter>,
}

impl List {
    fn one(&mut self, name: &str, dims: &[usize]) {
        self.parameters.push(Parameter {
            name: name.into(),
            dims: dims.into(),
            is_optional: false,
        });
    }

    fn optional(&mut self, name: &str, dims: &[usize]) {
        self.one(name, dims);
        if let Some(last) = self.parameters.last_mut() {
            last.is_optional = true;
        }
    }

    /// A weight, and a bias of its first dimension.
    fn both(&mut self, module: &str, dims: &[usize]) {
        self.one(&format!("{module}.weight"), dims);
        self.one(&format!("{module}.bias"), &dims[..1]);
    }

    /// An attention, and the norm before it. Whisper's keys have no bias.
    fn attention(&mut self, module: &str, width: usize) {
        for part in ["q_proj", "v_proj", "out_proj"] {
            self.both(&format!("{module}.{part}"), &[width, width]);
        }
        self.one(&format!("{module}.k_proj.weight"), &[width, width]);
        self.both(&format!("{module}_layer_norm"), &[width]);
    }
}

/// Returns the key that cannot be, with what is wrong with it.
fn wrong(config: &Config) -> Option<(&'static str, String)> {
    let sizes = [
        ("d_model", config.d_model, WIDTH_MAX),
        ("encoder_layers", config.encoder_layers, LAYERS_MAX),
        ("decoder_layers", config.decoder_layers, LAYERS_MAX),
        (
            "decoder_attention_heads",
            config.decoder_attention_heads,
            WIDTH_MAX,
        ),
        ("encoder_ffn_dim", config.encoder_ffn_dim, 8 * WIDTH_MAX),
        ("decoder_ffn_dim", config.decoder_ffn_dim, 8 * WIDTH_MAX),
        ("vocab_size", config.vocab_size, VOCABULARY_MAX),
        (
            "max_source_positions",
            config.max_source_positions,
            FRAMES_MAX / 2,
        ),
        (
            "max_target_positions",
            config.max_target_positions,
            WIDTH_MAX,
        ),
    ];
    if config.model_type != "whisper" {
        return Some((
            "model_type",
            format!("is {}, not whisper", config.model_type),
        ));
    }
    for (key, size, most) in sizes {
        if size == 0 || most < size {
            return Some((key, format!("{size} is not 1 to {most}")));
        }
    }
    if ![80, 128].contains(&config.num_mel_bins) {
        let problem = format!("{} is neither 80 nor 128", config.num_mel_bins);
        return Some(("num_mel_bins", problem));
    }
    let heads = config.decoder_attention_heads;
    if !config.d_model.is_multiple_of(heads) {
        return Some((
            "decoder_attention_heads",
            format!("{heads} does not divide d_model"),
        ));
    }
    if config.encoder_attention_heads != heads {
        return Some((
            "encoder_attention_heads",
            format!("is not the decoder's {heads}"),
        ));
    }
    if config.activation_function != "gelu" {
        let problem = format!("{} is not gelu", config.activation_function);
        return Some(("activation_function", problem));
    }
    let scaled = "true is not what any Whisper has".to_owned();
    config
        .scale_embedding
        .then_some(("scale_embedding", scaled))
}
