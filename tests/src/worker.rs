//! A worker that dies: another one takes its place, and nothing that was said is lost.
//!
//! In: `SIGKILL`, at rest and in the middle of a recognition. Out: texts all the same.

use rustix::process::Signal;

use crate::events::said;
use crate::process::{runs, signal};
use crate::program::need_models;
use crate::rig::{Rig, Setting};
use crate::voice::{silence, word};

#[test]
fn a_worker_that_dies_at_rest_is_replaced() {
    need_models!();
    let mut rig = Rig::ready(&Setting::default());
    let first = rig.worker();
    rig.say(&word());
    rig.wait_for("outcome", 1);
    signal(first, Signal::KILL);
    rig.wait_for("worker_ready", 2);
    assert!(!runs(first));
    assert_ne!(rig.worker(), first);
    rig.say(&word());
    let ended = rig.finish(2);
    let said = said(&ended.events);
    assert_eq!(ended.results(), ["text", "text"], "{}", ended.log);
    assert_eq!(said[0].text, said[1].text);
    assert_eq!(ended.counters()("worker_restarts"), 1);
}

#[test]
fn what_a_dead_worker_was_recognising_is_recognised_by_the_next_one() {
    need_models!();
    let mut rig = Rig::ready(&Setting {
        speed: 1,
        ..Setting::default()
    });
    let first = rig.worker();
    rig.ahead = usize::MAX;
    // Stopped, so that it is in the middle of it for sure.
    signal(first, Signal::STOP);
    rig.say(&word());
    rig.wait_for_state("recognising");
    // The button works on while the worker dies.
    rig.press(true);
    rig.play(&word());
    signal(first, Signal::KILL);
    rig.wait_for("worker_lost", 1);
    rig.release();
    rig.play(&silence(0.5));
    let ended = rig.finish(2);
    let said = said(&ended.events);
    assert_eq!(ended.results(), ["text", "text"], "{}", ended.log);
    assert_eq!(said[0].text, said[1].text);
    assert!(!runs(first));
}

#[test]
fn a_worker_that_dies_twice_over_one_utterance_gives_it_up_and_goes_on() {
    need_models!();
    let mut rig = Rig::ready(&Setting {
        speed: 1,
        ..Setting::default()
    });
    let first = rig.worker();
    rig.ahead = usize::MAX;
    signal(first, Signal::STOP);
    rig.say(&word());
    rig.wait_for_state("recognising");
    signal(first, Signal::KILL);
    rig.wait_for("worker_lost", 1);
    // The next one dies before it is ready, and the one after it in the same utterance again.
    rig.wait("a second worker", |_| {
        (rig.log().matches("worker started").count() == 2).then_some(())
    });
    let second = rig.worker();
    signal(second, Signal::STOP);
    signal(second, Signal::KILL);
    rig.wait_for("outcome", 1);
    rig.say(&word());
    let ended = rig.finish(2);
    // The second may have been killed before it had the utterance: then the third one did it.
    let first = ended.results()[0].clone();
    assert!(
        ["text", "failed/workerdied"].contains(&first.as_str()),
        "{}",
        ended.log
    );
    assert_eq!(ended.results()[1], "text", "{}", ended.log);
}
