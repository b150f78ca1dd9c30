//! The lines of the journal.
//!
//! As bytes each is a record of [`frame`]. Variants are only appended, and their fields never
//! change: a journal outlives an update. Pure functions.

use pressel_pipeline::limits::TEXT_BYTES_MAX;
use pressel_wire::{Mark, Outcome};
use serde::{Deserialize, Serialize};

use super::frame;

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
    frame::encode(record)
}

/// Reads one record from its stuffed bytes, without the end. `None`: it is damaged.
#[must_use]
pub fn decode(stuffed: &[u8]) -> Option<Record> {
    frame::decode(stuffed)
}

/// Finds the records of a journal file. Any bytes are read without a panic.
#[must_use]
pub fn scan(bytes: &[u8]) -> frame::Scan<Record> {
    frame::scan(bytes)
}

#[cfg(test)]
mod tests {
    use pressel_wire::{OutcomeResult, Trigger};
    use proptest::prelude::*;

    use super::frame::STUFFED_BYTES_MAX;
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
