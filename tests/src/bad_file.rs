//! Recordings that are wrong, and recordings that only look so.
//!
//! In: damaged, lying, empty and endless files, names of all kinds. Out: what `transcribe` says,
//! and the good files' texts all the same.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;

use crate::bad_start::check;
use crate::process::{children, peak_kib, read_bytes, runs, signal};
use crate::program::{PATIENCE, Ran, command, need_models, run, until, wait};
use crate::voice::{Header, RATE, wav, word};

fn transcribe(files: &[&Path]) -> Ran {
    run(command(&["transcribe"]).args(files))
}

/// Checks that it is read without a complaint; returns the text.
fn text(file: &Path) -> String {
    let ran = transcribe(&[file]);
    assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
    assert_eq!(ran.stderr, "");
    let text = ran.stdout.trim().to_owned();
    assert!(!text.is_empty(), "{}", file.display());
    text
}

#[test]
fn what_is_no_recording_is_named_with_the_remedy() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let good = wav(&word());
    for (file, word) in [
        (write("empty.wav", b""), "empty"),
        (
            write("words.txt", b"these are words, not sounds\n"),
            "WAV, FLAC, MP3",
        ),
        (
            write("words.wav", b"these are words, not sounds\n"),
            "WAV, FLAC, MP3",
        ),
        (write("header.wav", &good[..20]), "header.wav"),
        (folder.path().join("nothing.wav"), "nothing.wav"),
        (folder.path().to_owned(), "folder"),
    ] {
        let ran = transcribe(&[&file]);
        check(&ran, 5, &[file.to_str().unwrap(), word]);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn a_recording_that_ends_early_gives_what_it_has_and_says_so() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let good = wav(&word());
    let truncated = folder.path().join("truncated.wav");
    fs::write(&truncated, &good[..good.len() - 4_001]).unwrap();
    let lying = folder.path().join("lying.wav");
    let mut header = Header::of(good.len() - 44);
    header.data_bytes = 2_000_000_000;
    fs::write(&lying, [&header.bytes(), &good[44..]].concat()).unwrap();
    for file in [truncated, lying] {
        let ran = transcribe(&[&file]);
        assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        let name = file.to_str().unwrap();
        assert!(
            ran.stderr.contains("WARN") && ran.stderr.contains(name),
            "{}",
            ran.stderr
        );
        assert!(!ran.stdout.trim().is_empty());
    }
}

#[test]
fn every_kind_of_wav_gives_the_same_words() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let word = word();
    let plain = folder.path().join("plain.wav");
    fs::write(&plain, wav(&word)).unwrap();
    let expected = text(&plain);
    let check = |name: &str, header: Header, bytes: Vec<u8>| {
        let file = folder.path().join(name);
        let data_bytes = u32::try_from(bytes.len()).unwrap();
        fs::write(
            &file,
            [
                Header {
                    data_bytes,
                    ..header
                }
                .bytes(),
                bytes,
            ]
            .concat(),
        )
        .unwrap();
        assert_eq!(text(&file), expected, "{name}");
    };
    let header = Header::of(0);
    let float = |&sample: &i16| (f32::from(sample) / 32_768.0).to_le_bytes();
    let floats = word.iter().flat_map(float).collect();
    check(
        "float.wav",
        Header {
            format: 3,
            bits: 32,
            ..header
        },
        floats,
    );
    // 5.1: the voice in front, silence in the others.
    let six = word
        .iter()
        .flat_map(|&sample| [sample, sample, sample, 0, 0, 0]);
    let six: Vec<u8> = six.flat_map(i16::to_le_bytes).collect();
    check(
        "surround.wav",
        Header {
            channels: 6,
            ..header
        },
        six,
    );
    // Twice the rate, each sample twice: the words stay, if not every sample.
    let twice = word
        .iter()
        .flat_map(|&sample| [sample, sample])
        .flat_map(i16::to_le_bytes);
    check(
        "twice.wav",
        Header {
            rate: 32_000,
            ..header
        },
        twice.collect(),
    );

    // 8 bits are noisy: some text is enough.
    let byte = |&sample: &i16| u8::try_from((i32::from(sample) + 32_768) / 256).unwrap();
    let file = folder.path().join("bytes.wav");
    let bytes: Vec<u8> = word.iter().map(byte).collect();
    let header = Header {
        bits: 8,
        ..Header::of(bytes.len())
    };
    fs::write(&file, [header.bytes(), bytes].concat()).unwrap();
    text(&file);
}

#[test]
fn a_bad_file_among_good_ones_costs_none_of_them() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.wav");
    fs::write(&good, wav(&word())).unwrap();
    let text = text(&good);
    let bad = folder.path().join("bad.wav");
    fs::write(&bad, b"").unwrap();
    let ran = transcribe(&[&good, &bad, &good]);
    check(&ran, 5, &[bad.to_str().unwrap()]);
    assert_eq!(ran.stdout.matches(&text).count(), 2, "{}", ran.stdout);
}

#[test]
fn a_text_that_cannot_be_written_is_not_lost_in_silence() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("word.wav");
    fs::write(&file, wav(&word())).unwrap();
    for subcommand in ["transcribe", "replay"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = command(&[subcommand]);
        let child = command
            .arg(&file)
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn();
        let ended = child.unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        let stdout = String::new();
        let status = ended.status;
        check(
            &Ran {
                status,
                stdout,
                stderr,
            },
            5,
            &["output", "space"],
        );
    }
}

#[test]
fn names_of_all_kinds_and_links_are_files_like_others() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain.wav");
    fs::write(&plain, wav(&word())).unwrap();
    let expected = text(&plain);
    for name in [
        "two words.wav",
        "Übung größer 日本.wav",
        "-dash.wav",
        "no_ending",
    ] {
        let file = folder.path().join(name);
        fs::copy(&plain, &file).unwrap();
        assert_eq!(text(&file), expected);
        let ran = run(command(&["transcribe", "--format", "json"]).arg(&file));
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert!(json.to_string().contains(name), "{json}");
    }
    let link = folder.path().join("link to it.wav");
    std::os::unix::fs::symlink(&plain, &link).unwrap();
    assert_eq!(text(&link), expected);
}

#[test]
fn ten_hours_are_streamed_and_not_held() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("night.wav");
    let bytes = 10 * 3_600 * RATE * 2;
    fs::write(&path, Header::of(bytes).bytes()).unwrap();
    // Silence that takes no place on the disk.
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(bytes as u64 + 44).unwrap();

    let mut command = command(&["transcribe"]);
    command
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let id = child.id();
    let peak_at = |bytes: u64| {
        let far = || read_bytes(id).filter(|&read| bytes < read);
        assert!(until(PATIENCE, far).is_some(), "it does not get on");
        peak_kib(id).unwrap()
    };
    let begin = peak_at(8_000_000);
    let later = peak_at(24_000_000);
    let workers = children(id);
    signal(id, Signal::INT);
    assert!(wait(&mut child).is_some());
    println!("peak {begin} KiB, 500 s of audio later {later} KiB");
    assert!(later < begin + 8_192, "{begin} KiB grew to {later} KiB");
    let gone = until(PATIENCE, || {
        workers.iter().all(|&worker| !runs(worker)).then_some(())
    });
    assert!(gone.is_some());
}
