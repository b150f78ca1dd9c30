//! What compiles and links for 64-bit ARM on another machine.
//!
//! In: where the Rust compiler is to come from. Out: a cargo that builds for the board. Three
//! parts: a compiler with arm64's standard library (rustup's when it has it or can get it, else
//! Debian's own), the linker (`gcc-aarch64-linux-gnu`), and arm64's libasound, unpacked into
//! `target/cross`. A rustup target is this project's pinned Rust; Debian's is the newest of the
//! release.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use super::apt::{Apt, Beside};
use crate::fetch::Arch;
use crate::{Fallible, console, packages, process};

/// The only machine that is built for on another one.
const TARGET: &str = "aarch64-unknown-linux-gnu";
/// How the names of its tools begin.
pub(super) const TOOLS: &str = "aarch64-linux-gnu-";
/// What the program is linked with, and what it needs to run under emulation.
const LIBRARIES: [&str; 4] = [
    "libasound2-dev:arm64",
    "libc6:arm64",
    "libgcc-s1:arm64",
    "libstdc++6:arm64",
];

/// Where the compiler comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rust {
    /// The one that builds here, when it has arm64's standard library or rustup adds it; else
    /// Debian's
    Auto,
    /// Debian's own, unpacked into target/cross
    Debian,
}

/// Everything that a build for the board needs.
pub(crate) struct Toolchain {
    /// The compiler, when it is not cargo's own.
    rustc: Option<PathBuf>,
    /// Libraries of the board.
    sysroot: PathBuf,
}

/// Where everything of a cross build lies.
pub(super) fn folder() -> PathBuf {
    crate::root().join("target/cross")
}

/// The libraries of the board.
pub(crate) fn sysroot() -> PathBuf {
    folder().join("sysroot")
}

impl Toolchain {
    /// Finds or gets all parts.
    ///
    /// # Errors
    /// A part is missing and cannot be had.
    pub(crate) fn get(arch: Arch, rust: Rust) -> Fallible<Self> {
        if arch != Arch::Aarch64 {
            return Err(format!(
                "programs for {} are built on such a machine only",
                arch.debian()
            ));
        }
        packages::require(packages::FOR_CROSS)?;
        let rustc = compiler(rust)?;
        once(&sysroot(), "arm64's libasound and C libraries", |into| {
            let apt = Apt::open(&folder())?;
            apt.unpack(&LIBRARIES, Beside::Nothing, into)?;
            merged(into)
        })?;
        Ok(Self {
            rustc,
            sysroot: sysroot(),
        })
    }

    /// Sets a cargo up.
    pub(crate) fn configure(&self, cargo: &mut Command) {
        let package_lists = ["usr/lib/aarch64-linux-gnu/pkgconfig", "usr/share/pkgconfig"]
            .map(|place| self.sysroot.join(place).display().to_string());
        cargo
            .env("CARGO_BUILD_TARGET", TARGET)
            .env("CARGO_TARGET_DIR", folder())
            .env(
                "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
                format!("{TOOLS}gcc"),
            )
            .env("PKG_CONFIG_ALLOW_CROSS", "1")
            .env("PKG_CONFIG_SYSROOT_DIR", &self.sysroot)
            .env("PKG_CONFIG_LIBDIR", package_lists.join(":"));
        if let Some(rustc) = &self.rustc {
            cargo.env("RUSTC", rustc);
        }
    }
}

/// The compiler; `None` when cargo's own can.
fn compiler(rust: Rust) -> Fallible<Option<PathBuf>> {
    if rust == Rust::Auto {
        let own = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        if has_target(Path::new(&own)) {
            console::say(&format!("the Rust that builds here has {TARGET}"));
            return Ok(None);
        }
        console::say(&format!("asks rustup for {TARGET}"));
        let mut add = Command::new("rustup");
        add.current_dir(crate::root())
            .args(["target", "add", TARGET]);
        match process::output(&mut add) {
            Ok(_) if has_target(Path::new(&own)) => return Ok(None),
            Ok(_) => console::warn("the Rust that builds here is not rustup's"),
            Err(error) => console::warn(&error),
        }
        console::say("takes Debian's Rust instead");
    }
    debian().map(Some)
}

/// Whether a compiler has the standard library of the target.
fn has_target(rustc: &Path) -> bool {
    let mut ask = Command::new(rustc);
    ask.current_dir(crate::root());
    let place = process::output(ask.args(["--print", "target-libdir", "--target", TARGET]));
    let Ok(place) = place else { return false };
    fs::read_dir(place.trim()).is_ok_and(|mut files| files.next().is_some())
}

/// Debian's compiler for this machine with arm64's standard library beside this machine's.
fn debian() -> Fallible<PathBuf> {
    if Arch::of_this_machine()? != Arch::X86_64 {
        return Err("Debian's Rust is unpacked on 64-bit PCs only: install rustup".to_owned());
    }
    let place = folder().join("rust");
    let rustc = place.join("rustc");
    once(
        &place,
        "Debian's Rust (rustc-web, libstd-rust-web-dev)",
        |into| {
            let apt = Apt::open(&folder())?;
            apt.unpack(&["rustc-web"], Beside::ThisMachine, into)?;
            apt.unpack_alone("libstd-rust-web-dev:amd64", into)?;
            apt.unpack_alone("libstd-rust-web-dev:arm64", into)?;
            // Its libraries are found by a variable, which cargo and the linker must not see.
            let script = "#!/bin/sh\n\
             here=$(dirname -- \"$(readlink -f -- \"$0\")\")\n\
             export LD_LIBRARY_PATH=$here/usr/lib/x86_64-linux-gnu\n\
             exec \"$here/usr/bin/rustc\" --sysroot \"$here/usr\" \"$@\"\n";
            let path = into.join("rustc");
            fs::write(&path, script)
                .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
                .map_err(|error| format!("cannot write {}: {error}", path.display()))
        },
    )?;
    if !has_target(&rustc) {
        return Err(format!(
            "Debian's Rust in {} does not run, or has no {TARGET}: remove the folder and try again",
            place.display()
        ));
    }
    let version = process::output(Command::new(&rustc).arg("--version"))?;
    console::say(&format!("builds with Debian's {}", version.trim()));
    Ok(rustc)
}

/// Makes a folder as a whole, unless it is there.
fn once(place: &Path, what: &str, make: impl FnOnce(&Path) -> Fallible<()>) -> Fallible<()> {
    if place.is_dir() {
        return Ok(());
    }
    console::say(&format!("gets {what}"));
    let part = place.with_extension("part");
    match fs::remove_dir_all(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("cannot remove {}: {error}", part.display()));
        }
        _ => {}
    }
    make(&part)?;
    fs::rename(&part, place).map_err(|error| format!("cannot make {}: {error}", place.display()))
}

/// Gives a folder of libraries the `/lib` of Debian 13 and later, whose packages have none.
fn merged(sysroot: &Path) -> Fallible<()> {
    let lib = sysroot.join("lib");
    if lib.exists() {
        return Ok(());
    }
    symlink("usr/lib", &lib).map_err(|error| format!("cannot make {}: {error}", lib.display()))
}
