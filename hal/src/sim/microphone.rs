//! The simulated microphone: the real libasound over a pipe.
//!
//! Flow: pipe `mic` -> libasound's `file` plugin -> one block of `i16`, on the main loop.
//!
//! The plugin's own descriptor is always ready and its read waits in the pipe, also in non-blocking
//! mode. So the pipe is looked at here first, and libasound is called only when a whole block is in
//! it. The descriptor for poll(2) is an edge-triggered epoll over the pipe: with less than a block
//! in the pipe, the pipe itself would be ready for ever and the main loop would spin.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, ioctl_fionread};

use super::{DEVICE, MIC_FILE, open_pipe};
use crate::linux::AlsaMicrophone;
use crate::{MicError, Microphone, MicrophoneConfig, OpenError, PollFd};

/// A microphone whose samples another process writes into a pipe, in real time.
pub struct SimMicrophone {
    alsa: AlsaMicrophone,
    pipe: OwnedFd,
    epoll: OwnedFd,
    block_bytes: u64,
}

impl SimMicrophone {
    /// Opens the pipe in `dir`, and the device [`DEVICE`] that reads it. `config.device` is
    /// ignored.
    ///
    /// # Errors
    /// [`OpenError`] when the pipe is missing, or libasound does not know the device because
    /// `ALSA_CONFIG_PATH` was not set for this process.
    pub fn open(dir: &Path, config: &MicrophoneConfig) -> Result<Self, OpenError> {
        // First: libasound would wait for a writer in its own open.
        let pipe = open_pipe("microphone", &dir.join(MIC_FILE))?;
        let failed = |errno: Errno| {
            OpenError::from_errno("microphone", DEVICE, errno.raw_os_error(), "start it again")
        };
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(failed)?;
        epoll::add(&epoll, &pipe, EventData::new_u64(0), EDGES).map_err(failed)?;
        let config = MicrophoneConfig {
            device: DEVICE.to_owned(),
            ..config.clone()
        };
        let alsa = AlsaMicrophone::open(&config).map_err(|error| {
            let remedy =
                "ALSA_CONFIG_PATH must name the board's asound.conf: `pressel demo` sets it";
            OpenError {
                remedy: remedy.to_owned(),
                ..error
            }
        })?;
        Ok(Self {
            alsa,
            pipe,
            epoll,
            block_bytes: 2 * config.block_samples as u64,
        })
    }

    fn has_block(&self) -> Result<bool, MicError> {
        let waiting_bytes = ioctl_fionread(&self.pipe).map_err(lost)?;
        Ok(self.block_bytes <= waiting_bytes)
    }

    /// Takes the edge that woke the loop, so that poll(2) waits for the next one.
    fn take_edge(&self) -> Result<(), MicError> {
        let mut events = [Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match epoll::wait(&self.epoll, &mut events, Some(&now)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(lost(errno)),
        }
    }

    /// Makes the descriptor ready again when there is something in the pipe.
    fn rearm(&self) -> Result<(), MicError> {
        epoll::modify(&self.epoll, &self.pipe, EventData::new_u64(0), EDGES).map_err(lost)
    }
}

impl Microphone for SimMicrophone {
    fn poll_fds(&self, fds: &mut [PollFd]) -> usize {
        let Some(first) = fds.first_mut() else {
            return 0;
        };
        *first = PollFd {
            fd: self.epoll.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        1
    }

    fn read(&mut self, block: &mut [i16]) -> Result<bool, MicError> {
        if !self.has_block()? {
            self.take_edge()?;
            // The rest of a block may have come between the two calls, and its edge is taken now.
            if !self.has_block()? {
                return Ok(false);
            }
            self.rearm()?;
        }
        self.alsa.read(block)
    }

    fn name(&self) -> &str {
        self.alsa.name()
    }
}

const EDGES: EventFlags = EventFlags::IN.union(EventFlags::ET);

fn lost(errno: Errno) -> MicError {
    MicError::Lost {
        errno: errno.raw_os_error(),
    }
}

#[cfg(test)]
mod tests;
