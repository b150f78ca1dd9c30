//! The journal: what was said and what was acknowledged, so that no power cut loses it.
//!
//! Outcomes and acknowledgements in, appended and made durable one by one; at start, and for the
//! link, out again in order. The keeper's thread writes it, `pressel history` reads it; the main
//! loop never comes here. A disk that fails costs the journal, never the voice path.
//!
//! [`frame`] makes records bytes, [`record`] is what the journal's say, [`disk`] the few things
//! that a disk must do, and [`store`] the files, their order and their repair.

pub mod disk;
pub mod frame;
pub mod record;
pub mod store;

pub use disk::{Disk, Folder};
pub use record::{Record, Spoken, scan};
pub use store::{Found, Journal, Limits};

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the wall time in milliseconds since 1970; 0 before that.
#[must_use]
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
pub(crate) mod sim_disk;
