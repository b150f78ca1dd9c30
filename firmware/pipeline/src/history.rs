//! The last two seconds of audio, always live in memory.
//!
//! Blocks in, any range of the last [`HISTORY_SAMPLES`] out: that is how a press keeps the audio
//! from before it. Runs on listen. It never reaches a disk, and mute zeroes it.

use crate::limits::{BLOCK_SAMPLES, HISTORY_SAMPLES};
use crate::time::SampleTime;

/// A ring of the newest samples, addressed by sample time.
///
/// Memory: 64,000 bytes. Samples from before the start of the stream read as silence.
#[derive(Debug)]
pub struct History {
    samples: [i16; HISTORY_SAMPLES],
    end: SampleTime,
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

impl History {
    /// Makes an empty history that ends at sample time 0.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            samples: [0; HISTORY_SAMPLES],
            end: 0,
        }
    }

    /// Returns the sample time just after the newest sample.
    #[must_use]
    pub const fn end(&self) -> SampleTime {
        self.end
    }

    /// Returns the oldest sample time that is still there.
    #[must_use]
    pub const fn start(&self) -> SampleTime {
        self.end.saturating_sub(HISTORY_SAMPLES as u64)
    }

    /// Appends one block. Its start must be the end of what is there.
    ///
    /// # Panics
    /// When the block does not continue the stream: gaps are filled with [`History::silence`]
    /// first.
    pub fn push(&mut self, start: SampleTime, block: &[i16; BLOCK_SAMPLES]) {
        assert!(start == self.end);
        for (offset, &sample) in block.iter().enumerate() {
            self.samples[index(start + offset as u64)] = sample;
        }
        self.end += BLOCK_SAMPLES as u64;
    }

    /// Appends silence up to sample time `until`, as for a gap.
    pub fn silence(&mut self, until: SampleTime) {
        let from = self.end.max(until.saturating_sub(HISTORY_SAMPLES as u64));
        for time in from..until {
            self.samples[index(time)] = 0;
        }
        self.end = self.end.max(until);
    }

    /// Copies the samples from `start` on into `out`.
    ///
    /// # Panics
    /// When the range is not in the history any more, or not yet.
    pub fn copy(&self, start: SampleTime, out: &mut [i16]) {
        assert!(self.start() <= start);
        assert!(start + out.len() as u64 <= self.end);
        for (offset, sample) in out.iter_mut().enumerate() {
            *sample = self.samples[index(start + offset as u64)];
        }
    }

    /// Zeroes every sample; the time goes on.
    pub fn wipe(&mut self) {
        self.samples.fill(0);
    }
}

/// Returns the place of a sample time in the ring.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the remainder is below HISTORY_SAMPLES"
)]
const fn index(time: SampleTime) -> usize {
    (time % HISTORY_SAMPLES as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(first: i16) -> [i16; BLOCK_SAMPLES] {
        core::array::from_fn(|i| first + i16::try_from(i).unwrap())
    }

    #[test]
    fn range_across_the_end_of_the_ring_is_whole() {
        let mut history = History::new();
        let blocks = HISTORY_SAMPLES / BLOCK_SAMPLES + 3;
        for n in 0..blocks {
            history.push(
                (n * BLOCK_SAMPLES) as u64,
                &block(i16::try_from(n).unwrap()),
            );
        }
        let mut out = [0; 4];
        let start = history.end() - 2 * BLOCK_SAMPLES as u64 - 2;
        history.copy(start, &mut out);
        let before = i16::try_from(blocks - 3).unwrap();
        assert_eq!(out, [before + 254, before + 255, before + 1, before + 2]);
    }

    #[test]
    fn gap_longer_than_the_ring_is_all_silence() {
        let mut history = History::new();
        history.push(0, &block(1));
        history.silence(10 * HISTORY_SAMPLES as u64);
        let mut out = [1; 32];
        history.copy(history.start(), &mut out);
        assert_eq!(out, [0; 32]);
        assert_eq!(history.end(), 10 * HISTORY_SAMPLES as u64);
    }

    #[test]
    fn wiped_history_holds_no_sample() {
        let mut history = History::new();
        history.push(0, &block(5));
        history.wipe();
        let mut out = [1; BLOCK_SAMPLES];
        history.copy(0, &mut out);
        assert_eq!(out, [0; BLOCK_SAMPLES]);
    }
}
