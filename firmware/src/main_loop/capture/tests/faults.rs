//! The proof `microphone`: thousands of faults, and the sample time is true at the end.
//!
//! A seed in, a world that makes sound without an end, a microphone that fails in every way, the
//! real capture and the real listener. Each sample tells its own place in the world, so that what
//! listen writes into a slot can be compared with where it says that it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pressel_pipeline::time::millis;

use super::*;
use crate::config::Config;
use crate::listen::Ears;
use crate::listen::listener::{Events, Listener};
use crate::prove;
use crate::slots::{LiveSlots, SharedMemory, Slots as _};
use crate::stream::{ClosedUtterance, Command, Control, ListenEvent};

/// Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// The world's sound at a sample time: never 0, which is the silence of a gap.
fn sound(at: u64) -> i16 {
    i16::try_from(at % 30_000 + 1).unwrap()
}

/// A device that hears the world from the moment of its opening on.
struct Device {
    clock_ms: Arc<AtomicU64>,
    at: u64,
}

impl Device {
    fn open(clock_ms: &Arc<AtomicU64>) -> Self {
        Self {
            clock_ms: Arc::clone(clock_ms),
            at: samples(clock_ms.load(Ordering::Relaxed)),
        }
    }
}

impl Microphone for Device {
    fn poll_fds(&self, _: &mut [PollFd]) -> usize {
        0
    }
    fn read(&mut self, block: &mut [i16]) -> Result<bool, MicError> {
        let passed = samples(self.clock_ms.load(Ordering::Relaxed));
        if passed < self.at + block.len() as u64 {
            return Ok(false);
        }
        for sample in block {
            *sample = sound(self.at);
            self.at += 1;
        }
        Ok(true)
    }
    fn name(&self) -> &str {
        "world"
    }
}

#[derive(Default)]
struct Faults {
    overruns: u32,
    suspends: u32,
    losses: u32,
    refused: u32,
    utterances: u32,
    silent_samples: u64,
}

impl Faults {
    fn count(&self) -> u32 {
        self.overruns + self.suspends + self.losses
    }
}

/// Everything between the world and the utterances.
struct Room {
    random: Random,
    clock_ms: Arc<AtomicU64>,
    capture: Capture,
    ring: Ends,
    listener: Listener<LiveSlots<'static>>,
    free: Producer<'static, u8>,
    /// Where the open device will have heard its next block.
    block_at: u64,
    gaps: u64,
    blocks: u64,
    open: u32,
    faults: Faults,
}

impl Room {
    fn new(seed: u64) -> Self {
        let (main, listen) = crate::rings::fresh();
        let memory = SharedMemory::create().unwrap().writer().unwrap();
        let slots = LiveSlots::new(memory, listen.free);
        let tuning = Config::default().tuning();
        let clock_ms = Arc::new(AtomicU64::new(0));
        let mut room = Self {
            random: Random(seed),
            capture: Capture::new(Box::new(Device::open(&clock_ms))),
            clock_ms,
            ring: (main.blocks, listen.listening.blocks),
            listener: Listener::new(tuning, Ears::by_level(), slots),
            free: main.free,
            block_at: 0,
            gaps: 0,
            blocks: 0,
            open: 0,
            faults: Faults::default(),
        };
        // Sample time and clock are tied together by the first block.
        room.turn();
        room.capture.take(room.now());
        room.resume();
        room
    }

    fn now(&self) -> Millis {
        self.clock_ms.load(Ordering::Relaxed)
    }

