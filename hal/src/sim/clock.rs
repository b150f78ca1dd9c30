//! A clock that runs faster than the machine's.
//!
//! Lets ten minutes of appliance pass in one: the world's pace and the firmware's waits shrink
//! alike.

use crate::Clock;
use crate::linux::MonotonicClock;

/// The monotonic clock times a whole number.
#[derive(Clone, Copy, Debug)]
pub struct SimClock {
    clock: MonotonicClock,
    speed: u64,
}

impl SimClock {
    /// Starts the clock at 0, `speed` times as fast as the machine's.
    pub fn new(speed: u32) -> Self {
        assert!(0 < speed, "a clock that stands still never wakes anyone");
        Self {
            clock: MonotonicClock::new(),
            speed: u64::from(speed),
        }
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> u64 {
        self.clock.now_ms().saturating_mul(self.speed)
    }

    fn of_real_ms(&self, real_ms: u64) -> u64 {
        real_ms.saturating_mul(self.speed)
    }

    fn real_ms(&self, wait_ms: u64) -> u64 {
        // Rounded up: a wait that ends early would be waited for again.
        wait_ms.div_ceil(self.speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_shrink_and_round_up() {
        let clock = SimClock::new(20);
        for (wait_ms, expected) in [(0, 0), (1, 1), (20, 1), (21, 2), (1_000, 50)] {
            assert_eq!(clock.real_ms(wait_ms), expected, "{wait_ms}");
        }
        assert_eq!(clock.now_ms() % 20, 0);
        assert_eq!(SimClock::new(1).real_ms(37), 37);
    }
}
