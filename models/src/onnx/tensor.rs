//! Tensors of an ONNX file: where their data lies, and the data as numbers, piece by piece.
//!
//! Flow: [`Tensor`] and a range of its elements -> `f32`. On the thread that prepares a model, or
//! loads one. Only the piece that was asked for is in memory.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs::File,
    ops::Range,
    path::{Component, Path, PathBuf},
};

use super::{
    Graph,
    protobuf::{Broken, Bytes, Reader},
};
use crate::LoadError;

/// The kind of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    F32,
    U8,
    I8,
    I32,
    I64,
    F16,
    BF16,
    /// One that no weight of a Whisper has.
    Other,
}

impl Kind {
    /// Returns the kind that ONNX numbers so (`TensorProto.DataType`).
    pub(crate) fn new(number: u64) -> Self {
        match number {
            1 => Self::F32,
            2 => Self::U8,
            3 => Self::I8,
            6 => Self::I32,
            7 => Self::I64,
            10 => Self::F16,
            16 => Self::BF16,
            _ => Self::Other,
        }
    }

    /// Returns the number of the kind in ONNX.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::F32 => 1,
            Self::U8 => 2,
            Self::I8 => 3,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::F16 => 10,
            Self::BF16 => 16,
            Self::Other => 0,
        }
    }

    /// Returns the bytes of an element; 0 for a kind without weights.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::F16 | Self::BF16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::I64 => 8,
            Self::Other => 0,
        }
    }
}

/// Where the data of a tensor lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    /// In the ONNX file, little-endian.
    Here(Range<u64>),
    /// In the ONNX file, each element a protobuf number.
    Numbers(Range<u64>),
    /// In a file beside it.
    Outside {
        location: String,
        offset: u64,
        length: Option<u64>,
    },
}

/// A tensor: its shape, and where its data lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) dims: Vec<usize>,
    pub(super) data: Data,
}

impl Tensor {
    /// Makes a tensor whose data is as long as its shape says, as far as can be told here.
    pub(crate) fn new(
        name: String,
        kind: Kind,
        dims: Vec<usize>,
        data: Data,
    ) -> Result<Self, Broken> {
        let bytes = dims
            .iter()
            .try_fold(kind.bytes(), |product, &dim| product.checked_mul(dim));
        let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
        let bytes = bytes.filter(|&bytes| bytes < i64::MAX.unsigned_abs());
        let Some(bytes) = bytes else {
            return Err(format!("holds a tensor {name} of a size that cannot be"));
        };
        let found = match &data {
            Data::Here(place) => Some(place.end - place.start),
            Data::Outside { length, .. } => *length,
            Data::Numbers(_) => None,
        };
        if let Some(found) = found.filter(|&found| found != bytes && kind != Kind::Other) {
            return Err(format!(
                "holds a tensor {name} with {found} of {bytes} bytes"
            ));
        }
        Ok(Self {
            name,
            kind,
            dims,
            data,
        })
    }

    /// Returns the number of its elements.
    pub(crate) fn elements(&self) -> usize {
        self.dims.iter().product()
    }
}

/// An ONNX file, read as far as its graph.
pub(crate) struct OnnxFile {
    pub(crate) path: PathBuf,
    pub(crate) graph: Graph,
    file: File,
    /// Files with data outside, by their names in the ONNX file.
    outside: RefCell<HashMap<String, File>>,
}

