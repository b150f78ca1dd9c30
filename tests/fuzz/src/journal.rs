//! The journal: any bytes as its files.
//!
//! First byte: whether the rest is a file, or the content of one whole record. What is found can
//! be written again; a record behind the damage is found; a journal of such files starts, takes an
//! outcome and has it after the next start.

use pressel::journal::frame::STUFFED_BYTES_MAX;
use pressel::journal::record::{decode, encode};
use pressel::journal::{Journal, Limits, Record, Spoken, scan};
use pressel::outcome::Finished;
use pressel_wire::{Mark, OutcomeResult, Trigger};

use super::memory::Memory;
use super::sums;

/// Checks any bytes as a file of the journal.
pub fn check(bytes: &[u8]) {
    let Some((kind, content)) = bytes.split_first() else {
        return;
    };
    let file = if kind & 1 == 0 {
        content.to_vec()
    } else {
        sums::record(content)
    };
    check_scan(&file);
    check_journal(&file);
}

fn check_scan(file: &[u8]) {
    let found = scan(file);
    assert!(found.whole_bytes <= file.len());
    assert!(!file[found.whole_bytes..].contains(&0), "a tail has no end");
    let mut end = 0;
    for (range, record) in &found.records {
        assert!(end <= range.start && range.end <= found.whole_bytes);
        end = range.end;
        let written = encode(record);
        assert!(written.len() <= STUFFED_BYTES_MAX);
        assert_eq!(decode(&written[..written.len() - 1]).as_ref(), Some(record));
    }
    // What comes behind damage is found, and what was before it is not lost.
    let known = Record::Acknowledged(Mark { boot: 3, next: 4 });
    let mut longer = file.to_vec();
    longer.push(0);
    longer.extend(encode(&known));
    let after = scan(&longer);
    assert_eq!(after.records.last().map(|(_, record)| record), Some(&known));
    assert!(after.records.starts_with(&found.records));
}

fn check_journal(file: &[u8]) {
    let disk = Memory::with_file(4, file);
    let mut journal = Journal::new(disk.clone(), Limits::default());
    journal.start(0).expect("any files are repaired");
    let epoch = journal.epoch();
    if epoch == u32::MAX {
        return; // The last start of all: there is no number after it.
    }
    let mut finished = Finished::bare(1, Trigger::Ptt, OutcomeResult::NoSpeech, 0);
    finished.outcome.sequence = 0;
    let spoken = Spoken {
        epoch,
        at_ms: 0,
        outcome: finished.outcome,
        text: "stop".try_into().expect("it is short"),
    };
    journal.outcome(spoken.clone());
    journal.work().expect("memory does not fail");
    let found = journal.next_after(spoken.mark());
    assert_eq!(found.spoken.as_ref(), Some(&spoken));
    let mut again = Journal::new(disk, Limits::default());
    again.start(0).expect("what was repaired stays good");
    assert!(epoch < again.epoch());
    assert_eq!(again.next_after(spoken.mark()).spoken, Some(spoken));
}
