//! The time of the machine: monotonic milliseconds.
//!
//! Logic never reads a clock; the main loop reads this one and passes the number on.

/// A monotonic clock.
pub trait Clock: Send {
    /// Returns milliseconds since an arbitrary start. Never goes back.
    fn now_ms(&self) -> u64;

    /// Converts real milliseconds into this clock's: for waits on things that a simulated clock
    /// does not speed up, such as another process.
    fn of_real_ms(&self, real_ms: u64) -> u64 {
        real_ms
    }

    /// Converts a wait in this clock's milliseconds into real milliseconds, for `poll(2)`.
    fn real_ms(&self, wait_ms: u64) -> u64 {
        wait_ms
    }
}
