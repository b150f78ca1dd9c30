//! File jobs of this appliance: where they are kept, and which model hears them.
//!
//! Folders in, the running thread out. Runs once, at start-up.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use super::{Plan, load_ears};
use crate::bell::Bell;
use crate::config::Trigger;
use crate::jobs::{JobClient, JobTools, JobsEnds, JobsThread};
use crate::slots::FileSlot;
use crate::vitals::Vitals;

/// Folder of the checkpoints, inside the state folder.
const FOLDER: &str = "jobs";

/// Starts the thread of file jobs.
///
/// # Errors
/// The error of making a bell or a thread.
pub(super) fn start(
    plan: &Plan,
    slot: FileSlot,
    main_bell: &Bell,
    vitals: &Arc<Vitals>,
) -> io::Result<(JobsThread, JobsEnds, JobClient)> {
    // Recordings are cut as `transcribe` cuts them, whatever opens live utterances.
    let mut config = plan.config.clone();
    config.trigger = Trigger::Voice;
    JobsThread::start(JobTools {
        folder: plan.state_dir.join(FOLDER),
        spool: plan.spool.clone(),
        model: version(&config.model.short_name(), &config.model.folder()),
        tuning: config.tuning(),
        slot,
        load_ears: Box::new(|| load_ears().map_err(|failure| failure.message)),
        main_bell: main_bell.clone(),
        vitals: Arc::clone(vitals),
        paused: plan.jobs_paused,
    })
}

/// Returns a text that is another one when the model is: its name, and a sum over the names, sizes
/// and times of its files.
fn version(name: &str, folder: &Path) -> String {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // Links are followed: a cache of models is full of them.
        if let Ok(metadata) = fs::metadata(entry.path()) {
            files.push((entry.file_name(), metadata.len(), metadata.mtime()));
        }
    }
    files.sort();
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    format!(
        "{name} {:08x}",
        sum.checksum(format!("{files:?}").as_bytes())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_of_a_model_changes_with_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let first = version("nano", folder.path());
        assert_eq!(first, version("nano", folder.path()));
        fs::write(folder.path().join("encoder.onnx"), "weights").unwrap();
        let second = version("nano", folder.path());
        assert_ne!(first, second);
        fs::write(folder.path().join("encoder.onnx"), "others").unwrap();
        assert_ne!(second, version("nano", folder.path()));
    }
}
