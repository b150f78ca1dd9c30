//! `pressel evaluate`: lists of recordings through the whole program.
//!
//! In: the demo's recordings, silence and noise, and lists of them. Out: counts that are known
//! beforehand.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::bad_start::check;
use crate::program::{Ran, command, need_models, run};
use crate::voice::{Random, clips, noise, silence, wav};

/// Writes recordings and their list: name, category, text, note and samples.
fn list(folder: &Path, rows: &[(&str, &str, &str, &str, Vec<i16>)]) {
    let mut lines = "file,category,text,note\n".to_owned();
    for (name, category, text, note, samples) in rows {
        fs::write(folder.join(name), wav(samples)).unwrap();
        lines += &format!("{name},{category},{text},\"{note}\"\n");
    }
    fs::write(folder.join("list.csv"), lines).unwrap();
}

fn evaluate(folder: &Path, what: &str, options: &[&str]) -> Ran {
    let mut command = command(&["evaluate", what, "--json", "--manifest"]);
    run(command.arg(folder.join("list.csv")).args(options))
}

fn object(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr))
}

/// The recording of the demo in which this is said.
fn saying(text: &str) -> Vec<i16> {
    let clip = clips().iter().find(|clip| clip.text == text);
    clip.unwrap().samples.clone()
}

#[test]
fn words_are_right_or_wrong_and_what_cannot_be_read_costs_nothing_else() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let rows = [
        ("a.wav", "word", "stop", "", saying("stop")),
        ("b.wav", "word", "go", "", saying("yes")),
        ("c.wav", "word", "yes", "", saying("yes")),
        ("d.wav", "sentence", "go left", "", saying("go left")),
    ];
    list(folder.path(), &rows);
    let svg = folder.path().join("words.svg");
    let options = ["--svg", svg.to_str().unwrap()];
    let ran = evaluate(folder.path(), "words", &options);
    assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
    let found = object(&ran);
    assert_eq!(found["right"]["count"], 2, "{found}");
    assert_eq!(found["right"]["of"], 3);
    assert_eq!(found["confusions"][0]["said"], "go");
    assert_eq!(found["confusions"][0]["heard"], "yes");
    assert!(
        fs::read_to_string(svg)
            .unwrap()
            .contains("Words right: 66.7 %")
    );
    fs::write(folder.path().join("b.wav"), "no recording").unwrap();
    let ran = evaluate(folder.path(), "words", &[]);
    check(&ran, 1, &["1 recordings could not be heard"]);
    assert!(ran.stderr.contains("b.wav"), "{}", ran.stderr);
    let found = object(&ran);
    assert_eq!(
        (&found["right"]["count"], &found["unreadable"]),
        (&2.into(), &1.into())
    );
}

#[test]
fn word_errors_of_sentences_are_counted_and_noise_makes_more() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let said = "turn on the kitchen light";
    let loud = noise(3.0, i16::MAX / 2, &mut Random::new(5));
    let rows = [
        (
            "a.wav",
            "sentence",
            "Turn on the kitchen lamp!",
            "",
            saying(said),
        ),
        ("n.wav", "noise", "", "", loud),
    ];
    list(folder.path(), &rows);
    let clean = object(&evaluate(folder.path(), "text", &[]));
    assert_eq!(
        (&clean["errors"], &clean["words"]),
        (&1.into(), &5.into()),
        "{clean}"
    );
    let drowned = object(&evaluate(folder.path(), "text", &["--noise-db", "-20"]));
    assert!(1 < drowned["errors"].as_u64().unwrap(), "{drowned}");
    assert_eq!(drowned["noise_db"], -20.0);
}

#[test]
fn speech_that_is_not_there_and_speech_that_is_are_told_apart() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let samples = [silence(1.0), saying("stop"), silence(1.0)].concat();
    let end = samples.len() as f64 / 16_000.0 - 1.0;
    let times = format!("speech: 1.0-{end:.2}");
    let rows = [
        ("a.wav", "talk", "", &*times, samples),
        ("b.wav", "noise", "", "", silence(2.0)),
        ("c.wav", "talk", "", "", saying("yes")),
    ];
    list(folder.path(), &rows);
    let found = object(&evaluate(folder.path(), "vad", &[]));
    assert_eq!(found["recordings"], 2, "{found}");
    let (missed, wrong) = (
        found["missed"]["share"].as_f64().unwrap(),
        found["wrong"]["share"].as_f64().unwrap(),
    );
    assert!(missed < 0.5 && 0.0 < wrong && wrong < 0.2, "{found}");
    assert!(
        wrong < found["wrong"]["high"].as_f64().unwrap(),
        "an interval: {found}"
    );
    list(folder.path(), &[("b.wav", "noise", "", "", silence(2.0))]);
    let found = object(&evaluate(folder.path(), "vad", &[]));
    assert!(
        found["missed"].is_null(),
        "nobody spoke in any recording: {found}"
    );
}

#[test]
fn wake_words_are_missed_where_they_are_not_found() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let rows = [
        ("a.wav", "wake", "computer", "", saying("stop")),
        ("b.wav", "talk", "", "", saying("yes")),
    ];
    list(folder.path(), &rows);
    let found = object(&evaluate(folder.path(), "wake", &[]));
    let points = found["wake_words"][0]["points"].as_array().unwrap();
    let last = points.last().unwrap();
    assert_eq!(last["missed"]["of"], 1, "{found}");
    assert_eq!(
        (&last["missed"]["count"], &last["false_accepts"]),
        (&1.into(), &0.into())
    );
}

#[test]
fn lists_without_what_is_judged_are_refused_with_a_remedy() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    list(folder.path(), &[("a.wav", "talk", "", "", silence(1.0))]);
    let ran = evaluate(folder.path(), "words", &[]);
    check(&ran, 2, &["list.csv", "--help"]);
    let ran = evaluate(folder.path(), "wake", &["--noise-db", "10"]);
    check(&ran, 2, &["--noise-db", "category noise"]);
}
