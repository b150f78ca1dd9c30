//! Tests of a main loop from which things are taken away: devices, worker, room in queues.
//!
//! Each test ends with what the owner of the appliance would see.

use pressel_pipeline::limits::{
    CONTROL_RING_COMMANDS, COUNTERS_EVERY_MS, LEFT_OFF_MS, OUTCOMES_KEPT_MAX, RECOGNISE_BASE_MS,
};
use pressel_pipeline::session::ButtonMode;
use pressel_wire::{DeviceState, DropReason, FailCode, HostMessage, OutcomeResult};

use super::rig::{READY, Rig, closed, opened, said};
use super::{Wire, words};
use crate::keeper::{Delivery, Record};
use crate::main_loop::*;
use crate::stream::{Control, ListenEvent, LostUtterance};
use crate::worker::message::Excerpt;
use crate::worker::{Answer, Request};

fn failed(code: FailCode) -> OutcomeResult {
    OutcomeResult::Failed(code)
}

fn controls(rig: &mut Rig) -> Vec<Control> {
    rig.commands()
        .iter()
        .map(|command| command.control)
        .collect()
}

#[test]
fn unplugged_microphone_is_discarded_closed_and_opened_again() {
    let mut rig = Rig::ready();
    rig.hear(4);
    rig.press(true);
    rig.event(opened(1));
    rig.unplug();
    let discard = Control::Discard(DropReason::MicLost);
    assert_eq!(controls(&mut rig), [Control::TalkStart, discard]);
    assert_eq!(
        rig.errands(),
        [("close microphone", 0), ("open microphone", 250)]
    );
    assert!(matches!(rig.records.last(), Some(Record::State(_))));
    assert_eq!(rig.state().unwrap().state, DeviceState::MicLost);
    rig.event(ListenEvent::Lost(LostUtterance {
        id: 1,
        trigger: Trigger::Ptt,
        start: 0,
        samples: 1_024,
        reason: DropReason::MicLost,
    }));
    assert_eq!(
        rig.outcomes()[0].result,
        OutcomeResult::Dropped(DropReason::MicLost)
    );
    rig.pass(250);
    rig.deliver(Delivery::NoMicrophone);
    assert_eq!(rig.errands(), [("open microphone", 500)]);
    rig.press(false);
    // A press now records nothing, and the error light says why.
    rig.pass(2_000);
    controls(&mut rig);
    rig.press(true);
    assert_eq!(controls(&mut rig), []);
    assert!(rig.lit()[3]);
    rig.pass(300);
    rig.press(false);
    controls(&mut rig);
    let back = rig.microphone();
    rig.deliver(Delivery::Microphone(back));
    rig.hear(1);
    let block = core::iter::from_fn(|| rig.listen.blocks.dequeue()).last();
    assert_eq!(block.unwrap().start, 4 * 256 + 2_550 * 16);
    assert_eq!(rig.state().unwrap().state, DeviceState::Idle);
}

#[test]
fn talking_goes_on_when_the_microphone_is_back() {
    let mut rig = Rig::ready();
    rig.press(true);
    rig.unplug();
    controls(&mut rig);
    let back = rig.microphone();
    rig.deliver(Delivery::Microphone(back));
    // The button is still held: what is said from now on is not lost.
    assert_eq!(controls(&mut rig), [Control::TalkStart]);
    assert_eq!(rig.state().unwrap().state, DeviceState::Recording);
}

#[test]
fn microphone_that_was_asked_for_twice_is_opened_once() {
    let mut rig = Rig::ready();
    for muted in [true, false, true, false] {
        rig.say(HostMessage::Mute(muted));
    }
    let mut opens = rig.errands();
    opens.retain(|(name, _)| *name == "open microphone");
    assert_eq!(opens.len(), 2);
    let first = rig.microphone();
    rig.deliver(Delivery::Microphone(first));
    // The second try finds the device busy: with ourselves.
    rig.deliver(Delivery::NoMicrophone);
    assert_eq!(rig.errands(), []);
    let second = rig.microphone();
    rig.deliver(Delivery::Microphone(second));
    assert_eq!(rig.errands(), [("close microphone", 0)]);
}

