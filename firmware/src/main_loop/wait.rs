//! The one `poll(2)` of the main loop: what it waits for, and for how long.
//!
//! Descriptors and deadlines of all parts in, what is ready out. Runs on the main loop: the only
//! place in it that sleeps.

use pressel_hal::PollFd;
use pressel_hal::linux::poll;
use pressel_pipeline::lights;
use pressel_pipeline::limits::{COUNTERS_EVERY_MS, DEVICE_FDS_MAX};
use pressel_pipeline::time::Millis;

use super::MainLoop;

/// Places in the list of descriptors.
const SIGNALS: usize = 0;
const EVENTS: usize = 1;
const DELIVERIES: usize = 2;
const WORKER: usize = 3;
const BUTTON: usize = 4;
const MUTE: usize = 5;
const LINK: usize = 6;
const MICROPHONE: usize = 7;
const FDS_MAX: usize = MICROPHONE + DEVICE_FDS_MAX;

/// Longest wait while something waits for room elsewhere.
const RETRY_MS: u64 = 5;

/// What became ready and cannot be found out by a read that does not block.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ready {
    /// SIGINT or SIGTERM arrived.
    pub(super) signals: bool,
    /// The button has an edge.
    pub(super) button: bool,
    /// The mute switch has an edge.
    pub(super) mute: bool,
}

impl MainLoop {
    /// Waits until there is something to do, but not longer than `longest_ms`. At the end, only the
    /// link is waited for.
    ///
    /// # Errors
    /// The errno of `poll(2)`.
    pub(super) fn wait(&mut self, longest_ms: u64) -> Result<Ready, i32> {
        if self.stopping {
            poll::wait(&mut [self.serial.poll_fd()], self.real_ms(longest_ms))?;
            return Ok(Ready::default());
        }
        let mut fds = [PollFd {
            fd: -1,
            events: libc::POLLIN,
            revents: 0,
        }; FDS_MAX];
        fds[SIGNALS].fd = self.signal_fd();
        fds[EVENTS] = self.neighbours.event_bell.poll_fd();
        fds[DELIVERIES] = self.neighbours.delivery_bell.poll_fd();
        fds[WORKER] = self.recogniser.poll_fd();
        fds[BUTTON] = self.pins.button.poll_fd();
        fds[MUTE] = self.pins.mute.poll_fd();
        fds[LINK] = self.serial.poll_fd();
        let count = MICROPHONE + self.capture.poll_fds(&mut fds[MICROPHONE..]);
        poll::wait(&mut fds[..count], self.timeout_ms(longest_ms))?;
        let is_ready = |place: usize| fds[place].revents != 0;
        if is_ready(EVENTS) {
            self.neighbours.event_bell.hush();
        }
        if is_ready(DELIVERIES) {
            self.neighbours.delivery_bell.hush();
        }
        Ok(Ready {
            signals: is_ready(SIGNALS),
            button: is_ready(BUTTON),
            mute: is_ready(MUTE),
        })
    }

    /// Returns how long to wait at most, in real milliseconds.
    pub(super) fn timeout_ms(&self, longest_ms: u64) -> i32 {
        let now = self.fixed.clock.now_ms();
        let left = |at: Millis| at.saturating_sub(now);
        let waits =
            !self.commands.is_empty() || !self.errands.is_empty() || self.capture.is_wiping();
        let wait = [
            self.pins.button.deadline().map(left),
            self.pins.mute.deadline().map(left),
            self.session.deadline(&self.fixed.session).map(left),
            self.recogniser.deadline().map(left),
            self.outbox.deadline().map(left),
            lights::steady_ms(&self.view, &self.pins.patterns, now),
            waits.then_some(RETRY_MS),
            Some(left(self.counters_at + COUNTERS_EVERY_MS)),
            Some(longest_ms),
        ];
        let wait = wait
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(COUNTERS_EVERY_MS);
        self.real_ms(wait)
    }

    /// Converts a wait for `poll(2)`.
    fn real_ms(&self, wait_ms: u64) -> i32 {
        i32::try_from(self.fixed.clock.real_ms(wait_ms)).unwrap_or(i32::MAX)
    }
}
