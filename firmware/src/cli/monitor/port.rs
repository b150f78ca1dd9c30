//! The monitor's end of the serial line, opened again whenever it was lost.
//!
//! Bytes in, whole frames out. Standard input may take the port's place: it has no way back, and
//! its end is the end. A write waits for the line, a second at most.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, Instant};

use pressel_hal::linux::{SerialLink, poll};
use pressel_hal::{Link, LinkError, PollFd};
use pressel_wire::limits::FRAME_BYTES_MAX;
use pressel_wire::{HostMessage, encode_host};

use crate::failure::{Failure, Kind};

/// The name that stands for standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// Waits for a line that takes nothing: so many, of so many milliseconds.
const SEND_TRIES_MAX: u32 = 4;
const SEND_TRY_MS: i32 = 250;
/// First and longest wait before a lost port is opened again; it doubles.
const REOPEN_FIRST: Duration = Duration::from_millis(250);
const REOPEN_LONGEST: Duration = Duration::from_secs(2);

/// A port that may be gone for a while.
pub(super) struct Port {
    path: String,
    baud: u32,
    link: Option<Box<dyn Link>>,
    reopen_at: Instant,
    reopen_wait: Duration,
}

impl Port {
    /// Opens it for the first time.
    ///
    /// # Errors
    /// [`Kind::Device`] with the port's name and the remedy.
    pub(super) fn open(path: &str, baud: u32) -> Result<Self, Failure> {
        let device = |why: String| Failure::new(Kind::Device, why);
        let link: Box<dyn Link> = if path == STANDARD_INPUT {
            let input = StandardInput::open();
            Box::new(input.map_err(|error| {
                device(format!(
                    "standard input: {error}; name a port, or pipe bytes in"
                ))
            })?)
        } else {
            let link = SerialLink::open(path, baud);
            Box::new(link.map_err(|error| device(error.to_string()))?)
        };
        Ok(Self::with(path, baud, link))
    }

    pub(super) fn with(path: &str, baud: u32, link: Box<dyn Link>) -> Self {
        Self {
            path: path.to_owned(),
            baud,
            link: Some(link),
            reopen_at: Instant::now(),
            reopen_wait: REOPEN_FIRST,
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn is_open(&self) -> bool {
        self.link.is_some()
    }

    /// Whether its end is the end: nobody can open standard input again.
    pub(super) fn is_standard_input(&self) -> bool {
        self.path == STANDARD_INPUT
    }

    /// Returns what to wait for; a port that is gone is left out.
    pub(super) fn poll_fd(&self) -> PollFd {
        let fd = self.link.as_ref().map_or(-1, |link| link.poll_fd().fd);
        PollFd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        }
    }

    /// Reads what has arrived.
    ///
    /// # Errors
    /// The port is gone: call [`Port::lose`].
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Result<usize, LinkError> {
        self.link.as_mut().map_or(Ok(0), |link| link.read(bytes))
    }

    /// Sends a message; a port that is gone swallows it.
    ///
    /// # Errors
    /// The port is gone, or takes nothing: call [`Port::lose`].
    pub(super) fn transmit(&mut self, message: &HostMessage) -> Result<(), LinkError> {
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        let mut bytes = [0; FRAME_BYTES_MAX];
        // Every message of the host fits a frame.
        let count = encode_host(message, &mut bytes).unwrap_or(0);
        let (mut sent, mut tries) = (0, 0);
        while sent < count {
            if SEND_TRIES_MAX <= tries {
                let errno = libc::ETIMEDOUT;
                return Err(LinkError::Lost { errno });
            }
            tries += 1;
            sent += link.write(&bytes[sent..count])?;
            if sent < count {
                let mut fds = [PollFd {
                    events: libc::POLLOUT,
                    ..link.poll_fd()
                }];
                poll::wait(&mut fds, SEND_TRY_MS).map_err(|errno| LinkError::Lost { errno })?;
            }
        }
        Ok(())
    }

    /// Closes it.
    pub(super) fn lose(&mut self, now: Instant) {
        self.link = None;
        self.reopen_wait = REOPEN_FIRST;
        self.reopen_at = now + self.reopen_wait;
    }

    /// Opens it again when it is gone and it is time; returns whether it is open again now.
    pub(super) fn reopen(&mut self, now: Instant) -> bool {
        if self.is_open() || self.is_standard_input() || now < self.reopen_at {
            return false;
        }
        match SerialLink::open(&self.path, self.baud) {
            Ok(link) => {
                self.link = Some(Box::new(link));
                true
            }
            Err(_) => {
                self.reopen_wait = (self.reopen_wait * 2).min(REOPEN_LONGEST);
                self.reopen_at = now + self.reopen_wait;
                false
            }
        }
    }

    /// Returns how long it may be slept before [`Port::reopen`].
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let waits = !self.is_open() && !self.is_standard_input();
        waits.then(|| self.reopen_at.saturating_duration_since(now))
    }
}

/// Standard input as a serial line: a descriptor that somebody else opened.
struct StandardInput {
    file: File,
}

impl StandardInput {
    fn open() -> io::Result<Self> {
        let fd = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self {
            file: File::from(fd),
        })
    }
}

impl Link for StandardInput {
    fn poll_fd(&self) -> PollFd {
        PollFd {
            fd: self.file.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, LinkError> {
        match self.file.read(bytes) {
            Ok(0) => Err(LinkError::Lost { errno: libc::EPIPE }),
            Ok(count) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(LinkError::Lost {
                errno: error.raw_os_error().unwrap_or(libc::EIO),
            }),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, LinkError> {
        self.file.write(bytes).map_err(|error| LinkError::Lost {
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        })
    }

    fn name(&self) -> &'static str {
        "standard input"
    }
}
