//! Every way of a slot: from listen over the main loop and the worker back to listen.
//!
//! The real listener, the real rings, the real main loop with its arbiter, and a worker that the
//! test plays. Breadth first over all that can happen; states that differ in numbers only are one.
//! From each new state everything is let run out, and all slots must be listen's again, each once.
//! Which try of a request it is does not count here; the explorer of the arbiter knows.

use std::collections::{HashSet, VecDeque};

use pressel_pipeline::limits::{FILE_SLOT, SLOT_COUNT};
use pressel_pipeline::waiting::{SpeechSpan, Utterance};
use pressel_wire::{DropReason, HostMessage};

use super::rig::{READY, Rig, said};
use crate::config::Config;
use crate::jobs::JobNews;
use crate::listen::listener::Events;
use crate::listen::{Ears, Listener};
use crate::main_loop::*;
use crate::slots::{LiveSlots, SharedMemory, Slots as _};
use crate::stream::{Block, Command, Control, ListenEvent};
use crate::worker::Request;
use crate::worker::message::Fault;

/// Events that listen keeps back at most; more of them only repeat the same.
const HELD_BACK_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Press,
    /// The utterance ends, with speech in it or without.
    Release(bool),
    Discard,
    /// The main loop gets the next event of listen.
    Deliver,
    Chunk,
    Answer,
    /// The worker answers that it was cancelled.
    GiveWay,
    Die,
    Start,
    Cancel,
}

const STEPS: [Step; 11] = [
    Step::Press,
    Step::Release(true),
    Step::Release(false),
    Step::Discard,
    Step::Deliver,
    Step::Chunk,
    Step::Answer,
    Step::GiveWay,
    Step::Die,
    Step::Start,
    Step::Cancel,
];

struct World {
    rig: Rig,
    listener: Listener<LiveSlots<'static>>,
    at: u64,
    held_back: VecDeque<ListenEvent>,
    is_open: bool,
    /// The request at the worker: number, slot, cancelled.
    asked: Option<(u32, u8, bool)>,
    chunk: bool,
}

impl World {
    fn new() -> Self {
        let mut rig = Rig::ready();
        let free = core::mem::replace(&mut rig.free, crate::rings::fresh().1.free);
        let memory = SharedMemory::create().unwrap().writer().unwrap();
        let mut tuning = Config::default().tuning();
        (tuning.utterance.pre_roll, tuning.utterance.post_roll) = (0, 0);
        Self {
            rig,
            listener: Listener::new(tuning, Ears::by_level(), LiveSlots::new(memory, free)),
            at: 0,
            held_back: VecDeque::new(),
            is_open: false,
            asked: None,
            chunk: false,
        }
    }

    /// Listen obeys, and hears a block of speech or silence.
    fn listen(&mut self, control: Control, has_speech: bool) {
        let mut events = Events::new();
        let at = self.at;
        self.listener.obey(Command { at, control }, &mut events);
        let samples = [0; 256];
        self.listener
            .hear(&Block { start: at, samples }, &mut events);
        self.at += 256;
        for mut event in events {
            if let ListenEvent::Closed(closed) = &mut event {
                let (start, end) = (0, closed.samples.max(1));
                closed.speech = has_speech.then_some(SpeechSpan { start, end });
            }
            self.held_back.push_back(event);
        }
    }

    /// Reads what the worker was asked; the slots that it reads belong to it alone.
    fn look(&mut self) {
        if self.rig.main_loop.recogniser.poll_fd().fd < 0 {
            (self.rig.worker, self.asked) = (None, None);
            return;
        }
        for request in self.rig.asked() {
            match request {
                Request::Ahead { .. } | Request::Forget => {}
                Request::Recognise { id, part } => {
                    let slot = part.slot;
                    assert_eq!(self.asked, None);
                    assert!(!self.listens_own().contains(&slot), "slot {slot}");
                    assert!(slot < FILE_SLOT || self.chunk);
                    self.asked = Some((id, slot, false));
                }
                Request::Cancel { id } => {
                    let (number, slot, cancelled) = self.asked.unwrap();
                    assert_eq!((number, cancelled), (id, false));
                    self.asked = Some((number, slot, true));
                }
            }
        }
    }

    /// Slots that are listen's: free, being written, or in an event that is on its way.
    fn listens_own(&mut self) -> Vec<u8> {
        let mut own: Vec<u8> = self.listener.slots().kept().to_vec();
        own.extend(self.listener.slot_held());
        own.extend(self.held_back.iter().filter_map(|event| match event {
            ListenEvent::Closed(closed) => Some(closed.slot),
            _ => None,
        }));
        own
    }

