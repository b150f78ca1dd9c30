//! The weights of a Whisper, by the names that Hugging Face gives them.
//!
//! Flow: the ONNX files of a stock export -> [`Weights`]: each parameter with its place -> rows of
//! `f32`. On the thread that prepares a model. A parameter has the shape that the configuration
//! asks for, and its values are finite, or there is an error that names it.

use std::collections::HashMap;

use super::{
    PrepareError,
    find::{Found, find},
    shape::Shape,
    tensor::{OnnxFile, Tensor},
};
use crate::LoadError;

/// Values that are in memory at a time: 1 MiB.
const PIECE_VALUES: usize = 256 * 1024;

/// Nodes of graphs whose weights are not there in fp32.
const QUANTIZED: [&str; 7] = [
    "ConvInteger",
    "DequantizeLinear",
    "DynamicQuantizeMatMul",
    "MatMulIntegerToFloat",
    "MatMulNBits",
    "QLinearMatMul",
    "MatMulInteger",
];

/// What is done with a row and its number.
type EachRow<'a> = &'a mut dyn FnMut(usize, &[f32]) -> Result<(), PrepareError>;

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Encoder,
    Decoder,
}

/// One parameter.
#[derive(Clone, Debug)]
pub(super) struct Weight {
    pub(super) tensor: Tensor,
    /// A matrix is stored `[inputs, outputs]`; Hugging Face's own order is `[outputs, inputs]`.
    pub(super) transposed: bool,
    /// Scale and zero point of an int8 matrix, one value or one for each column.
    pub(super) quantized: Option<(Tensor, Option<Tensor>)>,
}

/// All parameters of a model, still in their files.
pub(super) struct Weights {
    encoder: OnnxFile,
    decoder: OnnxFile,
    found: HashMap<String, (Side, Weight)>,
}

impl Weights {
    /// Finds all parameters that the configuration asks for.
    pub(super) fn find(
        encoder: OnnxFile,
        decoder: OnnxFile,
        shape: &Shape,
    ) -> Result<Self, PrepareError> {
        let mut found = HashMap::new();
        for (side, file) in [(Side::Encoder, &encoder), (Side::Decoder, &decoder)] {
            let wanted = shape.parameters(side);
            let mut weights = best(file, side, shape);
            for parameter in wanted {
                let weight = weights.remove(&parameter.name);
                let Some(weight) = weight else {
                    if parameter.is_optional {
                        continue;
                    }
                    return Err(missing(file, &parameter.name));
                };
                check_shape(file, &parameter.name, &weight, &parameter.dims)?;
                found.insert(side.full_name(&parameter.name), (side, weight));
            }
        }
        let weights = Self {
            encoder,
            decoder,
            found,
        };
        weights.check_tied(shape)?;
        Ok(weights)
    }

    /// Returns a parameter, named `encoder.…` or `decoder.…`.
    pub(super) fn get(&self, name: &str) -> Option<&Weight> {
        self.found.get(name).map(|(_, weight)| weight)
    }

    /// Gives each row of a parameter, with its number. A vector is one row; a tensor of more
    /// dimensions has rows of its first.
    pub(super) fn rows(&self, name: &str, each: EachRow<'_>) -> Result<(), PrepareError> {
        let (side, weight) = self.found.get(name).ok_or_else(|| {
            let side = Side::Decoder;
            PrepareError::Source(self.file(side).wrong(name, "is not in the export".into()))
        })?;
        let file = self.file(*side);
        let tensor = &weight.tensor;
        let columns = match tensor.dims.as_slice() {
            [] => 1,
            [length] => *length,
            [_, rest @ ..] => rest.iter().product(),
        };
        if columns == 0 {
            return Ok(());
        }
        let scale = self.scale(file, weight, columns)?;
        let rows = tensor.elements() / columns;
        let step = (PIECE_VALUES / columns).max(1);
        let mut values = Vec::new();
        for first in (0..rows).step_by(step) {
            let last = (first + step).min(rows);
            file.read(tensor, first * columns..last * columns, &mut values)?;
            if !values.iter().all(|value| value.is_finite()) {
                let problem = "holds NaN or infinity: fetch the model again".into();
                return Err(file
                    .wrong(&format!("{name} ({})", tensor.name), problem)
                    .into());
            }
            for (row, values) in (first..last).zip(values.chunks_exact_mut(columns)) {
                scale.apply(values);
                each(row, values)?;
            }
        }
        Ok(())
    }

    /// Gives each row as [`rows`](Self::rows) does, in Hugging Face's order. A matrix that is
    /// stored the other way round is in memory meanwhile.
    pub(super) fn rows_in_order(
        &self,
        name: &str,
        each: &mut dyn FnMut(&[f32]) -> Result<(), PrepareError>,
    ) -> Result<(), PrepareError> {
        let dims = match self.get(name) {
            Some(weight) if weight.transposed => weight.tensor.dims.clone(),
            _ => return self.rows(name, &mut |_, values| each(values)),
        };
        let [inputs, outputs] = dims[..] else {
            return self.rows(name, &mut |_, values| each(values));
        };
        let mut turned = vec![0.0; inputs * outputs];
        self.rows(name, &mut |input, values| {
            for (output, &value) in values.iter().enumerate() {
                turned[output * inputs + input] = value;
            }
            Ok(())
        })?;
        turned.chunks_exact(inputs).try_for_each(each)
    }

