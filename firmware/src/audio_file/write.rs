//! A WAV file of what was recorded here: mono, 16 bits, 16 kHz.
//!
//! In: samples, at most some minutes of them. Out: all bytes of the file, for whoever puts them on
//! a disk.

use pressel_pipeline::limits::RATE_HZ;

/// Bytes of one sample.
const SAMPLE_BYTES: u32 = 2;
/// Bytes of the header after the length of the whole.
const HEAD_BYTES: u32 = 36;

/// Returns a whole WAV file.
///
/// # Panics
/// With more samples than a WAV file can hold: 37 hours.
#[must_use]
pub fn wav_of(samples: &[i16]) -> Vec<u8> {
    let rate_hz = RATE_HZ as u32;
    let bytes = u32::try_from(samples.len()).map(|count| count.saturating_mul(SAMPLE_BYTES));
    let bytes = bytes.unwrap_or(u32::MAX);
    assert!(bytes <= u32::MAX - HEAD_BYTES, "a WAV file is below 4 GiB");
    let mut wav = Vec::with_capacity(44 + 2 * samples.len());
    wav.extend(b"RIFF");
    wav.extend((HEAD_BYTES + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    wav.extend([1, 0, 1, 0]);
    wav.extend(rate_hz.to_le_bytes());
    wav.extend((rate_hz * SAMPLE_BYTES).to_le_bytes());
    // Bytes of a frame, bits of a sample.
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    wav.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    wav
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio_file::AudioFile;

    #[test]
    fn what_is_written_is_read_again_and_is_undamaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let samples: Vec<i16> = (0..10_000).map(|n| (n * 7 - 32_768) as i16).collect();
        std::fs::write(&path, wav_of(&samples)).unwrap();
        let mut file = AudioFile::open(&path).unwrap();
        let info = file.info();
        assert_eq!(
            (info.codec, info.rate_hz, info.channels),
            ("PCM 16 bit", 16_000, 1)
        );
        assert_eq!(info.duration_samples, Some(10_000));
        let mut read = vec![0; 10_001];
        let mut count = 0;
        while let more @ 1.. = file.read(&mut read[count..]).unwrap() {
            count += more;
        }
        assert_eq!(&read[..count], samples);
        assert!(!file.damage().truncated);
    }
}