impl OnnxFile {
    /// Reads the graph.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let broken = |problem: String| LoadError::Onnx {
            file: path.into(),
            problem,
        };
        let file = File::open(path).map_err(|error| broken(error.to_string()))?;
        let graph = super::read(&file).map_err(broken)?;
        Ok(Self {
            path: path.into(),
            graph,
            file,
            outside: RefCell::default(),
        })
    }

    /// Returns the paths of the file and of those that hold data of it outside.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>, LoadError> {
        let mut files = vec![self.path.clone()];
        let graphs = [&self.graph].into_iter().chain(self.graph.branches());
        for tensor in graphs.flat_map(|graph| graph.tensors.values()) {
            let Data::Outside { location, .. } = &tensor.data else {
                continue;
            };
            let file = self.beside(location);
            let file = file.map_err(|problem| self.wrong(&tensor.name, problem))?;
            if !files.contains(&file) {
                files.push(file);
            }
        }
        Ok(files)
    }

    /// Returns the path of a file with data outside, which must lie in the folder.
    fn beside(&self, location: &str) -> Result<PathBuf, Broken> {
        let mut parts = Path::new(location).components();
        if location.is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
            return Err(format!("lies in {location:?}, outside of the folder"));
        }
        Ok(self.path.with_file_name(location))
    }

    /// Reads the elements `range` of the tensor as `f32`, into `values`.
    pub(crate) fn read(
        &self,
        tensor: &Tensor,
        range: Range<usize>,
        values: &mut Vec<f32>,
    ) -> Result<(), LoadError> {
        let problem = match self.read_or_say(tensor, range, values) {
            Ok(()) => return Ok(()),
            Err(problem) => problem,
        };
        Err(self.wrong(&tensor.name, problem))
    }

    /// Returns the error of a bad tensor.
    pub(crate) fn wrong(&self, tensor: &str, problem: String) -> LoadError {
        LoadError::Tensor {
            file: self.path.clone(),
            name: tensor.into(),
            problem,
        }
    }

    fn read_or_say(
        &self,
        tensor: &Tensor,
        range: Range<usize>,
        values: &mut Vec<f32>,
    ) -> Result<(), Broken> {
        values.clear();
        if let Data::Numbers(place) = &tensor.data {
            return read_numbers(&self.file, place.clone(), tensor, range, values);
        }
        let mut bytes = vec![0; range.len() * tensor.kind.bytes()];
        self.read_bytes(tensor, range.start, &mut bytes)?;
        decode(tensor.kind, &bytes, values)
    }

    /// Returns the bytes of the ONNX file itself.
    pub(super) fn bytes(&self) -> &dyn Bytes {
        &self.file
    }

    /// Reads elements from `first` on, as they lie in the file, until `bytes` is full.
    pub(super) fn read_bytes(
        &self,
        tensor: &Tensor,
        first: usize,
        bytes: &mut [u8],
    ) -> Result<(), Broken> {
        let first = first as u64 * tensor.kind.bytes() as u64;
        match &tensor.data {
            Data::Here(place) => {
                let read = self.file.read_at(place.start + first, bytes);
                read.map_err(|error| format!("cannot be read ({error})"))
            }
            Data::Outside {
                location, offset, ..
            } => {
                let at = offset.checked_add(first).ok_or("lies nowhere")?;
                self.read_outside(location, at, bytes)
            }
            Data::Numbers(_) => Err("is not stored as bytes".into()),
        }
    }

    fn read_outside(&self, location: &str, at: u64, bytes: &mut [u8]) -> Result<(), Broken> {
        let mut outside = self.outside.borrow_mut();
        if !outside.contains_key(location) {
            let file = File::open(self.beside(location)?)
                .map_err(|error| format!("lies in {location}, which cannot be read ({error})"))?;
            outside.insert(location.into(), file);
        }
        let file = outside.get(location).ok_or("lies nowhere")?;
        file.read_at(at, bytes)
            .map_err(|error| format!("is cut off in {location} ({error}): fetch it again"))
    }
}

/// Decodes elements that are protobuf numbers: all before `range` are read as well.
fn read_numbers(
    bytes: &dyn Bytes,
    mut place: Range<u64>,
    tensor: &Tensor,
    range: Range<usize>,
    values: &mut Vec<f32>,
) -> Result<(), Broken> {
    let mut reader = Reader::new(bytes)?;
    for index in 0..range.end {
        let number = reader.number(&mut place)?.to_le_bytes();
        if range.start <= index {
            decode(tensor.kind, &number[..tensor.kind.bytes()], values)?;
        }
    }
    Ok(())
}

