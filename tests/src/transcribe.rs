//! `transcribe` beside its texts: what it says when nothing was said, and when it is stopped.
//!
//! In: silence, and signals. Out: one line on standard error, and the text that there is.

use std::fs;
use std::process::Stdio;

use rustix::process::Signal;

use crate::process::{read_bytes, signal};
use crate::program::{PATIENCE, Ran, command, need_models, run, until};
use crate::voice::{Random, babble, noise, silence, wav, word};

#[test]
fn recording_in_which_nobody_speaks_says_so() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let quiet = folder.path().join("quiet.wav");
    fs::write(&quiet, wav(&noise(3.0, 20, &mut Random::new(1)))).unwrap();
    let ran = run(command(&["transcribe"]).arg(&quiet));
    assert_eq!(ran.status.code(), Some(0));
    assert_eq!(ran.stdout, "");
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    let line = format!("{}: no speech was heard", quiet.display());
    assert!(ran.stderr.contains(&line), "{}", ran.stderr);
}

#[test]
fn transcription_that_is_stopped_prints_what_it_has() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.wav");
    let pause = silence(1.0);
    let minute = [word(), pause, babble(58.0)].concat();
    fs::write(&file, wav(&minute.repeat(15))).unwrap();
    for with in [Signal::INT, Signal::TERM] {
        let mut command = command(&["transcribe"]);
        let child = command
            .args([&file, &file])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let child = child.unwrap();
        let far = || read_bytes(child.id()).filter(|&bytes| 8_000_000 < bytes);
        assert!(until(PATIENCE, far).is_some(), "it does not get on");
        signal(child.id(), with);
        let ended = child.wait_with_output().unwrap();
        let ran = Ran {
            status: ended.status,
            stdout: String::from_utf8(ended.stdout).unwrap(),
            stderr: String::from_utf8(ended.stderr).unwrap(),
        };
        assert!(4 < ran.stdout.split_whitespace().count(), "{ran:?}");
        let (first, second) = ran.stderr.trim().split_once('\n').unwrap();
        let name = file.to_str().unwrap();
        assert!(
            first.contains(name) && first.contains("incomplete"),
            "{first}"
        );
        assert!(second.contains("1 of the files"), "{second}");
        assert_eq!(ran.status.code(), Some(1));
    }
}
