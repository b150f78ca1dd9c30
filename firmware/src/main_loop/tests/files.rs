//! Tests of file jobs on the main loop: chunks that give way, progress, alerts, and CUDA lost.

use pressel_pipeline::limits::{
    FILE_SLOT, RECOGNISE_BASE_MS, RESTART_WINDOW_MS, WORKER_OVERDUE_MS,
};
use pressel_pipeline::waiting::{SpeechSpan, Utterance};
use pressel_wire::{
    Alert, DeviceMessage, DeviceState, DropReason, FailCode, HostMessage, Job, JobState,
    OutcomeResult,
};

use super::rig::{READY, Rig, opened, said};
use super::words;
use crate::jobs::JobNews;
use crate::keeper::{Delivery, Record};
use crate::main_loop::*;
use crate::stream::ListenEvent;
use crate::vitals::Watched;
use crate::window::{Heard, Span, Spans};
use crate::worker::message::{Excerpt, Fault};
use crate::worker::{Answer, Request};

/// A chunk of ten seconds, with the number of an utterance.
pub(super) fn chunk() -> JobNews {
    JobNews::Chunk(Utterance {
        id: 1,
        slot: FILE_SLOT,
        trigger: Trigger::File,
        start: 4_800_000,
        samples: 160_000,
        speech: Some(SpeechSpan {
            start: 0,
            end: 160_000,
        }),
        closed_at: 0,
        capture_ms: 0,
    })
}

fn progress(number: u32, state: JobState, percent: u8) -> Job {
    Job {
        number,
        state,
        percent,
        left_s: 60,
    }
}

fn cancelled(id: u32) -> Answer {
    Answer::Failed {
        id,
        fault: Fault::Cancelled,
    }
}

/// What `jobs` got: result, text and place in the recording.
pub(super) fn result(rig: &mut Rig) -> Option<(OutcomeResult, String, u64)> {
    let finished = rig.jobs.done.try_recv().ok()?;
    assert!(matches!(
        pressel_hal::linux::poll::wait(&mut [rig.jobs.bell.poll_fd()], 0),
        Ok(1)
    ));
    rig.jobs.bell.hush();
    Some((
        finished.outcome.result,
        finished.text.as_str().to_owned(),
        finished.start,
    ))
}

fn alert(alert: Alert, on: bool) -> DeviceMessage {
    DeviceMessage::Alert { alert, on }
}

#[test]
fn chunk_goes_to_the_worker_and_its_text_to_jobs_only() {
    let mut rig = Rig::ready();
    rig.job(chunk());
    let part = Excerpt {
        utterance: 1,
        slot: FILE_SLOT,
        start: 0,
        samples: 160_000,
    };
    let request = Request::Recognise { id: 1, part };
    assert_eq!(rig.asked(), [request]);
    assert!(rig.vitals.read().chunk);
    // The voice path is as idle as before.
    assert_eq!(rig.vitals.read().state.state, DeviceState::Idle);
    assert_eq!(rig.lit(), [false; 4]);
    rig.answer(&said(1, "chapter one"));
    let bytes = 11;
    let text = OutcomeResult::Text {
        bytes,
        truncated: false,
    };
    assert_eq!(
        result(&mut rig),
        Some((text, "chapter one".into(), 4_800_000))
    );
    assert_eq!((rig.said.len(), rig.records.len()), (0, 0));
    assert_eq!(rig.free.dequeue(), None);
    assert_eq!(rig.main_loop.counters().texts, 0);
    assert!(!rig.vitals.read().chunk);
}

#[test]
fn press_cancels_a_chunk_in_the_same_turn_and_it_is_done_again_after_the_answer() {
    let mut rig = Rig::ready();
    rig.job(chunk());
    rig.asked();
    rig.press(true);
    assert_eq!(rig.asked(), [Request::Cancel { id: 1 }]);
    rig.answer(&cancelled(1));
    rig.event(opened(1));
    rig.pass(1_000);
    rig.press(false);
    // Recorded until listen closes it: nothing begins before that.
    assert_eq!((rig.asked(), result(&mut rig)), (Vec::new(), None));
    rig.event(ListenEvent::Closed(super::rig::closed(1, 0)));
    assert!(matches!(
        rig.asked()[..],
        [Request::Recognise {
            id: 2,
            part: Excerpt { slot: 0, .. }
        }]
    ));
    rig.answer(&said(2, "light on"));
    assert_eq!(rig.outcomes().len(), 1);
    assert!(matches!(
        rig.asked()[..],
        [Request::Recognise {
            id: 3,
            part: Excerpt {
                slot: FILE_SLOT,
                ..
            }
        }]
    ));
    rig.answer(&said(3, "chapter one"));
    assert_eq!(result(&mut rig).unwrap().1, "chapter one");
    assert_eq!(rig.recorded().len(), 1);
}

