//! What the thread `jobs` does in a turn.
//!
//! ```text
//! requests ──┐                                       ┌─▶ chunk in its slot ─▶ main loop
//! spool ─────┼─▶ jobs and their checkpoints ─▶ work ─┤
//! finished ──┘                                       └─▶ results beside the recording
//! ```
//!
//! [`Core::turn`] is one turn: it never waits, and takes as long as one chunk to read and hear. The
//! time comes from outside, so that a test has its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pressel_pipeline::time::Millis;
use pressel_wire::{Job as Told, LEFT_UNKNOWN};

use super::checkpoints::Store;
use super::doors::{JOB_NEWS_MAX, JobNews, JobsInside};
use super::in_hand::Hand;
use super::job::Stand;
use super::record::{Head, Record, Stamp};
use super::recordings::{Links, Recordings};
use super::results::{self, Shelf};
use super::spool::Spool;
use crate::bell::Bell;
use crate::chunks::Cut;
use crate::listen::Ears;
use crate::slots::ChunkSlot;
use crate::vitals::Vitals;

/// Longest time between two turns.
pub const TURN_MS_MAX: Millis = 1_000;

/// Loads the ears, or says why not.
pub type LoadEars = Box<dyn FnMut() -> Result<Ears, String> + Send>;

/// What jobs work with.
pub struct Parts {
    /// Jobs and their checkpoints.
    pub store: Store,
    /// The watched folder, if there is one.
    pub spool: Option<Spool>,
    /// Where recordings are read.
    pub recordings: Box<dyn Recordings>,
    /// Where results are written.
    pub shelf: Box<dyn Shelf>,
    /// The doors.
    pub inside: JobsInside,
    /// Wakes the main loop.
    pub main_bell: Bell,
    /// Where a chunk is written.
    pub slot: Box<dyn ChunkSlot>,
    /// How recordings are cut, as `recordings` does it.
    pub cut: Cut,
    /// Loads what tells speech from silence.
    pub load_ears: LoadEars,
    /// Which version of which model hears the chunks.
    pub model: String,
    /// Jobs are only kept, none is begun: safe mode.
    pub paused: bool,
    /// Where panics are counted.
    pub vitals: Arc<Vitals>,
    /// The end has come: what is being heard is not heard to its end.
    pub stop: Arc<AtomicBool>,
}

/// The inside of the thread.
pub struct Core {
    pub(super) parts: Parts,
    pub(super) ears: Option<Ears>,
    /// The job that is being worked at.
    pub(super) hand: Option<Hand>,
    /// The chunk that the main loop has: the slot is not ours. Its job may be gone.
    pub(super) under_way: Option<u32>,
    /// Number of the last chunk.
    pub(super) id: u32,
}

impl Core {
    /// Puts the parts together; nothing is read yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            ears: None,
            hand: None,
            under_way: None,
            id: 0,
        }
    }

    /// Does what there is to do now, and returns how long there is nothing more, if nobody rings.
    pub fn turn(&mut self, now: Millis) -> Millis {
        self.parts.store.flush(now);
        // Jobs of a disk that has come back may have taken its number.
        let store = &self.parts.store;
        self.hand.take_if(|hand| {
            let job = store.job(hand.number);
            job.is_none_or(|job| job.stand != Stand::Running)
        });
        self.answer_requests(now);
        self.take_finished(now);
        self.look_into_spool(now);
        let is_busy = !self.parts.paused && self.work(now);
        self.tell();
        if is_busy { 0 } else { self.rest(now) }
    }

    /// Goes on after a panic in a turn: what was in hand is put down, twice at most.
    pub fn recover(&mut self, now: Millis) {
        self.parts.vitals.panicked();
        self.ears = None;
        if let Some(hand) = self.hand.take() {
            self.blame(hand.number, now);
        }
    }

    /// Makes durable what waits, at the end.
    pub fn finish(&mut self, now: Millis) {
        self.hand = None;
        self.parts.store.flush(now);
    }

    /// Returns whether a recording may be a link: not in the spool.
    pub(super) fn links(&self, path: &Path) -> Links {
        match &self.parts.spool {
            Some(spool) if spool.holds(path) => Links::Refused,
            _ => Links::Followed,
        }
    }

    /// Makes jobs of recordings in the spool that have stopped growing.
    fn look_into_spool(&mut self, now: Millis) {
        let Parts {
            spool,
            recordings,
            store,
            model,
            ..
        } = &mut self.parts;
        let Some(spool) = spool else { return };
        let recordings = recordings.as_ref();
        let is_settled = |path: &Path, stamp| is_settled(store, recordings, path, stamp);
        let found = spool.look(now, recordings, &is_settled);
        for (path, stamp) in found {
            let head = Head::new(&path, stamp, model);
            if let Some(job) = store.number_of(&path).and_then(|number| store.job(number)) {
                // Another version of one that has not ended is found when its turn comes.
                let number = job.number;
                if job.stand == Stand::Removed && job.stamp == stamp {
                    log::info!("job goes on, its recording is back number={number}");
                    store.note(number, Record::Retried, now);
                } else if job.has_ended() && job.stamp != stamp {
                    log::info!("job begins anew, its recording has changed number={number}");
                    store.note(number, Record::Head(head), now);
                }
            } else if let Some(why) = results::refuse(&path) {
                log::warn!("{why}");
            } else if !results::are_there(recordings, &path, stamp)
                && !results::was_given_up(recordings, &path, stamp)
            {
                match store.add(head, now) {
                    Ok(number) => log::info!("job added number={number} by=spool"),
                    // It stays in the spool.
                    Err(_) => break,
                }
            }
            spool.settle(&path);
        }
    }

    /// Tells the main loop how far the jobs are.
    fn tell(&mut self) {
        let mut rings = false;
        for job in self.parts.store.jobs_mut() {
            let now = (job.code(), job.percent());
            // One place is the chunk's.
            if job.told == Some(now) || JOB_NEWS_MAX <= self.parts.inside.news.len() + 1 {
                continue;
            }
            let told = Told {
                number: job.number,
                state: now.0,
                percent: now.1,
                left_s: job.left_s.unwrap_or(LEFT_UNKNOWN),
            };
            if self
                .parts
                .inside
                .news
                .try_send(JobNews::Progress(told))
                .is_ok()
            {
                job.told = Some(now);
                rings = true;
            }
        }
        if rings {
            self.parts.main_bell.ring();
        }
    }

    fn rest(&self, now: Millis) -> Millis {
        // A chunk that the main loop has rings when it is back.
        let hand = self.hand.as_ref().filter(|_| self.under_way.is_none());
        let again_at = hand.and_then(Hand::again_at);
        let is_told = |job: &super::job::Job| job.told == Some((job.code(), job.percent()));
        let rest = again_at.map_or(TURN_MS_MAX, |at| at.saturating_sub(now));
        // The link takes progress as fast as it can.
        let rest_told = if self.parts.store.jobs().all(is_told) {
            TURN_MS_MAX
        } else {
            100
        };
        rest.min(rest_told).min(TURN_MS_MAX)
    }
}

/// Returns whether this version of a recording needs no job, or is one.
fn is_settled(store: &Store, recordings: &dyn Recordings, path: &Path, stamp: Stamp) -> bool {
    match store.number_of(path).and_then(|number| store.job(number)) {
        Some(job) => job.stamp == stamp && job.stand != Stand::Removed,
        None => {
            results::are_there(recordings, path, stamp)
                || results::was_given_up(recordings, path, stamp)
        }
    }
}