    fn pass(&mut self, ms: u64) {
        self.clock_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// The main loop wakes with a block, sometimes many blocks late, and takes what is there.
    fn turn(&mut self) {
        let late_blocks = match self.random.below(200) {
            0 => self.random.below(300), // Longer than the ring.
            1..10 => self.random.below(40),
            _ => 0,
        };
        const BLOCK_MS: u64 = millis(BLOCK_SAMPLES as u64);
        let since_opened = self.now() - self.block_at;
        self.pass(BLOCK_MS - since_opened % BLOCK_MS + late_blocks * BLOCK_MS);
        let listen_is_late = self.random.below(8) == 0;
        loop {
            let now = self.now();
            let before = self.capture.sample_time();
            let (_, error) = self.capture.read(&mut self.ring.0, now);
            if !listen_is_late {
                self.listen();
            }
            match error {
                Some(MicError::Overrun { .. }) => self.faults.overruns += 1,
                Some(MicError::Suspended { .. }) => self.faults.suspends += 1,
                Some(MicError::Lost { .. }) => {
                    self.faults.losses += 1;
                    self.open_again();
                    break;
                }
                None if self.capture.sample_time() == before => break,
                None => {}
            }
        }
        self.listen();
    }

    /// The keeper closes the microphone and tries until one is there.
    fn open_again(&mut self) {
        assert!(self.capture.take(self.now()).is_some());
        loop {
            let wait_ms = self.capture.next_retry_ms();
            assert!((MICROPHONE_RETRY_MS.0..=MICROPHONE_RETRY_MS.1).contains(&wait_ms));
            let late_ms = self.random.below(30);
            self.pass(wait_ms + late_ms);
            if self.random.below(3) != 0 {
                break;
            }
            self.faults.refused += 1;
        }
        self.resume();
    }

    fn resume(&mut self) {
        let rates = FaultRates {
            overrun_per_mille: 60,
            suspend_per_mille: 40,
            lost_per_mille: 20,
        };
        let seed = u32::try_from(self.random.below(u64::from(u32::MAX))).unwrap();
        let device = FaultyMicrophone::new(Device::open(&self.clock_ms), rates, seed);
        self.block_at = self.now();
        self.capture.resume(Box::new(device), self.now());
    }

    /// Listen hears what is in the ring; now and then somebody presses or releases.
    fn listen(&mut self) {
        while let Some(block) = self.ring.1.dequeue() {
            self.blocks += 1;
            let mut events = Events::new();
            self.listener.hear(&block, &mut events);
            self.take(&events);
        }
        if self.random.below(40) == 0 {
            let control = match self.random.below(2) {
                0 => Control::TalkStart,
                _ => Control::TalkStop,
            };
            let at = self.capture.sample_time();
            let mut events = Events::new();
            self.listener.obey(Command { at, control }, &mut events);
            self.take(&events);
        }
    }

    fn take(&mut self, events: &[ListenEvent]) {
        for event in events {
            match event {
                ListenEvent::Gap(samples) => self.gaps += samples,
                ListenEvent::Opened { .. } => self.open += 1,
                ListenEvent::Lost(_) => self.open -= 1,
                ListenEvent::Closed(closed) => {
                    self.open -= 1;
                    self.check_slot(closed);
                    self.free.enqueue(closed.slot).unwrap();
                }
                _ => {}
            }
        }
        assert!(
            self.open <= 2,
            "at most the next one is open beside one that ends"
        );
    }

    /// Each sample of a slot is the world's of that time, or the silence of a gap.
    fn check_slot(&mut self, closed: &ClosedUtterance) {
        self.faults.utterances += 1;
        let memory = self.listener.slots().memory(closed.slot);
        for (at, &sample) in (closed.start..).zip(&memory[..closed.samples as usize]) {
            assert!(
                sample == 0 || sample == sound(at),
                "at={at} sample={sample}"
            );
            self.faults.silent_samples += u64::from(sample == 0);
        }
    }
}

#[test]
fn prove_microphone_faults_keep_the_sample_time_true() {
    let seed = prove::seed();
    let wanted = if prove::is_full() { 10_000 } else { 500 };
    let mut room = Room::new(seed);
    while room.faults.count() < wanted {
        room.turn();
    }
    // The last block is heard without a fault.
    while room.listener.heard() < room.capture.sample_time() {
        room.turn();
    }
    let passed = samples(room.now());
    let sample_time = room.capture.sample_time();
    assert_eq!(sample_time, passed, "seed={seed}");
    assert_eq!(room.listener.heard(), passed, "seed={seed}");
    assert_eq!(room.blocks * BLOCK_SAMPLES as u64 + room.gaps, passed);
    let Faults {
        overruns,
        suspends,
        losses,
        refused,
        utterances,
        silent_samples,
    } = room.faults;
    assert_eq!(overruns, room.capture.overruns());
    assert!(0 < utterances && 0 < silent_samples && 0 < refused);
    let counts = format!(
        "faults={} overruns={overruns} suspends={suspends} losses={losses} refused={refused} \
         dropped_blocks={} utterances={utterances} sample_time={sample_time} off_by=0",
        overruns + suspends + losses,
        room.capture.dropped_blocks()
    );
    prove::say("microphone", seed, &counts);
}
