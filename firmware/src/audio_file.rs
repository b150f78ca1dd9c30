//! Recordings: any WAV, FLAC, MP3 or OGG file becomes mono 16 kHz `i16`, a block at a time.
//!
//! In: a path. Out: blocks of samples, and what was wrong with the file ([`Damage`]).
//! Runs on the thread of the caller (`transcribe`, `replay`, file jobs), never on the main loop.
//! What may not happen: a panic, a wait without an end (only regular files are opened), a file held
//! whole in memory, or a word lost because a header lies.
//!
//! Flow: [`sniff`] names the container by its first bytes -> [`wav`] or [`packets`] (symphonia)
//! decodes -> [`downmix`] makes one channel -> [`resample`] makes 16 kHz. The
//! level is not its business: see [`crate::levels`].

mod contain;
mod decoder;
mod downmix;
mod error;
mod head;
mod opus;
mod packets;
mod resample;
mod sniff;
mod wav;
mod write;

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub use self::error::{AudioFileError, Fault};
pub use self::write::wav_of;

use self::decoder::Decoder;
use self::resample::Resampler;
use self::sniff::Container;

/// Channels at most in a file. More is refused as a broken header.
///
/// Why 32: third-order ambisonics has 16, the largest field recorders 32.
const CHANNELS_MAX: usize = 32;

/// Lowest and highest sample rate that is taken. Others are refused as a broken header.
///
/// Why: 2 kHz keeps no speech; 384 kHz is the highest rate that recorders sell.
const RATES_HZ: std::ops::RangeInclusive<u32> = 2_000..=384_000;

/// What a file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioInfo {
    /// Name of the codec for people, for example `PCM 16 bit` or `MP3`.
    pub codec: &'static str,
    /// Samples per second in the file.
    pub rate_hz: u32,
    /// Channels in the file.
    pub channels: u16,
    /// Length in samples at 16 kHz, when the file says it. An estimate for an MP3 file without a
    /// length header; less or more than there really is when the header lies.
    pub duration_samples: Option<u64>,
}

/// What was wrong with a file that could be read all the same. Final at the end of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// The file ends before the length that it claims.
    pub truncated: bool,
    /// Frames or stretches that could not be decoded. Each became silence of its own length, where
    /// that is known, so that later times stay true.
    pub broken_frames: u64,
}

/// An open recording, read from its start to its end.
#[derive(Debug)]
pub struct AudioFile {
    path: PathBuf,
    decoder: Decoder,
    resampler: Resampler,
    info: AudioInfo,
    /// Frames that the decoder has given, skipped ones included.
    frames_in: u64,
    /// Samples at 16 kHz given to the caller, skipped ones included.
    position: u64,
    decoder_ended: bool,
    /// Why the recording cannot be read on, once all before it was given out.
    fault: Option<Fault>,
}

impl AudioFile {
    /// Opens the recording at `path` and reads its header.
    ///
    /// Links are followed. Pipes, sockets and devices are refused, because they may never end.
    ///
    /// # Errors
    /// [`AudioFileError`], whose text is one line with the file, the cause and the remedy.
    pub fn open(path: &Path) -> Result<Self, AudioFileError> {
        let opened = open_regular(path).and_then(|file| Self::of(file, path));
        opened.map_err(|fault| AudioFileError::new(path, fault))
    }

    /// Opens the recording at `path` and reads its header, without following a link: a link is as
    /// good as no file. (Links among the folders before it are followed.)
    ///
    /// # Errors
    /// As [`AudioFile::open`].
    pub fn open_no_link(path: &Path) -> Result<Self, AudioFileError> {
        let opened = open_no_link(path).and_then(|file| Self::of(file, path));
        opened.map_err(|fault| AudioFileError::new(path, fault))
    }

    fn of(file: File, path: &Path) -> Result<Self, Fault> {
        let len = file.metadata().map_err(Fault::from_io)?.len();
        let found = sniff::sniff(&file, len, path)?;
        let decoder = match found.container {
            Container::Wav => Decoder::Wav(wav::Wav::open(file, len)?),
            other => {
                let part = packets::Part::new(file, found.start, found.end);
                Decoder::Packets(Box::new(packets::Packets::open(part, other)?))
            }
        };
        let head = decoder.head();
        let resampler = Resampler::new(head.rate_hz)?;
        let info = AudioInfo {
            codec: head.codec,
            rate_hz: head.rate_hz,
            channels: head.channels,
            duration_samples: head.frames.map(|frames| resampler.samples_out(frames)),
        };
        Ok(Self {
            path: path.to_owned(),
            decoder,
            resampler,
            info,
            frames_in: 0,
            position: 0,
            decoder_ended: false,
            fault: None,
        })
    }

    /// Returns what the file says about itself.
    pub fn info(&self) -> AudioInfo {
        self.info
    }

    /// Returns what was found to be wrong so far.
    pub fn damage(&self) -> Damage {
        self.decoder.damage()
    }

    /// Returns the position of the next sample, counted at 16 kHz from the start of the file.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Fills `samples` from its start and returns how many were written.
    ///
    /// Fewer than asked for means that the end was reached; 0 means the end.
    /// Sample `n` of the stream is the sound at `n / 16,000` s of the file: the delay of the
    /// resampling filter and the encoder's delay, where the file tells it, are taken out.
    ///
    /// # Errors
    /// [`AudioFileError`] when the disk fails, when the sample rate changes inside the file, or
    /// when not one frame could be decoded. All sound before the place is given out first, unless
    /// the disk fails. Broken frames are no error, see [`Damage`].
    pub fn read(&mut self, samples: &mut [i16]) -> Result<usize, AudioFileError> {
        self.read_inner(samples)
            .map_err(|fault| AudioFileError::new(&self.path, fault))
    }

