//! A bell: wakes a thread that waits in `poll(2)`.
//!
//! Any thread rings, one thread sleeps beside it. One `eventfd`; ringing never blocks or allocates.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use pressel_hal::PollFd;
use rustix::event::{EventfdFlags, eventfd};

/// One bell; clones ring the same one.
#[derive(Clone, Debug)]
pub struct Bell {
    fd: Arc<OwnedFd>,
}

impl Bell {
    /// Makes a bell.
    ///
    /// # Errors
    /// The error of `eventfd(2)`: too many open files.
    pub fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { fd: Arc::new(fd) })
    }

    /// Rings. A bell that rings already goes on ringing.
    pub fn ring(&self) {
        // The only failure is a full counter, which rings as well.
        rustix::io::write(&*self.fd, &1_u64.to_ne_bytes()).ok();
    }

    /// Stops the ringing.
    pub fn hush(&self) {
        // The only failure is that it does not ring.
        rustix::io::read(&*self.fd, &mut [0_u8; 8]).ok();
    }

    /// Returns what to wait for.
    #[must_use]
    pub fn poll_fd(&self) -> PollFd {
        PollFd {
            fd: self.fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use pressel_hal::linux::poll;

    use super::*;

    fn rings(bell: &Bell) -> bool {
        poll::wait(&mut [bell.poll_fd()], 0) == Ok(1)
    }

    #[test]
    fn bell_rings_until_it_is_hushed_however_often_it_was_rung() {
        let bell = Bell::new().unwrap();
        assert!(!rings(&bell));
        bell.hush(); // Does not wait for a ring.
        bell.clone().ring();
        bell.ring();
        assert!(rings(&bell) && rings(&bell));
        bell.hush();
        assert!(!rings(&bell));
    }

    #[test]
    fn full_bell_goes_on_ringing_and_does_not_block() {
        let bell = Bell::new().unwrap();
        rustix::io::write(&*bell.fd, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        bell.ring();
        assert!(rings(&bell));
    }
}
