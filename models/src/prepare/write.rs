//! A planned graph as an ONNX file.
//!
//! Flow: [`Plan`] and [`Weights`] -> file, tensor by tensor. On the thread that prepares a model.
//! Sizes are known beforehand, so that nothing is in memory but the tensor that is being written;
//! the embedding, the largest, goes through in pieces.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use super::{
    PrepareError, Reporter,
    graph::{Content, Part, Plan, Planned},
    protobuf::Message,
    quantize,
    weights::Weights,
};

/// A protobuf message is shorter than this. Hit: the model is refused; no Whisper in int8 is.
const FILE_BYTES_MAX: u64 = (1 << 31) - 1;
/// What is told of at a time.
const STEP_BYTES: usize = 1 << 20;

impl Plan {
    /// Returns the bytes of all tensors.
    pub(super) fn bytes(&self) -> u64 {
        self.tensors.iter().map(Planned::bytes).sum()
    }

    /// Writes the file and lets the disk have it. Returns its size.
    pub(super) fn write(
        &self,
        file: &Path,
        weights: &Weights,
        reporter: &mut Reporter<'_>,
    ) -> Result<u64, PrepareError> {
        let heads: Vec<Message> = self.tensors.iter().map(Planned::head).collect();
        let tensors = heads.iter().zip(&self.tensors).map(|(head, tensor)| {
            let length = head.bytes().len() as u64 + tensor.bytes();
            length + prefix(5, length).bytes().len() as u64
        });
        let name = Message::default().text(2, "pressel").clone();
        let fixed = self.graph.bytes().len() + name.bytes().len();
        let length = tensors.sum::<u64>() + fixed as u64;
        let mut start = Message::default();
        start.number(1, 8).text(2, "pressel");
        for (domain, version) in [("", 17), ("com.microsoft", 1)] {
            start.message(8, Message::default().text(1, domain).number(2, version));
        }
        start.place(7, length);
        let size = start.bytes().len() as u64 + length;
        if FILE_BYTES_MAX < size {
            let problem = format!("would take {size} bytes, an ONNX file holds 2 GiB");
            return Err(PrepareError::Write {
                file: file.into(),
                problem,
            });
        }
        let mut output = Output::create(file)?;
        output.write(start.bytes())?;
        output.write(self.graph.bytes())?;
        output.write(name.bytes())?;
        let mut scales = Vec::new();
        for (head, tensor) in heads.iter().zip(&self.tensors) {
            let length = head.bytes().len() as u64 + tensor.bytes();
            output.write(prefix(5, length).bytes())?;
            output.write(head.bytes())?;
            let begun = output.written;
            tensor.write(weights, &mut scales, &mut output, reporter)?;
            assert_eq!(output.written - begun, tensor.bytes(), "{}", tensor.name);
        }
        output.finish()?;
        Ok(size)
    }
}

impl Planned {
    fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    fn bytes(&self) -> u64 {
        (self.elements() * self.kind.bytes()) as u64
    }

    /// Returns the fields of `TensorProto` before the data.
    fn head(&self) -> Message {
        let mut head = Message::default();
        for &dim in &self.dims {
            head.number(1, dim as u64);
        }
        head.number(2, self.kind.number());
        head.text(8, &self.name);
        head.place(9, self.bytes());
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
            Content::Rows(name) => {
                scales.clear();
                let mut levels = Vec::new();
                weights.rows_in_order(name, &mut |values| {
                    scales.push(quantize::row(values, &mut levels));
                    if STEP_BYTES <= levels.len() {
                        output.levels(&levels, reporter)?;
                        levels.clear();
                    }
                    Ok(())
                })?;
                output.levels(&levels, reporter)
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
    values.resize(first + part.outputs_at.places(part.outputs), 0.0);
    if weights.get(&part.parameter).is_none() {
        return Ok(());
    }
    weights.rows(&part.parameter, &mut |_, bias| {
        for (output, &value) in bias.iter().enumerate() {
            values[first + part.outputs_at.place(output)] = value;
        }
        Ok(())
    })
}

/// Returns the head of a field.
fn prefix(field: u32, length: u64) -> Message {
    let mut prefix = Message::default();
    prefix.place(field, length);
    prefix
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

    fn finish(self) -> Result<(), PrepareError> {
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all())
            .map_err(|error| failed(self.path, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> PrepareError {
    PrepareError::Write {
        file: path.into(),
        problem: error.to_string(),
    }
}
