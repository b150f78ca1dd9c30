//! SIGINT and SIGTERM: the appliance ends in under a second, at any moment, and leaves nobody.
//!
//! In: signals while it starts, rests, records and recognises. Out: the time that it took, exit
//! code 0, an outcome for everything that was open.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;

use crate::board::{BLOCK, Board};
use crate::process::{children, read_bytes, runs, signal};
use crate::program::{PATIENCE, command, need_models, until, wait};
use crate::rig::{Ended, Rig, Setting};
use crate::voice::{Random, babble, noise, silence, wav, word};

const BOTH: [Signal; 2] = [Signal::INT, Signal::TERM];

/// Returns how long an end may take: one second, and more only where programs queue for the cores.
///
/// Proof of that is the load average: how many programs want a core, over how many there are.
pub(crate) fn longest() -> Duration {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    let load: f64 = load.split(' ').next().unwrap().parse().unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    let queue = load / f64::from(u32::try_from(cores).unwrap());
    let longest = Duration::from_secs(1).mul_f64(queue.max(1.0));
    if 1.0 < queue {
        println!("load {load:.1} on {cores} cores: an end may take {longest:.1?} here");
    }
    longest
}

/// Ends the appliance and checks how.
fn check(rig: Rig, with: Signal) -> Ended {
    let ended = rig.end(with);
    println!("{with:?}: {:?}", ended.took);
    assert!(ended.took < longest(), "{:?}\n{}", ended.took, ended.log);
    ended.check_books();
    ended
}

#[test]
fn at_rest() {
    need_models!();
    for with in BOTH {
        check(Rig::ready(&Setting::default()), with);
    }
}

#[test]
fn while_it_records() {
    need_models!();
    for with in BOTH {
        let mut rig = Rig::ready(&Setting::default());
        rig.press(true);
        rig.play(&word());
        rig.wait_for("utterance_start", 1);
        let ended = check(rig, with);
        assert_eq!(ended.results(), ["dropped/shutdown"], "{}", ended.log);
    }
}

#[test]
fn while_whisper_runs_and_others_wait() {
    need_models!();
    let mut random = Random::new(7);
    for with in BOTH {
        let mut rig = Rig::ready(&Setting {
            pace: 16,
            ..Setting::default()
        });
        rig.ahead = usize::MAX;
        // The longest utterance, of which nothing can be guessed, and a short one behind it.
        let long: Vec<i16> = babble(29.0)
            .into_iter()
            .zip(noise(29.0, 900, &mut random))
            .map(|(speech, noise)| speech.saturating_add(noise))
            .collect();
        rig.say(&long);
        rig.press(true);
        rig.play(&silence(0.1));
        rig.wait_for("utterance_end", 1);
        let ended = check(rig, with);
        assert!(
            ended.results().contains(&"dropped/shutdown".to_owned()),
            "{}",
            ended.log
        );
    }
}

#[test]
fn while_the_worker_hangs_in_whisper() {
    need_models!();
    for with in BOTH {
        let mut rig = Rig::ready(&Setting {
            speed: 1,
            ..Setting::default()
        });
        rig.ahead = usize::MAX;
        signal(rig.worker(), Signal::STOP);
        for count in 1..=2 {
            rig.say(&word());
            rig.wait_for("utterance_end", count);
        }
        rig.wait_for_state("recognising");
        let ended = check(rig, with);
        assert_eq!(ended.results(), ["dropped/shutdown"; 2], "{}", ended.log);
    }
}

#[test]
fn while_the_model_is_loaded() {
    need_models!();
    for with in BOTH {
        let rig = Rig::start(&Setting::default());
        let started = until(PATIENCE, || {
            rig.log().contains("worker started").then_some(())
        });
        assert!(started.is_some(), "{}", rig.log());
        check(rig, with);
    }
}

