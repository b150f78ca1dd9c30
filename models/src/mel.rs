//! Whisper's log-mel spectrogram.
//!
//! Flow: i16 samples -> frames of 25 ms every 10 ms -> power -> Slaney mel filters -> logarithm,
//! scaled as Whisper was trained. In the worker process; nothing is allocated after construction.
//! It repeats transformers' `WhisperFeatureExtractor` (centred frames, reflected edges, the last
//! frame dropped), within 1e-4: see fixtures/make.py.
//!
//! Most of it is done while somebody still speaks: [`Mel::listen`] takes what was said so far. What
//! needs the end of the utterance (the last frames, the loudest value, the gain) is left to
//! [`Mel::compute`].

mod frame;
mod transform;

pub use frame::MelFrame;
#[cfg(feature = "ort")]
pub(crate) use transform::{Transform, hann};

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
const _: () = assert!(HALF < FRAMES_MIN * HOP_SAMPLES);

/// Samples that a frame reaches from its centre to both sides.
const HALF: usize = FFT_SAMPLES / 2;

/// Power below which a filter's output counts as nothing, as a power of ten.
const FLOOR: f32 = -10.0;
/// Power that stands for none at all: less than [`FLOOR`] with any gain.
const POWER_MIN: f32 = 1e-30;
/// Distance below the loudest value that is kept, in powers of ten.
const RANGE: f32 = 8.0;

/// A log-mel spectrogram of a fixed number of bins.
pub struct Mel {
    bins: usize,
    frame: MelFrame,
    /// What was listened to.
    heard: Vec<i16>,
    /// Logarithms of its power, `[frames, bins]`, before gain and scale.
    logs: Vec<f32>,
    /// The frames in `logs` that need nothing which is not in `heard`.
    done: usize,
    /// The frames in `logs` that were ever written.
    written: usize,
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
        Self {
            bins,
            frame: MelFrame::new(bins),
            heard: Vec::with_capacity(FRAMES_MAX * HOP_SAMPLES),
            logs: vec![0.0; FRAMES_MAX * bins],
            done: 0,
            written: 0,
        }
    }

    /// Returns the number of mel bins.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// Does ahead what can be done of the spectrogram of audio that begins with `audio`.
    ///
    /// Called again with more of the same audio it goes on where it was; the samples are compared,
    /// so other audio simply starts anew. What is beyond the longest window is left out.
    ///
    /// Units: `audio` is mono 16 kHz. Time: 0.3 ms for each new second of audio, 4 µs for each one
    /// that was heard before.
    pub fn listen(&mut self, audio: &[i16]) {
        let audio = &audio[..audio.len().min(FRAMES_MAX * HOP_SAMPLES)];
        let known = self.heard.len().min(audio.len());
        if self.heard[..known] != audio[..known] {
            self.forget();
        }
        let known = known.min(self.heard.len());
        self.done = self.done.min(whole_frames(known));
        self.heard[known..].fill(0);
        self.heard.truncate(known);
        self.heard.extend_from_slice(&audio[known..]);
        for at in self.done..whole_frames(audio.len()) {
            self.write_frame(audio, usize::MAX, at);
            self.done = at + 1;
        }
    }

    /// Forgets what was listened to, and overwrites it.
    pub fn forget(&mut self) {
        self.heard.fill(0);
        self.heard.clear();
        self.logs[..self.written * self.bins].fill(0.0);
        (self.done, self.written) = (0, 0);
    }

    /// Writes the spectrogram of `audio`, made louder by the factor `gain` and padded with silence
    /// to `frames` frames, into `mel`. What [`Mel::listen`] did of it is not done again; the result
    /// is the same, bit by bit.
    ///
    /// Shape: `mel` is `[bins, frames] f32`, row-major. Units: `audio` is mono 16 kHz.
    /// Time: as [`Mel::listen`], and 0.1 ms for each second of the window.
    ///
    /// # Panics
    /// When `mel` has another length, or `audio` or `frames` does not fit the window: these are
    /// faults of the caller.
    pub fn compute(&mut self, audio: &[i16], frames: usize, gain: f32, mel: &mut [f32]) {
        assert!((FRAMES_MIN..=FRAMES_MAX).contains(&frames));
        assert!(audio.len() <= frames * HOP_SAMPLES);
        assert!(mel.len() == self.bins * frames);
        self.listen(audio);
        // Frames of padding alone are the floor; no transform is needed to know it.
        let sounding = (audio.len() + HALF).div_ceil(HOP_SAMPLES).min(frames);
        for at in self.done..sounding {
            self.write_frame(audio, frames, at);
        }
        let logs = &self.logs[..sounding * self.bins];
        // A factor on the samples is one on the power, squared, and a sum on its logarithm.
        let louder = 2.0 * gain.max(f32::MIN_POSITIVE).log10();
        let loudest = highest(logs) + louder;
        let floor = (loudest - RANGE).max(FLOOR);
        let scaled = |log: f32| ((log + louder).max(floor) + 4.0) / 4.0;
        let nothing = (floor + 4.0) / 4.0;
        for (bin, row) in mel.chunks_exact_mut(frames).enumerate() {
            let (sounds, padding) = row.split_at_mut(sounding);
            for (value, logs) in sounds.iter_mut().zip(logs.chunks_exact(self.bins)) {
                *value = scaled(logs[bin]);
            }
            padding.fill(nothing);
        }
    }

    /// Writes the logarithms of frame `at`.
    fn write_frame(&mut self, audio: &[i16], frames: usize, at: usize) {
        let first = (at * HOP_SAMPLES).checked_sub(HALF);
        let whole = first.and_then(|first| audio.get(first..)?.first_chunk());
        if let Some(samples) = whole {
            self.frame.take(samples);
        } else {
            let end = frames.saturating_mul(HOP_SAMPLES);
            self.frame.take_each(|n| {
                // The frame is centred on its time: samples before 0 and after the end mirror.
                let index = (at * HOP_SAMPLES + n).abs_diff(HALF);
                let index = if index < end {
                    index
                } else {
                    2 * (end - 1) - index
                };
                audio.get(index).copied()
            });
        }
        self.written = self.written.max(at + 1);
        self.frame
            .write(&mut self.logs[at * self.bins..][..self.bins]);
    }
}

