//! FLAC, MP3 and OGG through symphonia, and OGG Opus through opus-pure.
//!
//! In: an open file. Out: mono frames at the file's rate. What may not happen: a word lost because
//! a length header is too short, or a time shifted by a broken frame.
//!
//! Symphonia trims what a length header says is not there. For MP3 that length is often an
//! estimate, or that of the first of two files glued together, so the trimming is done here: frames
//! past the claimed end are kept, unless they are few enough to be an encoder's padding.

mod codec;
mod leap;
mod part;
mod skip;

use std::collections::VecDeque;

use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::packet::Packet;
use symphonia::default::formats::{FlacReader, MpaReader, OggReader};

pub(super) use self::part::Part;

use self::codec::{Codec, audio_track, bad_start, lead_in, no_mp3, open_track};
use super::contain::contain;
use super::downmix::Downmix;
use super::head::Head;
use super::sniff::Container;
use super::{Damage, Fault};

/// Frames past the claimed end that count as an encoder's padding.
///
/// Why 5,760: the longest Opus packet, of which the last may be padding; the LAME tag's field has
/// 12 bits, a Vorbis packet has at most 4,096.
const PADDING_FRAMES_MAX: usize = 5_760;

/// Faults of the container in a row after which the rest of the file is given up.
const FAULTS_IN_A_ROW_MAX: u32 = 64;

/// Longest hole that is filled with silence. A longer one is a broken time stamp.
const HOLE_SECONDS_MAX: u64 = 10;

/// Longest silence for one broken packet: the longest packet that there is, one of FLAC.
const BROKEN_FRAMES_MAX: usize = 65_535;

/// What is said of a header that brought the decoder down.
const NONSENSE: Fault = Fault::Header {
    detail: "it makes no sense",
};

/// A file of packets that is being read.
pub(super) struct Packets {
    part: Part,
    format: Box<dyn FormatReader>,
    container: Container,
    codec: Codec,
    downmix: Downmix,
    head: Head,
    track_id: u32,
    /// True when the claimed length is exact, so that its end may be trusted for padding.
    exact: bool,
    /// Frames at the start that are the encoder's delay, when the time stamps do not say so.
    lead_in: usize,
    /// Frames past the claimed end, held back until it is known whether they are padding.
    tail: Vec<f32>,
    /// Frames that `skip` decoded beyond what it skipped.
    surplus: Vec<f32>,
    /// A packet that `skip` has read and left.
    waiting: Option<Packet>,
    /// The last packets before the next one, as far as the decoder may want them again.
    recent: VecDeque<Packet>,
    /// Frames of this stream's packets so far, and the part of the stream that they lie in.
    played: u64,
    segment: u64,
    /// Whether the decoder has decoded a packet of this stream.
    has_decoded: bool,
    /// Time stamp that the next packet should have.
    expected: Option<i64>,
    frames: u64,
    /// Bytes of the container, of all packets and of the longest one, and the packets' number.
    container_bytes: u64,
    packet_bytes: u64,
    packet_bytes_max: u64,
    packets: u64,
    damage: Damage,
    ended: bool,
    interleaved: Vec<f32>,
}

impl Packets {
    pub(super) fn open(part: Part, container: Container) -> Result<Self, Fault> {
        contain(|| Self::open_inner(part, container)).unwrap_or(Err(NONSENSE))
    }

