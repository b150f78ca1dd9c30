//! Status: how the appliance is, as one value.
//!
//! Vitals, beats, the last outcomes and `/proc` in, a [`Status`] out: for the control socket, and
//! back for `pressel status`. Fields are only added, never changed. What was said is in it: the
//! socket is its owner's. Runs on the thread `control`, and on no other of the appliance.

use std::collections::BTreeMap;
use std::fs;

use pressel_pipeline::limits::{
    COMMANDS_WAITING_MAX, CONTROL_RING_COMMANDS, ERRANDS_WAITING_MAX, KEEPER_QUEUE_RECORDS,
    OUTCOMES_KEPT_MAX, WAITING_UTTERANCES_MAX,
};
use pressel_wire::{Alert, Counters, OutcomeResult, Timing};
use serde::{Deserialize, Serialize};

use super::watchdog::Watchdog;
use crate::jobs::JobInfo;
use crate::journal::Spoken;
use crate::keeper::report::result_name;
use crate::vitals::{Published, Vitals, Watched};

/// Errands and commands that wait, in the main loop and in the queue behind it.
const ERRANDS_MAX: usize = ERRANDS_WAITING_MAX + KEEPER_QUEUE_RECORDS;
const COMMANDS_MAX: usize = COMMANDS_WAITING_MAX + CONTROL_RING_COMMANDS;

/// What stays the same from start to end.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Name of the board.
    pub board: String,
    /// Name of the speech model.
    pub model: String,
    /// Number of this start.
    pub boot: u32,
    /// Why this start is in safe mode, and how to leave it; `None` when it is not.
    pub safe_mode: Option<String>,
}

/// How the appliance is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Name of the board.
    pub board: String,
    /// Name of the speech model.
    pub model: String,
    /// Number of this start; it grows from start to start.
    pub boot: u32,
    /// Process number.
    pub pid: u32,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Stable name of its [`DeviceState`](pressel_wire::DeviceState).
    pub state: String,
    /// Stable name of what really runs the model: a [`Provider`](pressel_wire::Provider).
    pub provider: String,
    /// False while the microphone is gone.
    pub microphone: bool,
    /// The microphone is off on request.
    pub muted: bool,
    /// The worker process.
    pub worker: Worker,
    /// A chunk of a file job waits or is at the worker.
    pub chunk: bool,
    /// Jobs by the stable name of their state; `None` when `jobs` does not answer.
    pub jobs: Option<BTreeMap<String, u32>>,
    /// What the owner should know.
    pub alerts: Vec<Notice>,
    /// Counters since the start.
    pub counters: Counters,
    /// Utterances that the worker began with before their end was known, since the start.
    #[serde(default)]
    pub guesses: Guesses,
    /// Wake words that the recogniser did not hear in a second look, since the start.
    #[serde(default)]
    pub wakes_refused: u32,
    /// Panics that were caught since the start.
    pub panics: u32,
    /// The main loop's longest turn since the start in microseconds, from the end of its sleep.
    #[serde(default)]
    pub longest_turn_us: u32,
    /// Queues, and how full they are.
    pub queues: Vec<Queue>,
    /// Threads that are watched.
    pub threads: Vec<Thread>,
    /// The last outcomes, the newest last.
    pub last: Vec<Last>,
}

/// The worker process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// Process number; `None` when there is none, or the kernel does not tell.
    pub pid: Option<u32>,
    /// It can recognise.
    pub ready: bool,
}

/// Recognitions that began at a pause, as a guess that nothing more is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guesses {
    /// Begun.
    pub made: u32,
    /// Exactly that was asked for in the end.
    pub adopted: u32,
    /// More was said, or nothing was asked for.
    pub dropped: u32,
}

/// Something that the owner should know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Stable name of an [`Alert`], or `stuck`.
    pub name: String,
    /// What it means and what to do, in one line.
    pub what: String,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// What waits in it.
    pub length: u32,
    /// What it can hold.
    pub capacity: u32,
}

/// A thread that is watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// Its name, as `ps -L` shows it.
    pub name: String,
    /// Its number there; `None` for the worker, which is another process.
    pub tid: Option<u32>,
    /// Turns since the start; the number wraps.
    pub turns: u32,
    /// Seconds since the last turn that was seen, to a quarter of a second.
    pub idle_s: f64,
    /// It makes no progress.
    pub stuck: bool,
}

