//! A clean Debian in a folder, and programs shut into it.
//!
//! In: nothing but this machine's own release, and for which machine. Out: a root folder, and
//! commands that run in it with process numbers and mounts of their own. What is mounted there goes
//! with the last process: neither Ctrl+C nor a fault leaves a mount behind. Needs root's rights. In
//! another machine's, the kernel starts the emulator.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fetch::Arch;
use crate::{Fallible, console, cross, packages, process};

/// Makes the mounts that a Debian needs, and goes into it: ROOT PROGRAM ARGUMENTS.
const ENTER: &str = "set -e
mount -t proc proc \"$1/proc\"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts \"$1/dev/pts\"
mount -t tmpfs -o mode=1777 tmpfs \"$1/dev/shm\"
exec chroot \"$@\"";
/// Namespaces of its own, and an end of all when xtask or the first process ends.
const SHUT_IN: [&str; 7] = [
    "--pdeathsig",
    "KILL",
    "unshare",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
];
/// What programs need to find under emulation: see `cross/emulator/worker.c`. The worker is started
/// by `env`, because the kernel starts the emulator.
const EMULATED: [&str; 5] = [
    "LD_PRELOAD=/trial/worker.so",
    "PRESSEL_EMULATOR=/usr/bin/env",
    "PRESSEL_PROGRAM=/usr/bin/pressel",
    // Set already: the program need not start itself anew.
    "ORT_DISABLE_TELEMETRY=1",
    "ORT_TELEMETRY_DISABLED=1",
];
/// What is in it besides the smallest Debian: the init that would start the service.
const INCLUDED: &str = "--include=systemd-sysv,udev";

/// A root folder.
pub(super) struct Prison {
    root: PathBuf,
    /// It is another machine's: the processor that is emulated, as QEMU calls it.
    emulated: Option<&'static str>,
}

/// Whether a program in it sees the network.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// As this machine.
    Here,
    /// None at all.
    None,
}

impl Prison {
    /// Makes a clean one in `folder`. The Debian itself is fetched once.
    ///
    /// # Errors
    /// debootstrap cannot do it: it names the release.
    pub(super) fn make(folder: &Path, arch: Arch) -> Fallible<Self> {
        let suite = suite(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())?;
        let is_foreign = Arch::of_this_machine()? != arch;
        let wardrobe = is_foreign.then(cross::whole_system).transpose()?;
        let clean = folder.join(format!("clean-{suite}-{}", arch.debian()));
        if !clean.is_dir() {
            console::say(&format!(
                "makes a clean Debian ({suite}, {}) in {}",
                arch.debian(),
                clean.display()
            ));
            let part = clean.with_extension("part");
            remove(&part)?;
            let mut command = packages::as_root("setpriv")?;
            command
                .args(SHUT_IN)
                .args(["debootstrap", "--variant=minbase", INCLUDED])
                .arg(format!("--arch={}", arch.debian()))
                .arg(&suite);
            command.env("PATH", path_with_sbin()).arg(&part);
            process::output(&mut command)?;
            process::output(packages::as_root("mv")?.arg(&part).arg(&clean))?;
        }
        let root = folder.join("root");
        remove(&root)?;
        let mut copy = packages::as_root("cp")?;
        process::output(copy.args(["-a", "--reflink=auto"]).arg(&clean).arg(&root))?;
        let emulated = wardrobe.as_ref().map(|wardrobe| wardrobe.name);
        let prison = Self { root, emulated };
        prison.bring(Path::new("/etc/resolv.conf"), "etc/resolv.conf")?;
        if let Some(wardrobe) = wardrobe {
            prison.dress(&wardrobe)?;
        }
        Ok(prison)
    }

    /// Brings what programs have to find under emulation.
    fn dress(&self, wardrobe: &cross::Wardrobe) -> Fallible<()> {
        self.bring(&wardrobe.shim, "trial/worker.so")?;
        let mut copy = packages::as_root("cp")?;
        copy.args(["-r", "--no-target-directory"])
            .arg(wardrobe.processor.join("sys"))
            .arg(self.root.join("sys"));
        process::output(&mut copy).map(|_| ())
    }

    /// Whether it is another machine's.
    pub(super) fn is_emulated(&self) -> bool {
        self.emulated.is_some()
    }

    /// The folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Copies a file into it.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn bring(&self, file: &Path, to: &str) -> Fallible<()> {
        let mut copy = packages::as_root("install")?;
        copy.args(["-D", "-m", "644"]);
        process::output(copy.arg(file).arg(self.root.join(to))).map(|_| ())
    }

    /// Runs a line of shell in it as root.
    ///
    /// # Errors
    /// It ended with another code than 0: its output is in the message.
    pub(super) fn root_runs(&self, network: Network, line: &str) -> Fallible<String> {
        let words = ["sh", "-ec", line];
        run(self.command(network, &words)?, line)
    }

    /// Runs a line of shell in it as the package's user, without network.
    ///
    /// # Errors
    /// As [`Prison::root_runs`].
    pub(super) fn user_runs(&self, line: &str) -> Fallible<String> {
        let user = [
            "setpriv",
            "--reuid=pressel",
            "--regid=pressel",
            "--init-groups",
        ];
        let words = [&user[..], &["sh", "-ec", line]].concat();
        run(self.command(Network::None, &words)?, line)
    }

    fn command(&self, network: Network, words: &[&str]) -> Fallible<Command> {
        let mut command = packages::as_root("setpriv")?;
        command.args(SHUT_IN);
        if network == Network::None {
            command.arg("--net");
        }
        command.args(["sh", "-c", ENTER, "enter"]).arg(&self.root);
        let environment = [
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8",
            "HOME=/tmp",
            "DEBIAN_FRONTEND=noninteractive",
        ];
        command.args(environment);
        if let Some(processor) = self.emulated {
            command.args(EMULATED).arg(format!("QEMU_CPU={processor}"));
        }
        command.args(words);
        Ok(command)
    }
}

/// Runs a command of [`Prison::command`]; its error says `line` and not how one gets into the root.
fn run(mut command: Command, line: &str) -> Fallible<String> {
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| process::cannot_start(&command, &error))?;
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        return Ok(out);
    }
    let error = String::from_utf8_lossy(&done.stderr);
    Err(format!(
        "in the clean Debian, `{line}` ended with {}: {}",
        done.status,
        [out.trim(), error.trim()].join("\n").trim()
    ))
}

/// Removes a folder of root's.
pub(super) fn remove(folder: &Path) -> Fallible<()> {
    if !folder.exists() {
        return Ok(());
    }
    let mut command = packages::as_root("rm")?;
    process::output(command.args(["-rf", "--one-file-system", "--"]).arg(folder)).map(|_| ())
}

/// The release of this machine: programs that are built here run on it.
fn suite(os_release: &str) -> Fallible<String> {
    let name = os_release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    match name.map(|name| name.trim_matches('"')) {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err("/etc/os-release names no release: this needs Debian or Ubuntu".to_owned()),
    }
}

/// debootstrap lies where only root looks.
fn path_with_sbin() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_this_machines() {
        let told = "ID=debian\nVERSION_CODENAME=bookworm\n";
        assert_eq!(suite(told).unwrap(), "bookworm");
        assert!(suite("ID=arch\n").is_err());
    }
}
