//! Faults on purpose: what a worker can do wrong, really done, for proofs.
//!
//! A plan from the command line in, a fault at the chosen requests out. In the worker process only,
//! on the thread `recognise`. Without a plan nothing here runs.
//!
//! ```text
//! KIND[?][@N][/MS-MS]    hang          at every request
//!                        panic@2       at the second request of each worker process
//!                        sticky/900-1100   at requests whose audio is so many milliseconds long
//!                        segv?         only at what is done before it is asked
//! ```
//!
//! What is recognised before it is asked counts as a request.

use std::fmt;
use std::os::fd::AsFd as _;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pressel_models::ModelError;
use rustix::net::{SendFlags, send};
use rustix::process::{Resource, Rlimit, Signal, getpid, kill_process, setrlimit};

use super::message::{Fault, encode};
use super::{Answer, WorkerSocket};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It never answers and does not let itself be cancelled.
    Hang,
    /// The thread that owns the model panics.
    Panic,
    /// SIGABRT, by `abort(3)`, as C++ does with an exception that nobody catches.
    Abort,
    /// SIGSEGV.
    Segv,
    /// Memory runs out under a limit that it sets itself, and the allocator gives up.
    Oom,
    /// The process ends with 0.
    Exit,
    /// It answers a number that was not asked.
    Wrong,
    /// It sends one half of its answer.
    Short,
    /// It sends bytes that are no message.
    Garbage,
    /// It answers half a second after it was cancelled.
    Late,
    /// It says that its device context is broken, as after an illegal access.
    Sticky,
    /// It says that its sessions are not to be trusted any more.
    Reload,
    /// It hears other words in the known clip; at the start, whatever the rest of the plan says.
    BadCanary,
}

/// The words of a plan.
const KINDS: [(&str, Kind); 13] = [
    ("hang", Kind::Hang),
    ("panic", Kind::Panic),
    ("abort", Kind::Abort),
    ("segv", Kind::Segv),
    ("oom", Kind::Oom),
    ("exit", Kind::Exit),
    ("wrong", Kind::Wrong),
    ("short", Kind::Short),
    ("garbage", Kind::Garbage),
    ("late", Kind::Late),
    ("sticky", Kind::Sticky),
    ("reload", Kind::Reload),
    ("badcanary", Kind::BadCanary),
];

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What.
    pub kind: Kind,
    /// Only at guesses.
    guess_only: bool,
    /// Only at this request of a worker process, counted from 1.
    at: Option<u32>,
    /// Only at audio of this length, in milliseconds, both ends included.
    length_ms: Option<(u64, u64)>,
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, length_ms) = match text.split_once('/') {
            Some((rest, span)) => (rest, Some(parse_span(span)?)),
            None => (text, None),
        };
        let (rest, at) = match rest.split_once('@') {
            Some((rest, at)) => (rest, Some(parse_number(at)?)),
            None => (rest, None),
        };
        let (name, guess_only) = match rest.strip_suffix('?') {
            Some(name) => (name, true),
            None => (rest, false),
        };
        let found = KINDS.iter().find(|(word, _)| *word == name);
        let (_, kind) = found.ok_or_else(|| format!("there is no fault {name}"))?;
        Ok(Self {
            kind: *kind,
            guess_only,
            at,
            length_ms,
        })
    }
}

fn parse_number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn parse_span(text: &str) -> Result<(u64, u64), String> {
    let (from, to) = text.split_once('-').ok_or("write a length as MS-MS")?;
    Ok((parse_number(from)?, parse_number(to)?))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KINDS.iter().find(|(_, kind)| *kind == self.kind);
        f.write_str(name.map_or("", |(word, _)| word))?;
        if self.guess_only {
            f.write_str("?")?;
        }
        if let Some(at) = self.at {
            write!(f, "@{at}")?;
        }
        if let Some((from, to)) = self.length_ms {
            write!(f, "/{from}-{to}")?;
        }
        Ok(())
    }
}

/// A plan at work.
pub(super) struct Faults {
    plan: Option<Plan>,
    requests: u32,
}

impl Faults {
    pub(super) fn new(plan: Option<Plan>) -> Self {
        Self { plan, requests: 0 }
    }

    /// Returns what goes wrong at the next request or guess, whose audio is so long.
    pub(super) fn next(&mut self, audio_ms: u64, is_guess: bool) -> Option<Kind> {
        self.requests += 1;
        let plan = self.plan.filter(|plan| plan.kind != Kind::BadCanary)?;
        let is_due = plan.at.is_none_or(|at| at == self.requests) && (is_guess || !plan.guess_only);
        let fits = |(from, to)| (from..=to).contains(&audio_ms);
        (is_due && plan.length_ms.is_none_or(fits)).then_some(plan.kind)
    }
}

