//! The spool: a folder whose recordings become jobs once they have stopped growing.
//!
//! A look every two seconds in; the recordings that were the same in two looks out. A folder that
//! is away is an empty one. Runs on the thread `jobs`.

use std::collections::{BTreeMap, BinaryHeap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use pressel_pipeline::limits::{SPOOL_EVERY_MS, SPOOL_FILES_MAX};
use pressel_pipeline::time::Millis;

use super::record::Stamp;
use super::recordings::Recordings;

/// Endings of names that are taken, in small letters. What is in a file decides when it is opened;
/// this keeps stray files from becoming failed jobs.
const ENDINGS: [&str; 7] = ["wav", "wave", "flac", "mp3", "ogg", "oga", "opus"];

/// A recording in the spool that is not settled.
#[derive(Clone, Copy, Debug)]
struct Seen {
    stamp: Stamp,
    /// When this version was seen first.
    since: Millis,
}

/// The spool.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    /// At most [`SPOOL_FILES_MAX`].
    seen: BTreeMap<PathBuf, Seen>,
    /// Versions that are jobs, or need none. At most [`SPOOL_FILES_MAX`]: what finds no room is
    /// asked for at each look.
    settled: BTreeMap<PathBuf, Stamp>,
    is_there: bool,
    due_at: Millis,
    has_told_full: bool,
}

impl Spool {
    /// Takes a folder by its path; it is not looked at yet.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            seen: BTreeMap::new(),
            settled: BTreeMap::new(),
            is_there: false,
            due_at: 0,
            has_told_full: false,
        }
    }

    /// Returns whether the last look found the folder.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// Returns whether a recording of this path lies, or lay, in the folder.
    #[must_use]
    pub fn holds(&self, path: &Path) -> bool {
        path.parent() == Some(&self.folder)
    }

    /// Looks into the folder if it is time. Returns the recordings that have stopped growing and
    /// are not settled, the oldest first. `is_settled` tells of a version that is new here whether
    /// it is a job or needs none.
    pub fn look(
        &mut self,
        now: Millis,
        recordings: &dyn Recordings,
        is_settled: &dyn Fn(&Path, Stamp) -> bool,
    ) -> Vec<(PathBuf, Stamp)> {
        if now < self.due_at {
            return Vec::new();
        }
        self.due_at = now + SPOOL_EVERY_MS;
        let seen = std::mem::take(&mut self.seen);
        let mut before = std::mem::take(&mut self.settled);
        // The newest is at its top, and gives way.
        let mut oldest = BinaryHeap::new();
        let mut is_cut = false;
        let listed = recordings.list(&self.folder, &mut |path, stamp| {
            if stamp.bytes == 0 || !is_recording(&path) {
                return;
            }
            let is_same = before.remove(&path) == Some(stamp);
            let is_known = seen.get(&path).is_some_and(|seen| seen.stamp == stamp);
            if is_same || !is_known && is_settled(&path, stamp) {
                if self.settled.len() + before.len() < SPOOL_FILES_MAX {
                    self.settled.insert(path, stamp);
                }
                return;
            }
            oldest.push((stamp.changed, path, stamp.bytes));
            if SPOOL_FILES_MAX < oldest.len() {
                oldest.pop();
                is_cut = true;
            }
        });
        self.is_there = listed.is_ok();
        if !self.is_there {
            oldest.clear();
            self.settled.clear();
        }
        self.tell_full(is_cut);
        let mut found = Vec::new();
        for (changed, path, bytes) in oldest.into_sorted_vec() {
            let stamp = Stamp { bytes, changed };
            let known = seen.get(&path).filter(|seen| seen.stamp == stamp);
            let since = known.map_or(now, |seen| seen.since);
            self.seen.insert(path.clone(), Seen { stamp, since });
            if since + SPOOL_EVERY_MS <= now {
                found.push((path, stamp));
            }
        }
        found
    }

    fn tell_full(&mut self, is_cut: bool) {
        if is_cut && !self.has_told_full {
            let folder = self.folder.display();
            log::warn!(
                "{folder}: more than {SPOOL_FILES_MAX} recordings wait: the newest are not looked \
                 at yet"
            );
        }
        self.has_told_full = is_cut;
    }

    /// Leaves this version of a recording alone from now on.
    pub fn settle(&mut self, path: &Path) {
        if let Some(seen) = self.seen.remove(path)
            && self.settled.len() < SPOOL_FILES_MAX
        {
            self.settled.insert(path.to_owned(), seen.stamp);
        }
    }

    /// Looks at a recording as if it was new, should it be there.
    pub fn unsettle(&mut self, path: &Path) {
        self.seen.remove(path);
        self.settled.remove(path);
    }
}

