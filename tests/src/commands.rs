//! The closed list: what is on it comes as its number, anything else as unknown.
//!
//! In: the demo's recordings and lists of phrases. Out: what `replay` says they are, as the
//! appliance would.

use std::fs;
use std::path::Path;

use pressel_models::places;

use crate::bad_start::check;
use crate::program::{Ran, command, need_models, recordings, run};
use crate::voice::clips;

/// Plays a recording with this configuration, and options.
fn play(recording: &Path, configuration: &str, options: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pressel.toml");
    fs::write(&path, configuration).unwrap();
    let mut command = command(&["replay", "--json", "--config"]);
    run(command.arg(path).args(options).arg(recording))
}

/// The results and confidences of all outcomes.
fn outcomes(ran: &Ran) -> Vec<(String, u64)> {
    assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
    let lines = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let outcomes = lines.filter(|line: &serde_json::Value| line["event"] == "outcome");
    let found = outcomes.map(|line| {
        assert_eq!(line["text"], "", "{line}");
        let result = line["result"].as_str().unwrap().to_owned();
        (result, line["confidence"].as_u64().unwrap())
    });
    found.collect()
}

#[test]
fn phrases_of_the_list_come_as_their_numbers_and_others_as_unknown() {
    need_models!();
    let list = "[[commands.list]]\nid = 7\nsay = ['lights on', 'turn on the kitchen light']\n\
                [[commands.list]]\nid = 40000\nsay = ['stop']\n\
                [[commands.list]]\nid = 1\nsay = ['go right', 'turn around']\n";
    let files = fs::read_to_string(recordings().join("demo.csv")).unwrap();
    let mut known = 0;
    for line in files.lines().skip(1) {
        let (file, text) = line.split_once(',').unwrap();
        let found = outcomes(&play(&recordings().join(file), list, &[]));
        assert_eq!(found.len(), 1, "{file}");
        let (result, confidence) = &found[0];
        let expected = match text {
            "turn on the kitchen light" => "command/7",
            "stop" => "command/40000",
            _ => "unknown",
        };
        assert_eq!(result, expected, "{text}");
        known += usize::from(result != "unknown");
        let is_sure = (50..=100).contains(confidence);
        assert!(is_sure || (result == "unknown" && *confidence == 255));
    }
    assert_eq!(known, 2, "of {} clips", clips().len());
}

#[test]
fn words_that_the_model_does_not_know_are_refused_at_the_start() {
    need_models!();
    let list = "[[commands.list]]\nid = 1\nsay = ['stop the flux capacitor']\n";
    let ran = play(&recordings().join("stop.wav"), list, &[]);
    check(&ran, 4, &["`flux`", "`stop the flux capacitor`", "CARD.md"]);
}

#[test]
fn any_whisper_takes_a_list() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    // A model for all words, as its folder does not say that it knows a vocabulary only.
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    for file in fs::read_dir(places::builtin("nano")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), model.join(file.file_name())).unwrap();
    }
    let path = model.join("pressel.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut own: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(
        own.as_object_mut()
            .unwrap()
            .remove("unknown_below")
            .is_some()
    );
    fs::write(&path, own.to_string()).unwrap();
    let list = "[[commands.list]]\nid = 1\nsay = ['Stop the flux capacitor!', 'Stop']\n";
    let options = ["--model", model.to_str().unwrap()];
    let found = outcomes(&play(&recordings().join("stop.wav"), list, &options));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "command/1");
}
