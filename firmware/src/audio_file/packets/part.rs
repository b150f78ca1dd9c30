//! A file without what is not wanted of it, as symphonia wants its source.
//!
//! Skipping an ID3 tag here keeps its pictures out of memory and its parser out of reach; passing
//! over frames of a FLAC file makes it begin in the middle.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use symphonia::core::io::MediaSource;

/// The bytes `start..end` of a file, without those of a gap.
#[derive(Clone, Debug)]
pub(in crate::audio_file) struct Part {
    file: Arc<File>,
    start: u64,
    end: u64,
    /// Where the gap is, in bytes of the part with it.
    gap: (u64, u64),
    /// Position in the part without the gap.
    at: u64,
}

impl Part {
    pub(in crate::audio_file) fn new(file: File, start: u64, end: u64) -> Self {
        assert!(start <= end);
        Self {
            file: Arc::new(file),
            start,
            end,
            gap: (0, 0),
            at: 0,
        }
    }

    /// Returns the part without the bytes `from..to`, at its start. There must be no other gap.
    pub(super) fn without(&self, from: u64, to: u64) -> Self {
        assert!(self.gap.0 == self.gap.1 && from <= to);
        Self {
            gap: (from, to),
            at: 0,
            ..self.clone()
        }
    }

    fn byte_count(&self) -> u64 {
        (self.end - self.start).saturating_sub(self.gap.1 - self.gap.0)
    }
}

impl Read for Part {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let (from, to) = self.gap;
        let (at, until) = if self.at < from {
            (self.start + self.at, self.start + from)
        } else {
            (self.start + self.at + (to - from), self.end)
        };
        let left = usize::try_from(until.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = bytes.len().min(left);
        let count = self.file.read_at(&mut bytes[..wanted], at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
            SeekFrom::End(offset) => self.byte_count().checked_add_signed(offset),
        };
        // Far beyond the end is no place either: the sums above must not overflow.
        let at = at.filter(|at| *at <= u64::MAX >> 1);
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl MediaSource for Part {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.byte_count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads all of it from `at` on, five bytes at a time.
    fn check(part: &mut Part, at: SeekFrom, expected: &[u8]) {
        part.seek(at).unwrap();
        let mut read = Vec::new();
        let mut bytes = [0; 5];
        loop {
            match part.read(&mut bytes).unwrap() {
                0 => break,
                count => read.extend_from_slice(&bytes[..count]),
            }
        }
        assert_eq!(read, expected);
    }

    #[test]
    fn gap_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"tag0123456789end").unwrap();
        let mut whole = Part::new(File::open(path).unwrap(), 3, 13);
        check(&mut whole, SeekFrom::Start(0), b"0123456789");
        check(&mut whole, SeekFrom::End(-2), b"89");
        let mut part = whole.without(2, 7);
        assert_eq!(part.byte_len(), Some(5));
        check(&mut part, SeekFrom::Start(0), b"01789");
        check(&mut part, SeekFrom::Start(3), b"89");
        check(&mut part, SeekFrom::End(0), b"");
        assert!(part.seek(SeekFrom::Current(-6)).is_err());
        check(&mut part, SeekFrom::Start(99), b"");
    }
}
