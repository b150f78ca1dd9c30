//! Random traffic of an appliance, damaged on its way.
//!
//! A seed in, bytes of the line out. Half is a story, so that a receiver gets on: outcomes with
//! texts in parts, restarts, gaps, and repeats of what a receiver like ours still lacks. The rest
//! is any message, whole frames that are no message, and noise.

use core::fmt;
use std::collections::VecDeque;
use std::string::String;
use std::vec::Vec;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::reference::Mode;
use super::vectors::{Said, forged};
use crate::limits::{FRAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::strategies::device_messages;
use crate::text::{cut, name};
use crate::{
    Decoder, DeviceMessage, DropReason, Hello, Mark, OutcomeResult, Receiver, encode_device,
};

/// Outcomes that the appliance can send again.
const HISTORY: usize = 12;
/// Messages of any kind, in one run.
const POOL: usize = 400;

/// What went over the line, and what came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    frames: u64,
    damaged: u64,
    pub(super) outcomes: u64,
    gaps: u64,
    others: u64,
    bad: u64,
    acknowledgements: u64,
}

impl Counts {
    /// Takes in what a receiver said.
    pub(super) fn hear(&mut self, lines: &str) {
        for line in lines.lines() {
            *match line.split(' ').next().unwrap_or_default() {
                "outcome" => &mut self.outcomes,
                "gap" => &mut self.gaps,
                "bad" => &mut self.bad,
                "send" => &mut self.acknowledgements,
                _ => &mut self.others,
            } += 1;
        }
    }

    /// Everything happened often, so that the comparison means something.
    pub(super) fn expect_variety(&self) {
        let some = self.frames / 100;
        let least = self.outcomes.min(self.others).min(self.bad);
        assert!(
            some < least.min(self.acknowledgements).min(self.damaged),
            "{self}"
        );
        assert!(self.frames / 2_000 < self.gaps, "{self}");
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "frames={} damaged={} outcomes={} gaps={} others={} bad={} acknowledgements={}",
            self.frames,
            self.damaged,
            self.outcomes,
            self.gaps,
            self.others,
            self.bad,
            self.acknowledgements
        )
    }
}

/// Makes the bytes.
pub(super) struct Traffic {
    pub(super) counts: Counts,
    random: u64,
    runner: TestRunner,
    out: Vec<u8>,
    frames_left: usize,
    runs: u32,
    at: Mark,
    after: Mark,
    history: VecDeque<Said>,
    /// What a receiver like ours has so far.
    decoder: Decoder<DeviceMessage>,
    receiver: Receiver,
}

