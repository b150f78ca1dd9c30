//! Chunks: a recording cut into stretches that each fit a slot.
//!
//! Two ways to cut: at the pauses, by voice activity, which is here; or by [`windows`] of 30 s that
//! begin where the words of the last one ended, for a model that says when it heard what.
//!
//! A recording in; the audio of one chunk in the caller's slot, and where the next one begins, out.
//! Runs on the thread of the caller: `jobs`, or `transcribe`. What may not happen: a sample of
//! speech lost or in two chunks, or a chunk that depends on anything but the recording and where it
//! begins (of a window: and on what the model heard in those before). So whoever begins again at
//! [`Chunk::next`] after a crash gets what an undisturbed run gives.
//!
//! ```text
//!   begin ─▶ silence ── gate opens ──▶ speech ── gate closes, padding ──▶ chunk, next = its end
//!               │                        └────── 30 s full ─────────────▶ chunk, cut at its
//!               └── 30 s of silence ──▶ empty chunk                       quietest place
//! ```
//!
//! The slot is the working memory: it holds what was heard since the chunk began. What was read
//! beyond [`Chunk::next`] waits in `ahead` for the next chunk: at most 20 s; of windows, 30 s.

use std::path::Path;

use pressel_models::vad::FRAME_SAMPLES;
use pressel_models::whisper::quietest;
use pressel_pipeline::gate;
use pressel_pipeline::limits::{FILE_SLOT, RATE_HZ, UTTERANCE_SAMPLES_MAX};
use pressel_pipeline::time::{Millis, SampleTime};
use pressel_pipeline::waiting::{SpeechSpan, Utterance};
use pressel_wire::Trigger;

use crate::audio_file::{AudioFile, AudioFileError, AudioInfo, Damage};
use crate::listen::Ears;
use crate::listen::listener::Tuning;

mod windows;

/// How a recording is cut.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// At pauses, as voice activity tells them: every model can hear that.
    Speech(Tuning),
    /// By windows of 30 s: the model says when it heard what.
    Windows,
}

/// Where a chunk that is full may be cut: in its last third.
const CUT_FROM: usize = UTTERANCE_SAMPLES_MAX / 3 * 2;

/// So much is enough for the gate to hear that there is speech. Units: samples; 1 s.
const ENOUGH: usize = RATE_HZ;

/// Silence at the end of a full chunk that is as good a place for a cut as any: 160 ms.
const PAUSE: usize = RATE_HZ * 16 / 100;

/// A recording that is being cut.
pub struct Chunks {
    file: AudioFile,
    cut: Cut,
    /// Where the next chunk begins.
    begin: SampleTime,
    /// What was read from there on; of windows, the last one.
    ahead: Vec<i16>,
    /// Where the last window began.
    window: SampleTime,
    fell_back: bool,
}

/// One chunk. Its audio stands at the start of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Place of its first sample in the recording.
    pub start: u64,
    /// Samples in the slot; 0 when nothing was said.
    pub samples: u32,
    /// Where in them the speech is; `None` when nothing was said.
    pub speech: Option<SpeechSpan>,
    /// Where the next chunk begins. Of a window, at the latest: see [`Chunks::heard`].
    pub next: u64,
}

impl Chunk {
    /// Returns the chunk as the worker's client sees it. `id` is the chunk's own number, `now` when
    /// it was cut.
    #[must_use]
    pub fn utterance(&self, id: u32, now: Millis) -> Utterance {
        Utterance {
            id,
            slot: FILE_SLOT,
            trigger: Trigger::File,
            start: self.start,
            samples: self.samples,
            speech: self.speech,
            closed_at: now,
            capture_ms: 0,
        }
    }
}

impl Chunks {
    /// Opens the recording at `path` and goes to sample `from`: 0, or the `next` of a chunk.
    ///
    /// # Errors
    /// [`AudioFileError`], whose text is one line with the file, the cause and the remedy.
    pub fn open(path: &Path, from: u64, cut: Cut) -> Result<Self, AudioFileError> {
        Self::of(AudioFile::open(path)?, from, cut)
    }

    /// Goes to sample `from` of an open recording: 0, or the `next` of a chunk.
    ///
    /// # Errors
    /// As [`Chunks::open`].
    pub fn of(mut file: AudioFile, from: u64, cut: Cut) -> Result<Self, AudioFileError> {
        let begin = file.skip_to(from)?;
        Ok(Self {
            file,
            cut,
            begin,
            ahead: Vec::new(),
            window: begin,
            fell_back: false,
        })
    }

