//! One journal record as bytes, and records found again among damaged ones.
//!
//! ```text
//! COBS( length u16 | postcard record | CRC-32 ) | 0x00
//! ```
//!
//! Length and CRC-32/ISO-HDLC (over length and record) are low byte first. Byte stuffing keeps 0x00
//! out of a record, so that after a damaged one the next is found for certain. Variants are only
//! appended, and their fields never change: a journal outlives an update. Pure functions.

use std::ops::Range;

use crc::{CRC_32_ISO_HDLC, Crc};
use pressel_pipeline::limits::TEXT_BYTES_MAX;
use pressel_wire::{Mark, Outcome};
use serde::{Deserialize, Serialize};

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Bytes of length and CRC.
const LENGTH_BYTES: usize = 2;
const CRC_BYTES: usize = 4;
/// Bytes of the longest postcard record: the text, and numbers of at most ten bytes each.
const RECORD_BYTES_MAX: usize = TEXT_BYTES_MAX + 160;
const _: () = assert!(RECORD_BYTES_MAX <= u16::MAX as usize);
/// Bytes of the longest record on the disk. COBS adds one byte for each 254, and there is the end.
pub const STUFFED_BYTES_MAX: usize = {
    let plain = LENGTH_BYTES + RECORD_BYTES_MAX + CRC_BYTES;
    plain + plain / 254 + 2
};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every record is an outcome, and one exists at a time"
)]
pub enum Record {
    /// First in each file: what must be known when the files before it are gone.
    Head {
        /// The newest start.
        epoch: u32,
        /// Everything before this mark was acknowledged.
        acknowledged: Mark,
        /// Everything before this mark is in no file any more.
        forgotten: Mark,
    },
    /// The appliance started.
    Start {
        /// Its number, which the link tells as `boot`.
        epoch: u32,
        /// Wall time: milliseconds since 1970.
        at_ms: u64,
    },
    /// An utterance has its outcome.
    Outcome(Spoken),
    /// Everything before this mark has arrived at the host.
    Acknowledged(Mark),
}

/// An outcome as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoken {
    /// The start that heard it.
    pub epoch: u32,
    /// Wall time: milliseconds since 1970.
    pub at_ms: u64,
    /// The outcome as the link tells it.
    pub outcome: Outcome,
    /// Its text, empty unless the result is text.
    pub text: heapless::String<TEXT_BYTES_MAX>,
}

impl Spoken {
    /// Returns its place in the order of all outcomes.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            boot: self.epoch,
            next: self.outcome.sequence,
        }
    }

    /// Returns the mark behind it.
    #[must_use]
    pub fn end(&self) -> Mark {
        Mark {
            boot: self.epoch,
            next: self.outcome.sequence.saturating_add(1),
        }
    }
}

/// Returns a record as bytes, its end included.
#[must_use]
pub fn encode(record: &Record) -> Vec<u8> {
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
pub fn decode(stuffed: &[u8]) -> Option<Record> {
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

/// What is in a journal file.
#[derive(Debug, Default)]
pub struct Scan {
    /// The whole records, each with its place in the file.
    pub records: Vec<(Range<usize>, Record)>,
    /// Records that were there and could not be read.
    pub damaged: usize,
    /// Bytes up to the end of the last record; what follows is torn.
    pub whole_bytes: usize,
}

/// Finds the records of a journal file. Any bytes are read without a panic.
#[must_use]
pub fn scan(bytes: &[u8]) -> Scan {
    let mut found = Scan::default();
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

#[cfg(test)]
mod tests {
    use pressel_wire::{OutcomeResult, Trigger};
    use proptest::prelude::*;

    use super::*;
    use crate::outcome::Finished;

    fn spoken(sequence: u32, text: &str) -> Record {
        let result = OutcomeResult::NoSpeech;
        let mut finished = Finished::bare(sequence, Trigger::Ptt, result, 0);
        finished.outcome.sequence = sequence;
        Record::Outcome(Spoken {
            epoch: u32::MAX,
            at_ms: u64::MAX,
            outcome: finished.outcome,
            text: heapless::String::try_from(text).unwrap(),
        })
    }

    fn file(records: &[Record]) -> Vec<u8> {
        records.iter().flat_map(encode).collect()
    }

    fn check(bytes: &[u8], expected: &[Record], damaged: usize) {
        let found = scan(bytes);
        let records: Vec<_> = found
            .records
            .into_iter()
            .map(|(_, record)| record)
            .collect();
        assert_eq!(records, expected);
        assert_eq!(found.damaged, damaged);
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let records = [
            spoken(0, "stop"),
            spoken(u32::MAX, &"x".repeat(TEXT_BYTES_MAX)),
        ];
        check(&file(&records), &records, 0);
        assert!(encode(&records[1]).len() <= STUFFED_BYTES_MAX);
    }

    #[test]
    fn torn_tail_is_left_out_at_every_length() {
        let (first, second) = (encode(&spoken(0, "stop")), encode(&spoken(1, "go")));
        for kept in 0..second.len() {
            let bytes = [&first[..], &second[..kept]].concat();
            check(&bytes, &[spoken(0, "stop")], 0);
            assert_eq!(scan(&bytes).whole_bytes, first.len());
        }
    }

    #[test]
    fn damaged_record_costs_at_most_itself_and_its_neighbour() {
        let records = [
            spoken(0, "stop"),
            spoken(1, "turn"),
            spoken(2, "go"),
            spoken(3, "on"),
        ];
        let bytes = file(&records);
        let first = encode(&records[0]).len();
        let middle = first..first + encode(&records[1]).len();
        for place in middle.clone() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[place] ^= 1 << bit;
                let found = scan(&bytes);
                let kept = |record| found.records.iter().any(|(_, other)| other == record);
                assert!(kept(&records[0]) && kept(&records[3]));
                // A lost end joins it with the next one.
                assert!(kept(&records[2]) || place + 1 == middle.end);
                assert!(!kept(&records[1]), "place={place} bit={bit}");
                assert!(0 < found.damaged);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn any_bytes_are_read_without_a_panic(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0)], 0..4_000)
        ) {
            let found = scan(&bytes);
            prop_assert!(found.whole_bytes <= bytes.len());
        }

        #[test]
        fn records_among_noise_are_found(
            noise in proptest::collection::vec(any::<u8>(), 0..300)
        ) {
            let mut bytes = noise;
            bytes.push(0);
            bytes.extend(encode(&spoken(7, "stop")));
            let found = scan(&bytes);
            prop_assert_eq!(&found.records.last().unwrap().1, &spoken(7, "stop"));
        }
    }
}
