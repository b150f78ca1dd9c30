//! The arbiter: who goes to the worker, who gives way, and what becomes of each.
//!
//! ```text
//!   offered ──▶ waiting ──┐                ┌── answered, cancelled, late ──▶ ends
//!                         ├──▶ at worker ──┤
//!   chunk ──▶ its place ──┘                ├── worker lost ──▶ once more, then ends
//!                ▲                         └── chunk, and somebody speaks ──▶ cancelled ─┐
//!                └────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Events in, actions out: push-to-talk goes before wake and voice, these before files, and one
//! request is at the worker at a time. Runs on the main loop. Each utterance ends exactly once. So
//! does each chunk of a file, which never costs an utterance its place and gives way at once while
//! somebody talks, is recorded, or waits. While the worker is left off, what was there before
//! waits and what is new fails at once: nobody waits a minute for an answer to what was just said.

use heapless::Vec;
use pressel_wire::{DropReason, FailCode, OutcomeResult};

use crate::limits::{ARBITER_ACTIONS_MAX, WAITING_UTTERANCES_MAX};
use crate::waiting::{Utterance, Waiting};

const CANCELLED: OutcomeResult = OutcomeResult::Dropped(DropReason::Cancelled);
const SHUTDOWN: OutcomeResult = OutcomeResult::Dropped(DropReason::Shutdown);

/// Everything that the arbiter knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    waiting: Waiting,
    /// What a lost worker had, to be tried once more, before all others.
    again: Option<Utterance>,
    /// The chunk in its place.
    chunk: Option<Task>,
    at_worker: Option<Request>,
    worker: Worker,
    /// The worker was left off, and none has been ready since.
    has_paused: bool,
    talking: bool,
    open: bool,
    stopped: bool,
}

/// The worker, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Worker {
    /// None that takes requests.
    #[default]
    Away,
    /// It takes requests.
    Ready,
    /// None, and none comes for a while.
    LeftOff,
}

/// Work for the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Task {
    utterance: Utterance,
    /// A worker was lost that had it.
    is_second_try: bool,
}

/// What is at the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    task: Task,
    is_chunk: bool,
    fate: Fate,
}

/// What becomes of a request, whatever the worker still answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It ends as it is answered.
    Answer,
    /// It is a chunk that was cancelled to give way: back to its place, unless it is done all the
    /// same.
    Place,
    /// It was cancelled and ends like this.
    Verdict(OutcomeResult),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An utterance was closed.
    Offer(Utterance),
    /// A chunk of a file is there. A second one before the first has ended is dropped.
    Chunk(Utterance),
    /// Whether somebody talks now: the button or the host holds.
    Talk(bool),
    /// Whether an utterance is being recorded now.
    Open(bool),
    /// A worker was started and loads its model.
    Started,
    /// The worker takes requests.
    Ready,
    /// This turn has no more news: the worker may get the next request.
    Give {
        /// A chunk as well.
        files: bool,
    },
    /// The worker answered the request that it has, and this is what the answer means.
    Answered(OutcomeResult),
    /// The answer is overdue.
    Late,
    /// The worker is gone, or is ended now.
    Lost {
        /// None is started for a while.
        left_off: bool,
    },
    /// The model cannot be loaded any more.
    NoModel,
    /// The host gives up what was said and has no outcome. Files are not meant.
    Cancel,
    /// The end: nothing is recognised any more.
    Stop,
}

/// What the main loop does about it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this to the worker.
    Send(Utterance),
    /// Cancel what is at the worker. It stays there until it is answered, or the worker is lost.
    Cancel,
    /// This has ended; its slot is free.
    End {
        /// The utterance or chunk.
        utterance: Utterance,
        /// What it ends as.
        result: OutcomeResult,
        /// It is a chunk.
        is_chunk: bool,
    },
}

/// The actions of one step.
pub type Actions = Vec<Action, ARBITER_ACTIONS_MAX>;

/// What one event led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub next: State,
    /// What to do, in order.
    pub actions: Actions,
}

impl State {
    /// Returns what is at the worker.
    #[must_use]
    pub fn at_worker(&self) -> Option<&Utterance> {
        let request = self.at_worker.as_ref()?;
        Some(&request.task.utterance)
    }

