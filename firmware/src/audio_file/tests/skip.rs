//! Tests of going forward: what is read there equals what reading from the start gives.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Wav, file, fixture, read_path, read_to_end, tone};
use crate::audio_file::AudioFile;

/// Samples that are compared after a jump: beyond them the decoder has forgotten it.
const COMPARED: usize = 24_000;

#[test]
fn skipping_gives_what_reading_gives() {
    let mut paths: Vec<PathBuf> = ["tone.flac", "tone.mp3", "tone_vorbis.ogg", "tone_opus.ogg"]
        .map(fixture)
        .to_vec();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for rate_hz in [16_000, 8_000, 44_100, 96_000] {
        let path = folder.path().join(format!("{rate_hz}.wav"));
        let bytes = Wav::pcm16(rate_hz, 1, &tone(rate_hz, 2.0)).bytes();
        std::fs::write(&path, bytes).expect("a temporary file can be written");
        paths.push(path);
    }
    for path in paths {
        let (whole, ..) = read_path(&path);
        for (first, target) in [(0, 0), (0, 1), (100, 9_999), (5_000, 5_001), (777, 20_000)] {
            let mut file = AudioFile::open(&path).expect("the file can be opened");
            file.read(&mut vec![0; first])
                .expect("the file can be read");
            let target = target.max(first);
            assert_eq!(file.skip_to(target as u64).ok(), Some(target as u64));
            assert_eq!(file.position(), target as u64);
            let rest = read_to_end(&mut file);
            assert_eq!(
                rest.len(),
                whole.len() - target,
                "{path:?} {first} {target}"
            );
            let wrong = rest
                .iter()
                .zip(&whole[target..])
                .position(|(one, other)| one != other);
            assert_eq!(wrong, None, "{path:?} {first} {target}");
        }
        let mut file = AudioFile::open(&path).expect("the file can be opened");
        assert_eq!(file.skip_to(1 << 40).ok(), Some(whole.len() as u64));
        assert_eq!(file.read(&mut [0; 10]).ok(), Some(0));
        // Backwards: it stays.
        assert_eq!(file.skip_to(5).ok(), Some(whole.len() as u64));
    }
}

/// Reads `first` samples, goes to `target`, and compares what comes then.
fn check(path: &Path, whole: &[i16], first: usize, target: usize) {
    let mut file = AudioFile::open(path).expect("the file can be opened");
    file.read(&mut vec![0; first]).expect("it can be read");
    let target = target.max(first).min(whole.len());
    assert_eq!(file.skip_to(target as u64).ok(), Some(target as u64));
    let mut read = vec![0; COMPARED.min(whole.len() - target)];
    let count = file.read(&mut read).expect("it can be read");
    assert_eq!(count, read.len(), "{path:?} {first} {target}");
    let wrong = read
        .iter()
        .zip(&whole[target..])
        .position(|(one, other)| one != other);
    assert_eq!(wrong, None, "{path:?} {first} {target}");
}

/// Checks many places of a file.
fn check_all(path: &Path, places: &[(f64, f64)]) {
    let (whole, ..) = read_path(path);
    let place = |part: f64| (part * whole.len() as f64) as usize;
    for &(first, target) in places {
        check(path, &whole, 0, place(target));
        check(path, &whole, place(first), place(target));
    }
    // Packet by packet, and at the end.
    for target in (whole.len() / 2..).step_by(331).take(6) {
        check(path, &whole, 0, target);
    }
    check(path, &whole, 0, whole.len() - 1);
}

const LONG: [&str; 5] = [
    "long.mp3",
    "long_no_length.mp3",
    "long.flac",
    "long_vorbis.ogg",
    "long_opus.ogg",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2))]

    #[test]
    fn any_place_of_a_compressed_file_is_reached_to_the_bit(
        places in prop::collection::vec((0.0..0.6, 0.0..1.0), 4),
    ) {
        for name in LONG {
            check_all(&fixture(name), &places);
        }
    }

    #[test]
    fn damage_before_the_place_does_not_shift_it(
        places in prop::collection::vec((0.0..0.3, 0.2..1.0), 3),
        damage in prop::collection::vec((0.15..0.95, any::<[u8; 7]>()), 1..4),
    ) {
        for name in LONG {
            let mut bytes = std::fs::read(fixture(name)).expect("it can be read");
            for (at, noise) in &damage {
                let at = (at * bytes.len() as f64) as usize;
                bytes[at..at + noise.len()].copy_from_slice(noise);
            }
            let (_folder, path) = file(name, &bytes);
            check_all(&path, &places);
        }
    }
}

#[test]
fn places_in_the_second_of_two_files_glued_together_are_reached() {
    for name in LONG {
        let bytes = std::fs::read(fixture(name)).expect("it can be read");
        let (_folder, path) = file(name, &bytes.repeat(2));
        check_all(&path, &[(0.1, 0.3), (0.2, 0.55), (0.45, 0.8), (0.5, 0.98)]);
    }
}
