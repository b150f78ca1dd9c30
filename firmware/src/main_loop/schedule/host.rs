//! The host of the schedule: a real receiver at the end of a line that comes and goes.
//!
//! Bytes of the serial line in, acknowledgements and presses out, and all that the receiver had from
//! the first life to the last. Compiled for tests only.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use pressel_hal::sim::MemoryPeer;
use pressel_wire::limits::FRAME_BYTES_MAX;
use pressel_wire::{
    Decoder, DeviceMessage, HostMessage, Mark, OutcomeResult, Received, Receiver, encode_host,
};

use super::air::Dice;

/// An outcome, as the appliance made it or as the host had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spoken {
    pub(super) utterance: u32,
    pub(super) result: OutcomeResult,
    pub(super) text: String,
}

/// The host.
pub(super) struct Host {
    pub(super) peer: Option<MemoryPeer>,
    frames: Decoder<DeviceMessage>,
    receiver: Receiver,
    /// What it had, in order.
    pub(super) heard: Vec<(Mark, Spoken)>,
    /// Gaps that it was told.
    pub(super) gaps: Vec<(Mark, Mark)>,
    /// Percent of each job since it was at zero by right.
    progress: BTreeMap<u32, u8>,
    pub(super) noise: usize,
    pub(super) restarts: usize,
}

impl Host {
    pub(super) fn new() -> Self {
        Self {
            peer: None,
            frames: Decoder::new(),
            receiver: Receiver::new(),
            heard: Vec::new(),
            gaps: Vec::new(),
            progress: BTreeMap::new(),
            noise: 0,
            restarts: 0,
        }
    }

    pub(super) fn mark(&self) -> Mark {
        self.receiver.mark()
    }

    /// It starts anew with the mark that it kept.
    pub(super) fn restart(&mut self) {
        self.restarts += 1;
        self.receiver = Receiver::resume(self.receiver.mark());
        self.frames = Decoder::new();
    }

    /// A new life of the appliance is at the other end.
    pub(super) fn meet(&mut self, peer: MemoryPeer) {
        self.progress.clear();
        self.plug(peer);
    }

    pub(super) fn plug(&mut self, peer: MemoryPeer) {
        self.peer = Some(peer);
        self.frames = Decoder::new();
    }

    pub(super) fn say(&mut self, message: &HostMessage) {
        let mut bytes = [0; FRAME_BYTES_MAX];
        let count = encode_host(message, &mut bytes).unwrap();
        if let Some(peer) = &mut self.peer {
            // A line that is full or gone takes nothing.
            peer.stream.write_all(&bytes[..count]).ok();
        }
    }

    /// Reads what is there and answers it.
    pub(super) fn turn(&mut self, dice: &mut Dice, calm: bool) {
        let mut bytes = [0; 4_096];
        while let Some(peer) = &mut self.peer {
            match peer.stream.read(&mut bytes) {
                Ok(0) => self.peer = None,
                Ok(count) => {
                    if !calm && dice.chance(5) {
                        self.noise += 1;
                        bytes[dice.below(count as u64) as usize] ^= 1 << dice.below(8);
                    }
                    self.take(&bytes[..count]);
                }
                Err(_) => break,
            }
        }
        if (calm || dice.chance(800))
            && let Some(message) = self.receiver.acknowledgement()
        {
            self.say(&message);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let messages: Vec<_> = self.frames.push(bytes).filter_map(Result::ok).collect();
        for message in messages {
            if let DeviceMessage::Job(job) = message {
                assert!(job.percent <= 100, "{job:?}");
                let before = self.progress.insert(job.number, job.percent);
                assert!(before.is_none_or(|before| before <= job.percent), "{job:?}");
            }
            let before = self.receiver.mark();
            match self.receiver.push(&message) {
                Some(Received::Outcome {
                    boot,
                    outcome,
                    text,
                }) => {
                    let mark = Mark {
                        boot,
                        next: outcome.sequence,
                    };
                    assert!(before <= mark, "{mark:?} after {before:?}");
                    let spoken = Spoken {
                        utterance: outcome.utterance,
                        result: outcome.result,
                        text: text.to_owned(),
                    };
                    self.heard.push((mark, spoken));
                }
                Some(Received::Gap { from, to }) => self.gaps.push((from, to)),
                None => {}
            }
        }
    }
}
