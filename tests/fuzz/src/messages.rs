//! Messages of the serial line: any content, in a frame that is whole.
//!
//! First byte: the direction. The rest: the message. The frame around it is made right, so that
//! the fuzzer works on messages and not on guessing a CRC. What is read can be written, and says
//! the same in line mode.

use pressel_wire::limits::{LINE_BYTES_MAX, MESSAGE_BYTES_MAX};
use pressel_wire::line::{parse_host_line, write_device_line, write_host_line};
use pressel_wire::{Decoder, DeviceLine, DeviceMessage, HostMessage, LineDecoder, Message};

use super::frames::check_round;
use super::sums;

/// Checks any bytes as a message of the direction that the first byte chooses.
pub fn check(bytes: &[u8]) {
    let Some((direction, content)) = bytes.split_first() else {
        return;
    };
    if direction & 1 == 0 {
        if let Some(message) = read::<DeviceMessage>(content) {
            check_round(&message);
            check_device_line(&message);
        }
    } else if let Some(message) = read::<HostMessage>(content) {
        check_round(&message);
        check_host_line(&message);
    }
}

/// Reads a message out of a whole frame, in one piece and byte by byte.
fn read<M: Message + PartialEq + core::fmt::Debug>(content: &[u8]) -> Option<M> {
    let frame = sums::frame(M::HEADER, content);
    let mut decoder = Decoder::<M>::new();
    let mut results = decoder.push(&frame);
    let result = results.next().expect("a frame gives a message or an error");
    assert!(results.next().is_none());
    drop(results);
    if MESSAGE_BYTES_MAX < content.len() {
        assert!(result.is_err(), "no message is so long");
    }
    let mut single = Decoder::<M>::new();
    let singly: Vec<_> = frame.iter().filter_map(|b| single.push_byte(*b)).collect();
    assert_eq!(singly.len(), 1);
    assert_eq!(singly[0], result);
    result.ok()
}

fn check_device_line(message: &DeviceMessage) {
    let text = match message {
        DeviceMessage::Transcript(part) => part.text.as_str(),
        DeviceMessage::Part(part) => part.text.as_str(),
        DeviceMessage::Hello(hello) => hello.board.as_str(),
        _ => "it's 5\u{2028}o'clock",
    };
    let Some(line) = DeviceLine::from_message(message, text) else {
        return;
    };
    let mut room = [0; LINE_BYTES_MAX + 1];
    let count = write_device_line(&line, &mut room).expect("every message fits a line");
    let written = one_line(&room[..count]);
    let read = DeviceLine::parse(&written).expect("what was written is a line");
    let mut again = [0; LINE_BYTES_MAX + 1];
    let count = write_device_line(&read, &mut again).expect("it fitted before");
    assert_eq!(one_line(&again[..count]), written);
}

fn check_host_line(message: &HostMessage) {
    let mut room = [0; LINE_BYTES_MAX + 1];
    let written = write_host_line(message, &mut room);
    if matches!(message, HostMessage::Acknowledge(_)) {
        assert!(written.is_err(), "line mode does not acknowledge");
        return;
    }
    let line = one_line(&room[..written.expect("every other message fits a line")]);
    assert_eq!(parse_host_line(&line), Some(*message));
}

/// Returns the one line that is in the bytes, without its end.
fn one_line(bytes: &[u8]) -> String {
    assert_eq!(bytes.last(), Some(&b'\n'));
    let mut decoder = LineDecoder::<LINE_BYTES_MAX>::new();
    let mut lines = Vec::new();
    for byte in bytes {
        if let Some(line) = decoder.push_byte(*byte) {
            lines.push(line.expect("a written line is text").to_owned());
        }
    }
    let [line] = lines.as_slice() else {
        panic!("one line was written: {lines:?}");
    };
    assert!(!line.contains(char::is_control), "{line:?}");
    line.clone()
}