    /// Returns whether each chunk is a window.
    #[must_use]
    pub fn has_windows(&self) -> bool {
        matches!(self.cut, Cut::Windows)
    }

    /// Returns what the recording says about itself.
    #[must_use]
    pub fn info(&self) -> AudioInfo {
        self.file.info()
    }

    /// Returns what was found to be wrong with the recording so far.
    #[must_use]
    pub fn damage(&self) -> Damage {
        self.file.damage()
    }

    /// Returns where the next chunk begins; after the last one, the length of the recording.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.begin
    }

    /// Returns whether the voice activity model failed and the level decided since then: chunks may
    /// then differ from those of another run.
    #[must_use]
    pub fn fell_back(&self) -> bool {
        self.fell_back
    }

    /// Cuts the next chunk and writes its audio into `slot`; `None` at the end of the recording.
    ///
    /// Shape: `slot` is `[480_000] i16`. Time: that of hearing 30 s of audio if nothing is said, of
    /// 60 s at most (30 s of silence, then speech that fills the slot).
    ///
    /// # Errors
    /// [`AudioFileError`] as of [`AudioFile::read`]; all speech before a place from which the
    /// recording cannot be read on has been given out. After an error of the disk, open it again at
    /// [`Chunks::position`].
    ///
    /// # Panics
    /// When `slot` is shorter than an utterance may be.
    pub fn next(
        &mut self,
        ears: &mut Ears,
        slot: &mut [i16],
    ) -> Result<Option<Chunk>, AudioFileError> {
        assert!(UTTERANCE_SAMPLES_MAX <= slot.len());
        let slot = &mut slot[..UTTERANCE_SAMPLES_MAX];
        match self.cut {
            Cut::Speech(tuning) => self.next_speech(ears, slot, &tuning),
            Cut::Windows => self.next_window(ears, slot),
        }
    }

    fn next_speech(
        &mut self,
        ears: &mut Ears,
        slot: &mut [i16],
        tuning: &Tuning,
    ) -> Result<Option<Chunk>, AudioFileError> {
        ears.reset();
        let mut hearing = Hearing::new(self.begin);
        let mut used = 0;
        let chunk = loop {
            let wanted = hearing.wanted();
            let from = hearing.held;
            let mut got = wanted.min(self.ahead.len() - used);
            slot[from..from + got].copy_from_slice(&self.ahead[used..used + got]);
            used += got;
            if got < wanted {
                got += self.read(&mut slot[from + got..from + wanted], hearing.held + got)?;
            }
            hearing.held += got;
            let ended = got < wanted;
            if ended && hearing.held == 0 {
                return Ok(None);
            }
            self.fell_back |= hearing.hear(ears, slot, ended, tuning);
            if let Some(chunk) = hearing.cut(slot, ended, tuning) {
                break chunk;
            }
        };
        // What the chunk did not take goes before what it did not hear.
        let left = slot[hearing.offset(chunk.next)..hearing.held]
            .iter()
            .copied();
        self.ahead.splice(..used, left);
        self.begin = chunk.next;
        Ok(Some(chunk))
    }

    /// Reads on; a recording that is at fault ends there, if there is something to give out.
    fn read(&mut self, samples: &mut [i16], held: usize) -> Result<usize, AudioFileError> {
        match self.file.read(samples) {
            Err(error) if 0 < held && !error.fault.may_pass() => Ok(0),
            read => read,
        }
    }
}

/// What was heard since a chunk began.
struct Hearing {
    begin: SampleTime,
    /// Place in the recording of the slot's first sample: where the speech began, once it did.
    base: SampleTime,
    /// Samples in the slot.
    held: usize,
    /// Up to where frames were heard.
    heard: SampleTime,
    gate: gate::State,
    /// Where the utterance ends, once speech is over.
    end: Option<SampleTime>,
    /// The speech from its first to its last frame; `None` until there is some.
    speech: Option<(SampleTime, SampleTime)>,
}

impl Hearing {
    fn new(begin: SampleTime) -> Self {
        Self {
            begin,
            base: begin,
            held: 0,
            heard: begin,
            gate: gate::State::Silence { run: None },
            end: None,
            speech: None,
        }
    }

    /// Returns the place in the slot of a sample of the recording.
    fn offset(&self, at: SampleTime) -> usize {
        let offset = at.saturating_sub(self.base);
        usize::try_from(offset).map_or(self.held, |offset| offset.min(self.held))
    }

