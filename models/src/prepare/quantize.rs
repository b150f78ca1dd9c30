//! Weights in fewer bits.
//!
//! Flow: rows of `f32` -> int8 with a scale for each output, or 4 bits with a scale for each block.
//! On the thread that prepares a model. At most one quantized matrix is in memory.

use super::{
    PrepareError, Reporter,
    linear::{BLOCK, Part},
    weights::Weights,
};

/// The largest int8 weight: symmetric, -128 is not used.
const INT8_MAX: f32 = 127.0;
/// The middle of the 4-bit numbers, which means 0.
const NIBBLE_ZERO: f32 = 8.0;
const NIBBLE_MAX: f32 = 15.0;

/// Puts matrices side by side: `[inputs, outputs]`, row-major, `outputs` in all.
pub(super) fn matrix(
    weights: &Weights,
    parts: &[Part],
    outputs: usize,
    matrix: &mut [f32],
    reporter: &mut Reporter<'_>,
) -> Result<(), PrepareError> {
    each_value(weights, parts, reporter, &mut |output, input, value| {
        matrix[input * outputs + output] = value;
    })
}

/// Puts matrices side by side as [`matrix`] does, in int8; returns the scale of each output.
pub(super) fn columns(
    weights: &Weights,
    parts: &[Part],
    outputs: usize,
    matrix: &mut [i8],
    reporter: &mut Reporter<'_>,
) -> Result<Vec<f32>, PrepareError> {
    let mut scales = vec![0.0_f32; outputs];
    each_value(weights, parts, reporter, &mut |output, _, value| {
        scales[output] = scales[output].max(value.abs());
    })?;
    for scale in &mut scales {
        *scale = int8_scale(*scale);
    }
    each_value(weights, parts, reporter, &mut |output, input, value| {
        matrix[input * outputs + output] = int8(value, scales[output]);
    })?;
    Ok(scales)
}

/// Appends a row in blocks of 4 bits, two weights in a byte, the first in the low half; appends the
/// scale of each block as well. A last block that is not full is filled up with zeros.
///
/// The scale is the one of [`STEPS`] tries that leaves the least error: clipping the largest weight
/// a little tells the many small ones better apart.
pub(super) fn blocks(values: &[f32], into: &mut Vec<u8>, scales: &mut Vec<f32>) {
    for block in values.chunks(BLOCK) {
        let scale = nibble_scale(block);
        let nibble = |at: usize| nibble(block.get(at).copied().unwrap_or(0.0), scale);
        into.extend((0..BLOCK / 2).map(|pair| nibble(2 * pair) | nibble(2 * pair + 1) << 4));
        scales.push(scale);
    }
}

/// Scales that are tried for a block.
const STEPS: u8 = 8;
/// How much smaller each of them is than the one before, as a part of the first.
const STEP: f32 = 0.05;

/// Returns the scale of a block in 4 bits. It is signed, so that the largest weight has a level of
/// its own, whichever sign it has.
fn nibble_scale(block: &[f32]) -> f32 {
    let larger = |most: f32, &value: &f32| {
        if most.abs() < value.abs() {
            value
        } else {
            most
        }
    };
    let largest = block.iter().fold(0.0, larger);
    if largest == 0.0 {
        return 1.0;
    }
    let error = |scale: f32| -> f32 {
        let error = |&value: &f32| {
            let level = f32::from(nibble(value, scale)) - NIBBLE_ZERO;
            (level * scale - value).powi(2)
        };
        block.iter().map(error).sum()
    };
    let tries = (0..STEPS).map(|step| -largest / NIBBLE_ZERO * (1.0 - STEP * f32::from(step)));
    let better = |best: (f32, f32), scale: f32| {
        let error = error(scale);
        if error < best.1 { (scale, error) } else { best }
    };
    // Weights that are no numbers have no error that is less: they keep the first scale.
    let first = -largest / NIBBLE_ZERO;
    tries.fold((first, f32::INFINITY), better).0
}