    fn open_inner(part: Part, container: Container) -> Result<Self, Fault> {
        let container_bytes = part.byte_len().unwrap_or(0);
        let format = open_container(part.clone(), container)?;
        let (track, params) = audio_track(format.as_ref())?;
        let (codec, head, downmix) = open_track(track, params)?;
        Ok(Self {
            part,
            track_id: track.id,
            exact: container != Container::Mp3 || track.delay.is_some(),
            lead_in: lead_in(track, &codec),
            format,
            container,
            codec,
            downmix,
            head,
            tail: Vec::new(),
            surplus: Vec::new(),
            waiting: None,
            recent: VecDeque::new(),
            played: 0,
            segment: 0,
            has_decoded: false,
            expected: None,
            frames: 0,
            container_bytes,
            packet_bytes: 0,
            packet_bytes_max: 0,
            packets: 0,
            damage: Damage::default(),
            ended: false,
            interleaved: Vec::new(),
        })
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    pub(super) fn damage(&self) -> Damage {
        self.damage
    }

    pub(super) fn read(&mut self, mono: &mut Vec<f32>) -> Result<usize, Fault> {
        let before = mono.len();
        mono.append(&mut self.surplus);
        while mono.len() == before {
            let Some(packet) = self.next_packet()? else {
                break;
            };
            if let Some(missing) = self.missing(&packet) {
                mono.resize(mono.len() + missing as usize, 0.0);
            }
            self.expect_after(&packet);
            self.enter(&packet);
            self.decode(&packet, mono);
            self.keep(packet);
        }
        let count = mono.len() - before;
        self.frames += count as u64;
        Ok(count)
    }

    /// Returns the next packet of the track; None at the end, after which it stays None.
    fn next_packet(&mut self) -> Result<Option<Packet>, Fault> {
        if self.waiting.is_some() {
            return Ok(self.waiting.take());
        }
        let mut faults = 0;
        while !self.ended {
            let Some(next) = contain(|| self.format.next_packet()) else {
                self.end(true);
                break;
            };
            match next {
                Ok(Some(packet)) if packet.track_id == self.track_id => {
                    self.count(&packet);
                    return Ok(Some(packet));
                }
                Ok(Some(_)) => {}
                Ok(None) => self.end(false),
                Err(Error::ResetRequired) => self.open_next_stream()?,
                Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    self.end(true);
                }
                Err(Error::IoError(error)) => return Err(Fault::from_io(error)),
                Err(_) => {
                    self.damage.broken_frames += 1;
                    faults += 1;
                    if faults == FAULTS_IN_A_ROW_MAX {
                        self.end(true);
                    }
                }
            }
        }
        Ok(None)
    }

    fn end(&mut self, cut: bool) {
        self.ended = true;
        // A few frames less than claimed are an encoder's rounding.
        let claimed = self.head.frames.filter(|_| self.exact).unwrap_or(0);
        let short = self.frames + (PADDING_FRAMES_MAX as u64) < claimed;
        self.damage.truncated = cut || short;
        self.damage.broken_frames += self.frames_passed_over();
    }

    fn count(&mut self, packet: &Packet) {
        let bytes = packet.data.len() as u64;
        self.packets += 1;
        self.packet_bytes += bytes;
        self.packet_bytes_max = self.packet_bytes_max.max(bytes);
    }

    /// Estimates how many MP3 frames symphonia passed over in silence while it looked for the next
    /// good one: by the bytes that were in no packet. What is lost there shifts later times, as
    /// nothing tells its length.
    fn frames_passed_over(&self) -> u64 {
        let lost_bytes = self.container_bytes.saturating_sub(self.packet_bytes);
        // The frame with the length header is in no packet, nor is the last one when it is cut.
        if self.container != Container::Mp3 || lost_bytes <= 2 * self.packet_bytes_max {
            return 0;
        }
        lost_bytes * self.packets / self.packet_bytes.max(1)
    }

    /// Goes on with the next of several streams that were glued together (chained OGG).
    fn open_next_stream(&mut self) -> Result<(), Fault> {
        let (track, params) = audio_track(self.format.as_ref())?;
        let (codec, head, downmix) = open_track(track, params)?;
        if head.rate_hz != self.head.rate_hz {
            return Err(Fault::RateChanged);
        }
        self.track_id = track.id;
        self.lead_in = lead_in(track, &codec);
        (self.codec, self.downmix, self.expected) = (codec, downmix, None);
        self.has_decoded = false;
        self.recent.clear();
        (self.played, self.segment) = (0, 0);
        self.tail.clear();
        Ok(())
    }

    /// Makes a new decoder after a panic in the old one; without one, the file ends here.
    fn replace_codec(&mut self) {
        let track = audio_track(self.format.as_ref());
        match track.and_then(|(track, params)| open_track(track, params)) {
            Ok((codec, ..)) => self.codec = codec,
            Err(_) => self.end(true),
        }
    }

