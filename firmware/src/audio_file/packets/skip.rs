//! Going forward in a file of packets without decoding all of it.
//!
//! In: a number of frames. Out: the decoder in the state in which reading would have left it. A
//! packet tells its length, so packets are passed over whole; only the last ones before the target
//! are decoded, because what comes next needs them: MP3 takes bits out of earlier packets, and
//! Vorbis and MP3 overlap with the one before. Frames of FLAC are not even read, see `leap`.
//!
//! Opus never quite forgets. So that its recordings can be entered in the middle all the same, the
//! decoder begins anew every 20 s, also when all is read: with the packets before, far more than
//! the 80 ms after which nobody hears a difference. Source: RFC 7845 section 4.6.
//!
//! What may not happen: a sample that differs from what reading from the start gives. So the first
//! packet of a stream is always decoded, and so is the end, where padding is cut off.

use symphonia::core::packet::Packet;

use super::leap::leap;
use super::{Container, Fault, Packets, open_container};
use crate::audio_file::contain::contain;

/// Packets that are decoded before the target.
///
/// Why 64: MP3 reaches back 511 bytes at most, which are 22 packets of 8 kbit/s, and its filters
/// two more; Vorbis needs one, FLAC none. Opus: 1.3 s of packets as all encoders make them.
const LEAD_IN_PACKETS: usize = 64;

/// Shortest jump for which frames of FLAC are looked for.
const LEAP_SECONDS_MIN: u64 = 2;

/// Seconds after which an Opus decoder begins anew.
const SEGMENT_SECONDS: u64 = 20;

impl Packets {
    /// Goes `frames` frames forward and returns how many there were.
    pub(in crate::audio_file) fn skip(&mut self, frames: u64) -> Result<u64, Fault> {
        let mut mono = Vec::new();
        let mut skipped = 0;
        while skipped < frames {
            if self.surplus.is_empty() {
                skipped += self.walk(frames - skipped)?;
            }
            mono.clear();
            let count = self.read(&mut mono)?;
            if count == 0 {
                break;
            }
            let wanted = (frames - skipped).min(count as u64) as usize;
            skipped += wanted as u64;
            self.surplus.extend_from_slice(&mono[wanted..]);
            self.frames -= (count - wanted) as u64;
        }
        Ok(skipped)
    }

    /// Passes over whole packets, at most `frames` frames, and makes the decoder ready for the next
    /// one. Returns the frames passed over.
    fn walk(&mut self, frames: u64) -> Result<u64, Fault> {
        let mut walked = self.leap(frames)?;
        // Packets that the decoder has heard, and whether it must forget them.
        let mut heard = self.recent.len();
        let mut anew = false;
        while let Some(packet) = self.next_packet()? {
            let length = self.length(&packet);
            let Some(length) = length.filter(|length| walked + length <= frames) else {
                self.waiting = Some(packet);
                break;
            };
            self.expect_after(&packet);
            self.lead_in -= self
                .lead_in
                .min(self.trims(&packet, self.frames_of(&packet)).0);
            walked += length;
            let full = self.recent.len() == LEAD_IN_PACKETS && self.codec.forgets();
            if self.begins_segment(&packet) || full {
                (heard, anew) = (0, true);
                self.keep_recent(LEAD_IN_PACKETS - usize::from(full));
            }
            self.recent.push_back(packet);
        }
        self.frames += walked;
        if anew {
            self.codec.reset();
        }
        self.hear_recent(heard);
        Ok(walked)
    }

    /// Jumps in a FLAC file whose frames have followed each other so far and go on to do so.
    /// Returns the frames passed over.
    fn leap(&mut self, frames: u64) -> Result<u64, Fault> {
        let least = LEAP_SECONDS_MIN * u64::from(self.head.rate_hz);
        let here = self.expected.and_then(|here| u64::try_from(here).ok());
        let Some(here) = here.filter(|here| *here == self.frames && least < frames) else {
            return Ok(0);
        };
        if self.container != Container::Flac || self.waiting.is_some() {
            return Ok(0);
        }
        let mut part = self.part.without(0, 0);
        let landing = leap(&mut part, here + frames).map_err(Fault::from_io)?;
        let Some(landing) = landing.filter(|landing| here < landing.start) else {
            return Ok(0);
        };
        let part = self.part.without(landing.first, landing.at);
        let Some(Ok(mut format)) = contain(|| open_container(part, self.container)) else {
            return Ok(0);
        };
        // Does it come out where it should?
        match contain(|| format.next_packet()) {
            Some(Ok(Some(packet))) if u64::try_from(packet.pts.get()) == Ok(landing.start) => {
                self.waiting = Some(packet);
            }
            _ => return Ok(0),
        }
        self.format = format;
        self.expected = i64::try_from(landing.start).ok();
        Ok(landing.start - here)
    }

    /// Returns the frames that decoding the packet would give; None when only decoding can tell.
    fn length(&self, packet: &Packet) -> Option<u64> {
        let frames = self.frames_of(packet);
        let (start, end) = self.trims(packet, frames);
        let plain = self.has_decoded && self.tail.is_empty() && end == frames;
        plain.then(|| self.missing(packet).unwrap_or(0) + (end - start) as u64)
    }

    /// Makes the decoder ready for a packet that is decoded next.
    pub(super) fn enter(&mut self, packet: &Packet) {
        if self.begins_segment(packet) {
            self.codec.reset();
            self.hear_recent(0);
        }
    }

    /// Keeps a packet that was decoded, where the decoder will want it again.
    pub(super) fn keep(&mut self, packet: Packet) {
        if !self.codec.forgets() {
            self.recent.push_back(packet);
            self.keep_recent(LEAD_IN_PACKETS);
        }
    }

    /// Counts the packet, and returns whether an Opus decoder begins anew with it.
    fn begins_segment(&mut self, packet: &Packet) -> bool {
        let segment = self.played / (SEGMENT_SECONDS * u64::from(self.head.rate_hz));
        let begins = self.segment != segment && !self.codec.forgets();
        self.segment = segment;
        self.played += self.frames_of(packet) as u64;
        begins
    }

    /// Decodes the recent packets from index `heard` on, and keeps those that will be wanted again.
    fn hear_recent(&mut self, heard: usize) {
        let mut recent = std::mem::take(&mut self.recent);
        for packet in recent.iter().skip(heard) {
            self.decode_into_buffer(packet);
        }
        if self.codec.forgets() {
            recent.clear();
        }
        self.recent = recent;
        self.keep_recent(LEAD_IN_PACKETS);
    }

    fn keep_recent(&mut self, count: usize) {
        self.recent.drain(..self.recent.len().saturating_sub(count));
    }
}
