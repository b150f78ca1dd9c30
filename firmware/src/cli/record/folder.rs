//! The folder of recordings: WAV files and the list of them, `manifest.csv`.
//!
//! In: samples that are kept, with who said what. Out: a file and a row, each whole or not at all,
//! also after a power cut, which may leave a file without its row; and what was there before, so
//! that only the rest is asked for. The list has the columns that `pressel evaluate` and the
//! training read. What is there is never written over: only a row whose file was taken away makes
//! room for another take.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use csv::StringRecord;
use pressel_pipeline::limits::RATE_HZ;

use crate::audio_file::wav_of;
use crate::cli::evaluate::manifest::words;
use crate::failure::{Failure, Kind};
use crate::model_store::lock::write_durably;

/// The list, in the folder.
const MANIFEST: &str = "manifest.csv";
/// Its columns.
const COLUMNS: [&str; 11] = [
    "file",
    "category",
    "seconds",
    "sample_rate",
    "channels",
    "text",
    "speaker",
    "human",
    "licence",
    "source",
    "note",
];
const FILE: usize = 0;
const CATEGORY: usize = 1;
const SECONDS: usize = 2;
const TEXT: usize = 5;
const SPEAKER: usize = 6;
/// Bytes of the list at most: a larger one is not made by hand, nor by this command.
const MANIFEST_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Numbers of the takes of one phrase that are tried for a free name.
const NUMBER_MAX: usize = 9_999;
/// Bytes of a speaker's or a phrase's part of a file's name; a longer one is cut.
const NAME_BYTES_MAX: usize = 60;

/// What a recording is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    /// `word`, `command`, `wake` or `noise`.
    pub(super) category: &'static str,
    /// What is said; empty for noise.
    pub(super) text: String,
    /// Who says it; empty for noise.
    pub(super) speaker: String,
    /// What others may do with it.
    pub(super) licence: String,
    /// What else is known.
    pub(super) note: String,
}

impl Label {
    /// Returns the category of a phrase: what `pressel evaluate` judges it with.
    pub(super) fn category(phrase: &str, is_wake: bool) -> &'static str {
        match words(phrase).len() {
            _ if is_wake => "wake",
            1 => "word",
            _ => "command",
        }
    }

    /// Returns folder and name of its files, without number and ending.
    fn stem(&self) -> String {
        match self.category {
            "noise" => "noise/room".to_owned(),
            category => {
                let top = if category == "wake" { "wake" } else { "words" };
                format!("{top}/{}/{}", safe(&self.speaker), safe(&self.text))
            }
        }
    }

    fn row(&self, file: &str, samples: usize) -> StringRecord {
        let seconds = format!("{:.3}", samples as f64 / RATE_HZ as f64);
        let human = if self.category == "noise" {
            "n/a"
        } else {
            "yes"
        };
        let source = concat!("pressel record ", env!("CARGO_PKG_VERSION"));
        StringRecord::from(vec![
            file,
            self.category,
            &seconds,
            "16000",
            "1",
            &self.text,
            &self.speaker,
            human,
            &self.licence,
            source,
            &self.note,
        ])
    }
}

/// A folder that this process alone records into.
pub(super) struct Folder {
    path: PathBuf,
    rows: Vec<StringRecord>,
    /// Keeps another `record` out while it is open.
    _lock: File,
}

