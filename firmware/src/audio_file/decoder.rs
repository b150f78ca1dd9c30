//! The two kinds of decoder behind one door: mono `f32` frames at the file's own rate.
//!
//! In: an open file. Out: frames, -1 to 1, never NaN. Runs on the caller's thread.

use super::head::Head;
use super::packets::Packets;
use super::wav::Wav;
use super::{Damage, Fault};

/// A decoder of one file.
#[derive(Debug)]
pub(super) enum Decoder {
    /// WAV, read here: the headers of the world are too wild for a strict reader.
    Wav(Wav),
    /// FLAC, MP3 and OGG, through symphonia.
    Packets(Box<Packets>),
}

impl Decoder {
    pub(super) fn head(&self) -> Head {
        match self {
            Self::Wav(wav) => wav.head(),
            Self::Packets(packets) => packets.head(),
        }
    }

    pub(super) fn damage(&self) -> Damage {
        match self {
            Self::Wav(wav) => wav.damage(),
            Self::Packets(packets) => packets.damage(),
        }
    }

    /// Appends some frames to `mono` and returns how many; 0 is the end.
    pub(super) fn read(&mut self, mono: &mut Vec<f32>) -> Result<usize, Fault> {
        match self {
            Self::Wav(wav) => wav.read(mono),
            Self::Packets(packets) => packets.read(mono),
        }
    }

    /// Skips `frames` frames and returns how many there were to skip.
    pub(super) fn skip(&mut self, frames: u64) -> Result<u64, Fault> {
        match self {
            Self::Wav(wav) => Ok(wav.skip(frames)),
            Self::Packets(packets) => packets.skip(frames),
        }
    }
}
