//! Tests of the words for records: every record has a log line, and none tells what was said.
//!
//! A test is a record, its line, and its object.

use pressel_hal::{LinkError, MicError};
use pressel_pipeline::utterance::CloseReason;
use pressel_wire::{Counters, DeviceState, DropReason, FailCode, Provider, State, Timing, Trigger};

use super::*;
use crate::stream::{ClosedUtterance, LostUtterance, WordName};

const SECRET: &str = "my secret words";

fn outcome(result: OutcomeResult) -> Record {
    Record::Outcome {
        outcome: Outcome {
            sequence: 3,
            utterance: 7,
            trigger: Trigger::Ptt,
            result,
            confidence: 90,
            audio_ms: 1_500,
            timing: Timing {
                capture_ms: 1,
                queue_ms: 2,
                encode_ms: 3,
                decode_ms: 4,
                link_ms: 5,
            },
        },
        start: 16_000,
        text: heapless::String::try_from(SECRET).unwrap(),
    }
}

const TEXT: OutcomeResult = OutcomeResult::Text {
    bytes: 15,
    truncated: false,
};

fn check(record: &Record, level: Level, line: &str, object: Option<Value>) {
    assert_eq!(log_line(record), (level, line.to_owned()));
    assert_eq!(json_object(record, true), object, "{line}");
}

fn listen(event: ListenEvent, level: Level, line: &str, object: Option<Value>) {
    check(&Record::Listen(event), level, line, object);
}

#[test]
fn refused_wake_word_is_told() {
    let word = WordName::new("computer").unwrap();
    check(
        &Record::WakeRefused { utterance: 7, word },
        Level::Info,
        "wake refused id=7 word=\"computer\"",
        Some(json!({"event": "wake_refused", "utterance": 7, "word": "computer"})),
    );
}

#[test]
fn outcome_is_told_without_its_text_in_the_log_and_with_it_as_json() {
    let times = json!({"capture": 1, "queue": 2, "encode": 3, "decode": 4, "link": 5});
    check(
        &outcome(TEXT),
        Level::Info,
        "outcome text id=7 at_ms=1000 audio_ms=1500 capture_ms=1 queue_ms=2 encode_ms=3 \
         decode_ms=4 link_ms=5",
        Some(json!({
            "event": "outcome", "utterance": 7, "trigger": "ptt", "result": "text",
            "start": 1.0, "audio": 1.5, "text": SECRET, "confidence": 90, "timing_ms": times,
        })),
    );
    // Without times, for output that is the same from run to run.
    let object = json_object(&outcome(TEXT), false).unwrap();
    assert_eq!(object.get("timing_ms"), None);
    assert_eq!(object["result"], "text");
}

#[test]
fn result_says_its_reason_and_a_loss_is_a_warning() {
    for (result, name, level) in [
        (TEXT, "text", Level::Info),
        (OutcomeResult::NoSpeech, "nospeech", Level::Info),
        (
            OutcomeResult::Dropped(DropReason::Busy),
            "dropped/busy",
            Level::Warn,
        ),
        (
            OutcomeResult::Failed(FailCode::WorkerDied),
            "failed/workerdied",
            Level::Warn,
        ),
    ] {
        let record = outcome(result);
        assert_eq!(result_name(&result), name);
        assert_eq!(json_object(&record, true).unwrap()["result"], name);
        let (found, line) = log_line(&record);
        assert_eq!(found, level);
        assert!(line.starts_with(&format!("outcome {name} ")), "{line}");
        assert!(!line.contains(SECRET));
    }
}

#[test]
fn state_is_told() {
    let state = State {
        state: DeviceState::Recording,
        provider: Provider::Cuda,
        microphone_ok: true,
        worker_ok: false,
        muted: false,
        waiting: 2,
    };
    check(
        &Record::State(state),
        Level::Info,
        "state recording provider=cuda microphone=true worker=false waiting=2",
        Some(json!({
            "event": "state", "state": "recording", "provider": "cuda", "microphone": true,
            "worker": false, "muted": false,
        })),
    );
}

#[test]
fn what_listen_finds_is_told_in_sample_time() {
    listen(
        ListenEvent::SpeechStart(8_000),
        Level::Debug,
        "speech start at_ms=500",
        Some(json!({"event": "speech_start", "at": 0.5, "sample": 8_000})),
    );
    listen(
        ListenEvent::SpeechEnd(24_000),
        Level::Debug,
        "speech end at_ms=1500",
        Some(json!({"event": "speech_end", "at": 1.5, "sample": 24_000})),
    );
    let wake = ListenEvent::Wake {
        word: WordName::new("hey pressel").unwrap(),
        score: 0.75,
        at: 16_000,
    };
    listen(
        wake,
        Level::Info,
        "wake word=\"hey pressel\" score=0.75 at_ms=1000",
        Some(json!({
            "event": "wake", "word": "hey pressel", "score": 0.75, "at": 1.0, "sample": 16_000,
        })),
    );
    listen(
        ListenEvent::Gap(3_200),
        Level::Warn,
        "audio gap lost_ms=200",
        Some(json!({"event": "gap", "length": 0.2})),
    );
    listen(
        ListenEvent::VadFellBack,
        Level::Error,
        "voice activity model failed, the level decides now",
        Some(json!({"event": "vad_fell_back"})),
    );
    listen(
        ListenEvent::WakeFailed,
        Level::Error,
        "wake word model failed, no wake word is heard until the next start",
        Some(json!({"event": "wake_failed"})),
    );
}