/// One of the last outcomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Last {
    /// Wall time: milliseconds since 1970.
    pub at_ms: u64,
    /// Number of its start.
    pub boot: u32,
    /// Number of the outcome in that start.
    pub sequence: u32,
    /// Number of the utterance in that start.
    pub utterance: u32,
    /// Stable name of what opened it.
    pub trigger: String,
    /// Result and reason, as in `dropped/busy`.
    pub result: String,
    /// What was said.
    pub text: Option<String>,
    /// Milliseconds of audio.
    pub audio_ms: u32,
    /// Percent; 255 when there is none.
    pub confidence: u8,
    /// Where the time went, in milliseconds.
    pub timing: Timing,
}

/// Gathers the status, without the jobs.
#[must_use]
pub fn gather(facts: &Facts, vitals: &Vitals, watchdog: &Watchdog, last: &[Spoken]) -> Status {
    let now = vitals.read();
    let (_, uptime_ms) = watchdog.seen();
    let tasks = tasks();
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        board: facts.board.clone(),
        model: facts.model.clone(),
        boot: facts.boot,
        pid: std::process::id(),
        uptime_s: uptime_ms / 1_000,
        state: now.state.state.name().to_owned(),
        provider: now.state.provider.name().to_owned(),
        microphone: now.state.microphone_ok,
        muted: now.state.muted,
        worker: Worker {
            pid: child(&tasks),
            ready: now.state.worker_ok,
        },
        chunk: now.chunk,
        jobs: None,
        alerts: notices(facts, &now, watchdog),
        counters: now.counters,
        guesses: Guesses {
            made: now.guesses.made,
            adopted: now.guesses.adopted,
            dropped: now.guesses.dropped,
        },
        wakes_refused: now.wakes_refused,
        panics: vitals.panics(),
        longest_turn_us: vitals.longest_turn_us(),
        queues: [
            ("utterances", now.state.waiting, WAITING_UTTERANCES_MAX),
            ("outbox", now.outbox, OUTCOMES_KEPT_MAX),
            ("errands", now.errands, ERRANDS_MAX),
            ("commands", now.commands, COMMANDS_MAX),
        ]
        .into_iter()
        .map(|(name, length, capacity)| Queue {
            name: name.to_owned(),
            length: length.into(),
            capacity: u32::try_from(capacity).unwrap_or(u32::MAX),
        })
        .collect(),
        threads: threads(watchdog, &tasks),
        last: last.iter().map(Last::new).collect(),
    }
}

/// Counts jobs by their state.
#[must_use]
pub fn count(jobs: &[JobInfo]) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for job in jobs {
        *counts.entry(job.state.clone()).or_default() += 1;
    }
    counts
}

fn notices(facts: &Facts, now: &Published, watchdog: &Watchdog) -> Vec<Notice> {
    let on = Alert::ALL.iter().filter(|alert| now.is_on(**alert));
    let alerts = on.map(|alert| Notice {
        name: alert.name().to_owned(),
        what: match alert {
            Alert::SafeMode => facts.safe_mode.as_deref().unwrap_or_default(),
            Alert::CpuFallback => {
                "CUDA failed a fourth time in ten minutes: the processor does the work until the \
                 next start; see the log"
            }
            Alert::JournalDown => {
                "the journal's disk cannot be written: transcripts are in memory only; see the log"
            }
            Alert::VadFallback => {
                "the voice activity model failed: the level tells speech from silence until the \
                 next start"
            }
            Alert::WakeDown => {
                "the wake words' model failed: none is heard until the next start; see the log"
            }
            Alert::Unknown => "see the log",
        }
        .to_owned(),
    });
    let stuck = watchdog.stuck().map(|thread| Notice {
        name: "stuck".to_owned(),
        what: format!("{} makes no progress: restart the appliance", thread.name()),
    });
    alerts.chain(stuck).collect()
}

fn threads(watchdog: &Watchdog, tasks: &[(u32, String)]) -> Vec<Thread> {
    let (seen, now) = watchdog.seen();
    let tid = |thread: Watched| match thread {
        // The main loop is the thread that the process began with, whatever it is called.
        Watched::MainLoop => Some(std::process::id()),
        Watched::Worker => None,
        _ => {
            let of_name = tasks.iter().find(|(_, name)| name == thread.name());
            of_name.map(|(tid, _)| *tid)
        }
    };
    let both = Watched::ALL.into_iter().zip(seen);
    both.map(|(thread, seen)| Thread {
        name: thread.name().to_owned(),
        tid: tid(thread),
        turns: seen.turns,
        idle_s: f64::from(u32::try_from(now - seen.at).unwrap_or(u32::MAX)) / 1_000.0,
        stuck: seen.is_stuck,
    })
    .collect()
}

