//! The microphone: blocks of mono 16 kHz `i16` samples.
//!
//! Opening is apart from reading: a backend's `open` function allocates and may block, so it runs
//! at start-up or on the keeper's thread. Reading runs on the main loop and does neither.

use crate::PollFd;

/// What to open, as plain data; `boards` and the configuration fill it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicrophoneConfig {
    /// ALSA name, for example `plughw:CARD=Device` or `default`.
    pub device: String,
    /// Samples per second that the reader gets; the device may run at another rate behind `plug`.
    pub rate_hz: u32,
    /// Samples in one block: what one `read` fills, and the period asked of the device.
    pub block_samples: usize,
    /// Milliseconds of audio that the kernel should keep while the reader is late.
    pub buffer_ms: u32,
}

/// A capture device that is open and running.
pub trait Microphone: Send {
    /// Writes the descriptors to wait for into `fds` and returns how many were written.
    ///
    /// Called at each turn of the main loop. Never allocates.
    fn poll_fds(&self, fds: &mut [PollFd]) -> usize;

    /// Fills `block` when a whole block is there. Never blocks and never allocates.
    ///
    /// Returns `Ok(false)` when less than a block has arrived. `block` is always of the length that
    /// the microphone was opened with. The caller may read again at once until it gets `Ok(false)`.
    ///
    /// # Errors
    /// [`MicError`], whose variants say what the caller does next.
    fn read(&mut self, block: &mut [i16]) -> Result<bool, MicError>;

    /// Returns the device's name as the user wrote it, for messages.
    fn name(&self) -> &str;
}

/// What went wrong while capturing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MicError {
    /// The kernel's buffer overflowed and the stream was restarted. Recovery: count `lost_samples`
    /// (at 16 kHz, an estimate from the monotonic clock) as a gap, and go on reading.
    Overrun {
        /// Samples that were not captured.
        lost_samples: u32,
    },
    /// The device was suspended and resumed. Recovery: count `lost_samples` as a gap, and go on
    /// reading.
    Suspended {
        /// Samples that were not captured.
        lost_samples: u32,
    },
    /// The device is gone (unplugged, or its state cannot be recovered). Recovery: close it and
    /// open it again by name, with a growing wait. `errno` is positive.
    Lost {
        /// Positive errno of the call that failed.
        errno: i32,
    },
}

impl core::fmt::Display for MicError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Overrun { lost_samples } => write!(f, "overrun lost_samples={lost_samples}"),
            Self::Suspended { lost_samples } => write!(f, "suspended lost_samples={lost_samples}"),
            Self::Lost { errno } => write!(f, "lost errno={errno}"),
        }
    }
}
impl core::error::Error for MicError {}