#[test]
fn window_gives_way_as_well_and_its_segments_come_to_jobs() {
    let mut rig = Rig::ready();
    rig.job(chunk());
    rig.press(true);
    rig.answer(&cancelled(1));
    rig.event(opened(1));
    rig.pass(1_000);
    rig.press(false);
    rig.event(ListenEvent::Closed(super::rig::closed(1, 0)));
    rig.answer(&said(2, "light on"));
    assert_eq!(rig.outcomes().len(), 1);
    let window = Heard {
        spans: Spans::from_iter([Span {
            start_ms: 200,
            end_ms: 9_000,
            text_end: 11,
        }]),
        samples: 150_000,
        forgets: true,
    };
    let mut answer = said(3, "chapter one");
    if let Answer::Done { heard, .. } = &mut answer {
        heard.clone_from(&window);
    }
    rig.answer(&answer);
    let finished = rig.jobs.done.try_recv().unwrap();
    assert_eq!(finished.text.as_str(), "chapter one");
    assert_eq!(finished.heard, window);
}

#[test]
fn voice_that_opens_by_itself_makes_a_chunk_give_way_and_the_hosts_cancel_does_not() {
    let mut rig = Rig::ready();
    rig.job(chunk());
    rig.asked();
    rig.say(HostMessage::Cancel);
    assert_eq!(rig.asked(), []);
    rig.event(ListenEvent::Opened {
        id: 1,
        trigger: Trigger::Voice,
        start: 0,
    });
    assert_eq!(rig.asked(), [Request::Cancel { id: 1 }]);
}

#[test]
fn chunk_of_a_dead_worker_is_tried_once_more_and_then_fails() {
    let mut rig = Rig::ready();
    rig.job(chunk());
    for _ in 0..2 {
        assert_eq!(result(&mut rig), None);
        rig.worker = None;
        rig.turn();
        rig.start_worker();
        rig.answer(&READY);
    }
    let died = OutcomeResult::Failed(FailCode::WorkerDied);
    assert_eq!(result(&mut rig), Some((died, String::new(), 4_800_000)));
    // The next one has its own two tries.
    rig.job(chunk());
    rig.worker = None;
    rig.turn();
    assert_eq!(result(&mut rig), None);
}

#[test]
fn two_bad_recordings_leave_the_voice_alone_and_a_third_makes_files_wait() {
    let mut rig = Rig::ready();
    let held = |record: &Record| matches!(record, Record::FilesHeld { .. });
    for number in 0..6 {
        assert!(!rig.records.iter().any(held));
        if number % 2 == 0 {
            rig.job(chunk());
        }
        rig.worker = None;
        rig.turn();
        rig.start_worker();
        rig.answer(&READY);
        assert_eq!(result(&mut rig).is_some(), number % 2 == 1);
    }
    let starts = rig.errands();
    assert!(starts.iter().all(|(_, wait)| *wait == 0), "{starts:?}");
    assert_eq!(rig.records.iter().filter(|record| held(record)).count(), 1);
    rig.job(chunk());
    assert_eq!(rig.asked(), []);
    rig.utter(1, 0);
    rig.answer(&said(7, "on"));
    assert_eq!(rig.outcomes().len(), 1);
    rig.pass(RESTART_WINDOW_MS);
    rig.answer(&said(8, "chapter one"));
    assert_eq!(result(&mut rig).unwrap().1, "chapter one");
}

#[test]
fn chunk_that_takes_too_long_fails_and_one_without_a_worker_waits() {
    let mut rig = Rig::ready();
    rig.job(chunk());
    rig.pass(RECOGNISE_BASE_MS + 4 * 10_000);
    rig.answer(&cancelled(1));
    let late = OutcomeResult::Failed(FailCode::Timeout);
    assert_eq!(result(&mut rig).unwrap().0, late);
    rig.worker = None;
    rig.turn();
    rig.job(chunk());
    for _ in 0..3 {
        rig.deliver(Delivery::NoWorker);
    }
    assert!(rig.main_loop.recogniser.is_left_off());
    assert_eq!(result(&mut rig), None);
    rig.start_worker();
    rig.answer(&READY);
    rig.answer(&said(2, "chapter two"));
    assert_eq!(result(&mut rig).unwrap().1, "chapter two");
}

