//! Tests of listen's thread, turn by turn, over rings that the test holds.
//!
//! The ear is scripted and panics where a test says so.

use heapless::spsc::{Consumer, Producer};
use pressel_models::{ModelError, Vad, vad};
use pressel_pipeline::ahead::Look;
use pressel_pipeline::limits::{BLOCK_SAMPLES, CONTROL_RING_COMMANDS, EVENT_RING_EVENTS};
use pressel_wire::{DropReason, Trigger};

use super::*;
use crate::config::Config;
use crate::listen::Ears;
use crate::rings;
use crate::slots::SharedMemory;
use crate::stream::{Block, Control, LostUtterance};

/// Hears silence, and panics at the frames of a list.
struct BrittleVad {
    heard: u32,
    panics_at: Vec<u32>,
}

impl Vad for BrittleVad {
    fn hear(&mut self, _frame: &[i16; vad::FRAME_SAMPLES]) -> Result<f32, ModelError> {
        let at = self.heard;
        self.heard += 1;
        if self.panics_at.contains(&at) {
            // Without the panic hook: no noise in the tests' output.
            std::panic::resume_unwind(Box::new("brittle"));
        }
        Ok(0.0)
    }
    fn reset(&mut self) {}
}

/// Listen's room and the main loop's ends.
struct Desk {
    room: Room,
    blocks: Producer<'static, Block>,
    commands: Producer<'static, Command>,
    events: Consumer<'static, ListenEvent>,
    heard: SampleTime,
}

impl Desk {
    fn new(panics_at: Vec<u32>) -> Self {
        let (main, listen) = rings::fresh();
        let memory = SharedMemory::create().unwrap().writer().unwrap();
        let ears = Ears::new(
            Box::new(BrittleVad {
                heard: 0,
                panics_at,
            }),
            None,
        );
        let config = Config::default();
        let room = Room {
            listener: Listener::new(config.tuning(), ears, LiveSlots::new(memory, listen.free)),
            ends: listen.listening,
            bells: Bells {
                listen: Bell::new().unwrap(),
                events: Bell::new().unwrap(),
            },
            stop: Arc::default(),
            next: None,
            events: Events::new(),
            sent: 0,
            ahead: None,
            sent_since: 0,
            panics: 0,
            vitals: Arc::default(),
        };
        Self {
            room,
            blocks: main.blocks,
            commands: main.commands,
            events: main.events,
            heard: 0,
        }
    }

    /// So many blocks more have arrived.
    fn blocks(&mut self, count: usize) {
        for _ in 0..count {
            let block = Block {
                start: self.heard,
                samples: [1; BLOCK_SAMPLES],
            };
            self.blocks.enqueue(block).unwrap();
            self.heard += BLOCK_SAMPLES as u64;
        }
    }

    fn command(&mut self, at: SampleTime, control: Control) {
        self.commands.enqueue(Command { at, control }).unwrap();
    }

    /// One turn; the bell was rung. Returns whether the thread goes on.
    fn turn(&mut self) -> bool {
        self.room.bells.listen.ring();
        self.room.turn_safely()
    }

    fn events(&mut self) -> Vec<ListenEvent> {
        core::iter::from_fn(|| self.events.dequeue()).collect()
    }
}

fn opened(id: u32, start: SampleTime) -> ListenEvent {
    ListenEvent::Opened {
        id,
        trigger: Trigger::Ptt,
        start,
    }
}

#[test]
fn command_is_obeyed_before_the_block_of_its_sample_time() {
    let mut desk = Desk::new(Vec::new());
    desk.blocks(100);
    desk.command(60 * 256, Control::TalkStart);
    desk.command(80 * 256, Control::TalkStop);
    assert!(desk.turn());
    let events = desk.events();
    let [open, ListenEvent::Closed(closed)] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(open, opened(1, 60 * 256 - 8_000));
    assert_eq!(closed.start + u64::from(closed.samples), 80 * 256 + 3_200);
    // Closed at the first block that has the whole post-roll, not at the end of the turn.
    assert_eq!(closed.closed_at, 93 * 256);
}

#[test]
fn command_whose_sample_never_comes_is_obeyed_when_no_block_is_left() {
    let mut desk = Desk::new(Vec::new());
    desk.blocks(40);
    // Blocks 40 to 49 found the ring full.
    desk.command(50 * 256, Control::TalkStart);
    desk.turn();
    let expected = [ListenEvent::Gap(10 * 256), opened(1, 50 * 256 - 8_000)];
    assert_eq!(desk.events(), expected);
}

#[test]
fn listen_that_is_behind_shows_that_it_moves() {
    let mut desk = Desk::new(Vec::new());
    let vitals = Arc::clone(&desk.room.vitals);
    desk.blocks(100);
    desk.turn();
    // One turn, and a sign of life for each block of it.
    assert!(100 < vitals.beats(Watched::Listen));
}

#[test]
fn places_that_were_overwritten_are_passed_over() {
    let mut desk = Desk::new(Vec::new());
    desk.blocks(4);
    for _ in 0..60 {
        desk.blocks.enqueue(Block::WIPE).unwrap();
    }
    desk.blocks(4);
    desk.turn();
    assert_eq!(
        (desk.room.listener.heard(), desk.events()),
        (8 * 256, Vec::new())
    );
    assert!(desk.blocks.is_empty());
}