    /// Returns the samples that make the frame whole, as far as the slot has room.
    fn wanted(&self) -> usize {
        let waiting = self.held - self.offset(self.heard);
        (FRAME_SAMPLES - waiting).min(UTTERANCE_SAMPLES_MAX - self.held)
    }

    /// Hears the frame, if it is whole or the last one. Returns whether the model was given up.
    fn hear(&mut self, ears: &mut Ears, slot: &mut [i16], last: bool, tuning: &Tuning) -> bool {
        let fresh = &slot[self.offset(self.heard)..self.held];
        if fresh.is_empty() || fresh.len() < FRAME_SAMPLES && !last {
            return false;
        }
        let mut frame = [0; FRAME_SAMPLES];
        frame[..fresh.len()].copy_from_slice(fresh);
        let (probability, fell_back) = ears.voice(&frame);
        let (start, end) = (self.heard, self.heard + FRAME_SAMPLES as u64);
        self.heard += fresh.len() as u64;
        let frame = gate::Frame {
            start,
            end,
            probability,
        };
        let step = gate::step(&self.gate, frame, &tuning.gate);
        self.gate = step.next;
        match step.mark {
            Some(gate::Mark::SpeechStart(at)) => {
                self.open(at.saturating_sub(tuning.utterance.start_padding), slot);
                self.note(at, end);
            }
            Some(gate::Mark::SpeechEnd(at)) => {
                self.end = Some((at + tuning.utterance.end_padding).max(self.base));
            }
            None => {}
        }
        if self.speech.is_some() && tuning.gate.close_probability <= probability {
            self.note(start, end);
        }
        fell_back
    }

    /// Speech has begun, or goes on before the padding behind the last one was over.
    fn open(&mut self, start: SampleTime, slot: &mut [i16]) {
        self.end = None;
        if self.speech.is_none() {
            let silence = self.offset(start.max(self.begin));
            slot.copy_within(silence..self.held, 0);
            self.base += silence as u64;
            self.held -= silence;
        }
    }

    fn note(&mut self, start: SampleTime, end: SampleTime) {
        let (first, last) = self.speech.get_or_insert((start, end));
        *first = (*first).min(start);
        *last = (*last).max(end);
    }

    /// Returns the chunk, once it is known where it ends.
    fn cut(&self, slot: &[i16], ended: bool, tuning: &Tuning) -> Option<Chunk> {
        let there = self.base + self.held as u64;
        let full = self.held == UTTERANCE_SAMPLES_MAX;
        let Some(speech) = self.speech else {
            return match (ended, full) {
                (true, _) => Some(self.chunk(0, None, there)),
                (false, true) => Some(self.chunk(0, None, there - enough(tuning) as u64)),
                (false, false) => None,
            };
        };
        let end = match self.end {
            Some(end) if end <= self.heard => end,
            end if ended => end.unwrap_or(there).min(there),
            _ if full => self.base + self.quietest(slot, speech.1, tuning) as u64,
            _ => return None,
        };
        Some(self.chunk(self.offset(end), Some(speech), end))
    }

    /// Returns where a full slot is cut: in the silence at its end, if there is some, else where so
    /// much speech follows that the gate opens for it again.
    fn quietest(&self, slot: &[i16], last: SampleTime, tuning: &Tuning) -> usize {
        let silence = self.offset(last);
        let range = if silence + PAUSE <= slot.len() {
            silence.max(CUT_FROM)..slot.len()
        } else {
            CUT_FROM..slot.len() - enough(tuning)
        };
        range.start + quietest(&slot[range])
    }

    fn chunk(
        &self,
        samples: usize,
        speech: Option<(SampleTime, SampleTime)>,
        next: SampleTime,
    ) -> Chunk {
        let short = |offset: usize| u32::try_from(offset.min(samples)).unwrap_or(u32::MAX);
        let speech = speech.map(|(start, end)| SpeechSpan {
            start: short(self.offset(start)),
            end: short(self.offset(end)),
        });
        Chunk {
            start: self.base,
            samples: short(samples),
            speech: speech.filter(|span| span.start < span.end),
            next,
        }
    }
}

/// Returns how much speech the gate opens for, wherever it begins: this much of a silence is heard
/// again, and this much speech stays behind a cut.
fn enough(tuning: &Tuning) -> usize {
    let word = tuning.utterance.start_padding + tuning.gate.speech_min;
    usize::try_from(word).map_or(ENOUGH, |word| word.clamp(ENOUGH, CUT_FROM / 2))
}

#[cfg(test)]
mod tests;