/// Appends what the bytes mean.
fn decode(kind: Kind, bytes: &[u8], values: &mut Vec<f32>) -> Result<(), Broken> {
    match kind {
        Kind::F32 => values.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
        Kind::F16 => values.extend(bytes.as_chunks().0.iter().map(|b| half(*b))),
        Kind::BF16 => values.extend(bytes.as_chunks().0.iter().map(|b| bfloat(*b))),
        Kind::I8 => values.extend(bytes.iter().map(|&b| f32::from(b.cast_signed()))),
        Kind::U8 => values.extend(bytes.iter().map(|&b| f32::from(b))),
        Kind::I32 | Kind::I64 | Kind::Other => return Err("is of a kind that no weight has".into()),
    }
    Ok(())
}

/// Returns the value of an IEEE 754 half, little-endian.
pub(crate) fn half(bytes: [u8; 2]) -> f32 {
    let bits = u32::from(u16::from_le_bytes(bytes));
    let (sign, exponent, fraction) = (bits >> 15 << 31, bits >> 10 & 0x1f, bits & 0x3ff);
    match exponent {
        // The smallest half is 2^-24; the sign is put on behind, so that -0 stays -0.
        #[allow(clippy::cast_precision_loss, reason = "10 bits")]
        0 => f32::from_bits((fraction as f32 * 2_f32.powi(-24)).to_bits() | sign),
        0x1f => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// Returns the nearest half, little-endian, the even one of two; what is too large is infinity.
pub(crate) fn to_half(value: f32) -> [u8; 2] {
    let bits = value.to_bits();
    let (sign, rest) = (bits >> 16 & 0x8000, bits & 0x7fff_ffff);
    let magnitude = if rest < 113 << 23 {
        // Below the smallest normal half: a multiple of 2^-24, which this sum rounds to.
        (f32::from_bits(rest) + 0.5).to_bits() - 0.5_f32.to_bits()
    } else {
        let even = rest >> 13 & 1;
        ((rest - (112 << 23) + 0xfff + even) >> 13).min(0x7c00)
    };
    let half = u16::try_from(sign | magnitude).unwrap_or(0x7c00);
    half.to_le_bytes()
}

/// Returns the value of a bfloat16, little-endian.
fn bfloat(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, bytes: &[u8], expected: &[f32]) {
        let mut values = Vec::new();
        decode(kind, bytes, &mut values).unwrap();
        assert_eq!(values, expected, "{kind:?}");
    }

    #[test]
    fn halves_and_bytes_are_the_numbers_that_they_mean() {
        let halves = [
            0x3c00_u16, 0xc000, 0x0001, 0x03ff, 0x0400, 0x7bff, 0x7c00, 0x3555,
        ];
        let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        let smallest = 2_f32.powi(-24);
        let expected = [
            1.0,
            -2.0,
            smallest,
            1023.0 * smallest,
            2_f32.powi(-14),
            65_504.0,
            f32::INFINITY,
            0.333_251_95,
        ];
        check(Kind::F16, &bytes, &expected);
        check(Kind::BF16, &[0x80, 0x3f, 0x40, 0xc0], &[1.0, -3.0]);
        check(Kind::I8, &[0xff, 0x7f], &[-1.0, 127.0]);
        check(Kind::U8, &[0xff, 0x7f], &[255.0, 127.0]);
        check(Kind::F32, &2.5_f32.to_le_bytes(), &[2.5]);
        for (half, value) in halves.iter().zip(expected) {
            assert_eq!(to_half(value), half.to_le_bytes(), "{value}");
        }
        for (value, nearest) in [
            (1.0 + 2_f32.powi(-11), 0x3c00),
            (1.0 + 3.0 * 2_f32.powi(-11), 0x3c02),
            (65_520.0, 0x7c00),
            (65_519.0, 0x7bff),
            (-smallest / 2.0, 0x8000),
            (1.5 * smallest, 0x0002),
            (1023.75 * smallest, 0x0400),
            (1e30, 0x7c00),
        ] {
            assert_eq!(to_half(value), u16::to_le_bytes(nearest), "{value}");
        }
        assert!(half([0x00, 0x80]).is_sign_negative());
        assert!(half([0x01, 0x7c]).is_nan());
    }
}