impl Traffic {
    pub(super) fn new(seed: u64) -> Self {
        let [low, high] = [seed.to_le_bytes(), (!seed).to_le_bytes()];
        let key: Vec<u8> = [low, high, low, high].concat();
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &key);
        Self {
            counts: Counts::default(),
            random: seed | 1,
            runner: TestRunner::new_with_rng(Config::default(), random),
            out: Vec::new(),
            frames_left: 0,
            runs: 0,
            at: Mark::default(),
            after: Mark::default(),
            history: VecDeque::new(),
            decoder: Decoder::new(),
            receiver: Receiver::new(),
        }
    }

    /// A number below `end`. SplitMix64, Source: Steele, Lea, Flood, OOPSLA 2014, figure 17.
    fn below(&mut self, end: usize) -> usize {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let end = u64::try_from(end).unwrap();
        usize::try_from((z ^ (z >> 31)) % end).unwrap()
    }

    fn small(&mut self, end: u32) -> u32 {
        u32::try_from(self.below(usize::try_from(end).unwrap())).unwrap()
    }

    /// How the next run begins: two of three acknowledge, the first one too.
    pub(super) fn mode(&mut self) -> Mode {
        self.runs += 1;
        if self.runs.is_multiple_of(3) {
            return Mode::Listen;
        }
        let (boot, next) = (self.small(1_000), self.small(200));
        Mode::Acknowledge(Mark { boot, next })
    }

    /// Returns the bytes of so many frames.
    pub(super) fn bytes(&mut self, mode: Mode, frames: usize) -> Vec<u8> {
        self.frames_left = frames;
        if let Mode::Acknowledge(mark) = mode {
            (self.at, self.after) = (mark, mark);
            self.receiver = Receiver::resume(mark);
        }
        self.history.clear();
        self.decoder = Decoder::new();
        let mut pool = Vec::new();
        for _ in 0..POOL {
            let tree = device_messages().new_tree(&mut self.runner).unwrap();
            pool.push(tree.current());
        }
        while 0 < self.frames_left {
            match self.below(10) {
                0..5 => self.story(mode),
                5..7 => {
                    let message = pool[self.below(POOL)].clone();
                    self.send(&message);
                }
                7..9 => {
                    let message = pool[self.below(POOL)].clone();
                    self.forge(&message);
                }
                _ => self.noise(),
            }
        }
        core::mem::take(&mut self.out)
    }

    fn story(&mut self, mode: Mode) {
        let mark = self.receiver.mark();
        let is_behind = mark != self.after && mode != Mode::Listen;
        match self.below(60) {
            0 => {
                self.at = Mark {
                    boot: self.at.boot.saturating_add(1 + self.small(3)),
                    next: 0,
                };
                self.hello();
            }
            1 => {
                let to = Mark {
                    next: self.at.next + 1 + self.small(4),
                    ..self.at
                };
                self.gap(self.after, to);
            }
            2 => {
                // It has lost its memory.
                let boot = self.at.boot / 2;
                self.gap(mark, Mark { boot, next: 0 });
                self.history.clear();
            }
            3..30 if is_behind => self.again(mark),
            _ => {
                let said = Said {
                    after: self.after,
                    at: self.at,
                    result: self.result(),
                };
                self.at.next += 1;
                self.after = self.at;
                self.say(&said, mode);
                self.history.push_back(said);
                if HISTORY < self.history.len() {
                    self.history.pop_front();
                }
            }
        }
    }

    fn hello(&mut self) {
        let hello = Hello {
            protocol: 1,
            version: [0, 1, 0],
            board: name("sim"),
            boot: self.at.boot,
            model: name("nano"),
        };
        self.send(&DeviceMessage::Hello(hello));
    }

    fn gap(&mut self, from: Mark, to: Mark) {
        (self.at, self.after) = (to, to);
        self.send(&DeviceMessage::Gap { from, to });
    }

    /// Sends again what the receiver lacks, or tells that it will not come.
    fn again(&mut self, mark: Mark) {
        let lacking = self.history.iter().position(|said| mark <= said.at);
        match lacking {
            Some(index) if self.history[index].after <= mark => {
                for index in index..self.history.len().min(index + 3) {
                    let said = self.history[index].clone();
                    self.say(&said, Mode::Acknowledge(mark));
                }
            }
            Some(index) => {
                let to = self.history[index].after;
                self.send(&DeviceMessage::Gap { from: mark, to });
            }
            None => {
                let to = self.after;
                self.send(&DeviceMessage::Gap { from: mark, to });
            }
        }
    }

    fn result(&mut self) -> Result<String, OutcomeResult> {
        if self.below(5) == 0 {
            return Err(OutcomeResult::Dropped(DropReason::Muted));
        }
        let length = match self.below(12) {
            0 => TEXT_BYTES_MAX,
            1..4 => self.below(TEXT_BYTES_MAX),
            _ => self.below(60),
        };
        let letters = ['a', 'z', ' ', '"', '\\', '\0', '\n', 'ä', '語', '😀'];
        let text: String = (0..length).map(|_| letters[self.below(10)]).collect();
        Ok(cut(&text, length).into())
    }

    fn say(&mut self, said: &Said, mode: Mode) {
        for message in said.messages(mode) {
            match self.below(24) {
                0 => {} // Lost.
                1 => (0..2).for_each(|_| self.send(&message)),
                _ => self.send(&message),
            }
        }
    }

    fn send(&mut self, message: &DeviceMessage) {
        let mut frame = [0; FRAME_BYTES_MAX];
        let count = encode_device(message, &mut frame).unwrap();
        self.put(&frame[..count]);
    }

    /// A frame that is whole, of bytes that are nearly a message.
    fn forge(&mut self, message: &DeviceMessage) {
        let mut payload = [0x10].to_vec();
        payload.extend(postcard::to_slice(message, &mut [0; 256]).unwrap().iter());
        for _ in 0..=self.below(3) {
            let at = self.below(payload.len());
            let byte = [
                0,
                1,
                2,
                0x7F,
                0x80,
                0xFF,
                u8::try_from(self.below(256)).unwrap(),
            ];
            let byte = byte[self.below(7)];
            match self.below(6) {
                0 => payload.truncate(at.max(1)),
                1 if payload.len() < 240 => payload.insert(at, byte),
                2 if payload.len() < 240 => payload.push(byte),
                3 => payload[at] ^= 1 << self.below(8),
                _ => payload[at] = byte,
            }
        }
        self.put(&forged(&payload));
    }

    fn noise(&mut self) {
        let length = if self.below(30) == 0 {
            300
        } else {
            self.below(20)
        };
        let noise: Vec<u8> = (0..length)
            .map(|_| u8::try_from(self.below(256)).unwrap() | u8::from(length == 300))
            .collect();
        self.put(&noise);
    }

    /// Puts a frame on the line, one of eight damaged.
    fn put(&mut self, frame: &[u8]) {
        let mut bytes = frame.to_vec();
        if self.below(8) == 0 && !bytes.is_empty() {
            self.counts.damaged += 1;
            let at = self.below(bytes.len());
            let byte = u8::try_from(self.below(256)).unwrap();
            match self.below(6) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                3 => bytes.truncate(at),
                4 => bytes[at] = 0,
                _ => bytes[at] ^= 1 << self.below(8),
            }
        }
        for message in self.decoder.push(&bytes).flatten() {
            self.receiver.push(&message);
        }
        self.out.extend_from_slice(&bytes);
        self.counts.frames += 1;
        self.frames_left = self.frames_left.saturating_sub(1);
    }
}
