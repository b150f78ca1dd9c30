//! System packages: what is missing, why it is needed, and how it comes here.
//!
//! In: a list of needs. Out: nothing when all probes pass; else one line for each missing thing,
//! then `apt-get` (through sudo unless root), then the probes again. A probe tests the thing
//! itself, not a package name. May not ask anything when there is no terminal.

use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::{Fallible, console, process};

/// One thing that the machine must have.
pub(crate) struct Need {
    /// Name of the thing, and of its package on Debian, Ubuntu and Raspberry Pi OS.
    package: &'static str,
    /// Names of its packages on Fedora and on Arch.
    elsewhere: [&'static str; 2],
    /// What it is for.
    why: &'static str,
    /// A command that ends with 0 when the thing is there.
    probe: &'static [&'static str],
}

const PKG_CONFIG: Need = Need {
    package: "pkg-config",
    elsewhere: ["pkgconf-pkg-config", "pkgconf"],
    why: "tells cargo where libasound is",
    probe: &["pkg-config", "--version"],
};
const SOUND: Need = Need {
    package: "libasound2-dev",
    elsewhere: ["alsa-lib-devel", "alsa-lib"],
    why: "sound capture is linked with libasound",
    probe: &["pkg-config", "--exists", "alsa"],
};
const PYTHON: Need = Need {
    package: "python3",
    elsewhere: ["python3", "python"],
    why: "runs pip and unpacks what it fetched",
    probe: &["python3", "--version"],
};
const PIP: Need = Need {
    package: "python3-pip",
    elsewhere: ["python3-pip", "python-pip"],
    why: "fetches ONNX Runtime and the Silero model",
    probe: &["python3", "-m", "pip", "--version"],
};

const QEMU: Need = Need {
    package: "qemu-system-x86",
    elsewhere: ["qemu-system-x86-core", "qemu-system-x86"],
    why: "emulates the virtual board",
    probe: &["qemu-system-x86_64", "--version"],
};
const QEMU_ARM: Need = Need {
    package: "qemu-system-arm",
    elsewhere: ["qemu-system-aarch64-core", "qemu-system-aarch64"],
    why: "emulates a Raspberry Pi 3",
    probe: &["qemu-system-aarch64", "--version"],
};
const MAKE: Need = Need {
    package: "make",
    elsewhere: ["make", "make"],
    why: "builds the kernel's simulated GPIO chip",
    probe: &["make", "--version"],
};
const XZ: Need = Need {
    package: "xz-utils",
    elsewhere: ["xz", "xz"],
    why: "unpacks the kernel's source",
    probe: &["xz", "--version"],
};
const MKE2FS: Need = Need {
    package: "e2fsprogs",
    elsewhere: ["e2fsprogs", "e2fsprogs"],
    why: "makes the virtual board's disk",
    probe: &["/sbin/mke2fs", "-V"],
};
const CROSS_COMPILER: Need = Need {
    package: "gcc-aarch64-linux-gnu",
    elsewhere: ["gcc-aarch64-linux-gnu", "aarch64-linux-gnu-gcc"],
    why: "links programs for 64-bit ARM",
    probe: &["aarch64-linux-gnu-gcc", "--version"],
};
const CROSS_LIBC: Need = Need {
    package: "libc6-dev-arm64-cross",
    elsewhere: ["sysroot-aarch64-fc41-glibc", "aarch64-linux-gnu-glibc"],
    why: "the C library that they are linked with",
    probe: &["test", "-e", "/usr/aarch64-linux-gnu/include/stdio.h"],
};
const EMULATOR: Need = Need {
    package: "qemu-user-static",
    elsewhere: ["qemu-user-static", "qemu-user-static"],
    why: "runs programs for 64-bit ARM",
    probe: &["qemu-aarch64-static", "--version"],
};
const BINUTILS: Need = Need {
    package: "binutils",
    elsewhere: ["binutils", "binutils"],
    why: "strips programs and tells what they need",
    probe: &["readelf", "--version"],
};
const DPKG: Need = Need {
    package: "dpkg",
    elsewhere: ["dpkg", "dpkg"],
    why: "unpacks Debian packages and looks into them",
    probe: &["dpkg-deb", "--version"],
};
const SYSTEMD: Need = Need {
    package: "systemd",
    elsewhere: ["systemd", "systemd"],
    why: "says how far the service is shut in",
    probe: &["systemd-analyze", "--version"],
};
const DEBOOTSTRAP: Need = Need {
    package: "debootstrap",
    elsewhere: ["debootstrap", "debootstrap"],
    why: "makes the clean Debian that the package is tried in",
    probe: &["test", "-e", "/usr/sbin/debootstrap"],
};
const NAMESPACES: Need = Need {
    package: "util-linux",
    elsewhere: ["util-linux", "util-linux"],
    why: "shuts that Debian in, so that nothing of it stays mounted",
    probe: &["unshare", "--version"],
};

