//! Whisper's log-mel spectrogram.
//!
//! Flow: i16 samples -> frames of 25 ms every 10 ms -> power -> Slaney mel filters -> logarithm,
//! scaled as Whisper was trained. In the worker process; nothing is allocated after construction.
//! It repeats transformers' `WhisperFeatureExtractor` (centred frames, reflected edges, the last
//! frame dropped), within 1e-4: see fixtures/make.py.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

/// Samples per second that the filters are made for.
pub const RATE_HZ: usize = 16_000;
/// Samples in one frame. Source: WhisperFeatureExtractor, `n_fft`.
pub const FFT_SAMPLES: usize = 400;
/// Samples from one frame to the next. Source: WhisperFeatureExtractor, `hop_length`.
pub const HOP_SAMPLES: usize = 160;
/// Frames in Whisper's own window of 30 s.
pub const FRAMES_MAX: usize = 3_000;
/// Fewest frames: the reflected edges need more samples than half a frame.
pub const FRAMES_MIN: usize = 2;
const _: () = assert!(FFT_SAMPLES / 2 < FRAMES_MIN * HOP_SAMPLES);

/// Power below which a filter's output counts as nothing.
const POWER_MIN: f32 = 1e-10;
/// Distance below the loudest value that is kept, in powers of ten.
const RANGE: f32 = 8.0;

/// A log-mel spectrogram of a fixed number of bins.
pub struct Mel {
    bins: usize,
    /// Periodic Hann window, divided by the full scale of i16.
    window: Vec<f32>,
    filters: Vec<Filter>,
    fft: Arc<dyn RealToComplex<f32>>,
    frame: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    power: Vec<f32>,
}

/// One triangular filter: its weights, and the first power bin that they stand for.
struct Filter {
    first: usize,
    weights: Vec<f32>,
}

impl Mel {
    /// Makes the filters of `bins` mel bins: 80, or 128 for Whisper large v3.
    #[must_use]
    pub fn new(bins: usize) -> Self {
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(FFT_SAMPLES);
        let hann = |n: usize| {
            let turn = std::f64::consts::TAU * n as f64 / FFT_SAMPLES as f64;
            ((0.5 - 0.5 * turn.cos()) / 32_768.0) as f32
        };
        Self {
            bins,
            window: (0..FFT_SAMPLES).map(hann).collect(),
            filters: slaney_filters(bins),
            frame: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            power: vec![0.0; FFT_SAMPLES / 2 + 1],
            fft,
        }
    }

    /// Returns the number of mel bins.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// Writes the spectrogram of `audio`, padded with silence to `frames` frames, into `mel`.
    ///
    /// Shape: `mel` is `[bins, frames] f32`, row-major. Units: `audio` is mono 16 kHz.
    /// Time: about 1 ms for each second of audio, none for the padding.
    ///
    /// # Panics
    /// When `mel` has another length, or `audio` or `frames` does not fit the window: these are
    /// faults of the caller.
    pub fn compute(&mut self, audio: &[i16], frames: usize, mel: &mut [f32]) {
        assert!(FRAMES_MIN <= frames);
        assert!(audio.len() <= frames * HOP_SAMPLES);
        assert!(mel.len() == self.bins * frames);
        let mut loudest = POWER_MIN.log10();
        for at in 0..frames {
            // Frames of padding alone are the floor; no transform is needed to know it.
            if audio.len() + FFT_SAMPLES / 2 <= at * HOP_SAMPLES {
                (0..self.bins).for_each(|bin| mel[bin * frames + at] = POWER_MIN.log10());
                continue;
            }
            self.transform(audio, frames, at);
            for (bin, filter) in self.filters.iter().enumerate() {
                let power = &self.power[filter.first..][..filter.weights.len()];
                let sum: f32 = power.iter().zip(&filter.weights).map(|(p, w)| p * w).sum();
                let value = sum.max(POWER_MIN).log10();
                loudest = loudest.max(value);
                mel[bin * frames + at] = value;
            }
        }
        for value in mel {
            *value = (value.max(loudest - RANGE) + 4.0) / 4.0;
        }
    }

