//! `cargo xtask package`: Pressel as a Debian package, and the proof that it works as one.
//!
//! In: a machine, or with `cross` a board. Out: one `.deb`, inspected; on demand the whole life of
//! it in a clean Debian: installed, run, upgraded, removed, purged; another machine's is emulated.
//! What goes where is in `firmware/Cargo.toml`; scripts, service and rules are in `cross/package`.

mod boot;
mod deb;
mod inspect;
mod notices;
mod prison;
mod service;
mod stage;
mod trial;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cross::Rust;
use crate::fetch::Arch;
use crate::{Fallible, console, packages, program};

/// Examples of the help text.
pub(crate) const HELP: &str = "Examples:
  cargo xtask package                  target/package/pressel_VERSION_amd64.deb, for this machine
  cargo xtask package --arch arm64     for a Raspberry Pi or a Jetson
  cargo xtask package --test           and its whole life in a clean Debian; needs root or sudo
  cargo xtask package --arch arm64 --test
                                       the same in an emulated arm64 Debian, without systemd";

/// What to pack.
#[derive(Args)]
pub(crate) struct Options {
    /// Machine that it is for: arm64 or amd64 [default: this one]
    #[arg(long, value_enum, hide_possible_values = true)]
    arch: Option<Arch>,
    /// Install, run, upgrade, remove and purge it in a clean Debian
    #[arg(long)]
    test: bool,
    /// Where the compiler comes from, when it is for another machine
    #[arg(long, value_enum, default_value = "auto")]
    rust: Rust,
}

/// What a package is made of.
struct Recipe<'a> {
    arch: Arch,
    program: &'a Path,
    /// The board that its configuration names; none is found on the board itself.
    board: Option<&'a str>,
    /// The version; none is that of `Cargo.toml`.
    version: Option<&'a str>,
    /// Folder that the package goes to.
    into: &'a Path,
}

/// Packs, and tries the package.
///
/// # Errors
/// Names the step that failed, and the remedy.
pub(crate) fn run(options: &Options) -> Fallible<()> {
    let arch = options.arch.map_or_else(Arch::of_this_machine, Ok)?;
    pack(arch, options.test, options.rust).map(|_| ())
}

/// Packs for one machine. Returns what of the trial was skipped, and why.
fn pack(arch: Arch, is_tried: bool, rust: Rust) -> Fallible<Option<String>> {
    let program = program::build(arch, rust)?;
    let deb = make(&Recipe {
        arch,
        program: &program,
        board: None,
        version: None,
        into: &folder(),
    })?;
    if is_tried {
        test(arch, &program, &deb)
    } else {
        Ok(None)
    }
}

/// Packs a program that is built, for one board.
///
/// # Errors
/// As [`run`].
pub(crate) fn for_board(arch: Arch, program: &Path, board: &str) -> Fallible<()> {
    make(&Recipe {
        arch,
        program,
        board: Some(board),
        version: None,
        into: &crate::root().join("target/cross").join(board),
    })
    .map(|_| ())
}

/// Both packages and their lives, arm64's under emulation, for a step of `nightly`.
///
/// # Errors
/// As [`run`].
pub(crate) fn as_step_of_nightly() -> Fallible<String> {
    let here = Arch::of_this_machine()?;
    let mut skipped = Vec::new();
    if here != Arch::Aarch64 {
        skipped.extend(pack(Arch::Aarch64, true, Rust::Auto)?);
    }
    skipped.extend(pack(here, true, Rust::Auto)?);
    let skipped = (!skipped.is_empty()).then(|| skipped.join("; "));
    Ok(console::but_for(
        "installed, run, upgraded, removed, purged",
        skipped.as_deref(),
    ))
}

/// Where packages go.
fn folder() -> PathBuf {
    crate::root().join("target/package")
}

/// Lays out, packs and inspects.
fn make(recipe: &Recipe) -> Fallible<PathBuf> {
    packages::require(packages::FOR_PACKAGE)?;
    for place in [&folder(), recipe.into] {
        fs::create_dir_all(place).map_err(|error| disk("make", place, &error))?;
    }
    let busy_path = folder().join(".busy");
    let busy = File::create(&busy_path).map_err(|error| disk("create", &busy_path, &error))?;
    busy.lock()
        .map_err(|error| disk("lock", &busy_path, &error))?;
    let level = service::check(&crate::root().join(service::UNIT))?;
    console::say(&format!(
        "systemd-analyze security pressel.service: {level} (10 is open, {} is allowed)",
        service::LEVEL_MAX
    ));
    stage::lay_out(recipe)?;
    let deb = deb::pack(recipe)?;
    let size = fs::metadata(&deb).map_or(0, |file| file.len());
    let summary = inspect::check(&deb, recipe)?;
    let place = deb.strip_prefix(crate::root()).unwrap_or(&deb).display();
    console::say(&format!("{place}: {} KB, {summary}", size / 1_000));
    Ok(deb)
}

/// The life of a package; of another machine's under emulation. Returns what was skipped, and why.
fn test(arch: Arch, program: &Path, deb: &Path) -> Fallible<Option<String>> {
    let newer = make(&Recipe {
        arch,
        program,
        board: Some(trial::NEWER_BOARD),
        version: Some(trial::NEWER),
        into: &folder().join("newer"),
    })?;
    trial::run(arch, deb, &newer)
}

fn disk(verb: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}
