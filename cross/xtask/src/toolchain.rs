//! The Rust that builds: which one it is, and whether it is the pinned one.
//!
//! In: `rust-toolchain.toml` and `rustc --version`. Out: a line that tells. A rustup fetches the
//! pinned toolchain by itself; another cargo ignores the file, and refuses a compiler older than
//! the
//! `rust-version` of the root `Cargo.toml` by itself. So this file only speaks, it never installs.

use std::process::Command;

use crate::{Fallible, console, process};

/// Says which Rust builds, and warns when it is not the pinned one.
///
/// # Errors
/// `rustc` does not run, or `rust-toolchain.toml` names no version.
pub(crate) fn announce() -> Fallible<()> {
    let path = crate::root().join("rust-toolchain.toml");
    let file = std::fs::read_to_string(&path)
        .map_err(|error| format!("cannot read rust-toolchain.toml: {error}"))?;
    let pinned = pinned_version(&file)?;
    let compiler = process::output(Command::new("rustc").arg("--version"))?;
    let compiler = compiler.trim();
    if compiler.split_whitespace().nth(1) == Some(pinned.as_str()) {
        console::say(&format!("builds with {compiler}"));
    } else {
        console::warn(&format!(
            "builds with {compiler}, but {pinned} is pinned: formatting and lints may differ. \
             With rustup the pinned one is fetched by itself"
        ));
    }
    Ok(())
}

/// Tells whether formatting and lints can run.
///
/// # Errors
/// A component is missing: the message says how to get it.
pub(crate) fn require_components() -> Fallible<()> {
    for tool in ["fmt", "clippy"] {
        process::output(process::cargo().args([tool, "--version"])).map_err(|error| {
            format!(
                "`cargo {tool}` does not run ({error}). Install it: `rustup component add rustfmt \
                 clippy`, or without rustup `apt-get install rustfmt rust-clippy`"
            )
        })?;
    }
    Ok(())
}

/// The exact version that `rust-toolchain.toml` pins.
///
/// # Errors
/// The file is no TOML, or names a channel such as `stable` instead of a version.
pub(crate) fn pinned_version(file: &str) -> Fallible<String> {
    let remedy = "write `channel = \"1.95.0\"`, three numbers, below `[toolchain]`";
    let table: toml::Table = file
        .parse()
        .map_err(|error| format!("rust-toolchain.toml is no TOML: {error}"))?;
    let channel = table
        .get("toolchain")
        .and_then(|tools| tools.get("channel"));
    let version = channel.and_then(toml::Value::as_str).unwrap_or_default();
    let numbers = version
        .split('.')
        .filter(|part| part.parse::<u32>().is_ok())
        .count();
    if numbers == 3 && version.split('.').count() == 3 {
        Ok(version.to_owned())
    } else {
        Err(format!(
            "rust-toolchain.toml pins no exact version: {remedy}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(channel: &str, expected: bool) {
        let file = format!("[toolchain]\nchannel = \"{channel}\"\n");
        assert_eq!(pinned_version(&file).is_ok(), expected, "{channel}");
    }

    #[test]
    fn only_an_exact_version_is_a_pin() {
        check("1.95.0", true);
        check("1.95", false);
        check("stable", false);
        check("1.95.x", false);
        assert!(pinned_version("").is_err());
    }
}