    /// Writes the power spectrum of frame `at` into `self.power`.
    fn transform(&mut self, audio: &[i16], frames: usize, at: usize) {
        let end = frames * HOP_SAMPLES;
        for (n, (slot, window)) in self.frame.iter_mut().zip(&self.window).enumerate() {
            // The frame is centred on its time: sample numbers before 0 and after the end mirror.
            let index = (at * HOP_SAMPLES + n).abs_diff(FFT_SAMPLES / 2);
            let index = if index < end {
                index
            } else {
                2 * (end - 1) - index
            };
            *slot = audio
                .get(index)
                .map_or(0.0, |&sample| f32::from(sample) * window);
        }
        let lengths = "the buffers were made by this transform";
        let done =
            self.fft
                .process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch);
        assert!(done.is_ok(), "{lengths}");
        for (power, bin) in self.power.iter_mut().zip(&self.spectrum) {
            *power = bin.norm_sqr();
        }
    }
}

/// Triangular filters, equally spaced on Slaney's scale, each of the same area.
///
/// Source: transformers 4.55, audio_utils.py, `mel_filter_bank(norm="slaney", mel_scale="slaney")`.
fn slaney_filters(bins: usize) -> Vec<Filter> {
    let highest = hertz_to_mel(RATE_HZ as f64 / 2.0);
    let edge = |n: usize| mel_to_hertz(highest * n as f64 / (bins + 1) as f64);
    let step_hz = RATE_HZ as f64 / FFT_SAMPLES as f64;
    (0..bins)
        .map(|bin| {
            let (low, centre, high) = (edge(bin), edge(bin + 1), edge(bin + 2));
            let weight = |n: usize| {
                let hertz = n as f64 * step_hz;
                let rising = (hertz - low) / (centre - low);
                let falling = (high - hertz) / (high - centre);
                (rising.min(falling).max(0.0) * 2.0 / (high - low)) as f32
            };
            let all: Vec<f32> = (0..=FFT_SAMPLES / 2).map(weight).collect();
            let first = all.iter().position(|&w| 0.0 < w).unwrap_or(0);
            let end = all
                .iter()
                .rposition(|&w| 0.0 < w)
                .map_or(first, |last| last + 1);
            Filter {
                first,
                weights: all[first..end].to_vec(),
            }
        })
        .collect()
}

/// Slaney's scale: linear below 1 kHz (15 mel), logarithmic above.
fn hertz_to_mel(hertz: f64) -> f64 {
    if hertz < 1_000.0 {
        hertz * 3.0 / 200.0
    } else {
        15.0 + (hertz / 1_000.0).ln() * LOG_STEPS
    }
}

fn mel_to_hertz(mel: f64) -> f64 {
    if mel < 15.0 {
        mel * 200.0 / 3.0
    } else {
        1_000.0 * ((mel - 15.0) / LOG_STEPS).exp()
    }
}

/// Mels for a factor of e above 1 kHz: 27 / ln 6.4.
const LOG_STEPS: f64 = 14.545_078_505_785_561;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fixtures, golden, number, signal};

    /// Compares one case of golden.json and returns the largest difference.
    fn check(case: &serde_json::Value) -> f32 {
        let (bins, frames) = (number(case, "bins"), number(case, "frames"));
        let mut mel = vec![0.0; bins * frames];
        Mel::new(bins).compute(&signal(case), frames, &mut mel);
        let file = fixtures().join(case["file"].as_str().unwrap());
        let bytes = std::fs::read(file).unwrap();
        let expected = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let found: Vec<f32> = mel
            .iter()
            .step_by(number(case, "stride"))
            .copied()
            .collect();
        assert_eq!(found.len(), bytes.len() / 4);
        found
            .iter()
            .zip(expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn mel_agrees_with_transformers_within_1e_4() {
        let golden = golden();
        let cases = golden["mel"].as_array().unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let difference = check(case);
            println!("{} differs by {difference:.1e}", case["file"]);
            assert!(difference < 1e-4, "{case}: {difference}");
        }
    }

    #[test]
    fn the_logarithmic_part_of_the_scale_fits() {
        assert!((LOG_STEPS - 27.0 / 6.4_f64.ln()).abs() < 1e-12);
        assert!((mel_to_hertz(hertz_to_mel(5_000.0)) - 5_000.0).abs() < 1e-9);
    }

    #[test]
    fn silence_nothing_and_clipping_give_numbers() {
        let mut mel = Mel::new(80);
        for audio in [
            vec![],
            vec![0; 320],
            vec![i16::MIN; 320],
            vec![i16::MAX; 320],
        ] {
            let mut out = vec![f32::NAN; 160];
            mel.compute(&audio, 2, &mut out);
            assert!(out.iter().all(|x| x.is_finite() && x.abs() < 4.0));
        }
    }
}
