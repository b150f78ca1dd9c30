//! File jobs: recordings in the spool become results beside them.
//!
//! In: WAV files in the spool of the simulated board, kills, presses. Out: the results, byte for
//! byte those of `pressel transcribe`.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::program::{PATIENCE, command, need_models, run, until};
use crate::rig::{Rig, Setting};
use crate::stop::longest;
use crate::voice::{around, clips, silence, wav, word};

/// What is added to a recording's name.
const RESULTS: [&str; 3] = ["txt", "srt", "json"];

/// Folders that outlive one run of the appliance.
pub(crate) struct Folders {
    folder: TempDir,
    arguments: Vec<String>,
}

impl Folders {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (spool, state) = (folder.path().join("spool"), folder.path().join("state"));
        fs::create_dir(&spool).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let arguments = vec![
            "--spool".to_owned(),
            text(&spool),
            "--state-dir".to_owned(),
            text(&state),
        ];
        Self { folder, arguments }
    }

    /// Adds an option to the command line.
    pub(crate) fn add(&mut self, option: &str, value: &Path) {
        let value = value.to_str().unwrap().to_owned();
        self.arguments.extend([option.to_owned(), value]);
    }

    /// Starts the appliance, with these folders added to the setting, and waits until it can
    /// recognise.
    pub(crate) fn ready(&self, setting: &Setting<'_>) -> Rig {
        let rig = self.start(setting);
        rig.wait_for("worker_ready", 1);
        rig
    }

    /// Starts the appliance and does not wait.
    pub(crate) fn start(&self, setting: &Setting<'_>) -> Rig {
        let mut arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        arguments.extend(setting.arguments);
        Rig::start(&Setting {
            arguments: &arguments,
            ..setting.clone()
        })
    }

    /// Returns the state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Puts a recording into the spool.
    pub(crate) fn put(&self, name: &str, samples: &[i16]) -> PathBuf {
        let path = self.folder.path().join("spool").join(name);
        fs::write(&path, wav(samples)).unwrap();
        path
    }
}

pub(crate) fn beside(recording: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}.{ending}", recording.display()))
}

/// Waits for the last of the results.
pub(crate) fn wait_for_results(rig: &Rig, recording: &Path) {
    let json = beside(recording, "json");
    let found = until(PATIENCE, || json.is_file().then_some(()));
    assert!(found.is_some(), "no results:\n{}", rig.log());
}

/// Waits until the file of checkpoints is longer than `size`, and returns its length.
pub(crate) fn wait_for_checkpoint(rig: &Rig, checkpoints: &Path, size: u64) -> u64 {
    let grown = until(PATIENCE, || {
        let now = fs::metadata(checkpoints).map_or(0, |file| file.len());
        (size < now).then_some(now)
    });
    grown.unwrap_or_else(|| panic!("no checkpoint:\n{}", rig.log()))
}

/// Compares the results with what `transcribe` prints.
pub(crate) fn check(recording: &Path) {
    check_with(recording, &[]);
}

/// Compares the results with what `transcribe` prints with these options.
pub(crate) fn check_with(recording: &Path, options: &[&str]) {
    for ending in RESULTS {
        let mut command = command(&["transcribe", "--format", ending]);
        let ran = run(command.args(options).arg(recording));
        assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
        let result = fs::read_to_string(beside(recording, ending)).unwrap();
        assert_eq!(result, ran.stdout, "{ending}");
        assert!(ending == "json" || !result.is_empty());
    }
}

/// All recordings of the demo with pauses between them, again and again.
pub(crate) fn talk(repeats: usize) -> Vec<i16> {
    let mut samples = silence(0.5);
    for _ in 0..repeats {
        for clip in clips() {
            samples.extend_from_slice(&clip.samples);
            samples.extend(silence(1.3));
        }
    }
    samples
}

