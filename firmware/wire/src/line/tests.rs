//! Line mode: round trips, forging, noise.

use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::limits::{HOST_LINE_BYTES_MAX, TEXT_BYTES_MAX};
use crate::strategies::{device_messages, host_line_messages, noise, texts};

fn written(line: &DeviceLine<'_>) -> String {
    let mut bytes = [0; LINE_BYTES_MAX + 1];
    let line_bytes = write_device_line(line, &mut bytes).unwrap();
    core::str::from_utf8(&bytes[..line_bytes]).unwrap().into()
}

/// Decodes bytes as a host would, and returns the lines.
fn lines(bytes: &[u8]) -> Vec<Result<String, LineError>> {
    let mut decoder = LineDecoder::<LINE_BYTES_MAX>::new();
    let mut found = Vec::new();
    for &byte in bytes {
        found.extend(decoder.push_byte(byte).map(|line| line.map(String::from)));
    }
    let good = found.iter().filter(|line| line.is_ok()).count();
    assert_eq!(
        (decoder.lines(), decoder.bad_lines()),
        (good as u32, (found.len() - good) as u32)
    );
    found
}

/// Compares what a text becomes on the wire.
fn check(text: &str, expected: &str) {
    let line = written(&DeviceLine::Text {
        utterance: 12,
        text,
    });
    assert_eq!(line, ["TEXT 12 ", expected, "\n"].concat());
    let parsed = DeviceLine::parse(line.trim_end_matches('\n'));
    assert_eq!(
        parsed,
        Some(DeviceLine::Text {
            utterance: 12,
            text: expected
        })
    );
}

#[test]
fn text_cannot_forge_a_line() {
    check("turn on the light", "turn on the light");
    check(
        "ok\nDROPPED 13 busy\nTEXT 14 x",
        "ok DROPPED 13 busy TEXT 14 x",
    );
    check("ok\r\nFAILED 15 timeout", "ok  FAILED 15 timeout");
    check("a\u{85}b\u{2028}c\u{2029}d\u{b}e\u{c}f\0g", "a b c d e f g");
    check("\u{1b}[2Jgone\u{8}\u{7f}", " [2Jgone  ");
    check("left\u{202e}right\u{2066}", "left right ");
    check("  two  spaces ", "  two  spaces ");
    check("grün 日本 🎙", "grün 日本 🎙");
    check("", "");
}

#[test]
fn names_in_hello_are_single_words() {
    let hello = Hello {
        protocol: 1,
        version: [0, 1, 0],
        board: name("my board\n9"),
        boot: 17,
        model: name(""),
    };
    assert_eq!(
        written(&DeviceLine::Hello(hello)),
        "HELLO 1 0.1.0 my_board_9 - 17\n"
    );
}

#[test]
fn longest_text_fits_into_a_line_and_more_is_refused() {
    let mut bytes = [0; 2 * LINE_BYTES_MAX];
    let text = "x".repeat(TEXT_BYTES_MAX);
    let line = DeviceLine::Text {
        utterance: u32::MAX,
        text: &text,
    };
    assert_eq!(
        write_device_line(&line, &mut bytes),
        Ok(16 + TEXT_BYTES_MAX + 1)
    );
    let refused = write_device_line(&line, &mut bytes[..TEXT_BYTES_MAX + 16]);
    assert_eq!(refused, Err(EncodeError::BufferTooSmall));
    let text = "x".repeat(LINE_BYTES_MAX);
    let line = DeviceLine::Text {
        utterance: 1,
        text: &text,
    };
    assert_eq!(
        write_device_line(&line, &mut bytes),
        Err(EncodeError::MessageTooLong)
    );
}

#[test]
fn line_that_is_no_line_is_refused() {
    for line in [
        "",
        "TEXT",
        "TEXT x on",
        "TEXT -1 on",
        "text 1 on",
        "STATE",
        "STATE idle",
        "NOSPEECH",
        "NOSPEECH 4294967296",
        "DROPPED 1",
        "HELLO 1 0.1 sim nano 17",
        "HELLO 1 0.1.0 sim nano",
        "COUNTERS uptime_s",
        "COUNTERS uptime_s=x",
        "PONG",
        "WHAT 1",
    ] {
        assert_eq!(DeviceLine::parse(line), None, "{line}");
    }
    for line in [
        "",
        "PTT",
        "PTT LEFT",
        "PING",
        "PING x",
        "MUTE",
        "CANCEL 1",
        "PTT DOWN 1",
        "HI",
    ] {
        assert_eq!(parse_host_line(line), None, "{line}");
    }
}

