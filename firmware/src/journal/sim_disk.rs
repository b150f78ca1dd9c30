//! A disk for tests that fails, or loses its power, at any operation.
//!
//! What was written and not synced is kept as a list; a power cut keeps any beginning of that list,
//! and any beginning of the bytes of the write after it. New names are durable after `create`.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::Disk;

/// What happens at the operation with a given number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails and does nothing; the disk goes on.
    Error,
    /// It does its work, partly if it is a write, and fails; the disk goes on.
    ErrorAfter,
    /// The power goes: this and all that follow fail.
    PowerCut,
}

/// What a power cut leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tear {
    /// So many whole operations.
    pub(crate) operations: usize,
    /// And so many bytes of the next one.
    pub(crate) bytes: usize,
    /// Its other bytes are zero, as when the length was written before the data.
    pub(crate) zeros: bool,
}

#[derive(Clone, Debug)]
enum Operation {
    Write(u32, usize, Vec<u8>),
    Truncate(u32, usize),
}

#[derive(Clone, Debug, Default)]
struct Inside {
    durable: BTreeMap<u32, Vec<u8>>,
    seen: BTreeMap<u32, Vec<u8>>,
    unsynced: Vec<Operation>,
    operations: usize,
    faults: Vec<(usize, Fault)>,
    is_off: bool,
}

/// The disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimDisk(Arc<Mutex<Inside>>);

fn apply(files: &mut BTreeMap<u32, Vec<u8>>, operation: &Operation) {
    match operation {
        Operation::Write(file, offset, bytes) => {
            if let Some(content) = files.get_mut(file) {
                let end = offset + bytes.len();
                content.resize(content.len().max(end), 0);
                content[*offset..end].copy_from_slice(bytes);
            }
        }
        Operation::Truncate(file, length) => {
            if let Some(content) = files.get_mut(file) {
                content.resize(*length, 0);
            }
        }
    }
}

impl SimDisk {
    /// Makes an empty disk with these faults, by number of the operation.
    pub(crate) fn new(faults: &[(usize, Fault)]) -> Self {
        let disk = Self::default();
        disk.0.lock().unwrap().faults = faults.to_vec();
        disk
    }

    /// Makes these operations fail, by their numbers, and no others.
    pub(crate) fn set_faults(&self, faults: &[(usize, Fault)]) {
        self.0.lock().unwrap().faults = faults.to_vec();
    }

    /// Returns how many operations there were.
    pub(crate) fn operations(&self) -> usize {
        self.0.lock().unwrap().operations
    }

    /// Returns whether the power is gone.
    pub(crate) fn is_off(&self) -> bool {
        self.0.lock().unwrap().is_off
    }

    /// Takes the power away.
    pub(crate) fn cut(&self) {
        self.0.lock().unwrap().is_off = true;
    }

    /// Returns the tears that the next power cut may leave: `all` of them, or the edges.
    pub(crate) fn tears(&self, all: bool) -> Vec<Tear> {
        let inside = self.0.lock().unwrap();
        let mut tears = Vec::new();
        for operations in 0..=inside.unsynced.len() {
            let count = match inside.unsynced.get(operations) {
                Some(Operation::Write(_, _, bytes)) => bytes.len(),
                _ => 0,
            };
            let edges = [0, 1, count / 2, count.saturating_sub(1)];
            for bytes in (0..=count).filter(|bytes| all || edges.contains(bytes)) {
                for zeros in [false, true] {
                    if !zeros || 0 < count {
                        tears.push(Tear {
                            operations,
                            bytes,
                            zeros,
                        });
                    }
                }
            }
        }
        tears
    }

    /// Returns the disk as it is after the power is back, with its own copy of everything.
    pub(crate) fn restart(&self, tear: Tear, faults: &[(usize, Fault)]) -> Self {
        let inside = self.0.lock().unwrap();
        let mut files = inside.durable.clone();
        for operation in &inside.unsynced[..tear.operations] {
            apply(&mut files, operation);
        }
        if let Some(Operation::Write(file, offset, bytes)) = inside.unsynced.get(tear.operations) {
            let mut part = bytes[..tear.bytes].to_vec();
            if tear.zeros {
                part.resize(bytes.len(), 0);
            }
            if !part.is_empty() {
                apply(&mut files, &Operation::Write(*file, *offset, part));
            }
        }
        let inside = Inside {
            durable: files.clone(),
            seen: files,
            faults: faults.to_vec(),
            ..Inside::default()
        };
        Self(Arc::new(Mutex::new(inside)))
    }

    fn change(&self, work: impl FnOnce(&mut Inside, Option<Fault>)) -> io::Result<()> {
        let mut inside = self.0.lock().unwrap();
        let number = inside.operations;
        inside.operations += 1;
        let mut faults = inside.faults.iter();
        let fault = faults
            .find(|(at, _)| *at == number)
            .map(|(_, fault)| *fault);
        if inside.is_off {
            return Err(io::Error::other("power is off"));
        }
        match fault {
            Some(Fault::Error) => return Err(io::Error::other("input/output error")),
            Some(Fault::PowerCut) => inside.is_off = true,
            Some(Fault::ErrorAfter) | None => {}
        }
        work(&mut inside, fault);
        match fault {
            None => Ok(()),
            Some(_) => Err(io::Error::other("input/output error after the work")),
        }
    }
}

impl Disk for SimDisk {
    fn list(&mut self) -> io::Result<Vec<u32>> {
        let inside = self.0.lock().unwrap();
        Ok(inside.seen.keys().copied().collect())
    }

    fn read(&mut self, file: u32) -> io::Result<Vec<u8>> {
        let inside = self.0.lock().unwrap();
        let content = inside.seen.get(&file).cloned();
        content.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn read_at(&mut self, file: u32, offset: usize, count: usize) -> io::Result<Vec<u8>> {
        let content = self.read(file)?;
        let bytes = content.get(offset..offset + count).map(<[u8]>::to_vec);
        bytes.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn create(&mut self, file: u32) -> io::Result<()> {
        self.change(|inside, fault| {
            inside.seen.entry(file).or_default();
            // Without its sync, the name may be gone after a power cut: here it always is.
            if fault.is_none() {
                inside.durable.entry(file).or_default();
            }
        })
    }

    fn write_at(&mut self, file: u32, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.change(|inside, fault| {
            let count = match fault {
                Some(Fault::ErrorAfter) => bytes.len() / 2,
                _ => bytes.len(),
            };
            let operation = Operation::Write(file, offset, bytes[..count].to_vec());
            apply(&mut inside.seen, &operation);
            inside.unsynced.push(operation);
        })
    }

    fn truncate(&mut self, file: u32, length: usize) -> io::Result<()> {
        self.change(|inside, _| {
            let operation = Operation::Truncate(file, length);
            apply(&mut inside.seen, &operation);
            inside.unsynced.push(operation);
        })
    }

    fn sync(&mut self, file: u32) -> io::Result<()> {
        self.change(|inside, fault| {
            if fault == Some(Fault::PowerCut) {
                return; // What it leaves is up to the tear.
            }
            let unsynced = std::mem::take(&mut inside.unsynced);
            for operation in unsynced {
                let of = match operation {
                    Operation::Write(of, ..) | Operation::Truncate(of, _) => of,
                };
                if of == file {
                    apply(&mut inside.durable, &operation);
                } else {
                    inside.unsynced.push(operation);
                }
            }
        })
    }

    fn remove(&mut self, file: u32) -> io::Result<()> {
        self.change(|inside, fault| {
            inside.seen.remove(&file);
            if fault.is_none() {
                inside.durable.remove(&file);
            }
        })
    }
}
