//! The journal against a disk that fails or loses its power at every operation.
//!
//! Each life of the appliance starts, speaks and is acknowledged over small files, so that new
//! files are begun and old ones removed. After each fault, what was durable must be there: once, in
//! order, or told as a gap when it was rotated away.

use pressel_wire::{Mark, OutcomeResult, Trigger};
use proptest::prelude::*;

use super::sim_disk::{Fault, SimDisk, Tear};
use super::{Disk as _, Folder, Journal, Limits, Spoken};
use crate::outcome::Finished;

const LIMITS: Limits = Limits {
    outcomes_max: 3,
    bytes_max: 100_000,
};
/// Outcomes of one life.
const OUTCOMES: u32 = 5;

/// What the world outside the disk knows.
#[derive(Clone, Default)]
struct Known {
    durable: Vec<Spoken>,
    said: Vec<Spoken>,
    /// Of this life.
    unconfirmed: Vec<Spoken>,
    epoch: u32,
    acknowledged: Mark,
    acknowledged_most: Mark,
}

fn spoken(epoch: u32, sequence: u32) -> Spoken {
    let mut finished = Finished::bare(sequence, Trigger::Ptt, OutcomeResult::NoSpeech, 0);
    finished.outcome.sequence = sequence;
    let text = format!("{epoch} {sequence}");
    Spoken {
        epoch,
        at_ms: 0,
        outcome: finished.outcome,
        text: heapless::String::try_from(text.as_str()).unwrap(),
    }
}

impl Known {
    fn confirm(&mut self, journal: &mut Journal<SimDisk>) {
        if journal.work().is_ok() {
            assert!(!journal.is_behind());
            self.durable.append(&mut self.unconfirmed);
            self.epoch = self.epoch.max(journal.epoch());
            self.acknowledged = journal.acknowledged();
        }
    }

    /// One life: until its end, or until the power goes.
    fn live(&mut self, disk: &SimDisk) {
        self.unconfirmed.clear();
        let mut journal = Journal::new(disk.clone(), LIMITS);
        if journal.start(0).is_ok() {
            assert!(self.epoch < journal.epoch());
            self.epoch = journal.epoch();
        }
        for sequence in 0..OUTCOMES {
            if disk.is_off() {
                return;
            }
            let spoken = spoken(journal.epoch(), sequence);
            let end = spoken.end();
            self.said.push(spoken.clone());
            self.unconfirmed.push(spoken.clone());
            journal.outcome(spoken);
            self.confirm(&mut journal);
            if sequence % 2 == 1 && !disk.is_off() {
                self.acknowledged_most = end;
                journal.acknowledge(end);
                self.confirm(&mut journal);
            }
        }
        for _ in 0..3 {
            self.confirm(&mut journal);
        }
        assert!(
            disk.is_off() || !journal.is_behind(),
            "tried again after two faults"
        );
        self.check_walk(&mut journal);
    }

    /// Starts from what is on the disk and compares with what must be there.
    fn check(&self, disk: &SimDisk) {
        let mut journal = Journal::new(disk.clone(), LIMITS);
        journal.start(0).unwrap();
        assert!(self.epoch < journal.epoch(), "an epoch came twice");
        assert!(self.acknowledged <= journal.acknowledged());
        assert!(journal.acknowledged() <= self.acknowledged_most);
        self.check_walk(&mut journal);
    }

    fn check_walk(&self, journal: &mut Journal<SimDisk>) {
        let (mut mark, mut walked, mut gap_before) = (Mark::default(), Vec::new(), false);
        loop {
            let found = journal.next_after(mark);
            let Some(spoken) = found.spoken else { break };
            assert!(mark <= spoken.mark(), "out of order");
            mark = spoken.end();
            gap_before |= found.gap;
            walked.push(spoken);
        }
        assert!(walked.iter().all(|spoken| self.said.contains(spoken)));
        let missing = self
            .durable
            .iter()
            .filter(|spoken| !walked.contains(spoken));
        let missing: Vec<_> = missing.collect();
        // Only the oldest may be missing, only when enough newer ones are there, and it is told.
        if let Some(newest) = missing.last() {
            assert!(walked.iter().all(|spoken| newest.mark() < spoken.mark()));
            assert!(LIMITS.outcomes_max <= walked.len(), "too few are kept");
            assert!(gap_before, "lost without a word");
        }
    }
}

/// Two lives without a fault.
fn history() -> (SimDisk, Known) {
    let (disk, mut known) = (SimDisk::new(&[]), Known::default());
    known.live(&disk);
    known.live(&disk);
    (disk, known)
}

const NOTHING: Tear = Tear {
    operations: 0,
    bytes: 0,
    zeros: false,
};

/// Plays a life with faults, then every tear of the power cut at its end; returns how many.
fn check(
    disk: &SimDisk,
    known: &Known,
    faults: &[(usize, Fault)],
    all: bool,
    then: &mut dyn FnMut(&SimDisk, &Known),
) -> usize {
    let disk = disk.restart(NOTHING, faults);
    let mut known = known.clone();
    known.live(&disk);
    let tears = disk.tears(all);
    for tear in &tears {
        known.check(&disk.restart(*tear, &[]));
        then(&disk.restart(*tear, &[]), &known);
    }
    tears.len()
}

fn operations(disk: &SimDisk, known: &Known) -> usize {
    let disk = disk.restart(NOTHING, &[]);
    known.clone().live(&disk);
    disk.operations()
}

const FAULTS: [Fault; 3] = [Fault::Error, Fault::ErrorAfter, Fault::PowerCut];

