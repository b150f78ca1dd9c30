//! Recordings of a test: pieces of ten seconds, and what a model hears in them.
//!
//! Pieces in; chunks or windows, and answers to windows, out. Compiled for tests only.

use std::sync::{Arc, Mutex};

use pressel_pipeline::limits::RATE_HZ;
use pressel_pipeline::waiting::{SpeechSpan, Utterance};

use super::SECOND;
use crate::audio_file::{AudioFileError, Damage, Fault as AudioFault};
use crate::chunks::Chunk;
use crate::jobs::record::Stamp;
use crate::jobs::recordings::Reader;
use crate::listen::Ears;
use crate::slots::ChunkSlot;
use crate::window::{Context, Heard, Span, advance};

/// Longest window of a tape: it ends in the middle of a piece.
const SIM_WINDOW: u64 = 25 * SECOND;

/// What is said in ten seconds of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Nobody speaks, as the gate hears it.
    Silence,
    /// The recogniser finds no words.
    Noise,
    /// Words.
    Words(&'static str),
    /// Reading it panics.
    Panic,
}

/// A recording.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    pub(crate) stamp: Stamp,
    /// Ten seconds each.
    pub(crate) pieces: Vec<Piece>,
    /// Why it cannot be opened.
    pub(crate) fault: Option<AudioFault>,
    /// It is heard by windows, not by pieces.
    pub(crate) has_windows: bool,
}

impl Tape {
    pub(crate) fn new(pieces: &[Piece]) -> Self {
        Self {
            stamp: Stamp {
                bytes: 1_000,
                changed: (100, 0),
            },
            pieces: pieces.to_vec(),
            fault: None,
            has_windows: false,
        }
    }
}

/// Writes what can be heard of a piece: words as samples of their own, noise as nothing.
fn play(piece: Piece, index: usize, slot: &mut [i16]) {
    let words = match piece {
        Piece::Words(words) => words,
        _ => "",
    };
    let seed = words.bytes().fold(index as u32, |seed, byte| {
        seed.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    for (place, sample) in slot.iter_mut().take(8 * RATE_HZ).enumerate() {
        let value = seed.wrapping_add(place as u32).wrapping_mul(2_654_435_769);
        *sample = if words.is_empty() {
            0
        } else {
            (value >> 17) as i16
        };
    }
}

impl Tape {
    /// Opens it at a sample.
    pub(super) fn reader(&self, from: u64) -> Box<dyn Reader> {
        Box::new(TapeReader {
            pieces: self.pieces.clone(),
            position: from,
            window: self.has_windows.then_some(from),
        })
    }
}

struct TapeReader {
    pieces: Vec<Piece>,
    position: u64,
    /// Where the last window began, if it is heard by windows.
    window: Option<u64>,
}

impl TapeReader {
    /// Gives out the next window. Words stand in seconds 1 to 9 of a piece, so that some are cut.
    fn next_window(&mut self, slot: &mut [i16]) -> Option<Chunk> {
        let (begin, all) = (self.position, self.pieces.len() as u64 * 10 * SECOND);
        let next = all.min(begin + SIM_WINDOW);
        let index = usize::try_from(begin / (10 * SECOND)).unwrap();
        assert_ne!(self.pieces.get(index), Some(&Piece::Panic), "on purpose");
        if begin == next {
            return None;
        }
        slot[0] = 1;
        (self.window, self.position) = (Some(begin), next);
        let samples = u32::try_from(next - begin).unwrap();
        Some(Chunk {
            start: begin,
            samples,
            speech: Some(SpeechSpan {
                start: 0,
                end: samples,
            }),
            next,
        })
    }
}

/// What a model hears in a window of a tape: text, segments and how far. A window with noise in it
/// is not to be relied on.
pub(super) fn hear(pieces: &[Piece], chunk: &Utterance, note: &Context) -> (String, Heard) {
    let (begin, end) = (chunk.start, chunk.start + u64::from(chunk.samples));
    let ms = |at: u64| u32::try_from((at - begin) / 16).unwrap();
    let (mut text, mut heard) = (String::new(), Heard::default());
    let mut until = end;
    for (index, piece) in pieces.iter().enumerate() {
        let at = index as u64 * 10 * SECOND;
        let (first, last) = (at + SECOND, at + 9 * SECOND);
        let is_whole = begin <= first && last <= end;
        heard.forgets |= is_whole && *piece == Piece::Noise;
        let Piece::Words(words) = piece else { continue };
        if is_whole {
            // What it hears depends on what was said before.
            text.push_str(&format!(" {words} after {}", note.text().len()));
            let span = Span {
                start_ms: ms(first),
                end_ms: ms(last),
                text_end: u16::try_from(text.len()).unwrap(),
            };
            heard.spans.push(span).unwrap();
        } else if begin <= first && first < end {
            until = until.min(first - SECOND / 4);
        }
    }
    heard.samples = u32::try_from(until - begin).unwrap();
    (text.trim().to_owned(), heard)
}

/// The slot of the chunk; clones are the same note.
#[derive(Clone, Default)]
pub(crate) struct SimSlot {
    samples: Vec<i16>,
    pub(crate) note: Arc<Mutex<Option<Context>>>,
}

impl SimSlot {
    pub(crate) fn new(samples: usize) -> Self {
        Self {
            samples: vec![0; samples],
            note: Arc::default(),
        }
    }
}

impl ChunkSlot for SimSlot {
    fn samples(&mut self) -> &mut [i16] {
        &mut self.samples
    }
    fn note(&mut self, window: Option<&Context>) {
        *self.note.lock().unwrap() = window.cloned();
    }
}

impl Reader for TapeReader {
    fn duration(&self) -> Option<u64> {
        Some(self.pieces.len() as u64 * 10 * SECOND)
    }
    fn damage(&self) -> Damage {
        Damage::default()
    }
    fn fell_back(&self) -> bool {
        false
    }
    fn position(&self) -> u64 {
        self.position
    }
    fn next(
        &mut self,
        _ears: &mut Ears,
        slot: &mut [i16],
    ) -> Result<Option<Chunk>, AudioFileError> {
        if self.window.is_some() {
            return Ok(self.next_window(slot));
        }
        let index = usize::try_from(self.position / (10 * SECOND)).unwrap();
        let Some(piece) = self.pieces.get(index) else {
            return Ok(None);
        };
        assert_ne!(*piece, Piece::Panic, "on purpose");
        play(*piece, index, slot);
        let (begin, next) = (self.position, self.position + 10 * SECOND);
        self.position = next;
        let (samples, speech) = match piece {
            Piece::Silence => (0, None),
            _ => (
                8 * RATE_HZ as u32,
                Some(SpeechSpan {
                    start: 100,
                    end: 100_000,
                }),
            ),
        };
        Ok(Some(Chunk {
            start: begin + SECOND,
            samples,
            speech,
            next,
        }))
    }
    fn heard(&mut self, samples: u32) -> u64 {
        if let Some(begin) = self.window {
            let held = u32::try_from(self.position - begin).unwrap();
            self.position = begin + u64::from(advance(held, samples));
        }
        self.position
    }
}
