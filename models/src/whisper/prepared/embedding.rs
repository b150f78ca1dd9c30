//! The embedding: the row of a token, and the row of its position.
//!
//! Flow: `embedding.bin` -> what the decoder reads of a token; and exact logits, one at a time. In
//! the worker process. The file holds token rows `[vocabulary, width]` of f16 (of f32 when the
//! model was prepared in fp32), then position rows `[context, width]` of f32, all little-endian.
//! Token rows stay in the file, of which a few are read for each token: as a matrix in memory they
//! would be the largest thing there. No allocation after loading.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{Advice, fadvise};

use super::Sizes;
use crate::{LoadError, ModelError};

/// Bytes of a number in half precision.
const HALF_BYTES: usize = 2;
/// Bytes of a number in single precision.
const SINGLE_BYTES: usize = 4;

/// An open embedding.
pub(super) struct Embedding {
    file: File,
    /// Bytes of a token's number.
    number_bytes: usize,
    /// Shape: `[context, width]`.
    positions: Vec<f32>,
    /// One row as it is in the file.
    bytes: Vec<u8>,
    /// One row in numbers.
    row: Vec<f32>,
}

impl Embedding {
    /// Opens the file and reads the position rows.
    pub(super) fn open(path: &Path, sizes: Sizes) -> Result<Self, LoadError> {
        let fault = |problem: String| LoadError::Json {
            file: PathBuf::from(path),
            problem,
        };
        let broken = |error: io::Error| fault(error.to_string());
        if !path.is_file() {
            return Err(LoadError::Missing {
                file: path.into(),
                remedy: "prepare the model again with `pressel models prepare`",
            });
        }
        let file = File::open(path).map_err(broken)?;
        let length = file.metadata().map_err(broken)?.len();
        let numbers = sizes.vocabulary * sizes.width;
        let tail = sizes.context * sizes.width * SINGLE_BYTES;
        let bytes_of = |number_bytes: usize| (numbers * number_bytes + tail) as u64;
        let number_bytes = [HALF_BYTES, SINGLE_BYTES]
            .into_iter()
            .find(|&number_bytes| bytes_of(number_bytes) == length);
        let Some(number_bytes) = number_bytes else {
            let expected = bytes_of(HALF_BYTES);
            return Err(fault(format!(
                "has {length} bytes, not {expected}: prepare the model again with `pressel models \
                 prepare`"
            )));
        };
        let mut bytes = vec![0; tail];
        let at = (numbers * number_bytes) as u64;
        file.read_exact_at(&mut bytes, at).map_err(broken)?;
        let mut positions = vec![0.0; sizes.context * sizes.width];
        if !singles(&bytes, &mut positions) {
            return Err(fault(
                "has a position row that is no number: prepare the model again with `pressel \
                 models prepare`"
                    .into(),
            ));
        }
        // What is not in memory yet is read ahead while the graphs load; a disk that cannot is
        // slow.
        fadvise(&file, 0, None, Advice::WillNeed).ok();
        Ok(Self {
            file,
            number_bytes,
            positions,
            bytes: vec![0; sizes.width * number_bytes],
            row: vec![0.0; sizes.width],
        })
    }

    /// Writes what the decoder reads of `token` at `position` into `into`, `[width]`.
    pub(super) fn write(
        &mut self,
        token: usize,
        position: usize,
        into: &mut [f32],
    ) -> Result<(), ModelError> {
        self.read(token)?;
        let width = self.row.len();
        let place = self.positions[position * width..].iter();
        for ((into, word), place) in into.iter_mut().zip(&self.row).zip(place) {
            *into = word + place;
        }
        Ok(())
    }

    /// Returns the logit of `token`: the product of its row with `hidden`, `[width]`.
    pub(super) fn product(&mut self, token: usize, hidden: &[f32]) -> Result<f32, ModelError> {
        self.read(token)?;
        Ok(self.row.iter().zip(hidden).map(|(a, b)| a * b).sum())
    }

    fn read(&mut self, token: usize) -> Result<(), ModelError> {
        let at = (token * self.bytes.len()) as u64;
        // The file was cut short, or its disk is gone: another worker finds out which.
        self.file
            .read_exact_at(&mut self.bytes, at)
            .map_err(|_| ModelError::Reload)?;
        let are_finite = if self.number_bytes == HALF_BYTES {
            halves(&self.bytes, &mut self.row)
        } else {
            singles(&self.bytes, &mut self.row)
        };
        if are_finite {
            Ok(())
        } else {
            Err(ModelError::BadOutput)
        }
    }
}

/// Reads numbers of single precision. Returns whether all are finite.
fn singles(bytes: &[u8], into: &mut [f32]) -> bool {
    let mut endless = false;
    for (number, bytes) in into.iter_mut().zip(bytes.as_chunks::<SINGLE_BYTES>().0) {
        *number = f32::from_le_bytes(*bytes);
        endless |= !number.is_finite();
    }
    !endless
}

/// Reads numbers of half precision. Returns whether all are finite.
fn halves(bytes: &[u8], into: &mut [f32]) -> bool {
    /// All ones in a number that is none.
    const EXPONENT: u16 = 0x7c00;
    let mut endless = false;
    for (number, bytes) in into.iter_mut().zip(bytes.as_chunks::<HALF_BYTES>().0) {
        let bits = u16::from_le_bytes(*bytes);
        *number = half(bits);
        endless |= bits & EXPONENT == EXPONENT;
    }
    !endless
}

