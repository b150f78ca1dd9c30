//! Recordings as the jobs see them: which version is there, and its chunks in order.
//!
//! Paths in; stamps and chunks out. [`Files`] are the real ones; a test has its own, so that it can
//! take them away at any time. Runs on the thread `jobs`.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::record::Stamp;
use crate::audio_file::{AudioFileError, Damage};
use crate::chunks::{Chunk, Chunks};
use crate::listen::Ears;
use crate::listen::listener::Tuning;

/// Where recordings are.
pub trait Recordings: Send {
    /// Returns which version of a file is there.
    ///
    /// # Errors
    /// The system's own: it is away, it may not be seen, or it is not a file.
    fn stamp(&mut self, path: &Path) -> io::Result<Stamp>;
    /// Returns the regular files in a folder itself, without links.
    ///
    /// # Errors
    /// The folder is away or may not be read.
    fn list(&mut self, folder: &Path) -> io::Result<Vec<(PathBuf, Stamp)>>;
    /// Opens a recording at sample `from`, which is 0 or where another chunk ended.
    ///
    /// # Errors
    /// It cannot be read; in one line what is wrong and what to do.
    fn open(&mut self, path: &Path, from: u64) -> Result<Box<dyn Reader>, AudioFileError>;
}

/// An open recording.
pub trait Reader: Send {
    /// Returns its length in samples, when it says it.
    fn duration(&self) -> Option<u64>;
    /// Returns what was wrong with it so far.
    fn damage(&self) -> Damage;
    /// Returns where it is, in samples; behind its last chunk that is its length.
    fn position(&self) -> u64;
    /// Writes the next chunk into the slot; `None` is the end.
    ///
    /// # Errors
    /// It cannot be read on.
    fn next(&mut self, ears: &mut Ears, slot: &mut [i16]) -> Result<Option<Chunk>, AudioFileError>;
}

/// The real files.
#[derive(Debug)]
pub struct Files {
    /// How they are cut.
    pub tuning: Tuning,
}

fn stamp(metadata: &Metadata) -> Stamp {
    let nanoseconds = u32::try_from(metadata.mtime_nsec()).unwrap_or(0);
    Stamp {
        bytes: metadata.len(),
        changed: (metadata.mtime(), nanoseconds),
    }
}

impl Recordings for Files {
    fn stamp(&mut self, path: &Path) -> io::Result<Stamp> {
        let metadata = fs::metadata(path)?;
        if metadata.is_file() {
            Ok(stamp(&metadata))
        } else {
            Err(io::Error::other("it is not a file"))
        }
    }

    fn list(&mut self, folder: &Path) -> io::Result<Vec<(PathBuf, Stamp)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // One that has left meanwhile is none; links are not followed.
            if let Ok(metadata) = entry.metadata()
                && metadata.is_file()
            {
                files.push((entry.path(), stamp(&metadata)));
            }
        }
        Ok(files)
    }

    fn open(&mut self, path: &Path, from: u64) -> Result<Box<dyn Reader>, AudioFileError> {
        Ok(Box::new(Chunks::open(path, from, self.tuning)?))
    }
}

impl Reader for Chunks {
    fn duration(&self) -> Option<u64> {
        self.info().duration_samples
    }

    fn damage(&self) -> Damage {
        Self::damage(self)
    }

    fn position(&self) -> u64 {
        Self::position(self)
    }

    fn next(&mut self, ears: &mut Ears, slot: &mut [i16]) -> Result<Option<Chunk>, AudioFileError> {
        Self::next(self, ears, slot)
    }
}
