//! Tests of a whole main loop in memory, turn by turn.
//!
//! The test plays everything around it, see `rig`. Here: what happens when all is well; `trouble`
//! takes things away, `panics` breaks it, `files` gives it recordings to transcribe, `stop` ends
//! it.

mod files;
mod panics;
pub(super) mod rig;
mod slots;
mod stop;
mod trouble;
mod wire;

use pressel_pipeline::limits::COUNTERS_EVERY_MS;
use pressel_pipeline::session::ButtonMode;
use pressel_wire::{
    Alert, Assembler, DeviceMessage, DeviceState, DropReason, HostMessage, OutcomeResult, Provider,
};

pub(crate) use wire::Wire;

use self::rig::{READY, Rig, closed, opened, said};
use super::*;
use crate::stream::{ClosedUtterance, Control, ListenEvent};
use crate::worker::Request;
use crate::worker::message::Excerpt;

const CANCELLED: OutcomeResult = OutcomeResult::Dropped(DropReason::Cancelled);

/// Each message of the link in one word.
fn words(messages: &[DeviceMessage]) -> Vec<String> {
    let word = |message: &DeviceMessage| match message {
        DeviceMessage::Hello(_) => "hello".to_owned(),
        DeviceMessage::State(state) => format!("state {}", state.state),
        DeviceMessage::Transcript(part) => format!("part {}/{}", part.part, part.parts),
        DeviceMessage::Outcome(outcome) => format!("outcome {}", outcome.utterance),
        DeviceMessage::Counters(_) => "counters".to_owned(),
        DeviceMessage::Pong { nonce } => format!("pong {nonce}"),
        other => format!("{other:?}"),
    };
    messages.iter().map(word).collect()
}

#[test]
fn start_says_hello_and_asks_for_a_worker() {
    let mut rig = Rig::new();
    rig.main_loop.begin();
    rig.turn();
    assert_eq!(words(&rig.said), ["hello", "state starting"]);
    assert_eq!(rig.errands(), [("start worker", 0)]);
    let DeviceMessage::Hello(hello) = &rig.said[0] else {
        panic!("{:?}", rig.said)
    };
    assert_eq!((hello.boot, hello.board.as_str()), (99, "sim"));
    rig.start_worker();
    rig.answer(&READY);
    let state = rig.state().unwrap();
    assert_eq!(state.state, DeviceState::Idle);
    assert_eq!(state.provider, Provider::Cpu);
    assert!(state.worker_ok && state.microphone_ok && !state.muted);
}

#[test]
fn press_becomes_a_command_a_request_and_a_text() {
    let mut rig = Rig::ready();
    rig.hear(10);
    rig.press(true);
    rig.hear(3);
    // The edge and its sample time: after the ten blocks, before the three.
    let start = Command {
        at: 10 * 256,
        control: Control::TalkStart,
    };
    assert_eq!(rig.commands(), [start]);
    assert_eq!(rig.listen.blocks.len(), 13);
    rig.event(opened(1));
    assert_eq!(rig.lit(), [true, false, false, false]);
    rig.pass(1_000);
    rig.press(false);
    let stop = Command {
        at: 13 * 256,
        control: Control::TalkStop,
    };
    assert_eq!(rig.commands(), [stop]);
    rig.event(ListenEvent::Closed(closed(1, 4)));
    let part = Excerpt {
        utterance: 1,
        slot: 4,
        start: 3_200,
        samples: 24_000,
    };
    let request = Request::Recognise { id: 1, part };
    assert_eq!(rig.asked(), [request]);
    assert_eq!(rig.lit(), [false, true, false, false]);
    rig.pass(300);
    let text = "turn on the light ".repeat(20);
    rig.answer(&said(1, &text));
    rig.turn();
    assert_eq!(rig.lit(), [false, false, true, false]);
    assert_eq!(rig.free.dequeue(), Some(4));
    assert_eq!(
        words(&rig.said),
        [
            "state recording",
            "state recognising",
            "part 0/2",
            "part 1/2",
            "outcome 1",
            "state idle"
        ]
    );
    let outcome = rig.outcomes()[0];
    assert_eq!((outcome.sequence, outcome.trigger), (0, Trigger::Ptt));
    assert_eq!((outcome.audio_ms, outcome.confidence), (2_000, 90));
    assert_eq!(outcome.timing.capture_ms, 210);
    let mut assembler = Assembler::new();
    for message in &rig.said {
        if let DeviceMessage::Transcript(part) = message {
            assembler.push(part);
        }
    }
    let assembled = assembler.finish(&outcome);
    assert_eq!((assembled.text, assembled.complete), (text.as_str(), true));
    rig.pass(600);
    assert_eq!(rig.lit(), [false; 4]);
    let counters = rig.main_loop.counters();
    assert_eq!((counters.utterances, counters.texts), (1, 1));
}

