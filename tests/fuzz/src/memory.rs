//! A disk in memory, for the journal and for the checkpoints of jobs.
//!
//! Files in, the same files out; clones are the same disk. It never fails.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use pressel::journal::Disk;

/// Files in memory, which never fail.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<BTreeMap<u32, Vec<u8>>>>);

impl Memory {
    /// A disk with one file.
    pub(crate) fn with_file(file: u32, bytes: &[u8]) -> Self {
        let disk = Self::default();
        disk.files().insert(file, bytes.to_vec());
        disk
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<u32, Vec<u8>>> {
        self.0.lock().expect("one thread")
    }

    /// Does something with a file that is there.
    fn with<T>(&self, file: u32, work: impl FnOnce(&mut Vec<u8>) -> T) -> io::Result<T> {
        let mut files = self.files();
        let found = files.get_mut(&file);
        found
            .map(work)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for Memory {
    fn list(&mut self) -> io::Result<Vec<u32>> {
        Ok(self.files().keys().copied().collect())
    }
    fn read(&mut self, file: u32) -> io::Result<Vec<u8>> {
        self.with(file, |bytes| bytes.clone())
    }
    fn read_at(&mut self, file: u32, offset: usize, count: usize) -> io::Result<Vec<u8>> {
        let part = self.with(file, |bytes| {
            let part = bytes.get(offset..offset + count);
            part.map(<[u8]>::to_vec)
        })?;
        part.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
    fn create(&mut self, file: u32) -> io::Result<()> {
        self.files().entry(file).or_default();
        Ok(())
    }
    fn write_at(&mut self, file: u32, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.with(file, |content| {
            let end = content.len().max(offset + bytes.len());
            content.resize(end, 0);
            content[offset..offset + bytes.len()].copy_from_slice(bytes);
        })
    }
    fn truncate(&mut self, file: u32, length: usize) -> io::Result<()> {
        self.with(file, |content| content.resize(length, 0))
    }
    fn sync(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }
    fn remove(&mut self, file: u32) -> io::Result<()> {
        self.files().remove(&file);
        Ok(())
    }
}