    fn file(&self, side: Side) -> &OnnxFile {
        match side {
            Side::Encoder => &self.encoder,
            Side::Decoder => &self.decoder,
        }
    }

    fn scale(
        &self,
        file: &OnnxFile,
        weight: &Weight,
        columns: usize,
    ) -> Result<Scale, PrepareError> {
        let mut scale = Scale::default();
        let Some((factor, zero)) = &weight.quantized else {
            return Ok(scale);
        };
        for (tensor, into) in [
            (Some(factor), &mut scale.factor),
            (zero.as_ref(), &mut scale.zero),
        ] {
            let Some(tensor) = tensor else { continue };
            file.read(tensor, 0..tensor.elements(), into)?;
            let fits = [1, columns].contains(&into.len());
            if !fits || !into.iter().all(|value| value.is_finite()) {
                let problem = "is no scale or zero point of its matrix".into();
                return Err(file.wrong(&tensor.name, problem).into());
            }
            if into.len() == 1 {
                *into = vec![into[0]; columns];
            }
        }
        Ok(scale)
    }

    /// Checks that the matrix that makes logits is the embedding, as in all Whispers; some exports
    /// hold it twice. Compares some values of every token.
    fn check_tied(&self, shape: &Shape) -> Result<(), PrepareError> {
        let (Some(head), Some(embedding)) = (self.get(HEAD), self.get(EMBEDDING)) else {
            return Ok(());
        };
        if head.tensor == embedding.tensor {
            return Ok(());
        }
        let samples = [0, shape.width / 3, shape.width - 1];
        let mut values = Vec::new();
        self.rows(EMBEDDING, &mut |_, row| {
            values.extend(samples.map(|sample| row[sample]));
            Ok(())
        })?;
        let mut differs = false;
        self.rows(HEAD, &mut |row, found| {
            if head.transposed {
                let Some(at) = samples.iter().position(|&sample| sample == row) else {
                    return Ok(());
                };
                let wanted = values.iter().skip(at).step_by(samples.len());
                differs |= !found.iter().eq(wanted);
            } else {
                let found = samples.map(|sample| found[sample]);
                differs |= values[row * samples.len()..][..samples.len()] != found;
            }
            Ok(())
        })?;
        if !differs {
            return Ok(());
        }
        let problem = "is not the embedding: such a Whisper is not known here".into();
        let name = format!("proj_out.weight ({})", head.tensor.name);
        Err(self.decoder.wrong(&name, problem).into())
    }

    /// Returns true when a matrix is not there in fp32.
    pub(super) fn is_quantized(&self) -> bool {
        let mut weights = self.found.values();
        weights.any(|(_, weight)| weight.quantized.is_some())
    }
}

/// The embedding of tokens.
pub(super) const EMBEDDING: &str = "decoder.embed_tokens.weight";
/// The matrix that makes logits.
const HEAD: &str = "decoder.proj_out.weight";

impl Side {
    /// Returns a parameter's name with that of the side before it.
    pub(super) fn full_name(self, name: &str) -> String {
        match self {
            Self::Encoder => format!("encoder.{name}"),
            Self::Decoder => format!("decoder.{name}"),
        }
    }
}

/// How an int8 matrix becomes numbers, column by column; empty for one of numbers.
#[derive(Default)]
struct Scale {
    factor: Vec<f32>,
    zero: Vec<f32>,
}

impl Scale {
    fn apply(&self, values: &mut [f32]) {
        for (value, zero) in values.iter_mut().zip(&self.zero) {
            *value -= zero;
        }
        for (value, factor) in values.iter_mut().zip(&self.factor) {
            *value *= factor;
        }
    }
}

/// Finds the parameters in the graph; in a merged decoder, in the branch that has more of them.
fn best(file: &OnnxFile, side: Side, shape: &Shape) -> Found {
    let positions = match side {
        Side::Encoder => shape.positions,
        Side::Decoder => shape.context,
    };
    let find = |branch| find(&file.graph, branch, [positions, shape.width]);
    let mut best = find(None);
    for branch in file.graph.branches() {
        let found = find(Some(branch));
        if best.len() < found.len() {
            best = found;
        }
    }
    best
}

fn missing(file: &OnnxFile, name: &str) -> PrepareError {
    if file
        .graph
        .any(&|node| QUANTIZED.contains(&node.operator.as_str()))
    {
        return PrepareError::Quantized {
            file: file.path.clone(),
        };
    }
    let problem = "is not in the file: take a Whisper export by optimum".into();
    file.wrong(name, problem).into()
}

fn check_shape(
    file: &OnnxFile,
    name: &str,
    weight: &Weight,
    expected: &[usize],
) -> Result<(), PrepareError> {
    let mut dims: &[usize] = &weight.tensor.dims;
    while let [1, rest @ ..] = dims
        && expected.len() < dims.len()
    {
        dims = rest;
    }
    let mut expected = expected.to_vec();
    if weight.transposed {
        expected.reverse();
    }
    if dims == expected {
        return Ok(());
    }
    let problem = format!(
        "({name}) has the shape {dims:?}, config.json asks for {expected:?}: take all files from \
         one export"
    );
    Err(LoadError::Tensor {
        file: file.path.clone(),
        name: weight.tensor.name.clone(),
        problem,
    }
    .into())
}
