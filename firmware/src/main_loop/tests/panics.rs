//! Tests of a main loop whose parts panic: it goes on, and the eighth panic ends it.

use pressel_pipeline::limits::MAIN_LOOP_PANICS_MAX;
use pressel_wire::{DropReason, OutcomeResult};

use super::files::{chunk, result};
use super::rig::{READY, Rig, opened, said};
use crate::alloc_guard;
use crate::jobs::JobNews;
use crate::keeper::Record;
use crate::main_loop::*;
use crate::stream::Control;

/// One turn that may panic. The panic itself allocates, so the seal is lifted, as the appliance's
/// hook does.
fn turn(rig: &mut Rig) -> Option<End> {
    let end = rig.main_loop.turn_safely();
    alloc_guard::unseal();
    rig.collect();
    end
}

#[test]
fn panic_of_a_pin_gives_up_what_is_recorded_and_the_loop_goes_on() {
    let mut rig = Rig::ready();
    rig.press(true);
    rig.event(opened(1));
    rig.utter(2, 2);
    rig.commands();
    rig.pass(1_000);
    rig.button.panic(true);
    assert_eq!(turn(&mut rig), None);
    rig.button.panic(false);
    let controls: Vec<Control> = rig.commands().iter().map(|c| c.control).collect();
    assert_eq!(controls, [Control::Discard(DropReason::Internal)]);
    let told = Record::Panic {
        thread: "main-loop",
        count: 1,
    };
    let told = format!("{told:?}");
    assert!(
        rig.records
            .iter()
            .any(|record| format!("{record:?}") == told)
    );
    assert_eq!(rig.vitals.panics(), 1);
    // What was at the worker is still answered, and the next press is heard.
    rig.answer(&said(1, "on"));
    assert_eq!(rig.outcomes().len(), 1);
    rig.press(false);
    rig.pass(100);
    rig.press(true);
    assert_eq!(rig.commands()[0].control, Control::TalkStart);
}

#[test]
fn panic_after_an_utterance_was_taken_costs_neither_outcome_nor_slot() {
    for (sent, left) in [(0, Some(4)), (1, None)] {
        let mut rig = Rig::ready();
        rig.event(opened(1));
        // As if the turn had panicked with it in its hands, before or after its slot was free.
        rig.main_loop.in_hand = Some(crate::main_loop::panics::InHand {
            id: 1,
            trigger: Trigger::Ptt,
            slot: (sent == 0).then_some(4),
        });
        rig.leds[1].panic(true);
        rig.mute.panic(true);
        assert_eq!(turn(&mut rig), None);
        rig.leds[1].panic(false);
        rig.mute.panic(false);
        rig.turn();
        let internal = OutcomeResult::Dropped(DropReason::Internal);
        assert_eq!(rig.recorded(), [(1, internal)]);
        assert_eq!(rig.free.dequeue(), left);
        assert!(rig.main_loop.in_hand.is_none());
    }
}

/// A turn that panics in a pin.
fn panic_once(rig: &mut Rig) {
    rig.mute.panic(true); // An edge.
    assert_eq!(turn(rig), None);
    rig.mute.panic(false);
    rig.turn();
}

#[test]
fn panic_that_loses_an_answer_costs_the_worker_and_no_utterance() {
    let mut rig = Rig::ready();
    rig.utter(1, 3);
    rig.errands();
    // As if the turn had panicked while the answer was taken.
    rig.main_loop.recogniser.forget_sent();
    panic_once(&mut rig);
    assert_eq!(rig.errands(), [("end worker", 0), ("start worker", 0)]);
    rig.start_worker();
    rig.answer(&READY);
    rig.answer(&said(2, "on"));
    assert_eq!(rig.outcomes().len(), 1);
    assert_eq!(rig.free.dequeue(), Some(3));
}

#[test]
fn panic_with_a_chunk_in_hand_gives_it_back_to_be_done_again() {
    let internal = OutcomeResult::Dropped(DropReason::Internal);
    let JobNews::Chunk(taken) = chunk() else {
        panic!("it is a chunk");
    };
    let mut rig = Rig::ready();
    // As if the turn had panicked with it just out of the queue.
    rig.main_loop.files.chunk = Some(taken);
    panic_once(&mut rig);
    let back = Some((internal, String::new(), taken.start));
    assert_eq!(result(&mut rig), back);
    panic_once(&mut rig);
    assert_eq!(result(&mut rig), None);
    // One at the worker stays there.
    rig.job(chunk());
    panic_once(&mut rig);
    assert_eq!(result(&mut rig), None);
    rig.answer(&said(1, "chapter one"));
    assert_eq!(result(&mut rig).unwrap().1, "chapter one");
}

#[test]
fn eighth_panic_ends_the_program_and_every_utterance_has_its_outcome() {
    let mut rig = Rig::ready();
    rig.utter(1, 0);
    for count in 1..MAIN_LOOP_PANICS_MAX {
        rig.mute.panic(true); // An edge.
        assert_eq!(turn(&mut rig), None);
        assert_eq!(rig.vitals.panics(), count);
    }
    rig.mute.panic(true);
    rig.time.flow(true);
    let end = rig.main_loop.run();
    alloc_guard::unseal();
    rig.time.flow(false);
    rig.collect();
    assert_eq!(end, End::Panicked);
    assert_eq!(rig.vitals.panics(), MAIN_LOOP_PANICS_MAX);
    let shutdown = OutcomeResult::Dropped(DropReason::Shutdown);
    assert_eq!(rig.recorded(), [(1, shutdown)]);
}
