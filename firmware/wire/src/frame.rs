//! From a message to the bytes on the wire.
//!
//! ```text
//! 0x00 | COBS( header | postcard message | CRC low | CRC high ) | 0x00
//! ```
//!
//! A message goes in, a whole frame comes out, in the caller's buffer. The 0x00 in front closes
//! whatever noise came before, so that noise on an idle line costs no frame.

use core::fmt;

use crc::{CRC_16_IBM_SDLC, Crc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::{FRAME_BYTES_MAX, MESSAGE_BYTES_MAX, PROTOCOL};
use crate::message::{DeviceMessage, HostMessage};

/// Ends a frame, and begins one. It is nowhere else.
pub const DELIMITER: u8 = 0;

/// Bytes of the CRC at the end of the payload.
pub(crate) const CRC_BYTES: usize = 2;

/// Bytes of the longest payload: header, message and CRC, before COBS.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 + MESSAGE_BYTES_MAX + CRC_BYTES;

/// Bytes between the two 0x00 of the longest frame: what a receiver must be able to hold.
pub const STUFFED_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 1;
const _: () = assert!(STUFFED_BYTES_MAX + 2 == FRAME_BYTES_MAX); // one 0x00 on each side

/// CRC-16/IBM-SDLC, the frame check of HDLC and PPP: its bits go in the order of the UART's bits.
static CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_SDLC);

/// Returns the CRC-16/IBM-SDLC of `bytes`.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    CRC.checksum(bytes)
}

/// A message that may go on the wire. Each direction has one type and one header byte.
pub trait Message: Serialize + DeserializeOwned {
    /// First byte of the payload: the link version in the high four bits, the direction in the low
    /// four. An appliance that hears its own echo sees a foreign header and presses no button.
    const HEADER: u8;
}

impl Message for DeviceMessage {
    const HEADER: u8 = PROTOCOL << 4;
}

impl Message for HostMessage {
    const HEADER: u8 = PROTOCOL << 4 | 1;
}

/// Why a message was not encoded. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The message is longer than [`MESSAGE_BYTES_MAX`] or than a line may be. Recovery: none; no
    /// message of this crate can be that long.
    MessageTooLong,
    /// The caller's buffer is too small. Recovery: try again when there is room;
    /// [`FRAME_BYTES_MAX`] bytes are always enough for a frame.
    BufferTooSmall,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MessageTooLong => "message too long",
            Self::BufferTooSmall => "buffer too small",
        })
    }
}
impl core::error::Error for EncodeError {}

/// Writes `message` as one whole frame into `bytes` and returns how many bytes it took.
///
/// # Errors
/// [`EncodeError`]; the content of `bytes` is not to be sent then.
pub fn encode<M: Message>(message: &M, bytes: &mut [u8]) -> Result<usize, EncodeError> {
    let mut payload = [0; PAYLOAD_BYTES_MAX];
    payload[0] = M::HEADER;
    let room = &mut payload[1..=MESSAGE_BYTES_MAX];
    let message_bytes = postcard::to_slice(message, room)
        .map_err(|_| EncodeError::MessageTooLong)?
        .len();
    let checked_bytes = 1 + message_bytes;
    let crc = checksum(&payload[..checked_bytes]).to_le_bytes();
    payload[checked_bytes..checked_bytes + CRC_BYTES].copy_from_slice(&crc);

    let payload = &payload[..checked_bytes + CRC_BYTES];
    let frame_bytes = payload.len() + 3; // one byte of COBS, and 0x00 on both sides
    let frame = bytes
        .get_mut(..frame_bytes)
        .ok_or(EncodeError::BufferTooSmall)?;
    let stuffed = cobs::try_encode(payload, &mut frame[1..frame_bytes - 1]);
    if stuffed != Ok(frame_bytes - 2) {
        return Err(EncodeError::MessageTooLong);
    }
    frame[0] = DELIMITER;
    frame[frame_bytes - 1] = DELIMITER;
    Ok(frame_bytes)
}

/// Writes a message to the host as one whole frame. See [`encode`].
///
/// # Errors
/// [`EncodeError`]; the content of `bytes` is not to be sent then.
pub fn encode_device(message: &DeviceMessage, bytes: &mut [u8]) -> Result<usize, EncodeError> {
    encode(message, bytes)
}

/// Writes a message to the appliance as one whole frame. See [`encode`].
///
/// # Errors
/// [`EncodeError`]; the content of `bytes` is not to be sent then.
pub fn encode_host(message: &HostMessage, bytes: &mut [u8]) -> Result<usize, EncodeError> {
    encode(message, bytes)
}
