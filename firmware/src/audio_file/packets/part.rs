//! A file without the tag in front of it, as symphonia wants its source.
//!
//! Skipping an ID3 tag here keeps its pictures out of memory and its parser out of reach.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use symphonia::core::io::MediaSource;

/// The bytes `start..end` of a file.
#[derive(Debug)]
pub(in crate::audio_file) struct Part {
    file: File,
    start: u64,
    end: u64,
    at: u64,
}

impl Part {
    pub(in crate::audio_file) fn new(file: File, start: u64, end: u64) -> Self {
        assert!(start <= end);
        Self {
            file,
            start,
            end,
            at: start,
        }
    }
}

impl Read for Part {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = bytes.len().min(left);
        let count = self.file.read_at(&mut bytes[..wanted], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(offset) => self.start.checked_add(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
            SeekFrom::End(offset) => self.end.checked_add_signed(offset),
        };
        let at = at
            .filter(|at| *at >= self.start)
            .ok_or(io::ErrorKind::InvalidInput)?;
        self.at = at;
        Ok(at - self.start)
    }
}

impl MediaSource for Part {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.end - self.start)
    }
}
