//! `replay` and the live path: the same audio, the same utterances, the same words.
//!
//! In: one recording. Out: the events of both, compared.

use std::path::Path;

use serde_json::Value;

use crate::events::{Said, said};
use crate::program::{Ran, command, need_models, recordings, run};
use crate::rig::{Rig, Setting};
use crate::voice::{Random, babble, clips, noise, read, silence, wav};

/// Writes a recording and replays it.
fn replay(file: &Path, samples: &[i16], arguments: &[&str]) -> Ran {
    std::fs::write(file, wav(samples)).unwrap();
    let ran = run(command(&["replay"]).args(arguments).arg(file));
    assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
    ran
}

fn said_in(ran: &Ran) -> Vec<Said> {
    let lines = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    said(&lines.collect::<Vec<Value>>())
}

/// All recordings, with silence and noise between them: a little scene that ends in silence.
fn scene() -> Vec<i16> {
    let mut random = Random::new(3);
    let mut samples = silence(0.7);
    for clip in clips().iter().take(4) {
        samples.extend_from_slice(&clip.samples);
        samples.extend(silence(1.2));
        samples.extend(noise(0.5, 300, &mut random));
    }
    samples.extend(silence(2.0));
    // Whole blocks, as a microphone gives them.
    samples.resize(samples.len().next_multiple_of(256), 0);
    samples
}

#[test]
fn hands_free_live_and_replay_give_the_same_utterances_and_texts() {
    need_models!();
    let scene = scene();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scene.wav");
    let replayed = replay(&file, &scene, &["--trigger", "voice", "--json"]);
    let again = replay(&file, &scene, &["--trigger", "voice", "--json"]);
    assert_eq!(
        replayed.stdout, again.stdout,
        "the same file gives the same output"
    );
    let replayed = said_in(&replayed);
    assert!(clips().len().min(4) <= replayed.len(), "{replayed:?}");
    assert!(
        replayed.iter().any(|said| said.result == "text"),
        "{replayed:?}"
    );

    let mut rig = Rig::ready(&Setting {
        arguments: &["--trigger", "voice"],
        ..Setting::default()
    });
    rig.play(&scene);
    let ended = rig.finish(replayed.len());
    assert_eq!(said(&ended.events), replayed, "{}", ended.log);
}

#[test]
fn a_button_held_all_the_way_live_and_in_replay_gives_the_same_texts() {
    need_models!();
    // Longer than an utterance may be, and not a whole number of blocks.
    let samples = [babble(31.0), silence(0.9), vec![0; 100]].concat();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("held.wav");
    let replayed = replay(&file, &samples, &["--trigger", "ptt", "--json"]);
    let replayed = said_in(&replayed);

    let mut rig = Rig::ready(&Setting {
        pace: 16,
        ..Setting::default()
    });
    rig.press(true);
    rig.play(&samples);
    rig.release();
    rig.play(&silence(0.32));
    let ended = rig.finish(replayed.len());
    let mut live = said(&ended.events);
    assert_eq!(live.len(), 2, "{}", ended.log);
    // A release keeps 200 ms more; a file has no more.
    let (end, ended_at) = (replayed[1].end, live[1].end);
    assert!((ended_at - end - 0.2).abs() < 0.001, "{end} {ended_at}");
    live[1].end = end;
    assert_eq!(live, replayed);
}

/// A rendered `computer`, and a command right behind it.
fn woken() -> Vec<i16> {
    let word = read(&recordings().join("../../models/fixtures/computer.wav"));
    let mut samples = silence(1.0);
    for clip in clips().iter().take(2) {
        samples.extend_from_slice(&word);
        samples.extend_from_slice(&clip.samples);
        samples.extend(silence(2.5));
    }
    samples.resize(samples.len().next_multiple_of(256), 0);
    samples
}

/// The wake words among events: name and second.
fn wakes(events: &[Value]) -> Vec<(String, f64)> {
    let wakes = events.iter().filter(|event| event["event"] == "wake");
    wakes
        .map(|event| {
            let word = event["word"].as_str().unwrap().to_owned();
            assert!(event["score"].as_f64().is_some());
            (word, event["at"].as_f64().unwrap())
        })
        .collect()
}

#[test]
fn a_wake_word_and_a_command_in_one_breath_live_and_in_replay_are_the_same() {
    need_models!();
    let scene = woken();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("woken.wav");
    let ran = replay(&file, &scene, &["--trigger", "wake", "--json"]);
    let lines = ran.stdout.lines();
    let events: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let heard = wakes(&events);
    assert_eq!(heard.len(), 2, "{}", ran.stdout);
    assert!(heard.iter().all(|(word, _)| word == "computer"));
    // The first word ends 0.51 s after its beginning.
    assert!((heard[0].1 - 1.51).abs() < 0.2, "{heard:?}");
    let replayed = said(&events);
    let texts: Vec<&str> = replayed.iter().map(|said| said.text.as_str()).collect();
    let expected: Vec<&str> = clips()
        .iter()
        .take(2)
        .map(|clip| clip.text.as_str())
        .collect();
    assert_eq!(texts, expected, "{}", ran.stdout);

    let mut rig = Rig::ready(&Setting {
        arguments: &["--trigger", "wake"],
        ..Setting::default()
    });
    rig.play(&scene);
    let ended = rig.finish(replayed.len());
    assert_eq!(said(&ended.events), replayed, "{}", ended.log);
    assert_eq!(wakes(&ended.events), heard, "{}", ended.log);
}

#[test]
fn a_wake_word_that_ends_with_its_file_is_found() {
    need_models!();
    let word = read(&recordings().join("../../models/fixtures/computer.wav"));
    let mut samples = silence(1.0);
    // Its sound ends after 0.51 s.
    samples.extend_from_slice(&word[..8_160]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("word.wav");
    let ran = replay(&file, &samples, &["--trigger", "wake", "--json"]);
    let events: Vec<Value> = (ran.stdout.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(wakes(&events).len(), 1, "{}", ran.stdout);
}

#[test]
fn a_wake_word_that_cannot_be_listened_for_ends_with_one_line() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let start = |words: &str, code: i32, expected: &[&str]| {
        let config = folder.path().join("pressel.toml");
        std::fs::write(&config, words).unwrap();
        let config = config.to_str().unwrap();
        let ran = run(&mut command(&[
            "replay",
            "--config",
            config,
            "--trigger",
            "wake",
            "any.wav",
        ]));
        crate::bad_start::check(&ran, code, expected);
    };
    let file = "[[wake.words]]\nname = 'box'\nfile = '/no/such/box.onnx'";
    start(
        file,
        4,
        &["/no/such/melspectrogram.onnx", "[wake] features"],
    );
    start(
        "[[wake.words]]\nname = 'compjuter'",
        2,
        &["does not know `compjuter`", "`computer`"],
    );
}
