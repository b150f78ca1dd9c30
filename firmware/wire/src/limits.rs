//! Every capacity of the link.
//!
//! The capacities of the appliance live in the pipeline crate; these live here because a receiver
//! on a microcontroller uses this crate alone. Changing one of them is a change of the contract.

/// Version of the link, sent in `Hello` and in the header byte of each frame.
pub const PROTOCOL: u8 = 1;

/// Bytes on the wire of the longest frame, both 0x00 included.
///
/// Why 256: a receiver that collects the bytes between two 0x00 needs a buffer of 254 bytes.
/// When a frame is longer: the receiver skips it to the next 0x00 and counts it in `overlong`.
pub const FRAME_BYTES_MAX: usize = 256;

/// Bytes of the longest postcard message, without header, CRC and COBS.
///
/// Why 250: with the header byte and the CRC that is 253 bytes, and COBS adds exactly one byte to
/// anything shorter than 254.
/// When a message is longer: encoding it fails with `EncodeError::MessageTooLong`.
pub const MESSAGE_BYTES_MAX: usize = 250;
const _: () = assert!(MESSAGE_BYTES_MAX + 1 + 2 + 1 + 2 == FRAME_BYTES_MAX); // see frame.rs
const _: () = assert!(MESSAGE_BYTES_MAX + 1 + 2 < 254); // COBS adds one byte

/// Bytes of UTF-8 text in one `Transcript` or `Part` message.
///
/// Why 192: the message's other fields take at most 17 bytes; 192 is 1/8 of the longest text.
/// When text is longer: it goes in parts, cut where a character begins.
pub const PART_BYTES_MAX: usize = 192;
const _: () = assert!(PART_BYTES_MAX + 17 <= MESSAGE_BYTES_MAX);

/// Bytes of UTF-8 text in one transcript, all parts together.
///
/// Why 1,536: 30 s of the fastest speech gives about 224 tokens of about 5 bytes.
/// When text is longer: the sender cuts it where a character begins and sets `truncated`.
pub const TEXT_BYTES_MAX: usize = 1_536;

/// Parts of one transcript: a part may end up to 3 bytes early so that a character stays whole.
pub const PARTS_MAX: usize = TEXT_BYTES_MAX.div_ceil(PART_BYTES_MAX - 3);
const _: () = assert!(PARTS_MAX <= u8::MAX as usize); // `part` and `parts` are one byte each

/// Bytes of UTF-8 in the names of board and model. Longer names are cut.
pub const NAME_BYTES_MAX: usize = 24;

/// Bytes of the longest line in line mode, without its line feed.
///
/// Why 1,600: the longest text, and `TEXT`, a number and two spaces before it.
/// When a line is longer: the receiver skips it to the next line feed and counts it.
pub const LINE_BYTES_MAX: usize = 1_600;
const _: () = assert!(TEXT_BYTES_MAX + 32 <= LINE_BYTES_MAX);

/// Bytes of the longest line from the host, without its end. Longer lines are skipped and counted.
///
/// Why 64: `PING 4294967295` is 15 bytes; the rest is room for later commands.
pub const HOST_LINE_BYTES_MAX: usize = 64;
