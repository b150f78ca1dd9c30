//! File jobs of this appliance: where they are kept, and which model hears them.
//!
//! Folders in, the running thread out. Runs once, at start-up.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use pressel_models::whisper::{has_timestamps, learnt_on_windows};
use pressel_pipeline::limits::JOB_MODEL_BYTES_MAX;
use pressel_wire::text::cut;

use super::{Plan, load_ears};
use crate::bell::Bell;
use crate::chunks::Cut;
use crate::config::{Config, FileCut, Recognition, Trigger};
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
        model: version(&config, cut),
        cut,
        slot,
        load_ears: Box::new(|| load_ears().map_err(|failure| failure.message)),
        main_bell: main_bell.clone(),
        vitals: Arc::clone(vitals),
        paused: plan.jobs_paused,
    })
}

/// Returns how recordings are cut. Windows want a model that learnt on them to say when it heard
/// what.
pub fn file_cut(config: &Config) -> Cut {
    let folder = config.model.folder();
    match config.files.cut {
        FileCut::Auto | FileCut::Windows
            if has_timestamps(&folder) && learnt_on_windows(&folder) =>
        {
            Cut::Windows
        }
        FileCut::Windows => {
            let model = config.model.short_name();
            log::warn!("{model} has no timestamps for windows: recordings are cut at pauses");
            Cut::Speech(config.tuning())
        }
        FileCut::Auto | FileCut::Speech => Cut::Speech(config.tuning()),
    }
}

/// Returns a text that is another one when texts may be: the model's name, and a sum over the
/// names, sizes and times of its files; how recordings are cut; and a sum over what else is
/// configured.
fn version(config: &Config, recordings: Cut) -> String {
    let name = config.model.short_name();
    // However long the name is, the rest fits as well.
    let name = cut(&name, JOB_MODEL_BYTES_MAX / 2);
    let way = match recordings {
        Cut::Speech(_) => "",
        Cut::Windows => " windows",
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(config.model.folder())
        .into_iter()
        .flatten()
        .flatten()
    {
        // Links are followed: a cache of models is full of them.
        if let Ok(metadata) = fs::metadata(entry.path()) {
            files.push((entry.file_name(), metadata.len(), metadata.mtime()));
        }
    }
    files.sort();
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let model = sum.checksum(format!("{files:?}").as_bytes());
    let recognition = match &config.recognition {
        usual if *usual == Recognition::default() => String::new(),
        other => format!(" {:08x}", sum.checksum(format!("{other:?}").as_bytes())),
    };
    format!("{name} {model:08x}{way}{recognition}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn configured(model: &Path) -> Config {
        let mut config = Config::default();
        config.model.name = model.to_str().unwrap().to_owned();
        config
    }

    #[test]
    fn version_of_a_model_changes_with_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let config = configured(folder.path());
        let version = || version(&config, Cut::Windows);
        let first = version();
        assert_eq!(first, version());
        fs::write(folder.path().join("encoder.onnx"), "weights").unwrap();
        let second = version();
        assert_ne!(first, second);
        fs::write(folder.path().join("encoder.onnx"), "others").unwrap();
        assert_ne!(second, version());
    }

    #[test]
    fn version_changes_with_the_way_of_cutting_and_with_what_is_configured() {
        let longest = Path::new("/").join("x".repeat(255));
        let mut config = configured(&longest);
        let speech = Cut::Speech(config.tuning());
        let mut versions = vec![version(&config, speech), version(&config, Cut::Windows)];
        config.recognition.prompt = "Pressel".to_owned();
        versions.push(version(&config, speech));
        config.recognition.task = crate::config::TaskName::Translate;
        versions.extend([version(&config, speech), version(&config, Cut::Windows)]);
        assert!(versions.iter().all(|one| one.len() <= JOB_MODEL_BYTES_MAX));
        versions.sort();
        versions.dedup();
        assert_eq!(versions.len(), 5);
    }
}