    fn read_inner(&mut self, samples: &mut [i16]) -> Result<usize, Fault> {
        let mut count = 0;
        while count < samples.len() {
            if self.resampler.ready().is_empty() {
                if self.refill()? {
                    continue;
                }
                break;
            }
            let ready = self.resampler.ready();
            let mut take = ready.len().min(samples.len() - count);
            if self.decoder_ended {
                let left = self.resampler.samples_out(self.frames_in) - self.position;
                take = take.min(usize::try_from(left).unwrap_or(usize::MAX));
            }
            if take == 0 {
                break;
            }
            for (sample, value) in samples[count..].iter_mut().zip(&ready[..take]) {
                *sample = to_i16(*value);
            }
            self.resampler.consume(take);
            count += take;
            self.position += take as u64;
        }
        match self.fault {
            Some(fault) if count == 0 => Err(fault),
            _ => Ok(count),
        }
    }

    /// Converts one more chunk. Returns false at the end.
    fn refill(&mut self) -> Result<bool, Fault> {
        while !self.decoder_ended && self.resampler.wants_input() {
            let count = match self.decoder.read(self.resampler.input()) {
                Err(fault) if fault.may_pass() => return Err(fault),
                Err(fault) => {
                    self.fault = Some(fault);
                    0
                }
                Ok(count) => count,
            };
            self.frames_in += count as u64;
            if count == 0 {
                self.decoder_ended = true;
                if self.frames_in == 0 && self.decoder.damage().broken_frames > 0 {
                    self.fault = self.fault.or(Some(Fault::Undecodable));
                }
            }
        }
        if self.decoder_ended && self.position >= self.resampler.samples_out(self.frames_in) {
            return Ok(false);
        }
        self.resampler.convert()?;
        Ok(true)
    }

    /// Goes forward to `sample` (16 kHz, from the start of the file) and returns the new position.
    ///
    /// Exact: what is read next equals what reading the file from its start gives there.
    /// The position is less than `sample` when the file ends before it, and stays where it is when
    /// it is past `sample` already.
    ///
    /// Time: WAV jumps. In the other formats the packets before it are read and passed over (in
    /// FLAC from the heads of its frames), and only the last moment is decoded (Opus: up to 20 s).
    /// Forward 39 minutes: 15 to 50 ms on a desk computer with the file in its cache; three times
    /// that for FLAC that is damaged before the place. Broken frames that were passed over are not
    /// counted in [`Damage`].
    ///
    /// # Errors
    /// As [`AudioFile::read`].
    pub fn skip_to(&mut self, sample: u64) -> Result<u64, AudioFileError> {
        self.skip_inner(sample)
            .map_err(|fault| AudioFileError::new(&self.path, fault))
    }

    fn skip_inner(&mut self, sample: u64) -> Result<u64, Fault> {
        if let Some(frames) = self.resampler.frames_to_skip(self.position, sample) {
            let skipped = self.decoder.skip(frames)?;
            self.frames_in += skipped;
            // Only a whole jump keeps the chunks aligned; a shorter one has met the end.
            self.decoder_ended = skipped < frames;
            if self.decoder_ended {
                self.position = self.resampler.samples_out(self.frames_in);
                return Ok(self.position);
            }
            self.position = self.resampler.jump(frames);
        }
        let mut scratch = [0; 1_024];
        while self.position < sample {
            let left = usize::try_from(sample - self.position).unwrap_or(usize::MAX);
            let wanted = left.min(scratch.len());
            if self.read_inner(&mut scratch[..wanted])? < wanted {
                break;
            }
        }
        Ok(self.position)
    }
}

/// Opens `path` when it is a regular file, or a link to one, that is not empty.
fn open_regular(path: &Path) -> Result<File, Fault> {
    // A device must not even be opened (a tape rewinds): look first.
    let kind = match std::fs::metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if path.is_symlink() && error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Fault::DanglingLink);
        }
        Err(error) => return Err(Fault::from_io(error)),
    };
    if kind.is_dir() {
        return Err(Fault::Folder);
    }
    if !kind.is_file() {
        return Err(Fault::NotAFile {
            kind: if kind.is_fifo() {
                "a pipe"
            } else if kind.is_socket() {
                "a socket"
            } else {
                "a device"
            },
        });
    }
    open_with(path, 0)
}

/// Opens `path` when it is itself a regular file that is not empty.
fn open_no_link(path: &Path) -> Result<File, Fault> {
    let metadata = std::fs::symlink_metadata(path).map_err(Fault::from_io)?;
    if !metadata.is_file() {
        return Err(Fault::Missing);
    }
    // Should it become a link at this very moment, it is not followed either.
    match open_with(path, libc::O_NOFOLLOW) {
        Err(Fault::Io { errno: libc::ELOOP }) => Err(Fault::Missing),
        opened => opened,
    }
}

fn open_with(path: &Path, flags: i32) -> Result<File, Fault> {
    // O_NONBLOCK: should the path become a pipe at this very moment, the call does not wait.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | flags)
        .open(path)
        .map_err(Fault::from_io)?;
    let metadata = file.metadata().map_err(Fault::from_io)?;
    if !metadata.is_file() {
        return Err(Fault::NotAFile { kind: "a device" });
    }
    if metadata.len() == 0 {
        return Err(Fault::Empty);
    }
    Ok(file)
}

/// Converts a sample of -1 to 1 into 16 bits, clamped.
fn to_i16(value: f32) -> i16 {
    // `as` saturates, and a NaN cannot come this far; it would become 0.
    (value * 32_768.0).round() as i16
}
