//! Restarts of the worker: when the next one is started, and on what.
//!
//! Losses with their times in, waits out. Runs on the main loop. Pure. Too many losses in a row let
//! the processor take over from CUDA; where it runs already, no worker is started for a while.
//! Losses over chunks of files do neither: after too many of them, files wait.

use heapless::Deque;
use pressel_pipeline::limits::{
    CHUNK_LOSSES_MAX, LEFT_OFF_MS, RESTART_WAIT_MS, RESTART_WINDOW_MS, RESTARTS_MAX,
};
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
    /// Those of the last ten minutes, but not those over chunks.
    recent: Deque<Millis, RESTARTS_MAX>,
    /// Those over chunks, of the last ten minutes.
    over_chunks: Deque<Millis, CHUNK_LOSSES_MAX>,
    /// Chunks wait until then.
    chunks_from: Millis,
    /// Workers run with CUDA, or are to.
    wants_cuda: bool,
    fell_back: bool,
}

impl Restarts {
    pub(super) const fn new(wants_cuda: bool) -> Self {
        Self {
            count: 0,
            recent: Deque::new(),
            over_chunks: Deque::new(),
            chunks_from: 0,
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
        forget_old(&mut self.recent, now);
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

    /// Counts a loss over a chunk; the next worker is started at once. Returns whether chunks are
    /// held back from now on.
    pub(super) fn lost_over_chunk(&mut self, now: Millis) -> bool {
        self.count = self.count.saturating_add(1);
        forget_old(&mut self.over_chunks, now);
        // There is room: the list is cleared as it becomes full.
        self.over_chunks.push_back(now).ok();
        if !self.over_chunks.is_full() {
            return false;
        }
        self.over_chunks.clear();
        self.chunks_from = now + RESTART_WINDOW_MS;
        true
    }

    /// Counts a loss over work that nobody had asked for; the next worker is started at once. There
    /// is no such work for a while: see `Guesses::lose`.
    pub(super) const fn lost_over_guess(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// Returns whether chunks may go to the worker.
    pub(super) const fn lets_chunks(&self, now: Millis) -> bool {
        self.chunks_from <= now
    }
}

fn forget_old<const MAX: usize>(losses: &mut Deque<Millis, MAX>, now: Millis) {
    let is_old = |at: &Millis| *at + RESTART_WINDOW_MS < now;
    while losses.front().is_some_and(is_old) {
        losses.pop_front();
    }
}
