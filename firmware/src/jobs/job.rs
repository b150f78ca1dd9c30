//! One job: what its records make of it.
//!
//! Records in, in the order of their file; what is known of the job out. A stretch that does not
//! begin where the last one ended is left out, so that the text of a job never has a hole, whatever
//! happened to its file. Nothing here touches a disk.

use std::path::{Path, PathBuf};

use pressel_pipeline::time::{Millis, millis};
use pressel_wire::JobState;

use super::doors::JobInfo;
use super::record::{Head, Record, Stamp, Window};
use crate::keeper::report::seconds;

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Waits for its turn.
    Waiting,
    /// Is being transcribed.
    Running,
    /// Something is away or fails; it goes on by itself.
    Paused {
        /// What, and what to do.
        why: String,
        /// When it is tried again.
        again_at: Millis,
    },
    /// Its results are written.
    Done,
    /// It cannot be transcribed.
    Failed(String),
    /// Someone cancelled it.
    Cancelled,
    /// It brought the worker or this program down.
    Quarantined(String),
    /// Its recording was removed from the spool; for others it is cancelled. Should the recording
    /// come back, it goes on.
    Removed,
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its number.
    pub number: u32,
    /// The recording.
    pub path: PathBuf,
    /// Which version of it.
    pub stamp: Stamp,
    /// Which version of which model its texts are of.
    pub model: String,
    /// Where it stands.
    pub stand: Stand,
    /// Everything before this sample is done.
    pub position: u64,
    /// Length of the recording in samples, once it was heard to its end.
    pub heard: Option<u64>,
    /// Length of the recording in samples, as its header says.
    pub duration: Option<u64>,
    /// Seconds until it is done.
    pub left_s: Option<u32>,
    /// What the link was told last.
    pub told: Option<(JobState, u8)>,
    /// Another version of the recording, and since when it is that.
    pub other: Option<(Stamp, Millis)>,
    /// Since when the recording is away, as far as that is known.
    pub away_since: Option<Millis>,
    /// Panics of the thread while the job was in hand.
    pub panics: u8,
    /// Tries in a row to read a recording whose disk fails.
    pub read_tries: u8,
}

impl Job {
    /// Makes a job of its first record.
    #[must_use]
    pub fn new(number: u32, head: &Head) -> Self {
        Self {
            number,
            path: head.path(),
            stamp: head.stamp,
            model: head.model.clone(),
            stand: Stand::Waiting,
            position: 0,
            heard: None,
            duration: None,
            left_s: None,
            told: None,
            other: None,
            away_since: None,
            panics: 0,
            read_tries: 0,
        }
    }

    /// Learns from a record that was read or made.
    pub fn learn(&mut self, record: &Record) {
        match record {
            Record::Head(head) => {
                *self = Self {
                    told: self.told,
                    ..Self::new(self.number, head)
                }
            }
            Record::Chunk(said) | Record::Window(Window { said, .. })
                if said.follows(self.position) =>
            {
                self.position = said.next;
            }
            Record::Chunk(_) | Record::Window(_) => {}
            Record::Heard { from, samples } if *from == self.position => {
                self.heard = Some(*samples);
            }
            Record::Heard { .. } => {}
            Record::Done => self.end(Stand::Done),
            Record::Failed { why } => self.end(Stand::Failed(why.clone())),
            Record::Cancelled => self.end(Stand::Cancelled),
            Record::Removed => self.end(Stand::Removed),
            Record::Quarantined { why } => self.end(Stand::Quarantined(why.clone())),
            Record::Retried => {
                self.stand = Stand::Waiting;
                (self.panics, self.read_tries, self.away_since) = (0, 0, None);
            }
        }
    }

    fn end(&mut self, stand: Stand) {
        self.stand = stand;
        self.left_s = None;
    }

    /// Returns whether nothing happens to it by itself any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.code().has_ended()
    }

    /// Returns whether its turn may come now, when none is in hand.
    #[must_use]
    pub fn is_due(&self, now: Millis) -> bool {
        match self.stand {
            Stand::Waiting | Stand::Running => true,
            Stand::Paused { again_at, .. } => again_at <= now,
            _ => false,
        }
    }

    /// Returns how far it is, in percent; 100 only when it is done.
    #[must_use]
    pub fn percent(&self) -> u8 {
        let Some(duration) = self.heard.or(self.duration) else {
            return if self.stand == Stand::Done { 100 } else { 0 };
        };
        if self.stand == Stand::Done {
            return 100;
        }
        let percent = self.position.saturating_mul(100) / duration.max(1);
        u8::try_from(percent.min(99)).unwrap_or(99)
    }

    /// Returns where it stands, as a code.
    #[must_use]
    pub fn code(&self) -> JobState {
        match self.stand {
            Stand::Waiting => JobState::Waiting,
            Stand::Running => JobState::Running,
            Stand::Paused { .. } => JobState::Paused,
            Stand::Done => JobState::Done,
            Stand::Failed(_) => JobState::Failed,
            Stand::Cancelled | Stand::Removed => JobState::Cancelled,
            Stand::Quarantined(_) => JobState::Quarantined,
        }
    }

    /// Returns what `pressel jobs list` shows.
    #[must_use]
    pub fn info(&self) -> JobInfo {
        let why = match &self.stand {
            Stand::Failed(why) | Stand::Quarantined(why) | Stand::Paused { why, .. } => {
                Some(why.clone())
            }
            Stand::Removed => Some("its recording was removed".to_owned()),
            _ => None,
        };
        JobInfo {
            number: self.number,
            // As text it must be UTF-8.
            path: PathBuf::from(self.path.to_string_lossy().into_owned()),
            state: self.code().name().to_owned(),
            percent: self.percent(),
            left_s: self.left_s,
            duration_s: self.heard.or(self.duration).map(seconds),
            why,
        }
    }

    /// Tells how long the rest takes, when `done` samples took `took` milliseconds.
    pub fn pace(&mut self, done: u64, took: Millis) {
        let left = self.duration.map(|all| all.saturating_sub(self.position));
        self.left_s = left.filter(|_| 0 < done).map(|left| {
            let left_s =
                u128::from(millis(left)) * u128::from(took) / u128::from(millis(done).max(1));
            u32::try_from(left_s / 1_000).unwrap_or(u32::MAX)
        });
    }

    /// Returns its recording's name for people, on one line.
    #[must_use]
    pub fn name(&self) -> String {
        one_line(&self.path)
    }
}

/// Returns a path on one line.
#[must_use]
pub fn one_line(path: &Path) -> String {
    path.to_string_lossy().replace(char::is_control, "\u{fffd}")
}

/// Returns the stretches behind the last head that follow each other without a hole.
#[must_use]
pub fn said<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Window> {
    let mut all: Vec<Window> = Vec::new();
    for record in records {
        let window = match record {
            Record::Head(_) => {
                all.clear();
                continue;
            }
            Record::Chunk(said) => Window::from(said.clone()),
            Record::Window(window) => window.clone(),
            _ => continue,
        };
        let position = all.last().map_or(0, |last| last.said.next);
        if window.said.follows(position) {
            all.push(window);
        }
    }
    all
}
