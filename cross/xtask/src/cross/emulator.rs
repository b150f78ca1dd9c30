//! Programs of the board on this machine, under qemu-user.
//!
//! In: an arm64 program. Out: a command that runs it with arm64's libraries, ONNX Runtime and
//! models. It tells what a program computes, and nothing about how fast. Three things are not as on
//! a board:
//!
//! * `/proc/cpuinfo` and `/sys/devices/system/cpu` are ours. ONNX Runtime asks them for the
//!   processor, and would find this machine's.
//! * `/proc/self/exe` is the emulator. Pressel starts its worker through it, so a small library
//!   ([`SHIM`]) is loaded before, which starts the emulator with the program in its place.
//! * The program is told where its models are.
//!
//! For the trial of the package a whole Debian is emulated: there the kernel starts the emulator
//! ([`whole_system`]), and the models are where the package has them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::toolchain;
use crate::fetch::Arch;
use crate::{Fallible, console, packages, process};

/// The emulator, a program that needs no library.
const QEMU: &str = "/usr/bin/qemu-aarch64-static";
/// Longest time of one run, in seconds.
const LIMIT_S: &str = "900";
/// Where the kernel is told of emulators. Source: Documentation/admin-guide/binfmt-misc.rst.
const KERNEL: &str = "/proc/sys/fs/binfmt_misc";
/// What the emulator's package has the kernel told, where systemd starts the machine.
const RULE: &str = "/usr/lib/binfmt.d/qemu-aarch64.conf";
/// Tells it: KERNEL RULE.
const REGISTER: &str = "test -e $1/register || mount -t binfmt_misc binfmt_misc $1
cat $2 >$1/register";
/// Source of the library that starts the worker.
const SHIM: &str = "cross/emulator/worker.c";

/// A processor that is emulated.
#[derive(Clone, Copy)]
pub(super) struct Processor {
    /// As QEMU calls it.
    pub(super) name: &'static str,
    /// Whose it is.
    pub(super) of: &'static str,
    /// The kernel's number of it. Source: MIDR_EL1 part numbers, Arm's reference manuals.
    part: &'static str,
    /// The kernel's list of what it can.
    features: &'static str,
}

/// Processors of boards: the newest, and the oldest, which has no dot product, so that ONNX Runtime
/// computes in another way.
pub(super) const PROCESSORS: [Processor; 2] = [
    Processor {
        name: "cortex-a76",
        of: "Raspberry Pi 5",
        part: "0xd0b",
        features: "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm \
                   lrcpc dcpop asimddp",
    },
    Processor {
        name: "cortex-a53",
        of: "Raspberry Pi Zero 2 W",
        part: "0xd03",
        features: "fp asimd evtstrm crc32 cpuid",
    },
];

/// What is needed to run programs of the board.
pub(super) struct Emulator {
    prefix: PathBuf,
    shim: PathBuf,
    models: PathBuf,
}

impl Emulator {
    /// Gets it ready; `fetched` has the board's ONNX Runtime.
    ///
    /// # Errors
    /// A package or a file is missing and cannot be had.
    pub(super) fn prepare(fetched: &Path) -> Fallible<Self> {
        packages::require(packages::FOR_EMULATION)?;
        let folder = toolchain::folder();
        let shim = shim(&folder)?;
        let models = folder.join("models");
        fs::create_dir_all(&models).map_err(|error| failed("make", &models, &error))?;
        let ours = crate::root().join("models");
        let (builtin, wake) = (ours.join("builtin"), ours.join("wake"));
        for (name, place) in [
            ("builtin", &*builtin),
            ("wake", &*wake),
            ("fetched", fetched),
        ] {
            let link = models.join(name);
            fs::remove_file(&link).ok();
            symlink(place, &link).map_err(|error| failed("make", &link, &error))?;
        }
        Ok(Self {
            prefix: toolchain::sysroot(),
            shim,
            models,
        })
    }

    /// Makes the files by which ONNX Runtime knows a processor.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn dress(&self, processor: Processor) -> Fallible<()> {
        describe(&self.prefix, processor)
    }

    /// A command that runs `program` on `processor`.
    pub(super) fn command(&self, program: &Path, processor: Processor) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["-k", "5", LIMIT_S, QEMU])
            // For the program only: the emulator itself is of this machine.
            .args(["-E", &format!("LD_PRELOAD={}", self.shim.display())])
            .env("QEMU_LD_PREFIX", &self.prefix)
            .env("QEMU_CPU", processor.name)
            .env("PRESSEL_EMULATOR", QEMU)
            .env("PRESSEL_PROGRAM", program)
            .env("PRESSEL_MODELS_DIR", &self.models)
            // Set already: the program need not start itself anew.
            .env("ORT_DISABLE_TELEMETRY", "1")
            .env("ORT_TELEMETRY_DISABLED", "1")
            .arg(program);
        command
    }
}

