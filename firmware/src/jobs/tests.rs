//! Jobs in a world that changes: sticks that are pulled, recordings that grow, chunks that fail.

use std::path::{Path, PathBuf};

use pressel_pipeline::limits::{CHUNK_AGAIN_MS, JOB_RETRY_MS, JOBS_MAX, SPOOL_EVERY_MS};
use pressel_wire::{DropReason, FailCode, JobState, OutcomeResult};

use super::doors::JobRequest;
use super::sim::{Life, Piece, SECOND, Tape, World};
use super::turn::TURN_MS_MAX;
use crate::audio_file::Fault as AudioFault;
use crate::journal::Disk as _;
use crate::journal::sim_disk::{Fault, Tear};
use crate::window::{Heard, Span, Spans};

const THREE: [Piece; 3] = [
    Piece::Words("one"),
    Piece::Words("two"),
    Piece::Words("three"),
];

/// Goes on, with true answers, until the main loop has a chunk that begins here.
fn until_chunk(life: &mut Life, start: u64) -> pressel_pipeline::waiting::Utterance {
    for _ in 0..1_000 {
        if let Some(chunk) = life.turn() {
            if chunk.start == start {
                return chunk;
            }
            life.answer_truly(&chunk);
        }
    }
    panic!("no chunk at {start}: {:?}", life.list());
}

/// The world after the program ended and began again.
fn again(world: &World) -> World {
    let tear = *world.disk.tears(true).last().unwrap();
    let left = *world.lefts().last().unwrap();
    world.restart(left, world.disk.restart(tear, &[]), &[])
}

#[test]
fn recording_is_taken_once_it_has_stopped_growing() {
    let world = World::new();
    let mut tape = Tape::new(&THREE);
    tape.stamp.bytes = 0;
    let mut life = Life::begin(&world);
    // Empty, then growing.
    for step in 0..20 {
        world.put("note.WAV", &tape);
        tape.stamp.bytes += 1_000;
        life.run(1_000, |_| false);
        assert!(life.list().is_empty(), "step {step}");
    }
    life.run_until(1, "done");
    assert_eq!(
        world.text("/spool/note.WAV.txt").unwrap(),
        "one\ntwo\nthree\n"
    );
    // And never again.
    life.run(60_000, |_| false);
    assert_eq!(life.heard.len(), 3);
    let mut life = Life::begin(&again(&world));
    life.run(60_000, |_| false);
    assert!(life.heard.is_empty() && life.told.is_empty());
    assert_eq!(life.list().len(), 1);
}

#[test]
fn other_files_are_left_alone() {
    let world = World::new();
    for name in [
        ".note.wav",
        "notes.pdf",
        "note.wav.json",
        "note.wav.txt",
        "wav",
        ".pressel-1.json",
    ] {
        world.put(name, &Tape::new(&THREE));
    }
    world.put("deeper/note.wav", &Tape::new(&THREE));
    let mut life = Life::begin(&world);
    life.run(20_000, |_| false);
    assert!(life.list().is_empty(), "{:?}", life.list());
}

#[test]
fn results_that_are_there_are_not_made_again_when_the_state_is_lost() {
    let world = World::new();
    let path = world.put("note.wav", &Tape::new(&THREE));
    let mut life = Life::begin(&world);
    life.run_until(1, "done");
    let disk = crate::journal::sim_disk::SimDisk::new(&[]);
    let left = *world.lefts().last().unwrap();
    let lost = world.restart(left, disk, &[]);
    let mut life = Life::begin(&lost);
    life.run(30_000, |_| false);
    assert!(life.list().is_empty());
    // A newer recording of that name is another one.
    let mut tape = Tape::new(&[Piece::Words("four")]);
    tape.stamp.changed = (300, 0);
    assert!(lost.take_away(&path).is_some());
    lost.put("note.wav", &tape);
    life.run_until(1, "done");
    assert_eq!(lost.text("/spool/note.wav.txt").unwrap(), "four\n");
}

