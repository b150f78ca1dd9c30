//! The lock file of a fetched model: where it came from, and the hash of each of its files.
//!
//! A folder in, [`Lock`] or what is wrong with its files out. It is written before the folder gets
//! its name, so a folder with a lock file was whole once.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::{error, fmt};

use serde::{Deserialize, Serialize};

use super::digest::sha256;

/// Name of the lock file in a model's folder.
pub const LOCK_FILE: &str = "pressel-lock.json";
/// Form of the lock file that is written and read.
const VERSION: u32 = 1;
/// Largest lock file that is read.
const LOCK_BYTES_MAX: u64 = 1024 * 1024;
/// Folders in folders that a model may have; what lies deeper is not looked at.
const DEPTH_MAX: usize = 8;

/// Where a model came from and what its files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Form of this file.
    pub version: u32,
    /// Address of the hub.
    pub hub: String,
    /// Repository on the hub, `owner/name`.
    pub repo: String,
    /// Branch, tag or commit that was asked for.
    pub revision: String,
    /// Commit that it was.
    pub commit: String,
    /// How it was rebuilt, for example `8bit`; none: the hub's own files.
    pub prepared: Option<String>,
    /// What was downloaded.
    pub sources: Vec<Entry>,
    /// What is in the folder.
    pub files: Vec<Entry>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path in the repository or in the folder, with `/`.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// The hub's object id: the SHA-256 of a large file, git's SHA-1 of a small one; none for a
    /// file that was made here.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub oid: Option<String>,
    /// SHA-256 of the content.
    pub sha256: String,
}

/// A lock file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockError {
    /// The lock file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, why) = (self.file.display(), &self.why);
        write!(
            f,
            "{file}: cannot be used ({why}): remove the folder and fetch it again"
        )
    }
}
impl error::Error for LockError {}

/// What is wrong with one file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Path in the folder.
    pub path: String,
    /// What is wrong.
    pub what: Wrong,
}

/// What can be wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Wrong {
    /// It is not there.
    Missing,
    /// It is there with another content.
    Changed,
    /// It is there and nothing tells of it.
    Extra,
    /// It cannot be read.
    Unreadable,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Extra => "extra",
            Self::Unreadable => "unreadable",
        })
    }
}

impl Lock {
    /// Makes a lock of the files of a folder, which are hashed.
    ///
    /// # Errors
    /// Those of reading; [`io::ErrorKind::Interrupted`] once `asked` is set.
    pub fn of_folder(
        folder: &Path,
        origin: Origin,
        asked: &AtomicBool,
        tell: &mut dyn FnMut(u64),
    ) -> io::Result<Self> {
        let mut files = Vec::new();
        let mut before = 0;
        for path in paths(folder)? {
            let mut tell = |bytes| tell(before + bytes);
            let (sha256, size) = sha256(&folder.join(&path), asked, &mut tell)?;
            before += size;
            let same = |source: &&Entry| source.path == path && source.sha256 == sha256;
            let oid = origin.sources.iter().find(same);
            let oid = oid.and_then(|source| source.oid.clone());
            files.push(Entry {
                path,
                size,
                oid,
                sha256,
            });
        }
        Ok(Self {
            version: VERSION,
            hub: origin.hub,
            repo: origin.repo,
            revision: origin.revision,
            commit: origin.commit,
            prepared: origin.prepared,
            sources: origin.sources,
            files,
        })
    }

    /// Reads the lock file of a folder; `None` when it has none.
    ///
    /// # Errors
    /// [`LockError`] for one that cannot be read or says nonsense.
    pub fn read(folder: &Path) -> Result<Option<Self>, LockError> {
        let file = folder.join(LOCK_FILE);
        let fail = |why: String| {
            let file = file.clone();
            Err(LockError { file, why })
        };
        let mut text = Vec::new();
        let opened = File::open(&file);
        let read = opened.and_then(|opened| opened.take(LOCK_BYTES_MAX).read_to_end(&mut text));
        match read {
            Ok(_) => (),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return fail(error.to_string()),
        }
        let lock: Self = match serde_json::from_slice(&text) {
            Ok(lock) => lock,
            Err(error) => return fail(error.to_string()),
        };
        if lock.version != VERSION {
            let version = lock.version;
            return fail(format!("its version {version} is not {VERSION}"));
        }
        match lock.files.iter().find(|entry| !is_plain(&entry.path)) {
            Some(entry) => fail(format!("it names {:?}", entry.path)),
            None => Ok(Some(lock)),
        }
    }

    /// Writes the lock file into a folder, durably and in one step.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        write_durably(&folder.join(LOCK_FILE), &text)
    }

    /// Returns the bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|entry| entry.size).sum()
    }

    /// Hashes the files of a folder and returns what differs, missing and extra files included.
    ///
    /// # Errors
    /// [`io::ErrorKind::Interrupted`] once `asked` is set, and those of listing the folder.
    pub fn check(
        &self,
        folder: &Path,
        asked: &AtomicBool,
        tell: &mut dyn FnMut(u64),
    ) -> io::Result<Vec<Fault>> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, what| {
            let path = path.to_owned();
            faults.push(Fault { path, what });
        };
        let mut before = 0;
        for entry in &self.files {
            let mut tell = |bytes: u64| tell(before + bytes.min(entry.size));
            match sha256(&folder.join(&entry.path), asked, &mut tell) {
                Ok(found) if found == (entry.sha256.clone(), entry.size) => (),
                Ok(_) => fault(&entry.path, Wrong::Changed),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => return Err(error),
                    io::ErrorKind::NotFound => fault(&entry.path, Wrong::Missing),
                    _ => fault(&entry.path, Wrong::Unreadable),
                },
            }
            before += entry.size;
        }
        for path in paths(folder)? {
            if self.files.iter().all(|entry| entry.path != path) {
                fault(&path, Wrong::Extra);
            }
        }
        Ok(faults)
    }
}

