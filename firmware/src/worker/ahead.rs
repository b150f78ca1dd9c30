//! The worker's desk: what is asked, what may be looked at ahead, and what runs.
//!
//! ```text
//!   Ahead ──▶ one place, the newest ──▶ runs as a guess ──▶ kept ─── the same is asked ──▶ answer
//!                                          │        │
//!                  the same is asked: it is the request now     another is asked, or Forget:
//!                                                               cancelled, dropped, wiped
//! ```
//!
//! Requests in from the thread that reads them, work out to the thread `recognise`. What is asked
//! never waits for a guess longer than that takes to be cancelled; a guess that does not let itself
//! be cancelled ends the process, as a hang.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pressel_pipeline::limits::CANCEL_MS_MAX;

use super::Answer;
use super::message::{Excerpt, NOT_ASKED};

/// One request to recognise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// Its number.
    pub(super) id: u32,
    /// What is to be recognised.
    pub(super) part: Excerpt,
    /// When it was asked.
    pub(super) asked_at: Instant,
}

/// What `recognise` does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Recognise this and answer.
    Job(Job),
    /// Recognise this and keep the answer.
    Guess(Excerpt),
    /// Prepare what can be prepared of this: more is to come.
    Listen(Excerpt),
    /// Keep nothing.
    Forget,
}

/// The running guess does not let itself be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stuck;

/// What both threads look at.
pub(super) struct Desk {
    inside: Mutex<Inside>,
    /// There is something to do.
    news: Condvar,
    /// Something has ended.
    ended: Condvar,
    /// What runs is cancelled.
    cancel: AtomicBool,
    /// Ends the graph that runs.
    end_run: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Inside {
    job: Option<Job>,
    /// The job that waits was cancelled before it began.
    is_cancelled: bool,
    /// The newest that may be looked at, and whether it is a guess.
    ahead: Option<(Excerpt, bool)>,
    forgets: bool,
    running: Option<Running>,
}

/// What runs.
#[derive(Clone, Copy)]
enum Running {
    /// A request, or a guess that has become one.
    Job(Job),
    /// Work ahead; what is guessed, and when it was cancelled.
    Ahead(Option<Excerpt>, Option<Instant>),
}

impl Desk {
    /// `end_run` ends the call of the model that runs; it is called with the flag set, and only
    /// while what it is meant for runs.
    pub(super) fn new(end_run: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            inside: Mutex::default(),
            news: Condvar::new(),
            ended: Condvar::new(),
            cancel: AtomicBool::new(false),
            end_run,
        }
    }