#[test]
fn killed_job_goes_on_behind_its_last_checkpoint() {
    let world = World::new();
    world.put("note.wav", &Tape::new(&THREE));
    let mut life = Life::begin(&world);
    until_chunk(&mut life, 21 * SECOND);
    // Killed: what the main loop has is lost.
    let next = again(&world);
    let mut life = Life::begin(&next);
    life.run_until(1, "done");
    assert_eq!(life.heard, [21 * SECOND]);
    assert_eq!(next.opened(), [20 * SECOND]);
    let text = next.text("/spool/note.wav.txt").unwrap();
    assert_eq!(text, "one\ntwo\nthree\n");
}

#[test]
fn another_model_or_another_recording_begins_anew() {
    let world = World::new();
    world.put("note.wav", &Tape::new(&THREE));
    let mut life = Life::begin(&world);
    until_chunk(&mut life, 21 * SECOND);
    let next = again(&world);
    let mut life = Life::of_model(&next, "nano 2", false);
    until_chunk(&mut life, 11 * SECOND);
    assert_eq!(life.heard, [SECOND, 11 * SECOND]);
    // The recording changes while the appliance is off.
    let next = again(&next);
    let mut tape = Tape::new(&[Piece::Words("four"), Piece::Words("five")]);
    tape.stamp.bytes = 7;
    next.put("note.wav", &tape);
    let mut life = Life::of_model(&next, "nano 2", false);
    life.run_until(1, "done");
    assert_eq!(next.text("/spool/note.wav.txt").unwrap(), "four\nfive\n");
    // And while it is being transcribed.
    let mut tape = Tape::new(&THREE);
    tape.stamp.bytes = 8;
    next.put("note.wav", &tape);
    let chunk = until_chunk(&mut life, SECOND);
    tape.stamp.bytes = 9;
    tape.pieces.push(Piece::Words("four"));
    next.put("note.wav", &tape);
    life.answer_truly(&chunk);
    life.run_until(1, "paused");
    life.run_until(1, "done");
    let text = next.text("/spool/note.wav.txt").unwrap();
    assert_eq!(text, "one\ntwo\nthree\nfour\n");
}

#[test]
fn stick_that_is_pulled_out_pauses_its_jobs_and_others_go_on() {
    let world = World::new();
    let path = world.put("note.wav", &Tape::new(&THREE));
    let mut life = Life::begin(&world);
    let chunk = until_chunk(&mut life, 11 * SECOND);
    let tape = world.take_away(&path).unwrap();
    world.set_folder_away(true);
    life.answer(&chunk, OutcomeResult::NoSpeech, "");
    let info = life.run_until(1, "paused");
    assert!(info.why.unwrap().contains("put it back"));
    let other = world.put("../other.wav", &Tape::new(&[Piece::Words("other")]));
    life.ask(JobRequest::Add { path: other }).unwrap();
    life.run_until(2, "done");
    life.run(60_000, |_| false);
    assert_eq!(life.list()[0].state, "paused");
    world.take_away(Path::new("/spool/../other.wav")).unwrap();
    world.put("note.wav", &tape);
    world.set_folder_away(false);
    life.run_until(1, "done");
    assert_eq!(world.text("/spool/note.wav.txt").unwrap(), "one\nthree\n");
}

