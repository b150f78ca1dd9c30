//! Files: the main loop's side of the thread `jobs`.
//!
//! Chunks and progress in; chunks' results back to `jobs`, and progress out on the serial line.
//! Runs on the main loop. Progress goes out when the line has nothing else to carry, so that it
//! never delays an outcome by more than one frame.

use pressel_pipeline::time::Millis;
use pressel_pipeline::waiting::Utterance;
use pressel_wire::{DeviceMessage, DropReason, Job, OutcomeResult};

use super::MainLoop;
use crate::jobs::JobNews;
use crate::jobs::doors::JOB_NEWS_MAX;
use crate::outcome::Finished;

/// What the main loop keeps of file jobs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Files {
    /// For a panic: the chunk that `jobs` waits for.
    pub(super) chunk: Option<Utterance>,
    /// The newest progress.
    job: Option<Job>,
    /// What the host was told.
    told: Option<Job>,
}

impl Files {
    /// The host was greeted: it is told again about a job that goes on.
    pub(super) fn greeted(&mut self) {
        if self.job.is_some_and(|job| !job.state.has_ended()) {
            self.told = None;
        }
    }
}

impl MainLoop {
    pub(super) fn take_jobs(&mut self, now: Millis) {
        for _ in 0..JOB_NEWS_MAX {
            let Ok(news) = self.neighbours.jobs.news.try_recv() else {
                return;
            };
            match news {
                JobNews::Chunk(chunk) => {
                    self.files.chunk = Some(chunk);
                    self.recogniser.put_chunk(chunk, now);
                    self.settle(now);
                }
                JobNews::Progress(job) => {
                    // The last word about one job goes out before the first about another.
                    if self.files.job.is_some_and(|old| old.number != job.number) {
                        self.tell_job();
                    }
                    self.files.job = Some(job);
                }
            }
        }
    }

    /// Gives a chunk's result to `jobs`, which owns its slot again.
    pub(super) fn give_back_chunk(&mut self, finished: Finished) {
        // One chunk is under way at a time, so there is room; at the end `jobs` may be gone.
        self.neighbours.jobs.done.try_send(finished).ok();
        self.files.chunk = None;
        self.neighbours.jobs.bell.ring();
    }

    /// After a panic: a chunk that nobody has any more is to be done again.
    pub(super) fn recover_chunk(&mut self, now: Millis) {
        if let Some(chunk) = self.files.chunk
            && !self.recogniser.has_chunk()
        {
            let internal = OutcomeResult::Dropped(DropReason::Internal);
            self.give_back_chunk(Finished::of(&chunk, internal, now));
        }
    }

    /// Tells progress that is news, if the line carries nothing else. Newer progress replaces what
    /// was not told.
    pub(super) fn tell_job(&mut self) {
        let is_idle = self.serial.is_open() && self.serial.is_flushed();
        if let Some(job) = self.files.job
            && self.files.told != Some(job)
            && is_idle
            && self.serial.send(&DeviceMessage::Job(job))
        {
            self.files.told = Some(job);
        }
    }
}
