//! Prepared and stock graphs, run as plainly as can be: to compare them, not to be fast.
//!
//! Flow: features and tokens -> sessions of ONNX Runtime, one at a time -> logits. On the thread
//! that prepares a model, and in tests.

use std::{borrow::Cow, collections::HashMap, fs::File, os::unix::fs::FileExt, path::Path};

use ort::{
    memory::Allocator,
    session::{RunOptions, Session, SessionInputValue},
    value::{DynValue, PrimitiveTensorElementType, Tensor, ValueType},
};

use super::{DECODER, EMBEDDING_FILE, ENCODER, shape::Shape, tensor::half};
use crate::{Provider, Runtime, error::one_line, runtime::SessionSettings};

/// Values by name, on their way from one graph to another.
type Values = HashMap<String, DynValue>;

/// What graphs are run with.
#[derive(Clone, Copy)]
pub(super) struct Runner<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) shape: &'a Shape,
    /// Ends a run from another thread.
    pub(super) options: &'a RunOptions,
}

/// Runs the prepared graphs of `folder` over features `[bins, frames]`. The tokens are read in as
/// many calls as `calls` has sizes. Returns logits `[tokens, vocabulary]`.
pub(super) fn prepared_logits(
    runner: Runner<'_>,
    folder: &Path,
    features: Vec<f32>,
    tokens: &[i64],
    calls: &[usize],
) -> Result<Vec<f32>, String> {
    let shape = runner.shape;
    let mut encoder = runner.open(&folder.join(format!("{ENCODER}.onnx")))?;
    let mut values = runner.hear(&mut encoder, features)?;
    drop(encoder);
    let mut decoder = runner.open(&folder.join(format!("{DECODER}.onnx")))?;
    let cache = [1, shape.heads, shape.context, shape.cache_head()];
    let caches = || {
        (0..shape.decoder_layers)
            .flat_map(|layer| ["key", "value"].map(|part| format!("{layer}.{part}")))
    };
    for name in caches() {
        let empty = vec![0.0_f32; cache.iter().product()];
        values.insert(format!("self.{name}"), tensor(&cache, empty)?);
    }
    let mut logits = Vec::new();
    let mut past = 0;
    for &call in calls {
        let tokens = tokens.get(past..past + call).ok_or("has no more tokens")?;
        values.insert("embedded".into(), embedded(folder, shape, tokens, past)?);
        logits.extend(runner.feed(&mut decoder, &mut values, tokens.len(), past)?);
        for name in caches() {
            let out = values.remove(&format!("self_out.{name}"));
            values.insert(format!("self.{name}"), out.ok_or("no cache came out")?);
        }
        past += call;
    }
    if logits.len() == past * shape.vocabulary {
        Ok(logits)
    } else {
        Err(format!("{} logits came out", logits.len()))
    }
}

impl Runner<'_> {
    fn open(&self, file: &Path) -> Result<Session, String> {
        let settings = SessionSettings {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            spin: false,
            provider: Provider::Cpu,
        };
        let session = self.runtime.session(file, settings);
        session.map_err(|error| error.to_string())
    }

    /// Runs an encoder.
    fn hear(&self, session: &mut Session, features: Vec<f32>) -> Result<Values, String> {
        let frames = features.len() / self.shape.bins;
        let features = tensor(&[1, self.shape.bins, frames], features)?;
        self.run(session, vec![("input_features".into(), features.into())])
    }

    /// Reads `count` tokens behind `past` others; returns their logits, and leaves what is needed
    /// to go on.
    fn feed(
        &self,
        session: &mut Session,
        values: &mut Values,
        count: usize,
        past: usize,
    ) -> Result<Vec<f32>, String> {
        let whole = |number: usize| i64::try_from(number).unwrap_or(0);
        let half = |number: usize| i32::try_from(number).unwrap_or(0);
        let rows = (0..count).map(whole).collect();
        values.insert("rows".into(), tensor(&[count], rows)?);
        let total = past + count;
        values.insert("last_position".into(), tensor(&[1], vec![half(total - 1)])?);
        values.insert("total_positions".into(), tensor(&[1], vec![half(total)])?);
        let inputs = values.iter();
        let inputs = inputs.map(|(name, value)| (Cow::from(name), value.into()));
        let mut outputs = self.run(session, inputs.collect())?;
        let logits = floats(&outputs.remove("logits").ok_or("no logits came out")?)?;
        values.retain(|name, _| name.starts_with("cross."));
        outputs.remove("hidden");
        values.extend(outputs);
        Ok(logits)
    }

    fn run(
        &self,
        session: &mut Session,
        inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)>,
    ) -> Result<Values, String> {
        let outputs = session
            .run_with_options(inputs, self.options)
            .map_err(said)?;
        let outputs = outputs.into_iter();
        Ok(outputs
            .map(|(name, value)| (name.to_owned(), value))
            .collect())
    }
}