/// Returns how many frames `samples` samples fill, however the audio goes on.
fn whole_frames(samples: usize) -> usize {
    samples.saturating_sub(HALF).div_ceil(HOP_SAMPLES)
}

/// Returns the highest of `logs`; eight at once.
fn highest(logs: &[f32]) -> f32 {
    let mut lanes = [f32::MIN; 8];
    let eights = logs.chunks_exact(lanes.len());
    let rest = eights.remainder();
    for eight in eights.chain([rest]) {
        for (lane, &log) in lanes.iter_mut().zip(eight) {
            *lane = lane.max(log);
        }
    }
    lanes.into_iter().fold(f32::MIN, f32::max)
}

/// Returns the logarithm of a power to base 10, within 3e-7; that of next to nothing for nothing.
///
/// Why not the library's: this one is computed for eight values at once.
#[inline]
fn log10(power: f32) -> f32 {
    /// The square root of a half, as bits.
    const ROOT_HALF: u32 = 0x3f35_04f3;
    let bits = power.max(POWER_MIN).to_bits();
    // power = 2^exponent * mantissa, with the mantissa between the roots of a half and of two.
    let above = bits.wrapping_sub(ROOT_HALF);
    let exponent = (above as i32) >> 23;
    let mantissa = f32::from_bits((above & 0x007f_ffff) + ROOT_HALF);
    // ln m = 2 artanh t = 2 (t + t^3 / 3 + t^5 / 5 + ...), with |t| < 0.172.
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let square = t * t;
    let series = 1.0 + square * (1.0 / 3.0 + square * (0.2 + square * (1.0 / 7.0 + square / 9.0)));
    exponent as f32 * core::f32::consts::LOG10_2 + t * series * (2.0 * core::f32::consts::LOG10_E)
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
            let all: Vec<f32> = (0..=HALF).map(weight).collect();
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
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{fixtures, golden, number, signal};

    /// Compares one case of golden.json and returns the largest difference.
    fn check(case: &serde_json::Value) -> f32 {
        let (bins, frames) = (number(case, "bins"), number(case, "frames"));
        let mut mel = vec![0.0; bins * frames];
        Mel::new(bins).compute(&signal(case), frames, 1.0, &mut mel);
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
    fn logarithms_are_those_of_the_library() {
        for exponent in -29..30 {
            for step in 0..1_000 {
                let power = 10.0_f32.powi(exponent) * (1.0 + step as f32 * 0.009);
                let expected = f64::from(power).log10();
                let difference = (f64::from(log10(power)) - expected).abs();
                assert!(difference < 3e-7 * expected.abs().max(1.0), "{power}");
            }
        }
        for power in [0.0, -1.0, f32::MIN_POSITIVE / 2.0, f32::NAN] {
            assert!((log10(power) + 30.0).abs() < 1e-5, "{power}");
        }
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
            for gain in [1.0, 31.62, 0.0, f32::NAN] {
                let mut out = vec![f32::NAN; 160];
                mel.compute(&audio, 2, gain, &mut out);
                assert!(out.iter().all(|x| x.is_finite() && x.abs() < 20.0));
            }
        }
    }

    /// Computes with a fresh spectrogram.
    fn fresh(audio: &[i16], frames: usize, gain: f32) -> Vec<f32> {
        let mut out = vec![0.0; 80 * frames];
        Mel::new(80).compute(audio, frames, gain, &mut out);
        out
    }

    #[test]
    fn gain_is_a_factor_on_the_samples() {
        let quiet: Vec<i16> = (0..8_000).map(|n| ((n * n) % 201) as i16 - 100).collect();
        let loud: Vec<i16> = quiet.iter().map(|sample| sample * 16).collect();
        let (expected, found) = (fresh(&loud, 80, 1.0), fresh(&quiet, 80, 16.0));
        for (a, b) in expected.iter().zip(&found) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn nothing_is_left_of_what_is_forgotten() {
        let mut mel = Mel::new(80);
        let mut out = vec![0.0; 80 * 40];
        mel.compute(&[1_000; 4_000], 40, 1.0, &mut out);
        mel.listen(&[900; 1_000]);
        mel.forget();
        assert!(mel.heard.is_empty() && mel.done == 0);
        assert!(mel.logs.iter().all(|&log| log == 0.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn listening_ahead_changes_no_bit(
            audio in prop::collection::vec(any::<i16>(), 0..6_000),
            cuts in prop::collection::vec(0_usize..6_000, 0..6),
            other in prop::collection::vec(any::<i16>(), 0..900),
            others_turn in 0_usize..6,
            margin in 0_usize..5,
        ) {
            let mut mel = Mel::new(80);
            // Longer, shorter, and now and then other audio.
            for (turn, cut) in cuts.iter().enumerate() {
                mel.listen(&audio[..audio.len().min(*cut)]);
                if turn == others_turn {
                    mel.listen(&other);
                }
            }
            let frames = audio.len().div_ceil(HOP_SAMPLES).max(FRAMES_MIN) + margin;
            // Twice: the second time in a longer window.
            for frames in [frames, frames + 3] {
                let expected = fresh(&audio, frames, 2.0);
                let mut found = vec![0.0; 80 * frames];
                mel.compute(&audio, frames, 2.0, &mut found);
                prop_assert!(expected.iter().zip(&found).all(|(a, b)| a.to_bits() == b.to_bits()));
            }
        }
    }
}
