//! The job in hand: opened, read chunk by chunk, ended.
//!
//! ```text
//! begin ─▶ read a chunk ─▶ main loop has it ─┬─ text, no speech: checkpoint ─▶ read the next
//!   │          │ end           ▲              ├─ dropped: ─┐
//!   │          ▼               └──────────────────────────┘
//!   │      write results ─▶ done              └─ failed: quarantined
//!   └─ away, changing, disk fails: paused, tried again; not a recording: failed
//! ```
//!
//! Of windows, only their answer says where the next one begins: see
//! [`window`](crate::window). One chunk is under way at a time. A chunk counts once its checkpoint
//! is made; whatever happens before that, it is done again.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pressel_pipeline::limits::{CHUNK_AGAIN_MS, JOB_MODEL_BYTES_MAX, JOB_RETRY_MS, SPOOL_EVERY_MS};
use pressel_pipeline::time::Millis;
use pressel_pipeline::waiting::Utterance;
use pressel_wire::text::cut;

use super::answers::learn;
use super::doors::JobNews;
use super::job::Stand;
use super::record::{Head, Record, Said, Window};
use super::recordings::Reader;
use super::turn::Core;
use crate::audio_file::Damage;
use crate::chunks::Cut;
use crate::keeper::report::seconds;
use crate::window::Context;

/// The job that is being worked at.
pub(super) struct Hand {
    pub(super) number: u32,
    pub(super) reader: Option<Box<dyn Reader>>,
    pub(super) said: Vec<Window>,
    /// What the next window wants to know of them.
    pub(super) context: Context,
    pub(super) chunk: Option<Pending>,
    /// When, and where in the recording, it was begun this time.
    pub(super) began: (Millis, u64),
}

/// The chunk in the slot.
pub(super) struct Pending {
    pub(super) utterance: Utterance,
    pub(super) from: u64,
    pub(super) again_at: Millis,
}

impl Hand {
    /// Returns when its chunk is given to the main loop again.
    pub(super) fn again_at(&self) -> Option<Millis> {
        self.chunk.as_ref().map(|chunk| chunk.again_at)
    }

    pub(super) fn position(&self) -> u64 {
        self.said.last().map_or(0, |last| last.said.next)
    }
}

impl Core {
    /// Does one step of work. Returns false when there is nothing to do.
    pub(super) fn work(&mut self, now: Millis) -> bool {
        let Some(hand) = &mut self.hand else {
            return self.begin_next(now);
        };
        if self.under_way.is_some() {
            return false;
        }
        match &hand.chunk {
            Some(chunk) if now < chunk.again_at => false,
            Some(_) => self.send(now),
            None => {
                self.read_on(now);
                true
            }
        }
    }

    /// Takes the oldest job whose turn it is.
    fn begin_next(&mut self, now: Millis) -> bool {
        let due = self.parts.store.jobs().find(|job| job.is_due(now));
        let Some(number) = due.map(|job| job.number) else {
            return false;
        };
        // In hand before anything is opened: a panic from here on is counted against it.
        self.hand = Some(Hand {
            number,
            reader: None,
            said: Vec::new(),
            context: Context::default(),
            chunk: None,
            began: (now, 0),
        });
        self.begin(number, now);
        true
    }

