//! The checkpoints of file jobs: any bytes as one job's file.
//!
//! First byte: whether the rest is a file, or the content of one whole record. What is found can
//! be written again; the text of a job never has a hole; a store of such a file takes another job
//! and has both after the next start.

use std::path::Path;

use pressel::jobs::checkpoints::Store;
use pressel::jobs::job::Job;
use pressel::jobs::record::{Head, Record, Said, Stamp, Window};
use pressel::journal::frame::{STUFFED_BYTES_MAX, encode, scan};
use pressel::window::Span;

use super::memory::Memory;
use super::sums;

/// The number of the file.
const NUMBER: u32 = 4;

/// Checks any bytes as the file of a job.
pub fn check(bytes: &[u8]) {
    let Some((kind, content)) = bytes.split_first() else {
        return;
    };
    let file = if kind & 1 == 0 {
        content.to_vec()
    } else {
        sums::record(content)
    };
    let found = scan::<Record>(&file);
    for (range, record) in &found.records {
        assert!(range.end <= found.whole_bytes);
        let written = encode(record);
        assert!(written.len() <= STUFFED_BYTES_MAX);
        assert_eq!(
            scan::<Record>(&written).records,
            [(0..written.len(), record.clone())]
        );
    }
    check_store(&file);
}

fn check_store(file: &[u8]) {
    let disk = Memory::with_file(NUMBER, file);
    let mut store = open(&disk);
    check_said(&store.said(NUMBER).expect("memory does not fail"));
    store.jobs().for_each(check_job);
    let known = store.job(NUMBER).cloned();
    let head = Head::new(Path::new("/a.wav"), Stamp::default(), "nano");
    let added = store.add(head, 0).expect("there is room");
    assert!(NUMBER < added);
    store.note(added, Record::Chunk(said()), 0);
    store.note(added, Record::Window(later()), 0);
    assert!(!store.is_behind(), "memory does not fail");
    let mut again = open(&disk);
    assert_eq!(
        again.said(added).expect("memory does not fail"),
        [window(), later()]
    );
    assert_eq!(
        again.job(added).map(|job| job.position),
        Some(later().said.next)
    );
    let stand = |job: &Job| (job.path.clone(), job.stand.clone(), job.position, job.heard);
    assert_eq!(again.job(NUMBER).map(stand), known.as_ref().map(stand));
    // Such a job goes on as well.
    if known.is_some() {
        again.note(NUMBER, Record::Retried, 0);
        assert!(!again.is_behind());
        let job = open(&disk).job(NUMBER).map(Job::has_ended);
        assert_eq!(job, Some(false));
    }
}

fn open(disk: &Memory) -> Store {
    let mut store = Store::new(Box::new(disk.clone()), Path::new("memory"));
    store.flush(0);
    store
}

fn check_job(job: &Job) {
    let info = job.info();
    assert!(info.percent <= 100);
    assert!(info.duration_s.is_none_or(|seconds| 0.0 <= seconds));
    assert!(!job.name().contains(char::is_control));
}

fn check_said(all: &[Window]) {
    let mut position = 0;
    for Window { said, .. } in all {
        assert!(said.from == position && said.from < said.next);
        position = said.next;
    }
}

fn window() -> Window {
    Window::from(said())
}

/// A window behind it.
fn later() -> Window {
    let span = Span {
        start_ms: 200,
        end_ms: 2_800,
        text_end: 4,
    };
    Window {
        said: Said {
            from: 480_000,
            next: 525_000,
            start: 480_000,
            samples: 480_000,
            text: "stop".to_owned(),
            ..said()
        },
        spans: vec![span],
        forgets: false,
    }
}

fn said() -> Said {
    Said {
        from: 0,
        next: 480_000,
        start: 100,
        samples: 16_000,
        text: "turn on the light".to_owned(),
        language: *b"en",
        confidence: 90,
    }
}