/// Where a folder came from: what a lock file tells besides its files.
#[derive(Clone, Debug)]
pub struct Origin {
    /// See [`Lock::hub`].
    pub hub: String,
    /// See [`Lock::repo`].
    pub repo: String,
    /// See [`Lock::revision`].
    pub revision: String,
    /// See [`Lock::commit`].
    pub commit: String,
    /// See [`Lock::prepared`].
    pub prepared: Option<String>,
    /// See [`Lock::sources`].
    pub sources: Vec<Entry>,
}

/// Returns whether a path stays in its folder: names only, no `..`, nothing that a terminal obeys.
#[must_use]
pub fn is_plain(path: &str) -> bool {
    let plain = |c: char| !c.is_control() && c != '\\';
    !path.is_empty()
        && path.chars().all(plain)
        && path
            .split('/')
            .all(|name| !name.is_empty() && name != "." && name != "..")
}

/// Returns the paths of all files of a folder but its lock file, with `/`, in order.
///
/// # Errors
/// Those of reading the folder.
pub fn paths(folder: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    collect(folder, "", DEPTH_MAX, &mut found)?;
    found.retain(|path| path != LOCK_FILE);
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, before: &str, depth: usize, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{before}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() && 0 < depth {
            collect(&entry.path(), &format!("{path}/"), depth - 1, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Writes a file so that it is there whole or not at all, also after a power cut.
///
/// # Errors
/// Those of the disk.
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_added_extension("part");
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().inspect_err(|_| {
        // Makes room again; if that fails as well, the next try writes over it.
        fs::remove_file(&part).ok();
    })?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Makes what was renamed or made in a folder durable.
///
/// # Errors
/// Those of the disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(folder: &Path) -> Lock {
        let origin = Origin {
            hub: "http://hub".into(),
            repo: "a/b".into(),
            revision: "main".into(),
            commit: "c".into(),
            prepared: None,
            sources: vec![],
        };
        let quiet = AtomicBool::new(false);
        Lock::of_folder(folder, origin, &quiet, &mut |_| ()).unwrap()
    }

    #[test]
    fn each_bad_missing_and_extra_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("onnx")).unwrap();
        for name in ["config.json", "onnx/a.onnx", "onnx/b.onnx"] {
            fs::write(at(name), name).unwrap();
        }
        let lock = locked(folder.path());
        lock.write(folder.path()).unwrap();
        let check = |expected: &[(&str, Wrong)]| {
            let read = Lock::read(folder.path()).unwrap().unwrap();
            assert_eq!(read, lock);
            let quiet = AtomicBool::new(false);
            let faults = read.check(folder.path(), &quiet, &mut |_| ()).unwrap();
            let faults: Vec<_> = faults.iter().map(|f| (f.path.as_str(), f.what)).collect();
            assert_eq!(faults, expected);
        };
        check(&[]);
        fs::write(at("onnx/b.onnx"), "onnx/c.onnx").unwrap();
        check(&[("onnx/b.onnx", Wrong::Changed)]);
        fs::remove_file(at("config.json")).unwrap();
        fs::write(at("onnx/a.onnx.part"), "").unwrap();
        check(&[
            ("config.json", Wrong::Missing),
            ("onnx/b.onnx", Wrong::Changed),
            ("onnx/a.onnx.part", Wrong::Extra),
        ]);
        fs::remove_file(at("onnx/a.onnx")).unwrap();
        fs::create_dir(at("onnx/a.onnx")).unwrap();
        let quiet = AtomicBool::new(false);
        let faults = lock.check(folder.path(), &quiet, &mut |_| ()).unwrap();
        assert_eq!(faults[1].what, Wrong::Unreadable);
    }

    #[test]
    fn a_lock_file_that_says_nonsense_is_an_error_and_none_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Lock::read(folder.path()), Ok(None));
        let whole = serde_json::to_string(&locked(folder.path())).unwrap();
        let file = folder.path().join(LOCK_FILE);
        let entry = r#""files":[{"path":"../../etc/passwd","size":1,"sha256":"00"}]"#;
        for (text, word) in [
            (String::new(), "EOF"),
            (whole[..whole.len() / 2].into(), "EOF"),
            (
                whole.replace(r#""version":1"#, r#""version":2"#),
                "version 2",
            ),
            (whole.replace(r#""files":[]"#, entry), "etc/passwd"),
        ] {
            fs::write(&file, text).unwrap();
            let error = Lock::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains(LOCK_FILE), "{error}");
        }
    }

    #[test]
    fn plain_paths_stay_in_their_folder() {
        for path in ["a", "onnx/a.onnx_data", "a..b/c"] {
            assert!(is_plain(path), "{path}");
        }
        for path in [
            "", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "a\nb", "a\0",
        ] {
            assert!(!is_plain(path), "{path:?}");
        }
    }
}
