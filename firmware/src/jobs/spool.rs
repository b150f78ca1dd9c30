//! The spool: a folder whose recordings become jobs once they have stopped growing.
//!
//! A look every two seconds in; the recordings that were the same in two looks out. A folder that
//! is away is an empty one. Runs on the thread `jobs`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use pressel_pipeline::limits::{SPOOL_EVERY_MS, SPOOL_FILES_MAX};
use pressel_pipeline::time::Millis;

use super::record::Stamp;
use super::recordings::Recordings;

/// Endings of names that are taken, in small letters. What is in a file decides when it is opened;
/// this keeps stray files from becoming failed jobs.
const ENDINGS: [&str; 7] = ["wav", "wave", "flac", "mp3", "ogg", "oga", "opus"];

/// A recording in the spool.
#[derive(Clone, Copy, Debug)]
struct Seen {
    stamp: Stamp,
    /// When this version was seen first.
    since: Millis,
    /// It is a job, or needs none.
    is_settled: bool,
}

/// The spool.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    seen: BTreeMap<PathBuf, Seen>,
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
            due_at: 0,
            has_told_full: false,
        }
    }

    /// Looks into the folder if it is time. Returns the recordings that have stopped growing and
    /// are not settled, the oldest first.
    pub fn look(&mut self, now: Millis, recordings: &mut dyn Recordings) -> Vec<(PathBuf, Stamp)> {
        if now < self.due_at {
            return Vec::new();
        }
        self.due_at = now + SPOOL_EVERY_MS;
        let mut found = recordings.list(&self.folder).unwrap_or_default();
        found.retain(|(path, stamp)| 0 < stamp.bytes && is_recording(path));
        found.sort_by(|one, other| (one.1.changed, &one.0).cmp(&(other.1.changed, &other.0)));
        if SPOOL_FILES_MAX < found.len() {
            if !self.has_told_full {
                let folder = self.folder.display();
                log::warn!(
                    "{folder}: more than {SPOOL_FILES_MAX} recordings: the newest must wait"
                );
            }
            found.truncate(SPOOL_FILES_MAX);
            self.has_told_full = true;
        }
        let before = std::mem::take(&mut self.seen);
        for (path, stamp) in &found {
            let seen = before.get(path).filter(|seen| seen.stamp == *stamp);
            let seen = seen.copied().unwrap_or(Seen {
                stamp: *stamp,
                since: now,
                is_settled: false,
            });
            self.seen.insert(path.clone(), seen);
        }
        found.retain(|(path, _)| {
            let seen = self.seen.get(path);
            seen.is_some_and(|seen| !seen.is_settled && seen.since + SPOOL_EVERY_MS <= now)
        });
        found
    }

    /// Leaves this version of a recording alone from now on.
    pub fn settle(&mut self, path: &Path) {
        if let Some(seen) = self.seen.get_mut(path) {
            seen.is_settled = true;
        }
    }
}

fn is_recording(path: &Path) -> bool {
    let is_hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    !path.file_name().is_none_or(is_hidden)
        && ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}
