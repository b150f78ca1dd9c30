//! The recogniser: the main loop's side of the worker process.
//!
//! ```text
//!   Absent ── delivered ──▶ Loading ── Ready ──▶ Ready ── request ──▶ Ready with one running
//!     ▲                        │                   │ answer too late: cancel, then kill
//!     └──── gone, killed ──────┴───────────────────┘
//! ```
//!
//! Waiting utterances in, results out. Runs on the main loop and never waits. One request is at the
//! worker at a time. What a dead worker had is tried once more.

use heapless::{Deque, String};
use pressel_hal::PollFd;
use pressel_pipeline::limits::{
    CANCEL_MS_MAX, LEFT_OFF_MS, LOAD_MS_MAX, REASON_BYTES_MAX, RECOGNISE_BASE_MS, RECOGNISE_FACTOR,
    RESTART_WAIT_MS, RESTART_WINDOW_MS, RESTARTS_MAX,
};
use pressel_pipeline::time::{Millis, millis};
use pressel_pipeline::trim;
use pressel_pipeline::waiting::{Utterance, Waiting};
use pressel_wire::{CONFIDENCE_UNKNOWN, DropReason, FailCode, OutcomeResult};

use crate::outcome::{Finished, of_answer};
use crate::worker::message::Fault;
use crate::worker::socket::Received;
use crate::worker::{Answer, Request, WorkerSocket};

/// The worker as the main loop knows it.
enum Worker {
    /// None, or one that is being started.
    Absent,
    /// Its model is being loaded.
    Loading { socket: WorkerSocket, until: Millis },
    /// It answers.
    Ready { socket: WorkerSocket },
}

/// The utterance at the worker.
#[derive(Clone, Copy, Debug)]
struct Running {
    utterance: Utterance,
    sent_at: Millis,
    deadline: Millis,
    /// What it ends as, once it is cancelled.
    verdict: Option<OutcomeResult>,
    is_second_try: bool,
}

/// What happened at the worker.
#[allow(
    clippy::large_enum_variant,
    reason = "one value, on the stack of one turn"
)]
pub enum News {
    /// The model is loaded.
    Ready {
        /// It runs on CUDA.
        cuda: bool,
        /// Milliseconds that loading took.
        load_ms: u32,
    },
    /// The model cannot be loaded. The worker is gone.
    CannotLoad(String<REASON_BYTES_MAX>),
    /// An utterance is done; its slot is free.
    Done(Finished, u8),
    /// The worker is to be ended and another one started.
    Lost(&'static str),
}

/// The main loop's side of the worker.
pub struct Recogniser {
    /// Milliseconds of the main loop's clock in a real one.
    scale: u64,
    worker: Worker,
    waiting: Waiting,
    running: Option<Running>,
    /// What a dead worker had, to be tried once more.
    again: Option<Utterance>,
    cuda: bool,
    was_ready: bool,
    restarts: u32,
    restarted_at: Deque<Millis, RESTARTS_MAX>,
    left_off: bool,
}

impl Recogniser {
    /// Makes a recogniser without a worker. `scale` is the clock's milliseconds in a real one: the
    /// worker is as fast as the machine, also where simulated time runs faster.
    #[must_use]
    pub fn new(scale: u64) -> Self {
        Self {
            scale,
            worker: Worker::Absent,
            waiting: Waiting::new(),
            running: None,
            again: None,
            cuda: false,
            was_ready: false,
            restarts: 0,
            restarted_at: Deque::new(),
            left_off: false,
        }
    }

    /// Returns whether a worker answers.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.worker, Worker::Ready { .. })
    }

    /// Returns whether a worker has ever answered.
    #[must_use]
    pub fn was_ready(&self) -> bool {
        self.was_ready
    }

    /// Returns whether a worker that should answer does not: it was there, or has failed to come.
    #[must_use]
    pub fn is_down(&self) -> bool {
        !self.is_ready() && (self.was_ready || 0 < self.restarts)
    }

    /// Returns whether no worker is started for a while.
    #[must_use]
    pub fn is_left_off(&self) -> bool {
        self.left_off
    }

