//! The step `endurance`: speech for minutes, while recordings keep the worker busy all the time.
//!
//! In: minutes. Out: what was said and came, how busy the worker was, and what must hold of every
//! run: nothing allocated by the main loop, nothing lost.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::board::{Board, Line};
use super::steps::{Rig, worker_pid};
use super::uart::LIMIT;
use crate::Fallible;

/// Recordings for each minute: more than the worker can do in it, also with KVM.
const RECORDINGS_PER_MINUTE: u32 = 60;
/// Between two sentences the worker is left to its recordings.
const PAUSE_S: u64 = 3;

pub(super) fn run(rig: &mut Rig) -> Fallible<String> {
    // A run of its own: its counters begin here.
    rig.board()?.stop()?;
    let recordings = rig.minutes * RECORDINGS_PER_MINUTE;
    let length = Duration::from_secs(u64::from(rig.minutes) * 60);
    let board = rig.appliance(Line::Port)?;
    board
        .guest
        .run_for(&format!("fill_spool {recordings}"), LIMIT)?;
    board
        .uart()?
        .wait("the first recording's progress", LIMIT, |event| {
            event["event"] == "job"
        })?;
    let worker = worker_pid(board)?;
    let (start, before) = (Instant::now(), ticks(board, worker)?);
    let (mut said_count, mut idle_count) = (0, 0);
    while start.elapsed() < length {
        rig.say(Line::Port)?;
        said_count += 1;
        let board = rig.board()?;
        board.guest.run(&format!("sleep {PAUSE_S}"))?;
        idle_count += u32::from(board.status()?["chunk"] != true);
    }
    let seconds = start.elapsed().as_secs_f64();
    let board = rig.appliance(Line::Port)?;
    let status = board.status()?;
    if worker_pid(board)? != worker {
        return Err("the worker is another one than at the beginning".to_owned());
    }
    if !is_saturated(&status) {
        return Err(format!(
            "the recordings were not enough: {}",
            status["jobs"]
        ));
    }
    let busy = ticks(board, worker)?.saturating_sub(before) as f64 / seconds;
    let done = status["jobs"]["done"].as_u64().unwrap_or(0);
    board.guest.run("empty_spool")?;
    let Some(seen) = board.stop()? else {
        return Err("the appliance did not run".to_owned());
    };
    let worker = format!("the worker took {busy:.0} % of a core and did {done} recordings");
    Ok(format!(
        "{seen}; {said_count} sentences said, all came; {worker}, idle in {idle_count} of as many \
         looks"
    ))
}

/// Whether a recording is at work, or waits.
fn is_saturated(status: &Value) -> bool {
    let count = |state: &str| status["jobs"][state].as_u64().unwrap_or(0);
    0 < count("running") + count("waiting")
}

/// Processor time of a process, in hundredths of a second.
fn ticks(board: &mut Board, pid: u64) -> Fallible<u64> {
    let text = board.guest.run(&format!("worker_ticks {pid}"))?.join(" ");
    text.parse()
        .map_err(|_| format!("the worker's processor time is unknown: `{text}`"))
}
