//! Recordings: any bytes as a WAV, FLAC, MP3 or OGG file.
//!
//! First two bytes: a place to go to. The rest: the file, in memory. It is refused with one line,
//! or read: the same samples in pieces of any size, and from any place on the same as from the
//! start. Half a second is read at most; libFuzzer's own limit bounds the memory.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use pressel::audio_file::{AudioFile, AudioFileError};
use rustix::fs::{MemfdFlags, memfd_create};

/// Samples that are read: 0.5 s. A file of a few bytes can claim to be days of silence.
const SAMPLES_MAX: usize = 8_000;

/// Checks any bytes as a recording.
pub fn check(bytes: &[u8]) {
    let Some(([low, high], content)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let memfd = memfd_create("recording", MemfdFlags::CLOEXEC).expect("there is memory");
    let mut file = File::from(memfd);
    file.write_all(content).expect("memory does not fail");
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let first = read(&path, 0, 777);
    if let Err(error) = &first {
        check_line(error);
    }
    assert_eq!(read(&path, 0, 4_096), first, "pieces change nothing");
    let place = usize::from(u16::from_le_bytes([*low, *high])) % SAMPLES_MAX;
    let later = read(&path, place, 1_000);
    match (&first, &later) {
        (Ok(all), Ok(part)) if all.samples.len() < SAMPLES_MAX => {
            assert_eq!(part.samples, all.samples[place.min(all.samples.len())..]);
        }
        (Ok(all), Ok(part)) => assert!(part.samples.starts_with(&all.samples[place..])),
        // Sound that is skipped is not decoded everywhere: only what is read can be wrong.
        (_, Err(error)) => check_line(error),
        (Err(_), Ok(_)) => {}
    }
}

/// Checks any bytes as the chunks of a WAV file: our own reader, without the slower decoders.
pub fn check_wav(bytes: &[u8]) {
    let Some((place, chunks)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    check(&[&place[..], b"RIFF\0\0\0\0WAVE", chunks].concat());
}

/// What came out of a file.
#[derive(Debug, PartialEq)]
struct Heard {
    samples: Vec<i16>,
    claimed: Option<u64>,
}

fn read(path: &Path, from: usize, piece: usize) -> Result<Heard, AudioFileError> {
    let mut file = AudioFile::open(path)?;
    let info = file.info();
    assert!(0 < info.channels && !info.codec.is_empty());
    if !is_common(info.rate_hz) {
        return Ok(Heard {
            samples: Vec::new(),
            claimed: info.duration_samples,
        });
    }
    let reached = file.skip_to(from as u64)?;
    assert!(reached <= from as u64);
    let mut heard = Heard {
        samples: Vec::new(),
        claimed: info.duration_samples,
    };
    let mut samples = vec![0; piece];
    while heard.samples.len() < SAMPLES_MAX {
        let wanted = piece.min(SAMPLES_MAX - heard.samples.len());
        let count = file.read(&mut samples[..wanted])?;
        heard.samples.extend_from_slice(&samples[..count]);
        assert_eq!(file.position(), reached + heard.samples.len() as u64);
        if count < wanted {
            assert_eq!(file.read(&mut samples)?, 0, "the end stays the end");
            break;
        }
    }
    Ok(heard)
}

/// Whether a rate shares a factor with 16,000. The others are converted a second at a time: a blink
/// for the appliance, half a minute for a sanitizer.
fn is_common(rate_hz: u32) -> bool {
    let (mut a, mut b) = (16_000, rate_hz);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    50 <= a
}

fn check_line(error: &AudioFileError) {
    let line = error.to_string();
    assert!(
        line.contains("/proc/self/fd/") && !line.contains(char::is_control),
        "{line:?}"
    );
}