    fn begin(&mut self, number: u32, now: Millis) {
        if !self.is_same_recording(number, now) {
            return;
        }
        let Some(job) = self.parts.store.job(number).cloned() else {
            return self.hand = None;
        };
        if job.model != cut(&self.parts.model, JOB_MODEL_BYTES_MAX) {
            log::info!("job begins anew, the model has changed number={number}");
            let head = Head::new(&job.path, job.stamp, &self.parts.model);
            self.parts.store.note(number, Record::Head(head), now);
        }
        let said = match self.parts.store.said(number) {
            Ok(said) => said,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                log::warn!("job begins anew, its checkpoints are gone number={number}");
                let head = Head::new(&job.path, job.stamp, &self.parts.model);
                self.parts.store.begin_anew(number, head, now);
                Vec::new()
            }
            Err(error) => {
                let why = format!("its checkpoints cannot be read ({error}): check the disk");
                return self.pause(number, why, now + JOB_RETRY_MS);
            }
        };
        let position = said.last().map_or(0, |last| last.said.next);
        let mut context = Context::default();
        for window in &said {
            learn(&mut context, window);
        }
        let heard = self.parts.store.job(number).and_then(|job| job.heard);
        let mut reader = None;
        if heard.is_none() {
            let links = self.links(&job.path);
            match self.parts.recordings.open(&job.path, links, position) {
                Ok(opened) if opened.position() == position => reader = Some(opened),
                // It is shorter than it was: its checkpoints are of something else.
                Ok(_) => {
                    let head = Head::new(&job.path, job.stamp, &self.parts.model);
                    self.parts.store.note(number, Record::Head(head), now);
                    return self.hand = None;
                }
                Err(error) => return self.reading_failed(number, &error, now),
            }
        }
        if let Some(job) = self.parts.store.job_mut(number) {
            if let Some(reader) = &reader {
                job.duration = reader.duration();
            }
            job.stand = Stand::Running;
        }
        log::info!("job begun number={number} at={:.1}", seconds(position));
        self.hand = Some(Hand {
            number,
            reader,
            said,
            context,
            chunk: None,
            began: (now, position),
        });
    }

    /// Returns whether the recording is the version that the job is about; otherwise the job is put
    /// down.
    fn is_same_recording(&mut self, number: u32, now: Millis) -> bool {
        let Some(path) = self.parts.store.job(number).map(|job| job.path.clone()) else {
            self.hand = None;
            return false;
        };
        let found = self.parts.recordings.stamp(&path, self.links(&path));
        let Some(job) = self.parts.store.job_mut(number) else {
            return false;
        };
        let stamp = match found {
            Ok(stamp) => stamp,
            Err(error) => {
                self.stamp_failed(number, &path, &error, now);
                return false;
            }
        };
        job.away_since = None;
        if stamp == job.stamp {
            job.other = None;
            return true;
        }
        match job.other {
            // It is another one, and has stopped growing.
            Some((other, since)) if other == stamp && since + SPOOL_EVERY_MS <= now => {
                log::info!("job begins anew, its recording has changed number={number}");
                let head = Head::new(&job.path, stamp, &self.parts.model);
                self.parts.store.note(number, Record::Head(head), now);
                true
            }
            other => {
                if other.is_none_or(|(other, _)| other != stamp) {
                    job.other = Some((stamp, now));
                }
                let why = "the recording is changing: it is taken when it has stopped growing";
                self.pause(number, why.to_owned(), now + SPOOL_EVERY_MS);
                false
            }
        }
    }

    fn stamp_failed(&mut self, number: u32, path: &Path, error: &io::Error, now: Millis) {
        let why = if error.kind() == io::ErrorKind::NotFound {
            if self.is_removed(number, path, now) {
                return self.end_removed(number, path, now);
            }
            "the recording is away: put it back, or cancel the job".to_owned()
        } else {
            if let Some(job) = self.parts.store.job_mut(number) {
                job.away_since = None;
            }
            format!("the recording cannot be read ({error}): check the disk and the cable")
        };
        self.pause(number, why, now + SPOOL_EVERY_MS);
    }

    /// Reads the next chunk, or ends the job behind its last one.
    fn read_on(&mut self, now: Millis) {
        let Some(number) = self.hand.as_ref().map(|hand| hand.number) else {
            return;
        };
        if !self.is_same_recording(number, now) {
            return;
        }
        if self.parts.store.is_full(number) {
            let why = "the recording is too long: cut it into parts".to_owned();
            return self.give_up(number, why, now);
        }
        let Some(hand) = &mut self.hand else { return };
        let from = hand.position();
        let Some(reader) = &mut hand.reader else {
            return self.write_results(now);
        };
        if self.ears.is_none() {
            match (self.parts.load_ears)() {
                Ok(mut ears) => {
                    let stop = Arc::clone(&self.parts.stop);
                    ears.serve_jobs(stop, Arc::clone(&self.parts.vitals));
                    self.ears = Some(ears);
                }
                Err(why) => return self.pause(number, why, now + JOB_RETRY_MS),
            }
        }
        let Some(ears) = &mut self.ears else { return };
        let slot = self.parts.slot.as_mut();
        let chunk = match reader.next(ears, slot.samples()) {
            Ok(chunk) => chunk,
            Err(error) => return self.reading_failed(number, &error, now),
        };
        let is_window = matches!(self.parts.cut, Cut::Windows);
        slot.note(is_window.then_some(&hand.context));
        if self.parts.stop.load(Ordering::Relaxed) {
            return self.hand = None; // It was not heard to its end.
        }
        if let Some(job) = self.parts.store.job_mut(number) {
            job.read_tries = 0;
        }
        match chunk {
            None => self.heard_all(now),
            Some(chunk) if chunk.samples == 0 || chunk.speech.is_none() => {
                self.checkpoint(silence(from, chunk.next).into(), now);
            }
            Some(chunk) => {
                hand.chunk = Some(Pending {
                    // It is numbered when it is sent.
                    utterance: chunk.utterance(0, now),
                    from,
                    again_at: now,
                });
                self.send(now);
            }
        }
    }

    fn heard_all(&mut self, now: Millis) {
        let Some(hand) = &mut self.hand else { return };
        let Some(reader) = hand.reader.take() else {
            return;
        };
        let (number, from) = (hand.number, hand.position());
        let damage = reader.damage();
        if damage != Damage::default() {
            log::warn!(
                "job has a damaged recording number={number} truncated={} broken_frames={}",
                damage.truncated,
                damage.broken_frames
            );
        }
        if reader.fell_back() {
            log::warn!("voice activity model failed, the level decided job={number}");
        }
        let samples = reader.position().max(from);
        let heard = Record::Heard { from, samples };
        self.parts.store.note(number, heard, now);
    }

    /// Gives the chunk to the main loop. Returns false when there is no room.
    fn send(&mut self, now: Millis) -> bool {
        let Some(chunk) = self.hand.as_mut().and_then(|hand| hand.chunk.as_mut()) else {
            return false;
        };
        self.id = self.id.wrapping_add(1);
        chunk.utterance.id = self.id;
        let sent = self
            .parts
            .inside
            .news
            .try_send(JobNews::Chunk(chunk.utterance));
        if sent.is_err() {
            chunk.again_at = now + CHUNK_AGAIN_MS;
            return false;
        }
        self.under_way = Some(self.id);
        self.parts.main_bell.ring();
        true
    }
}

fn silence(from: u64, next: u64) -> Said {
    Said {
        from,
        next,
        start: from,
        samples: 0,
        text: String::new(),
        language: [0; 2],
        confidence: 0,
    }
}
