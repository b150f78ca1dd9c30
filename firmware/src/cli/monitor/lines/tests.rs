//! Tests of the lines: what is printed for each message.
//!
//! Messages in, a vector of bytes out.

use pressel_wire::{
    Alert, Counters, DeviceState, DropReason, Hello, JobState, Provider, State, Timing, Trigger,
    transcript_parts,
};

use super::*;
use crate::cli::monitor::courier::Listener;

/// Takes messages as a monitor that only listens.
fn listen(json: bool, messages: &[DeviceMessage]) -> Lines<Vec<u8>> {
    let (mut lines, mut listener) = (Lines::new(json, Vec::new()), Listener::default());
    for message in messages {
        listener.take(message, &mut lines).unwrap();
    }
    lines
}

/// Shows messages and returns what was printed.
fn show(json: bool, messages: &[DeviceMessage]) -> String {
    String::from_utf8(listen(json, messages).out).unwrap()
}

/// Shows one message both ways.
fn check(message: DeviceMessage, words: &str, object: &serde_json::Value) {
    let messages = [message];
    assert_eq!(show(false, &messages), format!("{words}\n"));
    let printed: serde_json::Value = serde_json::from_str(&show(true, &messages)).unwrap();
    assert_eq!(&printed, object);
}

fn outcome(id: u32, result: OutcomeResult) -> DeviceMessage {
    DeviceMessage::Outcome(Outcome {
        sequence: id - 1,
        utterance: id,
        trigger: Trigger::Ptt,
        result,
        confidence: 90,
        audio_ms: 2_000,
        timing: Timing {
            capture_ms: 1,
            queue_ms: 2,
            encode_ms: 3,
            decode_ms: 4,
            link_ms: 5,
        },
    })
}

fn parts(id: u32, text: &str) -> Vec<DeviceMessage> {
    transcript_parts(id, text)
        .map(DeviceMessage::Transcript)
        .collect()
}

fn of_text(bytes: u16) -> OutcomeResult {
    OutcomeResult::Text {
        bytes,
        truncated: false,
    }
}

#[test]
fn who_speaks_and_what_it_does_are_shown() {
    let hello = Hello {
        protocol: 1,
        version: [0, 1, 2],
        board: pressel_wire::text::name("sim"),
        boot: 17,
        model: pressel_wire::text::name("nano"),
    };
    check(
        DeviceMessage::Hello(hello),
        "-  pressel 0.1.2 board=sim model=nano",
        &json!({
            "event": "hello", "protocol": 1, "version": "0.1.2", "board": "sim", "boot": 17,
            "model": "nano",
        }),
    );
    let state = State {
        state: DeviceState::Idle,
        provider: Provider::Cpu,
        microphone_ok: true,
        worker_ok: true,
        muted: false,
        waiting: 0,
    };
    check(
        DeviceMessage::State(state),
        "-  idle (cpu)",
        &json!({
            "event": "state", "state": "idle", "provider": "cpu", "microphone": true,
            "worker": true, "muted": false,
        }),
    );
    check(
        DeviceMessage::Pong { nonce: 9 },
        "-  pong 9",
        &json!({"event": "pong", "nonce": 9}),
    );
    let counters = Counters {
        texts: 5,
        ..Counters::default()
    };
    let printed = show(true, &[DeviceMessage::Counters(counters)]);
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (&printed["event"], &printed["texts"]),
        (&json!("counters"), &json!(5))
    );
}