fn is_recording(path: &Path) -> bool {
    let is_hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    !path.file_name().is_none_or(is_hidden)
        && ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::recordings::{Links, Reader, Rights};
    use super::*;
    use crate::audio_file::AudioFileError;

    /// A folder with so many recordings, of which the newest are the last.
    struct Many(usize);

    impl Recordings for Many {
        fn stamp(&self, _path: &Path, _links: Links) -> io::Result<Stamp> {
            Err(io::ErrorKind::NotFound.into())
        }
        fn rights(&self, _path: &Path, _links: Links) -> Rights {
            Rights::NARROW
        }
        fn list(&self, folder: &Path, show: &mut dyn FnMut(PathBuf, Stamp)) -> io::Result<()> {
            for number in (0..self.0).rev() {
                let changed = (i64::try_from(number).unwrap(), 0);
                show(
                    folder.join(format!("{number}.wav")),
                    Stamp { bytes: 1, changed },
                );
            }
            Ok(())
        }
        fn open(
            &self,
            _path: &Path,
            _links: Links,
            _from: u64,
        ) -> Result<Box<dyn Reader>, AudioFileError> {
            unreachable!()
        }
    }

    fn number(found: &(PathBuf, Stamp)) -> usize {
        usize::try_from(found.1.changed.0).unwrap()
    }

    #[test]
    fn finished_recordings_keep_no_new_one_out_however_many_they_are() {
        let done = 2 * SPOOL_FILES_MAX;
        let mut spool = Spool::new(Path::new("/spool"));
        let is_settled = |_: &Path, stamp: Stamp| stamp.changed.0 < done as i64;
        let many = Many(done + 3);
        assert!(spool.look(0, &many, &is_settled).is_empty());
        for at in [SPOOL_EVERY_MS, 2 * SPOOL_EVERY_MS] {
            let found = spool.look(at, &many, &is_settled);
            let numbers: Vec<_> = found.iter().map(number).collect();
            assert_eq!(numbers, [done, done + 1, done + 2]);
        }
        assert_eq!(
            (spool.seen.len(), spool.settled.len()),
            (3, SPOOL_FILES_MAX)
        );
    }

    #[test]
    fn of_too_many_recordings_the_oldest_are_taken_and_the_rest_follow() {
        let mut spool = Spool::new(Path::new("/spool"));
        let many = Many(SPOOL_FILES_MAX + 5);
        spool.look(0, &many, &|_, _| false);
        let found = spool.look(SPOOL_EVERY_MS, &many, &|_, _| false);
        let numbers: Vec<_> = found.iter().map(number).collect();
        assert_eq!(numbers, (0..SPOOL_FILES_MAX).collect::<Vec<_>>());
        for (path, _) in &found {
            spool.settle(path);
        }
        assert!(
            spool
                .look(2 * SPOOL_EVERY_MS, &many, &|_, _| false)
                .is_empty()
        );
        let rest = spool.look(3 * SPOOL_EVERY_MS, &many, &|_, _| false);
        assert_eq!(rest.len(), 5);
        assert_eq!(number(&rest[0]), SPOOL_FILES_MAX);
    }
}