#[test]
fn job_whose_recording_was_removed_ends_and_goes_on_should_it_come_back() {
    let world = World::new();
    let path = world.put("note.wav", &Tape::new(&THREE));
    let mut life = Life::begin(&world);
    let chunk = until_chunk(&mut life, 11 * SECOND);
    let tape = world.take_away(&path).unwrap();
    life.answer(&chunk, OutcomeResult::NoSpeech, "");
    life.run_until(1, "paused");
    let before = life.now;
    let info = life.run_until(1, "cancelled");
    assert!(life.now <= before + 2 * SPOOL_EVERY_MS + TURN_MS_MAX);
    assert_eq!(info.why.unwrap(), "its recording was removed");
    assert!(world.files().is_empty());
    // It is known after a restart, and goes on behind its last checkpoint.
    let next = again(&world);
    let mut life = Life::begin(&next);
    life.run(30_000, |_| false);
    assert_eq!(life.list()[0].state, "cancelled");
    next.put("note.wav", &tape);
    life.run_until(1, "done");
    assert_eq!(life.heard, [21 * SECOND]);
    assert_eq!(life.list().len(), 1);
    // Gone for less than two looks is not removed.
    let path = next.put("other.wav", &Tape::new(&THREE));
    let chunk = until_chunk(&mut life, SECOND);
    let tape = next.take_away(&path).unwrap();
    life.answer(&chunk, OutcomeResult::NoSpeech, "");
    life.run_until(2, "paused");
    next.put("other.wav", &tape);
    life.run_until(2, "done");
}

#[test]
fn job_whose_checkpoints_are_gone_begins_anew() {
    let world = World::new();
    world.put("note.wav", &Tape::new(&THREE));
    let mut life = Life::begin(&world);
    let chunk = until_chunk(&mut life, 11 * SECOND);
    // It is put down, and its file goes meanwhile.
    let path = PathBuf::from("/spool/note.wav");
    let tape = world.take_away(&path).unwrap();
    life.answer_truly(&chunk);
    life.run_until(1, "paused");
    world.disk.clone().remove(1).unwrap();
    world.put("note.wav", &tape);
    life.heard.clear();
    life.run_until(1, "done");
    assert_eq!(life.heard, [SECOND, 11 * SECOND, 21 * SECOND]);
    assert!(!life.core.parts.store.is_behind());
    let next = again(&world);
    let mut life = Life::begin(&next);
    life.turn();
    assert_eq!(life.list()[0].state, "done");
}

#[test]
fn when_all_places_are_taken_an_added_job_whose_recording_is_away_gives_way() {
    let world = World::new();
    let mut life = Life::of_model(&world, "nano 1", true);
    for number in 0..JOBS_MAX {
        let path = world.put(&format!("../{number}.wav"), &Tape::new(&THREE));
        life.ask(JobRequest::Add { path: path.clone() }).unwrap();
        world.take_away(&path).unwrap();
    }
    life.core.parts.paused = false;
    life.run(10_000, |life| {
        life.list().iter().all(|info| info.state == "paused")
    });
    let path = world.put("../new.wav", &Tape::new(&THREE));
    let added = life.ask(JobRequest::Add { path }).unwrap();
    assert_eq!(added[0].number, JOBS_MAX as u32 + 1);
    let list = life.list();
    assert_eq!((list.len(), list[0].number), (JOBS_MAX, 2));
    life.run_until(JOBS_MAX as u32 + 1, "done");
}

#[test]
fn dropped_chunk_is_done_again_and_a_harmful_one_is_quarantined() {
    let world = World::new();
    world.put("note.wav", &Tape::new(&THREE));
    world.put("other.wav", &Tape::new(&[Piece::Words("other")]));
    let mut life = Life::begin(&world);
    for _ in 0..3 {
        let chunk = until_chunk(&mut life, 11 * SECOND);
        life.answer(&chunk, OutcomeResult::Dropped(DropReason::Busy), "");
        let before = life.now;
        assert_eq!(life.turn(), None);
        assert!(life.now <= before + CHUNK_AGAIN_MS);
    }
    let chunk = until_chunk(&mut life, 11 * SECOND);
    let down = OutcomeResult::Failed(FailCode::WorkerDied);
    life.answer(&chunk, down, "");
    let info = life.run_until(1, "quarantined");
    assert!(info.why.unwrap().contains("at 11.0 s"));
    let line = world.text("/spool/note.wav.error.txt").unwrap();
    assert!(line.contains("pressel jobs retry 1"), "{line}");
    life.run_until(2, "done");
    // It goes on where it stopped, and the line goes.
    life.heard.clear();
    life.ask(JobRequest::Retry { number: 1 }).unwrap();
    life.run_until(1, "done");
    assert_eq!(life.heard, [11 * SECOND, 21 * SECOND]);
    assert_eq!(world.text("/spool/note.wav.error.txt"), None);
    let told: Vec<_> = life.told.iter().filter(|told| told.number == 1).collect();
    assert_eq!(told.last().unwrap().percent, 100);
    assert!(told.iter().any(|told| told.state == JobState::Quarantined));
}