/// Returns the level of a weight, 0 to 15.
fn nibble(value: f32, scale: f32) -> u8 {
    let level = (value / scale).round_ties_even() + NIBBLE_ZERO;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 15"
    )]
    let level = level.clamp(0.0, NIBBLE_MAX) as u8;
    level
}

fn int8_scale(largest: f32) -> f32 {
    let scale = largest / INT8_MAX;
    // A column of nothing, or of less than numbers can tell apart from it.
    if scale == 0.0 { 1.0 } else { scale }
}

fn int8(value: f32, scale: f32) -> i8 {
    let level = (value / scale).round_ties_even();
    #[allow(clippy::cast_possible_truncation, reason = "-127 to 127")]
    let level = level.clamp(-INT8_MAX, INT8_MAX) as i8;
    level
}

/// Gives each value of the matrices with the output and the input that it has side by side.
fn each_value(
    weights: &Weights,
    parts: &[Part],
    reporter: &mut Reporter<'_>,
    each: &mut dyn FnMut(usize, usize, f32),
) -> Result<(), PrepareError> {
    let mut first = 0;
    for part in parts {
        let transposed = weights
            .get(&part.parameter)
            .is_some_and(|weight| weight.transposed);
        weights.rows(&part.parameter, &mut |row, values| {
            for (column, &value) in values.iter().enumerate() {
                let (output, input) = if transposed {
                    (column, row)
                } else {
                    (row, column)
                };
                let output = first + part.outputs_at.of(output);
                each(output, part.inputs_at.of(input), value * part.factor);
            }
            reporter.add(0)
        })?;
        first += part.places();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int8_keeps_the_largest_value_and_rounds_halves_to_even() {
        let check = |values: &[f32], expected: &[i8]| {
            let largest = values
                .iter()
                .fold(0.0_f32, |most, value| most.max(value.abs()));
            let scale = int8_scale(largest);
            let levels: Vec<i8> = values.iter().map(|&value| int8(value, scale)).collect();
            assert_eq!(levels, expected, "{values:?}");
        };
        check(&[1.0, -2.0, 0.51], &[64, -127, 32]);
        check(&[0.0, 0.0], &[0, 0]);
        check(&[127.0, 0.5, 1.5, -2.5], &[127, 0, 2, -2]);
        check(&[f32::MAX, -f32::MAX], &[127, -127]);
        check(&[f32::from_bits(1), 0.0], &[0, 0]);
    }

    #[test]
    fn a_block_keeps_its_largest_value_and_packs_the_low_half_first() {
        let mut row = vec![0.0; BLOCK + 3];
        (row[0], row[1], row[2]) = (-4.0, 4.0, 0.25);
        row[BLOCK + 2] = 2.0;
        let (mut packed, mut scales) = (Vec::new(), Vec::new());
        blocks(&row, &mut packed, &mut scales);
        assert_eq!(scales, [0.5, -0.25]);
        assert_eq!(packed.len(), BLOCK);
        // -4 / 0.5 + 8 = 0; 4 / 0.5 + 8 = 16, of which there is none; 0.25 / 0.5 rounds to even.
        assert_eq!(packed[..2], [0xf0, 0x88]);
        // 2 / -0.25 + 8 = 0.
        assert_eq!(packed[BLOCK / 2..][..2], [0x88, 0x80]);
    }

    #[test]
    fn a_block_of_many_small_weights_clips_its_largest() {
        let mut block = [0.0_f32; BLOCK];
        for (n, value) in (0_u16..).zip(&mut block) {
            *value = f32::from(n * 37 % 101) / 101.0 - 0.5;
        }
        block[9] = 0.8;
        let error = |scale: f32| -> f32 {
            let level = |&value: &f32| f32::from(nibble(value, scale)) - NIBBLE_ZERO;
            let errors = block.iter().map(|value| level(value) * scale - value);
            errors.map(|error| error * error).sum()
        };
        let (whole, found) = (-0.8 / NIBBLE_ZERO, nibble_scale(&block));
        assert!(found.abs() < whole.abs(), "{found}");
        assert!(error(found) < 0.9 * error(whole));
    }
}
