//! A microphone and a serial line that live inside one process, for tests.
//!
//! Both have real descriptors, so that the same poll(2) waits for them.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_send_buffer_size;

use crate::{Link, LinkError, MicError, Microphone, PollFd};

/// A microphone that reads samples from memory: always ready, until the end.
#[derive(Debug)]
pub struct ScriptedMicrophone {
    samples: Vec<i16>,
    read_samples: usize,
    /// Readable for ever: it counts 1 and is never read.
    ready: OwnedFd,
}

impl ScriptedMicrophone {
    /// Plays `samples` once. A rest that is shorter than a block is not played.
    ///
    /// # Errors
    /// The system's error when there is no descriptor left.
    pub fn new(samples: Vec<i16>) -> io::Result<Self> {
        let ready = eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            samples,
            read_samples: 0,
            ready,
        })
    }

    /// Returns how many samples have been read.
    pub fn read_samples(&self) -> usize {
        self.read_samples
    }
}

impl Microphone for ScriptedMicrophone {
    fn poll_fds(&self, fds: &mut [PollFd]) -> usize {
        let Some(first) = fds.first_mut() else {
            return 0;
        };
        let ended = self.read_samples == self.samples.len();
        let fd = if ended { -1 } else { self.ready.as_raw_fd() };
        *first = PollFd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        1
    }

    fn read(&mut self, block: &mut [i16]) -> Result<bool, MicError> {
        let end = self.read_samples + block.len();
        let Some(samples) = self.samples.get(self.read_samples..end) else {
            self.read_samples = self.samples.len();
            return Ok(false);
        };
        block.copy_from_slice(samples);
        self.read_samples = end;
        Ok(true)
    }

    fn name(&self) -> &str {
        "scripted"
    }
}

/// A serial line inside the process. Its other end is a [`MemoryPeer`].
#[derive(Debug)]
pub struct MemoryLink {
    stream: UnixStream,
    refusing: Arc<AtomicBool>,
}

/// The far end of a [`MemoryLink`].
#[derive(Debug)]
pub struct MemoryPeer {
    /// Bytes both ways; non-blocking. Dropping it hangs up.
    pub stream: UnixStream,
    refusing: Arc<AtomicBool>,
}

impl MemoryPeer {
    /// Makes the link's `write` take nothing, or take bytes again.
    ///
    /// A link that refuses has no descriptor to wait for: what the peer sends is seen at the next
    /// turn that comes for another reason.
    pub fn refuse(&self, refuse: bool) {
        self.refusing.store(refuse, Ordering::Relaxed);
    }
}

impl MemoryLink {
    /// Makes a line that holds about `capacity_bytes` on its way to the peer (the kernel doubles
    /// small numbers).
    ///
    /// # Errors
    /// The system's error when there is no descriptor left.
    pub fn pair(capacity_bytes: usize) -> io::Result<(Self, MemoryPeer)> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        set_socket_send_buffer_size(&near, capacity_bytes)?;
        let refusing = Arc::new(AtomicBool::new(false));
        let link = Self {
            stream: near,
            refusing: Arc::clone(&refusing),
        };
        Ok((
            link,
            MemoryPeer {
                stream: far,
                refusing,
            },
        ))
    }
}

impl Link for MemoryLink {
    fn poll_fd(&self) -> PollFd {
        let refusing = self.refusing.load(Ordering::Relaxed);
        let fd = if refusing {
            -1
        } else {
            self.stream.as_raw_fd()
        };
        PollFd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, LinkError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        match rustix::io::read(&self.stream, bytes) {
            Ok(0) => Err(LinkError::Lost { errno: libc::EIO }),
            Ok(count) => Ok(count),
            Err(errno) => nothing_or_lost(errno),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, LinkError> {
        if self.refusing.load(Ordering::Relaxed) {
            return Ok(0);
        }
        // Not `write`: a peer that has gone would raise SIGPIPE.
        let flags = rustix::net::SendFlags::NOSIGNAL;
        rustix::net::send(&self.stream, bytes, flags).or_else(nothing_or_lost)
    }

    fn name(&self) -> &str {
        "memory"
    }
}

fn nothing_or_lost(errno: Errno) -> Result<usize, LinkError> {
    match errno {
        Errno::AGAIN | Errno::INTR => Ok(0),
        errno => Err(LinkError::Lost {
            errno: errno.raw_os_error(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::linux::poll::wait;

    #[test]
    fn scripted_microphone_is_ready_until_its_end_and_silent_after_it() {
        let mut microphone = ScriptedMicrophone::new((0..40).collect()).unwrap();
        let mut fds = [PollFd {
            fd: -1,
            events: 0,
            revents: 0,
        }];
        let mut block = [0; 16];
        for first in [0, 16] {
            assert_eq!(microphone.poll_fds(&mut fds), 1);
            assert_eq!(wait(&mut fds, 0), Ok(1));
            assert_eq!(microphone.read(&mut block), Ok(true));
            assert_eq!((block[0], block[15]), (first, first + 15));
        }
        assert_eq!(microphone.read(&mut block), Ok(false));
        assert_eq!(microphone.poll_fds(&mut fds), 1);
        assert_eq!(wait(&mut fds, 0), Ok(0));
        assert_eq!(microphone.read_samples(), 40);
    }

    #[test]
    fn memory_link_is_bounded_refuses_on_request_and_hangs_up() {
        let (mut link, mut peer) = MemoryLink::pair(4_096).unwrap();
        let mut got = [0; 64];
        assert_eq!(link.read(&mut got), Ok(0));
        peer.stream.write_all(b"ping").unwrap();
        assert_eq!(wait(&mut [link.poll_fd()], 1_000), Ok(1));
        assert_eq!(link.read(&mut got), Ok(4));

        peer.refuse(true);
        assert_eq!((link.write(b"x"), link.poll_fd().fd), (Ok(0), -1));
        peer.refuse(false);
        let mut written = 0;
        loop {
            match link.write(&[7; 512]).unwrap() {
                0 => break,
                count => written += count,
            }
            assert!(written < 1 << 20, "the line takes everything");
        }
        let mut rest = vec![0; written];
        peer.stream.read_exact(&mut rest).unwrap();
        drop(peer);
        assert_eq!(
            link.read(&mut got),
            Err(LinkError::Lost { errno: libc::EIO })
        );
        assert_eq!(
            link.write(b"x"),
            Err(LinkError::Lost { errno: libc::EPIPE })
        );
    }
}
