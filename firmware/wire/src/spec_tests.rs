//! SPEC.md against the code: every frame, line, list and limit that it shows.
//!
//! SPEC.md in, comparisons with the code out. Compiled for tests only.

use core::fmt::Debug;
use std::format;
use std::string::String;
use std::vec::Vec;

use crate::codes::{Alert, DeviceState, DropReason, FailCode, JobState, Provider, Trigger};
use crate::frame::{STUFFED_BYTES_MAX, checksum};
use crate::limits::{
    FRAME_BYTES_MAX, HOST_LINE_BYTES_MAX, LINE_BYTES_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX,
    PART_BYTES_MAX, PARTS_MAX, TEXT_BYTES_MAX,
};
use crate::line::{parse_host_line, write_device_line, write_host_line};
use crate::{Counters, Decoder, DeviceLine, DeviceMessage, HostMessage, Message, encode};

const SPEC: &str = include_str!("../SPEC.md");

/// Returns the contents of the blocks that begin with this fence.
fn blocks(fence: &str) -> Vec<&'static str> {
    let mut parts = SPEC.split(fence);
    parts.next();
    parts
        .map(|part| part.split("\n```").next().unwrap().trim_start())
        .collect()
}

/// Returns the bytes that stand in front of the notes.
fn bytes(lines: &str) -> Vec<u8> {
    let columns = lines.lines().map(|line| line.split("  ").next().unwrap());
    let words = columns.flat_map(|column| column.split_whitespace());
    words
        .map(|word| u8::from_str_radix(word, 16).unwrap())
        .collect()
}

/// Decodes the frame, compares with the message that the page names, and encodes it again.
fn check<M: Message + Debug + PartialEq>(block: &str) {
    let (message_text, lines) = block.split_once('\n').unwrap();
    let shown = bytes(lines);
    let mut decoder = Decoder::<M>::new();
    let messages: Vec<_> = decoder.push(&shown).map(Result::unwrap).collect();
    let [message] = messages.as_slice() else {
        panic!("{message_text}: {messages:?}")
    };
    assert_eq!(format!("{message:?}"), message_text);
    let mut written = [0; FRAME_BYTES_MAX];
    let frame_bytes = encode(message, &mut written).unwrap();
    assert_eq!(written[..frame_bytes], shown, "{message_text}");
}

fn check_holds(piece: &str) {
    assert!(SPEC.contains(piece), "SPEC.md does not say: {piece}");
}

#[test]
fn worked_frames_are_true() {
    let (device, host) = (blocks("```frame device\n"), blocks("```frame host\n"));
    assert!(device.len() >= 6 && host.len() >= 3);
    device.into_iter().for_each(check::<DeviceMessage>);
    host.into_iter().for_each(check::<HostMessage>);
}

#[test]
fn worked_lines_are_true() {
    let mut written = [0; LINE_BYTES_MAX + 1];
    let line = |written: &[u8]| String::from(core::str::from_utf8(written).unwrap());
    let (device, host) = (blocks("```lines device\n"), blocks("```lines host\n"));
    assert_eq!((device.len(), host.len()), (1, 1));
    for shown in device[0].lines() {
        let parsed = DeviceLine::parse(shown).unwrap_or_else(|| panic!("{shown}"));
        let line_bytes = write_device_line(&parsed, &mut written).unwrap();
        assert_eq!(line(&written[..line_bytes]), format!("{shown}\n"));
    }
    for shown in host[0].lines() {
        let parsed = parse_host_line(shown).unwrap_or_else(|| panic!("{shown}"));
        let line_bytes = write_host_line(&parsed, &mut written).unwrap();
        assert_eq!(line(&written[..line_bytes]), format!("{shown}\n"));
    }
}

#[test]
fn lists_of_codes_are_complete() {
    let row = |list: &str, codes: Vec<(u8, &str)>| {
        let codes: Vec<_> = codes
            .iter()
            .map(|(byte, name)| format!("{byte} {name}"))
            .collect();
        check_holds(&format!("| {list} | {} |", codes.join(", ")));
    };
    row(
        "DeviceState",
        DeviceState::ALL
            .iter()
            .map(|&code| (code.into(), code.name()))
            .collect(),
    );
    row(
        "Trigger",
        Trigger::ALL
            .iter()
            .map(|&code| (code.into(), code.name()))
            .collect(),
    );
    row(
        "Provider",
        Provider::ALL
            .iter()
            .map(|&code| (code.into(), code.name()))
            .collect(),
    );
    row(
        "DropReason",
        DropReason::ALL
            .iter()
            .map(|&code| (code.into(), code.name()))
            .collect(),
    );
    row(
        "FailCode",
        FailCode::ALL
            .iter()
            .map(|&code| (code.into(), code.name()))
            .collect(),
    );
    row(
        "JobState",
        JobState::ALL
            .iter()
            .map(|&code| (code.into(), code.name()))
            .collect(),
    );
    row(
        "Alert",
        Alert::ALL
            .iter()
            .map(|&code| (code.into(), code.name()))
            .collect(),
    );
    let counters: Vec<_> = Counters::default()
        .fields()
        .iter()
        .map(|(name, _)| *name)
        .collect();
    check_holds(&format!(
        "| 4 | Counters | {}, each u32 |",
        counters.join(", ")
    ));
}

#[test]
fn limits_and_constants_are_true() {
    for piece in [
        format!("A frame has at most **{FRAME_BYTES_MAX}** bytes"),
        format!("at most **{STUFFED_BYTES_MAX}** between two 0x00"),
        format!("`buffer` holds {STUFFED_BYTES_MAX} bytes"),
        format!("| message | 1 to {MESSAGE_BYTES_MAX} | postcard"),
        format!("board text ({NAME_BYTES_MAX}), boot u32, model text ({NAME_BYTES_MAX})"),
        format!("part u8, parts u8, text ({PART_BYTES_MAX})"),
        format!("text of at most {TEXT_BYTES_MAX} bytes in at most {PARTS_MAX} parts"),
        format!("Lines to the host have at most {LINE_BYTES_MAX} bytes"),
        format!("Lines to the appliance have at most {HOST_LINE_BYTES_MAX} bytes"),
        format!(
            "`{:#04x}` to the host, `{:#04x}`",
            DeviceMessage::HEADER,
            HostMessage::HEADER
        ),
        format!("check(\"123456789\") = {:#06X}", checksum(b"123456789")).replace("0X", "0x"),
    ] {
        check_holds(&piece);
    }
}
