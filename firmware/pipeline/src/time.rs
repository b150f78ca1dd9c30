//! Time, counted in samples inside the stream and in milliseconds outside it.
//!
//! Nothing here reads a clock. Sample time starts at 0 when the appliance starts and goes on over
//! gaps, so that it stays true to the wall clock.

use crate::limits::RATE_HZ;

/// A position in the audio stream, in samples since start-up. At 16 kHz a `u64` never wraps.
pub type SampleTime = u64;

/// Milliseconds of a monotonic clock.
pub type Millis = u64;

/// Samples in one millisecond.
pub const SAMPLES_PER_MS: u64 = RATE_HZ as u64 / 1_000;
const _: () = assert!(SAMPLES_PER_MS * 1_000 == RATE_HZ as u64); // no rounding anywhere below

/// Converts milliseconds into samples.
#[must_use]
pub const fn samples(ms: u64) -> u64 {
    ms * SAMPLES_PER_MS
}

/// Converts samples into whole milliseconds, rounded down.
#[must_use]
pub const fn millis(samples: u64) -> u64 {
    samples / SAMPLES_PER_MS
}
