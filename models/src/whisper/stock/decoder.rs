//! The merged decoder with its cache of keys and values.
//!
//! Flow: tokens and the encoder's hidden states -> logits of the next token. In the worker process.
//! The graph holds two branches: the first call reads the whole prompt without a cache, the later
//! ones read one token with it. Trap: with the cache the `present.*.encoder.*` outputs are dummies,
//! so those of the first call are kept.

use std::{borrow::Cow, path::Path};

use ort::{
    memory::Allocator,
    session::{RunOptions, Session, SessionInputValue, SessionOutputs},
    value::{DynValue, Tensor, TensorRef},
};

use super::{
    super::folder::Folder,
    encoder::{fits, shape_of},
};
use crate::{
    LoadError, ModelError, Runtime,
    error::one_line,
    runtime::{SessionSettings, run_error},
};

/// The parts of one layer's cache; the first two grow, the last two belong to the audio.
const PARTS: [&str; 4] = [
    "decoder.key",
    "decoder.value",
    "encoder.key",
    "encoder.value",
];
/// How many of [`PARTS`] grow.
const GROWING: usize = 2;

/// A loaded decoder.
pub(in crate::whisper) struct Decoder {
    session: Session,
    vocab_size: usize,
    /// One entry for each part of each layer, in the order of `slots`.
    past_names: Vec<String>,
    present_names: Vec<String>,
    cache: Vec<DynValue>,
    /// Shape: `[1, heads, 0, head size]`.
    empty: Tensor<f32>,
    without_cache: Tensor<bool>,
    with_cache: Tensor<bool>,
    /// Logits after the last token.
    logits: Vec<f32>,
    /// Logits after the marked token.
    marked: Vec<f32>,
}

impl Decoder {
    /// Loads the decoder and checks its tensors against the configuration.
    pub(in crate::whisper) fn load(
        runtime: &Runtime,
        folder: &Folder,
        settings: SessionSettings,
    ) -> Result<Self, LoadError> {
        let (file, config) = (&folder.decoder, &folder.config);
        let session = runtime.session(file, settings)?;
        let heads = config.decoder_attention_heads;
        let head = config.d_model / heads;
        let (past_names, present_names) = names(config.decoder_layers);
        check_fixed_names(&session, file)?;
        let hidden = shape_of(session.inputs(), "encoder_hidden_states", file)?;
        fits(
            &hidden,
            &[None, None, Some(config.d_model)],
            "encoder_hidden_states",
            file,
        )?;
        let logits = shape_of(session.outputs(), "logits", file)?;
        fits(
            &logits,
            &[None, None, Some(config.vocab_size)],
            "logits",
            file,
        )?;
        for name in &past_names {
            let shape = shape_of(session.inputs(), name, file)?;
            fits(&shape, &[None, Some(heads), None, Some(head)], name, file)?;
        }
        for name in &present_names {
            shape_of(session.outputs(), name, file)?;
        }
        check_layers(&session, file, config.decoder_layers)?;
        let made = |error: ort::Error| LoadError::Onnx {
            file: file.clone(),
            problem: one_line(error.message()),
        };
        Ok(Self {
            session,
            vocab_size: config.vocab_size,
            cache: Vec::with_capacity(past_names.len()),
            past_names,
            present_names,
            empty: Tensor::new(&Allocator::default(), [1, heads, 0, head]).map_err(made)?,
            without_cache: Tensor::from_array(([1], vec![false])).map_err(made)?,
            with_cache: Tensor::from_array(([1], vec![true])).map_err(made)?,
            logits: vec![0.0; config.vocab_size],
            marked: Vec::with_capacity(config.vocab_size),
        })
    }

    /// Forgets all tokens.
    pub(in crate::whisper) fn rewind(&mut self) {
        self.cache.clear();
    }

    /// Reads more tokens. The first call after [`Decoder::rewind`] reads them in one run; later
    /// ones one by one, for the branch with the cache is exported for one token.
    pub(in crate::whisper) fn feed(
        &mut self,
        tokens: &[i64],
        marked: Option<usize>,
        hidden: &DynValue,
        options: &RunOptions,
    ) -> Result<(), ModelError> {
        self.marked.clear();
        if self.cache.is_empty() {
            return self.begin(tokens, marked, hidden, options);
        }
        for (place, &token) in tokens.iter().enumerate() {
            self.go_on(token, hidden, options)?;
            if marked == Some(place) {
                self.marked.extend_from_slice(&self.logits);
            }
        }
        Ok(())
    }

