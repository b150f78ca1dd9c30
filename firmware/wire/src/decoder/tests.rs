//! The decoder against round trips, damage and noise.

use std::vec::Vec;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::limits::{FRAME_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::strategies::{device_messages, host_messages, noise};
use crate::{
    Counters, DeviceMessage, DropReason, EncodeError, Hello, HostMessage, Outcome, OutcomeResult,
    Timing, Transcript, Trigger, encode, encode_device, text,
};

type Results = Vec<Result<DeviceMessage, DecodeError>>;

const PING: HostMessage = HostMessage::Ping { nonce: 7 };
const PONG: DeviceMessage = DeviceMessage::Pong { nonce: 7 };

fn frame<M: Message>(message: &M) -> Vec<u8> {
    let mut bytes = [0xAA; FRAME_BYTES_MAX];
    let frame_bytes = encode(message, &mut bytes).unwrap();
    bytes[..frame_bytes].to_vec()
}

/// A frame with any payload and the right CRC.
fn frame_of(checked: &[u8]) -> Vec<u8> {
    let payload = [checked, &checksum(checked).to_le_bytes()].concat();
    let mut stuffed = [0; 2 * FRAME_BYTES_MAX];
    let stuffed_bytes = cobs::try_encode(&payload, &mut stuffed).unwrap();
    [&[0], &stuffed[..stuffed_bytes], &[0]].concat()
}

fn decode(bytes: &[u8]) -> Results {
    Decoder::new().push(bytes).collect()
}

/// Decodes the frames together and compares with what should come of them.
fn check(frames: &[&[u8]], expected: &[Result<DeviceMessage, DecodeError>]) {
    assert_eq!(decode(&frames.concat()), expected, "{frames:02x?}");
}

fn long_outcome() -> DeviceMessage {
    let many = u32::MAX;
    DeviceMessage::Outcome(Outcome {
        sequence: many,
        utterance: many,
        trigger: Trigger::File,
        result: OutcomeResult::Text {
            bytes: u16::MAX,
            truncated: true,
        },
        confidence: 255,
        audio_ms: many,
        timing: Timing {
            capture_ms: many,
            queue_ms: many,
            encode_ms: many,
            decode_ms: many,
            link_ms: many,
        },
    })
}

#[test]
fn longest_message_of_each_kind_fits_into_a_frame() {
    let mut counters = Counters::default();
    for (key, _) in Counters::default().fields() {
        *counters.field_mut(key).unwrap() = u32::MAX;
    }
    let name = text::name(&"n".repeat(100));
    let text = heapless::String::try_from("t".repeat(192).as_str()).unwrap();
    for message in [
        DeviceMessage::Hello(Hello {
            protocol: 255,
            version: [u16::MAX; 3],
            board: name.clone(),
            boot: u32::MAX,
            model: name,
        }),
        DeviceMessage::Transcript(Transcript {
            utterance: u32::MAX,
            part: 255,
            parts: 255,
            text,
        }),
        DeviceMessage::Counters(counters),
        long_outcome(),
    ] {
        check(&[&frame(&message)], &[Ok(message)]);
    }
}

#[test]
fn crc_is_the_one_of_the_catalogue() {
    assert_eq!(checksum(b"123456789"), 0x906e); // check value of CRC-16/IBM-SDLC
}

#[test]
fn buffer_that_is_one_byte_too_small_is_refused() {
    let frame_bytes = frame(&PONG).len();
    let mut bytes = [0; FRAME_BYTES_MAX];
    assert_eq!(
        encode_device(&PONG, &mut bytes[..frame_bytes]),
        Ok(frame_bytes)
    );
    for short in 0..frame_bytes {
        let result = encode_device(&PONG, &mut bytes[..short]);
        assert_eq!(result, Err(EncodeError::BufferTooSmall), "{short} bytes");
    }
}

#[test]
fn zeros_between_frames_mean_nothing() {
    check(&[&[0; 1000]], &[]);
    check(
        &[&[0; 9], &frame(&PONG), &[0; 300], &frame(&PONG), &[0]],
        &[Ok(PONG), Ok(PONG)],
    );
}

#[test]
fn intact_frame_that_is_no_message_is_reported_as_such() {
    let bad = Err(DecodeError::BadMessage);
    check(&[&frame(&PING)], core::slice::from_ref(&bad)); // one's own echo
    for checked in [
        &[][..],
        &[0x10],                         // no message
        &[0x20, 5, 7],                   // link version 2
        &[0x10, 99],                     // a kind of message that is not known yet
        &[0x10, 5],                      // a field is missing
        &[0x10, 5, 7, 0],                // a byte too many
        &[0x10, 2, 1, 0, 1, 1, 0xff],    // text that is not UTF-8
        &[0x10, 2, 1, 0, 1, 0xff, 0x01], // text longer than the message
        &[0x10, 1, 0, 0, 2, 0, 0, 0],    // neither true nor false
    ] {
        check(
            &[&frame_of(checked), &frame(&PONG)],
            &[bad.clone(), Ok(PONG)],
        );
    }
}

#[test]
fn code_of_a_newer_sender_is_read_as_unknown() {
    let outcome = [0x10, 3, 0, 0, 0, 2, 77, 255, 0, 0, 0, 0, 0, 0];
    match decode(&frame_of(&outcome)).as_slice() {
        [Ok(DeviceMessage::Outcome(outcome))] => {
            assert_eq!(outcome.result, OutcomeResult::Dropped(DropReason::Unknown));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn frame_that_is_too_long_is_skipped_and_counted_once() {
    let overlong = Err(DecodeError::Overlong);
    check(
        &[&[7; STUFFED_BYTES_MAX + 1], &frame(&PONG)],
        &[overlong.clone(), Ok(PONG)],
    );
    check(&[&[7; 100_000], &frame(&PONG)], &[overlong, Ok(PONG)]);
    let longest = frame_of(&[0x10; 1 + MESSAGE_BYTES_MAX]);
    assert_eq!(longest.len(), FRAME_BYTES_MAX);
    check(&[&longest], &[Err(DecodeError::BadMessage)]);
}

#[test]
fn lost_delimiter_beside_another_costs_nothing() {
    let frame = frame(&PONG);
    check(&[&frame[..frame.len() - 1], &frame], &[Ok(PONG), Ok(PONG)]);
    check(&[&frame, &frame[1..]], &[Ok(PONG), Ok(PONG)]);
}

#[test]
fn frame_cut_anywhere_costs_no_other_frame() {
    let (victim, next) = (frame(&long_outcome()), frame(&PONG));
    for kept in 0..victim.len() - 1 {
        let results = decode(&[&victim[..kept], &next].concat());
        let delivered: Vec<_> = results.into_iter().flatten().collect();
        assert_eq!(delivered, [PONG], "{kept} bytes kept");
    }
    for lost in 2..victim.len() - 1 {
        let results = decode(&[&next, &victim[lost..], &next].concat());
        let delivered: Vec<_> = results.into_iter().flatten().collect();
        assert_eq!(delivered, [PONG, PONG], "{lost} bytes lost");
    }
}

/// Flips bits of the frame between two others: it must be lost, and nothing but it.
fn check_flips(frames: [&[u8]; 3], flips: &[usize], neighbours: [&DeviceMessage; 2]) {
    let [before, victim, after] = frames;
    let mut bytes = [before, victim, after].concat();
    for flip in flips {
        bytes[before.len() + flip / 8] ^= 1 << (flip % 8);
    }
    let mut decoder = Decoder::new();
    let mut delivered = decoder.push(&bytes).flatten();
    let first = delivered.next();
    let second = delivered.next();
    let expected = (Some(neighbours[0].clone()), Some(neighbours[1].clone()));
    assert_eq!((first, second), expected, "{victim:02x?} bits {flips:?}");
    assert_eq!(delivered.next(), None, "{victim:02x?} bits {flips:?}");
}

#[test]
fn one_flipped_bit_costs_one_frame_and_is_never_accepted() {
    // The same frames at each run: the CRC's promise about stuffing bytes is not absolute.
    let mut runner = TestRunner::deterministic();
    let neighbours = [&PONG, &DeviceMessage::Pong { nonce: 0 }];
    let (before, after) = (frame(neighbours[0]), frame(neighbours[1]));
    for _ in 0..400 {
        let victim = frame(&device_messages().new_tree(&mut runner).unwrap().current());
        for flip in 0..8 * victim.len() {
            check_flips([&before, &victim, &after], &[flip], neighbours);
        }
    }
}

#[test]
fn two_flipped_bits_inside_a_frame_are_never_accepted() {
    let neighbours = [&PONG, &PONG];
    let around = frame(&PONG);
    let victim = frame(&long_outcome());
    for first in 8..8 * (victim.len() - 1) {
        for second in first + 1..8 * (victim.len() - 1) {
            check_flips([&around, &victim, &around], &[first, second], neighbours);
        }
    }
}

#[test]
fn counts_tell_what_was_seen() {
    let mut decoder = Decoder::<DeviceMessage>::new();
    let frame = frame(&PONG);
    let mut damaged = frame.clone();
    damaged[3] ^= 1;
    for bytes in [
        &frame[..],
        &damaged,
        &[9, 9, 0],
        &[1; 999],
        &frame_of(&[0x11, 0]),
        &frame,
    ] {
        assert!(decoder.push(bytes).count() <= bytes.len());
    }
    let expected = DecodeCounts {
        frames: 2,
        overlong: 1,
        bad_cobs: 1,
        bad_crc: 1,
        bad_message: 1,
    };
    assert_eq!(decoder.counts(), expected);
    assert_eq!(decoder.counts().bad(), 4);
}

#[test]
fn reset_forgets_a_frame_that_has_begun() {
    let mut decoder = Decoder::new();
    let frame = frame(&PONG);
    assert_eq!(decoder.push(&frame[..4]).count(), 0);
    decoder.reset();
    assert_eq!(decoder.push(&frame[1..]).collect::<Results>(), [Ok(PONG)]);
}

proptest! {
    #[test]
    fn device_message_survives_the_wire(message in device_messages(), piece_bytes in 1..300_usize) {
        let mut decoder = Decoder::new();
        let mut delivered = Vec::new();
        for piece in frame(&message).chunks(piece_bytes) {
            delivered.extend(decoder.push(piece));
        }
        prop_assert_eq!(delivered, [Ok(message)]);
    }

    #[test]
    fn host_message_survives_the_wire(message in host_messages()) {
        let bytes = frame(&message);
        let delivered: Vec<_> = Decoder::new().push(&bytes).collect();
        prop_assert_eq!(delivered, [Ok(message)]);
    }

    #[test]
    fn frame_after_any_garbage_is_delivered(garbage in noise(1000), message in device_messages()) {
        let results = decode(&[&garbage[..], &frame(&message)].concat());
        prop_assert!(results.len() <= garbage.len() + 1);
        prop_assert_eq!(results.last(), Some(&Ok(message)));
    }

    #[test]
    fn intact_frame_with_any_content_does_not_panic(checked in noise(300)) {
        prop_assert_eq!(decode(&frame_of(&checked)).len(), 1);
    }
}