#[test]
fn recordings_in_the_spool_give_what_transcribe_gives() {
    need_models!();
    let folders = Folders::new();
    let talk = folders.put("talk.wav", &talk(1));
    let nothing = folders.put("nothing.wav", &silence(45.0));
    let broken = folders.put("broken.wav", &[]);
    fs::write(&broken, "this is no recording").unwrap();
    let rig = folders.ready(&Setting::default());
    for path in [&talk, &nothing] {
        wait_for_results(&rig, path);
    }
    let error = beside(&broken, "error.txt");
    let line = until(PATIENCE, || fs::read_to_string(&error).ok());
    let line = line.unwrap_or_else(|| panic!("no error:\n{}", rig.log()));
    assert!(line.contains("broken.wav"), "{line}");
    let ended = rig.finish(0);
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.log.contains("job done number="), "{}", ended.log);
    check(&talk);
    let json = fs::read_to_string(beside(&nothing, "json")).unwrap();
    assert!(json.contains("\"duration\": 45.0"), "{json}");
    // Nothing else is left beside them.
    let count = fs::read_dir(talk.parent().unwrap()).unwrap().count();
    assert_eq!(count, 3 + 3 + 3 + 1);
}

#[test]
fn job_of_an_appliance_that_is_killed_goes_on_where_it_was() {
    need_models!();
    let folders = Folders::new();
    let path = folders.put("talk.wav", &talk(3));
    let checkpoints = folders.folder.path().join("state/jobs/job-1.journal");
    let mut size = 0;
    // Jobs wait in safe mode, which three crashes in a minute would bring.
    let setting = Setting {
        arguments: &["--no-safe-mode"],
        ..Setting::default()
    };
    for _ in 0..3 {
        let rig = folders.ready(&setting);
        // Two more checkpoints, then the power goes.
        for _ in 0..2 {
            size = wait_for_checkpoint(&rig, &checkpoints, size);
        }
        rig.end(Signal::KILL);
    }
    let mut rig = folders.ready(&setting);
    // Somebody speaks meanwhile.
    rig.say(&word());
    rig.wait_for("outcome", 1);
    wait_for_results(&rig, &path);
    let ended = rig.end(Signal::TERM);
    assert!(
        !ended.log.contains("job begun number=1 at=0.0"),
        "{}",
        ended.log
    );
    check(&path);
}

#[test]
fn appliance_ends_in_order_in_the_middle_of_a_job() {
    need_models!();
    let folders = Folders::new();
    // Half an hour of silence, which is heard without the worker, and half an hour of talk.
    for (name, samples) in [("a.wav", silence(1_800.0)), ("b.wav", talk(150))] {
        let path = folders.put(name, &samples);
        let rig = folders.ready(&Setting::default());
        let begun = until(PATIENCE, || rig.log().contains("job begun").then_some(()));
        assert!(begun.is_some(), "no job:\n{}", rig.log());
        let ended = rig.end(Signal::INT);
        println!("{name}: {:?}", ended.took);
        assert!(ended.took < longest(), "{:?}\n{}", ended.took, ended.log);
        assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
        assert!(!beside(&path, "json").exists());
        fs::remove_file(&path).unwrap();
    }
}

/// Ten files, of which the third breaks the device's context whenever a worker hears it.
#[test]
fn batch_of_ten_with_a_poisoned_third_gives_nine_results_and_one_error() {
    need_models!();
    let folders = Folders::new();
    let recordings: Vec<PathBuf> = (1..=10)
        .map(|number| {
            let clip = |index: usize| clips()[index].samples.clone();
            let samples = if number == 3 {
                // One chunk, longer than all others.
                [clip(0), clip(1)].concat()
            } else {
                clip(2 + number % 4)
            };
            folders.put(&format!("note-{number:02}.wav"), &around(&samples, 0.8))
        })
        .collect();
    let rig = folders.ready(&Setting {
        arguments: &["--worker-fault", "sticky/3000-9000"],
        ..Setting::default()
    });
    for (index, recording) in recordings.iter().enumerate() {
        if index == 2 {
            let error = beside(recording, "error.txt");
            let line = until(PATIENCE, || fs::read_to_string(&error).ok());
            let line = line.unwrap_or_else(|| panic!("no error:\n{}", rig.log()));
            assert!(line.contains("workerdied"), "{line}");
        } else {
            wait_for_results(&rig, recording);
        }
    }
    let lost = rig.log().matches("worker lost: its device context").count();
    assert_eq!(lost, 2, "{}", rig.log());
    rig.finish(0);
    for (index, recording) in recordings.iter().enumerate() {
        if index == 2 {
            assert!(!beside(recording, "json").exists());
        } else {
            check(recording);
        }
    }
}
