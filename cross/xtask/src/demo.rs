//! `cargo xtask demo`: from a fresh clone to the running appliance.
//!
//! In: arguments for `pressel demo`. Out: the appliance on the simulated board, in this terminal.
//! xtask replaces itself by `pressel`, so its exit code is ours and Ctrl+C goes straight to it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Fallible, console, fetch, packages, process, toolchain};

/// Installs, fetches, builds, and becomes `pressel demo`.
///
/// # Errors
/// One of the steps before `pressel` starts failed. Does not return otherwise.
pub(crate) fn run(mic: Option<&str>, rest: &[OsString]) -> Fallible<()> {
    packages::require(packages::FOR_BUILD)?;
    fetch::run(fetch::Arch::of_this_machine()?, &crate::fetched_folder())?;
    toolchain::announce()?;
    console::say("builds pressel; the first time this takes some minutes");
    let program = build()?;

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

/// Builds `pressel` and returns the path of the program, as cargo tells it.
fn build() -> Fallible<PathBuf> {
    let mut command = process::cargo();
    command.args([
        "build",
        "--release",
        "--package",
        "pressel",
        "--bin",
        "pressel",
    ]);
    command
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| process::cannot_start(&command, &error))?;
    let mut program = None;
    for line in child
        .stdout
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(BufRead::lines)
    {
        let line = line.map_err(|error| format!("cannot read what cargo says: {error}"))?;
        program = executable(&line).or(program);
    }
    let status = child
        .wait()
        .map_err(|error| format!("cannot wait for cargo: {error}"))?;
    match program {
        Some(path) if status.success() => Ok(path),
        _ => {
            let line = process::text(&command);
            Err(format!(
                "pressel does not build: `{line}` ended with {status}"
            ))
        }
    }
}

/// The path in a message of cargo about a program that it built.
fn executable(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    message.get("executable")?.as_str().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_in_what_cargo_says() {
        let built = r#"{"reason":"compiler-artifact","executable":"/t/release/pressel"}"#;
        assert_eq!(executable(built), Some(PathBuf::from("/t/release/pressel")));
        let library = r#"{"reason":"compiler-artifact","executable":null}"#;
        assert_eq!(executable(library), None);
        assert_eq!(executable("not json"), None);
    }
}