#[test]
fn lost_line_is_opened_again_and_hears_what_it_missed() {
    let mut rig = Rig::ready();
    rig.utter(1, 0);
    rig.peer = None;
    rig.turn();
    assert_eq!(rig.errands(), [("close link", 0), ("open link", 500)]);
    assert!(
        rig.records
            .iter()
            .any(|record| matches!(record, Record::Link(_)))
    );
    rig.answer(&said(1, "on"));
    rig.deliver(Delivery::NoLink);
    assert_eq!(rig.errands(), [("open link", 1_000)]);
    rig.turn();
    assert_eq!(rig.errands(), []);
    let (link, peer) = pressel_hal::sim::MemoryLink::pair(16_384).unwrap();
    rig.peer = Some(peer);
    rig.deliver(Delivery::Link(Box::new(link)));
    rig.turn();
    let words = words(&rig.said);
    assert!(words.contains(&"outcome 1".to_owned()), "{words:?}");
    assert_eq!(words[words.len() - 2..], ["hello", "state idle"]);
}

#[test]
fn line_that_takes_nothing_lets_the_oldest_outcomes_go_and_counts_them() {
    let mut rig = Rig::ready();
    rig.peer.as_ref().unwrap().refuse(true);
    let text = "x".repeat(1_400);
    let all = 40;
    for id in 1..=all {
        rig.utter(id, 0);
        rig.answer(&said(id, &text));
        assert_eq!(rig.free.dequeue(), Some(0));
    }
    let lost = rig.main_loop.counters().link_dropped;
    assert!(0 < lost);
    assert_eq!(rig.recorded().len(), 40); // The log has them all.
    rig.peer.as_ref().unwrap().refuse(false);
    for _ in 0..20 {
        rig.turn();
    }
    // The gap in the numbers is what was lost, and nothing came twice.
    let numbers: Vec<u32> = rig.outcomes().iter().map(|o| o.sequence).collect();
    assert_eq!(numbers.len() as u32, all - lost);
    let waited = OUTCOMES_KEPT_MAX as u32;
    let buffered = all - lost - waited;
    let expected: Vec<u32> = (0..buffered).chain(all - waited..all).collect();
    assert_eq!(numbers, expected);
    assert!(rig.main_loop.outbox.is_sent());
}

#[test]
fn dead_worker_is_replaced_and_its_utterance_tried_once_more() {
    let mut rig = Rig::ready();
    rig.utter(1, 3);
    rig.worker = None;
    rig.turn();
    assert_eq!(rig.errands(), [("end worker", 0), ("start worker", 0)]);
    assert_eq!(rig.state().unwrap().state, DeviceState::WorkerDown);
    assert_eq!(rig.recorded(), []);
    rig.start_worker();
    rig.answer(&READY);
    assert!(matches!(
        rig.asked()[..],
        [Request::Recognise {
            id: 2,
            part: Excerpt { slot: 3, .. }
        }]
    ));
    rig.worker = None;
    rig.turn();
    assert_eq!(rig.recorded(), [(1, failed(FailCode::WorkerDied))]);
    assert_eq!(rig.free.dequeue(), Some(3));
    assert_eq!(rig.main_loop.counters().worker_restarts, 2);
}

#[test]
fn worker_that_cannot_be_started_is_left_off_in_the_end() {
    let mut rig = Rig::ready();
    rig.utter(1, 0);
    rig.utter(2, 1);
    rig.worker = None;
    rig.turn();
    for _ in 0..3 {
        rig.deliver(Delivery::NoWorker);
    }
    let starts: Vec<u64> = rig
        .errands()
        .iter()
        .filter(|(name, _)| *name == "start worker")
        .map(|(_, wait)| *wait)
        .collect();
    assert_eq!(starts, [0, 500, 2_000, LEFT_OFF_MS]);
    let down = failed(FailCode::WorkerDown);
    // What was recorded before waits; what is new has failed.
    assert_eq!(rig.recorded(), []);
    rig.utter(3, 2);
    assert_eq!(rig.recorded(), [(3, down)]);
    // No worker comes after the pause either.
    for _ in 0..3 {
        rig.deliver(Delivery::NoWorker);
    }
    assert_eq!(rig.recorded().len(), 1);
    rig.deliver(Delivery::NoWorker);
    assert_eq!(rig.recorded(), [(3, down), (1, down), (2, down)]);
    let mut slots: Vec<u8> = core::iter::from_fn(|| rig.free.dequeue()).collect();
    slots.sort_unstable();
    assert_eq!(slots, [0, 1, 2]);
}

#[test]
fn worker_that_hangs_is_cancelled_then_killed_at_its_deadline() {
    let mut rig = Rig::ready();
    rig.utter(1, 0);
    rig.asked();
    rig.pass(RECOGNISE_BASE_MS + 4 * 1_500);
    assert_eq!(rig.asked(), [Request::Cancel { id: 1 }]);
    rig.pass(2_000);
    assert_eq!(rig.recorded(), [(1, failed(FailCode::Timeout))]);
    assert!(rig.errands().contains(&("end worker", 0)));
}

