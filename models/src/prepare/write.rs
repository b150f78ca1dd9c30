//! A planned graph as an ONNX file, and its weights beside it.
//!
//! Flow: [`Plan`] and [`Weights`] -> two files, tensor by tensor. On the thread that prepares a
//! model. Sizes are known beforehand, so that nothing is in memory but the tensor that is being
//! written; the embedding, the largest, goes through in pieces.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use super::{
    PrepareError, Reporter,
    graph::{Content, Plan, Planned},
    linear::Part,
    protobuf::Message,
    quantize,
    tensor::to_half,
    weights::Weights,
};
use crate::onnx::message;

/// What is told of at a time.
const STEP_BYTES: usize = 1 << 20;
/// Data begins at multiples of this: what the widest vector instructions like.
const ALIGN_BYTES: u64 = 64;

impl Plan {
    /// Returns the bytes of the weights.
    pub(super) fn bytes(&self) -> u64 {
        self.outside().map(Planned::bytes).sum()
    }

    fn outside(&self) -> impl Iterator<Item = &Planned> {
        self.tensors.iter().filter(|tensor| !tensor.is_inside())
    }

    /// Writes the graph as `NAME.onnx` and its weights as `NAME.data` beside it, which ONNX Runtime
    /// maps into memory; lets the disk have them. Returns the bytes of both.
    pub(super) fn write(
        &self,
        folder: &Path,
        name: &str,
        weights: &Weights,
        reporter: &mut Reporter<'_>,
    ) -> Result<u64, PrepareError> {
        let data = format!("{name}.data");
        let mut graph = self.graph.clone();
        let mut offset = 0;
        for tensor in &self.tensors {
            graph.message(5, &tensor.head(&data, &mut offset));
        }
        let model = message::model(&graph);
        let path = folder.join(format!("{name}.onnx"));
        let mut output = Output::create(&path)?;
        output.write(model.bytes())?;
        let bytes = output.finish()?;
        let data = folder.join(data);
        let more = write_data(&data, self.outside(), ALIGN_BYTES, weights, reporter)?;
        Ok(bytes + more)
    }
}

/// Writes the data of tensors one after the other, each at a multiple of `align`.
pub(super) fn write_data<'a>(
    file: &Path,
    tensors: impl Iterator<Item = &'a Planned>,
    align: u64,
    weights: &Weights,
    reporter: &mut Reporter<'_>,
) -> Result<u64, PrepareError> {
    let mut output = Output::create(file)?;
    let mut scales = Vec::new();
    for tensor in tensors {
        let gap = output.written.next_multiple_of(align) - output.written;
        output.write(&vec![0; usize::try_from(gap).unwrap_or(0)])?;
        let begun = output.written;
        tensor.write(weights, &mut scales, &mut output, reporter)?;
        assert_eq!(output.written - begun, tensor.bytes(), "{}", tensor.name);
    }
    output.finish()
}

impl Planned {
    fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// Returns the bytes of its data.
    pub(super) fn bytes(&self) -> u64 {
        (self.elements() * self.kind.bytes()) as u64
    }

    /// Sizes and the like are in the graph itself.
    fn is_inside(&self) -> bool {
        matches!(self.content, Content::Bytes(_))
    }

    /// Returns the `TensorProto`, and moves `offset` behind its data.
    fn head(&self, file: &str, offset: &mut u64) -> Message {
        let mut head = message::tensor(&self.name, self.kind, &self.dims);
        if let Content::Bytes(bytes) = &self.content {
            head.raw_bytes(9, bytes);
            return head;
        }
        let start = offset.next_multiple_of(ALIGN_BYTES);
        *offset = start + self.bytes();
        let (start, length) = (start.to_string(), self.bytes().to_string());
        for (key, value) in [("location", file), ("offset", &start), ("length", &length)] {
            head.message(13, Message::default().text(1, key).text(2, value));
        }
        head.number(14, 1);
        head
    }

