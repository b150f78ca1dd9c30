//! The files that tidy looks at: what git knows or would add.
//!
//! In: the root of a clone. Out: the files with their texts, in git's order. Ignored files (builds,
//! fetched models) are never looked at.

use std::path::Path;
use std::process::Command;

use super::Finding;
use crate::process;

/// All files of the clone.
pub(super) struct Tree {
    pub(super) files: Vec<Source>,
}

/// One file.
pub(super) struct Source {
    /// From the root of the repository, with `/`.
    pub(super) path: String,
    /// Size of the file.
    pub(super) bytes: u64,
    /// The text; empty when the file is not UTF-8.
    pub(super) text: String,
}

/// Paths of all files that git knows or would add; none without git or outside a clone.
pub(crate) fn files(root: &Path) -> Option<Vec<String>> {
    let mut command = Command::new("git");
    // A clone that another user made is fine to read.
    command.current_dir(root).args(["-c", "safe.directory=*"]);
    command.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let listing = process::output(&mut command).ok()?;
    let mut paths: Vec<String> = listing
        .split_terminator('\0')
        .filter(|path| root.join(path).is_file())
        .map(str::to_owned)
        .collect();
    paths.sort();
    paths.dedup();
    Some(paths)
}

impl Tree {
    /// Reads the clone at `root`; none without git or outside a clone.
    pub(super) fn read(root: &Path) -> Option<Self> {
        let read = |path: String| {
            let bytes = std::fs::read(root.join(&path)).ok()?;
            let size = bytes.len() as u64;
            Some(Source {
                path,
                bytes: size,
                text: String::from_utf8(bytes).unwrap_or_default(),
            })
        };
        Some(Self {
            files: files(root)?.into_iter().filter_map(read).collect(),
        })
    }

    /// The files whose names end with one of `endings`.
    pub(super) fn ending(&self, endings: &[&str]) -> impl Iterator<Item = &Source> {
        self.files
            .iter()
            .filter(move |file| endings.iter().any(|end| file.path.ends_with(end)))
    }

    /// The file with exactly this path.
    pub(super) fn file(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether a file or folder with this path exists.
    pub(super) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        path.is_empty()
            || self
                .files
                .iter()
                .any(|file| file.path == path || file.path.starts_with(&folder))
    }
}

impl Source {
    /// A fault at a line; `index` counts from 0.
    pub(super) fn fault(&self, index: usize, text: impl Into<String>) -> Finding {
        Finding {
            path: self.path.clone(),
            line: index + 1,
            text: text.into(),
            is_warning: false,
        }
    }

    /// A fault of the whole file.
    pub(super) fn whole_fault(&self, text: impl Into<String>) -> Finding {
        Finding {
            line: 0,
            ..self.fault(0, text)
        }
    }
}
