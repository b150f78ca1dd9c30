//! WAV files as the world writes them: RIFF and RF64, PCM, float, A-law and µ-law.
//!
//! In: an open file. Out: mono frames at the file's rate. Reads are bounded by a small buffer.
//!
//! Why not symphonia: its reader (0.6.1) refuses headers that lie about sizes, and those are
//! common: recorders that lost power, pipes, files past 4 GiB. The rule here: the bytes that are
//! there count, not the length that the header claims. Sound after the claimed end is read too,
//! unless what stands there is a chunk.
//!
//! Source: Microsoft, Multimedia Programming Interface 1.0 (RIFF); WAVEFORMATEXTENSIBLE;
//! EBU Tech 3306 (RF64); ITU-T G.711.

mod samples;

use std::fs::File;
use std::os::unix::fs::FileExt;

use self::samples::Kind;
use super::downmix::Downmix;
use super::head::{Head, check_head};
use super::{Damage, Fault};

/// Chunks that are walked before the sound. Why 1,024: real files have about ten; the walk ends.
const CHUNKS_MAX: usize = 1_024;

/// Bytes read at once.
const BLOCK_BYTES: usize = 32 * 1_024;

/// Bytes of a `fmt ` chunk that are looked at: all of WAVEFORMATEXTENSIBLE.
const FORMAT_BYTES: usize = 40;

/// Claimed sizes from here on, when the file is shorter, mean "not known": pipes write them.
///
/// ffmpeg writes `0xffff_ffff`, sox `0x7fff_f000`.
const UNKNOWN_BYTES_MIN: u64 = 0x7fff_0000;

/// A WAV file that is being read.
#[derive(Debug)]
pub(super) struct Wav {
    file: File,
    head: Head,
    kind: Kind,
    downmix: Downmix,
    /// Bytes from one frame to the next.
    frame_bytes: usize,
    /// Byte position of the next frame, and of the end of the sound.
    at: u64,
    end: u64,
    truncated: bool,
    block: Vec<u8>,
}

/// What the `fmt ` chunk says, made usable.
struct Format {
    kind: Kind,
    rate_hz: u32,
    channels: usize,
    sample_bytes: usize,
    mask: u64,
}

impl Wav {
    pub(super) fn open(file: File, len: u64) -> Result<Self, Fault> {
        let mut format = None;
        let mut long_data_bytes = None;
        let mut at = 12;
        for _ in 0..CHUNKS_MAX {
            let Some(chunk) = Chunk::at(&file, at)? else {
                break;
            };
            match &chunk.id {
                b"fmt " => format = Some(read_format(&file, &chunk)?),
                b"ds64" => long_data_bytes = read_long_data_bytes(&file, &chunk)?,
                b"data" => {
                    let Some(format) = format else { break };
                    let claimed = match long_data_bytes {
                        Some(bytes) if chunk.bytes == u64::from(u32::MAX) => bytes,
                        _ => chunk.bytes,
                    };
                    let data = Data::bounds(&file, chunk.body, claimed, len)?;
                    return Ok(Self::new(file, format, data));
                }
                _ => {}
            }
            at = chunk.next(&file)?;
        }
        Err(Fault::Header {
            detail: if format.is_none() {
                "no `fmt ` chunk"
            } else {
                "no `data` chunk"
            },
        })
    }

    fn new(file: File, format: Format, data: Data) -> Self {
        let frame_bytes = format.sample_bytes * format.channels;
        let head = Head {
            codec: format.kind.name(format.sample_bytes),
            rate_hz: format.rate_hz,
            channels: format.channels as u16,
            frames: Some((data.end - data.start) / frame_bytes as u64),
        };
        Self {
            file,
            head,
            kind: format.kind,
            downmix: Downmix::new(format.channels, format.mask),
            frame_bytes,
            at: data.start,
            end: data.end,
            truncated: data.truncated,
            block: vec![0; (BLOCK_BYTES / frame_bytes).max(1) * frame_bytes],
        }
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    pub(super) fn damage(&self) -> Damage {
        Damage {
            truncated: self.truncated,
            broken_frames: 0,
        }
    }

    pub(super) fn read(&mut self, mono: &mut Vec<f32>) -> Result<usize, Fault> {
        let left = (self.end - self.at) / self.frame_bytes as u64;
        let wanted = left.min((self.block.len() / self.frame_bytes) as u64) as usize;
        let got = read_at(
            &self.file,
            self.at,
            &mut self.block[..wanted * self.frame_bytes],
        )?;
        let count = got / self.frame_bytes;
        if count < wanted {
            // The file became shorter while it was read.
            self.truncated = true;
            self.end = self.at + got as u64;
        }
        let sample_bytes = self.frame_bytes / self.downmix.channels();
        for frame in self.block[..count * self.frame_bytes].chunks_exact(self.frame_bytes) {
            let samples = frame.chunks_exact(sample_bytes);
            mono.push(
                self.downmix
                    .frame(samples.map(|sample| self.kind.decode(sample))),
            );
        }
        self.at += (count * self.frame_bytes) as u64;
        Ok(count)
    }

    pub(super) fn skip(&mut self, frames: u64) -> u64 {
        let frame_bytes = self.frame_bytes as u64;
        let skipped = frames.min((self.end - self.at) / frame_bytes);
        self.at += skipped * frame_bytes;
        skipped
    }
}

/// The header of a chunk.
struct Chunk {
    id: [u8; 4],
    bytes: u64,
    /// Position of its first byte after the header.
    body: u64,
}

impl Chunk {
    /// Reads the header at `at`. None at the end of the file.
    fn at(file: &File, at: u64) -> Result<Option<Self>, Fault> {
        let mut raw = [0; 8];
        if read_at(file, at, &mut raw)? < raw.len() {
            return Ok(None);
        }
        let [a, b, c, d, size @ ..] = raw;
        let bytes = u64::from(u32::from_le_bytes(size));
        Ok(Some(Self {
            id: [a, b, c, d],
            bytes,
            body: at + 8,
        }))
    }

