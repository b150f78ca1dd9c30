//! Any bytes at all: no panic, and an end within a bound.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::*;

/// Samples after which a file of some kilobytes has gone on for too long: four hours.
const SAMPLES_MAX: usize = 4 * 3_600 * 16_000;

/// Opens and reads whatever it is.
fn check(name: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    let (_folder, path) = file(name, bytes);
    let mut file = match AudioFile::open(&path) {
        Ok(file) => file,
        Err(error) => {
            prop_assert!(!error.to_string().contains('\n'));
            return Ok(());
        }
    };
    let mut block = vec![0; 16_000];
    let mut total = 0;
    while let Ok(count) = file.read(&mut block) {
        total += count;
        prop_assert!(total < SAMPLES_MAX);
        if count < block.len() {
            prop_assert_eq!(file.read(&mut block).unwrap_or(0), 0);
            break;
        }
    }
    Ok(())
}

/// A good file of each kind.
const SEEDS: [&str; 7] = [
    "tone.flac",
    "tone.mp3",
    "tone_no_length.mp3",
    "tone_vorbis.ogg",
    "tone_opus.ogg",
    "tone_opus_5_1.ogg",
    "a.wav",
];

fn seed(name: &str) -> Vec<u8> {
    if name == "a.wav" {
        return Wav::pcm16(44_100, 2, &[1_000; 500]).bytes();
    }
    std::fs::read(fixture(name)).expect("the fixture is there")
}

/// Where a change strikes: often in the header.
fn place() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..0.02, 0.0..1.0]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_do_no_harm(
        start in prop::sample::select(vec![
            &b""[..], b"RIFF\xff\xff\xff\xffWAVE", b"RF64\xff\xff\xff\xffWAVEds64", b"fLaC",
            b"OggS\0\x02", b"ID3\x04\0\0", b"\xff\xfb\x90\x64",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..2_000),
    ) {
        check("a.mp3", &[start, rest.as_slice()].concat())?;
    }

    #[test]
    fn changed_files_do_no_harm(
        name in prop::sample::select(&SEEDS[..]),
        changes in prop::collection::vec((place(), any::<u8>()), 1..20),
        cut in prop_oneof![Just(1.0), 0.0..1.0],
    ) {
        let mut bytes = seed(name);
        let len = bytes.len();
        for (place, byte) in changes {
            bytes[(place * len as f64) as usize] = byte;
        }
        bytes.truncate((cut * len as f64) as usize);
        if name.ends_with(".ogg") {
            mend_pages(&mut bytes);
        }
        check(name, &bytes)?;
    }
}

/// Makes the checksums of OGG pages true, so that changes inside them reach the codecs.
///
/// Source: RFC 3533 section 6, CRC-32 with polynomial 0x04c11db7, not reflected.
fn mend_pages(bytes: &mut [u8]) {
    let mut at = 0;
    while at + 27 <= bytes.len() && bytes[at..].starts_with(b"OggS") {
        let segments = usize::from(bytes[at + 26]);
        let Some(sizes) = bytes.get(at + 27..at + 27 + segments) else {
            return;
        };
        let body: usize = sizes.iter().map(|size| usize::from(*size)).sum();
        let end = at + 27 + segments + body;
        let Some(page) = bytes.get_mut(at..end) else {
            return;
        };
        page[22..26].fill(0);
        let mut crc = 0_u32;
        for byte in page.iter() {
            crc ^= u32::from(*byte) << 24;
            for _ in 0..8 {
                crc = if crc >> 31 == 1 {
                    crc << 1 ^ 0x04c1_1db7
                } else {
                    crc << 1
                };
            }
        }
        page[22..26].copy_from_slice(&crc.to_le_bytes());
        at = end;
    }
}