#[test]
fn utterance_is_told_from_its_opening_to_its_end() {
    let opened = ListenEvent::Opened {
        id: 7,
        trigger: Trigger::Voice,
        start: 16_000,
    };
    listen(
        opened,
        Level::Info,
        "utterance open id=7 trigger=voice at_ms=1000",
        Some(json!({
            "event": "utterance_start", "utterance": 7, "trigger": "voice", "at": 1.0,
            "sample": 16_000,
        })),
    );
    let closed = ClosedUtterance {
        id: 7,
        slot: 0,
        trigger: Trigger::Voice,
        start: 16_000,
        samples: 32_000,
        speech: None,
        closed_at: 48_000,
        reason: CloseReason::Endpoint,
    };
    listen(
        ListenEvent::Closed(closed),
        Level::Info,
        "utterance closed id=7 audio_ms=2000 reason=Endpoint",
        Some(json!({"event": "utterance_end", "utterance": 7, "at": 3.0, "sample": 48_000})),
    );
    let lost = LostUtterance {
        id: 7,
        trigger: Trigger::Voice,
        start: 16_000,
        samples: 32_000,
        reason: DropReason::Muted,
    };
    // Its outcome follows.
    listen(
        ListenEvent::Lost(lost),
        Level::Debug,
        "utterance lost id=7 trigger=voice reason=muted",
        None,
    );
}

#[test]
fn trouble_with_devices_is_told() {
    check(
        &Record::Microphone(MicError::Overrun { lost_samples: 512 }),
        Level::Warn,
        "microphone overrun lost_samples=512",
        Some(json!({"event": "microphone", "error": "overrun lost_samples=512"})),
    );
    check(
        &Record::Link(LinkError::Lost { errno: 5 }),
        Level::Warn,
        "link lost errno=5",
        Some(json!({"event": "link", "error": "lost errno=5"})),
    );
    let pin = Record::Pin {
        role: "button",
        errno: 5,
    };
    check(&pin, Level::Warn, "pin failed role=button errno=5", None);
    check(
        &Record::PixelsWork { failures: 3 },
        Level::Info,
        "pin works again role=pixels failures=3",
        None,
    );
    check(
        &Record::Missing(4),
        Level::Warn,
        "records missing count=4",
        None,
    );
}

#[test]
fn life_of_the_worker_is_told() {
    for (cuda, provider) in [(false, "cpu"), (true, "cuda")] {
        check(
            &Record::WorkerReady { cuda, load_ms: 812 },
            Level::Info,
            &format!("worker ready provider={provider} load_ms=812"),
            Some(json!({"event": "worker_ready", "cuda": cuda, "load_ms": 812})),
        );
    }
    let reason = heapless::String::try_from("no such file").unwrap();
    check(
        &Record::WorkerCannotLoad(reason),
        Level::Error,
        "worker cannot load: no such file",
        Some(json!({"event": "worker_lost", "reason": "no such file"})),
    );
    check(
        &Record::WorkerLost("it hangs"),
        Level::Error,
        "worker lost: it hangs",
        Some(json!({"event": "worker_lost", "reason": "it hangs"})),
    );
    check(
        &Record::WorkerFellBack,
        Level::Error,
        "worker failed too often on cuda, the processor takes over",
        Some(json!({"event": "worker_fell_back", "provider": "cpu"})),
    );
    check(
        &Record::WorkerLeftOff { ms: 60_000 },
        Level::Error,
        "worker failed too often, left off wait_ms=60000",
        None,
    );
    check(
        &Record::FilesHeld { ms: 600_000 },
        Level::Error,
        "worker failed too often over files, files wait wait_ms=600000",
        None,
    );
}

#[test]
fn panic_is_told_once() {
    let panic = Record::Panic {
        thread: "listen",
        count: 2,
    };
    check(
        &panic,
        Level::Error,
        "thread panicked and was rebuilt name=listen total=2",
        Some(json!({"event": "panic", "thread": "listen", "count": 2})),
    );
    let event = ListenEvent::ThreadPanicked {
        count: 2,
        ended: false,
    };
    listen(event, Level::Debug, "listen panicked", None);
}

#[test]
fn every_counter_is_told_by_its_name() {
    let mut counters = Counters::default();
    for (index, (name, _)) in counters.fields().iter().enumerate() {
        *counters.field_mut(name).unwrap() = index as u32 + 1;
    }
    let record = Record::Counters(counters);
    let object = json_object(&record, true).unwrap();
    let (level, line) = log_line(&record);
    assert_eq!((level, &object["event"]), (Level::Info, &json!("counters")));
    for (name, value) in counters.fields() {
        assert_eq!(object[name], json!(value));
        assert!(line.contains(&format!("{name}: {value}")), "{line}");
    }
    assert_eq!(object.as_object().unwrap().len(), 13);
}

#[test]
fn seconds_are_exact_to_the_millisecond() {
    assert!((seconds(16_015) - 1.0).abs() < f64::EPSILON);
    assert!((seconds(16_016) - 1.001).abs() < f64::EPSILON);
    assert!((seconds(0) - 0.0).abs() < f64::EPSILON);
}
