//! The live path is the file path: one clip again and again through libasound and through `replay`.
//!
//! In: a rendered wake word with a command right behind it; 500 times in the full edition, each time
//! after a silence of another length, so that it lies differently in the frames of the models. Out:
//! how many times both heard the same: wake words with their scores, borders of the utterance to the
//! sample, result and text.

use std::fs;

use serde_json::Value;

use crate::events::{Said, of_name, said};
use crate::program::{command, need_models, recordings, run};
use crate::prove;
use crate::rig::{Rig, Setting};
use crate::voice::{RATE, Random, clips, read, silence, wav};

/// How many times faster than real time the clip is played.
const PACE: u32 = 16;
/// How many of 500 times may be heard otherwise.
const OTHERWISE_OF_500_MAX: usize = 1;
/// By how much the silences before the times differ, in samples: a frame of the wake words' model.
const SHIFT_SAMPLES: u32 = 1_280;

/// What is played, and where in it each time begins.
struct Scene {
    samples: Vec<i16>,
    begins: Vec<usize>,
}

/// What was heard from the beginning of one time to the next.
#[derive(Clone, Debug, Default, PartialEq)]
struct Heard {
    /// Words, scores, and samples at which they were heard.
    wakes: Vec<(String, f64, usize)>,
    /// First and last sample of each utterance.
    borders: Vec<(usize, usize)>,
    said: Vec<Said>,
}

fn scene(times: usize, random: &mut Random) -> Scene {
    let word = read(&recordings().join("../../models/fixtures/computer.wav"));
    let clip = [&word[..], &clips()[0].samples, &silence(2.0)].concat();
    let (mut samples, mut begins) = (silence(1.0), Vec::new());
    for _ in 0..times {
        let shift = random.below(SHIFT_SAMPLES) as usize;
        samples.resize(samples.len() + shift, 0);
        begins.push(samples.len());
        samples.extend_from_slice(&clip);
    }
    // Whole blocks, as a microphone gives them.
    samples.resize(samples.len().next_multiple_of(256), 0);
    Scene { samples, begins }
}

/// Sorts events into the times at which they were heard.
fn sort(events: &[Value], begins: &[usize]) -> Vec<Heard> {
    let mut heard = vec![Heard::default(); begins.len()];
    let time = |at: usize| {
        let begun = begins.partition_point(|&begin| begin <= at);
        begun
            .checked_sub(1)
            .expect("nothing is said before the first time")
    };
    for wake in of_name(events, "wake") {
        let at = sample(wake);
        let word = wake["word"].as_str().unwrap().to_owned();
        let wake = (word, wake["score"].as_f64().unwrap(), at);
        heard[time(at)].wakes.push(wake);
    }
    let opened = of_name(events, "utterance_start");
    let said = said(events);
    assert_eq!(said.len(), of_name(events, "utterance_start").count());
    for (opened, said) in opened.zip(said) {
        let id = &opened["utterance"];
        let end = of_name(events, "utterance_end").find(|end| &end["utterance"] == id);
        let start = sample(opened);
        let heard = &mut heard[time(start)];
        heard
            .borders
            .push((start, sample(end.expect("it has ended"))));
        heard.said.push(said);
    }
    heard
}

fn sample(event: &Value) -> usize {
    usize::try_from(event["sample"].as_u64().unwrap()).unwrap()
}

/// Returns which times were heard otherwise.
fn otherwise(live: &[Heard], replayed: &[Heard]) -> Vec<usize> {
    assert_eq!(live.len(), replayed.len());
    let times = 0..live.len();
    times.filter(|&time| live[time] != replayed[time]).collect()
}

fn replay(scene: &Scene) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scene.wav");
    fs::write(&file, wav(&scene.samples)).unwrap();
    let ran = run(command(&["replay", "--trigger", "wake", "--json"]).arg(&file));
    assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
    let lines = ran.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn prove_live_hears_what_replay_hears() {
    need_models!();
    let seed = prove::seed();
    prove::begin("live", seed);
    let times = if prove::is_full() { 500 } else { 5 };
    let scene = scene(times, &mut Random::of(seed));
    let events = replay(&scene);
    let replayed = sort(&events, &scene.begins);
    // Two that heard nothing would be equal, too.
    let is_woken = |heard: &&Heard| !heard.wakes.is_empty() && !heard.said.is_empty();
    let woken = replayed.iter().filter(is_woken).count();
    assert!(times * 9 <= woken * 10, "woken {woken} of {times} times");

    let mut rig = Rig::ready(&Setting {
        pace: PACE,
        arguments: &["--trigger", "wake"],
        ..Setting::default()
    });
    rig.play(&scene.samples);
    let ended = rig.finish(of_name(&events, "outcome").count());
    let live = sort(&ended.events, &scene.begins);
    let otherwise = otherwise(&live, &replayed);
    for &time in otherwise.iter().take(3) {
        println!(
            "time {time}: live {:?}, replayed {:?}",
            live[time], replayed[time]
        );
    }
    let counts = format!(
        "times={times} same={} woken={woken} seconds={} pace={PACE}",
        times - otherwise.len(),
        scene.samples.len() / RATE
    );
    prove::say("live", seed, &counts);
    let most = times * OTHERWISE_OF_500_MAX / 500;
    assert!(otherwise.len() <= most, "{counts}: {otherwise:?}");
}

#[test]
fn one_sample_one_score_or_one_letter_makes_it_another_hearing() {
    let said = Said {
        start: 0.5,
        end: 1.5,
        text: "lights on".to_owned(),
        ..Said::default()
    };
    let heard = Heard {
        wakes: vec![("computer".to_owned(), 0.9, 16_000)],
        borders: vec![(8_000, 24_000)],
        said: vec![said],
    };
    let check = |change: &dyn Fn(&mut Heard)| {
        let mut other = vec![heard.clone(); 3];
        change(&mut other[1]);
        assert_eq!(otherwise(&other, &vec![heard.clone(); 3]), [1]);
    };
    check(&|other| other.wakes[0].2 += 1);
    check(&|other| other.wakes[0].1 = 0.91);
    check(&|other| other.borders[0].1 += 1);
    check(&|other| other.said[0].text.push('s'));
    check(&|other| other.said.clear());
}