#[test]
fn thread_rests_while_the_main_loop_has_the_chunk() {
    let world = World::new();
    world.put("note.wav", &Tape::new(&THREE));
    let mut life = Life::begin(&world);
    until_chunk(&mut life, SECOND);
    life.turn();
    let before = life.now;
    for _ in 0..10 {
        assert_eq!(life.turn(), None);
    }
    assert_eq!(life.now, before + 10 * TURN_MS_MAX);
}

#[test]
fn chunk_that_no_worker_takes_waits() {
    let world = World::new();
    world.put("note.wav", &Tape::new(&THREE));
    let mut life = Life::begin(&world);
    let chunk = until_chunk(&mut life, SECOND);
    let before = life.now;
    life.answer(&chunk, OutcomeResult::Failed(FailCode::WorkerDown), "");
    let chunk = until_chunk(&mut life, SECOND);
    assert!(before + JOB_RETRY_MS <= life.now);
    life.answer_truly(&chunk);
    life.run_until(1, "done");
}

#[test]
fn cancelled_job_ends_at_once_and_the_slot_is_left_alone_until_its_chunk_is_back() {
    let world = World::new();
    world.put("note.wav", &Tape::new(&THREE));
    world.put("other.wav", &Tape::new(&[Piece::Words("other")]));
    let mut life = Life::begin(&world);
    let chunk = until_chunk(&mut life, SECOND);
    let info = life.ask(JobRequest::Cancel { number: 1 }).unwrap();
    assert_eq!(info[0].state, "cancelled");
    for _ in 0..100 {
        assert_eq!(life.turn(), None);
    }
    life.answer_truly(&chunk);
    life.run_until(2, "done");
    assert!(life.ask(JobRequest::Cancel { number: 2 }).is_err());
    assert!(life.ask(JobRequest::Cancel { number: 3 }).is_err());
    // The spool does not take it again, not after a restart either.
    let next = again(&world);
    let mut life = Life::begin(&next);
    life.run(30_000, |_| false);
    assert!(life.heard.is_empty());
    life.ask(JobRequest::Retry { number: 1 }).unwrap();
    life.run_until(1, "done");
}

/// A recording that is heard by windows.
fn by_windows() -> Tape {
    Tape {
        has_windows: true,
        ..Tape::new(&[THREE, THREE].concat())
    }
}

#[test]
fn window_that_gave_way_is_done_again_with_what_was_said_before_it() {
    let world = World::new();
    world.put("note.wav", &by_windows());
    let expected = {
        let world = World::new();
        world.put("note.wav", &by_windows());
        Life::begin(&world).run_until(1, "done");
        world.files()
    };
    let mut life = Life::begin(&world);
    let mut seen = Vec::new();
    for _ in 0..10_000 {
        let Some(chunk) = life.turn() else { continue };
        let note = life.note.lock().unwrap().clone().unwrap();
        let window = (chunk.start, chunk.samples, note);
        // Each is cancelled twice: by a press, and by a worker that dies.
        if seen.iter().filter(|other| **other == window).count() < 2 {
            seen.push(window);
            let busy = OutcomeResult::Dropped(DropReason::Cancelled);
            life.answer(&chunk, busy, "");
        } else {
            life.answer_truly(&chunk);
        }
        if life.list()[0].state == "done" {
            break;
        }
    }
    life.run_until(1, "done");
    assert_eq!(world.files(), expected);
    assert!(6 <= seen.len());
}

