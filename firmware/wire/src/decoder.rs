//! From the bytes of the wire to messages.
//!
//! ```text
//!           byte                     byte that does not fit
//!         ┌──────┐                 ┌──────────────────────▶ SKIPPING ─┐
//! 0x00 ─▶ COLLECTING ──────────────┘                           │ 0x00 │ byte: thrown away
//!            ▲  │ 0x00: message or error                       │      │
//!            └──┴──────────────────────────────────────────────┘ ◀────┘
//! ```
//!
//! Bytes go in as they arrive, in pieces of any size; messages and errors come out. Each byte costs
//! the same bounded work, each 0x00 the decoding of one frame. Nothing here panics on any input.

use core::fmt;
use core::marker::PhantomData;

use crate::frame::{CRC_BYTES, DELIMITER, Message, STUFFED_BYTES_MAX, checksum};

/// Why the bytes between two 0x00 gave no message. They are gone; the next frame is not affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// More bytes than any frame has. Cause: a lost 0x00, noise, or a newer sender.
    Overlong,
    /// The byte stuffing is not right. Cause: damage on the wire.
    BadCobs,
    /// The CRC does not fit. Cause: damage on the wire.
    BadCrc,
    /// The frame is intact but it is no message of this version and direction. Cause: a newer
    /// sender, or one's own echo.
    BadMessage,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overlong => "frame too long",
            Self::BadCobs => "bad stuffing",
            Self::BadCrc => "bad crc",
            Self::BadMessage => "unknown message",
        })
    }
}
impl core::error::Error for DecodeError {}

/// What a [`Decoder`] has seen since it was made. Stays at `u32::MAX` when it gets there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeCounts {
    /// Messages delivered.
    pub frames: u32,
    /// See [`DecodeError::Overlong`].
    pub overlong: u32,
    /// See [`DecodeError::BadCobs`].
    pub bad_cobs: u32,
    /// See [`DecodeError::BadCrc`].
    pub bad_crc: u32,
    /// See [`DecodeError::BadMessage`].
    pub bad_message: u32,
}

impl DecodeCounts {
    /// Returns the count of frames that gave no message, of all causes.
    pub fn bad(&self) -> u32 {
        self.overlong
            .saturating_add(self.bad_cobs)
            .saturating_add(self.bad_crc)
            .saturating_add(self.bad_message)
    }

    fn count<M>(&mut self, result: &Result<M, DecodeError>) {
        let counter = match result {
            Ok(_) => &mut self.frames,
            Err(DecodeError::Overlong) => &mut self.overlong,
            Err(DecodeError::BadCobs) => &mut self.bad_cobs,
            Err(DecodeError::BadCrc) => &mut self.bad_crc,
            Err(DecodeError::BadMessage) => &mut self.bad_message,
        };
        *counter = counter.saturating_add(1);
    }
}

/// Receives messages of one direction. Memory: about 300 bytes.
#[derive(Clone, Debug)]
pub struct Decoder<M> {
    stuffed: [u8; STUFFED_BYTES_MAX],
    collected_bytes: usize,
    skipping: bool,
    counts: DecodeCounts,
    message: PhantomData<fn() -> M>,
}

impl<M: Message> Default for Decoder<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Message> Decoder<M> {
    /// Returns a decoder that has seen nothing.
    pub const fn new() -> Self {
        Self {
            stuffed: [0; STUFFED_BYTES_MAX],
            collected_bytes: 0,
            skipping: false,
            counts: DecodeCounts {
                frames: 0,
                overlong: 0,
                bad_cobs: 0,
                bad_crc: 0,
                bad_message: 0,
            },
            message: PhantomData,
        }
    }

    /// Takes one byte; returns a message or an error when the byte ended a frame.
    pub fn push_byte(&mut self, byte: u8) -> Option<Result<M, DecodeError>> {
        if byte != DELIMITER {
            self.collect(byte);
            return None;
        }
        let collected_bytes = core::mem::take(&mut self.collected_bytes);
        let result = if core::mem::take(&mut self.skipping) {
            Err(DecodeError::Overlong)
        } else if collected_bytes == 0 {
            return None; // two 0x00 in a row mean nothing
        } else {
            read_frame(&mut self.stuffed[..collected_bytes])
        };
        self.counts.count(&result);
        Some(result)
    }

    /// Takes `bytes`; the iterator returns the messages and errors of the frames that ended in
    /// them. At most `bytes.len()` items. Bytes that are not iterated over are lost.
    pub fn push<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> impl Iterator<Item = Result<M, DecodeError>> + 'a {
        bytes.iter().filter_map(|&byte| self.push_byte(byte))
    }

    /// Forgets a frame that has begun. For a serial line that was closed and opened again.
    pub fn reset(&mut self) {
        self.collected_bytes = 0;
        self.skipping = false;
    }

    /// Returns what this decoder has seen.
    pub fn counts(&self) -> DecodeCounts {
        self.counts
    }

    fn collect(&mut self, byte: u8) {
        if let Some(place) = self.stuffed.get_mut(self.collected_bytes) {
            *place = byte;
            self.collected_bytes += 1;
        } else {
            self.skipping = true;
        }
    }
}

/// Reads what stood between two 0x00. The bytes are overwritten.
fn read_frame<M: Message>(stuffed: &mut [u8]) -> Result<M, DecodeError> {
    let payload_bytes = cobs::decode_in_place(stuffed).map_err(|_| DecodeError::BadCobs)?;
    let payload = stuffed.get(..payload_bytes).ok_or(DecodeError::BadCobs)?;
    let (checked, crc) = payload
        .split_last_chunk::<CRC_BYTES>()
        .ok_or(DecodeError::BadCrc)?;
    if checksum(checked) != u16::from_le_bytes(*crc) {
        return Err(DecodeError::BadCrc);
    }
    match checked.split_first() {
        Some((&header, message)) if header == M::HEADER => read_message(message),
        _ => Err(DecodeError::BadMessage),
    }
}

/// Reads a postcard message that takes all of `bytes`: one that has grown is another message.
fn read_message<M: Message>(bytes: &[u8]) -> Result<M, DecodeError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(DecodeError::BadMessage),
    }
}

#[cfg(test)]
mod tests;