/// A stock export.
pub(super) struct Stock<'a> {
    pub(super) runner: Runner<'a>,
    pub(super) encoder: &'a Path,
    pub(super) decoder: &'a Path,
}

impl Stock<'_> {
    /// Returns the number of frames of an encoder that takes no other.
    pub(super) fn fixed_frames(&self) -> Result<Option<usize>, String> {
        let encoder = self.runner.open(self.encoder)?;
        let input = encoder
            .inputs()
            .iter()
            .find(|input| input.name() == "input_features");
        let ValueType::Tensor { shape, .. } = input.ok_or("hears no features")?.dtype() else {
            return Ok(None);
        };
        let frames = shape
            .get(2)
            .and_then(|&frames| usize::try_from(frames).ok());
        Ok(frames.filter(|&frames| 0 < frames))
    }

    /// Runs the graphs over features `[bins, frames]`; returns logits `[tokens, vocabulary]`.
    pub(super) fn logits(&self, features: &[f32], tokens: &[i64]) -> Result<Vec<f32>, String> {
        let shape = self.runner.shape;
        let mut encoder = self.runner.open(self.encoder)?;
        let mut hidden = self.runner.hear(&mut encoder, features.to_vec())?;
        drop(encoder);
        let hidden = hidden.remove("last_hidden_state");
        let mut decoder = self.runner.open(self.decoder)?;
        let mut inputs: Vec<(Cow<'_, str>, DynValue)> = vec![
            (
                "input_ids".into(),
                tensor(&[1, tokens.len()], tokens.to_vec())?,
            ),
            (
                "encoder_hidden_states".into(),
                hidden.ok_or("no hidden states came out")?,
            ),
        ];
        for input in decoder.inputs() {
            let name = input.name().to_owned();
            if name == "use_cache_branch" {
                inputs.push((name.into(), tensor(&[1], vec![false])?));
            } else if name.starts_with("past_key_values.") {
                let empty = [1, shape.heads, 0, shape.head()];
                let empty = Tensor::<f32>::new(&Allocator::default(), empty).map_err(said)?;
                inputs.push((name.into(), empty.into_dyn()));
            }
        }
        let inputs = inputs.into_iter().map(|(name, value)| (name, value.into()));
        let mut outputs = self.runner.run(&mut decoder, inputs.collect())?;
        let logits = floats(&outputs.remove("logits").ok_or("no logits came out")?)?;
        if logits.len() == tokens.len() * shape.vocabulary {
            Ok(logits)
        } else {
            Err(format!(
                "{} logits came out of the stock model",
                logits.len()
            ))
        }
    }
}

/// Returns what the decoder takes for these tokens behind `past` others.
fn embedded(folder: &Path, shape: &Shape, tokens: &[i64], past: usize) -> Result<DynValue, String> {
    let file = File::open(folder.join(EMBEDDING_FILE)).map_err(said)?;
    let positions_bytes = shape.context * shape.width * 4;
    let length = usize::try_from(file.metadata().map_err(said)?.len()).map_err(said)?;
    let tokens_bytes = length
        .checked_sub(positions_bytes)
        .ok_or("the embedding is short")?;
    // Two bytes for each value, or four.
    let row_bytes = tokens_bytes / shape.vocabulary;
    let mut values = Vec::new();
    for (position, &token) in (past..).zip(tokens) {
        let token = usize::try_from(token).map_err(said)?;
        let mut row = vec![0; row_bytes];
        file.read_exact_at(&mut row, (token * row_bytes) as u64)
            .map_err(said)?;
        let mut place = vec![0; shape.width * 4];
        let at = tokens_bytes + position * place.len();
        file.read_exact_at(&mut place, at as u64).map_err(said)?;
        let row: Vec<f32> = if row_bytes == shape.width * 2 {
            row.as_chunks().0.iter().map(|bytes| half(*bytes)).collect()
        } else {
            row.as_chunks()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect()
        };
        let place = place
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes));
        values.extend(row.iter().zip(place).map(|(token, place)| token + place));
    }
    tensor(&[1, tokens.len(), shape.width], values)
}

fn tensor<T: PrimitiveTensorElementType + Clone + core::fmt::Debug + 'static>(
    dims: &[usize],
    values: Vec<T>,
) -> Result<DynValue, String> {
    let tensor = Tensor::from_array((dims.to_vec(), values)).map_err(said)?;
    Ok(tensor.into_dyn())
}

fn floats(value: &DynValue) -> Result<Vec<f32>, String> {
    let (_, values) = value.try_extract_tensor::<f32>().map_err(said)?;
    Ok(values.to_vec())
}

fn said(error: impl core::fmt::Display) -> String {
    one_line(&error.to_string())
}