/// Builds the library that starts the worker.
fn shim(folder: &Path) -> Fallible<PathBuf> {
    fs::create_dir_all(folder).map_err(|error| failed("make", folder, &error))?;
    let shim = folder.join("worker.so");
    let mut compile = super::tool(Arch::Aarch64, "gcc")?;
    compile.args([
        "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-O2", SHIM,
    ]);
    process::output(compile.args(["-ldl", "-o"]).arg(&shim))?;
    Ok(shim)
}

/// What a whole Debian for arm64 needs to run here.
pub(crate) struct Wardrobe {
    /// Library to be loaded before every program.
    pub(crate) shim: PathBuf,
    /// `proc/cpuinfo` and `sys/devices/system/cpu` of a Raspberry Pi 5.
    pub(crate) processor: PathBuf,
    /// The same processor, as QEMU calls it. On QEMU's own choice the networks hear nothing right.
    pub(crate) name: &'static str,
}

/// Sees that this machine's kernel runs programs for arm64, whoever starts them, and makes what
/// they have to find.
///
/// # Errors
/// A package is missing and cannot be had, or the kernel does not take the emulator.
pub(crate) fn whole_system() -> Fallible<Wardrobe> {
    packages::require(packages::FOR_EMULATION)?;
    packages::require(packages::FOR_CROSS)?;
    let known = Path::new(KERNEL).join("qemu-aarch64");
    if !known.exists() {
        console::say("tells this machine's kernel about qemu-aarch64-static, until it starts anew");
        let mut register = packages::as_root("sh")?;
        process::output(register.args(["-c", REGISTER, "sh", KERNEL, RULE])).map_err(|error| {
            format!("this kernel starts no programs of other machines by itself: {error}")
        })?;
    }
    let folder = toolchain::folder();
    let processor = folder.join("processor");
    describe(&processor, PROCESSORS[0])?;
    Ok(Wardrobe {
        shim: shim(&folder)?,
        processor,
        name: PROCESSORS[0].name,
    })
}

/// Makes the files by which ONNX Runtime knows a processor, below `root`.
fn describe(root: &Path, processor: Processor) -> Fallible<()> {
    let write = |name: &str, text: &str| {
        let path = root.join(name);
        let folder = path.parent().unwrap_or(root);
        fs::create_dir_all(folder).map_err(|error| failed("make", folder, &error))?;
        fs::write(&path, text).map_err(|error| failed("write", &path, &error))
    };
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    write("proc/cpuinfo", &cpuinfo(processor, count))?;
    let range = if 1 < count {
        format!("0-{}\n", count - 1)
    } else {
        "0\n".to_owned()
    };
    for name in ["possible", "present", "online"] {
        write(&format!("sys/devices/system/cpu/{name}"), &range)?;
    }
    for index in 0..count {
        let place = format!("sys/devices/system/cpu/cpu{index}");
        write(&format!("{place}/topology/core_id"), &format!("{index}\n"))?;
        write(&format!("{place}/topology/physical_package_id"), "0\n")?;
    }
    Ok(())
}

/// The kernel's description of `count` equal processors.
fn cpuinfo(processor: Processor, count: usize) -> String {
    let one = |index: usize| {
        format!(
            "processor\t: {index}\nBogoMIPS\t: 108.00\nFeatures\t: {}\nCPU implementer\t: 0x41\n\
             CPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: {}\nCPU revision\t: 1\n\n",
            processor.features, processor.part
        )
    };
    (0..count).map(one).collect()
}

fn failed(verb: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_described_as_the_kernel_does() {
        let text = cpuinfo(PROCESSORS[0], 2);
        assert_eq!(text.matches("processor\t: ").count(), 2);
        assert!(text.contains("CPU part\t: 0xd0b\n"), "{text}");
        assert!(text.contains(" asimddp\n"), "{text}");
        assert!(!cpuinfo(PROCESSORS[1], 1).contains("asimddp"));
    }
}
