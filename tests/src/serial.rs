//! The serial line: what the host says and hears, garbage, and a host that does not read.
//!
//! In: messages, lines and noise of the host. Out: messages in order; audio goes on whatever the
//! line does.

use pressel_wire::{DeviceMessage, DeviceState, HostMessage};

use crate::program::need_models;
use crate::rig::{Rig, Setting};
use crate::uart::Heard;
use crate::voice::{Random, silence, word};

/// Sends a ping and waits for its answer: all that was sent before has been done then.
fn settle(rig: &Rig, nonce: u32) {
    rig.host.send(HostMessage::Ping { nonce });
    let pong = DeviceMessage::Pong { nonce };
    let found = rig
        .host
        .wait(|heard| heard.messages.contains(&pong).then_some(()));
    assert!(found.is_some(), "no answer to ping {nonce}:\n{}", rig.log());
}

#[test]
fn the_host_asks_talks_cancels_and_mutes() {
    need_models!();
    let mut rig = Rig::ready(&Setting::default());
    settle(&rig, 1);
    let before = rig.host.look(|heard| heard.messages.len());
    rig.host.send(HostMessage::GetStatus);
    settle(&rig, 2);
    let answer = rig.host.look(|heard| heard.messages[before..].to_vec());
    let [DeviceMessage::Hello(hello), rest @ ..] = answer.as_slice() else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (hello.protocol, hello.board.as_str(), hello.model.as_str()),
        (1, "sim", "nano")
    );
    let told = |what: fn(&DeviceMessage) -> bool| rest.iter().any(what);
    assert!(
        told(|message| matches!(message, DeviceMessage::State(_))),
        "{answer:?}"
    );
    assert!(
        told(|message| matches!(message, DeviceMessage::Counters(_))),
        "{answer:?}"
    );

    rig.play(&silence(0.64));
    rig.host.send(HostMessage::PttDown);
    settle(&rig, 3);
    rig.play(&word());
    rig.board.drain();
    rig.host.send(HostMessage::PttUp);
    settle(&rig, 4);
    rig.play(&silence(0.32));
    rig.wait_for("outcome", 1);

    rig.press(true);
    rig.play(&word());
    rig.wait_for("utterance_start", 2);
    rig.host.send(HostMessage::Cancel);
    rig.wait_for("outcome", 2);
    rig.press(false);

    rig.host.send(HostMessage::Mute(true));
    rig.wait_for_state("muted");
    rig.press(true);
    rig.press(false);
    rig.host.send(HostMessage::PttDown);
    rig.host.send(HostMessage::PttUp);
    rig.host.send(HostMessage::Mute(false));
    rig.wait_for_state("idle");
    settle(&rig, 5);
    let ended = rig.finish(2);
    assert_eq!(
        ended.results(),
        ["text", "dropped/cancelled"],
        "{}",
        ended.log
    );
    let mut states = ended
        .heard
        .messages
        .iter()
        .filter_map(|message| match message {
            DeviceMessage::State(state) => Some(state.state),
            _ => None,
        });
    assert!(states.any(|state| state == DeviceState::Muted));
}

#[test]
fn noise_on_the_line_is_counted_and_does_nothing() {
    need_models!();
    let mut random = Random::new(4);
    let rig = Rig::ready(&Setting::default());
    for turn in 0..20 {
        let byte = |_| u8::try_from(random.below(256)).unwrap();
        let noise: Vec<u8> = (0..1_000).map(byte).collect();
        rig.host.write(&noise);
        settle(&rig, turn);
    }
    let ended = rig.finish(0);
    assert!(10 < ended.counters()("link_bad_frames"), "{}", ended.log);
    assert_eq!(ended.counters()("utterances"), 0);
}

#[test]
fn a_host_that_does_not_read_delays_no_audio_and_loses_no_outcome_in_the_log() {
    need_models!();
    let mut rig = Rig::ready(&Setting {
        reads: false,
        ..Setting::default()
    });
    // Questions until the line, and the buffer before it, are full of answers.
    for _ in 0..2_000 {
        rig.host.send(HostMessage::GetStatus);
    }
    for _ in 0..3 {
        rig.play(&silence(0.64));
        rig.say(&word());
    }
    rig.wait_for("outcome", 3);
    // Now it reads: what waited comes, in order and without a gap.
    rig.host.listen();
    let all = rig
        .host
        .wait(|heard| (heard.outcomes.len() == 3).then_some(()));
    assert!(all.is_some(), "{}", rig.log());
    let ended = rig.finish(3);
    assert_eq!(ended.results(), ["text", "text", "text"], "{}", ended.log);
    assert!(
        0 < ended.counters()("link_dropped"),
        "the line was never full: {}",
        ended.log
    );
}

#[test]
fn line_mode_speaks_plain_text_both_ways() {
    need_models!();
    let config = "[link]\nmode = \"lines\"\n";
    let mut rig = Rig::ready(&Setting {
        config,
        ..Setting::default()
    });
    let line = |rig: &Rig, begins: &str| {
        let find = |lines: Vec<String>| lines.into_iter().find(|line| line.starts_with(begins));
        let found = rig.host.wait(|heard| find(heard.lines()));
        found.unwrap_or_else(|| panic!("no line {begins}"))
    };
    assert!(line(&rig, "HELLO ").starts_with("HELLO 1 "));
    rig.host.write(b"what?\nPING 7\n");
    assert_eq!(line(&rig, "PONG "), "PONG 7");
    rig.say(&word());
    rig.wait_for("outcome", 1);
    let text = line(&rig, "TEXT ");
    rig.press(true);
    rig.play(&silence(0.64));
    rig.wait_for("utterance_start", 2);
    rig.host.write(b"CANCEL\r\n");
    assert_eq!(line(&rig, "DROPPED "), "DROPPED 2 cancelled");
    rig.press(false);
    rig.wait_for("outcome", 2);
    let ended = rig.end(rustix::process::Signal::TERM);
    let said = crate::events::said(&ended.events);
    assert_eq!(text, format!("TEXT 1 {}", said[0].text));
    assert_eq!(ended.counters()("link_bad_frames"), 1, "{}", ended.log);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
}

#[test]
fn a_serial_line_that_is_pulled_out_is_opened_again_and_told_who_speaks() {
    need_models!();
    let mut rig = Rig::ready(&Setting::default());
    rig.board.pull_out_uart();
    rig.host.change_line(&rig.board.uart);
    rig.wait_for("link", 1);
    // Nothing is lost meanwhile.
    rig.say(&word());
    rig.wait_for("outcome", 1);
    rig.board.plug_in_uart();
    rig.host.listen();
    let hello = |heard: &Heard| (!heard.messages.is_empty()).then_some(());
    assert!(rig.host.wait(hello).is_some(), "{}", rig.log());
    settle(&rig, 9);
    let ended = rig.finish(1);
    let messages = &ended.heard.messages;
    assert!(
        messages
            .iter()
            .any(|message| matches!(message, DeviceMessage::Hello(_)))
    );
    assert_eq!(ended.results(), ["text"], "{}", ended.log);
}
