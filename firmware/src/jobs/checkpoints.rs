//! The jobs and their files: one append-only file of checkpoints each.
//!
//! ```text
//! load: read every file ─▶ note: append, fsync ─▶ note ... ─▶ too many: forget the oldest ended
//!                             │ error          ▲
//!                             ▼                │ ten seconds later
//!                           waits in memory ───┘
//! ```
//!
//! Records in, each durable when [`Store::note`] returns and the disk is well; jobs out. While the
//! disk fails the records wait in memory. Runs on the thread `jobs`.

use std::io;
use std::path::Path;

use pressel_pipeline::limits::{JOB_FILE_BYTES_MAX, JOB_RETRY_MS, JOBS_MAX};
use pressel_pipeline::time::Millis;

use super::job::{Job, Stand, said};
use super::record::{Head, Record, Window};
use crate::journal::{Disk, frame};

/// Tries to read all files, before those that cannot be read are left out.
const READ_FAILURES_MAX: u32 = 3;

/// A job and its file.
struct Entry {
    job: Job,
    file: File,
}

/// What is known of a job's file.
#[derive(Default)]
struct File {
    is_made: bool,
    /// Durable bytes.
    durable_bytes: usize,
    /// There may be something behind them.
    torn: bool,
    /// What is not durable yet.
    waiting: Vec<Record>,
}

/// The jobs.
pub struct Store {
    disk: Box<dyn Disk>,
    /// Where the disk is, for people.
    place: String,
    is_loaded: bool,
    /// In the order of their numbers.
    entries: Vec<Entry>,
    /// Files of forgotten jobs that are still there.
    gone: Vec<u32>,
    /// The highest number that was ever seen.
    number_max: u32,
    retry_at: Option<Millis>,
    has_told_full: bool,
    failures: u32,
}

impl Store {
    /// Makes a store; the disk is not touched yet. `place` says where it is.
    #[must_use]
    pub fn new(disk: Box<dyn Disk>, place: &Path) -> Self {
        Self {
            disk,
            place: super::job::one_line(place),
            is_loaded: false,
            entries: Vec::new(),
            gone: Vec::new(),
            number_max: 0,
            retry_at: None,
            has_told_full: false,
            failures: 0,
        }
    }

