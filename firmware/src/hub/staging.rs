//! The folder in which a fetch works, beside the model's own, and the one step out of it.
//!
//! `.NAME.fetch/` holds `stock/` (what is downloaded), `ready/` (what is rebuilt) and the listing
//! that it all belongs to. It is locked while a fetch is at work and stays when one is cut off. The
//! model's folder appears by one rename, or changes place with its forerunner in one.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{HubError, Listing, RemoteFile};
use crate::model_store::lock::{paths, sync_folder, write_durably};
use crate::model_store::shelf::staging_of;

/// Name of the listing in the folder.
const LISTING: &str = "listing.json";

/// The folder of a fetch, locked.
pub(super) struct Staging {
    folder: PathBuf,
    /// Its lock ends with it.
    _lock: File,
}

impl Staging {
    /// Makes or takes over the folder for `target`.
    ///
    /// # Errors
    /// [`HubError::Busy`] when another fetch is at work in it, and those of the disk.
    pub(super) fn open(target: &Path) -> Result<Self, HubError> {
        let folder = staging_of(target);
        let fail = |error| HubError::disk(&folder, error);
        loop {
            fs::create_dir_all(&folder).map_err(fail)?;
            let lock = File::open(&folder).map_err(fail)?;
            match lock.try_lock() {
                Ok(()) => (),
                Err(TryLockError::WouldBlock) => return Err(HubError::Busy(target.to_owned())),
                Err(TryLockError::Error(error)) => return Err(fail(error)),
            }
            // One that ended in between has taken the folder away.
            if same_file(&lock, &folder) {
                let staging = Self {
                    folder,
                    _lock: lock,
                };
                fs::create_dir_all(staging.stock())
                    .map_err(|error| HubError::disk(&staging.folder, error))?;
                return Ok(staging);
            }
        }
    }

    /// Returns the folder of what is downloaded.
    pub(super) fn stock(&self) -> PathBuf {
        self.folder.join("stock")
    }

    /// Returns the folder of what is rebuilt; nothing is there.
    pub(super) fn ready(&self) -> Result<PathBuf, HubError> {
        let ready = self.folder.join("ready");
        remove_all(&ready)?;
        Ok(ready)
    }

    /// Makes the folder belong to a listing: what came for another content is removed.
    pub(super) fn begin(&self, listing: &Listing) -> Result<(), HubError> {
        let file = self.folder.join(LISTING);
        let before: Option<Listing> = fs::read(&file)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let before = before.map(|listing| listing.files).unwrap_or_default();
        let same = |new: &&RemoteFile| before.contains(new);
        let stock = self.stock();
        let fail = |error| HubError::disk(&stock, error);
        for path in paths(&stock).map_err(fail)? {
            let name = path.strip_suffix(".part").unwrap_or(&path);
            let kept = listing.files.iter().find(|new| new.path == name);
            if kept.filter(same).is_none() {
                fs::remove_file(stock.join(&path)).map_err(fail)?;
            }
        }
        for new in &listing.files {
            let place = stock.join(&new.path);
            let home = place.parent().unwrap_or(&stock);
            fs::create_dir_all(home).map_err(|error| HubError::disk(home, error))?;
        }
        let text = serde_json::to_vec(listing).map_err(|error| fail(error.into()))?;
        write_durably(&file, &text).map_err(fail)
    }

    /// Returns the bytes of a listing's files that are there already.
    pub(super) fn bytes(&self) -> u64 {
        let stock = self.stock();
        let size = |path: &String| fs::metadata(stock.join(path)).map_or(0, |found| found.len());
        paths(&stock).unwrap_or_default().iter().map(size).sum()
    }

