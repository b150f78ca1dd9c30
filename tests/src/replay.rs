//! `replay` and the live path: the same audio, the same utterances, the same words.
//!
//! In: one recording. Out: the events of both, compared.

use std::path::Path;

use serde_json::Value;

use crate::events::{Said, said};
use crate::program::{Ran, command, need_models, run};
use crate::rig::{Rig, Setting};
use crate::voice::{Random, babble, clips, noise, silence, wav};

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

#[test]
fn a_wake_word_is_refused_until_there_is_one() {
    need_models!();
    let ran = run(&mut command(&["replay", "--trigger", "wake", "any.wav"]));
    assert_eq!(ran.status.code(), Some(4));
    assert!(ran.stderr.contains("--trigger voice"), "{}", ran.stderr);
}