#[test]
fn end_gives_a_chunk_back_to_be_done_again() {
    let mut rig = Rig::ready();
    rig.job(chunk());
    rig.signal();
    assert_eq!(rig.run(), End::Asked);
    let shutdown = OutcomeResult::Dropped(DropReason::Shutdown);
    assert_eq!(result(&mut rig).unwrap().0, shutdown);
    assert_eq!(rig.recorded(), []);
}

#[test]
fn progress_is_told_once_the_newest_only_and_again_when_asked_for_while_the_job_goes_on() {
    let mut rig = Rig::ready();
    for percent in 0..5 {
        let news = JobNews::Progress(progress(7, JobState::Running, percent));
        rig.jobs.news.try_send(news).unwrap();
    }
    let done = progress(7, JobState::Done, 100);
    let next = progress(8, JobState::Running, 0);
    rig.job(JobNews::Progress(done));
    assert_eq!(rig.said, [DeviceMessage::Job(done)]);
    rig.said.clear();
    rig.job(JobNews::Progress(next));
    rig.job(JobNews::Progress(next));
    assert_eq!(rig.said, [DeviceMessage::Job(next)]);
    rig.said.clear();
    rig.say(HostMessage::GetStatus);
    assert_eq!(
        words(&rig.said)[..3],
        ["hello", "state idle", "counters"].map(str::to_owned)
    );
    assert_eq!(rig.said[3..], [DeviceMessage::Job(next)]);
    rig.job(JobNews::Progress(progress(8, JobState::Done, 100)));
    rig.said.clear();
    rig.say(HostMessage::GetStatus);
    assert_eq!(rig.said.len(), 3);
}

#[test]
fn progress_waits_for_a_line_that_takes_nothing_and_costs_no_outcome() {
    let mut rig = Rig::ready();
    rig.peer.as_ref().unwrap().refuse(true);
    for id in 1..=10 {
        let percent = u8::try_from(id * 3).unwrap();
        rig.job(JobNews::Progress(progress(1, JobState::Running, percent)));
        rig.utter(id, 0);
        rig.answer(&said(id, "on"));
        rig.free.dequeue();
    }
    assert_eq!(rig.main_loop.counters().link_dropped, 0);
    rig.peer.as_ref().unwrap().refuse(false);
    rig.turn();
    rig.turn();
    assert_eq!(rig.outcomes().len(), 10);
    let jobs: Vec<&DeviceMessage> = rig
        .said
        .iter()
        .filter(|message| matches!(message, DeviceMessage::Job(_)))
        .collect();
    // The first one was in the line's buffer before it stopped.
    assert!(jobs.len() <= 2, "{jobs:?}");
    let newest = DeviceMessage::Job(progress(1, JobState::Running, 30));
    assert_eq!(jobs.last(), Some(&&newest));
}

#[test]
fn alerts_are_told_at_each_change_and_again_after_a_greeting() {
    let mut rig = Rig::ready();
    let journal = |on| Delivery::Alert {
        alert: Alert::JournalDown,
        on,
    };
    rig.deliver(journal(true));
    rig.deliver(journal(true));
    assert_eq!(rig.said, [alert(Alert::JournalDown, true)]);
    rig.said.clear();
    rig.say(HostMessage::GetStatus);
    assert_eq!(rig.said[3..], [alert(Alert::JournalDown, true)]);
    rig.said.clear();
    rig.deliver(journal(false));
    assert_eq!(rig.said, [alert(Alert::JournalDown, false)]);
    rig.said.clear();
    rig.say(HostMessage::GetStatus);
    assert_eq!(rig.said.len(), 3);
}

#[test]
fn the_error_light_counts_what_the_appliance_does_without() {
    for (alert, flashes) in [
        (Alert::SafeMode, 1),
        (Alert::JournalDown, 3),
        (Alert::CpuFallback, 4),
        (Alert::VadFallback, 5),
    ] {
        let mut rig = Rig::ready();
        assert_eq!(rig.error_flashes(), 0);
        rig.deliver(Delivery::Alert { alert, on: true });
        assert_eq!(rig.error_flashes(), flashes, "{alert:?}");
        rig.deliver(Delivery::Alert { alert, on: false });
        assert_eq!(rig.error_flashes(), 0);
    }
    let mut rig = Rig::ready();
    rig.peer = None;
    rig.turn();
    assert_eq!(rig.error_flashes(), 2);
    let (link, peer) = pressel_hal::sim::MemoryLink::pair(16_384).unwrap();
    rig.peer = Some(peer);
    rig.deliver(Delivery::Link(Box::new(link)));
    assert_eq!(rig.error_flashes(), 0);
}