#[test]
fn silence_has_its_outcome_without_the_worker() {
    let mut rig = Rig::ready();
    rig.event(opened(1));
    let silent = ClosedUtterance {
        speech: None,
        ..closed(1, 2)
    };
    rig.event(ListenEvent::Closed(silent));
    assert_eq!(rig.outcomes()[0].result, OutcomeResult::NoSpeech);
    assert_eq!((rig.free.dequeue(), rig.asked()), (Some(2), Vec::new()));
    assert_eq!(rig.lit(), [false; 4]);
}

#[test]
fn outcomes_are_numbered_without_a_gap_and_each_slot_comes_back_once() {
    let mut rig = Rig::ready();
    for id in 1..=20 {
        let slot = u8::try_from(id % 6).unwrap();
        rig.utter(id, slot);
        rig.answer(&said(id, if id % 3 == 0 { "" } else { "on" }));
        assert_eq!(rig.free.dequeue(), Some(slot));
        assert_eq!(rig.free.dequeue(), None);
    }
    let outcomes = rig.outcomes();
    let numbers: Vec<(u32, u32)> = outcomes.iter().map(|o| (o.sequence, o.utterance)).collect();
    assert_eq!(numbers, (1..=20).map(|id| (id - 1, id)).collect::<Vec<_>>());
    let counters = rig.main_loop.counters();
    assert_eq!((counters.texts, counters.no_speech), (14, 6));
}

#[test]
fn press_while_one_is_recognised_records_at_once() {
    let mut rig = Rig::ready();
    rig.utter(1, 0);
    rig.press(true);
    assert_eq!(rig.commands()[0].control, Control::TalkStart);
    assert_eq!(rig.state().unwrap().state, DeviceState::Recording);
    assert_eq!(rig.lit(), [true, true, false, false]);
}

#[test]
fn tap_latches_until_the_next_one_or_until_it_was_forgotten() {
    let mut rig = Rig::ready();
    assert_eq!(rig.main_loop.fixed.session.mode, ButtonMode::HoldOrTap);
    rig.press(true);
    rig.pass(100);
    rig.press(false);
    assert_eq!(rig.commands().len(), 1);
    rig.pass(rig.main_loop.fixed.session.talk_ms_max);
    assert_eq!(rig.commands()[0].control, Control::TalkStop);
}

#[test]
fn release_inside_the_deaf_time_is_found_when_it_is_over() {
    let mut rig = Rig::ready();
    rig.main_loop.fixed.session.mode = ButtonMode::Hold;
    rig.press(true);
    rig.press(false);
    assert_eq!(rig.commands().len(), 1);
    assert_eq!(rig.main_loop.pins.button.deadline(), Some(rig.now() + 20));
    rig.pass(20);
    assert_eq!(rig.commands()[0].control, Control::TalkStop);
}

#[test]
fn host_talks_asks_and_cancels() {
    let mut rig = Rig::ready();
    rig.say(HostMessage::Ping { nonce: 5 });
    rig.say(HostMessage::GetStatus);
    assert_eq!(
        words(&rig.said),
        ["pong 5", "hello", "state idle", "counters"]
    );
    rig.said.clear();
    rig.say(HostMessage::PttDown);
    rig.say(HostMessage::PttUp);
    let controls: Vec<Control> = rig.commands().iter().map(|c| c.control).collect();
    assert_eq!(controls, [Control::TalkStart, Control::TalkStop]);
    rig.utter(1, 0);
    rig.utter(2, 1);
    rig.event(opened(3));
    rig.asked();
    rig.say(HostMessage::Cancel);
    let discard = Control::Discard(DropReason::Cancelled);
    assert_eq!(rig.commands()[0].control, discard);
    assert_eq!(rig.asked(), [Request::Cancel { id: 1 }]);
    assert_eq!(rig.recorded(), [(2, CANCELLED)]);
    rig.answer(&said(1, "too late"));
    assert_eq!(rig.recorded(), [(2, CANCELLED), (1, CANCELLED)]);
    assert_eq!(rig.outcomes().len(), 2);
    assert!(!words(&rig.said).iter().any(|word| word.starts_with("part")));
}

