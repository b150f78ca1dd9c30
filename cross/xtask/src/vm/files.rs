//! What the virtual board `vm` is made of, and what runs its instructions.
//!
//! In: the program, prepared kernel files. Out: an image, an empty disk, recordings; and whether
//! KVM works on this machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::debs::Prepared;
use super::image::{self, Sentence};
use super::{Folders, failed};
use crate::{Fallible, console, process};

pub(super) const QEMU: &str = "qemu-system-x86_64";
/// Seconds that a kernel gets to boot and to stop when KVM is tried.
const KVM_TRY_S: &str = "8";
/// Size of the disk: journal, checkpoints and recordings.
const DISK_BYTES: u64 = 64 << 20;
/// All sentences are recorded so often for file jobs.
const ROUNDS: usize = 4;
/// Pause behind each of them in the job that is cut off: long enough for a checkpoint there. In the
/// one that keeps the worker busy there are none.
const PAUSE_S: usize = 1;

/// What the board is made of, the same at each boot.
pub(super) struct Files<'a> {
    /// The program, which also is the other end of the line.
    pub(super) program: &'a Path,
    pub(super) sentences: Vec<Sentence>,
    /// All sentences several times, one recording.
    pub(super) recording: PathBuf,
    pub(super) kernel: PathBuf,
    pub(super) image: PathBuf,
    pub(super) disk: PathBuf,
    pub(super) log: &'a Path,
}

impl<'a> Files<'a> {
    /// Makes image, recording and an empty disk.
    pub(super) fn make(
        program: &'a Path,
        prepared: &Prepared,
        folders: &'a Folders,
    ) -> Fallible<(Self, String)> {
        let work = &folders.work;
        let sentences = image::sentences()?;
        let recording = work.join("long.wav");
        let seconds = image::record(&sentences, ROUNDS, PAUSE_S, &recording)?;
        let load = work.join("load.wav");
        image::record(&sentences, ROUNDS, 0, &load)?;
        let (stripped, image) = (work.join("pressel"), work.join("initrd"));
        let mut strip = Command::new("strip");
        process::output(strip.arg("-o").arg(&stripped).arg(program))?;
        let fetched = crate::fetched_folder();
        let runtime = fetched.join("onnxruntime/libonnxruntime.so");
        let programs = [&*stripped, &runtime, &prepared.file("aplay")];
        let contents = image::Contents {
            program: &stripped,
            fetched: &fetched,
            libraries: image::libraries(&programs)?,
            others: vec![
                ("lib/vm/count.so".to_owned(), image::counter(work)?),
                ("demo/long.wav".to_owned(), recording.clone()),
                ("demo/load.wav".to_owned(), load),
            ],
        };
        image::write(&contents, prepared, &image)?;
        let disk = work.join("disk");
        let file = File::create(&disk).map_err(|error| failed("create", &disk, &error))?;
        let sized = file.set_len(DISK_BYTES);
        sized.map_err(|error| failed("write", &disk, &error))?;
        let mut command = Command::new("/sbin/mke2fs");
        process::output(command.args(["-q", "-F", "-t", "ext4"]).arg(&disk))?;
        let bytes = fs::metadata(&image).map_or(0, |file| file.len());
        let text = format!("{} MB to boot, a recording of {seconds} s", bytes >> 20);
        let files = Self {
            program,
            sentences,
            recording,
            kernel: prepared.kernel(),
            image,
            disk,
            log: &folders.log,
        };
        Ok((files, text))
    }
}

/// What runs the board's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accelerator {
    /// The processor of this machine.
    Kvm,
    /// QEMU, in software.
    Emulation,
}

/// Finds out whether KVM works: there are machines where it is there and hangs or aborts.
pub(super) fn accelerator(files: &Files) -> (Accelerator, String) {
    let none = |why: &str| {
        let text =
            format!("runs without KVM ({why}): QEMU emulates the processor, many times slower");
        console::warn(&format!("vm {text}"));
        (Accelerator::Emulation, text)
    };
    let device = File::options().read(true).write(true).open("/dev/kvm");
    if device.is_err() {
        return none("no /dev/kvm that this user may open");
    }
    // Without a first program the kernel panics and switches off, if it gets that far.
    let mut command = Command::new("timeout");
    command.args(["-k", "2", KVM_TRY_S, QEMU, "-accel", "kvm", "-cpu", "host"]);
    command.args(["-nodefaults", "-display", "none", "-no-reboot", "-m", "256"]);
    command.args(["-append", "panic=-1"]);
    command.arg("-kernel").arg(&files.kernel);
    if process::output(&mut command).is_ok() {
        return (Accelerator::Kvm, "KVM works here".to_owned());
    }
    none("it is there and does not work")
}
