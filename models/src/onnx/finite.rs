//! Whether all weights of an ONNX file are numbers.
//!
//! Flow: file -> its tensors of floats, in the order in which they lie -> the name of one that holds
//! NaN or infinity. On the thread that loads a model, before ONNX Runtime sees the file. Why here:
//! quantization in the graph makes whole numbers of what it gets, NaN too, and so a damaged weight
//! comes out as text that nobody said. Matrices of whole numbers are not read: any of their bytes is
//! a number.

use super::{
    Attribute, Graph,
    protobuf::Reader,
    tensor::{Data, Kind, OnnxFile, Tensor},
};
use crate::LoadError;

/// Bytes that are in memory at a time: what the second-level cache of a small board holds.
const PIECE_BYTES: usize = 128 * 1024;

/// What was found in a tensor.
#[derive(Clone, Copy, Default)]
struct Found {
    /// NaN, or infinity above zero.
    bad: bool,
    /// Infinity below zero.
    below: bool,
    /// Numbers other than zero.
    other: bool,
}

impl OnnxFile {
    /// Checks that all floats in the file, and beside it, are finite.
    ///
    /// Infinity below zero is a mask's way to say "never": it may stand alone, or in a
    /// matrix of zeros.
    ///
    /// # Errors
    /// [`LoadError::Tensor`] that names the tensor, [`LoadError::Onnx`] when one cannot be read.
    pub(crate) fn check_finite(&self) -> Result<(), LoadError> {
        let mut tensors = Vec::new();
        collect(&self.graph, &mut tensors);
        tensors.sort_by_key(|tensor| match &tensor.data {
            Data::Here(place) | Data::Numbers(place) => ("", place.start),
            Data::Outside {
                location, offset, ..
            } => (location.as_str(), *offset),
        });
        let mut piece = Vec::new();
        for tensor in tensors {
            let found = self.look(tensor, &mut piece);
            let found = found.map_err(|problem| LoadError::Onnx {
                file: self.path.clone(),
                problem: format!("tensor {} {problem}", tensor.name),
            })?;
            let is_mask = tensor.elements() == 1 || 1 < tensor.dims.len() && !found.other;
            if found.bad || found.below && !is_mask {
                let problem = "holds NaN or infinity: fetch the model again, or prepare it again";
                return Err(self.wrong(&tensor.name, problem.into()));
            }
        }
        Ok(())
    }

    fn look(&self, tensor: &Tensor, piece: &mut Vec<u8>) -> Result<Found, String> {
        let mut found = Found::default();
        if let Data::Numbers(place) = &tensor.data {
            let (mut reader, mut place) = (Reader::new(self.bytes())?, place.clone());
            while !place.is_empty() {
                let number = reader.number(&mut place)?.to_le_bytes();
                found.add(tensor.kind, &number[..tensor.kind.bytes()]);
            }
            return Ok(found);
        }
        let size = tensor.kind.bytes();
        let (mut first, count) = (0, tensor.elements());
        while first < count {
            let last = count.min(first + PIECE_BYTES / size);
            piece.resize((last - first) * size, 0);
            self.read_bytes(tensor, first, piece)?;
            found.add(tensor.kind, piece);
            first = last;
        }
        Ok(found)
    }
}

/// Collects the tensors of floats of a graph and its branches.
fn collect<'a>(graph: &'a Graph, tensors: &mut Vec<&'a Tensor>) {
    let attributes = graph.nodes.iter().flat_map(|node| &node.attributes);
    let constants = attributes.filter_map(|(_, attribute)| match attribute {
        Attribute::Tensor(tensor) => Some(tensor),
        _ => None,
    });
    let all = graph.tensors.values().chain(constants);
    tensors.extend(all.filter(|tensor| matches!(tensor.kind, Kind::F32 | Kind::F16 | Kind::BF16)));
    for branch in graph.branches() {
        collect(branch, tensors);
    }
}

impl Found {
    fn add(&mut self, kind: Kind, bytes: &[u8]) {
        let exponent: u32 = match kind {
            Kind::F16 => 0x7c00,
            Kind::BF16 => 0x7f80,
            _ => 0x7f80_0000,
        };
        if kind.bytes() == size_of::<u32>() {
            let numbers = bytes.as_chunks().0;
            self.add_numbers(numbers.iter().map(|b| u32::from_le_bytes(*b)), exponent, 31);
        } else {
            let numbers = bytes.as_chunks().0;
            let numbers = numbers.iter().map(|b| u16::from_le_bytes(*b).into());
            self.add_numbers(numbers, exponent, 15);
        }
    }

