//! The desk: requests of those who manage jobs, and their answers.
//!
//! Runs in the turn of the thread `jobs`, so that an answer is never older than a turn.

use pressel_pipeline::time::Millis;

use super::doors::{JobInfo, JobRequest};
use super::job::{Stand, one_line};
use super::record::{Head, Record};
use super::results;
use super::turn::Core;

impl Core {
    /// Answers all requests that wait.
    pub(super) fn answer_requests(&mut self, now: Millis) {
        while let Ok(call) = self.parts.inside.calls.try_recv() {
            let answer = self.answer(call.request, now);
            // Who asked may have given up.
            call.reply.try_send(answer).ok();
        }
    }

    fn answer(&mut self, request: JobRequest, now: Millis) -> Result<Vec<JobInfo>, String> {
        let number = match request {
            JobRequest::List => {
                return Ok(self.parts.store.jobs().map(super::job::Job::info).collect());
            }
            JobRequest::Add { path } => self.add(&path, now)?,
            JobRequest::Cancel { number } => self.cancel(number, now)?,
            JobRequest::Retry { number } => self.retry(number, now)?,
        };
        let job = self.parts.store.job(number);
        Ok(job.map(super::job::Job::info).into_iter().collect())
    }

    fn add(&mut self, path: &std::path::Path, now: Millis) -> Result<u32, String> {
        if let Some(why) = results::refuse(path) {
            return Err(why);
        }
        let links = self.links(path);
        let stamp = self.parts.recordings.stamp(path, links).map_err(|error| {
            let name = one_line(path);
            format!("{name}: cannot be added ({error}): check the path")
        })?;
        let head = Head::new(path, stamp, &self.parts.model);
        let store = &mut self.parts.store;
        let Some(number) = store.number_of(path) else {
            let number = store.add(head, now)?;
            log::info!("job added number={number} by=request");
            return Ok(number);
        };
        let Some(job) = store.job(number) else {
            return Ok(number);
        };
        let (is_done, is_same) = (job.stand == Stand::Done, job.stamp == stamp);
        let recordings = self.parts.recordings.as_ref();
        if job.has_ended() && !is_same {
            store.note(number, Record::Head(head), now);
        } else if job.stand == Stand::Removed {
            store.note(number, Record::Retried, now);
        } else if is_done && !results::are_there(recordings, path, stamp) {
            // Its results were removed: they are written again.
            store.note(number, Record::Retried, now);
        }
        Ok(number)
    }

    fn cancel(&mut self, number: u32, now: Millis) -> Result<u32, String> {
        let job = self.parts.store.job(number);
        let job = job.ok_or_else(|| unknown(number))?;
        if job.stand == Stand::Cancelled {
            return Ok(number);
        }
        if job.has_ended() {
            let state = job.code();
            return Err(format!("job {number} has ended already: it is {state}"));
        }
        // What the main loop has of it comes back and is not looked at.
        self.hand.take_if(|hand| hand.number == number);
        self.parts.store.note(number, Record::Cancelled, now);
        log::info!("job cancelled number={number}");
        Ok(number)
    }

    fn retry(&mut self, number: u32, now: Millis) -> Result<u32, String> {
        let job = self.parts.store.job(number);
        let job = job.ok_or_else(|| unknown(number))?;
        match job.stand {
            Stand::Failed(_) | Stand::Cancelled | Stand::Quarantined(_) | Stand::Removed => {
                self.parts.store.note(number, Record::Retried, now);
                log::info!("job is tried again number={number}");
                Ok(number)
            }
            _ => {
                let state = job.code();
                Err(format!(
                    "job {number} is {state}: only failed, cancelled and quarantined jobs are \
                     tried again"
                ))
            }
        }
    }
}

fn unknown(number: u32) -> String {
    format!("there is no job {number}: `pressel jobs list` shows all")
}
