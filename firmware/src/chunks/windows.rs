//! Windows: the next 30 s of a recording, from where the words of the last window ended.
//!
//! A recording in; one window in the caller's slot, out. Then [`Chunks::heard`] says how much of it
//! the model heard, and the next window begins there. Runs on the thread of the caller. What may
//! not happen: a recording that never ends, whatever the model says and however it is damaged.
//!
//! ```text
//!   begin ─▶ read up to 30 s ─▶ window ── heard ──▶ begin = where the last words ended,
//!               │    └── nothing but rest ─▶ empty chunk      a second later at least
//!               └── less than 100 ms ─▶ the end
//! ```

use pressel_pipeline::limits::{RATE_HZ, UTTERANCE_SAMPLES_MAX, WINDOW_TAIL_MIN};
use pressel_pipeline::waiting::SpeechSpan;

use super::{Chunk, Chunks, Cut};
use crate::audio_file::AudioFileError;
use crate::listen::Ears;
use crate::window::advance;

/// Samples read between two beats: 1 s.
const STEP: usize = RATE_HZ;

/// No sample of a window at rest is louder: 72 dB below full scale, too little to hold a word. The
/// model is not asked about it.
const REST: u16 = 8;

impl Chunks {
    /// Takes how many samples of the last window were heard to their end, and returns where the
    /// next chunk begins. Of chunks of speech nothing is heard again.
    pub fn heard(&mut self, samples: u32) -> u64 {
        if let Cut::Windows = self.cut {
            let advanced = advance(count(self.ahead.len()), samples);
            self.begin = self.window + u64::from(advanced);
        }
        self.begin
    }

    /// Writes the next window into `slot`; `None` at the end.
    pub(super) fn next_window(
        &mut self,
        ears: &Ears,
        slot: &mut [i16],
    ) -> Result<Option<Chunk>, AudioFileError> {
        self.read_window(ears)?;
        let samples = self.ahead.len();
        let is_tail = samples < WINDOW_TAIL_MIN;
        let is_at_rest = self.ahead.iter().all(|one| one.unsigned_abs() <= REST);
        let chunk = Chunk {
            start: self.begin,
            samples: if is_at_rest { 0 } else { count(samples) },
            speech: (!is_at_rest).then_some(SpeechSpan {
                start: 0,
                end: count(samples),
            }),
            next: self.begin + samples as u64,
        };
        self.begin = chunk.next;
        if is_tail {
            return Ok(None);
        }
        slot[..samples].copy_from_slice(&self.ahead);
        Ok(Some(chunk))
    }

    /// Keeps what was not heard of the last window, and reads on until it is a whole one.
    fn read_window(&mut self, ears: &Ears) -> Result<(), AudioFileError> {
        let heard = usize::try_from(self.begin.saturating_sub(self.window)).unwrap_or(usize::MAX);
        self.ahead.drain(..heard.min(self.ahead.len()));
        self.window = self.begin;
        let room = UTTERANCE_SAMPLES_MAX - self.ahead.len();
        self.ahead.reserve_exact(room);
        while self.ahead.len() < UTTERANCE_SAMPLES_MAX {
            let held = self.ahead.len();
            let wanted = STEP.min(UTTERANCE_SAMPLES_MAX - held);
            self.ahead.resize(held + wanted, 0);
            let read = self.file.read(&mut self.ahead[held..]);
            self.ahead
                .truncate(held + read.as_ref().copied().unwrap_or(0));
            ears.beat();
            match read {
                Ok(got) if got < wanted => break,
                Ok(_) => {}
                // A recording that is at fault ends there, if there is something to give out.
                Err(error) if WINDOW_TAIL_MIN <= held && !error.fault.may_pass() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Returns a count of samples of one window: it fits.
fn count(samples: usize) -> u32 {
    u32::try_from(samples).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