#[test]
fn model_that_is_gone_at_a_restart_fails_what_waits_and_ends_nothing() {
    let mut rig = Rig::ready();
    rig.utter(1, 0);
    rig.worker = None;
    rig.turn();
    rig.start_worker();
    let reason = heapless::String::try_from("no such file").unwrap();
    rig.answer(&Answer::CannotLoad { reason });
    assert_eq!(rig.recorded(), [(1, failed(FailCode::ModelMissing))]);
    assert_eq!(rig.turn(), None);
}

#[test]
fn commands_wait_for_listen_in_order() {
    let mut rig = Rig::ready();
    rig.main_loop.fixed.session.mode = ButtonMode::Toggle;
    let presses = CONTROL_RING_COMMANDS + 3;
    for index in 0..presses {
        rig.hear(1);
        rig.listen.blocks.dequeue();
        rig.press(index % 2 == 0);
        rig.pass(20);
        rig.press(index % 2 != 0);
        rig.pass(20);
    }
    // Each press and each release of the finger is one edge; a toggle counts the presses.
    let first = rig.commands();
    assert!(!rig.main_loop.commands.is_empty() || first.len() < CONTROL_RING_COMMANDS);
    rig.turn();
    let all: Vec<Command> = first.into_iter().chain(rig.commands()).collect();
    assert!(all.windows(2).all(|pair| pair[0].at <= pair[1].at));
    for (index, command) in all.iter().enumerate() {
        let expected = if index % 2 == 0 {
            Control::TalkStart
        } else {
            Control::TalkStop
        };
        assert_eq!(command.control, expected, "{index}");
    }
}

/// Listen is stuck: no press that it never hears of is without an outcome.
#[test]
fn press_that_finds_no_room_ends_as_dropped() {
    let mut rig = Rig::ready();
    let presses = CONTROL_RING_COMMANDS;
    for _ in 0..presses {
        rig.say(HostMessage::PttDown);
        rig.say(HostMessage::PttUp);
    }
    rig.say(HostMessage::PttDown);
    rig.say(HostMessage::Cancel);
    let commands: Vec<Command> = rig
        .commands()
        .into_iter()
        .chain({
            rig.turn();
            rig.commands()
        })
        .collect();
    let begun = commands.iter();
    let begun = begun.filter(|command| command.control == Control::TalkStart);
    let busy = OutcomeResult::Dropped(DropReason::Busy);
    let refused = rig.recorded();
    assert!(refused.iter().all(|outcome| *outcome == (0, busy)));
    assert_eq!(begun.count() + refused.len(), presses + 1);
    assert!(presses / 2 <= refused.len());
    let last = commands.last().unwrap();
    assert_eq!(last.control, Control::Discard(DropReason::Cancelled));
    assert_eq!(rig.main_loop.counters().utterances as usize, refused.len());
}

#[test]
fn keeper_that_is_late_is_told_how_many_records_are_missing() {
    let mut rig = Rig::with_keeper_queue(4);
    rig.keeper_works = false;
    for at in 0..10 {
        rig.event(ListenEvent::SpeechStart(at));
    }
    rig.keeper_works = true;
    rig.collect();
    rig.records.clear();
    rig.event(ListenEvent::SpeechEnd(11));
    let missing = rig.records.iter().find_map(|record| match record {
        Record::Missing(count) => Some(*count),
        _ => None,
    });
    // One place of the four held the state.
    assert_eq!(missing, Some(7));
    assert!(matches!(
        rig.records.last(),
        Some(Record::Listen(ListenEvent::SpeechEnd(11)))
    ));
}

#[test]
fn errands_that_find_no_room_wait_and_keep_their_order() {
    let mut rig = Rig::with_keeper_queue(2);
    rig.main_loop.begin();
    rig.collect();
    rig.start_worker();
    rig.answer(&READY);
    rig.collect();
    rig.errands.clear();
    rig.keeper_works = false;
    rig.event(ListenEvent::SpeechStart(1));
    rig.event(ListenEvent::SpeechStart(2));
    rig.unplug();
    rig.worker = None;
    rig.turn();
    assert_eq!(rig.main_loop.errands.len(), 4);
    rig.keeper_works = true;
    for _ in 0..4 {
        rig.collect();
        rig.turn();
    }
    assert_eq!(
        rig.errands(),
        [
            ("close microphone", 0),
            ("open microphone", 250),
            ("end worker", 0),
            ("start worker", 0)
        ]
    );
}