#[test]
fn in_the_first_moments() {
    need_models!();
    for (with, after_ms) in [(Signal::TERM, 1), (Signal::INT, 15), (Signal::TERM, 60)] {
        let rig = Rig::start(&Setting::default());
        std::thread::sleep(Duration::from_millis(after_ms));
        let ended = rig.end(with);
        assert!(ended.took < longest(), "{:?}\n{}", ended.took, ended.log);
        assert_eq!(ended.left, [0; 0], "{}", ended.log);
        // Before it has read its arguments it is ended by the signal itself, as any program.
        let by_itself = ended.status.code() == Some(0);
        assert!(
            by_itself || ended.log.lines().count() <= 1,
            "{}\n{}",
            ended.status,
            ended.log
        );
    }
}

/// The journal is on a disk that does not answer: a pipe that nobody writes stands for it.
#[test]
fn while_it_starts_from_a_slow_disk() {
    need_models!();
    for with in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let slow = folder.path().join("transcripts-1.journal");
        rustix::fs::mkfifoat(rustix::fs::CWD, &slow, Mode::RWXU).unwrap();
        let state = folder.path().to_str().unwrap();
        let rig = Rig::start(&Setting {
            arguments: &["--state-dir", state],
            ..Setting::default()
        });
        // Somebody reads the pipe as soon as it can be opened for writing.
        let flags = OFlags::WRONLY | OFlags::NONBLOCK;
        let disk = until(PATIENCE, || {
            rustix::fs::open(&slow, flags, Mode::empty()).ok()
        });
        let disk = disk.unwrap_or_else(|| panic!("the journal is not read:\n{}", rig.log()));
        // The journal writes it, too.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let _reader = rustix::fs::open(&slow, flags, Mode::empty()).unwrap();
        let ended = rig.end_by(|id| {
            signal(id, with);
            // And now the disk answers.
            drop(disk);
        });
        assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
        assert!(!ended.log.contains("worker started"), "{}", ended.log);
    }
}

#[test]
fn a_transcription_in_the_middle() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.wav");
    fs::write(&file, wav(&babble(600.0))).unwrap();
    for with in BOTH {
        let mut command = command(&["transcribe"]);
        let mut child = command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.as_mut().unwrap();
        let far = || read_bytes(child.id()).filter(|&bytes| 8_000_000 < bytes);
        assert!(until(PATIENCE, far).is_some(), "it does not get on");
        let workers = children(child.id());
        assert_eq!(workers.len(), 1);
        signal(child.id(), with);
        let began = std::time::Instant::now();
        assert!(wait(child).is_some());
        let gone = until(PATIENCE, || (!runs(workers[0])).then_some(()));
        assert!(
            gone.is_some() && began.elapsed() < longest(),
            "{:?}",
            began.elapsed()
        );
    }
}

/// Nobody reads the log and the events: a pipe that is full must not hold up the keeper or the end.
#[test]
fn with_a_reader_that_reads_nothing() {
    need_models!();
    for with in BOTH {
        let board = Board::new();
        let mut appliance = command(&["run", "--board", "sim", "--json", "-vv", "--sim-dir"])
            .arg(board.path())
            .env("ALSA_CONFIG_PATH", &board.alsa)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let id = appliance.id();
        let worker = until(PATIENCE, || children(id).first().copied());
        assert!(worker.is_some(), "no worker came");
        // Each press gives some lines; together they are more than two pipes hold.
        for edge in 0..600 {
            board.button(if edge % 2 == 0 { b"1" } else { b"0" });
            board.speak(&[0; BLOCK]);
            board.speak(&[0; BLOCK]);
            board.drain();
        }
        signal(id, with);
        let asked = Instant::now();
        let status = wait(&mut appliance).expect("it ends");
        assert!(asked.elapsed() < longest(), "{:?}", asked.elapsed());
        assert_eq!(status.code(), Some(0));
        assert!(worker.is_none_or(|worker| !runs(worker)));
    }
}
