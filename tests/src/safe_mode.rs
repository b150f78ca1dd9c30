//! Safe mode: three crashes in a minute, and the next start does with less.
//!
//! In: an appliance that is killed, again and again, with one state folder. Out: what the next
//! start says and recognises.

use std::fs;
use std::os::unix::fs::symlink;

use pressel_models::places;
use rustix::process::Signal;

use crate::control::status;
use crate::program::{PATIENCE, need_models, until};
use crate::rig::{Rig, Setting};
use crate::voice::word;

#[test]
fn three_crashes_in_a_minute_are_followed_by_a_start_that_works_with_less() {
    need_models!();
    // The same model under another name, as the configured one.
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("own");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(places::builtin("nano")).unwrap().flatten() {
        symlink(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let state = folder.path().join("state");
    let (model, state) = (model.to_str().unwrap(), state.to_str().unwrap());
    let arguments = ["--state-dir", state, "--model", model];
    let setting = Setting {
        arguments: &arguments,
        ..Setting::default()
    };
    let crash = || {
        let rig = Rig::start(&setting);
        let up = || rig.log().contains("worker started").then_some(());
        assert!(until(PATIENCE, up).is_some(), "{}", rig.log());
        let ended = rig.end(Signal::KILL);
        assert!(!ended.log.contains("safe mode"), "{}", ended.log);
    };
    // An end in order in between: none of these is the third.
    crash();
    crash();
    let usual = Rig::ready(&setting);
    assert!(!usual.log().contains("safe mode"), "{}", usual.log());
    usual.finish(0);
    for _ in 0..3 {
        crash();
    }
    let mut rig = Rig::ready(&setting);
    let log = rig.log();
    let line = log.lines().find(|line| line.contains("safe mode: "));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    for words in ["crashed three times", "nano", "--no-safe-mode", "jobs wait"] {
        assert!(line.contains(words), "{line}");
    }
    let told = status(&rig);
    assert_eq!(told["model"], "nano", "{told}");
    assert_eq!(told["alerts"][0]["name"], "safemode", "{told}");
    rig.say(&word());
    let ended = rig.finish(1);
    assert_eq!(ended.results(), ["text"], "{}", ended.log);
    // It ended in order: the next start is a usual one.
    let usual = Rig::ready(&setting);
    assert_eq!(status(&usual)["model"], "own");
    usual.finish(0);
}
