//! Frames of the serial line: any bytes, in both directions.
//!
//! Bytes in, as they come from a UART. Each message that comes out is written again and must come
//! out again; an own message behind the noise must arrive; noise never makes both directions hear
//! a message in the same frame.

use core::fmt::Debug;

use pressel_wire::limits::FRAME_BYTES_MAX;
use pressel_wire::{DecodeError, Decoder, DeviceMessage, HostMessage, Message, encode};

use super::sums;

/// Checks any bytes as what comes out of a UART.
pub fn check(bytes: &[u8]) {
    let device = hear::<DeviceMessage>(bytes, &DeviceMessage::Pong { nonce: 7 });
    let host = hear::<HostMessage>(bytes, &HostMessage::Ping { nonce: 7 });
    assert_eq!(device.len(), host.len(), "both see the same frames");
    for (device, host) in device.iter().zip(&host) {
        assert!(
            !(device.is_ok() && host.is_ok()),
            "one frame, two directions"
        );
    }
}

/// Hears bytes as one direction; returns what each frame gave.
fn hear<M>(bytes: &[u8], known: &M) -> Vec<Result<(), DecodeError>>
where
    M: Message + Debug + PartialEq,
{
    let mut decoder = Decoder::<M>::new();
    let heard: Vec<_> = decoder.push(bytes).collect();
    let counts = decoder.counts();
    assert_eq!(heard.len(), (counts.frames + counts.bad()) as usize);
    assert!(heard.len() <= bytes.iter().filter(|byte| **byte == 0).count());
    for message in heard.iter().flatten() {
        check_round(message);
    }
    // Noise costs no frame that comes after it.
    let mut frame = [0; FRAME_BYTES_MAX];
    let count = encode(known, &mut frame).expect("a ping fits");
    let last = decoder.push(&frame[..count]).last();
    assert_eq!(last, Some(Ok(clone(known))));
    // A line that was opened again starts without a half frame.
    decoder.push(&bytes[..bytes.len().min(40)]).for_each(drop);
    decoder.reset();
    let first = decoder.push(&frame[1..count]).next();
    assert_eq!(first, Some(Ok(clone(known))));
    heard.into_iter().map(|result| result.map(drop)).collect()
}

/// Writes a message and reads it back.
pub(crate) fn check_round<M: Message + Debug + PartialEq>(message: &M) {
    let mut frame = [0; FRAME_BYTES_MAX];
    let count = encode(message, &mut frame).expect("what was read can be written");
    let inside = &frame[1..count - 1];
    assert!(!inside.contains(&0), "a frame ends once");
    let mut plain = [0; FRAME_BYTES_MAX];
    let plain = postcard::to_slice(message, &mut plain).expect("it was encoded a moment ago");
    assert_eq!(frame[..count], sums::frame(M::HEADER, plain));
    let read: Vec<_> = Decoder::<M>::new().push(&frame[..count]).collect();
    assert_eq!(read, [Ok(clone(message))]);
}

/// Copies a message through its bytes: not every message is `Clone`.
pub(crate) fn clone<M: Message>(message: &M) -> M {
    let mut bytes = [0; FRAME_BYTES_MAX];
    let bytes = postcard::to_slice(message, &mut bytes).expect("a message fits a frame");
    postcard::from_bytes(bytes).expect("what was written can be read")
}
