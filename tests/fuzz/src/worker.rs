//! What appliance and worker say to each other: any bytes in one packet.
//!
//! Bytes in, as a worker that has gone mad sends them. They are no message, or one that can be
//! written and read again; the next packet is not affected; a request never reads outside a slot.

use std::sync::LazyLock;

use pressel::slots::{SharedMemory, SlotReader};
use pressel::worker::message::{Excerpt, FrameBuffer, Request, decode, encode};
use pressel::worker::socket::Received;
use pressel::worker::{Answer, WorkerSocket};
use pressel_pipeline::limits::{FILE_SLOT, UTTERANCE_SAMPLES_MAX, WORKER_FRAME_BYTES};
use rustix::net::{SendFlags, send};
use serde::{Deserialize, Serialize};

static SLOTS: LazyLock<(SharedMemory, SlotReader)> = LazyLock::new(|| {
    let shared = SharedMemory::create().expect("there is memory for the slots");
    let reader = SlotReader::inherit(shared.raw_fd()).expect("they were made a moment ago");
    (shared, reader)
});

/// Checks any bytes as a packet of the worker's socket, in both directions.
pub fn check(bytes: &[u8]) {
    check_packet::<Answer>(bytes);
    let request = check_packet::<Request>(bytes);
    if let Some(Request::Recognise { part, .. } | Request::Ahead { part, .. }) = request {
        let Excerpt {
            slot,
            start,
            samples,
            ..
        } = part;
        let mut audio = Vec::new();
        let is_there = SLOTS.1.copy(slot, start, samples, &mut audio);
        let end = u64::from(start) + u64::from(samples);
        let inside = slot <= FILE_SLOT && end <= UTTERANCE_SAMPLES_MAX as u64;
        let expected = if inside { samples as usize } else { 0 };
        assert_eq!((is_there, audio.len()), (inside, expected));
    }
}

fn check_packet<M>(bytes: &[u8]) -> Option<M>
where
    M: for<'b> Deserialize<'b> + Serialize + PartialEq + core::fmt::Debug,
{
    let message = decode::<M>(bytes);
    if let Some(message) = &message {
        let mut buffer: FrameBuffer = [0; WORKER_FRAME_BYTES];
        let written = encode(message, &mut buffer).expect("what was read fits");
        assert_eq!(decode::<M>(written).as_ref(), Some(message));
    }
    let (mut ours, theirs) = WorkerSocket::pair().expect("a socket pair can be made");
    if bytes.is_empty() {
        return message;
    }
    send(&theirs, bytes, SendFlags::NOSIGNAL).expect("one packet fits");
    match (ours.receive::<M>(), &message) {
        (Received::Message(got), Some(sent)) => assert_eq!(got, *sent),
        (Received::Garbage, None) => {}
        // Longer than a frame: the rest is lost, and what is left may look like a message.
        (_, _) if WORKER_FRAME_BYTES < bytes.len() => {}
        (got, sent) => panic!("sent {sent:?}, got {got:?}"),
    }
    let mut worker = WorkerSocket::new(theirs);
    worker
        .send(&Request::Cancel { id: 9 })
        .expect("there is room");
    let next = ours.receive::<Request>();
    assert_eq!(next, Received::Message(Request::Cancel { id: 9 }));
    message
}