const CONTAINER: Need = Need {
    package: "systemd-container",
    elsewhere: ["systemd-container", "systemd"],
    why: "boots that Debian, to see the service run under systemd",
    probe: &["systemd-nspawn", "--version"],
};

/// What `fetch` needs. The linker is not listed: without it xtask itself would not exist.
pub(crate) const FOR_FETCH: &[Need] = &[PYTHON, PIP];
/// What building and testing needs.
pub(crate) const FOR_BUILD: &[Need] = &[PKG_CONFIG, SOUND, PYTHON, PIP];
/// What the virtual board needs besides.
pub(crate) const FOR_VM: &[Need] = &[QEMU, MAKE, XZ, MKE2FS, DPKG];
/// What the emulated Raspberry Pi needs besides.
pub(crate) const FOR_RASPI: &[Need] = &[QEMU_ARM, DPKG];
/// What building for another machine needs.
pub(crate) const FOR_CROSS: &[Need] = &[PKG_CONFIG, PYTHON, PIP, CROSS_COMPILER, CROSS_LIBC];
/// What running a program of another machine needs.
pub(crate) const FOR_EMULATION: &[Need] = &[EMULATOR];
/// What a Debian package needs.
pub(crate) const FOR_PACKAGE: &[Need] = &[PYTHON, PIP, BINUTILS, DPKG, SYSTEMD];
/// What trying a package needs.
pub(crate) const FOR_TRIAL: &[Need] = &[DEBOOTSTRAP, NAMESPACES, CONTAINER];

/// Sees that everything is there; installs what is missing.
///
/// # Errors
/// Something is missing and could not be installed: the message says what to do by hand.
pub(crate) fn require(needs: &[Need]) -> Fallible<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        console::say(&format!("needs {}: {}", need.package, need.why));
    }
    if !process::succeeds(&["apt-get", "--version"]) {
        return Err(without_apt(&missing));
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    install(&names)?;
    let still = self::missing(needs);
    if still.is_empty() {
        return Ok(());
    }
    let probes: Vec<String> = still
        .iter()
        .map(|need| format!("`{}`", need.probe.join(" ")))
        .collect();
    Err(format!(
        "{} installed, but {} still fails: see that the first program of that name in PATH is the \
         system's, and try again",
        names.join(", "),
        probes.join(" and ")
    ))
}

fn missing(needs: &[Need]) -> Vec<&Need> {
    needs
        .iter()
        .filter(|need| !process::succeeds(need.probe))
        .collect()
}

/// The error on a system without apt.
fn without_apt(missing: &[&Need]) -> String {
    let list = |choose: fn(&Need) -> &'static str| {
        missing
            .iter()
            .map(|need| choose(need))
            .collect::<Vec<_>>()
            .join(" ")
    };
    format!(
        "there is no apt-get here: install these by hand and try again. Debian: {}. Fedora: {}. \
         Arch: {}",
        list(|need| need.package),
        list(|need| need.elsewhere[0]),
        list(|need| need.elsewhere[1]),
    )
}

