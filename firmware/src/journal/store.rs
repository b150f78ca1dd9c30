//! The journal's files: their order, their repair, and what is in them.
//!
//! ```text
//! load: read all files ─▶ cut a torn tail ─▶ append ─▶ append ... ─▶ file is full: begin the next,
//!          ▲                                   │ error                 remove all but two
//!          └────────── tried again later ◀─────┘
//! ```
//!
//! Records in, each durable when [`Journal::work`] returns without an error; outcomes out, in
//! order. What a failing disk does not take waits in memory, bounded. Runs on the keeper's thread.

use std::collections::VecDeque;
use std::io;

use pressel_pipeline::limits::{JOURNAL_BYTES_MAX, JOURNAL_OUTCOMES_MAX, JOURNAL_WAITING_MAX};
use pressel_wire::Mark;

use super::record::{self, Record, Spoken};
use super::{Disk, Folder, scan};

/// How much a journal keeps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Outcomes in one file.
    pub outcomes_max: usize,
    /// Bytes in one file.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            outcomes_max: JOURNAL_OUTCOMES_MAX,
            bytes_max: JOURNAL_BYTES_MAX,
        }
    }
}

/// Where an outcome is.
#[derive(Clone, Copy, Debug)]
struct Place {
    mark: Mark,
    file: u32,
    offset: usize,
    count: usize,
}

/// What there is at or behind a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The next outcome, if there is one.
    pub spoken: Option<Spoken>,
    /// Something between the mark and that outcome is lost.
    pub gap: bool,
}

/// The journal.
pub struct Journal<D> {
    disk: D,
    limits: Limits,
    /// The number of this start; 0 before [`Journal::start`].
    epoch: u32,
    acknowledged: Mark,
    forgotten: Mark,
    /// The files in order; the last one is written. Empty until the disk could be read.
    files: Vec<u32>,
    index: Vec<Place>,
    /// Durable bytes of the last file.
    durable_bytes: usize,
    /// There may be something behind them.
    torn: bool,
    waiting: VecDeque<Record>,
    acknowledgement_due: bool,
    damaged: usize,
    lost: usize,
}

impl<D: Disk> Journal<D> {
    /// Makes a journal; the disk is not touched yet.
    #[must_use]
    pub fn new(disk: D, limits: Limits) -> Self {
        Self {
            disk,
            limits,
            epoch: 0,
            acknowledged: Mark::default(),
            forgotten: Mark::default(),
            files: Vec::new(),
            index: Vec::new(),
            durable_bytes: 0,
            torn: false,
            waiting: VecDeque::new(),
            acknowledgement_due: false,
            damaged: 0,
            lost: 0,
        }
    }

    /// Numbers this start, higher than every start before, and makes that durable. Called once.
    ///
    /// The number is the wall time in seconds, or one more than the last start's where the clock is
    /// wrong; so it also grows when the journal is lost.
    ///
    /// # Errors
    /// The number could not be made durable; it is good all the same unless clock and disk are both
    /// wrong. See [`Journal::epoch`].
    pub fn start(&mut self, at_ms: u64) -> io::Result<()> {
        let loaded = self.load();
        let seconds = u32::try_from(at_ms / 1_000).unwrap_or(u32::MAX);
        self.epoch = seconds.max(self.epoch.saturating_add(1));
        let epoch = self.epoch;
        self.waiting.push_back(Record::Start { epoch, at_ms });
        loaded?;
        self.work()
    }

