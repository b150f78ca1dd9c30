//! The machine's monotonic clock.
//!
//! Read by the main loop once a turn. Starts at 0 when it is made, so that log times are short.

use std::time::Instant;

use crate::Clock;

/// `CLOCK_MONOTONIC`, in milliseconds since this value was made.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    start: Instant,
}

impl MonotonicClock {
    /// Starts the clock at 0.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MonotonicClock {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_starts_near_zero_and_never_goes_back() {
        let clock = MonotonicClock::new();
        let first = clock.now_ms();
        assert!(first < 10_000);
        assert!(first <= clock.now_ms());
        assert_eq!(clock.real_ms(250), 250);
    }
}
