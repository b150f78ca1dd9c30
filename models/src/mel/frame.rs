//! Logarithms of mel power for one frame at a time, of a stream that never ends.
//!
//! Flow: the last 25 ms -> power -> the filters of [`super::Mel`] -> logarithm. On listen's thread;
//! nothing is allocated after construction. Unlike [`super::Mel`] it needs no end: a frame ends
//! with its newest sample, and nothing is scaled by what comes later.

use super::{FFT_SAMPLES, Filter, HALF, log10, slaney_filters, transform::Transform};

/// The transform of one frame.
pub struct MelFrame {
    transform: Transform,
    filters: Vec<Filter>,
    power: Vec<f32>,
}

impl MelFrame {
    /// Makes the filters of `bins` mel bins.
    #[must_use]
    pub fn new(bins: usize) -> Self {
        Self {
            // The full scale of i16 is 1.
            transform: Transform::new(FFT_SAMPLES, 1.0 / 32_768.0),
            filters: slaney_filters(bins),
            power: vec![0.0; HALF + 1],
        }
    }

    /// Returns the number of mel bins.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.filters.len()
    }

    /// Writes the logarithm to base 10 of the power in each bin into `logs`, one value a bin.
    ///
    /// # Panics
    /// When `logs` has another length than there are bins: a fault of the caller.
    pub fn logs(&mut self, samples: &[i16; FFT_SAMPLES], logs: &mut [f32]) {
        assert!(logs.len() == self.filters.len());
        self.take(samples);
        self.write(logs);
    }

    /// Takes 25 ms, all of which are there.
    pub(super) fn take(&mut self, samples: &[i16; FFT_SAMPLES]) {
        self.transform
            .take(samples.iter().map(|&sample| f32::from(sample)));
    }

    /// Takes 25 ms whose sample `n` is `sample(n)`; none is silence.
    pub(super) fn take_each(&mut self, sample: impl Fn(usize) -> Option<i16>) {
        let samples = (0..FFT_SAMPLES).map(|n| sample(n).map_or(0.0, f32::from));
        self.transform.take(samples);
    }

    /// Writes the logarithms of what was taken, one value a bin.
    pub(super) fn write(&mut self, logs: &mut [f32]) {
        for (power, bin) in self.power.iter_mut().zip(self.transform.frequencies()) {
            *power = bin.norm_sqr();
        }
        for (log, filter) in logs.iter_mut().zip(&self.filters) {
            let power = &self.power[filter.first..][..filter.weights.len()];
            *log = power.iter().zip(&filter.weights).map(|(p, w)| p * w).sum();
        }
        // In a loop of its own: several at once.
        for log in logs {
            *log = log10(*log);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::{HOP_SAMPLES, Mel};

    #[test]
    fn a_frame_alone_is_the_frame_of_the_whole_spectrogram() {
        let bins = 80;
        let audio: Vec<i16> = (0..8_000_i32)
            .map(|n| i16::try_from((n * n / 37) % 20_001 - 10_000).unwrap())
            .collect();
        let frames = audio.len() / HOP_SAMPLES;
        let mut whole = vec![0.0; bins * frames];
        Mel::new(bins).compute(&audio, frames, 1.0, &mut whole);
        let mut alone = MelFrame::new(bins);
        let mut logs = vec![0.0; bins];
        // Frame 10 of the centred ones has its middle at sample 1,600.
        let first = 10 * HOP_SAMPLES - HALF;
        alone.logs(audio[first..][..FFT_SAMPLES].try_into().unwrap(), &mut logs);
        let loudest = whole.iter().copied().fold(f32::MIN, f32::max);
        for (bin, log) in logs.iter().enumerate() {
            let expected = whole[bin * frames + 10];
            let found = ((log + 4.0) / 4.0).max(loudest - 2.0);
            assert!((found - expected).abs() < 1e-5, "{bin}: {found} {expected}");
        }
    }
}