    /// Returns the flag of what runs.
    pub(super) fn cancel_flag(&self) -> &AtomicBool {
        &self.cancel
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // A panic ends the process; until then the numbers are good.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request. A guess at the same part becomes it; any other gives way first.
    ///
    /// # Errors
    /// [`Stuck`] when a guess has not ended so long after it was cancelled.
    pub(super) fn ask(&self, job: Job) -> Result<(), Stuck> {
        let mut inside = self.lock();
        inside.ahead = None;
        if let Some(Running::Ahead(Some(part), None)) = inside.running
            && part == job.part
        {
            inside.running = Some(Running::Job(job));
            return Ok(());
        }
        self.cancel_ahead(&mut inside);
        (inside.job, inside.is_cancelled) = (Some(job), false);
        self.news.notify_one();
        let Some(Running::Ahead(_, Some(since))) = inside.running else {
            return Ok(());
        };
        let left = Duration::from_millis(CANCEL_MS_MAX).saturating_sub(since.elapsed());
        let goes_on = |inside: &mut Inside| matches!(inside.running, Some(Running::Ahead(..)));
        let waited = self.ended.wait_timeout_while(inside, left, goes_on);
        let (_inside, late) = waited.unwrap_or_else(PoisonError::into_inner);
        if late.timed_out() { Err(Stuck) } else { Ok(()) }
    }

    /// Cancels the request of this number, if it is there.
    pub(super) fn cancel(&self, id: u32) {
        let mut inside = self.lock();
        if inside.job.is_some_and(|job| job.id == id) {
            inside.is_cancelled = true;
        }
        if let Some(Running::Job(job)) = inside.running
            && job.id == id
        {
            self.end_running();
        }
    }

    /// Takes what may be looked at; what was looked at before is no longer of use.
    pub(super) fn look(&self, part: Excerpt, is_guess: bool) {
        let mut inside = self.lock();
        self.cancel_ahead(&mut inside);
        inside.ahead = Some((part, is_guess));
        self.news.notify_one();
    }

    /// Drops all that was looked at ahead.
    pub(super) fn forget(&self) {
        let mut inside = self.lock();
        self.cancel_ahead(&mut inside);
        (inside.ahead, inside.forgets) = (None, true);
        self.news.notify_one();
    }

    /// Waits for something to do. What it returns runs until [`Desk::end`].
    pub(super) fn next(&self) -> Task {
        let mut inside = self.lock();
        loop {
            if std::mem::take(&mut inside.forgets) {
                return Task::Forget;
            }
            if let Some(job) = inside.job.take() {
                inside.running = Some(Running::Job(job));
                self.cancel.store(inside.is_cancelled, Ordering::SeqCst);
                return Task::Job(job);
            }
            if let Some((part, is_guess)) = inside.ahead.take() {
                inside.running = Some(Running::Ahead(is_guess.then_some(part), None));
                self.cancel.store(false, Ordering::SeqCst);
                return if is_guess {
                    Task::Guess(part)
                } else {
                    Task::Listen(part)
                };
            }
            let woken = self.news.wait(inside);
            inside = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends what runs. Returns the request that it is, or has become.
    pub(super) fn end(&self) -> Option<Job> {
        let mut inside = self.lock();
        let running = inside.running.take();
        self.ended.notify_one();
        match running {
            Some(Running::Job(job)) => Some(job),
            Some(Running::Ahead(..)) | None => None,
        }
    }

    fn cancel_ahead(&self, inside: &mut Inside) {
        if let Some(Running::Ahead(_, cancelled_at @ None)) = &mut inside.running {
            *cancelled_at = Some(Instant::now());
            self.end_running();
        }
    }

    /// Called with the lock held, so that what runs is still what it is meant for.
    fn end_running(&self) {
        self.cancel.store(true, Ordering::SeqCst);
        (self.end_run)();
    }
}

/// The answer to a guess, until it is asked for or must be forgotten.
#[derive(Default)]
pub(super) struct Kept {
    answer: Option<(Excerpt, Answer)>,
}

impl Kept {
    /// Keeps an answer that can be given; any other is not worth it.
    pub(super) fn put(&mut self, part: Excerpt, answer: Answer) {
        self.wipe();
        if let Answer::Done { .. } = answer {
            self.answer = Some((part, answer));
        }
    }

    /// Gives the answer away, if it is to this.
    pub(super) fn take(&mut self, part: Excerpt) -> Option<Answer> {
        let (_, answer) = self.answer.take_if(|(kept, _)| *kept == part)?;
        Some(answer)
    }

    /// What was said is not kept.
    pub(super) fn wipe(&mut self) {
        if let Some((_, Answer::Done { text, .. })) = &mut self.answer {
            text.clear();
            while text.push('\0').is_ok() {}
        }
        self.answer = None;
    }
}

/// Makes the answer of work that began without a number the answer to this request. It tells the
/// time for which the request has waited, the decoder's part of it first.
pub(super) fn to_request(answer: Answer, job: &Job) -> Answer {
    let waited = u32::try_from(job.asked_at.elapsed().as_millis()).unwrap_or(u32::MAX);
    match answer {
        // A worker that lies goes on lying.
        Answer::Failed { id, fault } => Answer::Failed {
            id: id.wrapping_add(job.id),
            fault,
        },
        mut answer => {
            if let Answer::Done {
                id,
                encode_ms,
                decode_ms,
                ..
            } = &mut answer
            {
                *id = id.wrapping_add(job.id);
                *decode_ms = waited.min(*decode_ms);
                *encode_ms = (waited - *decode_ms).min(*encode_ms);
            }
            answer
        }
    }
}

const _: () = assert!(NOT_ASKED == 0); // so that a number added to it is that number

#[cfg(test)]
mod tests;
