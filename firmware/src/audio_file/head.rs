//! What a recording's header says, and whether it can be true.
//!
//! Rate, channels and length as read by any decoder. Nothing is opened or decoded here.

use super::{CHANNELS_MAX, Fault, RATES_HZ};

/// What the header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) codec: &'static str,
    pub(super) rate_hz: u32,
    pub(super) channels: u16,
    /// Length in frames at the file's rate, when it is said.
    pub(super) frames: Option<u64>,
}

/// Refuses numbers that no recorder writes.
pub(super) fn check_head(rate_hz: u32, channels: usize) -> Result<(), Fault> {
    if channels == 0 || channels > CHANNELS_MAX {
        return Err(Fault::Channels { count: channels });
    }
    if !RATES_HZ.contains(&rate_hz) {
        return Err(Fault::Rate { rate_hz });
    }
    Ok(())
}
