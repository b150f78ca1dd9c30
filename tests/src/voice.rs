//! What is played: the demo's recordings, silence and noise, and WAV files of any kind.
//!
//! In: `firmware/demo`. Out: samples at 16 kHz, and files. The same seed gives the same noise.

use std::path::Path;
use std::sync::LazyLock;

use pressel::audio_file::AudioFile;

use crate::board::BLOCK;
use crate::program::recordings;

/// Samples in a second.
pub(crate) const RATE: usize = 16_000;

/// One recording.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    pub(crate) samples: Vec<i16>,
    /// What is said in it.
    pub(crate) text: String,
}

/// Returns the demo's recordings, in the order of its list.
pub(crate) fn clips() -> &'static [Clip] {
    static CLIPS: LazyLock<Vec<Clip>> = LazyLock::new(|| {
        let list = std::fs::read_to_string(recordings().join("demo.csv")).unwrap();
        let lines = list.lines().skip(1).filter_map(|line| line.split_once(','));
        let clips: Vec<Clip> = lines
            .map(|(file, text)| Clip {
                samples: read(&recordings().join(file)),
                text: text.to_owned(),
            })
            .collect();
        assert!(!clips.is_empty());
        clips
    });
    &CLIPS
}

/// Returns a recording's samples.
pub(crate) fn read(path: &Path) -> Vec<i16> {
    let mut file = AudioFile::open(path).unwrap();
    let mut samples = Vec::new();
    let mut block = [0; BLOCK];
    loop {
        match file.read(&mut block).unwrap() {
            0 => return samples,
            count => samples.extend_from_slice(&block[..count]),
        }
    }
}

/// Returns the first recording with silence around it: 0.6 s before, 0.6 s after.
pub(crate) fn word() -> Vec<i16> {
    around(&clips()[0].samples, 0.6)
}

/// Puts silence of so many seconds on both sides.
pub(crate) fn around(samples: &[i16], seconds: f32) -> Vec<i16> {
    [silence(seconds), samples.to_vec(), silence(seconds)].concat()
}

/// Returns silence.
pub(crate) fn silence(seconds: f32) -> Vec<i16> {
    vec![0; count(seconds)]
}

/// Returns white noise; `level` is its peak.
pub(crate) fn noise(seconds: f32, level: i16, random: &mut Random) -> Vec<i16> {
    let span = 2 * u32::from(level.unsigned_abs()) + 1;
    let sample = |_| i16::try_from(random.below(span)).unwrap_or(i16::MAX) - level;
    (0..count(seconds)).map(sample).collect()
}

/// Returns the recordings one after the other until they are so long.
pub(crate) fn babble(seconds: f32) -> Vec<i16> {
    let all = clips().iter().flat_map(|clip| clip.samples.iter().copied());
    all.collect::<Vec<_>>()
        .into_iter()
        .cycle()
        .take(count(seconds))
        .collect()
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "seconds of a test are few and positive"
)]
fn count(seconds: f32) -> usize {
    (seconds * RATE as f32) as usize
}

/// Numbers by a seed. Source: Marsaglia, "Xorshift RNGs", 2003, shifts 13, 17, 5.
#[derive(Clone, Debug)]
pub(crate) struct Random(u32);

impl Random {
    /// Takes the seed from `SEED`, or this one, and prints it.
    pub(crate) fn new(seed: u32) -> Self {
        let asked = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = asked.unwrap_or(seed);
        println!("SEED={seed}");
        Self(seed.max(1))
    }

    /// Takes the seed of a proof.
    pub(crate) fn of(seed: u64) -> Self {
        let seed = seed.to_le_bytes();
        Self(u32::from_le_bytes([seed[0], seed[1], seed[2], seed[3]]).max(1))
    }

    /// Draws a number below `end`.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % end
    }

    /// Draws one of these.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let index = self.below(u32::try_from(items.len()).unwrap());
        &items[index as usize]
    }
}

/// The numbers of a WAV header; `format` 1 is integer, 3 is float.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) format: u16,
    pub(crate) channels: u16,
    pub(crate) rate: u32,
    pub(crate) bits: u16,
    pub(crate) data_bytes: u32,
}

impl Header {
    /// Mono, 16 bits, 16 kHz.
    pub(crate) fn of(data_bytes: usize) -> Self {
        let data_bytes = u32::try_from(data_bytes).unwrap();
        Self {
            format: 1,
            channels: 1,
            rate: 16_000,
            bits: 16,
            data_bytes,
        }
    }

    /// Returns the bytes in front of the samples.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let block = self.channels * self.bits / 8;
        let mut bytes = b"RIFF".to_vec();
        bytes.extend_from_slice(&self.data_bytes.saturating_add(36).to_le_bytes());
        bytes.extend_from_slice(b"WAVEfmt \x10\0\0\0");
        bytes.extend_from_slice(&self.format.to_le_bytes());
        bytes.extend_from_slice(&self.channels.to_le_bytes());
        bytes.extend_from_slice(&self.rate.to_le_bytes());
        bytes.extend_from_slice(&(self.rate * u32::from(block)).to_le_bytes());
        bytes.extend_from_slice(&block.to_le_bytes());
        bytes.extend_from_slice(&self.bits.to_le_bytes());
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&self.data_bytes.to_le_bytes());
        bytes
    }
}

/// Returns a whole WAV file, mono, 16 bits, 16 kHz.
pub(crate) fn wav(samples: &[i16]) -> Vec<u8> {
    let data: &[u8] = bytemuck::cast_slice(samples);
    [Header::of(data.len()).bytes(), data.to_vec()].concat()
}