#[test]
fn prove_crash_of_the_journal_at_every_operation_loses_nothing() {
    let empty = (SimDisk::new(&[]), Known::default());
    let (mut faults, mut tears) = (0, 0);
    for (disk, known) in [empty, history()] {
        for at in 0..operations(&disk, &known) {
            for fault in FAULTS {
                faults += 1;
                tears += check(&disk, &known, &[(at, fault)], true, &mut |_, _| {});
            }
        }
    }
    let counts = format!("journal faults={faults} disks={tears}");
    crate::prove::say("crash", 0, &counts);
    assert!(120 <= faults && 1_000 <= tears);
}

#[test]
fn prove_crash_of_the_journal_at_pairs_of_operations_loses_nothing() {
    let (disk, known) = history();
    let (mut pairs, mut tears) = (0, 0);
    let count = operations(&disk, &known);
    for first in 0..count {
        // Both in one life: the second while the first is mended.
        for second in first + 1..(first + 12).min(count + 4) {
            for (one, two) in [
                (Fault::Error, Fault::ErrorAfter),
                (Fault::ErrorAfter, Fault::PowerCut),
            ] {
                pairs += 1;
                let faults = [(first, one), (second, two)];
                tears += check(&disk, &known, &faults, false, &mut |_, _| {});
            }
        }
        // One in each of two lives: the second while the next start repairs.
        let mut again = |disk: &SimDisk, known: &Known| {
            for second in 0..12 {
                pairs += 1;
                let faults = [(second, Fault::PowerCut)];
                tears += check(disk, known, &faults, false, &mut |_, _| {});
            }
        };
        check(
            &disk,
            &known,
            &[(first, Fault::PowerCut)],
            false,
            &mut again,
        );
    }
    let counts = format!("journal pairs={pairs} disks={tears}");
    crate::prove::say("crash", 0, &counts);
    assert!(1_000 <= pairs);
}

#[test]
fn disk_that_stays_broken_costs_only_the_journal() {
    let (disk, known) = history();
    let faults: Vec<_> = (0..500).map(|at| (at, Fault::Error)).collect();
    let disk = disk.restart(NOTHING, &faults);
    let mut journal = Journal::new(disk.clone(), LIMITS);
    assert!(journal.start(0).is_err());
    assert!(known.epoch < journal.epoch());
    for sequence in 0..200 {
        journal.outcome(spoken(journal.epoch(), sequence));
        assert!(journal.work().is_err());
    }
    // The newest wait in memory, and can be sent from there; the rest is a gap.
    let first = Mark {
        boot: journal.epoch(),
        next: 0,
    };
    let found = journal.next_after(first);
    assert!(found.gap);
    assert_eq!(found.spoken.unwrap().outcome.sequence, 200 - 63);
    assert_eq!(journal.lost(), 200 - 63);
    while journal.work().is_err() {}
    assert!(!journal.is_behind());
    let epoch = journal.epoch();
    let mut journal = Journal::new(disk.restart(NOTHING, &[]), LIMITS);
    journal.start(0).unwrap();
    assert_eq!(
        journal
            .next_after(Mark {
                boot: epoch,
                next: 199
            })
            .spoken,
        Some(spoken(epoch, 199))
    );
}

#[test]
fn folder_that_comes_later_gets_what_was_said_before() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    // A file is where the folder should be.
    std::fs::write(&state, "").unwrap();
    let mut journal = Journal::new(Folder::new(&state), Limits::default());
    let error = journal.start(0).unwrap_err();
    assert!(journal.failure(&error).contains("--state-dir"));
    let told = spoken(journal.epoch(), 0);
    journal.outcome(told.clone());
    assert!(journal.work().is_err());
    std::fs::remove_file(&state).unwrap();
    journal.work().unwrap();
    drop(journal);
    let mut journal = Journal::new(Folder::new(&state), Limits::default());
    journal.start(0).unwrap();
    assert_eq!(journal.next_after(Mark::default()).spoken, Some(told));
}

#[test]
fn clock_numbers_the_starts_where_it_is_right() {
    let mut journal = Journal::new(SimDisk::new(&[]), LIMITS);
    journal.start(1_800_000_000_000).unwrap();
    assert_eq!(journal.epoch(), 1_800_000_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_bytes_as_files_are_repaired_and_used(
        files in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![any::<u8>(), Just(0)], 0..300), 0..5),
        cut in any::<prop::sample::Index>(),
        flip in any::<(prop::sample::Index, u8)>(),
    ) {
        // A true journal, of which one file is damaged, and files of noise behind it.
        let (mut disk, _) = history();
        let numbers = disk.list().unwrap();
        let last = *numbers.last().unwrap();
        let content = disk.read(last).unwrap();
        disk.truncate(last, cut.index(content.len())).unwrap();
        disk.write_at(last, flip.0.index(content.len()), &[flip.1]).unwrap();
        for (number, bytes) in files.iter().enumerate() {
            let number = last + 1 + u32::try_from(number).unwrap();
            disk.create(number).unwrap();
            disk.write_at(number, 0, bytes).unwrap();
        }
        let mut journal = Journal::new(disk.clone(), LIMITS);
        journal.start(0).unwrap();
        let told = spoken(journal.epoch(), 0);
        journal.outcome(told.clone());
        journal.work().unwrap();
        let mut journal = Journal::new(disk, LIMITS);
        journal.start(0).unwrap();
        prop_assert_eq!(journal.next_after(told.mark()).spoken, Some(told));
    }
}
