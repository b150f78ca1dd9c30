//! The static rings between the main loop and listen. Each exists once and is handed out once.
//!
//! Blocks and commands go one way, events the other; free slot numbers go back. The memory is
//! static: it exists before the first thread and is never freed.

use heapless::spsc::{Consumer, Producer, Queue};
use pressel_pipeline::limits::{BLOCK_RING_BLOCKS, CONTROL_RING_COMMANDS, EVENT_RING_EVENTS};
use static_cell::ConstStaticCell;

use crate::slots::FreeRing;
use crate::stream::{Block, Command, ListenEvent};

// A heapless queue holds one item less than its length.
static BLOCKS: ConstStaticCell<Queue<Block, { BLOCK_RING_BLOCKS + 1 }>> =
    ConstStaticCell::new(Queue::new());
static COMMANDS: ConstStaticCell<Queue<Command, { CONTROL_RING_COMMANDS + 1 }>> =
    ConstStaticCell::new(Queue::new());
static EVENTS: ConstStaticCell<Queue<ListenEvent, { EVENT_RING_EVENTS + 1 }>> =
    ConstStaticCell::new(Queue::new());
static FREE: ConstStaticCell<FreeRing> = ConstStaticCell::new(Queue::new());

/// The main loop's ends.
pub struct MainEnds {
    /// Audio to listen.
    pub blocks: Producer<'static, Block>,
    /// Commands to listen.
    pub commands: Producer<'static, Command>,
    /// Free slots to listen.
    pub free: Producer<'static, u8>,
    /// Events from listen.
    pub events: Consumer<'static, ListenEvent>,
}

/// What listen's thread itself reads and writes.
pub struct Listening {
    /// Audio from the main loop.
    pub blocks: Consumer<'static, Block>,
    /// Commands from the main loop.
    pub commands: Consumer<'static, Command>,
    /// Events to the main loop.
    pub events: Producer<'static, ListenEvent>,
}

/// Listen's ends.
pub struct ListenEnds {
    /// Blocks, commands and events.
    pub listening: Listening,
    /// Free slots from the main loop; they belong to the listener's slots.
    pub free: Consumer<'static, u8>,
}

/// Hands out both ends; `None` when that was done before in this process.
#[must_use]
pub fn claim() -> Option<(MainEnds, ListenEnds)> {
    Some(split(
        BLOCKS.try_take()?,
        COMMANDS.try_take()?,
        EVENTS.try_take()?,
        FREE.try_take()?,
    ))
}

/// Makes rings of a test's own, which live for as long as the tests do.
#[cfg(test)]
pub(crate) fn fresh() -> (MainEnds, ListenEnds) {
    fn leak<T>(queue: T) -> &'static mut T {
        Box::leak(Box::new(queue))
    }
    split(
        leak(Queue::new()),
        leak(Queue::new()),
        leak(Queue::new()),
        leak(Queue::new()),
    )
}

fn split(
    blocks: &'static mut Queue<Block, { BLOCK_RING_BLOCKS + 1 }>,
    commands: &'static mut Queue<Command, { CONTROL_RING_COMMANDS + 1 }>,
    events: &'static mut Queue<ListenEvent, { EVENT_RING_EVENTS + 1 }>,
    free: &'static mut FreeRing,
) -> (MainEnds, ListenEnds) {
    let (blocks_in, blocks_out) = blocks.split();
    let (commands_in, commands_out) = commands.split();
    let (events_in, events_out) = events.split();
    let (free_in, free_out) = free.split();
    let main = MainEnds {
        blocks: blocks_in,
        commands: commands_in,
        free: free_in,
        events: events_out,
    };
    let listening = Listening {
        blocks: blocks_out,
        commands: commands_out,
        events: events_in,
    };
    let listen = ListenEnds {
        listening,
        free: free_out,
    };
    (main, listen)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use pressel_pipeline::limits::{BLOCK_SAMPLES, SLOT_COUNT};

    use super::*;
    use crate::prove;
    use crate::stream::Control;

    /// Blocks that cross in the proof. Miri is a thousand times slower, and sees every race.
    fn rounds() -> u64 {
        match (cfg!(miri), prove::is_full()) {
            (true, _) => 400,
            (false, false) => 20_000,
            (false, true) => 2_000_000,
        }
    }

    fn block(number: u64) -> Block {
        let value = i16::try_from(number % 32_768).unwrap();
        Block {
            start: number,
            samples: [value; BLOCK_SAMPLES],
        }
    }

    fn command(number: u64) -> Command {
        Command {
            at: number,
            control: Control::TalkStart,
        }
    }

    fn slot(number: u64) -> u8 {
        u8::try_from(number % SLOT_COUNT as u64).unwrap()
    }

    /// The main loop's thread: puts everything in, and takes an event for each block.
    fn send(mut main: MainEnds, rounds: u64) {
        let mut events = 0;
        let mut hear = |main: &mut MainEnds| {
            match main.events.dequeue() {
                Some(event) => {
                    assert_eq!(event, ListenEvent::Gap(events));
                    events += 1;
                }
                None => thread::yield_now(),
            }
            events
        };
        for number in 0..rounds {
            while main.commands.enqueue(command(number)).is_err() {
                hear(&mut main);
            }
            while main.free.enqueue(slot(number)).is_err() {
                hear(&mut main);
            }
            while main.blocks.enqueue(block(number)).is_err() {
                hear(&mut main);
            }
        }
        while hear(&mut main) < rounds {}
    }

    /// Listen's thread: what belongs to a block is there before it.
    fn listen(mut ends: ListenEnds, rounds: u64) {
        let listening = &mut ends.listening;
        for number in 0..rounds {
            let heard = loop {
                match listening.blocks.dequeue() {
                    Some(heard) => break heard,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(heard, block(number));
            assert_eq!(listening.commands.dequeue(), Some(command(number)));
            assert_eq!(ends.free.dequeue(), Some(slot(number)));
            while listening.events.enqueue(ListenEvent::Gap(number)).is_err() {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn prove_model_rings_carry_everything_once_and_in_order() {
        let rounds = rounds();
        let (main, ends) = fresh();
        thread::scope(|scope| {
            scope.spawn(|| listen(ends, rounds));
            send(main, rounds);
        });
        prove::say(
            "model",
            0,
            &format!("rings blocks={rounds} events={rounds}"),
        );
    }

    #[test]
    fn rings_are_handed_out_once_and_hold_what_their_limits_say() {
        let (mut main, mut listen) = claim().unwrap();
        assert!(claim().is_none());
        let fit = (0..).take_while(|_| main.blocks.enqueue(Block::WIPE).is_ok());
        assert_eq!(fit.count(), BLOCK_RING_BLOCKS);
        let fit = (0..).take_while(|_| main.commands.enqueue(command(0)).is_ok());
        assert_eq!(fit.count(), CONTROL_RING_COMMANDS);
        let event = ListenEvent::Gap(1);
        let fit = (0..).take_while(|_| listen.listening.events.enqueue(event).is_ok());
        assert_eq!(fit.count(), EVENT_RING_EVENTS);
        let fit = (0..).take_while(|_| main.free.enqueue(0).is_ok());
        assert_eq!(fit.count(), SLOT_COUNT);
        assert_eq!(main.events.dequeue(), Some(event));
        assert_eq!(listen.free.dequeue(), Some(0));
    }
}
