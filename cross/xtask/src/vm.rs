//! `cargo xtask vm`: the shipped program on a virtual board with a real kernel and its drivers.
//!
//! In: Debian's packages, the program, the models. Out: each step with its time and what was seen;
//! an error when one of them does not hold. QEMU emulates the processor unless KVM works here, and
//! that is said. Not part of `check`; `nightly` runs all of it.

mod archive;
mod board;
mod debs;
mod drivers;
mod endurance;
mod files;
mod guest;
mod image;
mod power;
mod qemu;
mod raspi;
mod steps;
mod uart;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::{Fallible, console, fetch, packages, program};

/// Examples and what to expect, for the help text.
pub(crate) const HELP: &str = "\
Examples:
  cargo xtask vm                       everything; a minute of it with the worker saturated
  cargo xtask vm --minutes 10          ten of them, as `nightly` does
  cargo xtask vm --only press,mute     these steps; each sees to it that the board has booted
  cargo xtask vm --list                the steps, and what each shows
  cargo xtask vm --machine raspi3b     the arm64 program on an emulated Raspberry Pi

It needs Debian's packages: QEMU and some tools are installed, kernel, headers and source only
unpacked, into target/vm. The second time nothing is fetched. Logs of the last run are in
target/vm/log, a folder for each machine.";

/// Minutes of speech in a nightly run.
const NIGHTLY_MINUTES: u32 = 10;

/// What to run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Which machine
    #[arg(long, value_enum, default_value_t = Machine::Pc)]
    pub(crate) machine: Machine,
    /// Minutes of speech while the worker is saturated by recordings
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) minutes: u32,
    /// Only these steps of the machine `pc`
    #[arg(long, value_name = "STEP,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Print the steps, and end
    #[arg(long)]
    pub(crate) list: bool,
}

impl Options {
    /// Everything of a machine, at its length.
    pub(crate) fn nightly(machine: Machine) -> Self {
        Self {
            machine,
            minutes: NIGHTLY_MINUTES,
            only: Vec::new(),
            list: false,
        }
    }
}

/// Machines that QEMU emulates for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Machine {
    /// The board `vm`: x86-64, with snd-aloop, gpio-sim and two serial lines
    Pc,
    /// A Raspberry Pi: the arm64 program on the real driver of its pins
    #[value(name = "raspi3b")]
    Raspi,
}

impl Machine {
    fn name(self) -> &'static str {
        match self {
            Self::Pc => "pc",
            Self::Raspi => "raspi3b",
        }
    }
}

/// Where everything of the virtual board lies.
struct Folders {
    /// `target/vm`.
    work: PathBuf,
    /// What this machine's last run said.
    log: PathBuf,
}

/// Runs the steps.
///
/// # Errors
/// The first step that does not hold, with what was seen instead.
pub(crate) fn run(options: &Options) -> Fallible<()> {
    let chosen = steps::choose(&options.only)?;
    if options.machine == Machine::Raspi && !options.only.is_empty() {
        return Err("--only goes with the machine pc: raspi3b has one way through".to_owned());
    }
    if options.list {
        for step in &steps::STEPS {
            console::pass_on(&format!("  {:<10} {}", step.name, step.what));
        }
        return Ok(());
    }
    let work = crate::root().join("target/vm");
    let folders = Folders {
        log: work.join("log").join(options.machine.name()),
        work,
    };
    let busy = folders
        .work
        .join(format!(".busy-{}", options.machine.name()));
    let busy = lock(&folders.work, &busy)?;
    std::fs::remove_dir_all(&folders.log).ok();
    std::fs::create_dir_all(&folders.log)
        .map_err(|error| failed("create", &folders.log, &error))?;
    let mut report = Report::default();
    let done = match options.machine {
        Machine::Pc => pc(options, &chosen, &folders, &mut report),
        Machine::Raspi => raspi::run(&folders, &mut report),
    };
    console::say("vm:");
    report.lines.iter().for_each(|line| console::pass_on(line));
    drop(busy);
    done.map_err(|error| format!("{error}; logs are in {}", folders.log.display()))
}

/// Sees that nobody else has this machine's files in use; they are free when the lock is dropped.
fn lock(work: &Path, path: &Path) -> Fallible<File> {
    std::fs::create_dir_all(work).map_err(|error| failed("create", work, &error))?;
    let file = File::create(path).map_err(|error| failed("create", path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err("another `cargo xtask vm` runs on this machine: wait for its end".to_owned())
        }
        Err(TryLockError::Error(error)) => Err(failed("lock", path, &error)),
    }
}

/// Runs the steps of the board `vm`.
fn pc(
    options: &Options,
    chosen: &[&steps::Step],
    folders: &Folders,
    report: &mut Report,
) -> Fallible<()> {
    report.step("packages", || {
        packages::require(packages::FOR_BUILD)?;
        packages::require(packages::FOR_VM)?;
        fetch::run(fetch::Arch::of_this_machine()?, &crate::fetched_folder())?;
        Ok("QEMU, tools and models are here".to_owned())
    })?;
    let program = report.value("program", || {
        program::build_here().map(|program| (program, "pressel, as it ships".to_owned()))
    })?;
    let prepared = report.value("kernel", || {
        let prepared = debs::prepare(fetch::Arch::X86_64, &folders.work)?;
        let text = "Debian's kernel, its drivers, and gpio-sim, built from its source";
        Ok((prepared, text.to_owned()))
    })?;
    // From here on nothing is fetched or compiled any more.
    let start = Instant::now();
    let files = report.value("image", || files::Files::make(&program, &prepared, folders))?;
    let accelerator = report.value("kvm", || Ok(files::accelerator(&files)))?;
    let rig = steps::Rig::new(&files, accelerator, options.minutes);
    steps::run(rig, chosen, report)?;
    let time = console::time(start.elapsed());
    console::say(&format!("vm holds; {time} since the image was made"));
    Ok(())
}

/// What became of each step.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
}

impl Report {
    fn step(&mut self, name: &str, work: impl FnOnce() -> Fallible<String>) -> Fallible<()> {
        self.value(name, || work().map(|text| ((), text)))
    }

    /// A step that gives something to the next ones, and a text for its line.
    fn value<T>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Fallible<(T, String)>,
    ) -> Fallible<T> {
        console::say(&format!("vm {name} ..."));
        let start = Instant::now();
        let done = work();
        let time = console::time(start.elapsed());
        let (mark, text) = match &done {
            Ok((_, text)) => ("ok", text),
            Err(text) => ("FAILED", text),
        };
        let line = format!("  {name:<10} {mark:<7} {time:>12}  {text}");
        console::pass_on(&line);
        self.lines.push(line);
        done.map(|(value, _)| value)
            .map_err(|error| format!("vm stops at `{name}`: {error}"))
    }
}

/// The error of a file that cannot be used.
fn failed(verb: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}
