//! The data path through the real libasound.
//!
//! libasound reads `ALSA_CONFIG_PATH` from the environment of its process, so each test runs itself
//! again as a child with the variable set; the child does the work.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use super::*;
use crate::linux::poll::wait;
use crate::sim::create_board;

const BLOCK: usize = 256;
const FOLDER: &str = "PRESSEL_TEST_SIM_BOARD";

/// Returns the board's folder in the child; in the parent runs the child and returns `None`.
fn board_in_child(test: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return Some(folder.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let conf = create_board(folder.path()).unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            &format!("sim::microphone::tests::{test}"),
        ])
        .env(FOLDER, folder.path())
        .env("ALSA_CONFIG_PATH", conf)
        .status()
        .unwrap();
    assert!(status.success(), "child of {test}: {status}");
    None
}

fn open(folder: &Path) -> SimMicrophone {
    let config = MicrophoneConfig {
        device: "default".to_owned(),
        rate_hz: 16_000,
        block_samples: BLOCK,
        buffer_ms: 1_000,
    };
    SimMicrophone::open(folder, &config).unwrap()
}

fn feeder(folder: &Path) -> File {
    File::options()
        .write(true)
        .open(folder.join(MIC_FILE))
        .unwrap()
}

fn bytes(samples: impl Iterator<Item = i16>) -> Vec<u8> {
    samples.flat_map(i16::to_le_bytes).collect()
}

/// Waits up to 2 s for the microphone; returns whether it became ready.
fn ready(microphone: &SimMicrophone, timeout_ms: i32) -> bool {
    let mut fds = [PollFd {
        fd: -1,
        events: 0,
        revents: 0,
    }];
    assert_eq!(microphone.poll_fds(&mut fds), 1);
    wait(&mut fds, timeout_ms).unwrap() == 1
}

#[test]
fn every_sample_comes_once_and_in_order_for_one_minute_of_audio() {
    let Some(folder) =
        board_in_child("every_sample_comes_once_and_in_order_for_one_minute_of_audio")
    else {
        return;
    };
    const SAMPLES: usize = 60 * 16_000;
    let value = |index: usize| (index.wrapping_mul(7919) % 65_521) as u16 as i16;
    let mut microphone = open(&folder);
    let writer = thread::spawn(move || {
        // Pieces of 1 to 8 blocks, as fast as the pipe takes them.
        let mut pipe = feeder(&folder);
        let all = bytes((0..SAMPLES).map(value));
        let mut rest = all.as_slice();
        for blocks in (1..=8).cycle() {
            let (piece, later) = rest.split_at((blocks * 512).min(rest.len()));
            pipe.write_all(piece).unwrap();
            rest = later;
            if rest.is_empty() {
                return;
            }
        }
    });
    let mut block = [0; BLOCK];
    let mut index = 0;
    while index < SAMPLES {
        assert!(ready(&microphone, 2_000), "stuck at {index}");
        // One block a turn: the rest keeps the descriptor ready.
        if microphone.read(&mut block).unwrap() {
            for sample in block {
                assert_eq!(sample, value(index), "sample {index}");
                index += 1;
            }
        }
    }
    writer.join().unwrap();
    assert_eq!(microphone.read(&mut block), Ok(false));
}

#[test]
fn without_a_whole_block_nothing_is_ready_and_nothing_spins() {
    let Some(folder) = board_in_child("without_a_whole_block_nothing_is_ready_and_nothing_spins")
    else {
        return;
    };
    let mut microphone = open(&folder);
    let mut block = [0; BLOCK];
    assert!(!ready(&microphone, 0));
    assert_eq!(microphone.read(&mut block), Ok(false));

    // Part of a block wakes the loop once, not again.
    let mut pipe = feeder(&folder);
    pipe.write_all(&bytes(0..100)).unwrap();
    assert!(ready(&microphone, 2_000));
    assert_eq!(microphone.read(&mut block), Ok(false));
    assert!(!ready(&microphone, 0));

    // The rest of it and half of the next.
    pipe.write_all(&bytes(100..400)).unwrap();
    assert!(ready(&microphone, 2_000));
    assert_eq!(microphone.read(&mut block), Ok(true));
    assert!(block.iter().copied().eq(0..256));
    assert_eq!(microphone.read(&mut block), Ok(false));
    assert!(!ready(&microphone, 0));

    // The writer goes: no hang-up. Another one comes: its samples follow.
    drop(pipe);
    assert!(!ready(&microphone, 0));
    assert_eq!(microphone.read(&mut block), Ok(false));
    feeder(&folder).write_all(&bytes(400..512)).unwrap();
    assert!(ready(&microphone, 2_000));
    assert_eq!(microphone.read(&mut block), Ok(true));
    assert!(block.iter().copied().eq(256..512));
    assert!(!{
        microphone.read(&mut block).unwrap();
        ready(&microphone, 0)
    });
}

#[test]
fn a_closed_microphone_opens_again_and_goes_on() {
    let Some(folder) = board_in_child("a_closed_microphone_opens_again_and_goes_on") else {
        return;
    };
    let mut pipe = feeder_after(&folder);
    let mut block = [0; BLOCK];
    for turn in 0..20 {
        let mut microphone = open(&folder);
        assert_eq!(microphone.name(), DEVICE);
        assert_eq!(microphone.read(&mut block), Ok(false));
        pipe.write_all(&bytes((0..256).map(|index| index + turn)))
            .unwrap();
        assert!(ready(&microphone, 2_000));
        assert_eq!(microphone.read(&mut block), Ok(true));
        assert!(block.iter().copied().eq((0..256).map(|index| index + turn)));
    }
}

/// A writer that does not wait for the firmware: it holds the reading end itself.
fn feeder_after(folder: &Path) -> File {
    File::options()
        .read(true)
        .write(true)
        .open(folder.join(MIC_FILE))
        .unwrap()
}

#[test]
fn a_missing_pipe_or_configuration_is_named() {
    let config = MicrophoneConfig {
        device: String::new(),
        rate_hz: 16_000,
        block_samples: BLOCK,
        buffer_ms: 1_000,
    };
    let folder = tempfile::tempdir().unwrap();
    let error = SimMicrophone::open(folder.path(), &config)
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().contains("no such file"), "{error}");
    if std::env::var_os("ALSA_CONFIG_PATH").is_none() {
        create_board(folder.path()).unwrap();
        let error = SimMicrophone::open(folder.path(), &config)
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().contains("ALSA_CONFIG_PATH"), "{error}");
    }
}
