//! The lines of one job's checkpoints.
//!
//! As bytes each is a record of the journal's [`frame`](crate::journal::frame). Variants are only
//! appended, and their fields never change: a job outlives an update. Nothing happens here.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use pressel_pipeline::limits::{
    JOB_MODEL_BYTES_MAX, JOB_PATH_BYTES_MAX, JOB_WHY_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENTS_MAX,
    TEXT_BYTES_MAX,
};
use pressel_wire::text::cut;
use serde::{Deserialize, Serialize};

use crate::journal::frame::RECORD_BYTES_MAX;
use crate::window::Span;

// The longest of each kind fits; the other fields are a few numbers of at most ten bytes.
const _: () = assert!(JOB_PATH_BYTES_MAX + JOB_MODEL_BYTES_MAX + 64 <= RECORD_BYTES_MAX);
const _: () = assert!(JOB_WHY_BYTES_MAX + 8 <= RECORD_BYTES_MAX);
const _: () = assert!(TEXT_BYTES_MAX + SEGMENTS_MAX * SEGMENT_BYTES_MAX + 96 <= RECORD_BYTES_MAX);

/// One line of a job's checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The job begins; everything before it in the file is void.
    Head(Head),
    /// A chunk is done.
    Chunk(Said),
    /// The recording was heard to its end.
    Heard {
        /// Where the last stretch ended, in samples.
        from: u64,
        /// Length of the recording in samples.
        samples: u64,
    },
    /// The results are durable.
    Done,
    /// The recording cannot be transcribed.
    Failed {
        /// What is wrong and what to do, at most [`JOB_WHY_BYTES_MAX`].
        why: String,
    },
    /// Someone cancelled it.
    Cancelled,
    /// It brought the worker, or this program, down.
    Quarantined {
        /// What happened and what to do, at most [`JOB_WHY_BYTES_MAX`].
        why: String,
    },
    /// It is taken up again where it stopped.
    Retried,
    /// The recording was removed from the spool before it was done.
    Removed,
    /// A window is done.
    Window(Window),
}

/// What a job is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Bytes of the recording's absolute path, at most [`JOB_PATH_BYTES_MAX`].
    path: Vec<u8>,
    /// Which version of the recording.
    pub stamp: Stamp,
    /// Which version of which model, and how the recording is cut; at most
    /// [`JOB_MODEL_BYTES_MAX`].
    pub model: String,
}

impl Head {
    /// Makes a head. A model's name that is too long is cut.
    #[must_use]
    pub fn new(path: &Path, stamp: Stamp, model: &str) -> Self {
        Self {
            path: path.as_os_str().as_bytes().to_vec(),
            stamp,
            model: cut(model, JOB_MODEL_BYTES_MAX).to_owned(),
        }
    }

    /// Returns the recording's path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        OsString::from_vec(self.path.clone()).into()
    }
}

/// By what a changed recording is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Size in bytes.
    pub bytes: u64,
    /// Time of its last change: seconds and nanoseconds since 1970.
    pub changed: (i64, u32),
}

/// A stretch of the recording that is done: a chunk and its text, or silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Where the stretch begins, in samples: where the one before it ended.
    pub from: u64,
    /// Where the next one begins.
    pub next: u64,
    /// First sample of the chunk.
    pub start: u64,
    /// Samples of the chunk.
    pub samples: u32,
    /// Its text; empty when nobody spoke.
    pub text: String,
    /// Two-letter code of the language; zeros when nothing was recognised.
    pub language: [u8; 2],
    /// Units: percent.
    pub confidence: u8,
}

/// A stretch that is done, with what a window gives beside its text. A chunk of speech gives
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The stretch. It ends where the next window begins, which may be before its samples end.
    pub said: Said,
    /// When its words were said, from its first sample on; at most [`SEGMENTS_MAX`].
    pub spans: Vec<Span>,
    /// The words up to its end do not go with the next window.
    pub forgets: bool,
}

impl From<Said> for Window {
    fn from(said: Said) -> Self {
        Self {
            said,
            spans: Vec::new(),
            forgets: false,
        }
    }
}

impl Said {
    /// Returns whether it goes on where the stretch before it ended, so that there is no hole.
    #[must_use]
    pub fn follows(&self, position: u64) -> bool {
        self.from == position && self.from < self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::frame;

    fn check(record: &Record) {
        let found = frame::scan::<Record>(&frame::encode(record));
        assert_eq!(found.records[0].1, *record);
    }

    #[test]
    fn longest_records_fit() {
        let stamp = Stamp {
            bytes: u64::MAX,
            changed: (i64::MIN, u32::MAX),
        };
        let path = PathBuf::from("/".repeat(JOB_PATH_BYTES_MAX));
        let head = Head::new(&path, stamp, &"é".repeat(JOB_MODEL_BYTES_MAX));
        assert_eq!(head.model.len(), JOB_MODEL_BYTES_MAX);
        assert_eq!(head.path(), path);
        check(&Record::Head(head));
        let said = Said {
            from: u64::MAX,
            next: u64::MAX,
            start: u64::MAX,
            samples: u32::MAX,
            text: "x".repeat(TEXT_BYTES_MAX),
            language: *b"en",
            confidence: 255,
        };
        check(&Record::Chunk(said.clone()));
        let why = "x".repeat(JOB_WHY_BYTES_MAX);
        check(&Record::Failed { why: why.clone() });
        check(&Record::Quarantined { why });
        check(&Record::Heard {
            from: u64::MAX,
            samples: u64::MAX,
        });
        let span = Span {
            start_ms: u32::MAX,
            end_ms: u32::MAX,
            text_end: u16::MAX,
        };
        check(&Record::Window(Window {
            said,
            spans: vec![span; SEGMENTS_MAX],
            forgets: true,
        }));
        check(&Record::Retried);
        check(&Record::Removed);
    }

    #[test]
    fn checkpoints_of_older_versions_are_read() {
        // Kind, from, next, start, samples, text, language, confidence.
        let chunk = [1, 5, 9, 6, 2, 2, b'o', b'n', b'e', b'n', 90];
        let said = Said {
            from: 5,
            next: 9,
            start: 6,
            samples: 2,
            text: "on".to_owned(),
            language: *b"en",
            confidence: 90,
        };
        let records: [(&[u8], Record); 5] = [
            (&chunk, Record::Chunk(said)),
            (
                &[2, 9, 12],
                Record::Heard {
                    from: 9,
                    samples: 12,
                },
            ),
            (&[3], Record::Done),
            (&[7], Record::Retried),
            (&[8], Record::Removed),
        ];
        for (bytes, expected) in records {
            assert_eq!(postcard::from_bytes::<Record>(bytes), Ok(expected));
        }
    }
}
