//! Recordings heard by windows: a model with timestamps, in the background and by `transcribe`.
//!
//! In: a model whose weights are random, so that its words and times are nonsense, and always the
//! same. Out: byte for byte the same results, however often the appliance was killed. And what a
//! model that did not learn on windows is given instead.

use std::fs;
use std::path::{Path, PathBuf};

use pressel_models::whisper::has_timestamps;
use rustix::process::Signal;

use crate::files::{Folders, beside, check_with, wait_for_checkpoint, wait_for_results};
use crate::program::{command, need_models, root, run};
use crate::rig::Setting;
use crate::voice::{Random, babble, noise, silence, wav, word};

/// Returns a model with timestamps, or from the test with one line.
macro_rules! need_timestamps {
    () => {
        match timestamps() {
            Some(model) => model,
            None => {
                println!("skipped: no model with timestamps: PRESSEL_TIMESTAMPS names one");
                return;
            }
        }
    };
}

/// Returns the folder of a model with timestamps, if it is there.
fn timestamps() -> Option<String> {
    let named = std::env::var_os("PRESSEL_TIMESTAMPS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| root().join("models/fixtures/timed"));
    has_timestamps(&folder).then(|| folder.to_str().unwrap().to_owned())
}

/// Minutes of everything: speech, silence, noise, and a tail that is no window.
fn everything() -> Vec<i16> {
    let mut random = Random::new(7);
    let mut samples = [babble(65.0), silence(35.0), noise(20.0, 900, &mut random)].concat();
    samples.extend([babble(75.0), silence(2.0), word()].concat());
    // Heard to its end it leaves less than 100 ms.
    let whole = samples.len() / 480_000 * 480_000;
    samples.truncate(whole + 700);
    samples
}

#[test]
fn job_of_windows_that_is_killed_gives_what_transcribe_gives() {
    need_models!();
    let model = need_timestamps!();
    let mut folders = Folders::new();
    folders.add("--model", Path::new(&model));
    let path = folders.put("everything.wav", &everything());
    let checkpoints = folders.state().join("jobs/job-1.journal");
    let setting = Setting {
        arguments: &["--no-safe-mode"],
        ..Setting::default()
    };
    let mut size = 0;
    for _ in 0..3 {
        let rig = folders.ready(&setting);
        size = wait_for_checkpoint(&rig, &checkpoints, size);
        rig.end(Signal::KILL);
    }
    let mut rig = folders.ready(&setting);
    // Somebody speaks meanwhile.
    rig.say(&word());
    rig.wait_for("outcome", 1);
    wait_for_results(&rig, &path);
    let ended = rig.end(Signal::TERM);
    let anew = "job begun number=1 at=0.0";
    assert!(!ended.log.contains(anew), "{}", ended.log);
    check_with(&path, &["--model", &model]);
    let json = fs::read_to_string(beside(&path, "json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let seconds = everything().len() as f64 / 16_000.0;
    let duration = json["duration"].as_f64().unwrap();
    assert!((duration - seconds).abs() < 0.001, "{duration}");
}

#[test]
fn recordings_of_any_kind_come_to_their_end() {
    need_models!();
    let model = need_timestamps!();
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(3);
    let clipped: Vec<i16> = noise(31.0, i16::MAX, &mut random)
        .into_iter()
        .map(|sample| if sample < 0 { i16::MIN } else { i16::MAX })
        .collect();
    let broken = wav(&babble(40.0));
    let kinds = [
        ("nothing", wav(&[])),
        ("rest", wav(&silence(61.0))),
        ("short", wav(&babble(0.05))),
        ("longer", wav(&babble(30.01))),
        ("noise", wav(&noise(31.0, 900, &mut random))),
        ("clipped", wav(&clipped)),
        ("cut", broken[..broken.len() / 2].to_vec()),
    ];
    for (name, bytes) in kinds {
        let path = folder.path().join(format!("{name}.wav"));
        fs::write(&path, bytes).unwrap();
        let mut command = command(&["transcribe", "--format", "json", "--model", &model]);
        let ran = run(command.arg(&path));
        assert_eq!(ran.status.code(), Some(0), "{name}: {}", ran.stderr);
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let is_silent = json["segments"].as_array().unwrap().is_empty();
        let none = ["nothing", "rest", "short"];
        assert!(is_silent || !none.contains(&name), "{name}: {json}");
    }
}

#[test]
fn built_in_model_hears_speech_whatever_is_asked() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("word.wav");
    fs::write(&path, wav(&word())).unwrap();
    let mut texts = Vec::new();
    for (cut, warns) in [("auto", false), ("speech", false), ("windows", true)] {
        let ran = run(command(&["transcribe", "--cut", cut]).arg(&path));
        assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
        assert_eq!(
            ran.stderr.contains("no timestamps"),
            warns,
            "{}",
            ran.stderr
        );
        texts.push(ran.stdout);
    }
    assert!(!texts[0].is_empty() && texts.iter().all(|text| *text == texts[0]));
}