/// Returns number and name of each thread of this process.
fn tasks() -> Vec<(u32, String)> {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten();
    let task = |entry: fs::DirEntry| {
        let tid = entry.file_name().to_str()?.parse().ok()?;
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        Some((tid, name.trim().to_owned()))
    };
    entries.flatten().filter_map(task).collect()
}

/// Returns the newest child of this process: the worker is the only one.
fn child(tasks: &[(u32, String)]) -> Option<u32> {
    let children = tasks.iter().filter_map(|(tid, _)| {
        let text = fs::read_to_string(format!("/proc/self/task/{tid}/children")).ok()?;
        text.split_whitespace().last()?.parse().ok()
    });
    children.max()
}

impl Last {
    fn new(spoken: &Spoken) -> Self {
        let outcome = spoken.outcome;
        let is_text = matches!(outcome.result, OutcomeResult::Text { .. });
        Self {
            at_ms: spoken.at_ms,
            boot: spoken.epoch,
            sequence: outcome.sequence,
            utterance: outcome.utterance,
            trigger: outcome.trigger.name().to_owned(),
            result: result_name(&outcome.result),
            text: is_text.then(|| spoken.text.to_string()),
            audio_ms: outcome.audio_ms,
            confidence: outcome.confidence,
            timing: outcome.timing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pressel_wire::Trigger;

    use super::super::watchdog::Tuning;
    use super::*;
    use crate::main_loop::GuessCounts;
    use crate::outcome::Finished;

    #[test]
    fn status_tells_what_the_vitals_the_beats_and_the_kernel_tell() {
        let vitals = Vitals::new();
        vitals.beat(Watched::Keeper);
        vitals.panicked();
        vitals.turned(Duration::from_micros(900));
        vitals.turned(Duration::from_micros(30));
        let published = Published {
            alerts: 1 << Alert::SafeMode as u8,
            guesses: GuessCounts {
                made: 9,
                adopted: 6,
                dropped: 2,
            },
            wakes_refused: 4,
            ..vitals.read()
        };
        vitals.publish(&published);
        let mut watchdog = Watchdog::new(Tuning::new(None), 0);
        let beats = Watched::ALL.map(|thread| vitals.beats(thread));
        watchdog.step(500, beats);
        watchdog.step(1_250, beats);
        let facts = Facts {
            board: "sim".into(),
            safe_mode: Some("why".into()),
            ..Facts::default()
        };
        let text = OutcomeResult::Text {
            bytes: 2,
            truncated: false,
        };
        let spoken = Spoken {
            epoch: 7,
            at_ms: 9,
            outcome: Finished::bare(3, Trigger::Ptt, text, 0).outcome,
            text: heapless::String::try_from("on").unwrap(),
        };
        let status = gather(&facts, &vitals, &watchdog, &[spoken]);
        assert_eq!(status.pid, std::process::id());
        assert_eq!((status.uptime_s, status.panics), (1, 1));
        assert_eq!(status.longest_turn_us, 900);
        let guesses = Guesses {
            made: 9,
            adopted: 6,
            dropped: 2,
        };
        assert_eq!(status.guesses, guesses);
        assert_eq!(status.wakes_refused, 4);
        let thread = |name| status.threads.iter().find(|thread| thread.name == name);
        let keeper = thread("keeper").unwrap();
        assert_eq!((keeper.turns, keeper.idle_s), (1, 0.75));
        assert_eq!(thread("main-loop").unwrap().tid, Some(status.pid));
        let safe_mode = Notice {
            name: "safemode".into(),
            what: "why".into(),
        };
        assert_eq!(status.alerts, [safe_mode]);
        let last = &status.last[0];
        assert_eq!(
            (last.utterance, last.text.as_deref(), last.result.as_str()),
            (3, Some("on"), "text")
        );
        let json = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
        // A newer appliance tells more.
        let newer = json.replacen('{', r#"{"colour":"red","#, 1);
        assert_eq!(serde_json::from_str::<Status>(&newer).unwrap(), status);
    }
}
