//! File jobs of this appliance: where they are kept, and which model hears them.
//!
//! Folders in, the running thread out. Runs once, at start-up.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use pressel_models::whisper::has_timestamps;
use pressel_pipeline::limits::JOB_MODEL_BYTES_MAX;
use pressel_wire::text::cut;

use super::{Plan, load_ears};
use crate::bell::Bell;
use crate::chunks::Cut;
use crate::config::{Config, FileCut, Trigger};
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
    let cut = file_cut(&config);
    JobsThread::start(JobTools {
        folder: plan.state_dir.join(FOLDER),
        spool: plan.spool.clone(),
        model: version(&config.model.short_name(), &config.model.folder(), cut),
        cut,
        slot,
        load_ears: Box::new(|| load_ears().map_err(|failure| failure.message)),
        main_bell: main_bell.clone(),
        vitals: Arc::clone(vitals),
        paused: plan.jobs_paused,
    })
}

/// Returns how recordings are cut. Windows want a model that says when it heard what.
pub fn file_cut(config: &Config) -> Cut {
    let folder = config.model.folder();
    match config.files.cut {
        FileCut::Auto | FileCut::Windows if has_timestamps(&folder) => Cut::Windows,
        FileCut::Windows => {
            let model = config.model.short_name();
            log::warn!("{model} has no timestamps: recordings are cut at pauses, not by windows");
            Cut::Speech(config.tuning())
        }
        FileCut::Auto | FileCut::Speech => Cut::Speech(config.tuning()),
    }
}

/// Returns a text that is another one when the model is: its name, and a sum over the names, sizes
/// and times of its files; or when recordings are cut in another way.
fn version(name: &str, folder: &Path, recordings: Cut) -> String {
    // However long the name is, the rest fits as well.
    let name = cut(name, JOB_MODEL_BYTES_MAX / 2);
    let way = match recordings {
        Cut::Speech(_) => "",
        Cut::Windows => " windows",
    };
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
        "{name} {:08x}{way}",
        sum.checksum(format!("{files:?}").as_bytes())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_of_a_model_changes_with_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let speech = Cut::Speech(Config::default().tuning());
        let first = version("nano", folder.path(), speech);
        assert_eq!(first, version("nano", folder.path(), speech));
        assert_ne!(first, version("nano", folder.path(), Cut::Windows));
        let longest = version(&"x".repeat(255), folder.path(), Cut::Windows);
        assert!(longest.ends_with(" windows") && longest.len() < JOB_MODEL_BYTES_MAX);
        fs::write(folder.path().join("encoder.onnx"), "weights").unwrap();
        let second = version("nano", folder.path(), speech);
        assert_ne!(first, second);
        fs::write(folder.path().join("encoder.onnx"), "others").unwrap();
        assert_ne!(second, version("nano", folder.path(), speech));
    }
}
