//! Tests of the model: what an evening leaves in it.
//!
//! Messages and times in, fields out.

use pressel_wire::text::name;
use pressel_wire::{OutcomeResult, Provider, Timing, Trigger};

use super::*;

/// A greeting.
pub(in crate::cli::monitor) fn hello(boot: u32) -> DeviceMessage {
    DeviceMessage::Hello(Hello {
        protocol: 1,
        version: [0, 1, 0],
        board: name("rpi-5"),
        boot,
        model: name("nano"),
    })
}

/// A state of the appliance.
pub(in crate::cli::monitor) fn state(
    state: pressel_wire::DeviceState,
    muted: bool,
) -> DeviceMessage {
    DeviceMessage::State(State {
        state,
        provider: Provider::Cpu,
        microphone_ok: true,
        worker_ok: true,
        muted,
        waiting: 0,
    })
}

/// An outcome with 93 % and 496 ms.
pub(in crate::cli::monitor) fn outcome(utterance: u32, result: OutcomeResult) -> Outcome {
    Outcome {
        sequence: utterance,
        utterance,
        trigger: Trigger::Ptt,
        result,
        confidence: 93,
        audio_ms: 1_800,
        timing: Timing {
            capture_ms: 200,
            queue_ms: 0,
            encode_ms: 41,
            decode_ms: 127,
            link_ms: 128,
        },
    }
}

/// A job.
pub(in crate::cli::monitor) fn job(number: u32, state: JobState, percent: u8) -> DeviceMessage {
    DeviceMessage::Job(Job {
        number,
        state,
        percent,
        left_s: 95,
    })
}

fn at(model: &mut Model, seconds: u64) {
    model.turn(Duration::from_secs(seconds), format!("12:00:{seconds:02}Z"));
}

#[test]
fn rate_is_that_of_the_last_seconds() {
    let mut model = Model::new("ttyUSB0", 9_600, true);
    for second in 0..20 {
        at(&mut model, second);
        model.heard(100);
        model.heard(50);
    }
    at(&mut model, 20);
    assert_eq!(model.quality.rate(model.now), 150);
    at(&mut model, 22);
    assert_eq!(model.quality.rate(model.now), 90);
    at(&mut model, 60);
    assert_eq!(model.quality.rate(model.now), 0);
    assert_eq!(model.quality.heard_at, Some(Duration::from_secs(19)));
}

#[test]
fn three_pings_without_an_answer_are_silence() {
    let mut model = Model::new("ttyUSB0", 9_600, true);
    for (second, is_silent) in [(0, false), (5, false), (10, false), (15, true)] {
        at(&mut model, second);
        assert!(matches!(model.ping(), Some(HostMessage::Ping { .. })));
        assert_eq!(model.ping(), None);
        assert_eq!(model.is_silent(), is_silent, "{second}");
    }
    at(&mut model, 16);
    model.message(&DeviceMessage::Pong { nonce: 3 }).unwrap(); // An old one.
    assert!(model.is_silent());
    model.message(&DeviceMessage::Pong { nonce: 4 }).unwrap();
    assert!(!model.is_silent());
    assert_eq!(model.quality.answer, Some(Duration::from_secs(1)));
}

#[test]
fn monitor_that_only_listens_sends_no_pings() {
    assert_eq!(Model::new("ttyUSB0", 9_600, false).ping(), None);
}

#[test]
fn alerts_end_by_themselves_or_with_a_greeting() {
    let mut model = Model::new("ttyUSB0", 9_600, true);
    let alert = |alert, on| DeviceMessage::Alert { alert, on };
    for message in [
        alert(Alert::JournalDown, true),
        alert(Alert::JournalDown, true),
        alert(Alert::SafeMode, true),
        alert(Alert::JournalDown, false),
    ] {
        model.message(&message).unwrap();
    }
    assert_eq!(model.alerts, [Alert::SafeMode]);
    model.message(&hello(2)).unwrap();
    assert!(model.alerts.is_empty());
}

#[test]
fn new_jobs_take_the_place_of_those_that_have_ended() {
    let mut model = Model::new("ttyUSB0", 9_600, true);
    for number in 1..=8 {
        model.message(&job(number, JobState::Paused, 0)).unwrap();
    }
    model.message(&job(5, JobState::Done, 100)).unwrap();
    model.message(&job(9, JobState::Running, 3)).unwrap();
    let numbers: Vec<_> = model.jobs.iter().map(|job| job.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 6, 7, 8, 9]);
}

#[test]
fn talk_is_bounded_and_cannot_move_the_cursor() {
    let mut model = Model::new("ttyUSB0", 9_600, true);
    let text = OutcomeResult::Text {
        bytes: 7,
        truncated: false,
    };
    for number in 0..600 {
        let said = "a\x1b[2Jb";
        model.outcome(&outcome(number, text), said, true).unwrap();
    }
    assert_eq!((model.entries.len(), model.outcomes()), (ENTRIES_MAX, 600));
    let What::Outcome { text, .. } = &model.entries[0].what else {
        panic!("{:?}", model.entries[0]);
    };
    assert_eq!(text, "a [2Jb");
}

#[test]
fn push_to_talk_ends_with_the_port_and_with_the_appliance() {
    let mut model = Model::new("ttyUSB0", 9_600, true);
    model.message(&hello(1)).unwrap();
    model.sent(&HostMessage::PttDown);
    assert!(model.talks);
    model.message(&hello(2)).unwrap();
    assert!(!model.talks);
    model.sent(&HostMessage::PttDown);
    model.port(Some("lost errno=5")).unwrap();
    assert!(!model.talks);
}