fn install(names: &[&str]) -> Fallible<()> {
    let apt = Apt::of_this_machine();
    if !apt.is_allowed() {
        return Err(format!(
            "may not install here. Run by hand, then try again: {}",
            by_hand(names)
        ));
    }
    let unknown = names
        .iter()
        .any(|name| !process::succeeds(&["apt-cache", "show", name]));
    if unknown {
        apt.update();
    }
    let first = apt.install(names);
    // Old lists name versions that are gone from the servers: refresh them and try once more.
    let done = if first.is_err() && !unknown {
        apt.update();
        apt.install(names)
    } else {
        first
    };
    done.map_err(|error| format!("{error}. Run by hand, then try again: {}", by_hand(names)))
}

/// A command with root's rights.
///
/// # Errors
/// They cannot be had here.
pub(crate) fn as_root(program: &str) -> Fallible<Command> {
    let apt = Apt::of_this_machine();
    if !apt.is_allowed() {
        return Err(format!(
            "`{program}` needs root here: become root, or let sudo allow it"
        ));
    }
    let mut line = apt.rights();
    line.push(program);
    let mut command = Command::new(line[0]);
    command.args(&line[1..]);
    Ok(command)
}

/// How apt-get is called here.
struct Apt {
    is_root: bool,
    has_terminal: bool,
}

impl Apt {
    fn of_this_machine() -> Self {
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        Self {
            is_root,
            has_terminal: std::io::stdin().is_terminal(),
        }
    }

    /// Whether root's rights are there, or can be asked for.
    fn is_allowed(&self) -> bool {
        self.is_root
            || (self.has_terminal && process::succeeds(&["sudo", "--version"]))
            || process::succeeds(&["sudo", "-n", "true"])
    }

    fn update(&self) {
        let mut command = self.command(&["update"]);
        console::say(&format!("runs `{}`", process::text(&command)));
        if let Err(error) = process::run(&mut command) {
            console::warn(&format!("{error}; goes on with the lists that are here"));
        }
    }

    fn install(&self, names: &[&str]) -> Fallible<()> {
        let mut words = vec!["install", "-y", "--no-install-recommends"];
        words.extend(names);
        let mut command = self.command(&words);
        console::say(&format!("runs `{}`", process::text(&command)));
        process::run(&mut command)
    }

    /// What comes before a command of root's; sudo asks only on a terminal.
    fn rights(&self) -> Vec<&'static str> {
        match (self.is_root, self.has_terminal) {
            (true, _) => Vec::new(),
            (false, true) => vec!["sudo"],
            (false, false) => vec!["sudo", "-n"],
        }
    }

    /// `apt-get` that never asks, and waits for another apt to end.
    fn command(&self, words: &[&str]) -> Command {
        let mut line: Vec<&str> = self.rights();
        line.extend(["env", "DEBIAN_FRONTEND=noninteractive"]);
        line.extend(["apt-get", "-o", "DPkg::Lock::Timeout=120"]);
        line.extend(words);
        let mut command = Command::new(line[0]);
        command.args(&line[1..]);
        command
    }
}

/// The same as one line to type.
fn by_hand(names: &[&str]) -> String {
    format!(
        "sudo apt-get update && sudo apt-get install -y {}",
        names.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is_root: bool, has_terminal: bool, expected: &str) {
        let command = Apt {
            is_root,
            has_terminal,
        }
        .command(&["update"]);
        let end = "env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 update";
        assert_eq!(process::text(&command), format!("{expected}{end}"));
    }

    #[test]
    fn sudo_asks_only_on_a_terminal() {
        check(true, true, "");
        check(true, false, "");
        check(false, true, "sudo ");
        check(false, false, "sudo -n ");
    }

    #[test]
    fn what_is_there_needs_no_installing() {
        let need = Need {
            probe: &["true"],
            ..PIP
        };
        assert!(require(&[need]).is_ok());
    }

    #[test]
    fn without_apt_every_system_has_its_names() {
        let message = without_apt(&[&SOUND, &PIP]);
        assert!(
            message.contains("Debian: libasound2-dev python3-pip."),
            "{message}"
        );
        assert!(
            message.contains("Fedora: alsa-lib-devel python3-pip."),
            "{message}"
        );
        assert!(message.contains("Arch: alsa-lib python-pip"), "{message}");
    }
}