    /// Returns the position of the next chunk. An odd chunk is padded, but not by every writer.
    fn next(&self, file: &File) -> Result<u64, Fault> {
        let end = self.body + self.bytes;
        let mut pad = [1];
        let padded = self.bytes % 2 == 1 && read_at(file, end, &mut pad)? == 1 && pad == [0];
        Ok(end + u64::from(padded))
    }

    fn looks_real(&self) -> bool {
        self.id
            .iter()
            .all(|byte| byte.is_ascii_graphic() || *byte == b' ')
    }
}

/// Where the sound is.
struct Data {
    start: u64,
    end: u64,
    truncated: bool,
}

impl Data {
    fn bounds(file: &File, start: u64, claimed: u64, len: u64) -> Result<Self, Fault> {
        let there = len.saturating_sub(start);
        let start = start.min(len);
        if claimed > there {
            let truncated = claimed < UNKNOWN_BYTES_MIN;
            return Ok(Self {
                start,
                end: len,
                truncated,
            });
        }
        // The claim fits. Is what follows it other chunks, or sound that the header missed?
        let body = Chunk {
            id: *b"data",
            bytes: claimed,
            body: start,
        };
        let after = body.next(file)?;
        let other_chunks = len.saturating_sub(after) < 8
            || Chunk::at(file, after)?.is_some_and(|chunk| chunk.looks_real());
        let end = if other_chunks { start + claimed } else { len };
        Ok(Self {
            start,
            end,
            truncated: false,
        })
    }
}

fn read_format(file: &File, chunk: &Chunk) -> Result<Format, Fault> {
    let mut raw = [0; FORMAT_BYTES];
    let wanted = chunk.bytes.min(FORMAT_BYTES as u64) as usize;
    if read_at(file, chunk.body, &mut raw[..wanted])? < 16 {
        return Err(Fault::Header {
            detail: "its `fmt ` chunk is too short",
        });
    }
    let u16_at = |at: usize| u16::from_le_bytes([raw[at], raw[at + 1]]);
    let u32_at = |at: usize| u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
    let (channels, rate_hz) = (usize::from(u16_at(2)), u32_at(4));
    let (frame_bytes, bits) = (usize::from(u16_at(12)), u16_at(14));
    check_head(rate_hz, channels)?;
    // An extensible header holds the true tag, and the places of the channels.
    let extensible = u16_at(0) == 0xfffe && wanted == FORMAT_BYTES;
    let tag = if extensible { u16_at(24) } else { u16_at(0) };
    let mask = if extensible { u64::from(u32_at(20)) } else { 0 };
    // Samples may stand in containers that are wider than their bits.
    let bits_bytes = usize::from(bits.div_ceil(8));
    let container = frame_bytes / channels;
    let fits = frame_bytes.is_multiple_of(channels) && (bits_bytes..=8).contains(&container);
    let sample_bytes = if fits { container } else { bits_bytes };
    let kind = Kind::new(tag, bits, sample_bytes)?;
    Ok(Format {
        kind,
        rate_hz,
        channels,
        sample_bytes,
        mask,
    })
}

/// Reads the length of the sound from an RF64 file's `ds64` chunk.
fn read_long_data_bytes(file: &File, chunk: &Chunk) -> Result<Option<u64>, Fault> {
    let mut raw = [0; 8];
    let got = read_at(file, chunk.body + 8, &mut raw)?;
    Ok((got == raw.len()).then_some(u64::from_le_bytes(raw)))
}

/// Fills `bytes` from position `at` and returns how many there were.
fn read_at(file: &File, at: u64, bytes: &mut [u8]) -> Result<usize, Fault> {
    let mut count = 0;
    while count < bytes.len() {
        match file.read_at(&mut bytes[count..], at + count as u64) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Fault::from_io(error)),
        }
    }
    Ok(count)
}