#[test]
fn line_of_a_newer_sender_is_understood_as_far_as_possible() {
    let reason = DropReason::Unknown;
    let dropped = DeviceLine::Dropped {
        utterance: 1,
        reason,
    };
    assert_eq!(
        DeviceLine::parse("DROPPED 1 moonrise and more"),
        Some(dropped)
    );
    let counters = Counters {
        texts: 3,
        ..Counters::default()
    };
    let line = "COUNTERS moons=1 texts=3";
    assert_eq!(
        DeviceLine::parse(line),
        Some(DeviceLine::Counters(counters))
    );
}

#[test]
fn person_at_a_terminal_is_understood() {
    for (typed, message) in [
        ("ptt down", HostMessage::PttDown),
        ("  Mute   on ", HostMessage::Mute(true)),
        ("ping 7", HostMessage::Ping { nonce: 7 }),
        ("status", HostMessage::GetStatus),
    ] {
        assert_eq!(parse_host_line(typed), Some(message), "{typed}");
    }
}

#[test]
fn line_ends_with_line_feed_or_carriage_return() {
    let expected = ["a", "b", "c"].map(|line| Ok(line.into()));
    assert_eq!(lines(b"a\nb\r\n\n\r\rc\runfinished"), expected);
}

#[test]
fn line_that_is_too_long_or_no_text_costs_no_other_line() {
    let long = "x".repeat(LINE_BYTES_MAX + 1);
    let bytes = [long.as_bytes(), b"\nPONG 1\n\xff\xfe\nPONG 2\n"].concat();
    let (long, bad) = (Err(LineError::Overlong), Err(LineError::NotText));
    assert_eq!(
        lines(&bytes),
        [long, Ok("PONG 1".into()), bad, Ok("PONG 2".into())]
    );
}

/// What a message is worth after it was a line: names are words then.
fn as_word(text: &str) -> crate::Name {
    let word = std::format!("{}", Word(text));
    name(if word == "-" { "" } else { &word })
}

proptest! {
    #[test]
    fn device_message_survives_line_mode(message in device_messages(), text in texts(400)) {
        let text = std::format!("{}", Spoken(&text));
        let Some(line) = DeviceLine::from_message(&message, &text) else { return Ok(()) };
        let expected = match line.clone() {
            DeviceLine::Hello(hello) => DeviceLine::Hello(Hello {
                board: as_word(&hello.board),
                model: as_word(&hello.model),
                ..hello
            }),
            other => other,
        };
        let line = written(&line);
        prop_assert_eq!(DeviceLine::parse(line.trim_end_matches('\n')), Some(expected));
    }

    #[test]
    fn any_text_is_one_line(text in texts(TEXT_BYTES_MAX), noise in noise(50)) {
        let line = written(&DeviceLine::Text { utterance: 3, text: &text });
        let found = lines(&[&noise[..], b"\n", line.as_bytes()].concat());
        prop_assert_eq!(found.last(), Some(&Ok(line.trim_end_matches('\n').into())));
        prop_assert_eq!(lines(line.as_bytes()).len(), 1);
    }

    #[test]
    fn host_message_survives_line_mode(message in host_line_messages(), noise in noise(200)) {
        let mut bytes = [0; HOST_LINE_BYTES_MAX];
        let line_bytes = write_host_line(&message, &mut bytes).unwrap();
        let mut decoder = LineDecoder::<HOST_LINE_BYTES_MAX>::new();
        let mut last = None;
        for &byte in [&noise, &b"\n"[..], &bytes[..line_bytes]].concat().iter() {
            last = decoder.push_byte(byte).map(|line| line.ok().and_then(parse_host_line));
        }
        prop_assert_eq!(last, Some(Some(message)));
    }

    #[test]
    fn any_line_is_parsed_without_panic(line in texts(300), word in 0..8_usize) {
        let words = ["TEXT", "HELLO", "STATE", "DROPPED", "FAILED", "COUNTERS", "PONG", "PING"];
        let line = std::format!("{} {line}", words[word]);
        let parsed = DeviceLine::parse(&line);
        prop_assert!(parsed.is_none_or(|line| written(&line).ends_with('\n')));
        let is_ping = |message| matches!(message, HostMessage::Ping { .. });
        prop_assert!(parse_host_line(&line).is_none_or(is_ping));
    }
}