#[test]
fn mute_closes_the_microphone_and_overwrites_the_ring() {
    let mut rig = Rig::ready();
    rig.hear(10);
    rig.mute.put(true);
    rig.turn();
    let mute = Command {
        at: 10 * 256,
        control: Control::Mute,
    };
    assert_eq!(rig.commands(), [mute]);
    assert_eq!(rig.errands(), [("close microphone", 0)]);
    let state = rig.state().unwrap();
    assert_eq!((state.state, state.muted), (DeviceState::Muted, true));
    assert!(!state.microphone_ok);
    let mut wiped = 0;
    for _ in 0..4 {
        rig.turn();
        let blocks = core::iter::from_fn(|| rig.listen.blocks.dequeue());
        wiped += blocks.filter(crate::stream::Block::is_wipe).count();
    }
    assert_eq!(wiped, 129);
    // A press means nothing now.
    rig.press(true);
    rig.press(false);
    assert_eq!(rig.commands(), []);
    // A microphone that comes late is closed.
    let late = rig.microphone();
    rig.deliver(Delivery::Microphone(late));
    assert_eq!(rig.errands(), [("close microphone", 0)]);
    rig.pass(1_000);
    rig.mute.put(false);
    rig.turn();
    assert_eq!(rig.errands(), [("open microphone", 0)]);
    let back = rig.microphone();
    rig.deliver(Delivery::Microphone(back));
    rig.hear(1);
    assert_eq!(rig.state().unwrap().state, DeviceState::Idle);
    assert_eq!(rig.listen.blocks.dequeue().unwrap().start, 2_560 + 16_000);
}

#[test]
fn mute_switch_that_is_on_at_the_start_counts_and_a_held_button_does_not() {
    let mut rig = Rig::new();
    rig.mute.put(true);
    rig.button.put(true);
    rig.main_loop.begin();
    rig.turn();
    assert_eq!(rig.state().unwrap().state, DeviceState::Muted);
    assert!(rig.errands().contains(&("close microphone", 0)));
    assert_eq!(rig.commands()[0].control, Control::Mute);

    let mut rig = Rig::new();
    rig.button.put(true);
    rig.main_loop.begin();
    rig.turn();
    assert_eq!(rig.commands(), []);
}

#[test]
fn counters_are_told_every_minute() {
    let mut rig = Rig::ready();
    rig.pass(COUNTERS_EVERY_MS - 1);
    assert_eq!(words(&rig.said), Vec::<String>::new());
    rig.pass(1);
    assert_eq!(words(&rig.said), ["counters"]);
    let DeviceMessage::Counters(counters) = rig.said[0] else {
        panic!("{:?}", rig.said)
    };
    assert_eq!(counters.uptime_s, 60);
    rig.pass(COUNTERS_EVERY_MS);
    assert_eq!(words(&rig.said), ["counters", "counters"]);
}

#[test]
fn marks_of_listen_are_recorded_and_change_nothing_else() {
    let mut rig = Rig::ready();
    for event in [
        ListenEvent::SpeechStart(1),
        ListenEvent::SpeechEnd(2),
        ListenEvent::Gap(3),
        ListenEvent::VadFellBack,
    ] {
        rig.event(event);
    }
    assert_eq!(rig.records.len(), 4);
    // But that the owner should know of the last one.
    let alert = |alert| DeviceMessage::Alert { alert, on: true };
    assert_eq!(rig.said, [alert(Alert::VadFallback)]);
    rig.event(ListenEvent::WakeFailed);
    assert_eq!(rig.said[1..], [alert(Alert::WakeDown)]);
}