    /// Adds numbers whose exponent has these bits, below the sign. Without a branch for each.
    fn add_numbers(&mut self, numbers: impl Iterator<Item = u32>, exponent: u32, sign: u32) {
        let never = exponent | 1 << sign;
        let [mut bad, mut below, mut other] = [0_u32; 3];
        for bits in numbers {
            let is_finite = bits & exponent != exponent;
            bad |= u32::from(!is_finite & (bits != never));
            below |= u32::from(bits == never);
            other |= u32::from(is_finite) * (bits & !(1 << sign));
        }
        self.bad |= bad != 0;
        self.below |= below != 0;
        self.other |= other != 0;
    }
}

/// Puts `number` in the place of the last of each tensor that `is` picks out of those of single
/// precision, and returns their names.
#[cfg(test)]
pub(crate) fn damage(
    file: &std::path::Path,
    number: f32,
    is: &dyn Fn(&Tensor) -> bool,
) -> Vec<String> {
    use std::os::unix::fs::FileExt as _;

    let open = OnnxFile::open(file).unwrap();
    let mut tensors = Vec::new();
    collect(&open.graph, &mut tensors);
    tensors.retain(|tensor| tensor.kind == Kind::F32 && is(tensor));
    for tensor in &tensors {
        let last = (tensor.elements() as u64 - 1) * size_of::<f32>() as u64;
        let (path, at) = match &tensor.data {
            Data::Here(place) => (file.to_path_buf(), place.start + last),
            Data::Outside {
                location, offset, ..
            } => (file.with_file_name(location), offset + last),
            Data::Numbers(_) => panic!("floats are bytes"),
        };
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(&number.to_le_bytes(), at).unwrap();
    }
    tensors.iter().map(|tensor| tensor.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures;

    #[test]
    fn every_damaged_weight_of_a_stock_export_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["encoder_model.onnx", "decoder_model_merged.onnx"] {
            let (from, file) = (fixtures().join("tiny").join(name), folder.path().join(name));
            std::fs::copy(&from, &file).unwrap();
            OnnxFile::open(&file).unwrap().check_finite().unwrap();
            let names = damage(&file, 1.0, &|tensor| 1 < tensor.elements());
            OnnxFile::open(&file).unwrap().check_finite().unwrap();
            assert!(10 < names.len(), "{names:?}");
            for name in names {
                for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    std::fs::copy(&from, &file).unwrap();
                    damage(&file, number, &|tensor| tensor.name == name);
                    let open = OnnxFile::open(&file).unwrap();
                    let found = open.check_finite();
                    let Err(LoadError::Tensor { name: found, .. }) = found else {
                        panic!("{name} {number} {found:?}");
                    };
                    assert_eq!(found, name);
                }
            }
        }
    }

    fn check(kind: Kind, bytes: &[u8], expected: [bool; 3]) {
        let mut found = Found::default();
        found.add(kind, bytes);
        let found = [found.bad, found.below, found.other];
        assert_eq!(found, expected, "{kind:?} {bytes:?}");
    }

    #[test]
    fn what_is_no_number_is_found_in_all_precisions() {
        for (number, expected) in [
            (0.0, [false, false, false]),
            (-0.0, [false, false, false]),
            (f32::MIN_POSITIVE, [false, false, true]),
            (f32::MAX, [false, false, true]),
            (f32::NAN, [true, false, false]),
            (-f32::NAN, [true, false, false]),
            (f32::INFINITY, [true, false, false]),
            (f32::NEG_INFINITY, [false, true, false]),
        ] {
            check(Kind::F32, &f32::to_le_bytes(number), expected);
        }
        for (kind, bits, expected) in [
            (Kind::F16, 0x7bff_u16, [false, false, true]),
            (Kind::F16, 0x7c00, [true, false, false]),
            (Kind::F16, 0xfc00, [false, true, false]),
            (Kind::F16, 0x7c01, [true, false, false]),
            (Kind::BF16, 0x7f7f, [false, false, true]),
            (Kind::BF16, 0x7f80, [true, false, false]),
            (Kind::BF16, 0xff80, [false, true, false]),
            (Kind::BF16, 0xffc0, [true, false, false]),
        ] {
            check(kind, &bits.to_le_bytes(), expected);
        }
    }
}