#[test]
fn button_that_breaks_while_it_is_held_is_a_release() {
    let mut rig = Rig::ready();
    rig.press(true);
    rig.pass(1_000);
    rig.button.fail();
    rig.turn();
    assert_eq!(controls(&mut rig), [Control::TalkStart, Control::TalkStop]);
    let broken = |record: &Record| matches!(record, Record::Pin { role: "button", .. });
    assert_eq!(
        rig.records.iter().filter(|record| broken(record)).count(),
        1
    );
}

#[test]
fn led_and_mute_switch_that_break_are_reported_once() {
    let mut rig = Rig::ready();
    rig.mute.fail();
    rig.leds[0].fail();
    rig.press(true);
    for _ in 0..5 {
        rig.turn();
    }
    let roles: Vec<&str> = rig
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Pin { role, .. } => Some(*role),
            _ => None,
        })
        .collect();
    assert_eq!(roles, ["mute", "listening"]);
}

#[test]
fn chip_that_goes_takes_all_its_pins_and_gives_them_back() {
    let mut rig = Rig::ready();
    rig.button.fail();
    rig.leds.iter().for_each(Wire::fail);
    // No LED changes; the button's loss is reason enough to look.
    rig.turn();
    rig.turn();
    assert_eq!(rig.errands(), [("mend pin", 250); 5]);
    rig.deliver(Delivery::NoPin(PinName::Button));
    assert_eq!(rig.errands(), [("mend pin", 500)]);
    let (button, led) = (Wire::default(), Wire::default());
    // Held while it comes back: that is no press.
    button.put(true);
    rig.deliver(Delivery::Pin(AnyPin::Button(Box::new(button.clone()))));
    rig.deliver(Delivery::Pin(AnyPin::Led(0, Box::new(led.clone()))));
    rig.button = button;
    rig.press(false);
    rig.pass(1_000);
    rig.press(true);
    assert_eq!(controls(&mut rig), [Control::TalkStart]);
    assert!(led.is_lit());
}

#[test]
fn mute_switch_that_is_back_counts_and_a_lost_one_changes_nothing() {
    let mut rig = Rig::ready();
    rig.mute.put(true);
    rig.turn();
    rig.mute.fail();
    rig.turn();
    assert!(rig.main_loop.switch_mutes);
    let mute = Wire::default();
    rig.deliver(Delivery::Pin(AnyPin::Mute(Box::new(mute))));
    assert!(!rig.main_loop.switch_mutes);
}

#[test]
fn fourth_waiting_utterance_makes_the_oldest_busy() {
    let mut rig = Rig::ready();
    for id in 1..=5 {
        rig.utter(id, u8::try_from(id).unwrap());
    }
    let busy = OutcomeResult::Dropped(DropReason::Busy);
    assert_eq!(rig.recorded(), [(2, busy)]);
    assert_eq!(rig.free.dequeue(), Some(2));
    assert_eq!(rig.state().unwrap().waiting, 3);
    assert!(rig.lit()[3]);
}

#[test]
fn panic_of_listen_is_told_and_the_last_one_ends_the_main_loop() {
    let mut rig = Rig::ready();
    rig.event(ListenEvent::Closed(closed(1, 0)));
    rig.event(ListenEvent::ThreadPanicked {
        count: 1,
        ended: false,
    });
    assert!(matches!(
        rig.records.last(),
        Some(Record::Panic {
            thread: "listen",
            count: 1
        })
    ));
    let last = ListenEvent::ThreadPanicked {
        count: 8,
        ended: true,
    };
    rig.listen.events.enqueue(last).unwrap();
    assert_eq!(rig.turn(), Some(End::ListenDied));
}

#[test]
fn no_wait_is_longer_than_the_next_deadline() {
    let mut rig = Rig::ready();
    let wait = |rig: &Rig| {
        let before = rig.now();
        rig.time.flow(true);
        rig.main_loop.timeout_ms(COUNTERS_EVERY_MS);
        rig.time.flow(false);
        let wait = rig.now() - before;
        rig.time.back(wait);
        wait
    };
    assert_eq!(wait(&rig), COUNTERS_EVERY_MS);
    rig.button.put(true);
    rig.turn();
    assert_eq!(wait(&rig), 20); // The debounce.
    rig.pass(20);
    let talk_ms_max = rig.main_loop.fixed.session.talk_ms_max;
    assert_eq!(wait(&rig), (talk_ms_max - 20).min(COUNTERS_EVERY_MS - 20));
    rig.utter(1, 0);
    assert_eq!(wait(&rig), RECOGNISE_BASE_MS + 4 * 1_500);
    rig.answer(&said(1, "on"));
    assert_eq!(wait(&rig), 600); // The sent light goes out.
    rig.pass(600);
    rig.mute.put(true);
    rig.turn();
    assert_eq!(wait(&rig), 5); // The ring is being overwritten.
}
