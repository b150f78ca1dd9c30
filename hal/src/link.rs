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

/// Bits per second that a serial line may have: the standard speeds of the kernel, from 9,600 on.
///
/// Source: `include/uapi/asm-generic/termbits.h`, `B9600` to `B3000000`.
pub const SPEEDS: [u32; 16] = [
    9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000,
    1_152_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000,
];

/// Returns the standard speed that is nearest to `baud`, which is `baud` itself for a standard one.
pub fn nearest_speed(baud: u32) -> u32 {
    SPEEDS
        .into_iter()
        .min_by_key(|speed| speed.abs_diff(baud))
        .unwrap_or(SPEEDS[0])
}

/// Who may stop the other side of a serial line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// Nobody: two wires and ground.
    #[default]
    None,
    /// Each side lets the other one send, by two more wires: RTS here to CTS there, and back.
    RtsCts,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_that_is_no_standard_one_has_a_nearest_one() {
        for speed in SPEEDS {
            assert_eq!(nearest_speed(speed), speed);
        }
        for (wrong, near) in [
            (0, 9_600),
            (9_601, 9_600),
            (115_000, 115_200),
            (250_000, 230_400),
            (u32::MAX, 3_000_000),
        ] {
            assert_eq!(nearest_speed(wrong), near, "{wrong}");
        }
    }
}
