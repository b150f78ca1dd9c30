//! Tests of the serial line over a link in memory.
//!
//! The far end reads late, not at all, or hangs up.

use std::io::{Read as _, Write as _};

use pressel_hal::sim::{MemoryLink, MemoryPeer};
use pressel_wire::limits::TEXT_BYTES_MAX;
use pressel_wire::{Assembler, DropReason, Trigger, encode_host};

use super::*;

fn serial(mode: LinkMode) -> (Serial, MemoryPeer) {
    let (link, peer) = MemoryLink::pair(4_096).unwrap();
    (Serial::new(Some(Box::new(link)), mode), peer)
}

fn drain(peer: &mut MemoryPeer) -> Vec<u8> {
    let (mut all, mut bytes) = (Vec::new(), [0; 512]);
    while let Ok(count @ 1..) = peer.stream.read(&mut bytes) {
        all.extend_from_slice(&bytes[..count]);
    }
    all
}

/// Flushes and reads until nothing is left.
fn deliver(serial: &mut Serial, peer: &mut MemoryPeer) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        serial.flush().unwrap();
        let bytes = drain(peer);
        if bytes.is_empty() {
            return all;
        }
        all.extend(bytes);
    }
}

fn messages(bytes: &[u8]) -> Vec<DeviceMessage> {
    let mut decoder = Decoder::new();
    decoder
        .push(bytes)
        .map(|message| message.unwrap())
        .collect()
}

fn heard(serial: &mut Serial) -> Vec<HostMessage> {
    let mut messages = heapless::Vec::new();
    serial.read(&mut messages).unwrap();
    messages.into_iter().collect()
}

fn of_text(id: u32, text: &str) -> Finished {
    let result = OutcomeResult::Text {
        bytes: u16::try_from(text.len()).unwrap(),
        truncated: false,
    };
    let mut finished = Finished::bare(id, Trigger::Ptt, result, 0);
    finished.text = heapless::String::try_from(text).unwrap();
    finished
}

fn dropped(id: u32) -> Finished {
    let result = OutcomeResult::Dropped(DropReason::Busy);
    Finished::bare(id, Trigger::Ptt, result, 0)
}

const PONG: DeviceMessage = DeviceMessage::Pong { nonce: 7 };

