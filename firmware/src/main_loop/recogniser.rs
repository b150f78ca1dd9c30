//! The recogniser: the main loop's side of the worker process.
//!
//! ```text
//!   Absent ── delivered ──▶ Loading ── Ready ──▶ Ready ── request ──▶ Ready with one running
//!     ▲                        │                   │ answer too late: cancel, then kill
//!     └──── gone, killed ──────┴───────────────────┘
//! ```
//!
//! Utterances and chunks of files in, results out. Runs on the main loop and never waits. What goes
//! to the worker, and what becomes of it, the arbiter of `pipeline` decides; here are the socket,
//! the numbers of requests and the deadlines.

use core::fmt::Write as _;

use heapless::{Deque, String};
use pressel_hal::PollFd;
use pressel_pipeline::arbiter::{self, Action, Event};
use pressel_pipeline::limits::{
    ARBITER_ACTIONS_MAX, CANCEL_MS_MAX, LOAD_MS_MAX, REASON_BYTES_MAX, RECOGNISE_BASE_MS,
    RECOGNISE_FACTOR, WORKER_OVERDUE_MS,
};
use pressel_pipeline::time::{Millis, millis};
use pressel_pipeline::waiting::Utterance;
use pressel_wire::{CONFIDENCE_UNKNOWN, DropReason, OutcomeResult};

use super::guesses::{GuessCounts, Guesses, part};
use super::restarts::{Restart, Restarts};
use crate::outcome::{Finished, of_answer, short};
use crate::second_looks::{Confirmed, SecondLooks};
use crate::stream::{Ahead, WordName};
use crate::worker::message::{Canary, Excerpt, Fault, NOT_ASKED};
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

/// The request at the worker; what it is about, the arbiter knows.
#[derive(Clone, Copy, Debug)]
struct Sent {
    number: u32,
    at: Millis,
    deadline: Millis,
    /// When it was cancelled first.
    cancelled_at: Option<Millis>,
    /// It is a second look at a wake word; the utterance is asked for after it.
    is_look: bool,
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
    /// An utterance or a chunk is done; its slot is free.
    Done(Finished, u8),
    /// The recogniser did not hear the wake word that opened the utterance; its slot is free.
    Refused {
        /// How it ended.
        finished: Finished,
        /// Its slot.
        slot: u8,
        /// The word.
        word: WordName,
    },
    /// A chunk has given way to somebody who speaks, and waits in its place again.
    Yielded {
        /// Milliseconds from the cancel to the worker's answer.
        after_ms: u32,
    },
    /// The worker has begun with an utterance before its end was known; or `adopted`: that was all,
    /// and it is asked for now.
    Guess {
        /// Number of the utterance.
        utterance: u32,
        /// Milliseconds of it.
        audio_ms: u32,
        /// The guess was right.
        adopted: bool,
    },
    /// The worker is to be ended and another one started.
    Lost(&'static str),
}

/// What follows the loss of a worker.
pub struct Loss {
    /// The lost worker's socket, if it had one.
    pub socket: Option<WorkerSocket>,
    /// Milliseconds to wait before the next one is started.
    pub wait_ms: u64,
    /// The processor has taken over from CUDA just now.
    pub fell_back: bool,
    /// Too many were lost over chunks of files: these wait from now on.
    pub holds_files: bool,
}

/// The main loop's side of the worker.
pub struct Recogniser {
    /// Milliseconds of the main loop's clock in a real one.
    scale: u64,
    arbiter: arbiter::State,
    worker: Worker,
    sent: Option<Sent>,
    /// Number of the last request; 0 is none.
    number: u32,
    /// What has ended without an answer and was not taken yet.
    ended: Deque<(Utterance, OutcomeResult), ARBITER_ACTIONS_MAX>,
    /// Somebody talks, an utterance is being recorded, as the arbiter was told.
    taken: (bool, bool),
    /// CUDA runs the model.
    cuda: bool,
    restarts: Restarts,
    guesses: Guesses,
    looks: SecondLooks,
    /// The provider, and what the known clip gave there the first time.
    canary: Option<(bool, u32)>,
    was_ready: bool,
}

impl Recogniser {
    /// Makes a recogniser without a worker. `scale` is the clock's milliseconds in a real one: the
    /// worker is as fast as the machine, also where simulated time runs faster. `wants_cuda`: the
    /// board's workers are started with CUDA.
    #[must_use]
    pub fn new(scale: u64, wants_cuda: bool) -> Self {
        Self {
            scale,
            arbiter: arbiter::State::default(),
            worker: Worker::Absent,
            sent: None,
            number: 0,
            ended: Deque::new(),
            taken: (false, false),
            cuda: false,
            restarts: Restarts::new(wants_cuda),
            guesses: Guesses::default(),
            looks: SecondLooks::default(),
            canary: None,
            was_ready: false,
        }
    }

