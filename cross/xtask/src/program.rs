//! The program `pressel`, built by cargo.
//!
//! In: for which machine, and with which compiler. Out: the path of the release build, as cargo
//! itself tells it. A build for this machine goes to `target/release`, for another one to
//! `target/cross`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::cross::Toolchain;
use crate::fetch::Arch;
use crate::{Fallible, console, packages, process, toolchain};

/// Builds `pressel` for `arch` and returns the path of the program.
///
/// # Errors
/// A package, a compiler or a library is missing and cannot be had, or the program does not build.
pub(crate) fn build(arch: Arch, rust: crate::cross::Rust) -> Fallible<PathBuf> {
    build_with(arch, rust, "")
}

/// Builds `pressel` for `arch` with these features, separated by commas; in the place of the one
/// without.
///
/// # Errors
/// As [`build`].
pub(crate) fn build_with(
    arch: Arch,
    rust: crate::cross::Rust,
    features: &str,
) -> Fallible<PathBuf> {
    if Arch::of_this_machine()? == arch {
        return here(features);
    }
    let toolchain = Toolchain::get(arch, rust)?;
    let mut command = process::cargo();
    toolchain.configure(&mut command);
    let what = format!("builds pressel for {}", arch.debian());
    run(command, features, &what)
}

/// Builds `pressel` for this machine.
///
/// # Errors
/// As [`build`].
pub(crate) fn build_here() -> Fallible<PathBuf> {
    here("")
}

fn here(features: &str) -> Fallible<PathBuf> {
    packages::require(packages::FOR_BUILD)?;
    toolchain::announce()?;
    run(process::cargo(), features, "builds pressel")
}

/// Builds with a cargo that is set up, and returns the path of the program, as cargo tells it.
fn run(mut command: Command, features: &str, what: &str) -> Fallible<PathBuf> {
    console::say(&format!("{what}; the first time this takes some minutes"));
    let words = ["--release", "--package", "pressel", "--bin", "pressel"];
    command
        .arg("build")
        .args(words)
        .args(["--features", features]);
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