    fn write(
        &self,
        weights: &Weights,
        scales: &mut Vec<f32>,
        output: &mut Output<'_>,
        reporter: &mut Reporter<'_>,
    ) -> Result<(), PrepareError> {
        let outputs = self.dims.last().copied().unwrap_or(1);
        match &self.content {
            Content::Bytes(bytes) => output.tell(bytes, reporter),
            Content::Scales => output.floats(scales, reporter),
            Content::Copy(name) => {
                weights.rows_in_order(name, &mut |values| output.floats(values, reporter))
            }
            Content::Vector(parts) => {
                let mut values = Vec::with_capacity(self.elements());
                for part in parts {
                    vector(part, weights, &mut values)?;
                }
                output.floats(&values, reporter)
            }
            Content::Matrix(parts) => {
                let mut values = vec![0.0; self.elements()];
                quantize::matrix(weights, parts, outputs, &mut values, reporter)?;
                output.floats(&values, reporter)
            }
            Content::Columns(parts) => {
                let mut levels = vec![0; self.elements()];
                *scales = quantize::columns(weights, parts, outputs, &mut levels, reporter)?;
                output.levels(&levels, reporter)
            }
            Content::Halves(name) => {
                let mut bytes = Vec::new();
                weights.rows_in_order(name, &mut |values| {
                    bytes.clear();
                    bytes.extend(values.iter().flat_map(|&value| to_half(value)));
                    output.tell(&bytes, reporter)
                })
            }
            Content::Blocks(name) => {
                scales.clear();
                let mut bytes = Vec::new();
                weights.rows_in_order(name, &mut |values| {
                    quantize::blocks(values, &mut bytes, scales);
                    if STEP_BYTES <= bytes.len() {
                        output.tell(&bytes, reporter)?;
                        bytes.clear();
                    }
                    Ok(())
                })?;
                output.tell(&bytes, reporter)
            }
        }
    }
}

/// Appends a bias, spread; zeros when there is none.
fn vector(part: &Part, weights: &Weights, values: &mut Vec<f32>) -> Result<(), PrepareError> {
    let first = values.len();
    values.resize(first + part.places(), 0.0);
    if weights.get(&part.parameter).is_none() {
        return Ok(());
    }
    weights.rows(&part.parameter, &mut |_, bias| {
        for (output, &value) in bias.iter().enumerate() {
            values[first + part.outputs_at.of(output)] = value * part.factor;
        }
        Ok(())
    })
}

/// A file while it is written.
struct Output<'a> {
    path: &'a Path,
    file: BufWriter<File>,
    written: u64,
    bytes: Vec<u8>,
}

impl<'a> Output<'a> {
    fn create(path: &'a Path) -> Result<Self, PrepareError> {
        let file = File::create_new(path).map_err(|error| failed(path, &error))?;
        Ok(Self {
            path,
            file: BufWriter::with_capacity(STEP_BYTES, file),
            written: 0,
            bytes: Vec::new(),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), PrepareError> {
        self.written += bytes.len() as u64;
        let written = self.file.write_all(bytes);
        written.map_err(|error| failed(self.path, &error))
    }

    /// Writes, and tells how far it is.
    fn tell(&mut self, bytes: &[u8], reporter: &mut Reporter<'_>) -> Result<(), PrepareError> {
        for piece in bytes.chunks(STEP_BYTES) {
            self.write(piece)?;
            reporter.add(piece.len() as u64)?;
        }
        Ok(())
    }

    fn floats(&mut self, values: &[f32], reporter: &mut Reporter<'_>) -> Result<(), PrepareError> {
        for piece in values.chunks(STEP_BYTES / 4) {
            let mut bytes = core::mem::take(&mut self.bytes);
            bytes.clear();
            bytes.extend(piece.iter().flat_map(|value| value.to_le_bytes()));
            self.tell(&bytes, reporter)?;
            self.bytes = bytes;
        }
        Ok(())
    }

    fn levels(&mut self, levels: &[i8], reporter: &mut Reporter<'_>) -> Result<(), PrepareError> {
        for piece in levels.chunks(STEP_BYTES) {
            let mut bytes = core::mem::take(&mut self.bytes);
            bytes.clear();
            bytes.extend(piece.iter().map(|level| level.cast_unsigned()));
            self.tell(&bytes, reporter)?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// Lets the disk have it, and returns its size.
    fn finish(self) -> Result<u64, PrepareError> {
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all())
            .map_err(|error| failed(self.path, &error))?;
        Ok(self.written)
    }
}

fn failed(path: &Path, error: &io::Error) -> PrepareError {
    PrepareError::Write {
        file: path.into(),
        problem: error.to_string(),
    }
}