    /// Says which wake words the worker must hear, too.
    pub fn confirm(&mut self, words: Confirmed) {
        self.looks = SecondLooks::new(words);
    }

    /// Returns the wake words that were heard and whose utterances wait, to tell them of more.
    pub fn looks(&mut self) -> &mut SecondLooks {
        &mut self.looks
    }

    /// Returns how many wake words the worker did not hear since the start.
    #[must_use]
    pub fn wakes_refused(&self) -> u32 {
        self.looks.refused()
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
        !self.is_ready() && (self.was_ready || 0 < self.restarts.count())
    }

    /// Returns whether no worker is started for a while.
    #[must_use]
    pub fn is_left_off(&self) -> bool {
        self.arbiter.is_left_off()
    }

    /// Returns whether CUDA runs the model.
    #[must_use]
    pub fn is_cuda(&self) -> bool {
        self.cuda && self.is_ready()
    }

    /// Returns whether the processor may still take over from CUDA.
    #[must_use]
    pub fn may_fall_back(&self) -> bool {
        self.restarts.may_fall_back()
    }

    /// Returns whether workers are to be started on the processor, whatever is configured.
    #[must_use]
    pub fn has_fallen_back(&self) -> bool {
        self.restarts.has_fallen_back()
    }

    /// Returns whether an utterance is at the worker; a file's chunk is none.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.arbiter.has_utterance_at_worker()
    }

    /// Returns whether a file's chunk waits or is at the worker.
    #[must_use]
    pub fn has_chunk(&self) -> bool {
        self.arbiter.has_chunk()
    }

