//! The outbox with a real journal behind it and a real receiver in front of it.
//!
//! Frames are lost, and both ends restart, at any point: every outcome comes once and in order.

use pressel_wire::{
    Delivered, DeviceMessage, HostMessage, OutcomeResult, Part, Received, Receiver, Trigger,
    transcript_parts,
};
use proptest::prelude::*;

use pressel_pipeline::limits::{JOURNAL_OUTCOMES_MAX, JOURNAL_WAITING_MAX};

use super::*;
use crate::journal::sim_disk::{Fault, SimDisk, Tear};
use crate::journal::{Journal, Limits};

const NOTHING: Tear = Tear {
    operations: 0,
    bytes: 0,
    zeros: false,
};

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// So many outcomes.
    Speak(u8),
    /// The keeper makes durable what it has.
    Keep,
    /// The outbox sends what it can; bits say which frames are lost.
    Send(u64),
    /// The receiver acknowledges, if its frame arrives.
    Acknowledge(bool),
    /// Time passes.
    Wait(u64),
    /// The appliance loses its power.
    RestartAppliance,
    /// The receiver starts again from the mark that it kept.
    RestartReceiver,
    /// The line was lost and is open again.
    Reopen,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..4_u8).prop_map(Event::Speak),
        1 => (20..60_u8).prop_map(Event::Speak),
        4 => Just(Event::Keep),
        6 => prop_oneof![2 => Just(0), 1 => any::<u64>()].prop_map(Event::Send),
        6 => any::<bool>().prop_map(Event::Acknowledge),
        2 => (1..40_000_u64).prop_map(Event::Wait),
        1 => Just(Event::RestartAppliance),
        1 => Just(Event::RestartReceiver),
        1 => Just(Event::Reopen),
    ]
}

struct World {
    disk: SimDisk,
    journal: Journal<SimDisk>,
    outbox: Outbox,
    receiver: Receiver,
    kept: Mark,
    said: Vec<Mark>,
    durable: usize,
    heard: Vec<Mark>,
    gaps: Vec<(Mark, Mark)>,
    plain: Vec<u32>,
    now: Millis,
}

impl World {
    fn new(faults: &[(usize, Fault)]) -> Self {
        let disk = SimDisk::new(faults);
        let mut journal = Journal::new(disk.clone(), Limits::default());
        journal.start(0).ok();
        Self {
            outbox: Outbox::new(journal.epoch(), journal.acknowledged()),
            disk,
            journal,
            receiver: Receiver::new(),
            kept: Mark::default(),
            said: Vec::new(),
            durable: 0,
            heard: Vec::new(),
            gaps: Vec::new(),
            plain: Vec::new(),
            now: 0,
        }
    }

    fn speak(&mut self) {
        let result = OutcomeResult::Text {
            bytes: 4,
            truncated: false,
        };
        let mut finished = Finished::bare(0, Trigger::Ptt, result, self.now);
        finished.text = heapless::String::try_from("stop").unwrap();
        let mut outcome = finished.outcome;
        let text = finished.text.clone();
        let (sequence, _) = self.outbox.enter(finished);
        outcome.sequence = sequence;
        let epoch = self.journal.epoch();
        self.journal.outcome(Spoken {
            epoch,
            at_ms: 0,
            outcome,
            text,
        });
        self.said.push(Mark {
            boot: epoch,
            next: sequence,
        });
    }

    fn hear(&mut self, message: &DeviceMessage) {
        if let DeviceMessage::Outcome(outcome) = message {
            self.plain.push(outcome.sequence);
        }
        match self.receiver.push(message) {
            Some(Received::Outcome {
                boot,
                outcome,
                text,
            }) => {
                assert_eq!(text, "stop");
                self.heard.push(Mark {
                    boot,
                    next: outcome.sequence,
                });
                self.kept = self.receiver.mark();
            }
            Some(Received::Gap { from, to }) => {
                self.gaps.push((from, to));
                self.kept = self.receiver.mark();
            }
            None => {}
        }
    }

