//! Records as bytes, and whole records found again among torn and damaged ones.
//!
//! ```text
//! COBS( length u16 | postcard record | CRC-32 ) | 0x00
//! ```
//!
//! Length and CRC-32/ISO-HDLC (over length and record) are low byte first. Byte stuffing keeps 0x00
//! out of a record, so that after a damaged one the next is found for certain. The journal and the
//! checkpoints of file jobs are written so. Pure functions.

use std::ops::Range;

use crc::{CRC_32_ISO_HDLC, Crc};
use pressel_pipeline::limits::{SEGMENT_BYTES_MAX, SEGMENTS_MAX, TEXT_BYTES_MAX};
use serde::Serialize;
use serde::de::DeserializeOwned;

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Bytes of length and CRC.
const LENGTH_BYTES: usize = 2;
const CRC_BYTES: usize = 4;
/// Bytes of the longest postcard record: the text, the segments of a window, and numbers of at most
/// ten bytes each.
pub const RECORD_BYTES_MAX: usize = TEXT_BYTES_MAX + SEGMENTS_MAX * SEGMENT_BYTES_MAX + 160;
const _: () = assert!(RECORD_BYTES_MAX <= u16::MAX as usize);
/// Bytes of the longest record on the disk. COBS adds one byte for each 254, and there is the end.
pub const STUFFED_BYTES_MAX: usize = {
    let plain = LENGTH_BYTES + RECORD_BYTES_MAX + CRC_BYTES;
    plain + plain / 254 + 2
};

/// Returns a record of at most [`RECORD_BYTES_MAX`] as bytes, its end included.
#[must_use]
pub fn encode<R: Serialize>(record: &R) -> Vec<u8> {
    let mut plain = [0; LENGTH_BYTES + RECORD_BYTES_MAX + CRC_BYTES];
    let room = &mut plain[LENGTH_BYTES..LENGTH_BYTES + RECORD_BYTES_MAX];
    // Every record fits: see the constant. An empty one would be read as damaged.
    let record_bytes = postcard::to_slice(record, room).map_or(0, |bytes| bytes.len());
    let length = u16::try_from(record_bytes).unwrap_or_default();
    plain[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    let checked = LENGTH_BYTES + record_bytes;
    let crc = CRC.checksum(&plain[..checked]).to_le_bytes();
    plain[checked..checked + CRC_BYTES].copy_from_slice(&crc);
    let mut bytes = vec![0; STUFFED_BYTES_MAX];
    let stuffed = cobs::try_encode(&plain[..checked + CRC_BYTES], &mut bytes).unwrap_or(0);
    bytes.truncate(stuffed + 1); // the last one is the end
    bytes
}

/// Reads one record from its stuffed bytes, without the end. `None`: it is damaged.
#[must_use]
pub fn decode<R: DeserializeOwned>(stuffed: &[u8]) -> Option<R> {
    if STUFFED_BYTES_MAX < stuffed.len() {
        return None;
    }
    let mut plain = stuffed.to_vec();
    let plain_bytes = cobs::decode_in_place(&mut plain).ok()?;
    plain.truncate(plain_bytes);
    let (checked, crc) = plain.split_last_chunk::<CRC_BYTES>()?;
    let (length, record) = checked.split_first_chunk::<LENGTH_BYTES>()?;
    let whole = usize::from(u16::from_le_bytes(*length)) == record.len()
        && CRC.checksum(checked) == u32::from_le_bytes(*crc);
    if !whole {
        return None;
    }
    match postcard::take_from_bytes(record) {
        Ok((record, [])) => Some(record),
        _ => None,
    }
}

/// What is in a file of records.
#[derive(Debug)]
pub struct Scan<R> {
    /// The whole records, each with its place in the file.
    pub records: Vec<(Range<usize>, R)>,
    /// Records that were there and could not be read.
    pub damaged: usize,
    /// Bytes up to the end of the last record; what follows is torn.
    pub whole_bytes: usize,
}

/// Finds the records of a file. Any bytes are read without a panic.
#[must_use]
pub fn scan<R: DeserializeOwned>(bytes: &[u8]) -> Scan<R> {
    let mut found = Scan {
        records: Vec::new(),
        damaged: 0,
        whole_bytes: 0,
    };
    let mut start = 0;
    for (end, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == 0) {
        if start < end {
            match decode(&bytes[start..end]) {
                Some(record) => found.records.push((start..end + 1, record)),
                None => found.damaged += 1,
            }
        }
        start = end + 1;
    }
    found.whole_bytes = start;
    found
}