    /// Returns whether an utterance, not a chunk, is at the worker.
    #[must_use]
    pub fn has_utterance_at_worker(&self) -> bool {
        self.at_worker.is_some_and(|request| !request.is_chunk)
    }

    /// Returns whether a chunk is at the worker.
    #[must_use]
    pub fn has_chunk_at_worker(&self) -> bool {
        self.at_worker.is_some_and(|request| request.is_chunk)
    }

    /// Returns whether what is at the worker was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let cancelled = |request: Request| request.fate != Fate::Answer;
        self.at_worker.is_some_and(cancelled)
    }

    /// Returns how many utterances wait.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        self.waiting.len() + usize::from(self.again.is_some())
    }

    /// Returns whether a chunk is in its place or at the worker.
    #[must_use]
    pub fn has_chunk(&self) -> bool {
        self.chunk.is_some() || self.has_chunk_at_worker()
    }

    /// Returns whether the worker is left off: what is offered now has failed.
    #[must_use]
    pub fn is_left_off(&self) -> bool {
        self.worker == Worker::LeftOff
    }

    /// Returns whether somebody goes before files.
    fn is_taken(&self) -> bool {
        self.talking || self.open || 0 < self.waiting_count()
    }

    /// Takes the next one for an idle worker.
    fn next_request(&mut self, files: bool) -> Option<Request> {
        if self.worker != Worker::Ready || self.at_worker.is_some() {
            return None;
        }
        let is_second_try = self.again.is_some();
        let utterance = self.again.take().or_else(|| self.waiting.take());
        let (task, is_chunk) = match utterance {
            Some(utterance) => {
                let task = Task {
                    utterance,
                    is_second_try,
                };
                (task, false)
            }
            None if !files || self.is_taken() => return None,
            None => (self.chunk.take()?, true),
        };
        Some(Request {
            task,
            is_chunk,
            fate: Fate::Answer,
        })
    }

    /// Ends what waits, but not a chunk.
    fn give_up_waiting(&mut self, result: OutcomeResult, actions: &mut Actions) {
        // One was at a lost worker; the others are in the list.
        for _ in 0..=WAITING_UTTERANCES_MAX {
            let Some(utterance) = self.again.take().or_else(|| self.waiting.take()) else {
                return;
            };
            end(actions, utterance, result, false);
        }
    }

    fn offer(&mut self, utterance: Utterance, actions: &mut Actions) {
        if self.stopped {
            end(actions, utterance, SHUTDOWN, false);
        } else if self.worker == Worker::LeftOff {
            let down = OutcomeResult::Failed(FailCode::WorkerDown);
            end(actions, utterance, down, false);
        } else if let Some(dropped) = self.waiting.offer(utterance) {
            let busy = OutcomeResult::Dropped(DropReason::Busy);
            end(actions, dropped, busy, false);
        }
    }

    fn take_chunk(&mut self, utterance: Utterance, actions: &mut Actions) {
        if self.stopped {
            end(actions, utterance, SHUTDOWN, true);
        } else if self.has_chunk() {
            // The one slot of files holds two: a fault of the giver.
            let internal = OutcomeResult::Dropped(DropReason::Internal);
            end(actions, utterance, internal, true);
        } else {
            self.chunk = Some(Task {
                utterance,
                is_second_try: false,
            });
        }
    }

    fn take_answer(&mut self, result: OutcomeResult, actions: &mut Actions) {
        let Some(request) = self.at_worker.take() else {
            return;
        };
        let is_done = result.is_heard();
        let result = match request.fate {
            Fate::Verdict(verdict) => verdict,
            // A fault may be the cancelling's own: what is wrong with it shows the next time.
            Fate::Place if !is_done => {
                self.chunk = Some(request.task);
                return;
            }
            Fate::Place | Fate::Answer => result,
        };
        end(actions, request.task.utterance, result, request.is_chunk);
    }

    fn lose_worker(&mut self, left_off: bool, actions: &mut Actions) {
        self.worker = if left_off {
            Worker::LeftOff
        } else {
            Worker::Away
        };
        if let Some(Request {
            task,
            is_chunk,
            fate,
        }) = self.at_worker.take()
        {
            let died = OutcomeResult::Failed(FailCode::WorkerDied);
            match fate {
                Fate::Verdict(verdict) => end(actions, task.utterance, verdict, is_chunk),
                _ if task.is_second_try => end(actions, task.utterance, died, is_chunk),
                _ if is_chunk => {
                    self.chunk = Some(Task {
                        is_second_try: true,
                        ..task
                    });
                }
                _ => self.again = Some(task.utterance),
            }
        }
        // What waits is kept over one pause, not over pauses without end.
        if left_off && self.has_paused {
            self.give_up_waiting(OutcomeResult::Failed(FailCode::WorkerDown), actions);
        }
        self.has_paused |= left_off;
    }

    /// Cancels what is at the worker, unless it is cancelled for good already.
    fn cancel_request(&mut self, verdict: OutcomeResult, actions: &mut Actions) {
        let Some(request) = &mut self.at_worker else {
            return;
        };
        if request.fate == Fate::Answer {
            request.fate = Fate::Verdict(verdict);
            act(actions, Action::Cancel);
        }
    }

    fn stop(&mut self, actions: &mut Actions) {
        self.stopped = true;
        if let Some(request) = self.at_worker.take() {
            let result = match request.fate {
                Fate::Verdict(verdict) => verdict,
                Fate::Answer | Fate::Place => SHUTDOWN,
            };
            end(actions, request.task.utterance, result, request.is_chunk);
        }
        self.give_up_waiting(SHUTDOWN, actions);
        if let Some(task) = self.chunk.take() {
            end(actions, task.utterance, SHUTDOWN, true);
        }
    }

    /// Cancels a chunk at the worker while somebody goes before files.
    fn give_way(&mut self, actions: &mut Actions) {
        let is_taken = self.is_taken();
        if let Some(request) = &mut self.at_worker
            && request.is_chunk
            && request.fate == Fate::Answer
            && is_taken
        {
            request.fate = Fate::Place;
            act(actions, Action::Cancel);
        }
    }
}