    fn send(&mut self, mut lost: u64) {
        for _ in 0..200 {
            let mut messages = Vec::new();
            match self.outbox.next(self.now) {
                Next::Nothing => return,
                Next::Plain(finished) => {
                    messages.push(DeviceMessage::Outcome(finished.outcome));
                    self.outbox.sent_plain();
                }
                Next::Delivered {
                    after,
                    boot,
                    outcome,
                    text,
                } => {
                    let outcome = *outcome;
                    messages.extend(transcript_parts(0, text).map(|part| {
                        DeviceMessage::Part(Part {
                            boot,
                            sequence: outcome.sequence,
                            part: part.part,
                            parts: part.parts,
                            text: part.text,
                        })
                    }));
                    let delivered = Delivered {
                        after,
                        boot,
                        outcome,
                    };
                    messages.push(DeviceMessage::Delivered(delivered));
                    self.outbox.sent_delivered(delivered.end(), self.now);
                }
                Next::Gap { from, to } => {
                    messages.push(DeviceMessage::Gap { from, to });
                    self.outbox.sent_gap(to, self.now);
                }
                Next::Fetch(mark) => {
                    self.outbox.asked();
                    let found = self.journal.next_after(mark);
                    self.outbox.take_found(mark, found);
                }
            }
            for message in messages {
                if lost & 1 == 0 {
                    self.hear(&message);
                }
                lost >>= 1;
            }
        }
        panic!("the outbox never ends");
    }

    fn acknowledge(&mut self, arrives: bool) {
        if let Some(HostMessage::Acknowledge(mark)) = self.receiver.acknowledgement()
            && arrives
            && let Some(mark) = self.outbox.acknowledge(mark, self.now)
        {
            self.journal.acknowledge(mark);
        }
    }