    /// Returns the jobs, the oldest first.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.entries.iter().map(|entry| &entry.job)
    }

    /// Returns the jobs for changes that no record tells.
    pub fn jobs_mut(&mut self) -> impl Iterator<Item = &mut Job> {
        self.entries.iter_mut().map(|entry| &mut entry.job)
    }

    /// Returns a job by its number.
    #[must_use]
    pub fn job(&self, number: u32) -> Option<&Job> {
        self.find(number).map(|index| &self.entries[index].job)
    }

    /// Returns a job by its number, for changes that no record tells.
    pub fn job_mut(&mut self, number: u32) -> Option<&mut Job> {
        self.find(number).map(|index| &mut self.entries[index].job)
    }

    /// Returns the number of the job of a recording.
    #[must_use]
    pub fn number_of(&self, path: &Path) -> Option<u32> {
        let found = self.jobs().find(|job| job.path == path);
        found.map(|job| job.number)
    }

    fn find(&self, number: u32) -> Option<usize> {
        let by_number = |entry: &Entry| entry.job.number;
        self.entries.binary_search_by_key(&number, by_number).ok()
    }

    /// Adds a job and returns its number.
    ///
    /// # Errors
    /// There are [`JOBS_MAX`] jobs, none has ended, and none has a recording that is away.
    pub fn add(&mut self, head: Head, now: Millis) -> Result<u32, String> {
        if JOBS_MAX <= self.entries.len() && self.forgettable().is_none() {
            let why = format!(
                "there are {JOBS_MAX} jobs and none has ended: wait, or `pressel jobs cancel` some"
            );
            if !self.has_told_full {
                log::warn!("{why}");
            }
            self.has_told_full = true;
            return Err(why);
        }
        self.has_told_full = false;
        let number = self.number_max.saturating_add(1);
        self.number_max = number;
        let job = Job::new(number, &head);
        let file = File::default();
        self.entries.push(Entry { job, file });
        self.note(number, Record::Head(head), now);
        self.trim();
        Ok(number)
    }

    /// Learns a record of a job and makes it durable, if the disk can.
    pub fn note(&mut self, number: u32, record: Record, now: Millis) {
        if let Some(index) = self.find(number) {
            let entry = &mut self.entries[index];
            entry.job.learn(&record);
            entry.file.waiting.push(record);
            // Jobs are read, and may get other numbers, at the start of a turn only.
            if self.is_loaded {
                self.flush(now);
            }
        }
    }

    /// Begins a job anew whose file is gone.
    pub fn begin_anew(&mut self, number: u32, head: Head, now: Millis) {
        if let Some(index) = self.find(number) {
            self.entries[index].file = File::default();
            self.note(number, Record::Head(head), now);
        }
    }

    /// Returns whether a job has so many checkpoints that no more may come.
    #[must_use]
    pub fn is_full(&self, number: u32) -> bool {
        self.find(number).is_some_and(|index| {
            let file = &self.entries[index].file;
            let waiting = file.waiting.len() * frame::STUFFED_BYTES_MAX;
            JOB_FILE_BYTES_MAX < file.durable_bytes + waiting + 2 * frame::STUFFED_BYTES_MAX
        })
    }

    /// Returns what a job has given so far.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn said(&mut self, number: u32) -> io::Result<Vec<Window>> {
        let Some(index) = self.find(number) else {
            return Ok(Vec::new());
        };
        let file = &self.entries[index].file;
        let mut bytes = Vec::new();
        if 0 < file.durable_bytes {
            bytes = self.disk.read(number)?;
            bytes.truncate(file.durable_bytes);
        }
        let found = frame::scan::<Record>(&bytes).records;
        let durable = found.iter().map(|(_, record)| record);
        Ok(said(durable.chain(&file.waiting)))
    }

    /// Returns whether something waits to be written.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        let waits = |entry: &Entry| !entry.file.waiting.is_empty();
        !self.is_loaded || !self.gone.is_empty() || self.entries.iter().any(waits)
    }

    /// Reads what is there and makes durable what waits. A disk that fails is named once, and tried
    /// again later.
    pub fn flush(&mut self, now: Millis) {
        if self.retry_at.is_some_and(|at| now < at) || !self.is_behind() {
            return;
        }
        match self.work() {
            Ok(()) => {
                if 0 < self.failures {
                    log::info!("jobs written again failures={}", self.failures);
                }
                (self.retry_at, self.failures) = (None, 0);
            }
            Err(error) => {
                if self.failures == 0 {
                    log::warn!(
                        "{}: checkpoints of jobs cannot be written ({error}): jobs go on from \
                         memory and begin anew after a power cut; make the folder writable or make \
                         room on its disk",
                        self.place
                    );
                }
                self.failures = self.failures.saturating_add(1);
                self.retry_at = Some(now + JOB_RETRY_MS);
            }
        }
    }

    fn work(&mut self) -> io::Result<()> {
        if !self.is_loaded {
            self.load()?;
        }
        let mut result = Ok(());
        for entry in &mut self.entries {
            if !entry.file.waiting.is_empty() {
                // The others may be well.
                let written = write(self.disk.as_mut(), entry);
                result = result.and(written);
            }
        }
        result?;
        while let Some(&number) = self.gone.last() {
            match self.disk.remove(number) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.gone.pop(),
            };
        }
        Ok(())
    }

    /// Reads all files. Jobs that were added before get numbers behind those that are there.
    fn load(&mut self) -> io::Result<()> {
        let mut loaded = Vec::new();
        for number in self.disk.list()? {
            self.number_max = self.number_max.max(number);
            let bytes = match self.disk.read(number) {
                Ok(bytes) => bytes,
                Err(error) if self.failures < READ_FAILURES_MAX => return Err(error),
                // One bad file must not keep all jobs away for ever.
                Err(error) => {
                    let place = &self.place;
                    log::warn!("job cannot be read folder={place} number={number}: {error}");
                    continue;
                }
            };
            let found = frame::scan::<Record>(&bytes);
            if 0 < found.damaged {
                let (place, count) = (&self.place, found.damaged);
                log::warn!("job has damaged records folder={place} number={number} count={count}");
            }
            let file = File {
                is_made: true,
                durable_bytes: found.whole_bytes,
                torn: found.whole_bytes != bytes.len(),
                waiting: Vec::new(),
            };
            let mut records = found.records.iter().map(|(_, record)| record);
            let head = records.find_map(|record| match record {
                Record::Head(head) => Some(head),
                _ => None,
            });
            // A job whose head is not there was never begun.
            let Some(head) = head else {
                self.gone.push(number);
                continue;
            };
            let mut job = Job::new(number, head);
            records.for_each(|record| job.learn(record));
            job.told = Some((job.code(), job.percent()));
            loaded.push(Entry { job, file });
        }
        let unfinished = loaded.iter().filter(|entry| !entry.job.has_ended()).count();
        log::info!("jobs read known={} unfinished={unfinished}", loaded.len());
        self.merge(loaded);
        self.is_loaded = true;
        self.trim();
        Ok(())
    }

    /// Puts the jobs of the disk before those that were added while it could not be read.
    fn merge(&mut self, loaded: Vec<Entry>) {
        let added = std::mem::replace(&mut self.entries, loaded);
        for mut entry in added {
            let same = |other: &Entry| other.job.path == entry.job.path;
            if let Some(index) = self.entries.iter().position(same) {
                self.gone.push(self.entries.remove(index).job.number);
            }
            if self.find(entry.job.number).is_some() || self.gone.contains(&entry.job.number) {
                self.number_max = self.number_max.saturating_add(1);
                let number = self.number_max;
                log::info!("job renumbered from={} to={number}", entry.job.number);
                entry.job.number = number;
            }
            self.entries.push(entry);
            self.entries.sort_by_key(|entry| entry.job.number);
        }
    }

    /// Returns the job to forget first: the oldest that is done, or else that has ended, or else
    /// that waits for a recording that is away.
    fn forgettable(&self) -> Option<usize> {
        let rank = |job: &Job| match job.stand {
            Stand::Done => Some(0),
            _ if job.has_ended() => Some(1),
            Stand::Paused { .. } if job.away_since.is_some() => Some(2),
            _ => None,
        };
        let ranked = self.entries.iter().enumerate();
        let ranked = ranked.filter_map(|(index, entry)| Some((rank(&entry.job)?, index)));
        ranked.min().map(|(_, index)| index)
    }

    fn trim(&mut self) {
        while JOBS_MAX < self.entries.len()
            && let Some(index) = self.forgettable()
        {
            let entry = self.entries.remove(index);
            if !entry.job.has_ended() {
                let number = entry.job.number;
                log::warn!("job gives way, its recording is away number={number}");
            }
            self.gone.push(entry.job.number);
        }
    }
}

