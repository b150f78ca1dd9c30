//! cargo-deb, pinned, and one call of it.
//!
//! In: a stage that is laid out. Out: the package. cargo-deb is built by cargo into `target/tools`
//! the first time.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Recipe, disk};
use crate::fetch::Arch;
use crate::{Fallible, console, process};

/// The version that is used. It packs what `firmware/Cargo.toml` lists (MIT).
const CARGO_DEB: &str = "3.8.0";

/// Makes the package.
///
/// # Errors
/// cargo-deb cannot be had, or does not pack.
pub(super) fn pack(recipe: &Recipe) -> Fallible<PathBuf> {
    let tool = cargo_deb()?;
    let version = recipe.version.unwrap_or(env!("CARGO_PKG_VERSION"));
    let name = format!("pressel_{version}_{}.deb", recipe.arch.debian());
    let deb = recipe.into.join(name);
    if deb.exists() {
        fs::remove_file(&deb).map_err(|error| disk("remove", &deb, &error))?;
    }
    let mut command = Command::new(tool);
    command.current_dir(crate::root());
    command.args([
        "--manifest-path",
        "firmware/Cargo.toml",
        "--no-build",
        "--no-strip",
    ]);
    // What is packed lies in the stage; only the architecture's name is asked of the target.
    if Arch::of_this_machine()? != recipe.arch {
        command.arg(format!("--target={}-unknown-linux-gnu", recipe.arch.name()));
    }
    command
        .args(["--deb-version", version, "--output"])
        .arg(&deb);
    process::output(&mut command)?;
    Ok(deb)
}

/// The path of cargo-deb.
fn cargo_deb() -> Fallible<PathBuf> {
    let root = crate::root().join("target/tools");
    let tool = root.join("bin/cargo-deb");
    let version = process::output(Command::new(&tool).arg("--version")).unwrap_or_default();
    if version.trim().ends_with(CARGO_DEB) {
        return Ok(tool);
    }
    console::say(&format!(
        "builds cargo-deb {CARGO_DEB}, which makes the package"
    ));
    let mut install = process::cargo();
    install.args(["install", "cargo-deb", "--locked", "--force", "--version"]);
    process::run(install.arg(format!("={CARGO_DEB}")).arg("--root").arg(root))?;
    Ok(tool)
}