    /// Returns whether CUDA runs the model.
    #[must_use]
    pub fn is_cuda(&self) -> bool {
        self.cuda && self.is_ready()
    }

    /// Returns whether an utterance is at the worker.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Returns how many utterances wait.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        self.waiting.len() + usize::from(self.again.is_some())
    }

    /// Returns starts of the worker after the first.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Returns what to wait for.
    #[must_use]
    pub fn poll_fd(&self) -> PollFd {
        let fd = match &self.worker {
            Worker::Absent => -1,
            Worker::Loading { socket, .. } | Worker::Ready { socket } => socket.raw_fd(),
        };
        PollFd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        }
    }

    /// Returns when [`Recogniser::keep_time`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        match &self.worker {
            Worker::Loading { until, .. } => Some(*until),
            Worker::Absent | Worker::Ready { .. } => self.running.map(|running| running.deadline),
        }
    }

    /// Takes a worker that was started.
    pub fn resume(&mut self, socket: WorkerSocket, now: Millis) {
        self.left_off = false;
        self.worker = Worker::Loading {
            socket,
            until: now + LOAD_MS_MAX * self.scale,
        };
    }

    /// Adds a closed utterance. Returns the one that had to make room, with its slot.
    pub fn offer(&mut self, utterance: Utterance, now: Millis) -> Option<(Finished, u8)> {
        if self.left_off {
            let result = OutcomeResult::Failed(FailCode::WorkerDown);
            return Some((Finished::of(&utterance, result, now), utterance.slot));
        }
        let dropped = self.waiting.offer(utterance)?;
        let result = OutcomeResult::Dropped(DropReason::Busy);
        Some((Finished::of(&dropped, result, now), dropped.slot))
    }

    /// Takes a waiting utterance out with this result; for a cancel, a stop, or a lost model.
    pub fn give_up_waiting(
        &mut self,
        result: OutcomeResult,
        now: Millis,
    ) -> Option<(Finished, u8)> {
        let utterance = self.again.take().or_else(|| self.waiting.take())?;
        Some((Finished::of(&utterance, result, now), utterance.slot))
    }

    /// Cancels the utterance at the worker; it ends with this result.
    pub fn cancel_running(&mut self, result: OutcomeResult, now: Millis) {
        let Some(running) = &mut self.running else {
            return;
        };
        if running.verdict.is_some() {
            return;
        }
        running.verdict = Some(result);
        running.deadline = now + CANCEL_MS_MAX * self.scale;
        if let Worker::Ready { socket } = &mut self.worker {
            // A worker that does not read is killed at the deadline.
            socket
                .send(&Request::Cancel {
                    id: running.utterance.id,
                })
                .ok();
        }
    }

    /// Takes the running utterance out, as when the appliance stops.
    pub fn give_up_running(
        &mut self,
        result: OutcomeResult,
        now: Millis,
    ) -> Option<(Finished, u8)> {
        let running = self.running.take()?;
        let result = running.verdict.unwrap_or(result);
        Some((
            Finished::of(&running.utterance, result, now),
            running.utterance.slot,
        ))
    }

    /// Sends the most urgent utterance to an idle worker. `Some` when the worker is lost.
    pub fn give_work(&mut self, now: Millis) -> Option<News> {
        let Worker::Ready { socket } = &mut self.worker else {
            return None;
        };
        if self.running.is_some() {
            return None;
        }
        let again = self.again.take();
        let is_second_try = again.is_some();
        let utterance = again.or_else(|| self.waiting.take())?;
        let (start, samples) = trim::speech(&utterance);
        let Utterance { id, slot, .. } = utterance;
        let audio_ms = millis(u64::from(samples));
        self.running = Some(Running {
            utterance,
            sent_at: now,
            deadline: now + (RECOGNISE_BASE_MS + RECOGNISE_FACTOR * audio_ms) * self.scale,
            verdict: None,
            is_second_try,
        });
        let sent = socket.send(&Request::Recognise {
            id,
            slot,
            start,
            samples,
        });
        sent.is_err().then_some(News::Lost("it takes no requests"))
    }

    /// Reads one answer.
    pub fn receive(&mut self, now: Millis) -> Option<News> {
        let socket = match &mut self.worker {
            Worker::Absent => return None,
            Worker::Loading { socket, .. } | Worker::Ready { socket } => socket,
        };
        match socket.receive() {
            Received::Nothing => None,
            Received::Closed => Some(News::Lost("its process ended")),
            Received::Garbage => Some(News::Lost("it answers garbage")),
            Received::Message(answer) => self.take_answer(answer, now),
        }
    }

    fn take_answer(&mut self, answer: Answer, now: Millis) -> Option<News> {
        match answer {
            Answer::Ready { cuda, load_ms, .. } => {
                let worker = core::mem::replace(&mut self.worker, Worker::Absent);
                if let Worker::Loading { socket, .. } | Worker::Ready { socket } = worker {
                    self.worker = Worker::Ready { socket };
                }
                (self.cuda, self.was_ready) = (cuda, true);
                Some(News::Ready { cuda, load_ms })
            }
            Answer::CannotLoad { reason } => Some(News::CannotLoad(reason)),
            Answer::CanaryFailed => Some(News::Lost("it does not recognise the known clip")),
            Answer::Done { id, .. } | Answer::Failed { id, .. }
                if self
                    .running
                    .is_none_or(|running| running.utterance.id != id) =>
            {
                Some(News::Lost("it answers what was not asked"))
            }
            Answer::Failed {
                fault: Fault::Sticky,
                ..
            } => Some(News::Lost("its device context is broken")),
            answer => {
                let Running {
                    utterance,
                    sent_at,
                    verdict,
                    ..
                } = self.running.take()?;
                let mut finished = of_answer(&utterance, answer, sent_at, now);
                if let Some(verdict) = verdict {
                    finished.outcome.result = verdict;
                    finished.outcome.confidence = CONFIDENCE_UNKNOWN;
                    finished.text.clear();
                }
                Some(News::Done(finished, utterance.slot))
            }
        }
    }

    /// Looks at the deadlines.
    pub fn keep_time(&mut self, now: Millis) -> Option<News> {
        if self.deadline().is_none_or(|at| now < at) {
            return None;
        }
        match (&self.worker, &self.running) {
            (Worker::Loading { .. }, _) => Some(News::Lost("it does not finish loading")),
            (_, Some(running)) if running.verdict.is_none() => {
                self.cancel_running(OutcomeResult::Failed(FailCode::Timeout), now);
                None
            }
            _ => Some(News::Lost("it hangs")),
        }
    }

    /// Lets go of a lost worker. Returns its socket and how long to wait before the next one.
    pub fn lose(&mut self, now: Millis) -> (Option<WorkerSocket>, u64) {
        let worker = core::mem::replace(&mut self.worker, Worker::Absent);
        let socket = match worker {
            Worker::Absent => None,
            Worker::Loading { socket, .. } | Worker::Ready { socket } => Some(socket),
        };
        while self
            .restarted_at
            .front()
            .is_some_and(|at| at + RESTART_WINDOW_MS < now)
        {
            self.restarted_at.pop_front();
        }
        self.restarts = self.restarts.saturating_add(1);
        let Some(&wait) = RESTART_WAIT_MS.get(self.restarted_at.len()) else {
            self.left_off = true;
            self.restarted_at.clear();
            return (socket, LEFT_OFF_MS);
        };
        // The list has as many places as there are waits.
        self.restarted_at.push_back(now).ok();
        (socket, wait)
    }

    /// After [`Recogniser::lose`]: what becomes of the utterance that the worker had. The first
    /// time it is kept for the next worker.
    pub fn settle_running(&mut self, now: Millis) -> Option<(Finished, u8)> {
        let running = self.running?;
        if running.verdict.is_none() && !running.is_second_try && !self.left_off {
            self.again = Some(running.utterance);
            self.running = None;
            return None;
        }
        self.give_up_running(OutcomeResult::Failed(FailCode::WorkerDied), now)
    }
}

#[cfg(test)]
mod tests;