    /// Returns how many utterances wait.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        self.arbiter.waiting_count()
    }

    /// Returns starts of the worker after the first.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts.count()
    }

    /// Returns guesses since the start.
    #[must_use]
    pub fn guesses(&self) -> GuessCounts {
        self.guesses.counts()
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
            Worker::Absent | Worker::Ready { .. } => self.sent.map(|sent| sent.deadline),
        }
    }

    /// Returns whether the worker should have been ended long ago.
    #[must_use]
    pub fn is_stuck(&self, now: Millis) -> bool {
        let grace = WORKER_OVERDUE_MS * self.scale;
        self.deadline().is_some_and(|at| at + grace < now)
    }

    /// Takes a worker that was started.
    pub fn resume(&mut self, socket: WorkerSocket, now: Millis) {
        self.worker = Worker::Loading {
            socket,
            until: now + LOAD_MS_MAX * self.scale,
        };
        self.tell(Event::Started, now);
    }

    /// Adds a closed utterance. What has to make room is taken by [`Recogniser::take_ended`], as
    /// after all that follows.
    pub fn offer(&mut self, utterance: Utterance, now: Millis) {
        self.guesses.close(utterance.id);
        self.tell(Event::Offer(utterance), now);
    }

    /// Takes what is recorded of the open utterance. An idle worker is told of it.
    pub fn look_ahead(&mut self, ahead: Ahead) {
        self.guesses.put(ahead);
    }

    /// An utterance has its outcome: nothing of it is kept.
    pub fn forget(&mut self, utterance: u32) {
        self.looks.end(utterance);
        if self.guesses.end(utterance)
            && let Worker::Ready { socket } = &mut self.worker
        {
            // A worker that does not read is lost at the next request.
            socket.send(&Request::Forget).ok();
        }
    }

    /// Adds a file's chunk.
    pub fn put_chunk(&mut self, chunk: Utterance, now: Millis) {
        self.tell(Event::Chunk(chunk), now);
    }

    /// Says whether somebody talks, and whether an utterance is being recorded. A chunk at the
    /// worker is cancelled at once.
    pub fn attend(&mut self, talking: bool, open: bool, now: Millis) {
        if self.taken == (talking, open) {
            return;
        }
        self.taken = (talking, open);
        self.tell(Event::Talk(talking), now);
        self.tell(Event::Open(open), now);
    }

    /// Gives up all utterances, as the host asked.
    pub fn cancel(&mut self, now: Millis) {
        self.tell(Event::Cancel, now);
    }

    /// Gives up the utterances that wait: there is no model any more.
    pub fn miss_model(&mut self, now: Millis) {
        self.tell(Event::NoModel, now);
    }

    /// Gives up everything: the appliance stops.
    pub fn stop(&mut self, now: Millis) {
        self.sent = None;
        self.tell(Event::Stop, now);
    }

    /// Takes the next utterance or chunk that has ended without an answer, and its slot.
    pub fn take_ended(&mut self, now: Millis) -> Option<(Finished, u8)> {
        let (utterance, mut result) = self.ended.pop_front()?;
        if let OutcomeResult::Text { .. } = result {
            // It was answered; the text was lost in a panic just then.
            result = OutcomeResult::Dropped(DropReason::Internal);
        }
        Some((Finished::of(&utterance, result, now), utterance.slot))
    }

    /// Sends what is next to an idle worker. `Some` when the worker is lost.
    pub fn give_work(&mut self, now: Millis) -> Option<News> {
        let files = self.restarts.lets_chunks(now);
        let Some(utterance) = self.tell(Event::Give { files }, now) else {
            return self.tell_ahead(now);
        };
        self.ask(&utterance, now)
    }

    /// Asks for an utterance or a chunk; for the clip of its wake word first, if that is wanted.
    fn ask(&mut self, utterance: &Utterance, now: Millis) -> Option<News> {
        let clip = self.looks.clip(utterance);
        let part = clip.unwrap_or_else(|| Excerpt::of(utterance));
        let audio_ms = millis(u64::from(part.samples));
        self.number = self.number.checked_add(1).unwrap_or(1);
        self.sent = Some(Sent {
            number: self.number,
            at: now,
            deadline: now + (RECOGNISE_BASE_MS + RECOGNISE_FACTOR * audio_ms) * self.scale,
            cancelled_at: None,
            is_look: clip.is_some(),
        });
        let adopted = self.guesses.ask(part, utterance.trigger);
        let request = Request::Recognise {
            id: self.number,
            part,
        };
        let Worker::Ready { socket } = &mut self.worker else {
            return Some(News::Lost("it is not there"));
        };
        if socket.send(&request).is_err() {
            return Some(News::Lost("it takes no requests"));
        }
        adopted.then_some(News::Guess {
            utterance: utterance.id,
            audio_ms: short(audio_ms),
            adopted,
        })
    }

    /// Tells an idle worker what is recorded of the open utterance.
    fn tell_ahead(&mut self, now: Millis) -> Option<News> {
        if self.arbiter.at_worker().is_some() {
            return None;
        }
        let Worker::Ready { socket } = &mut self.worker else {
            return None;
        };
        let ahead = self.guesses.take(now)?;
        let (part, is_guess) = (part(&ahead), ahead.look.is_guess);
        // Nothing depends on it: a worker that does not read is lost at the next request.
        socket.send(&Request::Ahead { part, is_guess }).ok();
        is_guess.then_some(News::Guess {
            utterance: part.utterance,
            audio_ms: short(millis(u64::from(part.samples))),
            adopted: false,
        })
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
        const CANARY: News = News::Lost("it does not recognise the known clip");
        match answer {
            Answer::Ready {
                cuda,
                load_ms,
                canary,
            } => {
                let same_provider = self.canary.filter(|(was_cuda, _)| *was_cuda == cuda);
                if same_provider.is_some_and(|(_, first)| first != canary) {
                    return Some(CANARY);
                }
                self.canary = Some((cuda, canary));
                let worker = core::mem::replace(&mut self.worker, Worker::Absent);
                if let Worker::Loading { socket, .. } | Worker::Ready { socket } = worker {
                    self.worker = Worker::Ready { socket };
                }
                (self.cuda, self.was_ready) = (cuda, true);
                self.restarts.ran_with(cuda);
                self.tell(Event::Ready, now);
                Some(News::Ready { cuda, load_ms })
            }
            // A model that has never heard it right is the wrong one: the owner is told.
            Answer::CanaryFailed(canary) if !self.was_ready => {
                let mut why = String::new();
                // What does not fit is left out.
                write!(
                    why,
                    "the model {}: {}, or try `provider = \"cpu\"` in the board's file",
                    canary.problem(),
                    canary.remedy()
                )
                .ok();
                Some(News::CannotLoad(why))
            }
            Answer::CanaryFailed(Canary::OtherWords) => Some(CANARY),
            Answer::CanaryFailed(Canary::NoNumbers) => {
                Some(News::Lost("it computes numbers that are none"))
            }
            Answer::CanaryFailed(Canary::NoAnswer) => {
                Some(News::Lost("it cannot be run on the known clip"))
            }
            Answer::CannotLoad { reason } => Some(News::CannotLoad(reason)),
            Answer::Failed {
                id: NOT_ASKED,
                fault: Fault::Sticky | Fault::Reload,
            } => Some(News::Lost("it failed at a guess and is not to be trusted")),
            Answer::Done { id, .. } | Answer::Failed { id, .. }
                if self.sent.is_none_or(|sent| sent.number != id) =>
            {
                Some(News::Lost("it answers what was not asked"))
            }
            Answer::Failed {
                fault: Fault::Sticky,
                ..
            } => Some(News::Lost("its device context is broken")),
            Answer::Failed {
                fault: Fault::Reload,
                ..
            } => Some(News::Lost("its sessions are not to be trusted any more")),
            answer => self.take_result(answer, now),
        }
    }

    /// Takes the answer to the request at the worker; the arbiter may keep a chunk for later.
    fn take_result(&mut self, answer: Answer, now: Millis) -> Option<News> {
        let sent = self.sent.take()?;
        let utterance = *self.arbiter.at_worker()?;
        let word = if sent.is_look && !self.arbiter.is_cancelled() {
            let Some(word) = self.looks.refuses(utterance.id, &answer) else {
                return self.ask(&utterance, now);
            };
            Some(word)
        } else {
            None
        };
        let mut finished = of_answer(&utterance, answer, sent.at, now);
        if word.is_some() {
            // What was heard in the clip was not said to the appliance.
            let timing = finished.outcome.timing;
            finished = Finished::of(&utterance, OutcomeResult::NoSpeech, now);
            finished.outcome.timing = timing;
        }
        let ended_before = self.ended.len();
        self.tell(Event::Answered(finished.outcome.result), now);
        if self.ended.len() <= ended_before {
            let after_ms = now.saturating_sub(sent.cancelled_at.unwrap_or(now));
            let after_ms = short(after_ms);
            return Some(News::Yielded { after_ms });
        }
        let (_, result) = self.ended.pop_back()?;
        if result != finished.outcome.result {
            finished.outcome.result = result;
            finished.outcome.confidence = CONFIDENCE_UNKNOWN;
            finished.text.clear();
        }
        let slot = utterance.slot;
        Some(match word {
            Some(word) => News::Refused {
                finished,
                slot,
                word,
            },
            None => News::Done(finished, slot),
        })
    }

    /// Looks at the deadlines.
    pub fn keep_time(&mut self, now: Millis) -> Option<News> {
        if self.deadline().is_none_or(|at| now < at) {
            return None;
        }
        if let Worker::Loading { .. } = self.worker {
            return Some(News::Lost("it does not finish loading"));
        }
        if self.arbiter.is_cancelled() {
            return Some(News::Lost("it hangs"));
        }
        self.tell(Event::Late, now);
        None
    }

    /// Returns whether a panic has left something at the worker whose answer nobody would take.
    #[must_use]
    pub fn is_astray(&self) -> bool {
        self.arbiter.at_worker().is_some() && self.sent.is_none()
    }

    /// Lets go of a lost worker and says how to go on. The first time, what it had is kept for the
    /// next one. A loss over a chunk or a guess costs the voice none of its restarts.
    pub fn lose(&mut self, now: Millis) -> Loss {
        let worker = core::mem::replace(&mut self.worker, Worker::Absent);
        let socket = match worker {
            Worker::Absent => None,
            Worker::Loading { socket, .. } | Worker::Ready { socket } => Some(socket),
        };
        let is_asked = self.arbiter.at_worker().is_some();
        let (next, holds_files) = if self.guesses.lose(is_asked, now, self.scale) {
            self.restarts.lost_over_guess();
            (Restart::Again { wait_ms: 0 }, false)
        } else if self.arbiter.has_chunk_at_worker() {
            let holds_files = self.restarts.lost_over_chunk(now);
            (Restart::Again { wait_ms: 0 }, holds_files)
        } else {
            (self.restarts.next(now), false)
        };
        self.sent = None;
        let left_off = matches!(next, Restart::LeftOff { .. });
        self.tell(Event::Lost { left_off }, now);
        Loss {
            socket,
            wait_ms: next.wait_ms(),
            fell_back: next == Restart::OnProcessor,
            holds_files,
        }
    }

    /// Lets the arbiter take an event and does what it says; returns what is to be sent.
    fn tell(&mut self, event: Event, now: Millis) -> Option<Utterance> {
        let step = arbiter::step(&self.arbiter, event);
        self.arbiter = step.next;
        let mut next = None;
        for action in step.actions {
            match action {
                Action::Send(utterance) => next = Some(utterance),
                Action::Cancel => self.cancel_sent(now),
                Action::End {
                    utterance, result, ..
                } => {
                    // The main loop takes what has ended after each call.
                    let fits = self.ended.push_back((utterance, result)).is_ok();
                    debug_assert!(fits);
                }
            }
        }
        next
    }

    fn cancel_sent(&mut self, now: Millis) {
        let Some(sent) = &mut self.sent else { return };
        sent.deadline = now + CANCEL_MS_MAX * self.scale;
        sent.cancelled_at.get_or_insert(now);
        if let Worker::Ready { socket } = &mut self.worker {
            // A worker that does not read is killed at the deadline.
            socket.send(&Request::Cancel { id: sent.number }).ok();
        }
    }
}

#[cfg(test)]
mod tests;