    /// Whether the step can happen now.
    fn can(&self, step: Step) -> bool {
        let room = self.held_back.len() < HELD_BACK_MAX;
        match step {
            Step::Press => !self.is_open && room,
            Step::Release(_) | Step::Discard => self.is_open && room,
            Step::Deliver => !self.held_back.is_empty(),
            Step::Chunk => !self.chunk,
            Step::Answer => self.asked.is_some(),
            Step::GiveWay => self.asked.is_some_and(|(_, _, cancelled)| cancelled),
            Step::Die => self.rig.worker.is_some(),
            Step::Start => self.rig.worker.is_none(),
            Step::Cancel => true,
        }
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Press => self.listen(Control::TalkStart, false),
            Step::Release(has_speech) => self.listen(Control::TalkStop, has_speech),
            Step::Discard => self.listen(Control::Discard(DropReason::Cancelled), false),
            Step::Deliver => {
                let event = self.held_back.pop_front().unwrap();
                self.rig.event(event);
            }
            Step::Chunk => {
                self.chunk = true;
                self.rig.job(JobNews::Chunk(chunk()));
            }
            Step::Answer => {
                let (id, ..) = self.asked.take().unwrap();
                self.rig.answer(&said(id, "on"));
            }
            Step::GiveWay => {
                let (id, ..) = self.asked.take().unwrap();
                let fault = Fault::Cancelled;
                self.rig
                    .answer(&crate::worker::Answer::Failed { id, fault });
            }
            Step::Die => {
                self.rig.worker = None;
                self.rig.turn();
                self.rig.errands.clear();
            }
            Step::Start => {
                self.rig.start_worker();
                self.rig.answer(&READY);
            }
            Step::Cancel => self.rig.say(HostMessage::Cancel),
        }
        match step {
            Step::Press => self.is_open = true,
            Step::Release(_) | Step::Discard => self.is_open = false,
            _ => {}
        }
        self.look();
        self.take_results();
        self.rig.commands();
        self.rig.records.clear();
        self.rig.said.clear();
        self.check(step);
    }

    fn take_results(&mut self) {
        while let Ok(finished) = self.rig.jobs.done.try_recv() {
            assert_eq!(finished.outcome.trigger, Trigger::File);
            assert!(core::mem::take(&mut self.chunk), "a chunk ended twice");
        }
    }

    /// Each slot has one owner.
    fn check(&mut self, step: Step) {
        let own = self.listens_own();
        let different: HashSet<u8> = own.iter().copied().collect();
        assert_eq!(different.len(), own.len(), "{step:?}: {own:?}");
        let recogniser = &self.rig.main_loop.recogniser;
        let theirs = recogniser.waiting_count() + usize::from(recogniser.is_running());
        let in_ring = self.rig.main_loop.neighbours.ends.free.len();
        assert_eq!(own.len() + theirs + in_ring, SLOT_COUNT, "{step:?}");
        assert_eq!(recogniser.has_chunk(), self.chunk, "{step:?}");
    }

    /// All that tells two states apart, but for the numbers of utterances, requests and slots.
    fn key(&mut self) -> String {
        let kind = |event: &ListenEvent| match event {
            ListenEvent::Opened { .. } => 'o',
            ListenEvent::Closed(closed) if closed.speech.is_some() => 'c',
            ListenEvent::Closed(_) => 's',
            _ => 'l',
        };
        let held_back: String = self.held_back.iter().map(kind).collect();
        let holds = self.listener.slot_held().is_some();
        let asked = self
            .asked
            .map(|(_, slot, cancelled)| (slot == FILE_SLOT, cancelled));
        let main_loop = &self.rig.main_loop;
        format!(
            "{held_back} {} {holds} {asked:?} {} {} {} {} {} {}",
            self.is_open,
            self.chunk,
            main_loop.recogniser.waiting_count(),
            main_loop.open.is_some(),
            main_loop.neighbours.ends.free.len(),
            self.rig.worker.is_some(),
            main_loop.recogniser.is_left_off(),
        )
    }

    /// Lets everything run out: all slots are listen's then, and no chunk is left.
    fn run_out(&mut self) {
        if self.is_open {
            self.play(Step::Discard);
        }
        while self.can(Step::Deliver) {
            self.play(Step::Deliver);
        }
        // Deaths of long ago are forgotten, and the light of a fault is out.
        self.rig.pass(11 * 60_000);
        self.look();
        self.take_results();
        if self.can(Step::Start) {
            self.play(Step::Start);
        }
        for _ in 0..SLOT_COUNT + 2 {
            match self.asked {
                Some((_, _, true)) => self.play(Step::GiveWay),
                Some(_) => self.play(Step::Answer),
                None => {}
            }
        }
        assert!(!self.chunk && self.asked.is_none());
        self.listener.slots().wipe_free();
        let mut own = self.listens_own();
        own.sort_unstable();
        assert_eq!(own, (0..FILE_SLOT).collect::<Vec<_>>());
        self.rig.errands.clear();
        self.rig.records.clear();
        self.rig.said.clear();
    }
}

fn chunk() -> Utterance {
    Utterance {
        id: 1,
        slot: FILE_SLOT,
        trigger: Trigger::File,
        start: 0,
        samples: 16_000,
        speech: None,
        closed_at: 0,
        capture_ms: 0,
    }
}

#[test]
fn prove_model_slots() {
    // The short edition goes so many steps deep; the full one until nothing new is found.
    let steps_max = if crate::prove::is_full() { 64 } else { 9 };
    let mut world = World::new();
    world.run_out();
    let mut seen = HashSet::from([world.key()]);
    let mut todo: VecDeque<Vec<Step>> = VecDeque::from([Vec::new()]);
    let (mut transitions, mut deepest) = (0, 0);
    while let Some(path) = todo.pop_front() {
        for step in STEPS {
            for &before in &path {
                world.play(before);
            }
            if world.can(step) {
                world.play(step);
                transitions += 1;
                deepest = deepest.max(path.len() + 1);
                if seen.insert(world.key()) && path.len() + 1 < steps_max {
                    let mut further = path.clone();
                    further.push(step);
                    todo.push_back(further);
                }
            }
            world.run_out();
        }
    }
    let states = seen.len();
    let counts = format!("slots states={states} transitions={transitions} steps_max={deepest}");
    crate::prove::say("model", 0, &counts);
}