/// Returns a finite number of half precision. Without a branch, so that a row is done at once.
fn half(bits: u16) -> f32 {
    /// Single precision counts its exponent from 127, half precision from 15: 2 to the 112.
    const SCALE: f32 = f32::from_bits((127 + 112) << 23);
    let sign = u32::from(bits & 0x8000) << 16;
    let rest = f32::from_bits(u32::from(bits & 0x7fff) << 13) * SCALE;
    f32::from_bits(rest.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SIZES: Sizes = Sizes {
        bins: 80,
        layers: 1,
        width: 2,
        heads: 1,
        head: 2,
        vocabulary: 3,
        context: 2,
        positions: 4,
    };

    fn check_half(bits: u16, expected: f32) {
        assert_eq!(half(bits), expected, "{bits:04x}");
    }

    #[test]
    fn numbers_of_half_precision_are_exact() {
        // IEEE 754: one, the largest, the smallest normal, the smallest of all, two thirds or so.
        check_half(0x3c00, 1.0);
        check_half(0xc000, -2.0);
        check_half(0x7bff, 65_504.0);
        check_half(0x0400, 2.0_f32.powi(-14));
        check_half(0x0001, 2.0_f32.powi(-24));
        check_half(0x3955, 0.666_503_9);
        check_half(0x0000, 0.0);
    }

    fn file_of(single: bool) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let halves = [0x3c00_u16, 0x4000, 0, 0xbc00, 0x3800, 0x3800];
        let mut bytes: Vec<u8> = if single {
            let numbers = halves.iter().map(|&bits| half(bits));
            numbers.flat_map(f32::to_le_bytes).collect()
        } else {
            halves.iter().flat_map(|bits| bits.to_le_bytes()).collect()
        };
        bytes.extend(
            [10.0_f32, 20.0, 30.0, 40.0]
                .iter()
                .flat_map(|n| n.to_le_bytes()),
        );
        fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn rows_are_those_of_token_and_position_in_both_precisions() {
        for single in [false, true] {
            let file = file_of(single);
            let mut embedding = Embedding::open(file.path(), SIZES).unwrap();
            let mut row = [0.0; 2];
            embedding.write(0, 0, &mut row).unwrap();
            assert_eq!(row, [11.0, 22.0]);
            embedding.write(1, 1, &mut row).unwrap();
            assert_eq!(row, [30.0, 39.0]);
            assert_eq!(embedding.product(2, &[4.0, -1.0]), Ok(1.5));
        }
    }

    #[test]
    fn a_row_that_is_no_number_is_a_bad_output_and_a_position_names_the_file() {
        let break_at = |single: bool, at: usize, with: &[u8]| {
            let file = file_of(single);
            let mut bytes = fs::read(file.path()).unwrap();
            bytes[at..][..with.len()].copy_from_slice(with);
            fs::write(file.path(), bytes).unwrap();
            file
        };
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let file = break_at(true, 3 * SINGLE_BYTES, &number.to_le_bytes());
            let mut embedding = Embedding::open(file.path(), SIZES).unwrap();
            let found = embedding.product(1, &[1.0, 1.0]);
            assert_eq!(found, Err(ModelError::BadOutput));
            let found = embedding.write(1, 0, &mut [0.0; 2]);
            assert_eq!(found, Err(ModelError::BadOutput));
            assert!(embedding.product(0, &[1.0, 1.0]).is_ok());
            for (single, rows) in [(true, 6 * SINGLE_BYTES), (false, 6 * HALF_BYTES)] {
                let file = break_at(single, rows + SINGLE_BYTES, &number.to_le_bytes());
                let error = Embedding::open(file.path(), SIZES).err().unwrap();
                let error = error.to_string();
                let name = file.path().display().to_string();
                assert!(
                    error.contains(&name) && error.contains("models prepare"),
                    "{error}"
                );
            }
        }
        for bits in [0x7c00_u16, 0xfc00, 0x7e00, 0x7c01] {
            let file = break_at(false, 3 * HALF_BYTES, &bits.to_le_bytes());
            let mut embedding = Embedding::open(file.path(), SIZES).unwrap();
            let found = embedding.product(1, &[1.0, 1.0]);
            assert_eq!(found, Err(ModelError::BadOutput), "{bits:04x}");
            assert!(embedding.product(2, &[1.0, 1.0]).is_ok());
        }
    }

    #[test]
    fn file_of_another_length_is_named_and_one_cut_short_later_is_found() {
        let file = file_of(false);
        let whole = fs::read(file.path()).unwrap();
        let mut embedding = Embedding::open(file.path(), SIZES).unwrap();
        for length in [0, 1, whole.len() - 1] {
            fs::write(file.path(), &whole[..length]).unwrap();
            let error = Embedding::open(file.path(), SIZES)
                .err()
                .unwrap()
                .to_string();
            assert!(
                error.contains(&file.path().display().to_string()),
                "{error}"
            );
            assert!(error.contains("models prepare"), "{error}");
        }
        fs::write(file.path(), &whole[..3]).unwrap();
        assert_eq!(embedding.product(2, &[1.0, 1.0]), Err(ModelError::Reload));
        fs::remove_file(file.path()).unwrap();
        assert!(Embedding::open(file.path(), SIZES).is_err());
    }
}
