//! Files that lie, are cut, or are something else: words are kept, errors are one clear line.

use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::audio_file::{AudioFileError, Fault};

fn open_error(path: &Path) -> AudioFileError {
    match AudioFile::open(path) {
        Ok(_) => panic!("{path:?} was opened"),
        Err(error) => error,
    }
}

/// Opens a file with these bytes; expects an error whose line has `expected` in it.
fn check(name: &str, bytes: &[u8], expected: &str) {
    let (_folder, path) = file(name, bytes);
    let line = open_error(&path).to_string();
    assert!(line.contains(expected), "{line:?} lacks {expected:?}");
    assert!(
        line.starts_with(&*path.to_string_lossy()),
        "{line:?} lacks the name"
    );
    assert!(
        line.contains("; ") && !line.contains('\n'),
        "{line:?} is not one line with a remedy"
    );
}

#[test]
fn what_is_no_recording_gets_one_clear_line() {
    check("a.wav", b"", "is empty (0 bytes)");
    check("a.wav", b"hello, this is text", "it looks like a text file");
    check("a.mp3", b"hello, this is text", "it looks like a text file");
    check("a.txt", "Größe 語".as_bytes(), "it looks like a text file");
    check("a.wav", b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture");
    check("a.mp3", b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture");
    check("a.bin", &[0; 5_000], "unknown data");
    check("a.mp3", &[0; 5_000], "without one whole frame");
    check(
        "a.mp3",
        b"ID3\x04\0\0\0\0\0\x05hello",
        "nothing after its ID3 tag",
    );
    check(
        "a.m4a",
        b"\0\0\0\x20ftypM4A \0\0",
        "holds MP4 or M4A (AAC), which cannot be read",
    );
    check(
        "a.ogg",
        b"OggS",
        "has a broken header: the file ends inside it",
    );
    check(
        "a.flac",
        b"fLaC\0\0",
        "has a broken header: the file ends inside it",
    );
    check("a.avi", b"RIFF\0\0\0\0AVI LIST", "RIFF file without sound");
}

#[test]
fn wav_headers_that_make_no_sense_are_refused() {
    let with = |change: &dyn Fn(&mut Wav)| {
        let mut wav = Wav::pcm16(16_000, 1, &[1, 2, 3]);
        change(&mut wav);
        wav.bytes()
    };
    check(
        "a.wav",
        &with(&|wav| wav.channels = 0),
        "0 channels, 1 to 32 are possible",
    );
    check(
        "a.wav",
        &with(&|wav| wav.channels = 60_000),
        "60000 channels",
    );
    check(
        "a.wav",
        &with(&|wav| wav.rate_hz = 0),
        "0 Hz, 2000 to 384000 are possible",
    );
    check(
        "a.wav",
        &with(&|wav| wav.rate_hz = u32::MAX),
        "4294967295 Hz",
    );
    check(
        "a.wav",
        &with(&|wav| wav.bits = 0),
        "an impossible number of bits per sample",
    );
    check(
        "a.wav",
        &with(&|wav| wav.bits = 65_535),
        "an impossible number of bits per sample",
    );
    check(
        "a.wav",
        &with(&|wav| wav.tag = 2),
        "holds Microsoft ADPCM, which cannot be read",
    );
    check("a.wav", &with(&|wav| wav.tag = 0x1234), "codec 0x1234");
    let good = with(&|_| {});
    check("a.wav", &good[..10], "the first bytes of a WAV file");
    check("a.wav", &good[..12], "no `fmt ` chunk");
    check("a.wav", &good[..30], "its `fmt ` chunk is too short");
    check("a.wav", &good[..40], "no `data` chunk");
}

#[test]
fn what_is_no_file_gets_one_clear_line() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = |name: &str| folder.path().join(name);
    assert_eq!(open_error(&path("absent")).fault, Fault::Missing);
    assert_eq!(open_error(folder.path()).fault, Fault::Folder);
    std::os::unix::fs::symlink("absent", path("link")).expect("a link can be made");
    assert_eq!(open_error(&path("link")).fault, Fault::DanglingLink);
    std::os::unix::fs::symlink("loop", path("loop")).expect("a link can be made");
    assert!(matches!(open_error(&path("loop")).fault, Fault::Io { .. }));
    assert_eq!(
        open_error(Path::new("/dev/zero")).fault,
        Fault::NotAFile { kind: "a device" }
    );
    let pipe = path("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
    assert_eq!(open_error(&pipe).fault, Fault::NotAFile { kind: "a pipe" });
    let line = open_error(&path("two\nlines")).to_string();
    assert!(!line.contains('\n'), "{line:?}");
}

#[test]
fn a_file_that_may_not_be_read_says_so() {
    let (_folder, path) = file("a.wav", &Wav::pcm16(16_000, 1, &[1]).bytes());
    let closed = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(&path, closed).expect("permissions can be set");
    if std::fs::File::open(&path).is_ok() {
        println!("skipped: this user may read every file");
        return;
    }
    assert_eq!(open_error(&path).fault, Fault::NoPermission);
}

/// Reads a WAV whose header claims `claimed` bytes while `there` samples are there.
fn check_claim(claimed: u32, there: usize, after: &[u8], expected: usize, truncated: bool) {
    let samples: Vec<i16> = (1..=there as i16).collect();
    let mut wav = Wav::pcm16(16_000, 1, &samples);
    (wav.claimed, wav.after) = (Some(claimed), after.to_vec());
    let (read, info, damage) = read_wav(&wav);
    let expected: Vec<i16> = (1..=expected as i16).collect();
    let start = &read[..expected.len().min(read.len())];
    assert_eq!(
        (start, read.len()),
        (&expected[..], expected.len()),
        "claimed {claimed}"
    );
    assert_eq!(
        damage,
        Damage {
            truncated,
            broken_frames: 0
        },
        "claimed {claimed}"
    );
    assert_eq!(info.duration_samples, Some(read.len() as u64));
}

#[test]
fn the_bytes_that_are_there_count_and_not_the_claim() {
    check_claim(200, 100, b"", 100, false);
    // Cut: less is there than claimed, also in the middle of a sample.
    check_claim(2_000, 100, b"", 100, true);
    check_claim(2_000, 100, b"\x07", 100, true);
    check_claim(2_000, 0, b"", 0, true);
    // Lengths that pipes and recorders without power leave.
    check_claim(0, 100, b"", 100, false);
    check_claim(u32::MAX, 100, b"", 100, false);
    check_claim(0x7fff_f000, 100, b"", 100, false);
    // More is there than claimed: sound, unless it is a chunk.
    check_claim(20, 100, b"", 100, false);
    check_claim(200, 100, b"LIST\x04\0\0\0INFO", 100, false);
    check_claim(0, 0, b"LIST\x04\0\0\0INFO", 0, false);
    // Odd sizes, with and without the pad byte.
    check_claim(199, 100, b"", 99, false);
    check_claim(201, 100, b"\x01\0LIST\x04\0\0\0INFO", 100, false);
    check_claim(201, 100, b"\x01LIST\x04\0\0\0INFO", 100, false);
}

#[test]
fn other_chunks_before_the_sound_are_passed_over() {
    let good = Wav::pcm16(16_000, 1, &[1, 2, 3]).bytes();
    for chunk in [
        &b"LIST\x04\0\0\0INFO"[..],
        b"junk\x03\0\0\0abc\0",
        b"junk\x03\0\0\0abc",
    ] {
        let mut bytes = good.clone();
        bytes.splice(36..36, chunk.iter().copied());
        let (_folder, path) = file("a.wav", &bytes);
        assert_eq!(read_path(&path).0, [1, 2, 3]);
    }
    let mut endless = good[..12].to_vec();
    endless.extend(b"junk\0\0\0\0".repeat(100_000));
    check("a.wav", &endless, "no `fmt ` chunk");
}

#[test]
fn ten_hours_are_streamed() {
    // A hole of 6.9 GB in an RF64 file: 48 kHz stereo, with a tone in its last second.
    let data_bytes = 10 * 3_600 * 48_000 * 4_u64;
    let mut head = Wav::pcm16(48_000, 2, &[]);
    head.claimed = Some(u32::MAX);
    let mut head = head.bytes();
    head[..4].copy_from_slice(b"RF64");
    let mut ds64 = b"ds64\x1c\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    ds64.extend(data_bytes.to_le_bytes());
    ds64.extend([0; 12]);
    head.splice(12..12, ds64);
    let (_folder, path) = file("long.wav", &head);
    let mut long = std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("it was just made");
    let last_second = head.len() as u64 + data_bytes - 48_000 * 4;
    let end: Vec<u8> = tone(48_000, 1.0)
        .iter()
        .flat_map(|sample| [*sample, *sample])
        .flat_map(i16::to_le_bytes)
        .collect();
    let written = long
        .seek(SeekFrom::Start(last_second))
        .and_then(|_| long.write_all(&end));
    if let Err(error) = written {
        println!("skipped: no sparse file of 7 GB can be made here: {error}");
        return;
    }
    let mut audio = AudioFile::open(&path).expect("the file can be opened");
    let hours = 10 * 3_600 * 16_000;
    assert_eq!(audio.info().duration_samples, Some(hours));
    let mut minute = vec![1; 60 * 16_000];
    assert_eq!(audio.read(&mut minute).ok(), Some(minute.len()));
    assert!(minute.iter().all(|sample| *sample == 0));
    assert_eq!(audio.skip_to(hours - 16_000).ok(), Some(hours - 16_000));
    let rest = read_to_end(&mut audio);
    assert_eq!(rest.len(), 16_000);
    assert!(rest[8_000..12_000].iter().any(|sample| *sample > 16_000));
    assert_eq!(audio.damage(), Damage::default());
}

/// Reads a fixture after `change`; expects the tone's loud samples and this damage.
fn check_fixture(
    name: &str,
    change: impl FnOnce(&mut Vec<u8>),
    len: (usize, usize),
    tone: bool,
) -> Damage {
    let mut bytes = std::fs::read(fixture(name)).expect("the fixture is there");
    change(&mut bytes);
    let (_folder, path) = file(name, &bytes);
    let (read, _, damage) = read_path(&path);
    assert!(
        (len.0..=len.1).contains(&read.len()),
        "{name}: {} samples",
        read.len()
    );
    let loud = read
        .iter()
        .filter(|sample| sample.unsigned_abs() > 8_000)
        .count();
    assert_eq!(loud > 500, tone, "{name}: {loud} loud samples");
    damage
}

#[test]
fn broken_frames_in_the_middle_are_skipped_and_counted() {
    let spoil = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() * 45 / 100;
        bytes[middle..middle + 600].fill(0x55);
    };
    for name in ["tone.mp3", "tone_no_length.mp3"] {
        let damage = check_fixture(name, spoil, (19_000, 26_000), true);
        assert!(
            (2..12).contains(&damage.broken_frames),
            "{name}: {damage:?}"
        );
    }
    let damage = check_fixture("tone.flac", spoil, (20_000, 24_000), true);
    assert!(damage.broken_frames > 0, "{damage:?}");
    // An OGG page is lost whole: here the last one, half a second.
    let spoil_end = |bytes: &mut Vec<u8>| {
        let end = bytes.len() - 100;
        bytes[end..].fill(0x55);
    };
    let damage = check_fixture("tone_opus.ogg", spoil_end, (10_000, 24_000), true);
    assert!(damage.broken_frames > 0 || damage.truncated, "{damage:?}");
}

#[test]
fn a_cut_file_gives_what_is_there() {
    // Most of the tiny Vorbis file is its header, which must be whole.
    let vorbis = std::fs::read(fixture("tone_vorbis.ogg")).expect("the fixture is there");
    check(
        "a.ogg",
        &vorbis[..vorbis.len() / 2],
        "the file ends inside it",
    );
    for name in ["tone.mp3", "tone.flac", "tone_opus.ogg"] {
        let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() * 2 / 3);
        let damage = check_fixture(name, cut, (0, 20_000), true);
        assert!(damage.truncated, "{name}");
    }
}

#[test]
fn recordings_glued_together_are_read_whole() {
    for name in [
        "tone.mp3",
        "tone_no_length.mp3",
        "tone_vorbis.ogg",
        "tone_opus.ogg",
    ] {
        let twice = |bytes: &mut Vec<u8>| bytes.extend_from_within(..);
        check_fixture(name, twice, (47_000, 51_000), true);
    }
}

#[test]
fn tags_around_the_sound_are_passed_over() {
    for name in ["tone.mp3", "tone.flac"] {
        let tagged = |bytes: &mut Vec<u8>| {
            let mut tag = b"ID3\x04\0\0\0\0\x10\0".to_vec();
            tag.resize(10 + 0x800, 0xff);
            bytes.splice(0..0, tag);
            if name == "tone.mp3" {
                bytes.extend(b"APETAGEX\xd0\x07\0\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
                bytes.extend(b"TAG");
                bytes.resize(bytes.len() + 125, 0xff);
            }
        };
        assert_eq!(
            check_fixture(name, tagged, (24_000, 24_000), true),
            Damage::default()
        );
    }
}
