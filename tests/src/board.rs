//! The simulated board's far side: the world that speaks into it and presses its button.
//!
//! In: samples and edges from the test. Out: bytes in the board's pipes. The appliance has taken
//! all that was written before the next thing is done, so that a press falls on an exact sample
//! whatever the machine's load.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pressel_hal::sim::{
    BUTTON_FILE, LEDS_FILE, MIC_FILE, MUTE_FILE, SPI_FILE, UART_FILE, create_board,
};
use rustix::fs::OFlags;
use rustix::io::{Errno, ioctl_fionread};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;

use crate::program::{LOOK, PATIENCE, until};

/// Samples of one block.
pub(crate) const BLOCK: usize = 256;

/// The folder of pipes, seen from outside.
pub(crate) struct Board {
    folder: TempDir,
    pub(crate) alsa: PathBuf,
    mic: File,
    button: File,
    mute: File,
    leds: File,
    /// What a chain of LEDs gets.
    pub(crate) spi: File,
    pub(crate) uart: File,
    near: PathBuf,
    /// Keeps the line from hanging up before and after the appliance has it open.
    held: File,
}

impl Board {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pressel-")
            .tempdir()
            .unwrap();
        let alsa = create_board(folder.path()).unwrap();
        let open = |name: &str| pipe(&folder.path().join(name));
        let (uart, near) = terminal();
        let held = OpenOptions::new().read(true).write(true).open(&near);
        let board = Self {
            alsa,
            mic: open(MIC_FILE),
            button: open(BUTTON_FILE),
            mute: open(MUTE_FILE),
            leds: open(LEDS_FILE),
            spi: open(SPI_FILE),
            uart,
            near,
            held: held.unwrap(),
            folder,
        };
        board.plug_in_uart();
        board
    }

    /// Makes the serial line go away, as an adapter does that is pulled out.
    pub(crate) fn pull_out_uart(&mut self) {
        std::fs::remove_file(self.path().join(UART_FILE)).unwrap();
        (self.uart, self.near) = terminal();
        let held = OpenOptions::new().read(true).write(true).open(&self.near);
        self.held = held.unwrap();
    }

    /// Makes the serial line appear.
    pub(crate) fn plug_in_uart(&self) {
        symlink(&self.near, self.path().join(UART_FILE)).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes one file into the folder and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Speaks one block into the microphone.
    pub(crate) fn speak(&self, block: &[i16]) {
        assert_eq!(block.len(), BLOCK);
        write_all(&self.mic, bytemuck::cast_slice(block));
    }

    /// Waits until the appliance has read all that was spoken.
    pub(crate) fn drain(&self) {
        drained(&self.mic, "microphone");
    }

    /// Writes edges of the button, `1` and `0`, and waits until the appliance has read them.
    pub(crate) fn button(&self, edges: &[u8]) {
        self.drain();
        write_all(&self.button, edges);
        drained(&self.button, "button");
    }

    /// Moves the mute switch.
    pub(crate) fn mute(&self, muted: bool) {
        self.drain();
        write_all(&self.mute, if muted { b"1" } else { b"0" });
        drained(&self.mute, "mute switch");
    }

    /// Returns what the lights have shown since the last call.
    pub(crate) fn lights(&self) -> String {
        let mut said = String::new();
        let mut bytes = [0; 4_096];
        while let Ok(count) = rustix::io::read(&self.leds, &mut bytes) {
            said.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
        said
    }
}

/// Makes a pseudo-terminal; returns its far side, and the path of the near one.
pub(crate) fn terminal() -> (File, PathBuf) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let far = openpt(flags).unwrap();
    grantpt(&far).unwrap();
    unlockpt(&far).unwrap();
    let near = ptsname(&far, Vec::new()).unwrap().into_string().unwrap();
    (far.into(), near.into())
}

/// Opens a pipe so that it never hangs up and never blocks.
fn pipe(path: &Path) -> File {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(path);
    opened.unwrap()
}

fn write_all(pipe: &File, mut bytes: &[u8]) {
    let began = Instant::now();
    while !bytes.is_empty() {
        match rustix::io::write(pipe, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::AGAIN) if began.elapsed() < PATIENCE => sleep(LOOK),
            Err(errno) => panic!("a pipe takes nothing more: {errno}"),
        }
    }
}

fn drained(pipe: &File, name: &str) {
    let look = || (ioctl_fionread(pipe) == Ok(0)).then_some(());
    assert!(until(PATIENCE, look).is_some(), "the {name} is not read");
}

/// Waits until `length` has passed since `since`.
pub(crate) fn rest(since: Instant, length: Duration) {
    sleep(length.saturating_sub(since.elapsed()));
}
