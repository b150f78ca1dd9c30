//! One recording as it is played: silence around it, noise under it.
//!
//! In: a file, and noise of the same list. Out: samples as the microphone would give them.

use std::path::Path;

use pressel_pipeline::limits::RATE_HZ;

use super::score::Random;
use crate::audio_file::{AudioFile, AudioFileError};
use crate::offline::Samples;

/// Silence before and behind: 0.3 s, so that the voice activity model has met the room.
const AROUND: usize = RATE_HZ * 3 / 10;
/// Longest recording that is held in memory: ten minutes.
const SAMPLES_MAX: usize = RATE_HZ * 600;
/// Samples whose energy is looked at together: 10 ms.
const FRAME: usize = RATE_HZ / 100;
/// How far below the loudest 10 ms speech still counts as sounding.
const SOUNDING_DB: f64 = 30.0;

/// Samples that are played once.
pub(super) struct Clip {
    pub(super) samples: Vec<i16>,
    /// How many of them sound: all where noise lies under it, else without the silence around it.
    pub(super) sounding: usize,
    at: usize,
}

impl Clip {
    pub(super) fn of(samples: Vec<i16>, sounding: usize) -> Self {
        Self {
            samples,
            sounding,
            at: 0,
        }
    }
}

impl Samples for Clip {
    fn read(&mut self, samples: &mut [i16]) -> Result<usize, AudioFileError> {
        let count = samples.len().min(self.samples.len() - self.at);
        samples[..count].copy_from_slice(&self.samples[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Noise that lies under every recording.
pub(super) struct Noise {
    tracks: Vec<Vec<i16>>,
    below_db: f64,
}

impl Noise {
    /// Takes the recordings of noise; those that cannot be read are left out. `None` without any.
    pub(super) fn of(files: &[&Path], below_db: f64) -> Option<Self> {
        let tracks = files.iter().filter_map(|file| read(file).ok());
        let tracks: Vec<_> = tracks.filter(|track| FRAME <= track.len()).collect();
        (!tracks.is_empty()).then_some(Self { tracks, below_db })
    }

    /// Adds a stretch of noise, so many dB below what sounds of `samples`; which one depends on
    /// `number` alone, so that every model hears the same. The sum is made quieter where it would
    /// not fit.
    fn add(&self, samples: &mut [i16], number: u64) {
        let mut random = Random(number);
        let track = &self.tracks[random.below(self.tracks.len())];
        let first = random.below(track.len());
        let noise = |at: usize| f64::from(track[(first + at) % track.len()]);
        let speech = sounding_power(samples);
        let mean = (0..samples.len()).map(|at| noise(at).powi(2)).sum::<f64>();
        let mean = mean / samples.len().max(1) as f64;
        if mean <= 0.0 {
            return;
        }
        let gain = (speech / mean).sqrt() * 10_f64.powf(-self.below_db / 20.0);
        let sums: Vec<f64> = samples
            .iter()
            .enumerate()
            .map(|(at, &sample)| f64::from(sample) + noise(at) * gain)
            .collect();
        let peak = sums.iter().fold(0.0_f64, |peak, sum| peak.max(sum.abs()));
        let scale = (f64::from(i16::MAX) / peak.max(1.0)).min(1.0);
        for (sample, sum) in samples.iter_mut().zip(sums) {
            #[allow(clippy::cast_possible_truncation, reason = "scaled to fit above")]
            let whole = (sum * scale).round() as i16;
            *sample = whole;
        }
    }
}

/// The mean power of all 10 ms that are less than [`SOUNDING_DB`] quieter than the loudest.
fn sounding_power(samples: &[i16]) -> f64 {
    let power = |frame: &[i16]| {
        frame
            .iter()
            .map(|&sample| f64::from(sample).powi(2))
            .sum::<f64>()
            / frame.len() as f64
    };
    let powers: Vec<f64> = samples.chunks(FRAME).map(power).collect();
    let loudest = powers.iter().copied().fold(0.0, f64::max);
    let least = loudest * 10_f64.powf(-SOUNDING_DB / 10.0);
    let (sum, count) = powers
        .iter()
        .filter(|&&power| least < power)
        .fold((0.0, 0), |(sum, count), power| (sum + power, count + 1));
    sum / f64::from(count.max(1))
}

/// Reads all of a recording.
pub(in crate::cli) fn read(path: &Path) -> Result<Vec<i16>, String> {
    let mut file = AudioFile::open(path).map_err(|error| error.to_string())?;
    let mut samples = Vec::new();
    let mut part = [0; 4_096];
    loop {
        let read = file.read(&mut part).map_err(|error| error.to_string())?;
        if read == 0 {
            return Ok(samples);
        }
        samples.extend_from_slice(&part[..read]);
        if SAMPLES_MAX < samples.len() {
            return Err(format!("{}: longer than ten minutes", path.display()));
        }
    }
}

/// Makes what is played of a recording, and where in it the recording begins.
pub(super) fn make(
    path: &Path,
    noise: Option<&Noise>,
    number: u64,
) -> Result<(Clip, usize), String> {
    let mut samples = vec![0; AROUND];
    samples.extend(read(path)?);
    let mut sounding = samples.len() - AROUND;
    samples.resize(samples.len() + AROUND, 0);
    if let Some(noise) = noise {
        noise.add(&mut samples, number);
        sounding = samples.len();
    }
    Ok((Clip::of(samples, sounding), AROUND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_lies_as_far_below_the_sound_as_asked_and_is_the_same_every_time() {
        // A quarter of a second of sound in the middle of silence.
        let tone: Vec<i16> = (0..16_000)
            .map(|n| match n {
                6_000..10_000 if n % 40 < 20 => 4_000,
                6_000..10_000 => -4_000,
                _ => 0,
            })
            .collect();
        let noise = Noise {
            tracks: vec![
                (0..8_000)
                    .map(|n| if n % 7 < 3 { 900 } else { -700 })
                    .collect(),
            ],
            below_db: 20.0,
        };
        let mut both = tone.clone();
        noise.add(&mut both, 3);
        let left: Vec<i16> = both
            .iter()
            .zip(&tone)
            .map(|(sum, tone)| sum - tone)
            .collect();
        let below = 10.0 * (sounding_power(&tone) / sounding_power(&left)).log10();
        assert!((below - 20.0).abs() < 1.5, "{below}");
        let mut again = tone.clone();
        noise.add(&mut again, 3);
        assert_eq!(both, again);
    }

    #[test]
    fn a_sum_that_would_not_fit_is_made_quieter() {
        let noise = Noise {
            tracks: vec![vec![30_000; 400]],
            below_db: 0.0,
        };
        let mut samples = vec![30_000; 1_600];
        noise.add(&mut samples, 1);
        assert!(samples.iter().all(|&sample| sample == i16::MAX));
    }
}
