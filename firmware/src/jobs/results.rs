//! Results beside a recording: `NAME.json`, `NAME.txt`, `NAME.srt`, and `NAME.error.txt`.
//!
//! A transcript in; whole files out. Each is written under a temporary name in the same folder,
//! made durable, and only then renamed, so that nobody ever sees half of one. Runs on the thread
//! `jobs`.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use pressel_pipeline::limits::{JOB_NAME_BYTES_MAX, JOB_PATH_BYTES_MAX};

use super::record::Stamp;
use super::recordings::{Links, Recordings, Rights};
use crate::transcript::{Format, Transcript, WriteError, write};

/// The results of a recording, and what is added to its name for each. The JSON comes last: who
/// waits for it finds the others.
pub const RESULTS: [(Format, &str); 3] = [
    (Format::Txt, "txt"),
    (Format::Srt, "srt"),
    (Format::Json, "json"),
];
/// What is added to the name of a recording that could not be transcribed.
const ERROR: &str = "error.txt";
/// How temporary names begin. Recordings whose names begin with a dot are left alone.
const TEMPORARY: &str = ".pressel";

/// The few things that results ask of a folder, so that a test can cut the power at each. Each
/// error is the system's own; nothing is retried here.
pub trait Shelf: Send {
    /// Makes a file anew with this content and these rights. Nothing of it is durable yet.
    ///
    /// # Errors
    /// The disk is full, away or read-only; some of the content may be there.
    fn write(&mut self, path: &Path, content: &[u8], rights: Rights) -> io::Result<()>;
    /// Makes the content of a file durable that was written last.
    ///
    /// # Errors
    /// It may or may not be durable.
    fn sync(&mut self, path: &Path) -> io::Result<()>;
    /// Gives a file another name, instead of the file that has it. Not durable yet.
    ///
    /// # Errors
    /// The name may or may not have changed.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; one that is not there is fine. Not durable yet.
    ///
    /// # Errors
    /// The disk cannot be written.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// They may or may not be durable.
    fn sync_names(&mut self, folder: &Path) -> io::Result<()>;
}

/// Returns the name of a result or of the error.
#[must_use]
pub fn beside(recording: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(recording);
    name.push(".");
    name.push(ending);
    name.into()
}

/// Returns why a recording cannot be a job, by its path alone.
#[must_use]
pub fn refuse(path: &Path) -> Option<String> {
    let name_bytes = path.file_name().map_or(0, OsStr::len);
    let why = if !path.is_absolute() {
        "its path does not begin with /: give the whole path"
    } else if JOB_PATH_BYTES_MAX < path.as_os_str().len() {
        "its path is too long: move it"
    } else if JOB_NAME_BYTES_MAX < name_bytes {
        "its name is too long for its results' names: rename it"
    } else if name_bytes == 0 {
        "is not the path of a file"
    } else {
        return None;
    };
    Some(format!("{}: {why}", super::job::one_line(path)))
}

/// Returns whether all results of a recording are there and newer than this version of it.
pub fn are_there(recordings: &dyn Recordings, recording: &Path, stamp: Stamp) -> bool {
    RESULTS
        .iter()
        .all(|(_, ending)| is_newer(recordings, &beside(recording, ending), stamp))
}

/// Returns whether this version of a recording was given up before.
pub fn was_given_up(recordings: &dyn Recordings, recording: &Path, stamp: Stamp) -> bool {
    is_newer(recordings, &beside(recording, ERROR), stamp)
}

fn is_newer(recordings: &dyn Recordings, result: &Path, stamp: Stamp) -> bool {
    let found = recordings.stamp(result, Links::Refused);
    found.is_ok_and(|found| stamp.changed <= found.changed)
}

/// Writes all results of a recording and makes them durable. `number` makes temporary names
/// unique; `rights` are the recording's.
///
/// # Errors
/// The disk's own; none of the results is ever half there. Call again later.
pub fn write_all(
    shelf: &mut dyn Shelf,
    recording: &Path,
    number: u32,
    rights: Rights,
    transcript: &Transcript,
) -> io::Result<()> {
    for (format, ending) in RESULTS {
        let mut content = Vec::new();
        let one = std::slice::from_ref(transcript);
        write(format, one, &mut content).map_err(|error| match error {
            WriteError::Io(error) => error,
            error @ WriteError::OneFileOnly => io::Error::other(error),
        })?;
        let temporary = temporary(recording, number, ending);
        put(
            shelf,
            &temporary,
            &beside(recording, ending),
            &content,
            rights,
        )?;
    }
    shelf.remove(&beside(recording, ERROR))?;
    shelf.sync_names(folder(recording))
}

