//! `lock.toml`: what has been fetched, with the hash of each unpacked file.
//!
//! In and out: one small TOML file beside the fetched folders, replaced as a whole. A lock that
//! cannot be read is an empty one: everything is then fetched again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Pin, disk};
use crate::Fallible;

/// The whole file: one table for each folder.
#[derive(Default, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lock(BTreeMap<String, Entry>);

/// What is in one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Name of the package.
    pub(super) package: String,
    /// Version of the package.
    pub(super) version: String,
    /// SHA-256 of the wheel that the files came from.
    pub(super) wheel_sha256: String,
    /// File name and SHA-256 of the file.
    pub(super) files: BTreeMap<String, String>,
}

impl Entry {
    /// An entry of `pin` without files.
    pub(super) fn new(pin: &Pin) -> Self {
        Self {
            package: pin.name.to_owned(),
            version: pin.version.to_owned(),
            wheel_sha256: pin.wheel_sha256.to_owned(),
            files: BTreeMap::new(),
        }
    }
}

impl Lock {
    /// Reads the file; a missing or broken one vouches for nothing.
    pub(super) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        toml::from_str(&text).unwrap_or_default()
    }

    /// What the lock says about a folder.
    pub(super) fn entry(&self, folder: &str) -> Option<&Entry> {
        self.0.get(folder)
    }

    /// Forgets a folder.
    pub(super) fn remove(&mut self, folder: &str) {
        self.0.remove(folder);
    }

    /// Vouches for a folder.
    pub(super) fn insert(&mut self, folder: &str, entry: Entry) {
        self.0.insert(folder.to_owned(), entry);
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// The disk refused; the old file is still whole.
    pub(super) fn write(&self, path: &Path) -> Fallible<()> {
        let table = toml::to_string(self).map_err(|error| format!("lock.toml: {error}"))?;
        let text = format!("# Written by `cargo xtask fetch`. Remove it to fetch again.\n{table}");
        let new = path.with_extension("toml.new");
        fs::write(&new, text).map_err(|error| disk("write", &new, &error))?;
        fs::rename(&new, path).map_err(|error| disk("write", path, &error))
    }
}