    fn begin(
        &mut self,
        prompt: &[i64],
        marked: Option<usize>,
        hidden: &DynValue,
        options: &RunOptions,
    ) -> Result<(), ModelError> {
        let mut outputs = Self::run(
            &mut self.session,
            prompt,
            hidden,
            &self.without_cache,
            self.past_names
                .iter()
                .map(|name| (name.as_str(), (&self.empty).into())),
            options,
        )?;
        for name in &self.present_names {
            self.cache
                .push(outputs.remove(name).ok_or(ModelError::BadOutput)?);
        }
        let rows = rows(&outputs, self.vocab_size)?;
        if rows.len() == prompt.len() * self.vocab_size
            && let Some(place) = marked.filter(|&place| place < prompt.len())
        {
            let row = &rows[place * self.vocab_size..][..self.vocab_size];
            self.marked.extend_from_slice(row);
        }
        self.logits
            .copy_from_slice(&rows[rows.len() - self.vocab_size..]);
        Ok(())
    }

    fn go_on(
        &mut self,
        token: i64,
        hidden: &DynValue,
        options: &RunOptions,
    ) -> Result<(), ModelError> {
        let past = self.past_names.iter().zip(&self.cache);
        let mut outputs = Self::run(
            &mut self.session,
            &[token],
            hidden,
            &self.with_cache,
            past.map(|(name, value)| (name.as_str(), value.into())),
            options,
        )?;
        for (slot, name) in self.present_names.iter().enumerate() {
            if slot % PARTS.len() < GROWING {
                self.cache[slot] = outputs.remove(name).ok_or(ModelError::BadOutput)?;
            }
        }
        let rows = rows(&outputs, self.vocab_size)?;
        self.logits
            .copy_from_slice(&rows[rows.len() - self.vocab_size..]);
        Ok(())
    }

    /// Returns the logits of the next token, to be struck out in place.
    pub(in crate::whisper) fn logits_mut(&mut self) -> &mut [f32] {
        &mut self.logits
    }

    /// Returns the logits after the marked token of the last [`Decoder::feed`], if the graph gives
    /// them.
    pub(in crate::whisper) fn marked_logits(&self) -> Option<&[f32]> {
        (!self.marked.is_empty()).then_some(&self.marked)
    }

    fn run<'s, 'v>(
        session: &'s mut Session,
        tokens: &'v [i64],
        hidden: &'v DynValue,
        use_cache: &'v Tensor<bool>,
        past: impl Iterator<Item = (&'v str, SessionInputValue<'v>)>,
        options: &'s RunOptions,
    ) -> Result<SessionOutputs<'s>, ModelError> {
        let ids = TensorRef::from_array_view(([1, tokens.len()], tokens))
            .map_err(|error| run_error(&error))?;
        let fixed: [(&str, SessionInputValue); 3] = [
            ("input_ids", ids.into()),
            ("encoder_hidden_states", hidden.into()),
            ("use_cache_branch", use_cache.into()),
        ];
        let inputs: Vec<(Cow<str>, SessionInputValue)> = fixed
            .into_iter()
            .chain(past)
            .map(|(name, value)| (name.into(), value))
            .collect();
        session
            .run_with_options(inputs, options)
            .map_err(|error| run_error(&error))
    }
}

/// Returns the logits of all positions, `[positions * vocab_size]`.
fn rows<'o>(outputs: &'o SessionOutputs, vocab_size: usize) -> Result<&'o [f32], ModelError> {
    let logits = outputs.get("logits").ok_or(ModelError::BadOutput)?;
    let (shape, values) = logits
        .try_extract_tensor::<f32>()
        .map_err(|_| ModelError::BadOutput)?;
    let whole = shape.len() == 3 && shape[0] == 1 && 1 <= shape[1];
    if whole && shape[2] == vocab_size as i64 {
        Ok(values)
    } else {
        Err(ModelError::BadOutput)
    }
}

fn names(layers: usize) -> (Vec<String>, Vec<String>) {
    let slots = (0..layers).flat_map(|layer| PARTS.map(|part| format!("{layer}.{part}")));
    slots
        .map(|slot| (format!("past_key_values.{slot}"), format!("present.{slot}")))
        .unzip()
}

fn check_fixed_names(session: &Session, file: &Path) -> Result<(), LoadError> {
    for name in ["input_ids", "encoder_hidden_states", "use_cache_branch"] {
        if !session.inputs().iter().any(|input| input.name() == name) {
            return Err(LoadError::Tensor {
                file: file.into(),
                name: name.into(),
                problem: "is missing: this is not a merged decoder of optimum".into(),
            });
        }
    }
    Ok(())
}

/// A deeper decoder than config.json says would be fed too little.
fn check_layers(session: &Session, file: &Path, layers: usize) -> Result<(), LoadError> {
    let next = format!("past_key_values.{layers}.{}", PARTS[0]);
    if session.inputs().iter().any(|input| input.name() == next) {
        let problem = format!("is beyond config.json's {layers} layers: take one export");
        return Err(LoadError::Tensor {
            file: file.into(),
            name: next,
            problem,
        });
    }
    Ok(())
}
