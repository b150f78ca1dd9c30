//! The serial line: bytes in and out, never waiting.
//!
//! Used by the main loop. Nothing here knows what the bytes mean; framing is `pressel-wire`.

use crate::PollFd;

/// A serial line that is open, raw and non-blocking.
pub trait Link: Send {
    /// Returns the descriptor to wait for; the caller sets `events`.
    fn poll_fd(&self) -> PollFd;

    /// Reads what has arrived into `bytes` and returns the count; 0 means nothing has arrived.
    ///
    /// # Errors
    /// [`LinkError::Lost`] when the device is gone: close it and open it again by name.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, LinkError>;

    /// Writes as much as the kernel takes now and returns the count; 0 means none.
    ///
    /// # Errors
    /// [`LinkError::Lost`] when the device is gone: close it and open it again by name.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, LinkError>;

    /// Returns the device's path as the user wrote it, for messages.
    fn name(&self) -> &str;
}

/// What went wrong on the serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The device is gone or hung up. Recovery: open it again by name, with a growing wait.
    Lost {
        /// Positive errno of the call that failed.
        errno: i32,
    },
}

impl core::fmt::Display for LinkError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self::Lost { errno } = self;
        write!(f, "lost errno={errno}")
    }
}
impl core::error::Error for LinkError {}
