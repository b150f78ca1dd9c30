//! `cargo xtask cross`: the program for a board, built on this machine.
//!
//! In: a board, whose file says which machine it is. Out: a binary in `target/cross`, on demand a
//! Debian package for this board, and the proof that the binary hears the same as this machine's:
//! it is run under qemu-user. Nothing of a foreign architecture is installed here: its packages are
//! unpacked into `target/cross`.

mod apt;
mod board;
mod compare;
mod emulator;
mod toolchain;

use std::path::Path;
use std::process::Command;

use clap::Args;

use crate::fetch::Arch;
use crate::{Fallible, console, fetch, package, process, program};
pub(crate) use apt::Apt;
use board::Board;
pub(crate) use emulator::{Wardrobe, whole_system};
pub(crate) use toolchain::{Rust, Toolchain, sysroot};

/// Examples of the help text.
pub(crate) const HELP: &str = "Examples:
  cargo xtask cross rpi-5              target/cross/aarch64-unknown-linux-gnu/release/pressel
  cargo xtask cross rpi-5 --package    and target/cross/rpi-5/pressel_VERSION_arm64.deb
  cargo xtask cross --test             arm64 under emulation hears what this machine hears";

/// What to build, and how.
#[derive(Args)]
pub(crate) struct Options {
    /// Board to build for: a file of boards/, without .toml
    #[arg(value_name = "BOARD", required_unless_present = "test")]
    board: Option<String>,
    /// Run the arm64 program under qemu-user and compare what it hears with this machine
    #[arg(long)]
    test: bool,
    /// Make the Debian package too, with this board in its configuration
    #[arg(long, requires = "board")]
    package: bool,
    /// Where the compiler comes from
    #[arg(long, value_enum, default_value = "auto")]
    rust: Rust,
}

/// Builds; then packs and tests what is asked for.
///
/// # Errors
/// Names the step that failed, and the remedy.
pub(crate) fn run(options: &Options) -> Fallible<()> {
    let board = options.board.as_deref().map(Board::read).transpose()?;
    let arch = match &board {
        Some(board) => board.arch()?,
        None => Arch::Aarch64,
    };
    let program = program::build(arch, options.rust)?;
    let place = program.strip_prefix(crate::root()).unwrap_or(&program);
    console::say(&format!("{} for {}", place.display(), arch.debian()));
    if let Some(board) = board.filter(|_| options.package) {
        package::for_board(arch, &program, &board.name)?;
        if let Some(remark) = board.remark() {
            console::warn(&remark);
        }
    }
    if options.test {
        console::say(&test(arch, &program)?);
    }
    Ok(())
}

/// Runs the program of `arch` here, and compares. Returns what was seen, and what was skipped.
fn test(arch: Arch, foreign: &Path) -> Fallible<String> {
    if Arch::of_this_machine()? == arch {
        return Err(format!(
            "this machine is {} itself: there is nothing to emulate, `cargo xtask check` runs \
             everything for real",
            arch.debian()
        ));
    }
    fetch::run(Arch::of_this_machine()?, &crate::fetched_folder())?;
    let fetched = toolchain::folder().join("fetched");
    fetch::run(arch, &fetched)?;
    let native = program::build_here()?;
    let emulator = emulator::Emulator::prepare(&fetched)?;
    let skipped = compare::run(&native, &emulator, foreign)?;
    Ok(console::but_for(
        "arm64 hears what this machine hears",
        skipped.as_deref(),
    ))
}

/// Builds for arm64 and compares, as a step of `nightly`.
///
/// # Errors
/// As [`run`].
pub(crate) fn as_step_of_nightly() -> Fallible<String> {
    let program = program::build(Arch::Aarch64, Rust::Auto)?;
    test(Arch::Aarch64, &program)
}

/// A tool that looks at programs of `arch`: `aarch64-linux-gnu-strip`; without that prefix where
/// this machine is one.
///
/// # Errors
/// It is not here.
pub(crate) fn tool(arch: Arch, name: &str) -> Fallible<Command> {
    let prefix = if Arch::of_this_machine()? == arch {
        ""
    } else {
        toolchain::TOOLS
    };
    let name = format!("{prefix}{name}");
    if !process::succeeds(&[&name, "--version"]) {
        return Err(format!(
            "`{name}` does not run: it comes with gcc and binutils"
        ));
    }
    let mut command = Command::new(name);
    command.current_dir(crate::root());
    Ok(command)
}
