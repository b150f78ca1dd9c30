//! Tests of whole files: helpers, good files of every kind, and true times.
//!
//! WAV files are written here byte by byte; the other formats come from `firmware/fixtures/audio`.

mod damaged;
mod hostile;
mod skip;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{AudioFile, AudioInfo, Damage};

/// The parts of a WAV file.
#[derive(Clone)]
struct Wav {
    tag: u16,
    channels: u16,
    rate_hz: u32,
    bits: u16,
    data: Vec<u8>,
    /// What the header says, when it does not say the truth.
    claimed: Option<u32>,
    /// Bytes after the sound.
    after: Vec<u8>,
}

impl Wav {
    fn pcm16(rate_hz: u32, channels: u16, samples: &[i16]) -> Self {
        let data = samples
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        Self {
            tag: 1,
            channels,
            rate_hz,
            bits: 16,
            data,
            claimed: None,
            after: Vec::new(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let frame_bytes = self.channels.wrapping_mul(self.bits.div_ceil(8));
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        bytes.extend(self.tag.to_le_bytes());
        bytes.extend(self.channels.to_le_bytes());
        bytes.extend(self.rate_hz.to_le_bytes());
        bytes.extend(
            self.rate_hz
                .wrapping_mul(u32::from(frame_bytes))
                .to_le_bytes(),
        );
        bytes.extend(frame_bytes.to_le_bytes());
        bytes.extend(self.bits.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend(self.claimed.unwrap_or(self.data.len() as u32).to_le_bytes());
        bytes.extend(&self.data);
        bytes.extend(&self.after);
        bytes
    }
}

/// Writes a file into a new folder, which lives as long as the first value.
fn file(name: impl AsRef<OsStr>, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join(name.as_ref());
    std::fs::write(&path, bytes).expect("a temporary file can be written");
    (folder, path)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/audio")
        .join(name)
}

fn read_to_end(file: &mut AudioFile) -> Vec<i16> {
    let mut samples = Vec::new();
    let mut block = [0; 777];
    loop {
        let count = file.read(&mut block).expect("the file can be read");
        samples.extend_from_slice(&block[..count]);
        if count < block.len() {
            return samples;
        }
    }
}

fn read_path(path: &Path) -> (Vec<i16>, AudioInfo, Damage) {
    let mut file = AudioFile::open(path).expect("the file can be opened");
    let samples = read_to_end(&mut file);
    (samples, file.info(), file.damage())
}

fn read_wav(wav: &Wav) -> (Vec<i16>, AudioInfo, Damage) {
    let (_folder, path) = file("a.wav", &wav.bytes());
    read_path(&path)
}

/// Half of full scale at 440 Hz.
fn tone(rate_hz: u32, seconds: f32) -> Vec<i16> {
    let count = (rate_hz as f32 * seconds) as usize;
    let step = std::f32::consts::TAU * 440.0 / rate_hz as f32;
    (0..count)
        .map(|n| ((n as f32 * step).sin() * 16_384.0) as i16)
        .collect()
}

#[test]
fn sixteen_kilohertz_mono_is_passed_bit_by_bit() {
    let samples: Vec<i16> = (0..40_000).map(|n| (n as i16).wrapping_mul(31)).collect();
    let (read, info, damage) = read_wav(&Wav::pcm16(16_000, 1, &samples));
    assert_eq!(read, samples);
    assert_eq!(info.duration_samples, Some(40_000));
    assert_eq!(
        (info.codec, info.rate_hz, info.channels),
        ("PCM 16 bit", 16_000, 1)
    );
    assert_eq!(damage, Damage::default());
}

#[test]
fn every_sample_format_gives_the_same_sound() {
    let values = [0.0_f32, 0.5, -0.5, 0.25, -0.25, 0.75];
    let check = |tag: u16, bits: u16, codec: &str, encode: &dyn Fn(f32) -> Vec<u8>| {
        let data = values.iter().flat_map(|value| encode(*value)).collect();
        let mut wav = Wav::pcm16(16_000, 1, &[]);
        (wav.tag, wav.bits, wav.data) = (tag, bits, data);
        let (read, info, _) = read_wav(&wav);
        let expected = values.map(|value| (value * 32_768.0) as i16);
        assert_eq!((read.as_slice(), info.codec), (&expected[..], codec));
    };
    let whole = |value: f32| ((value * 2_147_483_648.0) as i32).to_le_bytes();
    check(1, 8, "PCM 8 bit", &|value| {
        vec![(value * 128.0 + 128.0) as u8]
    });
    check(1, 16, "PCM 16 bit", &|value| whole(value)[2..].to_vec());
    check(1, 24, "PCM 24 bit", &|value| whole(value)[1..].to_vec());
    check(1, 32, "PCM 32 bit", &|value| whole(value).to_vec());
    check(3, 32, "PCM 32 bit float", &|value| {
        value.to_le_bytes().to_vec()
    });
    check(3, 64, "PCM 64 bit float", &|value| {
        f64::from(value).to_le_bytes().to_vec()
    });
}

#[test]
fn a_law_and_mu_law_are_read() {
    for (tag, codec, byte, expected) in [(6, "A-law", 0x80, 5_504), (7, "µ-law", 0x9f, 8_316)] {
        let mut wav = Wav::pcm16(16_000, 1, &[]);
        (wav.tag, wav.bits, wav.data) = (tag, 8, vec![byte; 10]);
        let (read, info, _) = read_wav(&wav);
        assert_eq!((read, info.codec), (vec![expected; 10], codec));
    }
}

#[test]
fn float_samples_that_are_no_numbers_or_too_large_are_tamed() {
    let wild = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        7.0,
        -7.0,
        1e-30,
        0.5,
    ];
    let mut wav = Wav::pcm16(16_000, 1, &[]);
    wav.data = wild
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    (wav.tag, wav.bits) = (3, 32);
    assert_eq!(read_wav(&wav).0, [0, 0, 0, i16::MAX, i16::MIN, 0, 16_384]);
}

#[test]
fn channels_are_mixed_and_the_low_one_left_out() {
    let mono = |channels: u16, frame: &[i16]| read_wav(&Wav::pcm16(16_000, channels, frame)).0;
    assert_eq!(mono(2, &[8_000, 4_000, -8_000, -4_000]), [6_000, -6_000]);
    // 5.1 in WAVE order: the low channel is the fourth, the centre counts most.
    assert_eq!(mono(6, &[0, 0, 0, 30_000, 0, 0]), [0]);
    assert_eq!(mono(6, &[0, 0, 10_000, 0, 0, 0]), [2_929]);
    assert_eq!(mono(6, &[10_000; 6]), [10_000]);
}

#[test]
fn extensible_headers_tell_the_places_of_channels() {
    let mut bytes = Wav::pcm16(16_000, 2, &[4_000, 20_000]).bytes();
    // Front centre and low. Two channels are averaged wherever they stand.
    let mut extension = vec![22, 0, 16, 0, 0x0c, 0, 0, 0, 1, 0];
    extension.extend(b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
    bytes.splice(36..36, extension);
    bytes[16] = 40;
    bytes[20..22].copy_from_slice(&[0xfe, 0xff]);
    let (_folder, path) = file("a.wav", &bytes);
    assert_eq!(read_path(&path).0, [12_000]);
}

#[test]
fn an_impulse_stays_at_its_time_at_every_rate() {
    for rate_hz in [
        8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 44_099,
    ] {
        let mut samples = vec![0; rate_hz as usize * 2];
        let at = rate_hz as usize * 5 / 4;
        // As long as a sample at 16 kHz, so that it survives the low-pass.
        let width = (rate_hz as usize / 16_000).max(1);
        samples[at - width / 2..][..width].fill(30_000);
        let (read, info, _) = read_wav(&Wav::pcm16(rate_hz, 1, &samples));
        assert_eq!(read.len(), 32_000, "{rate_hz} Hz");
        assert_eq!(info.duration_samples, Some(32_000));
        let peak = (0..read.len()).max_by_key(|index| read[*index].unsigned_abs());
        let error = peak.expect("not empty").abs_diff(20_000);
        assert!(error <= 1, "{rate_hz} Hz: {error} samples off");
    }
}

#[test]
fn resampling_keeps_tones_and_takes_out_what_would_alias() {
    let level = |rate_hz: u32, tone_hz: f32| {
        let step = std::f32::consts::TAU * tone_hz / rate_hz as f32;
        let samples = (0..rate_hz).map(|n| ((n as f32 * step).sin() * 16_384.0) as i16);
        let (read, ..) = read_wav(&Wav::pcm16(rate_hz, 1, &samples.collect::<Vec<_>>()));
        let middle = &read[4_000..12_000];
        let energy: f64 = middle.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        10.0 * (energy / middle.len() as f64 / (16_384.0_f64.powi(2) / 2.0) + 1e-12).log10()
    };
    for rate_hz in [22_050, 44_100, 48_000, 96_000] {
        for tone_hz in [300.0, 3_000.0, 7_000.0] {
            let db = level(rate_hz, tone_hz);
            assert!(db.abs() < 0.1, "{rate_hz} Hz, tone {tone_hz} Hz: {db} dB");
        }
        let db = level(rate_hz, 8_500.0);
        assert!(db < -60.0, "{rate_hz} Hz, 8.5 kHz aliases at {db} dB");
    }
}

#[test]
fn every_fixture_has_its_tone_at_its_time() {
    for (name, codec, channels, slack) in [
        ("tone.flac", "FLAC", 2, 0),
        ("tone.mp3", "MP3", 1, 0),
        ("tone_no_length.mp3", "MP3", 1, 4_000),
        ("tone_vorbis.ogg", "Vorbis", 1, 0),
        ("tone_opus.ogg", "Opus", 1, 0),
        ("tone_opus_5_1.ogg", "Opus", 6, 0),
    ] {
        let (read, info, damage) = read_path(&fixture(name));
        assert_eq!((info.codec, info.channels), (codec, channels), "{name}");
        assert_eq!(damage, Damage::default(), "{name}");
        assert!(
            read.len().abs_diff(24_000) <= slack,
            "{name}: {} samples",
            read.len()
        );
        let said = info.duration_samples.expect("the header tells the length");
        assert!(said.abs_diff(24_000) <= slack as u64, "{name}: said {said}");
        let loud = |sample: &i16| sample.unsigned_abs() > 8_000;
        let first = read.iter().position(loud).expect("there is a tone");
        let last = read.iter().rposition(loud).expect("there is a tone");
        let delay = if slack > 0 {
            1_105 * 16_000 / 44_100
        } else {
            0
        };
        assert!(
            first.abs_diff(8_000 + delay) < 80,
            "{name}: tone starts at {first}"
        );
        assert!(
            last.abs_diff(16_000 + delay) < 80,
            "{name}: tone ends at {last}"
        );
        let peak = read.iter().map(|sample| sample.unsigned_abs()).max();
        assert!(
            peak.is_some_and(|peak| (14_000..22_000).contains(&peak)),
            "{name}: {peak:?}"
        );
    }
}

#[test]
fn any_name_works() {
    let bytes = Wav::pcm16(16_000, 1, &[1, 2, 3]).bytes();
    let names: [&[u8]; 5] = [
        b"two words.wav",
        "Größe 語.wav".as_bytes(),
        b"no\xff\xfeutf8",
        b"-x",
        b"line\nbreak",
    ];
    for name in names {
        let (folder, path) = file(OsStr::from_bytes(name), &bytes);
        let link = folder.path().join("a link");
        std::os::unix::fs::symlink(&path, &link).expect("a link can be made");
        assert_eq!(read_path(&path).0, [1, 2, 3]);
        assert_eq!(read_path(&link).0, [1, 2, 3]);
    }
}
