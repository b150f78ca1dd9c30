//! Magnitudes of a frame's spectrum, as Silero's own transform gives them.
//!
//! Flow: 576 samples, context and frame -> four windows of 16 ms, one every 8 ms, the last one with
//! a mirrored edge -> 129 magnitudes of each. On listen's thread; nothing is allocated after
//! construction.
//!
//! Source: silero-vad 6.2.3: a convolution with `forward_basis_buffer`, a Fourier transform under a
//! periodic Hann window, which [`check`] holds it to.

use std::f64::consts::TAU;

use crate::mel::{Transform, hann};

/// Samples in one window.
pub(super) const FRAME_SAMPLES: usize = 256;
/// Samples from one window to the next.
const HOP_SAMPLES: usize = 128;
/// Windows in one call.
pub(super) const FRAMES: usize = 4;
/// Frequencies.
pub(super) const BINS: usize = FRAME_SAMPLES / 2 + 1;
/// Samples that are given, and those that are mirrored behind them.
pub(super) const SAMPLES: usize = 576;
const MIRRORED: usize = 64;
const _: () = assert!((FRAMES - 1) * HOP_SAMPLES + FRAME_SAMPLES == SAMPLES + MIRRORED);

/// Further apart than rounding, and the file's transform is another one.
const DIFFERENCE_MAX: f64 = 1e-5;

/// The transform.
pub(super) struct Spectrum {
    transform: Transform,
    /// The samples with the mirrored ones behind them.
    longer: [f32; SAMPLES + MIRRORED],
}

impl Spectrum {
    pub(super) fn new() -> Self {
        Self {
            transform: Transform::new(FRAME_SAMPLES, 1.0),
            longer: [0.0; SAMPLES + MIRRORED],
        }
    }

    /// Writes the magnitudes, `[129, 4]`.
    pub(super) fn magnitudes(&mut self, samples: &[f32; SAMPLES], magnitudes: &mut [f32]) {
        let (given, mirrored) = self.longer.split_at_mut(SAMPLES);
        given.copy_from_slice(samples);
        // The last sample is the mirror itself.
        for (to, &from) in mirrored.iter_mut().zip(samples[..SAMPLES - 1].iter().rev()) {
            *to = from;
        }
        for frame in 0..FRAMES {
            let heard = &self.longer[frame * HOP_SAMPLES..][..FRAME_SAMPLES];
            self.transform.take(heard.iter().copied());
            let rows = magnitudes.as_chunks_mut::<FRAMES>().0.iter_mut();
            for (row, bin) in rows.zip(self.transform.frequencies()) {
                row[frame] = bin.norm_sqr().sqrt();
            }
        }
    }
}

/// Checks that a file's transform, cosines `[129, 256]` and then sines, is this one; what is wrong
/// follows the tensor's name in a sentence.
pub(super) fn check(basis: &[f32]) -> Result<(), String> {
    for (row, factors) in basis.as_chunks::<FRAME_SAMPLES>().0.iter().enumerate() {
        for (n, &found) in factors.iter().enumerate() {
            let turn = TAU * ((row % BINS) * n) as f64 / FRAME_SAMPLES as f64;
            let wave = if row < BINS { turn.cos() } else { -turn.sin() };
            if DIFFERENCE_MAX < (f64::from(found) - wave * hann(n, FRAME_SAMPLES)).abs() {
                return Err("is another transform than that of Silero VAD 5 and 6".into());
            }
        }
    }
    Ok(())
}