#[test]
fn events_wait_for_room_and_none_is_lost() {
    let mut desk = Desk::new(Vec::new());
    let all = EVENT_RING_EVENTS / 2 + 8;
    let mut found = Vec::new();
    for _ in 0..all {
        // Each press opens and loses one utterance: two events.
        desk.command(desk.heard, Control::TalkStart);
        desk.command(desk.heard, Control::Discard(DropReason::Cancelled));
        desk.turn();
        if CONTROL_RING_COMMANDS <= desk.commands.len() + 2 {
            found.extend(desk.events());
        }
    }
    for _ in 0..4 {
        found.extend(desk.events());
        desk.turn();
    }
    found.extend(desk.events());
    assert_eq!(found.len(), 2 * all);
    for (index, pair) in found.chunks(2).enumerate() {
        let id = u32::try_from(index).unwrap() + 1;
        assert!(matches!(pair[0], ListenEvent::Opened { id: found, .. } if found == id));
        assert!(matches!(pair[1], ListenEvent::Lost(lost) if lost.id == id));
    }
}

#[test]
fn main_loop_is_woken_by_events_only() {
    let mut desk = Desk::new(Vec::new());
    let rung = |desk: &Desk| poll::wait(&mut [desk.room.bells.events.poll_fd()], 0) == Ok(1);
    desk.blocks(4);
    desk.turn();
    assert!(!rung(&desk));
    desk.command(desk.heard, Control::TalkStart);
    desk.turn();
    assert!(rung(&desk));
}

#[test]
fn panic_loses_the_open_utterance_and_the_thread_goes_on() {
    let mut desk = Desk::new(vec![10]);
    desk.blocks(4);
    desk.command(4 * 256, Control::TalkStart);
    desk.turn();
    assert_eq!(desk.events(), [opened(1, 0)]);
    desk.blocks(40);
    assert!(desk.turn());
    let panicked = ListenEvent::ThreadPanicked {
        count: 1,
        ended: false,
    };
    let events = desk.events();
    let [ListenEvent::Lost(lost), told] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (lost.id, lost.reason, told),
        (1, DropReason::Internal, panicked)
    );
    // The blocks that are left are heard at the next turn, and a press records again.
    desk.turn();
    assert_eq!(desk.room.listener.heard(), 44 * 256);
    desk.command(desk.heard, Control::TalkStart);
    desk.turn();
    assert!(matches!(
        desk.events()[..],
        [ListenEvent::Opened { id: 2, .. }]
    ));
}

#[test]
fn panic_takes_no_event_of_its_turn_along() {
    let mut desk = Desk::new(vec![10]);
    desk.command(0, Control::TalkStart);
    desk.blocks(21);
    desk.turn();
    assert_eq!(desk.events(), [opened(1, 0)]);
    // Frame 10 ends with block 21: the command of the same turn is obeyed before it.
    desk.command(21 * 256, Control::Discard(DropReason::Cancelled));
    desk.blocks(1);
    desk.turn();
    let lost = LostUtterance {
        id: 1,
        trigger: Trigger::Ptt,
        start: 0,
        samples: 21 * 256,
        reason: DropReason::Cancelled,
    };
    let panicked = ListenEvent::ThreadPanicked {
        count: 1,
        ended: false,
    };
    assert_eq!(desk.events(), [ListenEvent::Lost(lost), panicked]);
}

/// What is told of utterance 1, so many samples of it.
fn ahead(samples: u32) -> Ahead {
    let look = Look {
        start: 0,
        samples,
        is_guess: false,
    };
    Ahead {
        utterance: 1,
        slot: 0,
        look,
    }
}

#[test]
fn one_look_ahead_is_in_the_ring_and_the_newest_waits() {
    let mut desk = Desk::new(Vec::new());
    desk.command(0, Control::TalkStart);
    desk.blocks(1);
    desk.turn();
    for samples in 1..=5 {
        desk.room.ahead = Some(ahead(samples));
        desk.turn();
    }
    let opened = opened(1, 0);
    assert_eq!(desk.events(), [opened, ListenEvent::Ahead(ahead(1))]);
    desk.turn();
    assert_eq!(desk.events(), [ListenEvent::Ahead(ahead(5))]);
    // Nothing of an utterance that is over.
    for samples in 6..=7 {
        desk.room.ahead = Some(ahead(samples));
        desk.turn();
    }
    desk.command(256, Control::Discard(DropReason::Cancelled));
    desk.turn();
    let events = desk.events();
    assert_eq!(events[0], ListenEvent::Ahead(ahead(6)));
    assert!(matches!(events[1..], [ListenEvent::Lost(_)]));
    desk.turn();
    assert_eq!(desk.events(), []);
}

#[test]
fn last_panic_ends_the_thread_and_says_so() {
    let mut desk = Desk::new((0..100).collect());
    for count in 1..=LISTEN_PANICS_MAX {
        desk.blocks(2);
        let ended = count == LISTEN_PANICS_MAX;
        assert_eq!(desk.turn(), !ended);
        assert_eq!(
            desk.events(),
            [ListenEvent::ThreadPanicked { count, ended }]
        );
    }
}

#[test]
fn thread_hears_what_comes_and_ends_when_it_is_asked() {
    let desk = Desk::new(Vec::new());
    let (room, mut blocks, mut commands, mut events) =
        (desk.room, desk.blocks, desk.commands, desk.events);
    let bells = room.bells.clone();
    // No machine has this core: the thread runs all the same.
    let cores = vec![100_000];
    let vitals = Arc::clone(&room.vitals);
    let ends = room.ends;
    let thread = ListenThread::start(room.listener, ends, bells.clone(), cores, vitals).unwrap();
    let silence = Block {
        start: 0,
        samples: [0; BLOCK_SAMPLES],
    };
    blocks.enqueue(silence).unwrap();
    let start = Command {
        at: 256,
        control: Control::TalkStart,
    };
    commands.enqueue(start).unwrap();
    bells.listen.ring();
    assert_eq!(poll::wait(&mut [bells.events.poll_fd()], 30_000), Ok(1));
    assert_eq!(events.dequeue(), Some(opened(1, 0)));
    thread.finish();
}
