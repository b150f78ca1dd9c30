//! The microphone: a stream that pauses, a mute, and more speech than the worker can take.
//!
//! In: pipes that say nothing, a mute switch, a worker that is stopped. Out: nothing is lost that
//! was heard, and every utterance has its outcome.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use pressel_hal::sim::MIC_FILE;

use crate::board::rest;
use crate::events::{of_name, said};
use crate::process::{self, open_count, signal};
use crate::program::{PATIENCE, need_models, until};
use crate::rig::{Rig, Setting};
use crate::voice::{silence, word};

#[test]
fn a_microphone_that_pauses_in_an_utterance_goes_on_where_it_was() {
    need_models!();
    let mut rig = Rig::ready(&Setting::default());
    let word = word();
    let (before, after) = word.split_at(8_192);
    rig.play(&silence(0.64));
    rig.press(true);
    rig.play(before);
    rig.board.drain();
    rest(Instant::now(), Duration::from_secs(1));
    let state = |rig: &Rig| {
        let last = |events: &[serde_json::Value]| of_name(events, "state").last().cloned();
        rig.events.look(last).unwrap()["state"].clone()
    };
    rig.wait_for_state("recording");
    rig.play(after);
    assert_eq!(state(&rig), "recording");
    rig.release();
    rig.play(&silence(0.5));
    let ended = rig.finish(1);
    let said = said(&ended.events);
    let played = f64::from(u32::try_from(word.len().div_ceil(256) * 16).unwrap()) / 1_000.0;
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].result, "text", "{}", ended.log);
    assert!(
        (said[0].end - said[0].start - played - 0.7).abs() < 0.002,
        "{said:?}"
    );
    assert_eq!(of_name(&ended.events, "gap").count(), 0, "{}", ended.log);
}

#[test]
fn mute_closes_the_microphone_and_drops_what_is_recorded() {
    need_models!();
    let mut rig = Rig::ready(&Setting::default());
    let pipe = rig.board.path().join(MIC_FILE);
    let id = rig.id();
    assert_eq!(open_count(id, &pipe), 2, "one to look, one of libasound");
    rig.play(&silence(0.64));
    rig.press(true);
    rig.play(&word());
    rig.wait_for_state("recording");
    rig.board.mute(true);
    rig.wait_for_state("muted");
    let closed = until(PATIENCE, || (open_count(id, &pipe) == 0).then_some(()));
    assert!(closed.is_some(), "the microphone is still open");
    rig.wait_for("outcome", 1);
    // The finger is still down, and presses once more: nothing comes of it.
    rig.press(false);
    rig.press(true);
    rig.press(false);
    rig.board.mute(false);
    rig.wait_for_state("idle");
    assert_eq!(open_count(id, &pipe), 2);
    rig.say(&word());
    let ended = rig.finish(2);
    assert_eq!(ended.results(), ["dropped/muted", "text"], "{}", ended.log);
}

#[test]
fn more_speech_than_the_worker_takes_drops_the_oldest_that_waits_and_says_so() {
    need_models!();
    let mut rig = Rig::ready(&Setting {
        speed: 1,
        ..Setting::default()
    });
    let worker = rig.worker();
    rig.ahead = usize::MAX;
    let word = word();
    signal(worker, Signal::STOP);
    for count in 1..=6 {
        rig.play(&silence(0.16));
        rig.press(true);
        rig.play(&word[..word.len().min(24_000)]);
        rig.release();
        rig.play(&silence(0.32));
        rig.wait_for("utterance_end", count);
    }
    // One is at the worker and three wait, so two of the six had to go: the oldest that waited.
    rig.wait_for("outcome", 2);
    signal(worker, Signal::CONT);
    assert!(process::runs(worker));
    let ended = rig.finish(6);
    let result = |id: u64| {
        let outcome = of_name(&ended.events, "outcome").find(|event| event["utterance"] == id);
        outcome.unwrap()["result"].as_str().unwrap().to_owned()
    };
    let results: Vec<String> = (1..=6).map(result).collect();
    assert_eq!(
        results[1..3],
        ["dropped/busy", "dropped/busy"],
        "{results:?}"
    );
    let done = |id: usize| ["text", "nospeech"].contains(&results[id].as_str());
    assert!([0, 3, 4, 5].into_iter().all(done), "{results:?}");
}
