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
/// Longest time for one recording when nobody speaks: an emulated processor on a busy machine.
const RECORDING: Duration = Duration::from_secs(180);
/// Of so many looks, at most one may find it idle: it may be caught between two parts.
const LOOKS_PER_IDLE: u32 = 10;
/// So many are forgiven in a short run: emulated and on a busy machine, a minute has nine looks.
const IDLE_MIN: u32 = 2;

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
    let busy = ticks(board, worker)?.saturating_sub(before) as f64 / seconds;
    if worker_pid(board)? != worker {
        return Err("the worker is another one than at the beginning".to_owned());
    }
    // Each sentence has pushed them aside; an emulated worker may have got through none until now.
    board
        .guest
        .wait_for("pressel status --json", RECORDING, |text| {
            serde_json::from_str(text).is_ok_and(|status: Value| 0 < done(&status["jobs"]))
        })?;
    let status = board.status()?;
    let done = saturated(&status["jobs"], said_count, idle_count)?;
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

/// Whether recordings kept the worker busy all the time: there are still some, it has done some,
/// and was hardly ever seen idle. Returns how many it has done.
///
/// # Errors
/// It was not kept busy, or nobody can say.
fn saturated(jobs: &Value, looks: u32, idle: u32) -> Fallible<u64> {
    if !jobs.is_object() {
        return Err(format!("`pressel status` does not tell the jobs: {jobs}"));
    }
    // A state that no job is in has no number.
    let count = |state: &str| jobs[state].as_u64().unwrap_or(0);
    if count("running") + count("waiting") == 0 {
        return Err(format!("the recordings were not enough: {jobs}"));
    }
    let done = done(jobs);
    if done == 0 {
        return Err(format!("the worker has done no recording: {jobs}"));
    }
    if IDLE_MIN.max(looks / LOOKS_PER_IDLE) < idle {
        return Err(format!(
            "the worker was idle in {idle} of {looks} looks: that is not saturated"
        ));
    }
    Ok(done)
}

/// How many recordings are done.
fn done(jobs: &Value) -> u64 {
    jobs["done"].as_u64().unwrap_or(0)
}

/// Processor time of a process, in hundredths of a second.
fn ticks(board: &mut Board, pid: u64) -> Fallible<u64> {
    let text = board.guest.run(&format!("worker_ticks {pid}"))?.join(" ");
    text.parse()
        .map_err(|_| format!("the worker's processor time is unknown: `{text}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_worker_that_was_not_kept_busy_is_told() {
        let jobs =
            |running, waiting, done| json!({"running": running, "waiting": waiting, "done": done});
        let check = |jobs: Value, idle, expected: Result<u64, &str>| match (
            saturated(&jobs, 40, idle),
            expected,
        ) {
            (Ok(done), Ok(expected)) => assert_eq!(done, expected),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{why}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        };
        check(jobs(1, 9, 12), 0, Ok(12));
        check(jobs(0, 9, 1), 4, Ok(1));
        check(jobs(0, 0, 12), 0, Err("not enough"));
        check(jobs(1, 9, 0), 0, Err("no recording"));
        check(jobs(1, 9, 12), 5, Err("idle in 5 of 40 looks"));
        check(json!({"running": 1, "done": 2}), 0, Ok(2));
        check(json!(null), 0, Err("does not tell the jobs"));
    }
}
