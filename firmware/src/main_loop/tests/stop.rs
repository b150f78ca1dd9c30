//! Tests of the end: every utterance has its outcome, within the farewell time.
//!
//! Time flows in them: a wait lasts as long as it may.

use pressel_pipeline::limits::FAREWELL_MS;
use pressel_wire::{DeviceState, DropReason, OutcomeResult};

use super::rig::{Rig, opened, said};
use super::words;
use crate::keeper::Record;
use crate::main_loop::*;
use crate::worker::Answer;

const SHUTDOWN: OutcomeResult = OutcomeResult::Dropped(DropReason::Shutdown);

/// One at the worker, two waiting, one being recorded.
fn busy() -> Rig {
    let mut rig = Rig::ready();
    for id in 1..=3 {
        rig.utter(id, u8::try_from(id).unwrap());
    }
    rig.press(true);
    rig.event(opened(4));
    rig.said.clear();
    rig
}

fn sorted(mut results: Vec<(u32, OutcomeResult)>) -> Vec<(u32, OutcomeResult)> {
    results.sort_by_key(|(id, _)| *id);
    results
}

#[test]
fn signal_gives_everything_that_is_left_its_outcome() {
    let mut rig = busy();
    rig.signal();
    let before = rig.now();
    assert_eq!(rig.run(), End::Asked);
    assert_eq!(rig.now(), before); // Everything was told at once.
    let all: Vec<_> = (1..=4).map(|id| (id, SHUTDOWN)).collect();
    assert_eq!(sorted(rig.recorded()), all);
    let told = rig.outcomes();
    assert_eq!(told.len(), 4);
    assert!(told.iter().zip(0..).all(|(o, number)| o.sequence == number));
    let mut slots: Vec<u8> = core::iter::from_fn(|| rig.free.dequeue()).collect();
    slots.sort_unstable();
    assert_eq!(slots, [1, 2, 3]);
    assert_eq!(rig.state().unwrap().state, DeviceState::Stopping);
    assert_eq!(rig.lit(), [false; 4]);
    let Some(Record::Counters(counters)) = rig.records.last() else {
        panic!("the counters come last")
    };
    assert_eq!((counters.utterances, counters.dropped), (4, 4));
}

#[test]
fn line_that_takes_nothing_delays_the_end_by_the_farewell_and_no_more() {
    let mut rig = busy();
    rig.peer.as_ref().unwrap().refuse(true);
    rig.turn();
    rig.signal();
    let before = rig.now();
    assert_eq!(rig.run(), End::Asked);
    let took = rig.now() - before;
    assert!(
        (FAREWELL_MS..FAREWELL_MS + 60_000).contains(&took),
        "{took}"
    );
    assert_eq!(rig.recorded().len(), 4);
    assert_eq!(rig.outcomes().len(), 0);
}

#[test]
fn line_that_is_lost_at_the_end_is_not_waited_for() {
    let mut rig = busy();
    rig.peer = None;
    rig.signal();
    let before = rig.now();
    assert_eq!(rig.run(), End::Asked);
    assert!(rig.now() - before <= FAREWELL_MS);
    assert_eq!(sorted(rig.recorded()).len(), 4);
}

#[test]
fn text_that_came_before_the_end_is_still_told() {
    let mut rig = busy();
    rig.peer.as_ref().unwrap().refuse(true);
    rig.answer(&said(1, "lights on"));
    rig.peer.as_ref().unwrap().refuse(false);
    rig.signal();
    rig.run();
    let words = words(&rig.said);
    let at = |word: &str| words.iter().position(|found| found == word);
    assert!(
        at("part 0/1") < at("outcome 1") && at("part 0/1").is_some(),
        "{words:?}"
    );
    assert_eq!(rig.outcomes().len(), 4);
}

#[test]
fn model_that_cannot_be_loaded_at_the_start_ends_with_its_reason() {
    let mut rig = Rig::new();
    rig.main_loop.begin();
    rig.start_worker();
    rig.utter(1, 0);
    let reason = heapless::String::try_from("model.onnx: no such file").unwrap();
    let answer = Answer::CannotLoad {
        reason: reason.clone(),
    };
    rig.worker.as_mut().unwrap().send(&answer).unwrap();
    assert_eq!(rig.run(), End::Model(reason));
    assert_eq!(rig.recorded(), [(1, SHUTDOWN)]);
}
