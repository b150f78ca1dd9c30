//! Any rate into 16 kHz, with the filter's delay taken out.
//!
//! In: mono frames at the file's rate. Out: samples at 16 kHz. Whole chunks go through rubato's FFT
//! resampler, whose filter is as long as a chunk; both chunk sizes are fixed, which makes jumps
//! exact. A file at 16 kHz is passed through bit by bit.

use pressel_pipeline::limits::RATE_HZ;
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler as _};

use super::Fault;

/// Chunks per second of input that are asked for. Rubato rounds the chunk up to fit both rates.
///
/// Why 32: a filter of 31 ms has a transition of about 250 Hz. Memory: a few kilobytes, and some
/// megabytes at rates that share no factor with 16,000.
const CHUNKS_PER_SECOND: usize = 32;

/// A resampler of one stream.
pub(super) struct Resampler {
    rate_hz: u32,
    /// None at 16 kHz.
    fft: Option<Fft<f32>>,
    chunk_in: usize,
    chunk_out: usize,
    /// Frames that wait; those before `input_start` are used up.
    input: Vec<f32>,
    input_start: usize,
    /// The last converted chunk; samples before `output_start` are used up.
    output: Vec<f32>,
    output_start: usize,
    /// Chunks converted or jumped over.
    chunks: u64,
    /// Samples of filter delay that are still to be dropped.
    drop: usize,
}

impl Resampler {
    pub(super) fn new(rate_hz: u32) -> Result<Self, Fault> {
        let rate = rate_hz as usize;
        let mut chunk_in = RATE_HZ / CHUNKS_PER_SECOND;
        let mut chunk_out = chunk_in;
        let mut drop = 0;
        let mut fft = None;
        if rate != RATE_HZ {
            let chunk = rate.div_ceil(CHUNKS_PER_SECOND);
            let made = Fft::<f32>::new(rate, RATE_HZ, chunk, 1, FixedSync::Both)
                .map_err(|_| Fault::Rate { rate_hz })?;
            chunk_in = made.input_frames_next();
            chunk_out = made.output_frames_next();
            drop = made.output_delay();
            fft = Some(made);
        }
        Ok(Self {
            rate_hz,
            fft,
            chunk_in,
            chunk_out,
            input: Vec::new(),
            input_start: 0,
            output: vec![0.0; chunk_out],
            output_start: chunk_out,
            chunks: 0,
            drop,
        })
    }

    /// Returns the samples at 16 kHz that `frames` frames make, rounded to the nearest.
    pub(super) fn samples_out(&self, frames: u64) -> u64 {
        let rate = u128::from(self.rate_hz);
        let samples = (u128::from(frames) * RATE_HZ as u128 + rate / 2) / rate;
        u64::try_from(samples).unwrap_or(u64::MAX)
    }

    /// Returns the converted samples that wait to be consumed.
    pub(super) fn ready(&self) -> &[f32] {
        &self.output[self.output_start..]
    }

    pub(super) fn consume(&mut self, count: usize) {
        assert!(count <= self.ready().len());
        self.output_start += count;
    }

    /// Returns true when there is less than a chunk of input.
    pub(super) fn wants_input(&self) -> bool {
        self.input.len() - self.input_start < self.chunk_in
    }

    /// Returns the buffer to append frames to.
    pub(super) fn input(&mut self) -> &mut Vec<f32> {
        self.input.drain(..self.input_start);
        self.input_start = 0;
        &mut self.input
    }

    /// Converts one chunk; silence stands in for input that is not there.
    ///
    /// Call only when nothing is ready. Nothing may be ready afterwards: the delay is dropped.
    pub(super) fn convert(&mut self) -> Result<(), Fault> {
        assert!(self.ready().is_empty());
        let end = self.input_start + self.chunk_in;
        if self.input.len() < end {
            self.input.resize(end, 0.0);
        }
        let chunk = &self.input[self.input_start..end];
        match &mut self.fft {
            None => self.output.copy_from_slice(chunk),
            Some(fft) => run(fft, chunk, &mut self.output)?,
        }
        self.input_start = end;
        self.chunks += 1;
        self.output_start = self.drop.min(self.chunk_out);
        self.drop -= self.output_start;
        Ok(())
    }

    /// Returns the frames of a jump from `position` that ends shortly before `target`.
    ///
    /// None when the target is too near for a jump. Frames that wait in the input count as jumped
    /// over already, so that the answer is what the decoder must skip.
    pub(super) fn frames_to_skip(&self, position: u64, target: u64) -> Option<u64> {
        if target <= position {
            return None;
        }
        // A chunk's output needs the chunk before it, and nothing older.
        let first = self.chunk_of(target).checked_sub(1)?;
        let from_here = first
            .checked_sub(self.chunks)?
            .checked_mul(self.chunk_in as u64)?;
        let waiting = (self.input.len() - self.input_start) as u64;
        from_here.checked_sub(waiting).filter(|frames| *frames > 0)
    }

    /// Takes note that the decoder has skipped `frames`, and returns the new position.
    pub(super) fn jump(&mut self, frames: u64) -> u64 {
        let waiting = (self.input.len() - self.input_start) as u64;
        self.chunks += (waiting + frames) / self.chunk_in as u64;
        self.input.clear();
        self.input_start = 0;
        self.output_start = self.chunk_out;
        let Some(fft) = &mut self.fft else {
            return self.chunks * self.chunk_out as u64;
        };
        fft.reset();
        // The first chunk after the jump is wrong in its first part: drop it whole.
        self.drop = self.chunk_out;
        (self.chunks + 1) * self.chunk_out as u64 - fft.output_delay() as u64
    }

    /// Returns the number of the chunk in which sample `target` comes out.
    fn chunk_of(&self, target: u64) -> u64 {
        let delay = self.fft.as_ref().map_or(0, |fft| fft.output_delay() as u64);
        target.saturating_add(delay) / self.chunk_out as u64
    }
}

/// Converts one chunk. The sizes are those that the resampler asked for, so that it cannot fail.
fn run(fft: &mut Fft<f32>, chunk: &[f32], output: &mut [f32]) -> Result<(), Fault> {
    let fault = Fault::Header {
        detail: "its sample rate cannot be converted",
    };
    let frames_out = output.len();
    let input = SequentialSlice::new(chunk, 1, chunk.len()).map_err(|_| fault)?;
    let mut output = SequentialSlice::new_mut(output, 1, frames_out).map_err(|_| fault)?;
    fft.process_into_buffer(&input, &mut output, None)
        .map_err(|_| fault)?;
    Ok(())
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler")
            .field("rate_hz", &self.rate_hz)
            .finish_non_exhaustive()
    }
}
