//! Recordings as the jobs see them: which version is there, and its chunks in order.
//!
//! Paths in; stamps and chunks out. [`Files`] are the real ones; a test has its own, so that it can
//! take them away at any time. Runs on the thread `jobs`.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::record::Stamp;
use crate::audio_file::{AudioFile, AudioFileError, Damage};
use crate::chunks::{Chunk, Chunks, Cut};
use crate::listen::Ears;

/// Whether a recording may be a link.
///
/// Who may write into the spool need not be allowed to read what a link there leads to. A recording
/// that was added by its path is the choice of the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// They are followed.
    Followed,
    /// A link is as good as no file.
    Refused,
}

/// Who may read a recording, and so its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Bits for reading and writing.
    pub mode: u32,
    /// The recording's group.
    pub group: Option<u32>,
}

impl Rights {
    /// The rights of what belongs to a recording that cannot be seen: the owner's only.
    pub const NARROW: Self = Self {
        mode: 0o600,
        group: None,
    };
}

/// Where recordings are.
pub trait Recordings: Send {
    /// Returns which version of a file is there.
    ///
    /// # Errors
    /// The system's own: it is away, it may not be seen, or it is not a file. Where links are
    /// refused, whatever is not a regular file is `NotFound`.
    fn stamp(&self, path: &Path, links: Links) -> io::Result<Stamp>;
    /// Returns who may read a recording.
    fn rights(&self, path: &Path, links: Links) -> Rights;
    /// Shows each regular file in a folder itself, without links, in any order.
    ///
    /// # Errors
    /// The folder is away or may not be read.
    fn list(&self, folder: &Path, show: &mut dyn FnMut(PathBuf, Stamp)) -> io::Result<()>;
    /// Opens a recording at sample `from`, which is 0 or where another chunk ended.
    ///
    /// # Errors
    /// It cannot be read; in one line what is wrong and what to do.
    fn open(&self, path: &Path, links: Links, from: u64)
    -> Result<Box<dyn Reader>, AudioFileError>;
}

/// An open recording.
pub trait Reader: Send {
    /// Returns its length in samples, when it says it.
    fn duration(&self) -> Option<u64>;
    /// Returns what was wrong with it so far.
    fn damage(&self) -> Damage;
    /// Returns whether the level told speech from silence, because the model failed.
    fn fell_back(&self) -> bool;
    /// Returns where it is, in samples; behind its last chunk that is its length.
    fn position(&self) -> u64;
    /// Writes the next chunk into the slot; `None` is the end.
    ///
    /// # Errors
    /// It cannot be read on.
    fn next(&mut self, ears: &mut Ears, slot: &mut [i16]) -> Result<Option<Chunk>, AudioFileError>;
    /// Takes how many samples of the last chunk the model heard, and returns where the next one
    /// begins.
    fn heard(&mut self, samples: u32) -> u64;
}

/// The real files.
#[derive(Debug)]
pub struct Files {
    /// How they are cut.
    pub cut: Cut,
}

fn stamp(metadata: &Metadata) -> Stamp {
    let nanoseconds = u32::try_from(metadata.mtime_nsec()).unwrap_or(0);
    Stamp {
        bytes: metadata.len(),
        changed: (metadata.mtime(), nanoseconds),
    }
}

fn metadata(path: &Path, links: Links) -> io::Result<Metadata> {
    let (metadata, otherwise) = match links {
        Links::Followed => (fs::metadata(path)?, io::ErrorKind::Other),
        Links::Refused => (fs::symlink_metadata(path)?, io::ErrorKind::NotFound),
    };
    if metadata.is_file() {
        Ok(metadata)
    } else {
        Err(io::Error::new(otherwise, "it is not a file"))
    }
}

impl Recordings for Files {
    fn stamp(&self, path: &Path, links: Links) -> io::Result<Stamp> {
        metadata(path, links).map(|metadata| stamp(&metadata))
    }

    fn rights(&self, path: &Path, links: Links) -> Rights {
        metadata(path, links).map_or(Rights::NARROW, |metadata| Rights {
            mode: metadata.mode() & 0o666,
            group: Some(metadata.gid()),
        })
    }

    fn list(&self, folder: &Path, show: &mut dyn FnMut(PathBuf, Stamp)) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // One that has left meanwhile is none; links are not followed.
            if let Ok(metadata) = entry.metadata()
                && metadata.is_file()
            {
                show(entry.path(), stamp(&metadata));
            }
        }
        Ok(())
    }

    fn open(
        &self,
        path: &Path,
        links: Links,
        from: u64,
    ) -> Result<Box<dyn Reader>, AudioFileError> {
        let file = match links {
            Links::Followed => AudioFile::open(path)?,
            Links::Refused => AudioFile::open_no_link(path)?,
        };
        Ok(Box::new(Chunks::of(file, from, self.cut)?))
    }
}

impl Reader for Chunks {
    fn duration(&self) -> Option<u64> {
        self.info().duration_samples
    }

    fn damage(&self) -> Damage {
        Self::damage(self)
    }

    fn fell_back(&self) -> bool {
        Self::fell_back(self)
    }

    fn position(&self) -> u64 {
        Self::position(self)
    }

    fn next(&mut self, ears: &mut Ears, slot: &mut [i16]) -> Result<Option<Chunk>, AudioFileError> {
        Self::next(self, ears, slot)
    }

