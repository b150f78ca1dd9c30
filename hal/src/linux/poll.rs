//! One wait for all descriptors: poll(2).
//!
//! Called once a turn by the main loop. Never allocates.

use crate::PollFd;

/// Waits until a descriptor is ready or `timeout_ms` has passed; a negative time waits for ever.
///
/// Returns how many descriptors are ready. A signal ends the wait early and counts as none ready:
/// poll(2) then leaves `revents` as it was, so it is cleared here.
///
/// # Errors
/// The positive errno of poll(2): `EINVAL` (too many descriptors) or `ENOMEM`. Neither passes.
pub fn wait(fds: &mut [PollFd], timeout_ms: i32) -> Result<usize, i32> {
    match alsa::poll::poll(fds, timeout_ms) {
        Ok(ready) => Ok(ready),
        Err(error) => {
            fds.iter_mut().for_each(|fd| fd.revents = 0);
            // alsa's `poll` stores a negative errno, its other calls a positive one.
            match error.errno().saturating_abs() {
                libc::EINTR => Ok(0),
                errno => Err(errno),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn wait_reports_the_descriptor_that_is_ready_and_only_that() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let fd = |stream: &UnixStream| PollFd {
            fd: stream.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut fds = [fd(&near), fd(&far)];
        assert_eq!(wait(&mut fds, 0), Ok(0));
        near.write_all(b"x").unwrap();
        assert_eq!(wait(&mut fds, 1_000), Ok(1));
        assert_eq!(fds[0].revents, 0);
        assert_eq!(fds[1].revents, libc::POLLIN);
    }

    #[test]
    fn descriptor_below_zero_is_left_out() {
        let mut fds = [PollFd {
            fd: -1,
            events: libc::POLLIN,
            revents: 0,
        }];
        assert_eq!(wait(&mut fds, 0), Ok(0));
    }
}
