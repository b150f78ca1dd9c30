//! Tests of the courier: each outcome is shown once, whether the appliance hears it or not.
//!
//! Messages in, the count of lines out.

use pressel_wire::{Delivered, OutcomeResult, Trigger};

use super::*;
use crate::cli::monitor::lines::Lines;
use crate::cli::monitor::model::tests::hello;
use crate::outcome::Finished;

/// A courier and what it shows.
struct Desk {
    courier: Courier,
    listener: Listener,
    lines: Lines<Vec<u8>>,
}

impl Desk {
    fn new() -> Self {
        Self {
            courier: Courier::new(),
            listener: Listener::default(),
            lines: Lines::new(true, Vec::new()),
        }
    }

    fn tell_unheard(&mut self) {
        let (listener, lines) = (&mut self.listener, &mut self.lines);
        self.courier.tell_unheard(listener, lines).unwrap();
    }

    /// Plays the messages and compares how many outcomes were shown.
    fn check(&mut self, messages: &[DeviceMessage], shown: u32) {
        for message in messages {
            let (listener, lines) = (&mut self.listener, &mut self.lines);
            self.courier.take(message, listener, lines).unwrap();
            self.tell_unheard();
        }
        assert_eq!(self.lines.outcomes(), shown);
    }
}

fn outcome(sequence: u32) -> Outcome {
    let mut outcome = Finished::bare(0, Trigger::Ptt, OutcomeResult::NoSpeech, 0).outcome;
    outcome.sequence = sequence;
    outcome
}

fn delivered(sequence: u32) -> DeviceMessage {
    let next = sequence;
    DeviceMessage::Delivered(Delivered {
        after: Mark { boot: 1, next },
        boot: 1,
        outcome: outcome(sequence),
    })
}

#[test]
fn outcome_that_comes_again_with_a_mark_is_shown_once() {
    let mut desk = Desk::new();
    desk.courier.receiver = Receiver::resume(Mark { boot: 1, next: 0 });
    desk.check(&[DeviceMessage::Outcome(outcome(0))], 0);
    desk.check(&[delivered(0), delivered(0), delivered(1)], 2);
    assert_eq!(desk.courier.wait(), None);
}

#[test]
fn appliance_that_does_not_hear_the_monitor_is_shown_all_the_same() {
    let mut desk = Desk::new();
    let plain = DeviceMessage::Outcome(outcome(0));
    desk.check(std::slice::from_ref(&plain), 0);
    desk.courier.unmarked_since -= UNHEARD_AFTER;
    desk.tell_unheard();
    // From now on at once.
    desk.check(&[plain], 2);
}

#[test]
fn outcome_that_was_told_as_unheard_is_not_shown_again_when_it_is_delivered() {
    let mut desk = Desk::new();
    desk.courier.receiver = Receiver::resume(Mark { boot: 1, next: 0 });
    let plain = |sequence| DeviceMessage::Outcome(outcome(sequence));
    // A slow line: the first two are told before the appliance has heard the monitor.
    desk.check(&[hello(1), plain(0), plain(1)], 0);
    desk.courier.unmarked_since -= UNHEARD_AFTER;
    desk.tell_unheard();
    desk.check(&[plain(2)], 3);
    desk.check(&[delivered(0), delivered(1), delivered(2)], 3);
    // What is new is shown, and each of those was acknowledged.
    desk.check(&[delivered(3)], 4);
    assert_eq!(desk.courier.receiver.mark(), Mark { boot: 1, next: 4 });
    assert!(desk.courier.told.is_empty());
}

#[test]
fn outcomes_of_another_start_are_not_taken_for_those_that_were_told() {
    for (told_in, is_greeted_again) in [(2, false), (1, true)] {
        let mut desk = Desk::new();
        desk.courier.receiver = Receiver::resume(Mark { boot: 1, next: 0 });
        desk.check(&[hello(told_in), DeviceMessage::Outcome(outcome(0))], 0);
        desk.courier.unmarked_since -= UNHEARD_AFTER;
        desk.tell_unheard();
        if is_greeted_again {
            desk.check(&[hello(2)], 1);
        }
        desk.check(&[delivered(0)], 2);
    }
}

#[test]
fn what_was_told_is_bounded_and_a_text_with_a_hole_comes_again() {
    let mut desk = Desk::new();
    desk.courier.is_unheard = true;
    let count = u32::try_from(TOLD_MAX).unwrap() + 9;
    for sequence in 0..count {
        desk.check(&[DeviceMessage::Outcome(outcome(sequence))], sequence + 1);
    }
    assert_eq!(desk.courier.told.len(), TOLD_MAX);
    let mut with_hole = outcome(count);
    with_hole.result = OutcomeResult::Text {
        bytes: 4,
        truncated: false,
    };
    desk.check(&[DeviceMessage::Outcome(with_hole)], count + 1);
    assert!(!desk.courier.told.contains(&known(&with_hole)));
}

#[test]
fn a_new_line_is_told_where_the_monitor_is() {
    let mut courier = Courier::new();
    let begin = Some(HostMessage::Acknowledge(Mark::default()));
    assert_eq!(courier.acknowledgement(), begin);
    assert_eq!(courier.acknowledgement(), None);
    courier.begin_line();
    assert_eq!(courier.acknowledgement(), begin);
    assert_eq!(courier.acknowledgement(), None);
}