    /// Gives `from`, a folder in this one, the name `target`, in one step, and removes the rest.
    ///
    /// # Errors
    /// Those of the disk; `target` is then what it was.
    pub(super) fn finish(self, from: &Path, target: &Path) -> Result<(), HubError> {
        let fail = |error| HubError::disk(target, error);
        sync_all(from)?;
        let flags = if target.exists() {
            RenameFlags::EXCHANGE
        } else {
            RenameFlags::NOREPLACE
        };
        match renameat_with(CWD, from, CWD, target, flags) {
            Ok(()) => (),
            // Some file systems know neither: then it is two steps where a forerunner is there.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                if target.exists() {
                    let old = self.folder.join("old");
                    remove_all(&old)?;
                    fs::rename(target, old).map_err(fail)?;
                }
                fs::rename(from, target).map_err(fail)?;
            }
            Err(error) => return Err(fail(error.into())),
        }
        sync_folder(target.parent().unwrap_or(Path::new("."))).map_err(fail)?;
        remove_all(&self.folder)
    }
}

impl Drop for Staging {
    /// Leaves no folder in which nothing is.
    fn drop(&mut self) {
        if paths(&self.stock()).is_ok_and(|paths| paths.is_empty())
            && let Err(error) = remove_all(&self.folder)
        {
            log::warn!("{error}");
        }
    }
}

/// Makes all files of a folder durable.
fn sync_all(folder: &Path) -> Result<(), HubError> {
    let fail = |error| HubError::disk(folder, error);
    for path in paths(folder).map_err(fail)? {
        let path = folder.join(path);
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(|error| HubError::disk(&path, error))?;
        let home = path.parent().unwrap_or(folder);
        sync_folder(home).map_err(|error| HubError::disk(home, error))?;
    }
    sync_folder(folder).map_err(fail)
}

/// Removes a folder; one that is not there is fine.
fn remove_all(folder: &Path) -> Result<(), HubError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(HubError::disk(folder, error)),
        _ => Ok(()),
    }
}

fn same_file(open: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (open.metadata(), fs::metadata(path)) else {
        return false;
    };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(oids: &[(&str, &str)]) -> Listing {
        let files = oids.iter().map(|(path, oid)| RemoteFile {
            path: (*path).into(),
            size: 9,
            oid: (*oid).into(),
        });
        Listing {
            repo: "a/b".into(),
            commit: "c".into(),
            files: files.collect(),
        }
    }

    #[test]
    fn what_came_for_another_content_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let staging = Staging::open(&home.path().join("m")).unwrap();
        let first = listing(&[("a", "1"), ("b", "1"), ("onnx/c", "1")]);
        staging.begin(&first).unwrap();
        for path in ["a", "b.part", "onnx/c.part", "d"] {
            fs::write(staging.stock().join(path), "123").unwrap();
        }
        assert_eq!(staging.bytes(), 12);
        staging
            .begin(&listing(&[("a", "1"), ("b", "2"), ("onnx/c", "1")]))
            .unwrap();
        assert_eq!(paths(&staging.stock()).unwrap(), ["a", "onnx/c.part"]);
        // Without a listing nobody knows what the bytes are.
        fs::write(home.path().join(".m.fetch/listing.json"), "{").unwrap();
        staging.begin(&first).unwrap();
        assert_eq!(staging.bytes(), 0);
    }

    #[test]
    fn one_fetch_at_a_time_works_on_a_model() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("m");
        let first = Staging::open(&target).unwrap();
        let second = Staging::open(&target).err().unwrap();
        assert!(matches!(second, HubError::Busy(_)), "{second}");
        drop(first);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        drop(Staging::open(&target).unwrap());
    }

    #[test]
    fn a_model_appears_or_is_replaced_in_one_step() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("m");
        for text in ["first", "second"] {
            let staging = Staging::open(&target).unwrap();
            let ready = staging.ready().unwrap();
            fs::create_dir(&ready).unwrap();
            fs::write(ready.join("config.json"), text).unwrap();
            staging.finish(&ready, &target).unwrap();
            let found = fs::read_to_string(target.join("config.json")).unwrap();
            assert_eq!(found, text);
            assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        }
    }
}