    fn greet(&mut self) {
        self.hear(&DeviceMessage::Hello(pressel_wire::Hello {
            protocol: 1,
            version: [0; 3],
            board: pressel_wire::text::name("sim"),
            boot: self.journal.epoch(),
            model: pressel_wire::text::name("nano"),
        }));
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::Speak(count) => {
                // The keeper is not that late.
                if JOURNAL_WAITING_MAX <= self.said.len() - self.durable + usize::from(count) {
                    self.play(Event::Keep);
                }
                (0..count).for_each(|_| self.speak());
            }
            Event::Keep => {
                if self.journal.work().is_ok() {
                    self.durable = self.said.len();
                }
            }
            Event::Send(lost) => self.send(lost),
            Event::Acknowledge(arrives) => self.acknowledge(arrives),
            Event::Wait(ms) => {
                self.now += ms;
                self.outbox.keep_time(true, self.now);
            }
            Event::RestartAppliance => {
                // What was neither durable nor heard is gone.
                self.said.truncate(self.durable.max(self.heard.len()));
                self.durable = self.said.len();
                self.disk = self.disk.restart(NOTHING, &[]);
                self.journal = Journal::new(self.disk.clone(), Limits::default());
                self.journal.start(0).unwrap();
                self.outbox = Outbox::new(self.journal.epoch(), self.journal.acknowledged());
                self.greet();
            }
            Event::RestartReceiver => self.receiver = Receiver::resume(self.kept),
            Event::Reopen => {
                self.outbox.send_again(self.now);
                self.greet();
            }
        }
    }

    /// Plays on without a loss until all is heard.
    fn settle(&mut self) {
        self.greet();
        for _ in 0..1_000 {
            self.play(Event::Acknowledge(true));
            self.play(Event::Send(0));
            if self.outbox.in_flight.is_empty() && self.outbox.acknowledges {
                return;
            }
            self.hear(&DeviceMessage::Counters(pressel_wire::Counters::default()));
            self.play(Event::Wait(DELIVERY_REPEAT_MS));
        }
        panic!("it never settles");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn every_outcome_is_heard_once_and_in_order(
        events in proptest::collection::vec(events(), 0..100)
    ) {
        let mut world = World::new(&[]);
        for event in events {
            world.play(event);
            prop_assert!(world.heard.len() <= world.said.len());
            prop_assert_eq!(&world.heard[..], &world.said[..world.heard.len()]);
        }
        world.settle();
        prop_assert_eq!(&world.heard, &world.said);
        prop_assert_eq!(&world.gaps, &[]);
    }

    #[test]
    fn without_a_disk_what_is_lost_is_told(
        events in proptest::collection::vec(events(), 0..100)
    ) {
        let faults: Vec<_> = (0..20_000).map(|at| (at, Fault::Error)).collect();
        let mut world = World::new(&faults);
        for event in events {
            if !matches!(event, Event::RestartAppliance) {
                world.play(event);
            }
        }
        world.settle();
        prop_assert!(world.heard.is_sorted_by(|one, two| one < two), "in order, and once");
        for said in &world.said {
            let is_told = world.gaps.iter().any(|(from, to)| from <= said && said < to);
            prop_assert!(world.heard.contains(said) != is_told, "{said:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn host_that_acknowledges_nonsense_is_survived(
        events in proptest::collection::vec((events(), 0..4_u32, 0..70_u32), 0..60)
    ) {
        let mut world = World::new(&[]);
        for (event, boot, next) in events {
            world.play(event);
            world.outbox.acknowledge(Mark { boot, next }, world.now);
            world.send(u64::MAX);
            let end = Mark {
                boot: world.journal.epoch(),
                next: world.outbox.sequence_next,
            };
            prop_assert!(world.outbox.acknowledged() <= end);
        }
    }
}

#[test]
fn host_that_only_listens_gets_each_outcome_once() {
    let mut world = World::new(&[]);
    for wait_ms in [0, 100_000, 100_000] {
        world.play(Event::Speak(5));
        world.play(Event::Send(0));
        world.play(Event::Wait(wait_ms));
        world.play(Event::Reopen);
        world.play(Event::Send(0));
    }
    assert_eq!(world.plain, (0..15).collect::<Vec<_>>());
    assert!(world.outbox.is_sent());
}

#[test]
fn absent_host_costs_sixteen_outcomes_and_five_sendings() {
    let mut world = World::new(&[]);
    world.play(Event::Acknowledge(true));
    assert!(world.outbox.acknowledges);
    let mut sent = 0;
    for _ in 0..1_000 {
        world.play(Event::Speak(1));
        world.play(Event::Keep);
        let before = world.outbox.in_flight.len();
        world.play(Event::Send(u64::MAX));
        sent += world.outbox.in_flight.len() - before;
        world.play(Event::Wait(60_000));
        assert!(world.outbox.kept.len() <= OUTCOMES_KEPT_MAX);
    }
    assert!(!world.outbox.acknowledges, "it counts as gone");
    assert!(sent <= 5 * DELIVERY_IN_FLIGHT_MAX, "sent={sent}");
    // A day later it is back, and has them all.
    world.receiver = Receiver::resume(world.kept);
    world.settle();
    assert_eq!(world.heard, world.said);
}

#[test]
fn host_whose_mark_is_from_another_journal_is_set_right() {
    let mut world = World::new(&[]);
    world.receiver = Receiver::resume(Mark { boot: 900, next: 3 });
    world.play(Event::Speak(2));
    world.settle();
    assert_eq!(world.heard, world.said);
    assert_eq!(world.gaps.len(), 1);
}

#[test]
fn numbers_of_the_contract_are_those_of_the_code() {
    let spec = include_str!("../../../wire/SPEC.md");
    let [first, second, third, fourth] = DELIVERY_RETRY_MS.map(|ms| ms / 1_000);
    for piece in [
        format!("At most {DELIVERY_IN_FLIGHT_MAX} outcomes are on their way"),
        format!("after {first} s, then {second}, {third} and {fourth} s"),
        format!("has no answer for {fourth} s"),
        format!("last {JOURNAL_OUTCOMES_MAX} outcomes"),
    ] {
        assert!(spec.contains(&piece), "SPEC.md does not say: {piece}");
    }
    assert_eq!(DELIVERY_REPEAT_MS, 1_000, "SPEC.md: at most once a second");
}

#[test]
fn outcomes_are_numbered_without_a_gap_and_the_oldest_unsent_one_is_given_up() {
    let mut outbox = Outbox::new(1, Mark::default());
    let kept = u32::try_from(OUTCOMES_KEPT_MAX).unwrap();
    for id in 0..kept + 2 {
        let finished = Finished::bare(id, Trigger::Ptt, OutcomeResult::NoSpeech, 1_000);
        assert_eq!(outbox.enter(finished), (id, kept <= id));
    }
    let Next::Plain(finished) = outbox.next(1_250) else {
        panic!("something waits")
    };
    assert_eq!(
        (finished.outcome.sequence, finished.outcome.utterance),
        (2, 2)
    );
    assert_eq!(finished.outcome.timing.link_ms, 250);
}
