//! Restarts of the worker: when the next one is started, and on what.
//!
//! Losses with their times in, waits out. Runs on the main loop. Pure. Too many losses in a row let
//! the processor take over from CUDA; where it runs already, no worker is started for a while.

use heapless::Deque;
use pressel_pipeline::limits::{LEFT_OFF_MS, RESTART_WAIT_MS, RESTART_WINDOW_MS, RESTARTS_MAX};
use pressel_pipeline::time::Millis;

/// How the next worker is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restart {
    /// As the last one, after a wait.
    Again { wait_ms: u64 },
    /// On the processor, at once: CUDA has failed too often.
    OnProcessor,
    /// Not for a long while.
    LeftOff { wait_ms: u64 },
}

impl Restart {
    /// Returns the milliseconds to wait first.
    pub(super) const fn wait_ms(self) -> u64 {
        match self {
            Self::Again { wait_ms } | Self::LeftOff { wait_ms } => wait_ms,
            Self::OnProcessor => 0,
        }
    }
}

/// Losses so far.
#[derive(Debug)]
pub(super) struct Restarts {
    count: u32,
    /// Those of the last ten minutes.
    recent: Deque<Millis, RESTARTS_MAX>,
    /// Workers run with CUDA, or are to.
    wants_cuda: bool,
    fell_back: bool,
}

impl Restarts {
    pub(super) const fn new(wants_cuda: bool) -> Self {
        Self {
            count: 0,
            recent: Deque::new(),
            wants_cuda,
            fell_back: false,
        }
    }

    /// Returns the losses since start.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Returns whether the processor may still take over.
    pub(super) const fn may_fall_back(&self) -> bool {
        self.wants_cuda && !self.fell_back
    }

    /// Returns whether the processor has taken over.
    pub(super) const fn has_fallen_back(&self) -> bool {
        self.fell_back
    }

    /// A worker is ready and runs with CUDA, or not.
    pub(super) const fn ran_with(&mut self, cuda: bool) {
        self.wants_cuda |= cuda;
    }

    /// Counts a loss and returns how to go on.
    pub(super) fn next(&mut self, now: Millis) -> Restart {
        self.count = self.count.saturating_add(1);
        let is_old = |at: &Millis| *at + RESTART_WINDOW_MS < now;
        while self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
        if let Some(&wait_ms) = RESTART_WAIT_MS.get(self.recent.len()) {
            // The list has as many places as there are waits.
            self.recent.push_back(now).ok();
            return Restart::Again { wait_ms };
        }
        self.recent.clear();
        if self.may_fall_back() {
            self.fell_back = true;
            return Restart::OnProcessor;
        }
        let wait_ms = LEFT_OFF_MS;
        Restart::LeftOff { wait_ms }
    }
}
