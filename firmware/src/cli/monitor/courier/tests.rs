//! Tests of the courier: each outcome is shown once, whether the appliance hears it or not.
//!
//! Messages in, the count of lines out.

use pressel_wire::{Delivered, OutcomeResult, Trigger};

use super::*;
use crate::cli::monitor::lines::Lines;
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
fn a_new_line_is_told_where_the_monitor_is() {
    let mut courier = Courier::new();
    let begin = Some(HostMessage::Acknowledge(Mark::default()));
    assert_eq!(courier.acknowledgement(), begin);
    assert_eq!(courier.acknowledgement(), None);
    courier.begin_line();
    assert_eq!(courier.acknowledgement(), begin);
    assert_eq!(courier.acknowledgement(), None);
}
