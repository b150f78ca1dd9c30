//! `pressel models verify`: fetched models compared with their lock files.
//!
//! Folders in, the names of bad files and the exit code out.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::progress::Progress;
use super::{folder_of, no_model};
use crate::cli::status::print;
use crate::cli::transcribe::take_signals;
use crate::failure::{Failure, Kind};
use crate::model_store::lock::{Fault, Lock};
use crate::model_store::shelf;
use crate::plain::plain;

/// Hashes one model, or all that were fetched.
///
/// # Errors
/// [`Kind::Model`] when a file is missing, changed or extra, [`Kind::Result`] when a signal ended
/// it.
pub(super) fn verify(name: Option<&str>, json: bool) -> Result<(), Failure> {
    let folders = match name {
        Some(name) => vec![folder_of(name)?],
        None => fetched(),
    };
    let asked = take_signals()?;
    let mut verdicts = Vec::new();
    for folder in folders {
        let faults = check(&folder, &asked)?;
        verdicts.push((folder, faults));
    }
    let text = if json {
        let verdicts: Vec<_> = verdicts
            .iter()
            .map(|(folder, faults)| {
                let whole = faults.is_empty();
                json!({ "folder": folder, "whole": whole, "faults": faults })
            })
            .collect();
        format!("{}\n", json!({ "models": verdicts }))
    } else {
        page(&verdicts)
    };
    print(&text)?;
    let bad = verdicts.iter().filter(|(_, faults)| !faults.is_empty());
    let bad: Vec<_> = bad
        .map(|(folder, _)| folder.display().to_string())
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    let why = format!(
        "{}: not what was fetched: `pressel models fetch` mends it, and remove what is extra",
        bad.join(", ")
    );
    Err(Failure::new(Kind::Model, why))
}

fn fetched() -> Vec<PathBuf> {
    let models = shelf::all().into_iter();
    let fetched = models.filter(|model| model.kind == shelf::Kind::Fetched);
    fetched.map(|model| model.folder).collect()
}

fn check(folder: &Path, asked: &AtomicBool) -> Result<Vec<Fault>, Failure> {
    let lock = Lock::read(folder).map_err(|error| Failure::new(Kind::Model, error))?;
    let Some(lock) = lock else {
        if folder.is_dir() {
            let name = folder.display();
            let why =
                format!("{name}: it was not fetched, so there is no lock file to compare with");
            return Err(Failure::new(Kind::Usage, why));
        }
        return Err(no_model(&folder.to_string_lossy()));
    };
    let mut progress = Progress::new();
    progress.begin(&folder.to_string_lossy(), lock.bytes());
    let faults = lock.check(folder, asked, &mut |bytes| progress.at(bytes));
    progress.end();
    faults.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => Failure::new(
            Kind::Result,
            "stopped by a signal: not all files were compared",
        ),
        _ => {
            let name = folder.display();
            Failure::new(
                Kind::Disk,
                format!("{name}: cannot be read ({error}): check the disk"),
            )
        }
    })
}

fn page(verdicts: &[(PathBuf, Vec<Fault>)]) -> String {
    if verdicts.is_empty() {
        return "no fetched models\n".to_owned();
    }
    let mut page = String::new();
    for (folder, faults) in verdicts {
        let name = folder.display();
        if faults.is_empty() {
            page += &format!("{name}: whole\n");
        }
        for fault in faults {
            page += &format!("{name}: {}: {}\n", plain(&fault.path), fault.what);
        }
    }
    page
}