#[test]
fn jobs_and_alerts_are_shown() {
    let job = |left_s| Job {
        number: 3,
        state: JobState::Running,
        percent: 40,
        left_s,
    };
    check(
        DeviceMessage::Job(job(95)),
        "-  job 3 running 40 %, 95 s left",
        &json!({"event": "job", "job": 3, "state": "running", "percent": 40, "left_s": 95}),
    );
    check(
        DeviceMessage::Job(job(LEFT_UNKNOWN)),
        "-  job 3 running 40 %",
        &json!({"event": "job", "job": 3, "state": "running", "percent": 40, "left_s": null}),
    );
    for (on, words) in [
        (true, "!  alert journaldown begins"),
        (false, "-  alert journaldown is over"),
    ] {
        check(
            DeviceMessage::Alert {
                alert: Alert::JournalDown,
                on,
            },
            words,
            &json!({"event": "alert", "alert": "journaldown", "on": on}),
        );
    }
}

#[test]
fn text_is_put_together_from_its_parts() {
    let text = "turn on the light ".repeat(20);
    let mut messages = parts(4, &text);
    assert!(1 < messages.len());
    messages.push(outcome(4, of_text(u16::try_from(text.len()).unwrap())));
    assert_eq!(show(false, &messages), format!("4  {text}\n"));
    let printed: serde_json::Value = serde_json::from_str(&show(true, &messages)).unwrap();
    let expected = json!({
        "event": "outcome", "sequence": 3, "utterance": 4, "trigger": "ptt", "result": "text",
        "text": text, "complete": true, "confidence": 90, "audio_ms": 2000,
        "timing_ms": {"capture": 1, "queue": 2, "encode": 3, "decode": 4, "link": 5},
    });
    assert_eq!(printed, expected);
}

#[test]
fn what_the_other_side_says_cannot_move_the_cursor() {
    let text = "\x1b[2J\nx";
    let mut messages = parts(1, text);
    messages.push(outcome(1, of_text(6)));
    messages.push(DeviceMessage::Hello(Hello {
        protocol: 1,
        version: [0, 1, 2],
        board: pressel_wire::text::name(text),
        boot: 17,
        model: pressel_wire::text::name(text),
    }));
    let expected = "1   [2J x\n-  pressel 0.1.2 board= [2J x model= [2J x\n";
    assert_eq!(show(false, &messages), expected);
    // JSON has signs of its own for them.
    let printed = show(true, &messages);
    assert_eq!(printed.lines().count(), 2);
    assert!(!printed.contains('\x1b'), "{printed}");
}

#[test]
fn text_with_a_lost_part_says_so() {
    let text = "x".repeat(400);
    let mut messages = parts(4, &text);
    messages.remove(1);
    messages.push(outcome(4, of_text(400)));
    let shown = show(false, &messages);
    assert!(
        shown.ends_with("[part of the text was lost on the line]\n"),
        "{shown}"
    );
    let printed: serde_json::Value = serde_json::from_str(&show(true, &messages)).unwrap();
    assert_eq!(printed["complete"], false);
}

#[test]
fn other_results_are_shown_by_name() {
    let messages = [
        outcome(1, OutcomeResult::NoSpeech),
        outcome(2, OutcomeResult::Dropped(DropReason::Busy)),
    ];
    assert_eq!(show(false, &messages), "1  [nospeech]\n2  [dropped/busy]\n");
}

#[test]
fn outcomes_are_counted_and_nothing_else_is() {
    let mut messages = parts(1, "on");
    messages.push(DeviceMessage::Pong { nonce: 1 });
    let lines = listen(false, &messages);
    assert_eq!((lines.outcomes(), lines.out.is_empty()), (0, false));
    messages.push(outcome(1, of_text(2)));
    assert_eq!(listen(false, &messages).outcomes(), 1);
}

#[test]
fn port_that_goes_and_comes_is_told() {
    let mut lines = Lines::new(true, Vec::new());
    lines.port(Some("lost errno=5")).unwrap();
    lines.port(None).unwrap();
    let printed = String::from_utf8(lines.out).unwrap();
    let objects: Vec<serde_json::Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected = [
        json!({"event": "port", "open": false, "why": "lost errno=5"}),
        json!({"event": "port", "open": true, "why": null}),
    ];
    assert_eq!(objects, expected);
}