impl Folder {
    /// Opens the folder, and makes it when it is not there.
    ///
    /// # Errors
    /// [`Kind::Disk`] when it cannot be made or read, [`Kind::Usage`] when its list is another one
    /// or another `pressel record` uses it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let name = path.display();
        fs::create_dir_all(path).map_err(|error| cannot_write(path, &error))?;
        let lock = File::open(path).map_err(|error| cannot_write(path, &error))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let why = format!(
                    "{name}: another `pressel record` is at work in it: end that, or give each \
                     its own --out"
                );
                return Err(Failure::new(Kind::Usage, why));
            }
            // A disk that knows no locks still takes recordings.
            Err(TryLockError::Error(error)) => log::info!("{name}: not locked ({error})"),
            Ok(()) => {}
        }
        Ok(Self {
            path: path.to_owned(),
            rows: read(&path.join(MANIFEST))?,
            _lock: lock,
        })
    }

    /// Returns the path of the list.
    pub(super) fn manifest(&self) -> PathBuf {
        self.path.join(MANIFEST)
    }

    /// Returns how many takes of a phrase are there.
    pub(super) fn takes(&self, label: &Label) -> usize {
        let is_this = |row: &&StringRecord| {
            let same = words(column(row, TEXT)) == words(&label.text);
            same && column(row, CATEGORY) == label.category
                && column(row, SPEAKER) == label.speaker
                && self.is_there(row)
        };
        self.rows.iter().filter(is_this).count()
    }

    /// Returns how many seconds of the room are there.
    pub(super) fn room_seconds(&self) -> f64 {
        let is_room = |row: &&StringRecord| {
            column(row, CATEGORY) == "noise" && column(row, FILE).starts_with("noise/room-")
        };
        let rooms = self.rows.iter().filter(is_room);
        let there = rooms.filter(|row| self.is_there(row));
        there
            .filter_map(|row| column(row, SECONDS).parse::<f64>().ok())
            .sum()
    }

    /// Keeps a recording. Returns its name in the folder.
    ///
    /// # Errors
    /// [`Kind::Disk`]: nothing of it is there.
    pub(super) fn keep(&mut self, label: &Label, samples: &[i16]) -> Result<String, Failure> {
        let file = self.free_name(&label.stem())?;
        let path = self.path.join(&file);
        let folder = path.parent().unwrap_or(&self.path);
        fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
        write_durably(&path, &wav_of(samples)).map_err(|error| cannot_write(&path, &error))?;
        let mut rows = self.rows.clone();
        rows.retain(|row| column(row, FILE) != file);
        rows.push(label.row(&file, samples.len()));
        let manifest = self.manifest();
        to_bytes(&rows)
            .and_then(|bytes| write_durably(&manifest, &bytes))
            .map_err(|error| {
                // Without its row nobody would find it.
                fs::remove_file(&path).ok();
                cannot_write(&manifest, &error)
            })?;
        self.rows = rows;
        Ok(file)
    }

    fn is_there(&self, row: &StringRecord) -> bool {
        self.path.join(column(row, FILE)).is_file()
    }

    /// Returns the first name that no file has.
    fn free_name(&self, stem: &str) -> Result<String, Failure> {
        let names = (1..=NUMBER_MAX).map(|number| format!("{stem}-{number:02}.wav"));
        let is_free = |name: &String| fs::symlink_metadata(self.path.join(name)).is_err();
        names.into_iter().find(is_free).ok_or_else(|| {
            let folder = self.path.display();
            let why =
                format!("{folder}: {NUMBER_MAX} takes of {stem} are there: use another --out");
            Failure::new(Kind::Disk, why)
        })
    }
}

fn column(row: &StringRecord, index: usize) -> &str {
    row.get(index).unwrap_or_default()
}

/// Reads the list; one that is not there has no rows.
fn read(path: &Path) -> Result<Vec<StringRecord>, Failure> {
    let wrong = |why: String| Failure::new(Kind::Usage, format!("{}: {why}", path.display()));
    let bytes = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot_write(path, &error)),
        Ok(found) if MANIFEST_BYTES_MAX < found.len() => {
            return Err(wrong(
                "is too long to go on with: use another --out".to_owned(),
            ));
        }
        Ok(_) => fs::read(path).map_err(|error| cannot_write(path, &error))?,
    };
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let columns = COLUMNS.join(",");
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?;
    if header != COLUMNS[..] {
        let why = format!("is another list: its first line is not `{columns}`; use another --out");
        return Err(wrong(why));
    }
    let rows: Result<Vec<_>, _> = reader.records().collect();
    rows.map_err(|error| wrong(format!("{error}: mend this line, or use another --out")))
}

fn to_bytes(rows: &[StringRecord]) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for row in rows {
        writer.write_record(row)?;
    }
    writer.into_inner().map_err(|error| error.into_error())
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on its disk",
        io::ErrorKind::PermissionDenied => "give yourself the right to it, or use another --out",
        io::ErrorKind::ReadOnlyFilesystem => "its disk is read-only: use another --out",
        _ => "check the disk, or use another --out",
    };
    let why = format!("{}: cannot be used ({error}): {remedy}", path.display());
    Failure::new(Kind::Disk, why)
}

/// Returns a text as a part of a file's name: small letters, digits and `-`.
fn safe(text: &str) -> String {
    let text = text.replace('\'', "").to_lowercase();
    let parts = text
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|part| !part.is_empty());
    let mut name = parts.collect::<Vec<_>>().join("-");
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    if name.is_empty() {
        name.push('x');
    }
    name
}

#[cfg(test)]
mod tests;
