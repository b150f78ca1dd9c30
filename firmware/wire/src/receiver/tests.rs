//! Tests of the receiver, against an appliance of few lines that may restart at any point.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::text::transcript_parts;
use crate::{CONFIDENCE_UNKNOWN, Hello, Timing, Trigger, text};

fn mark(boot: u32, next: u32) -> Mark {
    Mark { boot, next }
}

fn hello(boot: u32) -> DeviceMessage {
    DeviceMessage::Hello(Hello {
        protocol: 1,
        version: [0; 3],
        board: text::name("sim"),
        boot,
        model: text::name("nano"),
    })
}

fn outcome(sequence: u32, text: &str) -> Outcome {
    let bytes = u16::try_from(text.len()).unwrap();
    Outcome {
        sequence,
        utterance: sequence,
        trigger: Trigger::Ptt,
        result: OutcomeResult::Text {
            bytes,
            truncated: false,
        },
        confidence: CONFIDENCE_UNKNOWN,
        audio_ms: 0,
        timing: Timing::default(),
    }
}

/// Returns the messages that deliver one outcome.
fn messages(after: Mark, at: Mark, text: &str) -> Vec<DeviceMessage> {
    let parts = transcript_parts(0, text).map(|part| {
        DeviceMessage::Part(Part {
            boot: at.boot,
            sequence: at.next,
            part: part.part,
            parts: part.parts,
            text: part.text,
        })
    });
    let mut messages: Vec<_> = parts.collect();
    messages.push(DeviceMessage::Delivered(Delivered {
        after,
        boot: at.boot,
        outcome: outcome(at.next, text),
    }));
    messages
}

/// Plays the messages and compares what comes out, the mark, and the acknowledgement.
fn check(receiver: &mut Receiver, messages: &[DeviceMessage], said: &[&str], end: Mark, due: bool) {
    let mut heard = Vec::new();
    for message in messages {
        match receiver.push(message) {
            Some(Received::Outcome { text, .. }) => heard.push(text.to_string()),
            Some(Received::Gap { from, to }) => heard.push(format!("gap {from:?} {to:?}")),
            None => {}
        }
    }
    assert_eq!(heard, said);
    assert_eq!(receiver.mark(), end);
    let acknowledgement = due.then_some(HostMessage::Acknowledge(end));
    assert_eq!(receiver.acknowledgement(), acknowledgement);
}

#[test]
fn new_receiver_says_that_it_has_nothing() {
    check(&mut Receiver::new(), &[], &[], mark(0, 0), true);
}

#[test]
fn outcome_comes_once_and_its_repeat_is_acknowledged_again() {
    let mut receiver = Receiver::resume(mark(5, 2));
    let next = messages(mark(5, 2), mark(5, 2), "stop");
    check(&mut receiver, &next, &["stop"], mark(5, 3), true);
    check(&mut receiver, &next, &[], mark(5, 3), true);
}

#[test]
fn outcome_behind_a_loss_is_left_out_and_asked_for_once() {
    let mut receiver = Receiver::resume(mark(5, 2));
    receiver.acknowledgement();
    let later = messages(mark(5, 3), mark(5, 3), "later");
    check(&mut receiver, &later, &[], mark(5, 2), true);
    check(&mut receiver, &later, &[], mark(5, 2), false);
}

#[test]
fn text_with_a_lost_part_does_not_count() {
    let mut receiver = Receiver::resume(mark(5, 2));
    let long = "x".repeat(500);
    let mut some = messages(mark(5, 2), mark(5, 2), &long);
    some.remove(1);
    check(&mut receiver, &some, &[], mark(5, 2), true);
    let all = messages(mark(5, 2), mark(5, 2), &long);
    check(&mut receiver, &all, &[&long], mark(5, 3), true);
}

#[test]
fn parts_of_two_starts_are_never_joined() {
    let mut receiver = Receiver::resume(mark(5, 0));
    let long = "x".repeat(300);
    let old = messages(mark(5, 0), mark(5, 0), &long);
    let new = messages(mark(5, 0), mark(6, 0), &long);
    let mixed = [old[0].clone(), new[1].clone(), new[2].clone()];
    check(&mut receiver, &mixed, &[], mark(5, 0), true);
}

#[test]
fn gaps_are_told_once() {
    let mut receiver = Receiver::resume(mark(5, 2));
    let gap = DeviceMessage::Gap {
        from: mark(5, 2),
        to: mark(7, 0),
    };
    let told = format!("gap {:?} {:?}", mark(5, 2), mark(7, 0));
    check(
        &mut receiver,
        std::slice::from_ref(&gap),
        &[&told],
        mark(7, 0),
        true,
    );
    check(&mut receiver, &[gap], &[], mark(7, 0), true);
}