    /// Returns the number of this start.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Returns the mark before which everything was acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> Mark {
        self.acknowledged
    }

    /// Returns damaged records and unreadable outcomes since the start.
    #[must_use]
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// Returns outcomes that had to leave while the disk failed.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// Returns whether something waits to be written.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !self.waiting.is_empty() || self.acknowledgement_due
    }

    /// Takes an outcome; it is durable after the next [`Journal::work`] without an error.
    pub fn outcome(&mut self, spoken: Spoken) {
        if JOURNAL_WAITING_MAX <= self.waiting.len() {
            let is_outcome = |record: &Record| matches!(record, Record::Outcome(_));
            if let Some(oldest) = self.waiting.iter().position(is_outcome) {
                self.waiting.remove(oldest);
                self.lost += 1;
            }
        }
        self.waiting.push_back(Record::Outcome(spoken));
    }

    /// Takes an acknowledgement; only the newest one is written.
    pub fn acknowledge(&mut self, mark: Mark) {
        if self.acknowledged < mark {
            self.acknowledged = mark;
            self.acknowledgement_due = true;
        }
    }

    /// Makes durable what waits.
    ///
    /// # Errors
    /// The disk failed. What waits goes on waiting; call again later.
    pub fn work(&mut self) -> io::Result<()> {
        if self.files.is_empty() {
            self.load()?;
        }
        if self.torn {
            self.cut_tail()?;
        }
        while let Some(record) = self.waiting.front() {
            let record = record.clone();
            self.append(&record)?;
            self.waiting.pop_front();
        }
        if self.acknowledgement_due {
            self.append(&Record::Acknowledged(self.acknowledged))?;
            self.acknowledgement_due = false;
        }
        Ok(())
    }

    /// Returns the first outcome at or behind `mark`, from the files or from what waits.
    pub fn next_after(&mut self, mark: Mark) -> Found {
        let lost_before = mark < self.forgotten;
        let spoken = self.read_after(mark).or_else(|| {
            self.waiting.iter().find_map(|record| match record {
                Record::Outcome(spoken) if mark <= spoken.mark() => Some(spoken.clone()),
                _ => None,
            })
        });
        let gap = match &spoken {
            Some(spoken) if spoken.epoch == mark.boot => spoken.outcome.sequence != mark.next,
            Some(spoken) => lost_before || spoken.outcome.sequence != 0,
            None => lost_before,
        };
        Found { spoken, gap }
    }

    fn read_after(&mut self, mark: Mark) -> Option<Spoken> {
        let first = self.index.partition_point(|place| place.mark < mark);
        while let Some(place) = self.index.get(first).copied() {
            let bytes = self.disk.read_at(place.file, place.offset, place.count);
            let record = bytes.ok().and_then(|bytes| {
                let (_, stuffed) = bytes.split_last()?;
                record::decode(stuffed)
            });
            match record {
                Some(Record::Outcome(spoken)) if spoken.mark() == place.mark => {
                    return Some(spoken);
                }
                _ => {
                    self.damaged += 1;
                    self.index.remove(first);
                }
            }
        }
        None
    }

    /// Reads what is there, and begins a file where there is none to go on with.
    fn load(&mut self) -> io::Result<()> {
        let mut files = self.disk.list()?;
        self.index.clear();
        self.damaged = 0;
        let (mut epoch, mut last_is_empty) = (0, true);
        for &file in &files {
            let bytes = self.disk.read(file)?;
            let found = scan(&bytes);
            self.damaged += found.damaged;
            self.durable_bytes = found.whole_bytes;
            self.torn = found.whole_bytes != bytes.len();
            last_is_empty = found.records.is_empty();
            for (range, record) in found.records {
                epoch = epoch.max(self.learn(file, range.start, range.len(), &record));
            }
        }
        // A start that is not durable yet must be newer than all that are.
        let is_new = matches!(self.waiting.front(), Some(Record::Start { .. }));
        if self.epoch != 0 && self.epoch < epoch + u32::from(is_new) {
            let why = "its journal is of a later start than this one: set the clock and restart";
            return Err(io::Error::other(why));
        }
        self.epoch = self.epoch.max(epoch);
        // Not counted as begun before its head is durable.
        if last_is_empty {
            let file = files.pop().unwrap_or(1);
            self.begin(file, &files)?;
            files.push(file);
        }
        self.files = files;
        self.remove_old()
    }

    /// Learns from a record that was read or written. Returns its epoch.
    fn learn(&mut self, file: u32, offset: usize, count: usize, record: &Record) -> u32 {
        match record {
            Record::Head {
                epoch,
                acknowledged,
                forgotten,
            } => {
                self.acknowledged = self.acknowledged.max(*acknowledged);
                self.forgotten = self.forgotten.max(*forgotten);
                *epoch
            }
            Record::Start { epoch, .. } => *epoch,
            Record::Outcome(spoken) => {
                let mark = spoken.mark();
                if self.index.last().is_none_or(|last| last.mark < mark) {
                    self.index.push(Place {
                        mark,
                        file,
                        offset,
                        count,
                    });
                }
                spoken.epoch
            }
            Record::Acknowledged(mark) => {
                self.acknowledged = self.acknowledged.max(*mark);
                0
            }
        }
    }

    fn append(&mut self, record: &Record) -> io::Result<()> {
        self.make_room()?;
        let Some(&file) = self.files.last() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let bytes = record::encode(record);
        self.torn = true;
        self.disk.write_at(file, self.durable_bytes, &bytes)?;
        self.disk.sync(file)?;
        self.torn = false;
        self.learn(file, self.durable_bytes, bytes.len(), record);
        self.durable_bytes += bytes.len();
        Ok(())
    }

    /// Cuts what was begun and not finished. A file that is gone makes the journal start anew.
    fn cut_tail(&mut self) -> io::Result<()> {
        let Some(&file) = self.files.last() else {
            return Ok(());
        };
        if let Err(error) = self.disk.truncate(file, self.durable_bytes) {
            if error.kind() == io::ErrorKind::NotFound {
                self.files.clear();
            }
            return Err(error);
        }
        self.torn = false;
        Ok(())
    }

    /// Begins the next file when the last one is full.
    fn make_room(&mut self) -> io::Result<()> {
        let Some(&file) = self.files.last() else {
            return Ok(());
        };
        let first = self.index.partition_point(|place| place.file < file);
        let outcomes = self.index.len() - first;
        if outcomes < self.limits.outcomes_max && self.durable_bytes < self.limits.bytes_max {
            return Ok(());
        }
        let old = self.files.clone();
        self.begin(file + 1, &old)?;
        self.files.push(file + 1);
        self.remove_old()
    }

    /// Makes a file with its head; of the `others`, only the newest will stay.
    fn begin(&mut self, file: u32, others: &[u32]) -> io::Result<()> {
        let kept = others.last().copied().unwrap_or(file);
        let gone = self.index.iter().rev().find(|place| place.file < kept);
        let gone = gone.map_or(self.forgotten, |place| Mark {
            boot: place.mark.boot,
            next: place.mark.next.saturating_add(1),
        });
        let forgotten = self.forgotten.max(gone);
        let head = record::encode(&Record::Head {
            epoch: self.epoch,
            acknowledged: self.acknowledged,
            forgotten,
        });
        self.disk.create(file)?;
        self.disk.truncate(file, 0)?;
        self.disk.write_at(file, 0, &head)?;
        self.disk.sync(file)?;
        self.forgotten = forgotten;
        self.durable_bytes = head.len();
        self.torn = false;
        Ok(())
    }

    /// Removes all files but two. Their outcomes are not in the index any more, whether that works
    /// or not: it is tried again at the next start.
    fn remove_old(&mut self) -> io::Result<()> {
        while 2 < self.files.len() {
            let oldest = self.files[0];
            self.index.retain(|place| place.file != oldest);
            self.files.remove(0);
            self.disk.remove(oldest)?;
        }
        Ok(())
    }
}

impl Journal<Folder> {
    /// Returns a line about a disk that failed: which folder, why, and what to do.
    #[must_use]
    pub fn failure(&self, error: &io::Error) -> String {
        format!(
            "{}: the journal cannot be written ({error}): transcripts are kept in memory only; \
             make the folder writable, make room on its disk, or name another one with --state-dir",
            self.disk.path().display()
        )
    }
}
