//! The few things that the journal asks of a disk, so that a test can cut the power at each.
//!
//! File numbers and bytes in and out. [`Folder`] is the real one; its calls may block for seconds
//! and belong on the keeper's thread.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use pressel_pipeline::limits::{JOB_FILE_BYTES_MAX, JOURNAL_BYTES_MAX};

/// Bytes read of one file at most: a larger one is not of our making.
const READ_BYTES_MAX: u64 = 2 * JOURNAL_BYTES_MAX as u64;

/// A folder of numbered files. Each error is the system's own; nothing is retried here.
pub trait Disk: Send {
    /// Returns the numbers of the files, in order.
    ///
    /// # Errors
    /// The folder cannot be made or read, or another appliance uses it.
    fn list(&mut self) -> io::Result<Vec<u32>>;
    /// Returns what is in a file.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read(&mut self, file: u32) -> io::Result<Vec<u8>>;
    /// Returns `count` bytes of a file.
    ///
    /// # Errors
    /// The file cannot be read or is shorter.
    fn read_at(&mut self, file: u32, offset: usize, count: usize) -> io::Result<Vec<u8>>;
    /// Makes an empty file, unless it is there, and makes its name durable.
    ///
    /// # Errors
    /// The disk is full or cannot be written.
    fn create(&mut self, file: u32) -> io::Result<()>;
    /// Writes bytes at an offset. Not durable yet.
    ///
    /// # Errors
    /// The disk is full or cannot be written; some of the bytes may be there.
    fn write_at(&mut self, file: u32, offset: usize, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file.
    ///
    /// # Errors
    /// The disk cannot be written.
    fn truncate(&mut self, file: u32, length: usize) -> io::Result<()>;
    /// Makes a file's content durable.
    ///
    /// # Errors
    /// It may or may not be durable.
    fn sync(&mut self, file: u32) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// The disk cannot be written.
    fn remove(&mut self, file: u32) -> io::Result<()>;
}

/// The disk is mounted read-only.
const READ_ONLY: io::ErrorKind = io::ErrorKind::ReadOnlyFilesystem;
/// First part of the names of the journal's files.
const TRANSCRIPTS: &str = "transcripts";
/// First part of the names of file jobs' checkpoints.
const JOB: &str = "job";

/// The journal's files in a folder: `transcripts-NUMBER.journal`; or those of jobs, `job-...`.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    prefix: &'static str,
    bytes_max: u64,
    /// Keeps other appliances out while it is open.
    lock: Option<File>,
    open: Option<(u32, File)>,
}

impl Folder {
    /// Takes a folder by its path; nothing is opened or made yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            prefix: TRANSCRIPTS,
            bytes_max: READ_BYTES_MAX,
            lock: None,
            open: None,
        }
    }

    /// Takes a folder of jobs' checkpoints by its path.
    #[must_use]
    pub fn of_jobs(path: &Path) -> Self {
        Self {
            prefix: JOB,
            bytes_max: JOB_FILE_BYTES_MAX as u64,
            ..Self::new(path)
        }
    }

    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn name(&self, file: u32) -> PathBuf {
        name(&self.path, self.prefix, file)
    }

    fn open(&mut self, file: u32) -> io::Result<&File> {
        if !matches!(&self.open, Some((open, _)) if *open == file) {
            let path = self.name(file);
            let opened = OpenOptions::new().read(true).write(true).open(path)?;
            self.open = Some((file, opened));
        }
        match &self.open {
            Some((_, open)) => Ok(open),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn take_lock(&mut self) -> io::Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        // What was said is for the owner only.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)?;
        // So that the folder's own name survives a power cut; a parent that cannot be opened is not
        // ours.
        if let Some(parent) = self.path.parent().and_then(|path| File::open(path).ok()) {
            parent.sync_all()?;
        }
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(self.path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {
                self.lock = Some(lock);
                Ok(())
            }
            Err(TryLockError::WouldBlock) => {
                let why = "another pressel uses this folder: give each its own --state-dir";
                Err(io::Error::other(why))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

fn name(folder: &Path, prefix: &str, file: u32) -> PathBuf {
    folder.join(format!("{prefix}-{file}.journal"))
}

/// Returns the numbers of the journal files in a folder, in order.
///
/// # Errors
/// The folder cannot be read.
pub fn numbers(folder: &Path) -> io::Result<Vec<u32>> {
    numbers_of(folder, TRANSCRIPTS)
}

fn numbers_of(folder: &Path, prefix: &str) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            let name = name.strip_prefix(prefix)?.strip_prefix('-')?;
            name.strip_suffix(".journal")?.parse::<u32>().ok()
        });
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Returns the content of a journal file.
///
/// # Errors
/// The file cannot be read.
pub fn read(folder: &Path, file: u32) -> io::Result<Vec<u8>> {
    read_whole(&name(folder, TRANSCRIPTS, file), READ_BYTES_MAX)
}

fn read_whole(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Disk for Folder {
    fn list(&mut self) -> io::Result<Vec<u32>> {
        match self.take_lock() {
            // Jobs that cannot be locked can be read all the same, and go on from memory. If there
            // are none, the folder is what could not be made.
            Err(error) if error.kind() == READ_ONLY && self.prefix == JOB => {
                return numbers_of(&self.path, self.prefix).map_err(|_| error);
            }
            taken => taken?,
        }
        numbers_of(&self.path, self.prefix)
    }

    fn read(&mut self, file: u32) -> io::Result<Vec<u8>> {
        read_whole(&self.name(file), self.bytes_max)
    }

    fn read_at(&mut self, file: u32, offset: usize, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        // Not the file that is written: that one stays open.
        File::open(self.name(file))?.read_exact_at(&mut bytes, offset as u64)?;
        Ok(bytes)
    }

    fn create(&mut self, file: u32) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let name = self.name(file);
        match options.open(&name) {
            // The folder of jobs is gone: it is made again. If that fails, this is the cause.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.prefix == JOB => {
                self.lock = None;
                self.take_lock()?;
                options.open(&name)?;
            }
            made => {
                made?;
            }
        }
        self.sync_names()
    }

    fn write_at(&mut self, file: u32, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.open(file)?.write_all_at(bytes, offset as u64)
    }

    fn truncate(&mut self, file: u32, length: usize) -> io::Result<()> {
        // Opened anew: the disk may be another one by now.
        self.open = None;
        self.open(file)?.set_len(length as u64)
    }

    fn sync(&mut self, file: u32) -> io::Result<()> {
        self.open(file)?.sync_data()
    }

    fn remove(&mut self, file: u32) -> io::Result<()> {
        fs::remove_file(self.name(file))?;
        self.sync_names()
    }
}
