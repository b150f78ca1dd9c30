//! `cargo xtask demo`: from a fresh clone to the running appliance.
//!
//! In: arguments for `pressel demo`. Out: the appliance on the simulated board, in this terminal.
//! xtask replaces itself by `pressel`, so its exit code is ours and Ctrl+C goes straight to it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::{Fallible, console, fetch, packages, process, program};

/// Installs, fetches, builds, and becomes `pressel demo`.
///
/// # Errors
/// One of the steps before `pressel` starts failed. Does not return otherwise.
pub(crate) fn run(mic: Option<&str>, rest: &[OsString]) -> Fallible<()> {
    packages::require(packages::FOR_BUILD)?;
    fetch::run(fetch::Arch::of_this_machine()?, &crate::fetched_folder())?;
    let program = program::build_here()?;

    let mut command = Command::new(program);
    command.current_dir(crate::root()).arg("demo");
    if let Some(device) = mic {
        command.args(["--mic", device]);
    }
    command.args(rest);
    console::say(&format!("runs `{}`", process::text(&command)));
    let error = command.exec();
    Err(process::cannot_start(&command, &error))
}
