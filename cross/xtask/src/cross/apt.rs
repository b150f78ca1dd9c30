//! Packages of another architecture, unpacked beside this machine's own.
//!
//! In: names of Debian packages. Out: the files of these and of all that they need, in a folder
//! below `target/cross`. apt works on lists and a cache of its own there, with the sources, keys
//! and proxies of this machine: so nothing is installed, no architecture is added, and no root is
//! needed. The packages are checked by apt's signatures; they are the newest of this machine's
//! release.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Fallible, console, process};

/// Whose packages count as installed already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Nobody's: everything that is needed comes.
    Nothing,
    /// This machine's: only what it has not comes.
    ThisMachine,
}

/// An apt of our own.
pub(crate) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Makes it in `target/cross/apt` and gets the lists of packages.
    ///
    /// # Errors
    /// There is no apt here, or its folder cannot be made.
    pub(crate) fn open(cross: &Path) -> Fallible<Self> {
        if !process::succeeds(&["apt-get", "--version"]) {
            return Err(format!(
                "the libraries of another machine come from Debian's packages, and there is no \
                 apt-get here: {CONTAINER}"
            ));
        }
        let folder = cross.join("apt");
        for part in ["lists/partial", "cache/archives/partial"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(|error| disk("make", &path, &error))?;
        }
        let apt = Self { folder };
        apt.write("status", "")?;
        apt.write("apt.conf", &apt.configuration())?;
        console::say("gets Debian's lists of arm64 packages (nothing is installed from them)");
        if let Err(error) = process::output(apt.command(Beside::Nothing).arg("update")) {
            console::warn(&format!("{error}; goes on with the lists that are here"));
        }
        Ok(apt)
    }

    /// Unpacks packages, and what they need, into `into`.
    ///
    /// # Errors
    /// A package is not in the sources of this machine, or the disk fails.
    pub(super) fn unpack(&self, names: &[&str], beside: Beside, into: &Path) -> Fallible<()> {
        let archives = self.folder.join("cache/archives");
        for deb in debs(&archives)? {
            fs::remove_file(&deb).map_err(|error| disk("remove", &deb, &error))?;
        }
        let words = [
            "install",
            "--yes",
            // What is installed comes as well: it is needed in the folder.
            "--reinstall",
            "--download-only",
            "--no-install-recommends",
        ];
        let mut fetch = self.command(beside);
        process::output(fetch.args(words).args(names)).map_err(|error| {
            format!(
                "{error}. Ubuntu keeps arm64 packages on a host of its own: add it to the sources \
                 of this machine, with `Architectures: arm64`; {CONTAINER}"
            )
        })?;
        self.extract(&archives, into)
    }

    /// Unpacks one package without what it needs.
    ///
    /// # Errors
    /// As [`Apt::unpack`].
    pub(crate) fn unpack_alone(&self, name: &str, into: &Path) -> Fallible<()> {
        let place = self.folder.join("alone");
        fs::create_dir_all(&place).map_err(|error| disk("make", &place, &error))?;
        for deb in debs(&place)? {
            fs::remove_file(&deb).map_err(|error| disk("remove", &deb, &error))?;
        }
        let mut fetch = self.command(Beside::Nothing);
        process::output(fetch.current_dir(&place).args(["download", name]))?;
        self.extract(&place, into)
    }

    /// Names of the packages that a package depends on.
    ///
    /// # Errors
    /// It is not in the sources of this machine.
    pub(crate) fn depends(&self, name: &str) -> Fallible<Vec<String>> {
        let mut command = Command::new("apt-cache");
        command.env("APT_CONFIG", self.folder.join("apt.conf"));
        let text = process::output(command.args(["depends", name]))?;
        let names = text.lines().filter_map(|line| {
            let name = line.trim_start().strip_prefix("Depends: ")?;
            Some(name.split(':').next()?.to_owned())
        });
        Ok(names.collect())
    }

    fn extract(&self, from: &Path, into: &Path) -> Fallible<()> {
        fs::create_dir_all(into).map_err(|error| disk("make", into, &error))?;
        for deb in debs(from)? {
            let mut command = Command::new("dpkg-deb");
            process::output(command.arg("-x").arg(&deb).arg(into))?;
        }
        Ok(())
    }

    fn command(&self, beside: Beside) -> Command {
        let mut command = Command::new("apt-get");
        command.env("APT_CONFIG", self.folder.join("apt.conf"));
        command.env("DEBIAN_FRONTEND", "noninteractive");
        if beside == Beside::ThisMachine {
            command.args(["-o", "Dir::State::status=/var/lib/dpkg/status"]);
        }
        command
    }

    fn configuration(&self) -> String {
        let folder = self.folder.display();
        format!(
            "Dir::State \"{folder}\";\nDir::State::lists \"{folder}/lists\";\n\
             Dir::State::status \"{folder}/status\";\nDir::Cache \"{folder}/cache\";\n\
             APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; \"arm64\"; }};\n\
             APT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
        )
    }

    fn write(&self, name: &str, text: &str) -> Fallible<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(|error| disk("write", &path, &error))
    }
}

/// The other way to a cross build.
const CONTAINER: &str = "or build in a container, see cross/Dockerfile";

/// The packages in a folder.
fn debs(folder: &Path) -> Fallible<Vec<PathBuf>> {
    let files = fs::read_dir(folder).map_err(|error| disk("read", folder, &error))?;
    let paths = files.filter_map(|file| Some(file.ok()?.path()));
    Ok(paths
        .filter(|path| path.extension().is_some_and(|end| end == "deb"))
        .collect())
}

fn disk(verb: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}
