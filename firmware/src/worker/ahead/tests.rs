//! Tests of the desk: one thread plays both, but where one waits for the other.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;

use super::*;
use crate::window::Heard;
use crate::worker::message::Fault;

fn part(utterance: u32, samples: u32) -> Excerpt {
    Excerpt {
        utterance,
        slot: 3,
        start: 100,
        samples,
    }
}

fn job(id: u32, part: Excerpt) -> Job {
    Job {
        id,
        part,
        asked_at: Instant::now(),
    }
}

fn done(id: u32, words: &str) -> Answer {
    Answer::Done {
        id,
        text: heapless::String::try_from(words).unwrap(),
        truncated: false,
        sense: crate::worker::message::Sense::Words,
        language: *b"en",
        confidence: 90,
        encode_ms: 30_000,
        decode_ms: 20_000,
        heard: Heard::default(),
    }
}

/// A desk, and how often it ended a run.
fn desk() -> (Desk, Arc<AtomicUsize>) {
    let ends = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ends);
    let end_run = move || _ = counted.fetch_add(1, Ordering::SeqCst);
    (Desk::new(Box::new(end_run)), ends)
}

fn is_cancelled(desk: &Desk) -> bool {
    desk.cancel_flag().load(Ordering::SeqCst)
}

#[test]
fn guess_that_runs_becomes_the_request_for_the_same_and_can_be_cancelled_as_it() {
    let (desk, ends) = desk();
    desk.look(part(1, 500), true);
    assert_eq!(desk.next(), Task::Guess(part(1, 500)));
    let asked = job(7, part(1, 500));
    desk.ask(asked).unwrap();
    assert!(!is_cancelled(&desk));
    desk.cancel(8);
    assert!(!is_cancelled(&desk));
    desk.cancel(7);
    assert!(is_cancelled(&desk));
    assert_eq!(ends.load(Ordering::SeqCst), 1);
    assert_eq!(desk.end(), Some(asked));
}

#[test]
fn another_request_ends_the_guess_first_and_begins_uncancelled() {
    for other in [
        part(1, 501),
        part(2, 500),
        Excerpt {
            slot: 4,
            ..part(1, 500)
        },
    ] {
        let (desk, _) = desk();
        desk.look(part(1, 500), true);
        assert_eq!(desk.next(), Task::Guess(part(1, 500)));
        let asked = job(7, other);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_cancelled(&desk) {
                    thread::yield_now();
                }
                assert_eq!(desk.end(), None);
            });
            desk.ask(asked).unwrap();
        });
        assert_eq!(desk.next(), Task::Job(asked));
        assert!(!is_cancelled(&desk));
        assert_eq!(desk.end(), Some(asked));
    }
}

#[test]
fn guess_that_was_cancelled_is_not_the_answer_to_the_same() {
    let (desk, _) = desk();
    desk.look(part(1, 500), true);
    desk.next();
    desk.look(part(1, 800), false);
    assert!(is_cancelled(&desk));
    let asked = job(7, part(1, 500));
    thread::scope(|scope| {
        let waits = scope.spawn(|| desk.ask(asked));
        assert_eq!(desk.end(), None);
        waits.join().unwrap().unwrap();
    });
    // What was to be looked at is void: something is asked now.
    assert_eq!(desk.next(), Task::Job(asked));
}

#[test]
fn request_that_is_cancelled_before_it_begins_begins_cancelled() {
    let (desk, _) = desk();
    desk.ask(job(7, part(1, 500))).unwrap();
    desk.cancel(7);
    assert!(!is_cancelled(&desk));
    desk.next();
    assert!(is_cancelled(&desk));
    desk.end();
    desk.ask(job(8, part(1, 500))).unwrap();
    desk.next();
    assert!(!is_cancelled(&desk));
}

#[test]
fn newest_look_counts_and_what_is_asked_goes_first() {
    let (desk, _) = desk();
    desk.look(part(1, 100), false);
    desk.look(part(1, 200), true);
    desk.look(part(1, 300), false);
    assert_eq!(desk.next(), Task::Listen(part(1, 300)));
    assert_eq!(desk.end(), None);
    desk.forget();
    desk.look(part(1, 400), true);
    assert_eq!(desk.next(), Task::Forget);
    assert_eq!(desk.next(), Task::Guess(part(1, 400)));
    desk.forget();
    assert!(is_cancelled(&desk));
    assert_eq!(desk.end(), None);
    assert_eq!(desk.next(), Task::Forget);
}

#[test]
fn guess_that_does_not_end_is_seen_when_something_is_asked() {
    let (desk, _) = desk();
    desk.look(part(1, 500), true);
    desk.next();
    let long_ago = Instant::now().checked_sub(Duration::from_millis(CANCEL_MS_MAX));
    desk.lock().running = Some(Running::Ahead(Some(part(1, 500)), long_ago));
    assert_eq!(desk.ask(job(7, part(2, 500))), Err(Stuck));
}

#[test]
fn answer_is_kept_for_exactly_what_was_guessed() {
    let mut kept = Kept::default();
    kept.put(part(1, 500), done(NOT_ASKED, "lights on"));
    assert_eq!(kept.take(part(1, 501)), None);
    assert_eq!(kept.take(part(1, 500)), Some(done(NOT_ASKED, "lights on")));
    assert_eq!(kept.take(part(1, 500)), None);
    kept.put(part(1, 500), done(NOT_ASKED, "lights on"));
    kept.wipe();
    assert_eq!(kept.take(part(1, 500)), None);
    for fault in [Fault::Model, Fault::Cancelled, Fault::BadRequest] {
        let id = NOT_ASKED;
        kept.put(part(1, 500), Answer::Failed { id, fault });
        assert_eq!(kept.take(part(1, 500)), None);
    }
}

/// The answer of work of 50 s, asked for so long ago.
fn check_waited(waited_ms: u64, expected: (u32, u32)) {
    let asked_at = Instant::now().checked_sub(Duration::from_millis(waited_ms));
    let job = Job {
        asked_at: asked_at.unwrap(),
        ..job(7, part(1, 500))
    };
    let Answer::Done {
        id,
        encode_ms,
        decode_ms,
        ..
    } = to_request(done(NOT_ASKED, "on"), &job)
    else {
        panic!("no answer");
    };
    // The clock goes on meanwhile, but not for ten seconds.
    let tens = |ms| ms / 10_000;
    assert_eq!(
        (id, tens(encode_ms), tens(decode_ms)),
        (7, expected.0, expected.1)
    );
}

#[test]
fn answer_tells_the_time_for_which_its_request_has_waited() {
    check_waited(0, (0, 0));
    check_waited(12_000, (0, 1));
    check_waited(30_000, (1, 2));
    check_waited(70_000, (3, 2));
}