    /// Returns the frames that the time stamps show to be missing before the packet.
    fn missing(&self, packet: &Packet) -> Option<u64> {
        let missing = packet.pts.get().saturating_sub(self.expected?);
        let hole_max = HOLE_SECONDS_MAX * u64::from(self.head.rate_hz);
        let missing = u64::try_from(missing).ok()?;
        (1..=hole_max).contains(&missing).then_some(missing)
    }

    /// Takes note of where the packet after this one should begin.
    fn expect_after(&mut self, packet: &Packet) {
        self.damage.broken_frames += u64::from(self.missing(packet).is_some());
        let frames = i64::try_from(self.frames_of(packet)).unwrap_or(i64::MAX);
        self.expected = Some(packet.pts.get().saturating_add(frames));
    }

    /// Returns the frames in a packet before anything is cut off.
    fn frames_of(&self, packet: &Packet) -> usize {
        if let (Container::Mp3, [_, version, ..]) = (self.container, &*packet.data) {
            // Symphonia 0.6.1 counts what is cut off twice there. Two bits tell MPEG 1 from 2.
            return if version & 0x18 == 0x18 { 1_152 } else { 576 };
        }
        usize::try_from(packet.block_dur().get()).unwrap_or(usize::MAX)
    }

    /// Decodes a packet into `interleaved`; silence of the same length when it is broken.
    fn decode_into_buffer(&mut self, packet: &Packet) -> bool {
        let channels = self.downmix.channels();
        let decoded = contain(|| self.codec.decode(packet, channels, &mut self.interleaved))
            .unwrap_or_else(|| {
                self.replace_codec();
                false
            });
        if decoded {
            self.has_decoded = true;
        } else {
            let frames = self.frames_of(packet).min(BROKEN_FRAMES_MAX);
            self.interleaved.clear();
            self.interleaved.resize(frames * channels, 0.0);
        }
        decoded
    }

    /// Returns where in the packet's frames the sound begins and ends.
    fn trims(&self, packet: &Packet, frames: usize) -> (usize, usize) {
        let trim = |ticks: u64| usize::try_from(ticks).unwrap_or(usize::MAX).min(frames);
        let start = trim(packet.trim_start.get()).max(self.lead_in.min(frames));
        let claimed_end = frames - trim(packet.trim_end.get());
        let end = if self.exact {
            claimed_end.max(start)
        } else {
            frames
        };
        (start, end)
    }

    /// Decodes a packet and appends its frames.
    fn decode(&mut self, packet: &Packet, mono: &mut Vec<f32>) {
        let decoded = self.decode_into_buffer(packet);
        self.damage.broken_frames += u64::from(!decoded);
        let channels = self.downmix.channels();
        let samples = &self.interleaved;
        let (start, end) = self.trims(packet, samples.len() / channels);
        self.lead_in -= self.lead_in.min(start);
        if start < end {
            mono.append(&mut self.tail);
            self.downmix
                .append(&samples[start * channels..end * channels], mono);
        }
        self.downmix
            .append(&samples[end.max(start) * channels..], &mut self.tail);
        if self.tail.len() > PADDING_FRAMES_MAX {
            // More than padding: the length header lied, and it will not be asked again.
            mono.append(&mut self.tail);
            self.exact = false;
        }
    }
}

/// Opens the container and reads its header.
fn open_container(part: Part, container: Container) -> Result<Box<dyn FormatReader>, Fault> {
    let stream = MediaSourceStream::new(Box::new(part), Default::default());
    let options = FormatOptions::default();
    Ok(match container {
        Container::Flac => Box::new(FlacReader::try_new(stream, options).map_err(bad_start)?),
        Container::Ogg => Box::new(OggReader::try_new(stream, options).map_err(bad_start)?),
        Container::Mp3 | Container::Wav => {
            Box::new(MpaReader::try_new(stream, options).map_err(no_mp3)?)
        }
    })
}

impl std::fmt::Debug for Packets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packets")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}