/// Writes why a recording could not be transcribed.
///
/// # Errors
/// The disk's own.
pub fn write_error(
    shelf: &mut dyn Shelf,
    recording: &Path,
    number: u32,
    rights: Rights,
    why: &str,
) -> io::Result<()> {
    let line = format!("{}\n", why.replace(char::is_control, " "));
    let temporary = temporary(recording, number, ERROR);
    put(
        shelf,
        &temporary,
        &beside(recording, ERROR),
        line.as_bytes(),
        rights,
    )?;
    shelf.sync_names(folder(recording))
}

/// Puts a whole file beside a recording.
fn put(
    shelf: &mut dyn Shelf,
    temporary: &Path,
    path: &Path,
    content: &[u8],
    rights: Rights,
) -> io::Result<()> {
    let mut work = || {
        shelf.write(temporary, content, rights)?;
        shelf.sync(temporary)?;
        shelf.rename(temporary, path)
    };
    let result = work();
    if result.is_err() {
        // Makes room again; if that fails as well, the next try writes over it.
        shelf.remove(temporary).ok();
    }
    result
}

fn temporary(recording: &Path, number: u32, ending: &str) -> PathBuf {
    folder(recording).join(format!("{TEMPORARY}-{number}.{ending}"))
}

fn folder(recording: &Path) -> &Path {
    recording.parent().unwrap_or(recording)
}

/// The real folders.
#[derive(Debug, Default)]
pub struct Folders {
    /// What was written last.
    open: Option<File>,
}

impl Shelf for Folders {
    fn write(&mut self, path: &Path, content: &[u8], rights: Rights) -> io::Result<()> {
        // A link of that name must not lead elsewhere: always a new file.
        self.remove(path)?;
        let mut options = OpenOptions::new();
        let mut file = options
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        // A group that we are not in is left as it is.
        fchown(&file, None, rights.group).ok();
        file.set_permissions(Permissions::from_mode(rights.mode))?;
        file.write_all(content)?;
        self.open = Some(file);
        Ok(())
    }

    fn sync(&mut self, _path: &Path) -> io::Result<()> {
        match self.open.take() {
            Some(file) => file.sync_all(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn sync_names(&mut self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::recordings::Files;
    use super::*;
    use crate::transcript::Segment;

    const RIGHTS: Rights = Rights {
        mode: 0o644,
        group: None,
    };

    fn transcript(path: &Path) -> Transcript {
        let segment = Segment {
            start: 0.5,
            end: 1.5,
            text: "stop".to_owned(),
        };
        Transcript::new(path, [segment], "en", 2.0).unwrap()
    }

    #[test]
    fn results_lie_beside_the_recording_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note.wav");
        let shelf = &mut Folders::default();
        write_error(shelf, &path, 7, RIGHTS, "no\nroom").unwrap();
        let error = fs::read_to_string(beside(&path, ERROR)).unwrap();
        assert_eq!(error, "no room\n");
        // Links of the temporary and the last name are replaced, not followed.
        let other = folder.path().join("other");
        fs::write(&other, "mine").unwrap();
        symlink(&other, folder.path().join(".pressel-7.txt")).unwrap();
        symlink(&other, beside(&path, "json")).unwrap();
        write_all(shelf, &path, 7, RIGHTS, &transcript(&path)).unwrap();
        write_all(shelf, &path, 7, RIGHTS, &transcript(&path)).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
        fs::remove_file(&other).unwrap();
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["note.wav.json", "note.wav.srt", "note.wav.txt"]);
        assert_eq!(fs::read_to_string(beside(&path, "txt")).unwrap(), "stop\n");
    }

    #[test]
    fn results_have_the_rights_of_the_recording_without_execution() {
        for (mode, expected) in [
            (0o600, 0o600),
            (0o640, 0o640),
            (0o755, 0o644),
            (0o666, 0o666),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("note.wav");
            fs::write(&path, "sound").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let cut = crate::chunks::Cut::Windows;
            let rights = Files { cut }.rights(&path, Links::Refused);
            assert!(rights.group.is_some());
            let shelf = &mut Folders::default();
            write_all(shelf, &path, 7, rights, &transcript(&path)).unwrap();
            write_error(shelf, &path, 7, rights, "no room").unwrap();
            for ending in ["json", "txt", "srt", ERROR] {
                let file = fs::metadata(beside(&path, ending)).unwrap();
                assert_eq!(
                    file.permissions().mode() & 0o7777,
                    expected,
                    "{ending} {mode:o}"
                );
            }
        }
    }

    #[test]
    fn folder_that_is_away_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("away/note.wav");
        let shelf = &mut Folders::default();
        assert!(write_all(shelf, &path, 1, RIGHTS, &transcript(&path)).is_err());
        assert!(write_error(shelf, &path, 1, RIGHTS, "why").is_err());
    }
}