/// Takes one event.
#[must_use]
pub fn step(state: &State, event: Event) -> Step {
    let (mut next, mut actions) = (state.clone(), Actions::new());
    match event {
        Event::Offer(utterance) => next.offer(utterance, &mut actions),
        Event::Chunk(utterance) => next.take_chunk(utterance, &mut actions),
        Event::Talk(talking) => next.talking = talking,
        Event::Open(open) => next.open = open,
        Event::Started => next.worker = Worker::Away,
        Event::Ready => {
            next.worker = Worker::Ready;
            next.has_paused = false;
        }
        Event::Give { files } => {
            if let Some(request) = next.next_request(files) {
                next.at_worker = Some(request);
                act(&mut actions, Action::Send(request.task.utterance));
            }
        }
        Event::Answered(result) => next.take_answer(result, &mut actions),
        Event::Late => {
            let timeout = OutcomeResult::Failed(FailCode::Timeout);
            next.cancel_request(timeout, &mut actions);
        }
        Event::Lost { left_off } => next.lose_worker(left_off, &mut actions),
        Event::NoModel => {
            let missing = OutcomeResult::Failed(FailCode::ModelMissing);
            next.give_up_waiting(missing, &mut actions);
        }
        Event::Cancel => {
            next.give_up_waiting(CANCELLED, &mut actions);
            if next.has_utterance_at_worker() {
                next.cancel_request(CANCELLED, &mut actions);
            }
        }
        Event::Stop => next.stop(&mut actions),
    }
    next.give_way(&mut actions);
    Step { next, actions }
}

fn end(actions: &mut Actions, utterance: Utterance, result: OutcomeResult, is_chunk: bool) {
    act(
        actions,
        Action::End {
            utterance,
            result,
            is_chunk,
        },
    );
}

fn act(actions: &mut Actions, action: Action) {
    // Not more than all that can be inside, see the limit.
    let fits = actions.push(action).is_ok();
    debug_assert!(fits);
}

#[cfg(test)]
mod tests;