    fn heard(&mut self, samples: u32) -> u64 {
        Self::heard(self, samples)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::os::unix::fs::{FileExt as _, symlink};
    use std::time::Instant;

    use pressel_pipeline::limits::{RATE_HZ, UTTERANCE_SAMPLES_MAX};

    use super::*;
    use crate::config::{Config, Trigger};

    const SECONDS: u64 = 40 * 60;

    /// Forty minutes of silence with two seconds of sound in each minute, as 16-bit WAV. What is
    /// silent takes no room on the disk.
    fn long_recording(path: &Path) {
        let bytes = u32::try_from(SECONDS * RATE_HZ as u64 * 2).unwrap();
        let mut header = Vec::new();
        for part in [
            &b"RIFF"[..],
            &(bytes + 36).to_le_bytes(),
            b"WAVEfmt ",
            &16_u32.to_le_bytes(),
            &[1, 0, 1, 0],
            &16_000_u32.to_le_bytes(),
            &32_000_u32.to_le_bytes(),
            &[2, 0, 16, 0],
            b"data",
            &bytes.to_le_bytes(),
        ] {
            header.extend_from_slice(part);
        }
        let mut file = File::create(path).unwrap();
        file.write_all(&header).unwrap();
        file.set_len(u64::from(bytes) + 44).unwrap();
        for minute in 0..40 {
            let sound: Vec<u8> = (0..2 * RATE_HZ)
                .flat_map(|at| sample(minute, at as u64).to_le_bytes())
                .collect();
            let place = 44 + (minute * 60 + 30) * RATE_HZ as u64 * 2;
            file.write_all_at(&sound, place).unwrap();
        }
    }

    fn sample(minute: u64, at: u64) -> i16 {
        let loud = 3_000 + i16::try_from(minute).unwrap();
        if at % 8 < 4 { loud } else { -loud }
    }

    /// Bytes that this thread has read of files.
    fn bytes_read() -> u64 {
        let text = fs::read_to_string("/proc/thread-self/io").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("rchar: "));
        line.map_or(0, |count| count.parse().unwrap())
    }

    #[test]
    fn late_chunk_of_a_long_recording_is_found_without_reading_what_is_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.wav");
        long_recording(&path);
        let config = Config {
            trigger: Trigger::Voice,
            ..Config::default()
        };
        let files = Files {
            cut: Cut::Speech(config.tuning()),
        };
        let mut slot = vec![0; UTTERANCE_SAMPLES_MAX];
        let from = (39 * 60 + 20) * RATE_HZ as u64;
        let (began, before) = (Instant::now(), bytes_read());
        let mut reader = files.open(&path, Links::Refused, from).unwrap();
        let (took, read) = (began.elapsed(), bytes_read() - before);
        println!("resume of 40 minutes: {took:?}, {read} bytes read");
        assert!(read < 200_000, "{read}");
        assert_eq!(reader.position(), from);
        let mut ears = Ears::by_level();
        let chunk = reader.next(&mut ears, &mut slot).unwrap().unwrap();
        let sound = (39 * 60 + 30) * RATE_HZ as u64;
        assert!(from < chunk.start && chunk.start <= sound, "{chunk:?}");
        let first = usize::try_from(sound - chunk.start).unwrap();
        let expected: Vec<_> = (0..8_000).map(|at| sample(39, at)).collect();
        assert_eq!(slot[first..first + 8_000], expected);
        assert!(bytes_read() - before < 2_000_000);
    }

    #[test]
    fn only_regular_files_are_listed_and_a_changed_one_has_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note.wav");
        fs::write(&path, "one").unwrap();
        symlink(&path, folder.path().join("link.wav")).unwrap();
        fs::create_dir(folder.path().join("deeper.wav")).unwrap();
        let files = Files {
            cut: Cut::Speech(Config::default().tuning()),
        };
        let mut listed = Vec::new();
        files
            .list(folder.path(), &mut |path, stamp| listed.push((path, stamp)))
            .unwrap();
        let stamp = files.stamp(&path, Links::Refused).unwrap();
        assert_eq!(listed, [(path.clone(), stamp)]);
        fs::write(&path, "three").unwrap();
        assert_ne!(files.stamp(&path, Links::Refused).unwrap(), stamp);
        assert!(files.stamp(folder.path(), Links::Followed).is_err());
        fs::remove_file(&path).unwrap();
        let gone = files.stamp(&path, Links::Followed).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn link_that_was_swapped_in_over_a_recording_is_followed_only_where_the_owner_named_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, secret) = (folder.path().join("note.wav"), folder.path().join("secret"));
        long_recording(&secret);
        symlink(&secret, &path).unwrap();
        let files = Files {
            cut: Cut::Speech(Config::default().tuning()),
        };
        let gone = files.stamp(&path, Links::Refused).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        assert_eq!(files.rights(&path, Links::Refused), Rights::NARROW);
        // Nor when it is swapped in after the stamp was taken.
        let refused = files.open(&path, Links::Refused, 0).err().unwrap();
        assert_eq!(refused.fault, crate::audio_file::Fault::Missing);
        assert!(files.stamp(&path, Links::Followed).is_ok());
        assert!(files.open(&path, Links::Followed, 0).is_ok());
        assert!(files.open(&secret, Links::Refused, 0).is_ok());
    }
}