#[test]
fn processor_takes_over_from_cuda_with_a_log_line_a_light_and_an_alert() {
    let mut rig = Rig::with_cuda_in_safe_mode();
    rig.main_loop.fixed.safe_mode = false;
    rig.main_loop.begin();
    rig.start_worker();
    rig.answer(&Answer::Ready {
        cuda: true,
        load_ms: 1,
        canary: 3,
    });
    rig.utter(1, 0);
    rig.errands();
    rig.worker = None;
    rig.turn();
    // The card is gone: workers come and cannot load. What waits is not given up for that.
    for _ in 0..3 {
        rig.start_worker();
        let reason = heapless::String::try_from("no CUDA device").unwrap();
        rig.answer(&Answer::CannotLoad { reason });
    }
    let starts: Vec<_> = rig
        .errands()
        .into_iter()
        .filter(|(name, _)| name.starts_with("start"))
        .collect();
    let expected = [
        ("start worker", 0),
        ("start worker", 500),
        ("start worker", 2_000),
        ("start worker on cpu", 0),
    ];
    assert_eq!(starts, expected);
    assert!(rig.said.contains(&alert(Alert::CpuFallback, true)));
    let fell_back = |record: &Record| matches!(record, Record::WorkerFellBack);
    assert!(rig.records.iter().any(fell_back));
    assert_eq!(rig.recorded(), []);
    rig.start_worker();
    rig.answer(&Answer::Ready {
        cuda: false,
        load_ms: 1,
        canary: 4,
    });
    let id = match rig.asked()[..] {
        [Request::Recognise { id, .. }] => id,
        ref other => panic!("{other:?}"),
    };
    rig.answer(&said(id, "on"));
    assert_eq!(rig.outcomes().len(), 1);
    // A short flash every four seconds while idle.
    let now = rig.now();
    rig.pass(8_000 - now % 4_000);
    assert_eq!(rig.lit(), [false, false, false, true]);
    rig.pass(100);
    assert_eq!(rig.lit(), [false; 4]);
}

#[test]
fn safe_mode_is_told_after_the_greeting_and_seen() {
    let mut rig = Rig::with_cuda_in_safe_mode();
    rig.main_loop.begin();
    rig.turn();
    assert_eq!(words(&rig.said[..2]), ["hello", "state starting"]);
    assert_eq!(rig.said[2..], [alert(Alert::SafeMode, true)]);
    rig.start_worker();
    rig.answer(&READY);
    let now = rig.now();
    rig.pass(4_000 - now % 4_000);
    assert!(rig.lit()[3]);
}

#[test]
fn ears_without_a_model_are_told() {
    let mut rig = Rig::new();
    rig.main_loop.fixed.hears_by_level = true;
    rig.main_loop.begin();
    rig.turn();
    assert_eq!(rig.said[2..], [alert(Alert::VadFallback, true)]);
}

#[test]
fn loop_beats_every_turn_and_for_the_worker_until_that_is_long_overdue() {
    let mut rig = Rig::ready();
    rig.utter(1, 0);
    let beats = |rig: &Rig, watched| rig.vitals.beats(watched);
    let before = (beats(&rig, Watched::MainLoop), beats(&rig, Watched::Worker));
    rig.turn();
    let after = (beats(&rig, Watched::MainLoop), beats(&rig, Watched::Worker));
    assert_eq!(after, (before.0 + 1, before.1 + 1));
    let published = rig.vitals.read();
    assert_eq!(published.state.state, DeviceState::Recognising);
    assert_eq!(published.counters.utterances, 1);
    // A loop that did not look at its deadlines would say so.
    let overdue = rig.main_loop.recogniser.deadline().unwrap() + WORKER_OVERDUE_MS + 1;
    rig.main_loop.publish(overdue);
    assert_eq!(beats(&rig, Watched::Worker), after.1);
    assert_eq!(beats(&rig, Watched::MainLoop), after.0 + 1);
}