#[test]
fn outcome_goes_out_after_the_parts_of_its_text() {
    let (mut serial, mut peer) = serial(LinkMode::Frames);
    let text = "straße ".repeat(TEXT_BYTES_MAX / 8);
    assert!(serial.send_outcome(&of_text(3, &text)));
    assert!(serial.send_outcome(&dropped(4)));
    assert!(!serial.is_flushed());
    let messages = messages(&deliver(&mut serial, &mut peer));
    assert!(serial.is_flushed());
    let mut assembler = Assembler::new();
    let mut outcomes = Vec::new();
    for message in &messages {
        match message {
            DeviceMessage::Transcript(part) => assembler.push(part),
            DeviceMessage::Outcome(outcome) => {
                let found = assembler.finish(outcome);
                outcomes.push((outcome.utterance, found.text.to_owned(), found.complete));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(outcomes, [(3, text, true), (4, String::new(), true)]);
}

#[test]
fn line_mode_says_each_outcome_in_one_line() {
    let (mut serial, mut peer) = serial(LinkMode::Lines);
    serial.send(&PONG);
    serial.send_outcome(&of_text(3, "lights on"));
    serial.send_outcome(&dropped(4));
    let part = transcript_parts(3, "lights on").next().unwrap();
    assert!(serial.send(&DeviceMessage::Transcript(part)));
    assert_eq!(
        String::from_utf8(deliver(&mut serial, &mut peer)).unwrap(),
        "PONG 7\nTEXT 3 lights on\nDROPPED 4 busy\n"
    );
}

#[test]
fn line_that_takes_a_byte_now_and_then_gets_every_byte_in_order() {
    /// Takes at most three bytes at a time.
    struct Slow(MemoryLink);
    impl Link for Slow {
        fn poll_fd(&self) -> PollFd {
            self.0.poll_fd()
        }
        fn read(&mut self, bytes: &mut [u8]) -> Result<usize, LinkError> {
            self.0.read(bytes)
        }
        fn write(&mut self, bytes: &[u8]) -> Result<usize, LinkError> {
            self.0.write(&bytes[..bytes.len().min(3)])
        }
        fn name(&self) -> &str {
            "slow"
        }
    }
    let (link, mut peer) = MemoryLink::pair(4_096).unwrap();
    let mut serial = Serial::new(Some(Box::new(Slow(link))), LinkMode::Frames);
    let mut expected = Vec::new();
    let mut bytes = Vec::new();
    // Often enough to go around the buffer's end.
    for nonce in 0..3_000 {
        let pong = DeviceMessage::Pong { nonce };
        assert!(serial.send(&pong));
        expected.push(pong);
        while !serial.is_flushed() {
            serial.flush().unwrap();
        }
        bytes.extend(drain(&mut peer));
    }
    assert_eq!(messages(&bytes), expected);
}

#[test]
fn what_finds_no_room_is_refused_whole_and_fits_later() {
    for mode in [LinkMode::Frames, LinkMode::Lines] {
        let (mut serial, mut peer) = serial(mode);
        peer.refuse(true);
        let long = of_text(1, &"x".repeat(TEXT_BYTES_MAX));
        let fit = (0..).take_while(|_| serial.send_outcome(&long)).count();
        assert!(3 <= fit, "{mode:?}: {fit} of the longest outcomes");
        serial.flush().unwrap();
        assert_eq!(serial.out.len(), serial.out.len().min(LINK_BUFFER_BYTES));
        // A short message still fits; at last it does not either.
        let short = (0..).take_while(|_| serial.send(&PONG)).count();
        assert!(0 < short);
        assert!(!serial.send(&PONG) && !serial.send_outcome(&long));
        peer.refuse(false);
        let bytes = deliver(&mut serial, &mut peer);
        assert!(serial.is_flushed() && serial.send_outcome(&long));
        if mode == LinkMode::Frames {
            let outcomes = messages(&bytes)
                .into_iter()
                .filter(|message| matches!(message, DeviceMessage::Outcome(_)));
            assert_eq!(outcomes.count(), fit);
        }
    }
}

#[test]
fn room_is_waited_for_only_while_something_is_left() {
    let (mut serial, peer) = serial(LinkMode::Frames);
    assert_eq!(serial.poll_fd().events, libc::POLLIN);
    serial.send(&PONG);
    assert_eq!(serial.poll_fd().events, libc::POLLIN | libc::POLLOUT);
    serial.flush().unwrap();
    assert_eq!(serial.poll_fd().events, libc::POLLIN);
    drop(peer);
    serial.take();
    assert_eq!(serial.poll_fd().fd, -1);
}

#[test]
fn host_is_heard_between_garbage_and_garbage_is_counted() {
    let (mut serial, mut peer) = serial(LinkMode::Frames);
    let mut bytes = [0; FRAME_BYTES_MAX];
    let count = encode_host(&HostMessage::Ping { nonce: 9 }, &mut bytes).unwrap();
    peer.stream.write_all(b"\0nonsense\0").unwrap();
    peer.stream.write_all(&bytes[..count]).unwrap();
    bytes[3] ^= 0x10;
    peer.stream.write_all(&bytes[..count]).unwrap();
    // A frame in two pieces.
    let count = encode_host(&HostMessage::PttDown, &mut bytes).unwrap();
    peer.stream.write_all(&bytes[..2]).unwrap();
    assert_eq!(heard(&mut serial), [HostMessage::Ping { nonce: 9 }]);
    assert_eq!(serial.bad_frames(), 2);
    peer.stream.write_all(&bytes[2..count]).unwrap();
    assert_eq!(heard(&mut serial), [HostMessage::PttDown]);
    assert_eq!(heard(&mut serial), []);
}

#[test]
fn host_is_heard_in_lines() {
    let (mut serial, mut peer) = serial(LinkMode::Lines);
    peer.stream.write_all(b"PING 7\r\nWHAT\n").unwrap();
    peer.stream.write_all(&[b'x'; 100]).unwrap();
    peer.stream.write_all(b"\nCANCEL\n").unwrap();
    let expected = [HostMessage::Ping { nonce: 7 }, HostMessage::Cancel];
    assert_eq!(heard(&mut serial), expected);
    assert_eq!(serial.bad_frames(), 2);
}

#[test]
fn one_turn_reads_a_bounded_number_of_bytes() {
    let (mut serial, mut peer) = serial(LinkMode::Lines);
    let lines = "PING 1\n".repeat(100);
    peer.stream.write_all(lines.as_bytes()).unwrap();
    let first = heard(&mut serial).len();
    assert_eq!(first, LINK_READ_BYTES / 7);
    assert_eq!(
        first + heard(&mut serial).len() + heard(&mut serial).len(),
        100
    );
}

#[test]
fn lost_line_is_taken_out_and_what_waits_goes_to_the_next_one() {
    let (mut serial, peer) = serial(LinkMode::Frames);
    peer.refuse(true);
    serial.send(&PONG);
    serial.flush().unwrap();
    peer.refuse(false);
    drop(peer);
    assert!(serial.flush().is_err());
    assert!(serial.read(&mut heapless::Vec::new()).is_err());
    assert!(serial.take().is_some());
    assert!(serial.take().is_none());
    assert_eq!((serial.flush(), serial.is_flushed()), (Ok(()), true));
    assert!(serial.read(&mut heapless::Vec::new()).is_ok());
    let waits: Vec<u64> = (0..5).map(|_| serial.next_retry_ms()).collect();
    assert_eq!(waits, [500, 1_000, 2_000, 4_000, 5_000]);

    let (link, mut peer) = MemoryLink::pair(4_096).unwrap();
    serial.resume(Box::new(link));
    assert_eq!(serial.next_retry_ms(), 500);
    assert_eq!(messages(&deliver(&mut serial, &mut peer)), [PONG]);
}

#[test]
fn half_a_frame_from_before_the_loss_does_not_hurt_what_follows() {
    let (mut serial, mut peer) = serial(LinkMode::Frames);
    let mut bytes = [0; FRAME_BYTES_MAX];
    let count = encode_host(&HostMessage::PttUp, &mut bytes).unwrap();
    peer.stream.write_all(&bytes[..count - 2]).unwrap();
    assert_eq!(heard(&mut serial), []);
    serial.take();
    let (link, mut peer) = MemoryLink::pair(4_096).unwrap();
    serial.resume(Box::new(link));
    peer.stream.write_all(&bytes[..count]).unwrap();
    assert_eq!(heard(&mut serial), [HostMessage::PttUp]);
    assert_eq!(serial.bad_frames(), 0);
}

#[test]
fn without_a_line_everything_is_taken_and_nothing_is_heard() {
    let mut serial = Serial::new(None, LinkMode::None);
    for id in 0..100 {
        assert!(serial.send(&PONG) && serial.send_outcome(&of_text(id, "on")));
    }
    assert_eq!((serial.flush(), serial.is_flushed()), (Ok(()), true));
    assert_eq!((heard(&mut serial), serial.dropped()), (Vec::new(), 0));
    serial.count_dropped();
    assert_eq!(serial.dropped(), 1);
}