#[test]
fn job_of_windows_ends_whatever_the_model_says() {
    let text = OutcomeResult::Text {
        bytes: 3,
        truncated: false,
    };
    let odd = Span {
        start_ms: u32::MAX,
        end_ms: 0,
        text_end: 2,
    };
    for (samples, windows) in [(0, 60), (1, 60), (u32::MAX, 3)] {
        let world = World::new();
        world.put("note.wav", &by_windows());
        let mut life = Life::begin(&world);
        let mut count = 0;
        while life.list().first().is_none_or(|info| info.state != "done") {
            if let Some(chunk) = life.turn() {
                count += 1;
                assert!(count <= windows, "it never ends");
                let heard = Heard {
                    spans: Spans::from_iter([odd, odd]),
                    samples,
                    forgets: false,
                };
                life.answer_window(&chunk, text, "a b", heard);
            }
        }
        assert_eq!(count, windows);
        let said = world.text("/spool/note.wav.txt").unwrap();
        assert_eq!(said.split_whitespace().count(), 2 * windows);
    }
}

#[test]
fn jobs_are_added_by_path_once() {
    let world = World::new();
    let path = world.put("../notes/note.m4a.wav", &Tape::new(&THREE));
    let mut life = Life::begin(&world);
    let add = |path: &Path| JobRequest::Add {
        path: path.to_owned(),
    };
    let info = life.ask(add(&path)).unwrap();
    assert_eq!((info[0].number, info.len()), (1, 1));
    assert_eq!(life.ask(add(&path)).unwrap()[0].number, 1);
    for (path, why) in [
        ("/spool/none.wav".into(), "check the path"),
        ("note.wav".into(), "whole path"),
        (format!("/{}", "x".repeat(250)), "too long"),
        (format!("/{}", "x/".repeat(600)), "too long"),
    ] {
        let refused = life.ask(add(&PathBuf::from(path))).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    life.run_until(1, "done");
    let list = life.ask(JobRequest::List).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].percent, list[0].duration_s), (100, Some(30.0)));
}

#[test]
fn recording_that_cannot_be_read_fails_and_a_failing_disk_is_tried_again() {
    let world = World::new();
    let mut tape = Tape::new(&THREE);
    tape.fault = Some(AudioFault::Undecodable);
    world.put("broken.wav", &tape);
    tape.fault = Some(AudioFault::Io { errno: 5 });
    tape.stamp.changed.0 += 1;
    world.put("slow.wav", &tape);
    let mut life = Life::begin(&world);
    let info = life.run_until(1, "failed");
    assert!(info.why.unwrap().contains("record or copy it again"));
    life.run_until(2, "paused");
    tape.fault = None;
    world.put("slow.wav", &tape);
    life.run_until(2, "done");
    // For ever is too long.
    tape.fault = Some(AudioFault::Io { errno: 5 });
    tape.stamp.changed.0 += 1;
    world.put("slower.wav", &tape);
    life.run_until(3, "failed");
}

#[test]
fn results_that_find_no_room_wait_for_it() {
    let world = World::new();
    world.put("note.wav", &Tape::new(&THREE));
    let faults: Vec<_> = (0..8).map(|at| (at, Fault::Error)).collect();
    world.set_faults(&faults);
    let mut life = Life::begin(&world);
    let info = life.run_until(1, "paused");
    assert!(info.why.unwrap().contains("make room"));
    assert!(info.percent < 100);
    let before = life.now;
    life.run_until(1, "done");
    assert!(before + JOB_RETRY_MS <= life.now);
    assert_eq!(life.heard.len(), 3);
}

#[test]
fn full_state_disk_costs_no_job_and_is_written_when_there_is_room() {
    let world = World::new();
    world.put("note.wav", &Tape::new(&THREE));
    let faults: Vec<_> = (0..20).map(|at| (at, Fault::Error)).collect();
    let tear = Tear {
        operations: 0,
        bytes: 0,
        zeros: false,
    };
    let left = *world.lefts().last().unwrap();
    let world = world.restart(left, world.disk.restart(tear, &faults), &[]);
    let mut life = Life::begin(&world);
    life.run_until(1, "done");
    assert!(life.core.parts.store.is_behind());
    life.run(300_000, |life| !life.core.parts.store.is_behind());
    let mut life = Life::begin(&again(&world));
    life.turn();
    assert_eq!(life.list()[0].state, "done");
}