#[test]
fn appliance_that_has_forgotten_sets_the_mark_back() {
    let mut receiver = Receiver::resume(mark(900, 2));
    let back = DeviceMessage::Gap {
        from: mark(900, 2),
        to: mark(1, 0),
    };
    let told = format!("gap {:?} {:?}", mark(900, 2), mark(1, 0));
    check(&mut receiver, &[back], &[&told], mark(1, 0), true);
    let next = messages(mark(1, 0), mark(1, 0), "go");
    check(&mut receiver, &next, &["go"], mark(1, 1), true);
}

#[test]
fn greeting_and_plain_outcomes_are_answered() {
    let mut receiver = Receiver::resume(mark(5, 2));
    receiver.acknowledgement();
    check(&mut receiver, &[hello(6)], &[], mark(5, 2), true);
    let plain = DeviceMessage::Outcome(outcome(0, ""));
    check(&mut receiver, &[plain], &[], mark(5, 2), true);
}

/// What may happen next.
#[derive(Clone, Debug)]
enum Event {
    Speak(String),
    /// The appliance sends its next outcome; bits say which of its frames are lost.
    Send(u8),
    /// The receiver acknowledges, and the frame may be lost.
    Acknowledge(bool),
    /// The appliance sends again what is not acknowledged.
    Retry,
    RestartAppliance,
    RestartReceiver,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => "[a-z ]{0,400}".prop_map(Event::Speak),
        6 => prop_oneof![Just(0), any::<u8>()].prop_map(Event::Send),
        4 => any::<bool>().prop_map(Event::Acknowledge),
        1 => Just(Event::Retry),
        1 => Just(Event::RestartAppliance),
        1 => Just(Event::RestartReceiver),
    ]
}

/// An appliance that keeps everything.
struct Appliance {
    said: Vec<(Mark, String)>,
    boot: u32,
    sequence: u32,
    acknowledged: Mark,
    cursor: Mark,
}

impl Appliance {
    fn next(&self) -> Option<(Mark, Vec<DeviceMessage>)> {
        let (at, text) = self.said.iter().find(|(at, _)| self.cursor <= *at)?;
        Some((mark(at.boot, at.next + 1), messages(self.cursor, *at, text)))
    }
}

struct World {
    appliance: Appliance,
    receiver: Receiver,
    kept: Mark,
    heard: Vec<String>,
}

impl World {
    fn take(&mut self, message: &DeviceMessage) {
        if let Some(Received::Outcome { text, .. }) = self.receiver.push(message) {
            self.heard.push(text.into());
            self.kept = self.receiver.mark(); // kept together with what was heard
        }
    }

    fn play(&mut self, event: Event) {
        let appliance = &mut self.appliance;
        match event {
            Event::Speak(text) => {
                appliance
                    .said
                    .push((mark(appliance.boot, appliance.sequence), text));
                appliance.sequence += 1;
            }
            Event::Send(lost) => {
                if let Some((end, messages)) = appliance.next() {
                    appliance.cursor = end;
                    for (index, message) in messages.iter().enumerate() {
                        if lost & (1 << index) == 0 {
                            self.take(message);
                        }
                    }
                }
            }
            Event::Acknowledge(arrives) => {
                if let Some(HostMessage::Acknowledge(mark)) = self.receiver.acknowledgement()
                    && arrives
                {
                    appliance.acknowledged = appliance.acknowledged.max(mark);
                    appliance.cursor = appliance.cursor.max(mark);
                }
            }
            Event::Retry => appliance.cursor = appliance.acknowledged,
            Event::RestartAppliance => {
                appliance.boot += 1;
                appliance.sequence = 0;
                appliance.cursor = appliance.acknowledged;
                let hello = hello(appliance.boot);
                self.take(&hello);
            }
            Event::RestartReceiver => self.receiver = Receiver::resume(self.kept),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_outcome_comes_once_and_in_order(
        events in proptest::collection::vec(events(), 0..120)
    ) {
        let appliance = Appliance {
            said: Vec::new(),
            boot: 1,
            sequence: 0,
            acknowledged: Mark::default(),
            cursor: Mark::default(),
        };
        let (receiver, kept) = (Receiver::new(), Mark::default());
        let mut world = World { appliance, receiver, kept, heard: Vec::new() };
        for event in events {
            world.play(event);
            let said = world.appliance.said.iter().map(|(_, text)| text);
            prop_assert!(world.heard.iter().zip(said).all(|(heard, said)| heard == said));
        }
        world.play(Event::Retry);
        while world.appliance.next().is_some() {
            world.play(Event::Send(0));
        }
        let said: Vec<_> = world.appliance.said.into_iter().map(|(_, text)| text).collect();
        prop_assert_eq!(world.heard, said);
    }

    #[test]
    fn any_messages_are_survived(
        messages in proptest::collection::vec(crate::strategies::device_messages(), 0..40)
    ) {
        let mut receiver = Receiver::new();
        for message in &messages {
            let before = receiver.mark();
            let set_back = match receiver.push(message) {
                Some(Received::Gap { from, to }) => to < from,
                _ => false,
            };
            prop_assert!(set_back || before <= receiver.mark());
        }
    }
}
