//! `cargo xtask`: one tool for everything around the code.
//!
//! In: a sub-command. Out: what it did, on stdout; what went wrong, on stderr; an exit code.
//! One thread. Nothing here is linked into the appliance, and nothing here needs libasound or ONNX
//! Runtime: this tool is what installs them.

mod bench;
mod check;
mod console;
mod cross;
mod demo;
mod fetch;
mod nightly;
mod package;
mod packages;
mod pictures;
mod process;
mod program;
mod prove;
mod tidy;
mod toolchain;
mod vm;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A result whose error is a text for a person: what failed, on what, and the remedy.
type Fallible<T> = Result<T, String>;

/// Exit codes, for the help text.
const EXIT_CODES: &str = "\
Exit codes:
  0  done        1  something failed: the last line says what, and the remedy
  2  usage       any other of `demo`: what `pressel demo` ended with";

/// Everything around the code of Pressel: try it, check it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The sub-commands.
#[derive(Subcommand)]
enum Command {
    /// Installs what is missing, builds, and runs the appliance on the simulated board
    #[command(after_help = "Examples:
  cargo xtask demo                     a scripted button and speech made by this project
  cargo xtask demo --mic plughw:1,0    your own microphone; `arecord -l` lists them
  cargo xtask demo -- --help           what `pressel demo` itself can do")]
    Demo {
        /// ALSA name of a real microphone, instead of the scripted speech
        #[arg(long, value_name = "DEVICE")]
        mic: Option<String>,
        /// Passed on to `pressel demo`
        #[arg(last = true, value_name = "ARGS")]
        rest: Vec<OsString>,
    },
    /// Installs what is missing, then checks formatting, lints, documentation and every test
    #[command(after_help = "Examples:
  cargo xtask check                    what CI runs; stops at the first step that fails")]
    Check,
    /// Runs one proof of "never stuck, nothing lost", or all of them, with seed and counts
    #[command(after_help = "Examples:
  cargo xtask prove storm              its full edition; exit code 1 when it does not hold
  cargo xtask prove all --seed 7       all, one after the other, with the seed of an earlier run
  cargo xtask prove crash --short      the edition that is part of `check`")]
    Prove {
        /// Which proof
        name: prove::Name,
        /// Seed of what is random, as an earlier run printed it [default: from the clock]
        #[arg(long, value_name = "NUMBER")]
        seed: Option<u64>,
        /// The short edition instead of the full one
        #[arg(long)]
        short: bool,
    },
    /// Runs what is too long for a check: all proofs in full, the virtual boards, arm64 under
    /// emulation, the package's life, every fuzz target, Miri, the rehearsal of the training
    #[command(after_help = "Examples:
  cargo xtask nightly                  a minute for each fuzz target; needs a nightly Rust")]
    Nightly {
        /// Seconds for each fuzz target
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        fuzz_s: u32,
    },
    /// Boots the shipped program on a virtual board with real kernel devices, and tries it
    #[command(after_help = vm::HELP)]
    Vm(vm::Options),
    /// Fetches ONNX Runtime and the Silero voice activity model, pinned by version and SHA-256
    #[command(after_help = "Examples:
  cargo xtask fetch                    into models/fetched; offline when it is already there
  cargo xtask fetch --arch aarch64 --into target/board/fetched
                                       what a 64-bit Raspberry Pi needs")]
    Fetch {
        /// Machine that will run it [default: this one]
        #[arg(long, value_enum)]
        arch: Option<fetch::Arch>,
        /// Folder to fill [default: models/fetched]
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    /// Draws the pictures of boards and lights anew, from board files and code
    #[command(after_help = "Examples:
  cargo xtask pictures                 into boards/pictures, after a board file has changed")]
    Pictures,
    /// Builds the program for a board on this machine; runs it under emulation
    #[command(after_help = cross::HELP)]
    Cross(cross::Options),
    /// Makes the Debian package; installs, upgrades, removes and purges it in a clean Debian
    #[command(after_help = package::HELP)]
    Package(package::Options),
    /// Measures, and prints numbers; asserts nothing
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// Checks the rules of style that a machine can check
    #[command(after_help = "Examples:
  cargo xtask tidy                     one line for each fault: file:line: what, and the remedy")]
    Tidy,
}

/// What can be measured.
#[derive(Subcommand)]
enum Bench {
    /// This recogniser beside whisper.cpp, CTranslate2, sherpa-onnx and a stock export
    #[command(after_help = bench::HELP)]
    Peers(bench::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo { mic, rest } => demo::run(mic.as_deref(), &rest),
        Command::Check => check::run(),
        Command::Prove { name, seed, short } => prove::run(name, seed, short),
        Command::Nightly { fuzz_s } => nightly::run(fuzz_s),
        Command::Vm(options) => vm::run(&options),
        Command::Fetch { arch, into } => packages::require(packages::FOR_FETCH)
            .and_then(|()| arch.map_or_else(fetch::Arch::of_this_machine, Ok))
            .and_then(|arch| fetch::run(arch, &into.unwrap_or_else(fetched_folder))),
        Command::Pictures => pictures::run(),
        Command::Cross(options) => cross::run(&options),
        Command::Package(options) => package::run(&options),
        Command::Bench {
            what: Bench::Peers(options),
        } => bench::run(&options),
        Command::Tidy => tidy::run(root()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            console::fail(&message);
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Where fetched libraries and models live.
fn fetched_folder() -> PathBuf {
    root().join("models/fetched")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn arguments_after_two_dashes_reach_the_demo() {
        let parsed = Arguments::try_parse_from(["xtask", "demo", "--mic", "hw:1", "--", "--json"]);
        let Ok(Arguments {
            command: Command::Demo { mic, rest },
        }) = parsed
        else {
            panic!("demo was not understood");
        };
        assert_eq!(mic.as_deref(), Some("hw:1"));
        assert_eq!(rest, ["--json"]);
    }
}
