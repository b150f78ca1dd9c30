//! Tests of what an utterance ends as.
//!
//! Times are in samples at 16 kHz and in milliseconds.

use pressel_pipeline::waiting::SpeechSpan;

use super::*;
use crate::window::Heard;

fn closed(trigger: Trigger, reason: CloseReason) -> ClosedUtterance {
    ClosedUtterance {
        id: 7,
        slot: 3,
        trigger,
        start: 16_000,
        samples: 32_000,
        speech: Some(SpeechSpan {
            start: 1_600,
            end: 24_000,
        }),
        closed_at: 16_000 + 32_000 + 160,
        reason,
    }
}

fn check(trigger: Trigger, reason: CloseReason, capture_ms: u32) {
    let utterance = utterance(&closed(trigger, reason), 3_200, 900);
    assert_eq!(utterance.capture_ms, capture_ms, "{trigger} {reason:?}");
    assert_eq!((utterance.id, utterance.slot), (7, 3));
    assert_eq!((utterance.start, utterance.closed_at), (16_000, 900));
}

#[test]
fn capture_time_begins_where_the_talking_ended() {
    // The release: 200 ms of post-roll, and 10 ms until the block was whole.
    check(Trigger::Ptt, CloseReason::Released, 210);
    check(Trigger::Voice, CloseReason::Released, 210);
    // The last sample, when the slot is full under the button.
    check(Trigger::Ptt, CloseReason::Full, 10);
    // The end of speech, when nobody pressed.
    check(Trigger::Voice, CloseReason::Endpoint, 510);
    check(Trigger::Wake, CloseReason::Full, 510);
}

#[test]
fn without_speech_the_end_of_the_recording_counts() {
    let mut silent = closed(Trigger::Voice, CloseReason::Endpoint);
    silent.speech = None;
    assert_eq!(utterance(&silent, 3_200, 0).capture_ms, 10);
}

fn answered(answer: Answer) -> Finished {
    let utterance = utterance(&closed(Trigger::Ptt, CloseReason::Released), 3_200, 900);
    of_answer(&utterance, answer, 950, 1_400)
}

fn done(text: &str, sense: Sense) -> Answer {
    Answer::Done {
        id: 7,
        text: String::try_from(text).unwrap(),
        truncated: true,
        sense,
        language: *b"en",
        confidence: 88,
        encode_ms: 40,
        decode_ms: 60,
        heard: Heard::default(),
    }
}

#[test]
fn text_has_its_length_confidence_and_times() {
    let finished = answered(done("grün", Sense::Words));
    let result = OutcomeResult::Text {
        bytes: 5,
        truncated: true,
    };
    let timing = Timing {
        capture_ms: 210,
        queue_ms: 50,
        encode_ms: 40,
        decode_ms: 60,
        link_ms: 0,
    };
    assert_eq!(finished.outcome.result, result);
    assert_eq!(finished.outcome.timing, timing);
    assert_eq!(finished.outcome.confidence, 88);
    assert_eq!((finished.text.as_str(), finished.start), ("grün", 16_000));
    assert_eq!(
        (finished.outcome.audio_ms, finished.done_at),
        (2_000, 1_400)
    );
}

#[test]
fn no_speech_and_no_text_are_the_same_and_carry_neither_text_nor_confidence() {
    for (text, sense) in [
        ("", Sense::Words),
        ("", Sense::NoSpeech),
        ("thank you", Sense::NoSpeech),
    ] {
        let finished = answered(done(text, sense));
        assert_eq!(finished.outcome.result, OutcomeResult::NoSpeech);
        assert_eq!(finished.outcome.confidence, CONFIDENCE_UNKNOWN);
        assert_eq!(finished.text.as_str(), "");
        assert_eq!(finished.outcome.timing.decode_ms, 60);
    }
}

#[test]
fn a_command_has_its_number_and_what_is_unknown_nothing() {
    let finished = answered(done("lights on", Sense::Command(7)));
    let command = OutcomeResult::Command { command: 7 };
    assert_eq!(finished.outcome.result, command);
    assert_eq!(finished.outcome.confidence, 88);
    assert_eq!(finished.text.as_str(), "");
    let finished = answered(done("lights", Sense::Unknown));
    assert_eq!(finished.outcome.result, OutcomeResult::Unknown);
    assert_eq!(finished.outcome.confidence, CONFIDENCE_UNKNOWN);
    assert_eq!(finished.text.as_str(), "");
}

#[test]
fn each_fault_has_its_result() {
    for (fault, expected) in [
        (
            Fault::Cancelled,
            OutcomeResult::Dropped(DropReason::Cancelled),
        ),
        (Fault::BadRequest, OutcomeResult::Failed(FailCode::BadAudio)),
        (Fault::Model, OutcomeResult::Failed(FailCode::ModelFault)),
        (Fault::Sticky, OutcomeResult::Failed(FailCode::ModelFault)),
        (Fault::Reload, OutcomeResult::Failed(FailCode::ModelFault)),
    ] {
        let finished = answered(Answer::Failed { id: 7, fault });
        assert_eq!(finished.outcome.result, expected, "{fault:?}");
    }
}

#[test]
fn lost_utterance_tells_how_much_of_it_there_was() {
    let lost = LostUtterance {
        id: 9,
        trigger: Trigger::Voice,
        start: 4_800,
        samples: 8_000,
        reason: DropReason::MicLost,
    };
    let finished = Finished::lost(&lost, 77);
    let outcome = finished.outcome;
    assert_eq!(outcome.result, OutcomeResult::Dropped(DropReason::MicLost));
    assert_eq!((outcome.utterance, outcome.audio_ms), (9, 500));
    assert_eq!((finished.start, finished.done_at), (4_800, 77));
    assert_eq!(outcome.confidence, CONFIDENCE_UNKNOWN);
}

#[test]
fn times_longer_than_the_wire_can_tell_are_the_longest() {
    assert_eq!(short(u64::MAX), u32::MAX);
    assert_eq!(short(5), 5);
}
