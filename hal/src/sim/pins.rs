//! Button and LEDs of the simulated board: bytes through pipes.
//!
//! Runs on the main loop; one system call each, never waiting, never allocating.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use rustix::io::Errno;

use super::open_pipe;
use crate::{EdgePin, OpenError, PinError, PollFd};

/// A button that another process presses by writing `1` and releases by writing `0`.
#[derive(Debug)]
pub struct SimButton {
    pipe: OwnedFd,
    pressed: bool,
}

impl SimButton {
    /// Opens the pipe at `path`. The button is released.
    ///
    /// # Errors
    /// [`OpenError`] when the pipe is missing or not permitted.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            pipe: open_pipe("button", path)?,
            pressed: false,
        })
    }
}

impl ErrorType for SimButton {
    type Error = PinError;
}

impl InputPin for SimButton {
    fn is_high(&mut self) -> Result<bool, PinError> {
        Ok(self.pressed)
    }

    fn is_low(&mut self) -> Result<bool, PinError> {
        Ok(!self.pressed)
    }
}

impl EdgePin for SimButton {
    fn poll_fd(&self) -> PollFd {
        PollFd {
            fd: self.pipe.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }
    }

    /// Takes one edge: the next one keeps the pipe readable, so that a script loses none.
    fn take_edges(&mut self) -> Result<(), PinError> {
        let mut byte = [0];
        match rustix::io::read(&self.pipe, &mut byte) {
            Ok(1) => match byte {
                [b'1'] => self.pressed = true,
                [b'0'] => self.pressed = false,
                _ => {}
            },
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => {
                return Err(PinError {
                    errno: errno.raw_os_error(),
                });
            }
        }
        Ok(())
    }
}

/// An LED that writes a line at each change.
///
/// When nobody reads and the pipe is full, the change is dropped; the next `set` tries again.
#[derive(Debug)]
pub struct SimLed {
    pipe: OwnedFd,
    dark_line: Box<[u8]>,
    lit_line: Box<[u8]>,
    shown: Option<bool>,
}

impl SimLed {
    /// Opens the pipe or file at `path`; `name` begins the LED's lines.
    ///
    /// # Errors
    /// [`OpenError`] when the file is missing or not permitted.
    pub fn open(path: &Path, name: &str) -> Result<Self, OpenError> {
        let line = |state: char| format!("{name} {state}\n").into_bytes().into_boxed_slice();
        let pipe = open_pipe("led", path)?;
        Ok(Self {
            pipe,
            dark_line: line('0'),
            lit_line: line('1'),
            shown: None,
        })
    }

    fn set(&mut self, lit: bool) -> Result<(), PinError> {
        if self.shown == Some(lit) {
            return Ok(());
        }
        let line = if lit { &self.lit_line } else { &self.dark_line };
        match rustix::io::write(&self.pipe, line) {
            // Lines are shorter than PIPE_BUF, so a pipe takes all of one or nothing.
            Ok(_) => self.shown = Some(lit),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => {
                return Err(PinError {
                    errno: errno.raw_os_error(),
                });
            }
        }
        Ok(())
    }
}

impl ErrorType for SimLed {
    type Error = PinError;
}

impl OutputPin for SimLed {
    fn set_low(&mut self) -> Result<(), PinError> {
        self.set(false)
    }

    fn set_high(&mut self) -> Result<(), PinError> {
        self.set(true)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;
    use crate::linux::poll::wait;
    use crate::sim::{BUTTON_FILE, LEDS_FILE, create_board};

    #[test]
    fn button_gives_every_edge_in_turn_and_outlives_its_writers() {
        let folder = tempfile::tempdir().unwrap();
        create_board(folder.path()).unwrap();
        let path = folder.path().join(BUTTON_FILE);
        let mut button = SimButton::open(&path).unwrap();
        assert!(button.is_low().unwrap());
        button.take_edges().unwrap();

        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .write_all(b"10\n1")
            .unwrap();
        for expected in [true, false, false, true] {
            assert_eq!(wait(&mut [button.poll_fd()], 1_000), Ok(1));
            button.take_edges().unwrap();
            assert_eq!(button.is_high(), Ok(expected));
        }
        // The writer has gone: no hang-up, nothing ready.
        let mut fds = [button.poll_fd()];
        assert_eq!(wait(&mut fds, 0), Ok(0), "{:?}", fds[0]);
    }

    #[test]
    fn led_writes_changes_only_and_never_waits_for_a_reader() {
        let folder = tempfile::tempdir().unwrap();
        create_board(folder.path()).unwrap();
        let path = folder.path().join(LEDS_FILE);
        let mut led = SimLed::open(&path, "listening").unwrap();
        let mut other = SimLed::open(&path, "sent").unwrap();
        led.set_low().unwrap();
        led.set_high().unwrap();
        led.set_high().unwrap();
        other.set_low().unwrap();
        let mut reader = File::open(&path).unwrap();
        let mut got = [0; 31];
        reader.read_exact(&mut got).unwrap();
        assert_eq!(
            got.as_slice(),
            b"listening 0\nlistening 1\nsent 0\n".as_slice()
        );

        for turn in 0..20_000 {
            led.set_state((turn % 2 == 0).into()).unwrap();
        }
    }

    #[test]
    fn leds_may_share_a_plain_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LEDS_FILE);
        std::fs::write(&path, "").unwrap();
        SimLed::open(&path, "sent").unwrap().set_high().unwrap();
        SimLed::open(&path, "error").unwrap().set_low().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "sent 1\nerror 0\n");
    }

    #[test]
    fn a_pipe_that_is_missing_is_named() {
        let error = SimButton::open(Path::new("/nowhere/button")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/button"), "{error}");
        let error = SimLed::open(Path::new("/nowhere/leds"), "sent").unwrap_err();
        assert!(error.to_string().contains("/nowhere/leds"), "{error}");
    }
}
