//! How the job in hand ends, or is put down for a while.
//!
//! Its results or its fault in; files beside the recording and a record out. Runs in the turn of
//! the thread `jobs`.

use std::path::Path;

use pressel_pipeline::limits::{
    JOB_PANICS_MAX, JOB_READ_TRIES_MAX, JOB_RETRY_MS, JOB_WHY_BYTES_MAX, SPOOL_EVERY_MS,
};
use pressel_pipeline::time::Millis;
use pressel_wire::text::cut;

use super::job::{Job, Stand};
use super::record::{Record, Window};
use super::results;
use super::turn::Core;
use crate::audio_file::{AudioFileError, Fault};
use crate::keeper::report::seconds;
use crate::transcript::{Collected, Transcript};

impl Core {
    pub(super) fn write_results(&mut self, now: Millis) {
        let Some(hand) = &self.hand else { return };
        let number = hand.number;
        let Some(job) = self.parts.store.job(number) else {
            return self.hand = None;
        };
        let heard = job.heard.unwrap_or_else(|| hand.position());
        let path = job.path.clone();
        let rights = self.parts.recordings.rights(&path, self.links(&path));
        let shelf = self.parts.shelf.as_mut();
        let written = match transcript(job, &hand.said, heard) {
            Ok(transcript) => results::write_all(shelf, &path, number, rights, &transcript),
            // Chunks that overlap: a fault of ours.
            Err(why) => return self.give_up(number, why, now),
        };
        match written {
            Ok(()) => {
                self.hand = None;
                self.parts.store.note(number, Record::Done, now);
                log::info!("job done number={number} duration_s={:.1}", seconds(heard));
            }
            Err(error) => {
                let why = format!(
                    "its results cannot be written beside it ({error}): make room there, or make \
                     the folder writable"
                );
                self.pause(number, why, now + JOB_RETRY_MS);
            }
        }
    }

    /// A recording that cannot be read fails its job; one that is away, or on a failing disk, is
    /// tried again.
    pub(super) fn reading_failed(&mut self, number: u32, error: &AudioFileError, now: Millis) {
        let Some(job) = self.parts.store.job_mut(number) else {
            return self.hand = None;
        };
        match error.fault {
            Fault::Missing => self.pause(number, error.to_string(), now + SPOOL_EVERY_MS),
            Fault::Io { .. } if job.read_tries + 1 < JOB_READ_TRIES_MAX => {
                job.read_tries += 1;
                self.pause(number, error.to_string(), now + JOB_RETRY_MS);
            }
            _ => self.give_up(number, error.to_string(), now),
        }
    }

    /// Returns whether its owner took a recording out of the spool: it is away, for the second time
    /// at least, while the folder is there. Other recordings may come back with their stick.
    pub(super) fn is_removed(&mut self, number: u32, path: &Path, now: Millis) -> bool {
        let spool = self.parts.spool.as_ref();
        let is_watched = spool.is_some_and(|spool| spool.is_there() && spool.holds(path));
        let Some(job) = self.parts.store.job_mut(number) else {
            return false;
        };
        if !is_watched {
            // The time counts from when the folder is there.
            job.away_since = Some(now);
            return false;
        }
        let since = *job.away_since.get_or_insert(now);
        since + SPOOL_EVERY_MS <= now
    }

    pub(super) fn end_removed(&mut self, number: u32, path: &Path, now: Millis) {
        log::info!("job cancelled, its recording was removed number={number}");
        self.hand = None;
        self.parts.store.note(number, Record::Removed, now);
        if let Some(spool) = &mut self.parts.spool {
            // Should it come back, it goes on.
            spool.unsettle(path);
        }
    }

    pub(super) fn pause(&mut self, number: u32, why: String, again_at: Millis) {
        self.hand = None;
        if let Some(job) = self.parts.store.job_mut(number) {
            if !matches!(&job.stand, Stand::Paused { why: before, .. } if *before == why) {
                log::warn!("job paused number={number}: {why}");
            }
            job.stand = Stand::Paused { why, again_at };
            job.left_s = None;
        }
    }

    /// Ends a job that cannot be done.
    pub(super) fn give_up(&mut self, number: u32, why: String, now: Millis) {
        log::warn!("job failed number={number}: {why}");
        self.put_aside(number, why, now, |why| Record::Failed { why });
    }

    /// Ends a job that does harm.
    pub(super) fn quarantine(&mut self, number: u32, why: String, now: Millis) {
        log::error!("job quarantined number={number}: {why}");
        self.put_aside(number, why, now, |why| Record::Quarantined { why });
    }

    pub(super) fn put_aside(
        &mut self,
        number: u32,
        why: String,
        now: Millis,
        of: fn(String) -> Record,
    ) {
        self.hand = None;
        let why = cut(&why, JOB_WHY_BYTES_MAX).to_owned();
        if let Some(job) = self.parts.store.job(number) {
            let (path, name) = (job.path.clone(), job.name());
            let line = if why.contains(&name) {
                why.clone()
            } else {
                format!("{name}: {why}")
            };
            let rights = self.parts.recordings.rights(&path, self.links(&path));
            let shelf = self.parts.shelf.as_mut();
            if let Err(error) = results::write_error(shelf, &path, number, rights, &line) {
                log::warn!("{name}: the reason cannot be written beside it ({error})");
            }
        }
        self.parts.store.note(number, of(why), now);
    }

    /// Counts a panic against a job.
    pub(super) fn blame(&mut self, number: u32, now: Millis) {
        let Some(job) = self.parts.store.job_mut(number) else {
            return;
        };
        job.panics += 1;
        if job.panics < JOB_PANICS_MAX {
            job.stand = Stand::Waiting;
            return;
        }
        let at = seconds(job.position);
        let why = format!(
            "this program panicked {JOB_PANICS_MAX} times at {at:.1} s: please report the log; \
             `pressel jobs retry {number}` tries again"
        );
        self.quarantine(number, why, now);
    }
}

/// Makes the result of all that was said, as `pressel transcribe` does.
fn transcript(job: &Job, said: &[Window], heard: u64) -> Result<Transcript, String> {
    let mut collected = Collected::default();
    for Window { said, spans, .. } in said {
        collected.add(said.start..said.next, &said.text, spans, said.language);
    }
    let transcript = collected.into_transcript(&job.path, heard);
    transcript.map_err(|error| format!("{error}: please report this"))
}
