//! The step `power`: a power cut in the middle of a file job, and the boot after it.
//!
//! In: the board and a recording. Out: results, compared byte for byte with those of
//! `pressel transcribe` on this machine, which nobody interrupted.

use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

use super::board::Line;
use super::steps::{JOB, Rig};
use crate::{Fallible, process};

/// The recording in the board.
const FILE: &str = "/mnt/spool/long.wav";
/// The results, and what `transcribe` calls them; last the one that the job writes last.
const RESULTS: [&str; 3] = ["txt", "srt", "json"];
/// The job is cut off once it has come so far, in percent.
const CUT_FROM: u64 = 10;

pub(super) fn run(rig: &mut Rig) -> Fallible<String> {
    let expected = expected(rig.files.program, &rig.files.recording)?;
    let board = rig.appliance(Line::Port)?;
    // Whole at once, so that it is not taken half copied.
    board.guest.run(&format!(
        "cp /demo/long.wav /mnt/.new && mv /mnt/.new {FILE}"
    ))?;
    let far = board.uart()?.wait("progress of the job", JOB, |event| {
        event["event"] == "job"
            && event["percent"]
                .as_u64()
                .is_some_and(|done| CUT_FROM <= done)
    })?;
    let percent = far["percent"].as_u64().unwrap_or(100);
    let results = board.guest.run(&format!("ls {}", folder()))?.join(" ");
    if 100 <= percent || results.contains(RESULTS[0]) {
        return Err(format!(
            "the job was too quick to be cut off: {percent} %, {results}"
        ));
    }
    if let Some(board) = rig.take() {
        board.cut();
    }
    let board = rig.appliance(Line::Port)?;
    let last = format!("{FILE} {}", file(RESULTS[2]));
    board
        .guest
        .wait_for(&format!("ls {last} 2>&1 || true"), JOB, |files| {
            !files.contains("No such file")
        })?;
    let begun = board
        .guest
        .run("grep 'job begun' /tmp/log | tail -n 1")?
        .join(" ");
    let at = begun
        .split_once("at=")
        .and_then(|(_, at)| at.trim().parse::<f64>().ok());
    let Some(at) = at.filter(|at| 0.0 < *at) else {
        return Err(format!("the second boot began the job anew: {begun}"));
    };
    for (ending, expected) in RESULTS.iter().zip(&expected) {
        let sum = board
            .guest
            .run(&format!("sha256sum {}", file(ending)))?
            .join(" ");
        if sum.split(' ').next() != Some(&hash(expected)) {
            let found = board
                .guest
                .run(&format!("cat {}", file(ending)))?
                .join("\n");
            return Err(format!(
                "the result .{ending} is not that of `pressel transcribe`.\nFound:\n{found}\n\
                 Expected:\n{expected}"
            ));
        }
    }
    Ok(format!(
        "cut at {percent} %; the second boot went on at {at:.1} s; .txt, .srt and .json are byte \
         for byte those of `pressel transcribe` here"
    ))
}

/// A result in the board.
fn file(ending: &str) -> String {
    format!("{FILE}.{ending}")
}

fn folder() -> &'static str {
    FILE.rsplit_once('/').map_or("/", |(folder, _)| folder)
}

/// What `pressel transcribe` gives on this machine, for the path that the recording has there.
fn expected(program: &Path, recording: &Path) -> Fallible<Vec<String>> {
    let here = recording.display().to_string();
    let result = |ending: &&str| {
        let mut command = Command::new(program);
        command
            .args(["transcribe", "--format", ending])
            .arg(recording);
        Ok(process::output(&mut command)?.replace(&here, FILE))
    };
    RESULTS.iter().map(result).collect()
}

fn hash(text: &str) -> String {
    let bytes = Sha256::digest(text.as_bytes());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
