//! The end of a storm: recordings and their results, and all at rest.
//!
//! Recordings in; once nothing fails any more, their results compared with an undisturbed run.
//! Compiled for tests only.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pressel_pipeline::limits::{JOB_RETRY_MS, RESTART_WINDOW_MS, SLOT_COUNT};
use pressel_pipeline::session;
use pressel_wire::{HostMessage, JobState};

use super::air::text_of;
use super::life::Life;
use super::world::World;
use crate::jobs::JobRequest;
use crate::jobs::results::beside;
use crate::jobs::sim::{Piece, Tape};
use crate::jobs::undisturbed;
use crate::slots::Slots as _;

/// Recordings that wait at most.
const RECORDINGS_MAX: usize = 12;
/// All must come to rest within this time, and this for each recording. Files may have to wait
/// first, after many losses over their chunks.
const REST_MS: (u64, u64) = (RESTART_WINDOW_MS + 400_000, 60_000);

/// A recording that is not done, and the files that an undisturbed run gives.
pub(super) struct Recording {
    path: PathBuf,
    results: BTreeMap<PathBuf, Vec<u8>>,
}

impl World {
    /// Puts a recording into the spool, and says so or not.
    pub(super) fn record_tape(&mut self) {
        if RECORDINGS_MAX <= self.recordings.len() {
            return;
        }
        self.counts.jobs += 1;
        let count = self.dice.between(1, 6);
        let piece = |number| match self.dice.below(10) {
            0 | 1 => Piece::Silence,
            2 => Piece::Noise,
            // Unlike all others, so that a chunk that is heard again is known.
            _ => Piece::Words(format!("{} {number}", self.counts.jobs).leak()),
        };
        let pieces: Vec<_> = (0..count).map(piece).collect();
        let tape = Tape::new(&pieces);
        let name = format!("{}.wav", self.counts.jobs);
        let results = undisturbed::results(&name, &tape, text_of);
        let path = self.place.folder.put(&name, &tape);
        if self.dice.chance(500) {
            self.ask(JobRequest::Add { path: path.clone() });
        }
        self.recordings.push(Recording { path, results });
    }

    /// After the storm: with everything well, all comes to rest in bounded time.
    pub(super) fn rest(&mut self) {
        self.counts.rests += 1;
        self.calm = true;
        self.answer = None;
        self.work.poison = 0;
        self.mend();
        self.place.button.put(false);
        self.place.mute.put(false);
        self.host.say(&HostMessage::Mute(false));
        let recordings = self.recordings.len() as u64;
        let until = self.now + REST_MS.0 + REST_MS.1 * recordings;
        let mut ticks = 0;
        while !self.is_at_rest() {
            assert!(self.now < until, "no rest: {}", self.describe());
            self.tick(50);
            ticks += 1;
            if ticks % 20 == 0 {
                // What noise may have hidden is said again.
                self.host.say(&HostMessage::Mute(false));
                self.host.say(&HostMessage::PttUp);
                self.take_results();
            }
        }
        // Checkpoints that a failed disk did not take are written at the next try.
        if std::mem::take(&mut self.has_failed) {
            (0..JOB_RETRY_MS / 50 + 20).for_each(|_| self.tick(50));
        }
        self.checks.at_rest();
        self.checks.delivery(&self.host);
        let listener = &mut self.life.room.listener;
        listener.slots().wipe_free();
        let mut slots = listener.slots().kept().to_vec();
        slots.sort_unstable();
        assert_eq!(slots, Vec::from_iter(0..SLOT_COUNT as u8));
        self.calm = false;
    }

    fn is_at_rest(&self) -> bool {
        let Life {
            main_loop,
            room,
            desk,
            ..
        } = &self.life;
        let recogniser = &main_loop.recogniser;
        let boot = desk.journal.epoch();
        self.recordings.is_empty()
            && main_loop.open.is_none()
            && main_loop.session == session::State::Idle
            && recogniser.is_ready()
            && !recogniser.is_running()
            && recogniser.waiting_count() == 0
            && !recogniser.has_chunk()
            && main_loop.commands.is_empty()
            && main_loop.errands.is_empty()
            && main_loop.neighbours.ends.events.is_empty()
            && room.events.is_empty()
            && desk.errands.is_empty()
            && !desk.journal.is_behind()
            && self.checks.end_mark(boot) <= self.host.mark()
            && self.host.mark() <= main_loop.outbox.acknowledged()
    }

    fn describe(&self) -> String {
        let main_loop = &self.life.main_loop;
        let recordings = self.recordings.iter().map(|recording| &recording.path);
        let mut unfinished = self.jobs.clone();
        unfinished.retain(|job| recordings.clone().any(|path| *path == job.path));
        format!(
            "recordings={:?} jobs={unfinished:?} open={:?} session={:?} ready={} running={} \
             waiting={} chunk={} host={:?} acknowledged={:?} end={:?} journal_behind={}",
            recordings.clone().collect::<Vec<_>>(),
            main_loop.open,
            main_loop.session,
            main_loop.recogniser.is_ready(),
            main_loop.recogniser.is_running(),
            main_loop.recogniser.waiting_count(),
            main_loop.recogniser.has_chunk(),
            self.host.mark(),
            main_loop.outbox.acknowledged(),
            self.checks.end_mark(self.life.desk.journal.epoch()),
            self.life.desk.journal.is_behind(),
        )
    }

    /// Takes results of jobs that are done, and has others tried again that have ended.
    fn take_results(&mut self) {
        let answer = self.answer.take().and_then(|answer| answer.try_recv().ok());
        self.answer = self.life.client.send(JobRequest::List).ok();
        let Some(Ok(jobs)) = answer else { return };
        self.jobs = jobs;
        let mut index = 0;
        while let Some(recording) = self.recordings.get(index) {
            let mut jobs = self.jobs.iter();
            let job = jobs.find(|job| job.path == recording.path);
            match job.map(|job| (job.number, job.code())) {
                Some((_, JobState::Done)) => {
                    self.compare(index);
                    continue;
                }
                Some((number, JobState::Failed | JobState::Cancelled | JobState::Quarantined)) => {
                    self.counts.retried += 1;
                    self.ask(JobRequest::Retry { number });
                }
                Some(_) => {}
                None => self.ask_for_forgotten(index),
            }
            index += 1;
        }
    }

    /// The results of a recording are those of an undisturbed run.
    fn compare(&mut self, index: usize) {
        let done = self.recordings.swap_remove(index);
        let files = self.place.folder.files();
        let text = |content: &Vec<u8>| String::from_utf8_lossy(content).into_owned();
        for (path, content) in &done.results {
            let found = files.get(path).map(text);
            assert_eq!(found, Some(text(content)), "{}", path.display());
        }
        self.place.folder.take_away(&done.path);
    }

    /// A disk that failed may have cost the job's state: then the spool leaves a recording alone
    /// that has results, or was given up, and who wants it done adds it by its name.
    fn ask_for_forgotten(&mut self, index: usize) {
        let path = self.recordings[index].path.clone();
        let files = self.place.folder.files();
        let has_results = files.contains_key(&beside(&path, "json"));
        if !has_results && !files.contains_key(&beside(&path, "error.txt")) {
            return; // The spool takes it soon.
        }
        assert!(self.has_failed, "a job is forgotten, and no disk failed");
        self.counts.forgotten += 1;
        if has_results {
            self.compare(index);
        } else {
            self.ask(JobRequest::Add { path });
        }
    }
}
