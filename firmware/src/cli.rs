//! The command line: what the user types, and which module does it.
//!
//! [`args`] declares it; one file each does it.

pub mod args;
pub mod demo;
pub mod devices;
pub mod evaluate;
pub mod history;
pub mod jobs;
pub mod models;
pub mod monitor;
pub mod record;
pub mod replay;
pub mod run;
pub mod status;
mod telemetry;
pub mod transcribe;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser as _;

use pressel_boards::Board;

use crate::audio_file::Damage;
use crate::failure::{Failure, Kind};
use crate::outlet::Outlet;
use crate::worker;
use args::{Arguments, Command};

/// Parses the command line, runs the command, and says what went wrong in one line.
#[must_use]
pub fn main() -> ExitCode {
    if let Err(failure) = telemetry::switch_off() {
        complain(&failure);
        return ExitCode::from(failure.exit_code());
    }
    // It shows as `exe` when its file was replaced. An old name harms nothing.
    rustix::thread::set_name(c"pressel").ok();
    let arguments = Arguments::parse();
    start_log(arguments.verbose, &arguments.command);
    match dispatch(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Demo(arguments) => demo::demo(&arguments),
        Command::Transcribe(arguments) => transcribe::transcribe(&arguments),
        Command::Evaluate(arguments) => evaluate::evaluate(&arguments),
        Command::Replay(arguments) => replay::replay(&arguments),
        Command::Record(arguments) => record::record(&arguments),
        Command::Devices(arguments) => devices::devices(&arguments),
        Command::Monitor(arguments) => monitor::monitor(&arguments),
        Command::History(arguments) => history::history(&arguments),
        Command::Status(arguments) => status::status(&arguments),
        Command::Jobs(arguments) => jobs::jobs(&arguments),
        Command::Models(arguments) => models::models(&arguments),
        Command::Worker(arguments) => worker::serve::serve(&arguments.setup(), arguments.slots)
            .map_err(|error| {
                let why = format!("the worker is started by Pressel itself, not by hand ({error})");
                Failure::new(Kind::Usage, why)
            }),
    }
}

/// Returns the board of a desk computer: `replay` and `transcribe` need its cores and threads.
fn desk_board() -> Result<Board, Failure> {
    let detected = Board::detect().ok().flatten();
    let board = detected.map_or_else(|| Board::builtin("sim"), Ok);
    let mut board = board.map_err(|error| Failure::new(Kind::Usage, error))?;
    // Nothing else runs here: the worker may use every core.
    board.cores.worker.clear();
    Ok(board)
}

/// Prints the failure of one file and goes on; the first one gives the exit code.
fn keep_first(first: Result<(), Failure>, next: Result<(), Failure>) -> Result<(), Failure> {
    let Err(next) = next else { return first };
    complain(&next);
    first.and(Err(Failure {
        message: String::new(),
        ..next
    }))
}

/// Returns a flag that these signals set, for commands that look at it while they wait.
fn asked_to_end(signals: &[i32]) -> Result<Arc<AtomicBool>, Failure> {
    let asked = Arc::new(AtomicBool::new(false));
    for &signal in signals {
        signal_hook::flag::register(signal, Arc::clone(&asked))
            .map_err(|error| Failure::new(Kind::Device, format!("cannot take signals: {error}")))?;
    }
    Ok(asked)
}

/// Makes a failure of an error of standard output. A reader that has gone has read enough: that one
/// has no words.
fn output_failed(error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        return Failure {
            kind: Kind::Disk,
            message: String::new(),
        };
    }
    let why = format!("standard output cannot be written ({error}): check the disk it goes to");
    Failure::new(Kind::Disk, why)
}

/// Says what was wrong with a recording that was used all the same.
fn warn_of_damage(file: &Path, damage: Damage) {
    let name = file.display();
    if damage.truncated {
        log::warn!("{name}: it ends before its header says: what is there was used");
    }
    if 0 < damage.broken_frames {
        log::warn!(
            "{name}: {} broken frames were left out",
            damage.broken_frames
        );
    }
}

/// Prints a failure; one without words was printed where it happened.
#[allow(
    clippy::print_stderr,
    reason = "the one place where failures are printed"
)]
fn complain(failure: &Failure) {
    if !failure.message.is_empty() {
        eprintln!("pressel: {failure}");
    }
}

/// Starts the log: warnings at first, more with `-v`; `RUST_LOG` overrides it.
fn start_log(verbose: u8, command: &Command) {
    let runs = matches!(command, Command::Run(_));
    let level = match verbose + u8::from(runs) {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        2 => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    };
    let mut builder = env_logger::Builder::new();
    builder
        .filter_level(log::LevelFilter::Error)
        .filter_module("pressel", level)
        .parse_default_env()
        .format_target(false);
    if runs {
        // Whoever reads the log of the appliance must not be able to stop it.
        builder.target(env_logger::Target::Pipe(Box::new(Outlet::error())));
    }
    builder.init();
}
