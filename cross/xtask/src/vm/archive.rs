//! An initial file system for the kernel: a cpio archive in memory, written at once.
//!
//! In: files, texts and folders with their paths. Out: one file. Parents are made by themselves.
//! Source: kernel documentation, driver-api/early-userspace/buffer-format ("newc").

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::failed;
use crate::Fallible;

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const CONSOLE: u32 = 0o020_600;

/// What lies at a path: its mode and its bytes.
type Entry = (u32, Vec<u8>);

/// The archive that is being made.
#[derive(Default)]
pub(super) struct Archive {
    entries: BTreeMap<String, Entry>,
}

impl Archive {
    /// An archive with a console, which the kernel wants for the first program.
    pub(super) fn new() -> Self {
        let mut archive = Self::default();
        archive.put("dev/console", CONSOLE, Vec::new());
        archive
    }

    /// Adds an empty folder.
    pub(super) fn folder(&mut self, path: &str) {
        self.put(path, FOLDER, Vec::new());
    }

    /// Adds a text.
    pub(super) fn text(&mut self, path: &str, text: &str) {
        self.put(path, PROGRAM, text.as_bytes().to_vec());
    }

    /// Adds a file of this machine, or a folder and all files in it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn copy(&mut self, path: &str, from: &Path) -> Fallible<()> {
        if !from.is_dir() {
            let bytes = fs::read(from).map_err(|error| failed("read", from, &error))?;
            self.put(path, PROGRAM, bytes);
            return Ok(());
        }
        let entries = fs::read_dir(from).map_err(|error| failed("read", from, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| failed("read", from, &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // A link that leads nowhere is none of ours.
            if entry.path().exists() {
                self.copy(&format!("{path}/{name}"), &entry.path())?;
            }
        }
        Ok(())
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Fallible<()> {
        fs::write(path, self.bytes()).map_err(|error| failed("write", path, &error))
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (inode, (path, (mode, content))) in self.entries.iter().enumerate() {
            append(&mut bytes, inode + 1, path, *mode, content);
        }
        append(&mut bytes, 0, "TRAILER!!!", 0, &[]);
        bytes
    }

    fn put(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        let path = path.trim_start_matches('/');
        for (at, _) in path.match_indices('/') {
            let parent = path[..at].to_owned();
            self.entries.entry(parent).or_insert((FOLDER, Vec::new()));
        }
        self.entries.insert(path.to_owned(), (mode, content));
    }
}

/// One entry: numbers in hexadecimal, the name, the content, each padded to four bytes.
fn append(bytes: &mut Vec<u8>, inode: usize, path: &str, mode: u32, content: &[u8]) {
    let (major, minor) = if mode == CONSOLE { (5, 1) } else { (0, 0) };
    let fields = [
        inode,
        mode as usize,
        0, // owner
        0, // group
        1, // links
        0, // time
        content.len(),
        0,
        0,
        major,
        minor,
        path.len() + 1,
        0, // no checksum
    ];
    bytes.extend(b"070701");
    for field in fields {
        bytes.extend(format!("{field:08X}").as_bytes());
    }
    bytes.extend(path.as_bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_their_files() {
        let mut archive = Archive::new();
        archive.text("/lib/vm/board.sh", "x");
        archive.folder("proc");
        let paths: Vec<_> = archive.entries.keys().map(String::as_str).collect();
        let expected = [
            "dev",
            "dev/console",
            "lib",
            "lib/vm",
            "lib/vm/board.sh",
            "proc",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn entries_are_as_the_kernel_reads_them() {
        let mut bytes = Vec::new();
        append(&mut bytes, 1, "init", PROGRAM, b"hello");
        // A header of 110 bytes, the name with its end, and the content, each padded.
        assert_eq!(bytes.len(), 116 + 8);
        assert_eq!(&bytes[..22], b"07070100000001000081ED");
        assert_eq!(&bytes[54..62], b"00000005");
        assert_eq!(&bytes[94..102], b"00000005");
        assert_eq!(&bytes[110..], b"init\0\0hello\0\0\0");
    }
}
