//! The time of the machine: monotonic milliseconds.
//!
//! Logic never reads a clock; the main loop reads this one and passes the number on.

/// A monotonic clock.
pub trait Clock: Send {
    /// Returns milliseconds since an arbitrary start. Never goes back.
    fn now_ms(&self) -> u64;

    /// Converts a wait in this clock's milliseconds into real milliseconds, for `poll(2)`.
    fn real_ms(&self, wait_ms: u64) -> u64 {
        wait_ms
    }
}