#[test]
fn panic_puts_the_job_down_once_and_away_the_second_time() {
    let world = World::new();
    world.put("note.wav", &Tape::new(&[THREE[0], Piece::Panic]));
    world.put("other.wav", &Tape::new(&[Piece::Words("other")]));
    let mut life = Life::begin(&world);
    let info = life.run_until(1, "quarantined");
    assert!(info.why.unwrap().contains("panicked 2 times at 10.0 s"));
    assert_eq!(life.vitals.panics(), 2);
    life.run_until(2, "done");
}

#[test]
fn in_safe_mode_jobs_only_wait() {
    let world = World::new();
    world.put("note.wav", &Tape::new(&THREE));
    let mut life = Life::of_model(&world, "nano 1", true);
    life.run(30_000, |_| false);
    assert_eq!(life.list()[0].state, "waiting");
    assert!(life.heard.is_empty());
    let mut life = Life::begin(&again(&world));
    life.run_until(1, "done");
}

#[test]
fn when_all_places_are_taken_the_oldest_ended_job_is_forgotten_or_new_ones_wait() {
    let world = World::new();
    let mut tape = Tape::new(&[Piece::Words("x")]);
    for number in 0..JOBS_MAX {
        tape.stamp.changed.0 += 1;
        world.put(&format!("{number}.wav"), &tape);
    }
    tape.stamp.changed.0 += 1;
    let last = world.put("last.wav", &tape);
    let mut life = Life::of_model(&world, "nano 1", true);
    life.run(3 * SPOOL_EVERY_MS, |_| false);
    assert_eq!(life.list().len(), JOBS_MAX);
    assert!(life.list().iter().all(|info| info.path != last));
    world.take_away(&last).unwrap();
    let path = world.put("../one.wav", &Tape::new(&THREE));
    let add = JobRequest::Add { path };
    let refused = life.ask(add.clone()).unwrap_err();
    assert!(refused.contains("none has ended"), "{refused}");
    life.ask(JobRequest::Cancel { number: 3 }).unwrap();
    assert_eq!(life.ask(add).unwrap()[0].number, JOBS_MAX as u32 + 1);
    assert!(life.list().iter().all(|info| info.number != 3));
    let mut life = Life::of_model(&again(&world), "nano 1", true);
    life.turn();
    let list = life.list();
    assert_eq!(
        (list.len(), list[0].number, list[2].number),
        (JOBS_MAX, 1, 4)
    );
    assert_eq!(list[JOBS_MAX - 1].path, PathBuf::from("/spool/../one.wav"));
}

#[test]
fn progress_is_told_with_the_time_that_is_left() {
    let world = World::new();
    let pieces = vec![Piece::Words("x"); 20];
    world.put("note.wav", &Tape::new(&pieces));
    let mut life = Life::begin(&world);
    let mut start = SECOND;
    for _ in 0..10 {
        let chunk = until_chunk(&mut life, start);
        start += 10 * SECOND;
        life.now += 999; // A chunk takes a second.
        life.answer_truly(&chunk);
    }
    life.run(5_000, |life| 50 <= life.told.last().unwrap().percent);
    let told = *life.told.last().unwrap();
    assert_eq!((told.percent, told.state), (50, JobState::Running));
    assert!((9..=11).contains(&told.left_s), "{told:?}");
    let percents: Vec<_> = life.told.iter().map(|told| told.percent).collect();
    assert!(percents.is_sorted(), "{percents:?}");
    // Nobody takes the news: nothing waits for that.
    life.run_until(1, "done");
    assert_eq!(life.told.last().unwrap().state, JobState::Done);
}