impl Kind {
    /// Does it, at the request that `right` would be the answer to. Returns the answer to send
    /// instead, if the worker is still able to.
    pub(super) fn happen(
        self,
        id: u32,
        right: impl FnOnce() -> Answer,
        answers: &WorkerSocket,
        cancel: &AtomicBool,
    ) -> Option<Answer> {
        let says = |error: ModelError| {
            let fault = Fault::from(error);
            Some(Answer::Failed { id, fault })
        };
        match self {
            Self::Hang => hang(),
            Self::Panic => panic(),
            Self::Abort => std::process::abort(),
            Self::Segv => segv(),
            Self::Oom => use_up_memory(),
            Self::Exit => std::process::exit(0),
            Self::Wrong => Some(renumbered(right(), id.wrapping_add(1))),
            Self::Short => {
                let mut buffer = [0; pressel_pipeline::limits::WORKER_FRAME_BYTES];
                let bytes = encode(&right(), &mut buffer).unwrap_or_default();
                send_raw(answers, &bytes[..bytes.len() / 2]);
                None
            }
            Self::Garbage => {
                send_raw(answers, &noise(id));
                None
            }
            Self::Late => {
                while !cancel.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::thread::sleep(Duration::from_millis(500));
                Some(right())
            }
            Self::Sticky => says(ModelError::Sticky),
            Self::Reload => says(ModelError::Reload),
            Self::BadCanary => None,
        }
    }
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

#[allow(clippy::panic, reason = "a panic is what was asked for")]
fn panic() -> ! {
    panic!("a panic on purpose")
}

fn segv() -> ! {
    loop {
        // The handler that Rust installs for full stacks takes the first one and steps back.
        kill_process(getpid(), Signal::SEGV).ok();
        std::thread::yield_now();
    }
}

/// Sets a limit a little above what is used, and allocates until the allocator gives up.
fn use_up_memory() -> ! {
    let room = 64 * 1024 * 1024;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let used = status
        .lines()
        .find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"));
    let used_kib: u64 = used.and_then(|kib| kib.parse().ok()).unwrap_or(0);
    let limit = used_kib * 1024 + room;
    let limit = Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    if setrlimit(Resource::As, limit).is_err() {
        std::process::abort(); // Without a limit it would be the machine that runs out.
    }
    let mut taken = Vec::new();
    loop {
        taken.push(vec![1_u8; 1024 * 1024]);
    }
}

fn renumbered(answer: Answer, number: u32) -> Answer {
    match answer {
        Answer::Failed { fault, .. } => Answer::Failed { id: number, fault },
        mut answer => {
            if let Answer::Done { id, .. } = &mut answer {
                *id = number;
            }
            answer
        }
    }
}

fn send_raw(socket: &WorkerSocket, bytes: &[u8]) {
    // Nobody is there to be told.
    send(socket.as_fd(), bytes, SendFlags::NOSIGNAL).ok();
}

/// Returns bytes without a meaning. Source: Marsaglia, "Xorshift RNGs", 2003, shifts 13, 17, 5.
fn noise(seed: u32) -> [u8; 300] {
    let mut random = seed.max(1);
    core::array::from_fn(|_| {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random.to_le_bytes()[1]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::message::decode;

    /// Says at which of these lengths the plan strikes.
    fn check(plan: &str, lengths_ms: &[u64], expected: &[bool]) {
        let parsed: Plan = plan.parse().unwrap();
        assert_eq!(parsed.to_string(), plan);
        let mut faults = Faults::new(Some(parsed));
        let strikes = lengths_ms
            .iter()
            .map(|&ms| faults.next(ms, ms == 7).is_some());
        assert_eq!(strikes.collect::<Vec<_>>(), expected, "{plan}");
    }

    #[test]
    fn plan_strikes_where_it_says() {
        check("hang", &[1, 2, 3], &[true, true, true]);
        check("panic@2", &[1, 2, 3], &[false, true, false]);
        check("sticky/900-1000", &[899, 900, 1_001], &[false, true, false]);
        check("oom@3/900-1000", &[950, 950, 950], &[false, false, true]);
        check("badcanary", &[1, 2], &[false, false]);
        // The one of seven milliseconds is a guess.
        check("hang", &[7, 8], &[true, true]);
        check("panic?", &[6, 7, 8], &[false, true, false]);
        check("oom?@2/7-8", &[7, 7, 7], &[false, true, false]);
        assert_eq!(Faults::new(None).next(5, false), None);
    }

    #[test]
    fn every_kind_has_its_word() {
        for (word, kind) in KINDS {
            assert_eq!(word.parse::<Plan>().unwrap().kind, kind);
        }
    }

    #[test]
    fn plan_that_means_nothing_is_refused() {
        for plan in [
            "", "sulk", "?", "hang@", "hang@x", "hang@2?", "hang/5", "hang/5-x",
        ] {
            assert!(plan.parse::<Plan>().is_err(), "{plan}");
        }
    }

    #[test]
    fn noise_is_no_answer() {
        for seed in 0..1_000 {
            assert_eq!(decode::<Answer>(&noise(seed)), None, "{seed}");
        }
    }
}