/// Makes the waiting records of one job durable.
fn write(disk: &mut dyn Disk, entry: &mut Entry) -> io::Result<()> {
    let Entry { job, file } = entry;
    let result = append(disk, job, file);
    if result
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        && file.is_made
    {
        // The file is gone. What was in it is lost, so that after a restart the job begins anew.
        let head = Head::new(&job.path, job.stamp, &job.model);
        file.waiting.insert(0, Record::Head(head));
        (file.is_made, file.durable_bytes, file.torn) = (false, 0, false);
    }
    result
}

fn append(disk: &mut dyn Disk, job: &Job, file: &mut File) -> io::Result<()> {
    if !file.is_made {
        disk.create(job.number)?;
        // One of that number may have been there, half made.
        disk.truncate(job.number, 0)?;
        file.is_made = true;
    }
    if file.torn {
        disk.truncate(job.number, file.durable_bytes)?;
        file.torn = false;
    }
    while let Some(record) = file.waiting.first() {
        let bytes = frame::encode(record);
        file.torn = true;
        disk.write_at(job.number, file.durable_bytes, &bytes)?;
        disk.sync(job.number)?;
        file.torn = false;
        file.durable_bytes += bytes.len();
        file.waiting.remove(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::record::{Said, Stamp};
    use super::*;
    use crate::journal::sim_disk::SimDisk;

    fn head(path: &str) -> Head {
        Head::new(Path::new(path), Stamp::default(), "nano")
    }

    fn chunk(from: u64, next: u64, text: &str) -> Record {
        Record::Chunk(Said {
            from,
            next,
            start: from,
            samples: 1,
            text: text.to_owned(),
            language: *b"en",
            confidence: 9,
        })
    }

    fn store(disk: &SimDisk) -> Store {
        let mut store = Store::new(Box::new(disk.clone()), Path::new("/state/jobs"));
        store.flush(0);
        store
    }

    fn texts(store: &mut Store, number: u32) -> Vec<String> {
        let said = store.said(number).unwrap();
        said.into_iter().map(|window| window.said.text).collect()
    }

    #[test]
    fn jobs_are_read_as_they_were_written_and_numbers_go_on() {
        let disk = SimDisk::new(&[]);
        let mut first = store(&disk);
        assert_eq!(first.add(head("/a.wav"), 0), Ok(1));
        assert_eq!(first.add(head("/b.wav"), 0), Ok(2));
        first.note(1, chunk(0, 5, "one"), 0);
        first.note(1, chunk(5, 9, "two"), 0);
        first.note(2, Record::Cancelled, 0);
        let mut again = store(&disk);
        assert_eq!(texts(&mut again, 1), ["one", "two"]);
        assert_eq!(again.job(1).unwrap().position, 9);
        assert_eq!(again.job(2).unwrap().stand, Stand::Cancelled);
        assert_eq!(again.number_of(Path::new("/b.wav")), Some(2));
        assert_eq!(again.add(head("/c.wav"), 0), Ok(3));
    }

    #[test]
    fn damaged_record_costs_what_follows_and_never_leaves_a_hole() {
        let mut disk = SimDisk::new(&[]);
        let mut first = store(&disk);
        first.add(head("/a.wav"), 0).unwrap();
        first.note(1, chunk(0, 5, "one"), 0);
        let place = disk.read(1).unwrap().len();
        first.note(1, chunk(5, 9, "two"), 0);
        first.note(1, chunk(9, 12, "three"), 0);
        first.note(
            1,
            Record::Heard {
                from: 12,
                samples: 15,
            },
            0,
        );
        disk.write_at(1, place + 4, &[0xff]).unwrap();
        let mut again = store(&disk);
        let job = again.job(1).unwrap();
        assert_eq!((job.position, job.heard), (5, None));
        assert_eq!(texts(&mut again, 1), ["one"]);
        // It goes on from there.
        again.note(1, chunk(5, 9, "two again"), 0);
        again.note(1, chunk(9, 12, "three again"), 0);
        let mut again = store(&disk);
        assert_eq!(texts(&mut again, 1), ["one", "two again", "three again"]);
    }

    #[test]
    fn jobs_added_while_the_disk_was_away_come_behind_those_on_it() {
        let disk = SimDisk::new(&[]);
        let mut first = store(&disk);
        first.add(head("/a.wav"), 0).unwrap();
        first.add(head("/b.wav"), 0).unwrap();
        // It cannot be read before its first flush.
        let mut away = Store::new(Box::new(disk.clone()), Path::new("/state/jobs"));
        assert_eq!(away.add(head("/c.wav"), 0), Ok(1));
        assert_eq!(away.add(head("/b.wav"), 0), Ok(2));
        away.note(1, chunk(0, 5, "one"), 0);
        away.flush(0);
        let known = |store: &Store| -> Vec<(u32, PathBuf)> {
            store
                .jobs()
                .map(|job| (job.number, job.path.clone()))
                .collect()
        };
        let expected = [(1, "/a.wav"), (3, "/c.wav"), (4, "/b.wav")];
        let expected = expected.map(|(number, path)| (number, PathBuf::from(path)));
        assert_eq!(known(&away), expected);
        let mut again = store(&disk);
        assert_eq!(known(&again), expected);
        assert_eq!(texts(&mut again, 3), ["one"]);
    }

    #[test]
    fn torn_tail_is_cut_before_something_shorter_is_written() {
        let mut disk = SimDisk::new(&[]);
        let mut first = store(&disk);
        first.add(head("/a.wav"), 0).unwrap();
        let whole = disk.read(1).unwrap().len();
        first.note(1, chunk(0, 5, "what was said before the power went"), 0);
        let all = disk.read(1).unwrap();
        for cut in whole..all.len() {
            let mut disk = SimDisk::new(&[]);
            disk.create(1).unwrap();
            disk.write_at(1, 0, &all[..cut]).unwrap();
            let mut again = store(&disk);
            assert_eq!(again.job(1).unwrap().position, 0);
            again.note(1, chunk(0, 4, "a"), 0);
            again.note(1, Record::Cancelled, 0);
            let again = store(&disk);
            let job = again.job(1).unwrap();
            assert_eq!((job.position, &job.stand), (4, &Stand::Cancelled));
            assert!(
                disk.read(1).unwrap().len() < all.len() + 8,
                "the tail is still there"
            );
            let length = disk.read(1).unwrap().len();
            assert_eq!(
                frame::scan::<Record>(&disk.read(1).unwrap()).whole_bytes,
                length
            );
        }
    }

    #[test]
    fn file_that_is_gone_begins_anew_after_a_restart() {
        let mut disk = SimDisk::new(&[]);
        let mut first = store(&disk);
        first.add(head("/a.wav"), 0).unwrap();
        first.note(1, chunk(0, 5, "one"), 0);
        disk.remove(1).unwrap();
        first.note(1, chunk(5, 9, "two"), 0);
        first.flush(JOB_RETRY_MS);
        first.flush(3 * JOB_RETRY_MS);
        assert!(!store(&disk).jobs().any(|job| 0 < job.position));
    }

    #[test]
    fn folder_that_is_gone_is_made_again_and_checkpoints_are_written_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/jobs");
        let disk = || Box::new(crate::journal::Folder::of_jobs(&path));
        let mut first = Store::new(disk(), &path);
        first.flush(0);
        first.add(head("/a.wav"), 0).unwrap();
        first.note(1, chunk(0, 5, "one"), 0);
        std::fs::remove_dir_all(folder.path().join("state")).unwrap();
        assert_eq!(first.said(1).unwrap_err().kind(), io::ErrorKind::NotFound);
        first.begin_anew(1, head("/a.wav"), 0);
        first.note(1, chunk(0, 7, "again"), 0);
        assert!(!first.is_behind());
        drop(first);
        let mut again = Store::new(disk(), &path);
        again.flush(0);
        assert_eq!(texts(&mut again, 1), ["again"]);
    }
}
