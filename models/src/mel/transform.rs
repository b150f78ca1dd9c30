//! The Fourier transform of one frame under a periodic Hann window.
//!
//! Flow: samples of a frame -> times the window -> its frequencies. Used by [`super::frame`] and by
//! Silero's magnitudes; nothing is allocated after construction.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

/// Returns sample `n` of the periodic Hann window of `samples`.
pub(crate) fn hann(n: usize, samples: usize) -> f64 {
    0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / samples as f64).cos()
}

/// The transform and its buffers.
pub(crate) struct Transform {
    window: Vec<f32>,
    fft: Arc<dyn RealToComplex<f32>>,
    frame: Vec<f32>,
    frequencies: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Transform {
    /// Makes the transform of frames of so many samples, each of which is multiplied by `scale`.
    pub(crate) fn new(samples: usize, scale: f64) -> Self {
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(samples);
        let window = |n| (hann(n, samples) * scale) as f32;
        Self {
            window: (0..samples).map(window).collect(),
            frame: fft.make_input_vec(),
            frequencies: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
        }
    }

    /// Takes a frame; `samples` gives all of its samples.
    pub(crate) fn take(&mut self, samples: impl Iterator<Item = f32>) {
        for ((slot, window), sample) in self.frame.iter_mut().zip(&self.window).zip(samples) {
            *slot = sample * window;
        }
    }

    /// Returns the frequencies of the frame that was taken, once: its samples are used up.
    pub(crate) fn frequencies(&mut self) -> &[Complex<f32>] {
        let done = self.fft.process_with_scratch(
            &mut self.frame,
            &mut self.frequencies,
            &mut self.scratch,
        );
        assert!(done.is_ok(), "the buffers were made by this transform");
        &self.frequencies
    }
}
