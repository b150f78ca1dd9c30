//! Capture: microphone to block ring, with every sample counted.
//!
//! Runs on the main loop. Sample time goes on over overruns, full rings and lost microphones, so
//! that it stays true to the wall clock.

use heapless::spsc::Producer;
use pressel_hal::{MicError, Microphone, PollFd};
use pressel_pipeline::limits::{
    BLOCK_RING_BLOCKS, BLOCK_SAMPLES, BLOCKS_PER_TURN_MAX, MICROPHONE_RETRY_MS,
};
use pressel_pipeline::time::{Millis, SampleTime, samples};

use crate::stream::Block;

/// The microphone and the sample count.
pub struct Capture {
    microphone: Option<Box<dyn Microphone>>,
    /// Sample time of the next sample.
    now: SampleTime,
    /// When the reading had caught up with the stream, in clock time, and the sample time then.
    caught_up: Option<(Millis, SampleTime)>,
    /// The same of a microphone that went away.
    gone: Option<(Millis, SampleTime)>,
    retry_ms: u64,
    wipe_left: usize,
    overruns: u32,
    lost_samples: u32,
    dropped_blocks: u32,
}

impl Capture {
    /// Starts with an open microphone at sample time 0.
    #[must_use]
    pub fn new(microphone: Box<dyn Microphone>) -> Self {
        Self {
            microphone: Some(microphone),
            now: 0,
            caught_up: None,
            gone: None,
            retry_ms: MICROPHONE_RETRY_MS.0,
            wipe_left: 0,
            overruns: 0,
            lost_samples: 0,
            dropped_blocks: 0,
        }
    }

    /// Returns the sample time of the next sample.
    #[must_use]
    pub fn sample_time(&self) -> SampleTime {
        self.now
    }

    /// Returns whether a microphone is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.microphone.is_some()
    }

    /// Returns overruns since start.
    #[must_use]
    pub fn overruns(&self) -> u32 {
        self.overruns
    }

    /// Returns samples lost in overruns since start.
    #[must_use]
    pub fn lost_samples(&self) -> u32 {
        self.lost_samples
    }

    /// Returns blocks that found the ring full since start.
    #[must_use]
    pub fn dropped_blocks(&self) -> u32 {
        self.dropped_blocks
    }

    /// Writes the descriptors to wait for and returns how many.
    pub fn poll_fds(&self, fds: &mut [PollFd]) -> usize {
        self.microphone
            .as_ref()
            .map_or(0, |microphone| microphone.poll_fds(fds))
    }

    /// Moves what has arrived until `now` into the ring. Returns whether listen has news, and the
    /// error that ended the reading, if one did.
    pub fn read(
        &mut self,
        ring: &mut Producer<'static, Block>,
        now: Millis,
    ) -> (bool, Option<MicError>) {
        let before = self.now;
        let mut news = self.wipe(ring);
        let Some(microphone) = &mut self.microphone else {
            return (news, None);
        };
        for _ in 0..BLOCKS_PER_TURN_MAX {
            let mut block = Block {
                start: self.now,
                samples: [0; BLOCK_SAMPLES],
            };
            match microphone.read(&mut block.samples) {
                Ok(false) => {
                    // The turn came with its last block: what was read ends now.
                    if before < self.now {
                        self.caught_up = Some((now, self.now));
                    }
                    break;
                }
                Ok(true) => {
                    self.retry_ms = MICROPHONE_RETRY_MS.0;
                    self.now += BLOCK_SAMPLES as u64;
                    if ring.enqueue(block).is_ok() {
                        news = true;
                    } else {
                        self.dropped_blocks = self.dropped_blocks.saturating_add(1);
                    }
                }
                Err(error) => {
                    self.count_lost(error);
                    return (news, Some(error));
                }
            }
        }
        (news, None)
    }

    /// Lets the sample time go on over what was not captured.
    fn count_lost(&mut self, error: MicError) {
        let lost_samples = match error {
            MicError::Overrun { lost_samples } => {
                self.overruns = self.overruns.saturating_add(1);
                lost_samples
            }
            MicError::Suspended { lost_samples } => lost_samples,
            // The gap is known when the microphone is back.
            MicError::Lost { .. } => 0,
        };
        self.lost_samples = self.lost_samples.saturating_add(lost_samples);
        self.now += u64::from(lost_samples);
    }

    /// Takes the microphone out, to be closed by the keeper.
    pub fn take(&mut self, now: Millis) -> Option<Box<dyn Microphone>> {
        let microphone = self.microphone.take()?;
        // What it had heard and not given yet is lost as well, and part of the gap.
        self.gone = Some(self.caught_up.unwrap_or((now, self.now)));
        Some(microphone)
    }

    /// Overwrites the whole ring during the next turns, so that muted audio is nowhere in it.
    pub fn wipe_ring(&mut self) {
        self.wipe_left = BLOCK_RING_BLOCKS + 1;
    }

    /// Returns whether the ring is still being overwritten.
    #[must_use]
    pub fn is_wiping(&self) -> bool {
        0 < self.wipe_left
    }

    /// Returns how long to wait before the next try to open; it doubles from try to try.
    pub fn next_retry_ms(&mut self) -> u64 {
        let wait = self.retry_ms;
        self.retry_ms = (wait * 2).min(MICROPHONE_RETRY_MS.1);
        wait
    }

    /// Goes on with a microphone that was opened again. The time without one becomes a gap.
    pub fn resume(&mut self, microphone: Box<dyn Microphone>, now: Millis) {
        if let Some((at, then)) = self.gone.take() {
            let passed = samples(now.saturating_sub(at));
            self.now = self.now.max(then + passed);
        }
        self.caught_up = Some((now, self.now));
        self.microphone = Some(microphone);
    }

    fn wipe(&mut self, ring: &mut Producer<'static, Block>) -> bool {
        let mut news = false;
        while 0 < self.wipe_left && ring.enqueue(Block::WIPE).is_ok() {
            self.wipe_left -= 1;
            news = true;
        }
        news
    }
}

#[cfg(test)]
mod tests;
