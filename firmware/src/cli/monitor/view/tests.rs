//! Tests of the screen: a model in, rows of letters out.
//!
//! The terminal is a buffer of ratatui.

use pressel_wire::{Alert, Counters, DecodeError, DeviceMessage, DropReason, HostMessage, Mark};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::cli::monitor::courier::Show as _;
use crate::cli::monitor::model::tests::{hello, job, outcome, state};

const TEXT: OutcomeResult = OutcomeResult::Text {
    bytes: 17,
    truncated: false,
};

/// Draws at a size; returns the rows.
fn rows(model: &Model, columns: u16, rows: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    let buffer = terminal.backend().buffer();
    let letters: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    letters
        .chunks(usize::from(columns))
        .map(|row| row.concat())
        .collect()
}

/// Looks for pieces, each in a row of its own, in this order.
fn check(model: &Model, columns: u16, height: u16, pieces: &[&str]) {
    let rows = rows(model, columns, height);
    let picture = rows.join("\n");
    let mut left = rows.iter();
    for piece in pieces {
        let is_there = left.any(|row| row.contains(piece));
        assert!(
            is_there,
            "no {piece:?} here, or not in this order:\n{picture}"
        );
    }
}

/// An evening.
fn model() -> Model {
    let mut model = Model::new("/dev/ttyUSB0", 115_200, true);
    model.turn(Duration::from_secs(1), "12:00:01Z".to_owned());
    model.ping();
    let messages = [
        hello(17),
        state(DeviceState::Idle, false),
        job(3, JobState::Running, 40),
        job(2, JobState::Quarantined, 90),
        DeviceMessage::Pong { nonce: 1 },
        DeviceMessage::Counters(Counters {
            uptime_s: 3_720,
            utterances: 12,
            texts: 10,
            link_dropped: 7,
            ..Counters::default()
        }),
    ];
    for message in &messages {
        model.read();
        model.heard(50);
        model.message(message).unwrap();
    }
    model
        .outcome(&outcome(11, TEXT), "turn on the light", true)
        .unwrap();
    let dropped = OutcomeResult::Dropped(DropReason::Busy);
    model.outcome(&outcome(12, dropped), "", true).unwrap();
    model.sent(&HostMessage::Acknowledge(Mark::default()));
    model.turn(Duration::from_secs(4), "12:00:04Z".to_owned());
    model
}

#[test]
fn everything_is_on_one_screen() {
    let pieces = [
        "pressel monitor /dev/ttyUSB0 115200 baud",
        "IDLE  microphone ok  worker ok  cpu  0 waiting",
        "pressel 0.1.0 on rpi-5, model nano, boot 17",
        "what was said",
        "12:00:01Z      11 ptt turn on the light",
        "1.8 s, 496 ms: capture 200 queue 0 encode 41 decode 127 link 128",
        "12:00:01Z      12 ptt [dropped/busy]",
        "counters 3 s ago",
        "frames  6 good 0 bad",
        "dropped 7 by the appliance",
        "acks 1",
        "rate    60 bytes/s",
        "heard   3 s ago",
        "ping    after 0 ms",
        "q quit   space talk   m mute",
    ];
    check(&model(), 80, 24, &pieces);
    let jobs = ["  2 quarantined", "  3 running ####......  40% 1 min 35 s"];
    check(&model(), 120, 30, &jobs);
    let others = ["up      1 h 2 min", "  3 running  40% 1 min 35 s"];
    check(&model(), 80, 24, &others);
}

#[test]
fn nothing_heard_yet_says_so() {
    let model = Model::new("/dev/ttyUSB0", 115_200, false);
    let pieces = [
        "no state heard yet",
        "nobody has said hello yet",
        "not told yet",
        "never",
    ];
    check(&model, 80, 24, &pieces);
    check(&model, 80, 24, &["ping    not asked for"]);
}

#[test]
fn alerts_a_lost_port_and_a_silent_line_are_on_top() {
    let mut model = model();
    let alert = Alert::JournalDown;
    model
        .message(&DeviceMessage::Alert { alert, on: true })
        .unwrap();
    model.port(Some("lost errno=5")).unwrap();
    model.turn(Duration::from_secs(16), String::new());
    check(
        &model,
        80,
        24,
        &[
            "ALERT journaldown",
            "PORT lost errno=5 12 s ago",
            "! the port is",
        ],
    );
    model.port(None).unwrap();
    for second in [20, 30, 40, 50] {
        model.turn(Duration::from_secs(second), String::new());
        model.ping();
    }
    check(&model, 80, 24, &["NO ANSWER", "ping    none"]);
}

#[test]
fn keys_and_state_show_talking_and_mute() {
    let mut model = model();
    model.message(&state(DeviceState::Muted, true)).unwrap();
    model.sent(&HostMessage::PttDown);
    check(&model, 80, 24, &["MUTED", "space stop talking   m unmute"]);
    check(&model, 80, 24, &["muted  TALKING"]);
}

#[test]
fn damage_and_gaps_are_counted_by_cause() {
    let mut model = model();
    for error in [
        DecodeError::BadCrc,
        DecodeError::BadCrc,
        DecodeError::BadMessage,
    ] {
        model.bad(error).unwrap();
    }
    model.gap(Mark::default(), Mark::default()).unwrap();
    let pieces = ["6 good 3 bad", "crc 2 cobs 0 long 0 new 1", "gaps    1"];
    check(&model, 80, 24, &pieces);
}

#[test]
fn long_texts_are_broken_between_words_and_the_newest_is_seen() {
    let mut model = model();
    let text = "many words ".repeat(100) + &"x".repeat(200) + " at the end";
    model.outcome(&outcome(13, TEXT), &text, false).unwrap();
    check(
        &model,
        80,
        24,
        &[
            "many words",
            "xxx at the end [a part was",
            "lost on the line]",
            "1.8 s",
        ],
    );
    let wide = "語".repeat(60);
    model.outcome(&outcome(14, TEXT), &wide, true).unwrap();
    check(&model, 40, 24, &["語 語 語 語", "1.8 s"]);
}

#[test]
fn any_size_is_drawn() {
    let mut model = model();
    for columns in [1, 2, 10, 30, 71, 72, 300] {
        for height in [1, 2, 5, 17, 18, 100] {
            rows(&model, columns, height);
        }
    }
    model.entries.clear();
    rows(&model, 80, 24);
}

#[test]
fn what_the_other_side_says_cannot_move_the_cursor() {
    let text = "\x1b[2J\nx";
    let mut model = model();
    model
        .message(&DeviceMessage::Hello(pressel_wire::Hello {
            protocol: 1,
            version: [0, 1, 2],
            board: pressel_wire::text::name(text),
            boot: 17,
            model: pressel_wire::text::name(text),
        }))
        .unwrap();
    model.outcome(&outcome(9, TEXT), text, true).unwrap();
    for row in rows(&model, 100, 30) {
        assert!(!row.contains(char::is_control), "{row:?}");
    }
    let pieces = ["pressel 0.1.2 on  [2J x, model  [2J x, boot 17", " [2J x"];
    check(&model, 100, 30, &pieces);
}
