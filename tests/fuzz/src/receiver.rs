//! The host that acknowledges, and the one that only listens: any messages in any order.
//!
//! Bytes in: pieces, each a length and so many bytes of a message. An outcome comes out once and
//! in order, its text is whole, and only an appliance that has forgotten where it was makes the
//! mark go back.

use pressel_wire::limits::TEXT_BYTES_MAX;
use pressel_wire::{Assembler, DeviceMessage, HostMessage, OutcomeResult, Received, Receiver};

/// Checks any bytes as messages of an appliance.
pub fn check(bytes: &[u8]) {
    let (mut receiver, mut assembler) = (Receiver::new(), Assembler::new());
    let mut rest = bytes;
    while let Some((count, after)) = rest.split_first() {
        let (piece, after) = after.split_at(after.len().min(usize::from(*count)));
        rest = after;
        let Ok(message) = postcard::from_bytes::<DeviceMessage>(piece) else {
            continue;
        };
        check_receiver(&mut receiver, &message);
        check_assembler(&mut assembler, &message);
    }
}

fn check_receiver(receiver: &mut Receiver, message: &DeviceMessage) {
    let before = receiver.mark();
    let received = receiver.push(message);
    match (&received, message) {
        (Some(Received::Outcome { outcome, text, .. }), DeviceMessage::Delivered(delivered)) => {
            let bytes = match outcome.result {
                OutcomeResult::Text { bytes, .. } => usize::from(bytes),
                _ => 0,
            };
            assert_eq!((text.len(), *outcome), (bytes, &delivered.outcome));
            assert!(delivered.after <= before && before < delivered.end());
        }
        (Some(Received::Gap { from, to }), DeviceMessage::Gap { .. }) => {
            assert_eq!(*from, before);
            assert_ne!(from, to);
        }
        (None, _) => {}
        (Some(other), message) => panic!("{message:?} gave {other:?}"),
    }
    let moved = received.is_some();
    let mark = receiver.mark();
    assert_eq!(moved, mark != before, "the mark moves with what comes out");
    if let Some(acknowledgement) = receiver.acknowledgement() {
        assert_eq!(acknowledgement, HostMessage::Acknowledge(mark));
    } else {
        assert!(!moved, "what came out is acknowledged");
    }
    assert_eq!(receiver.acknowledgement(), None);
}

fn check_assembler(assembler: &mut Assembler, message: &DeviceMessage) {
    match message {
        DeviceMessage::Transcript(part) => assembler.push(part),
        DeviceMessage::Outcome(outcome) => {
            let assembled = assembler.finish(outcome);
            assert!(assembled.text.len() <= TEXT_BYTES_MAX);
            if let (OutcomeResult::Text { bytes, .. }, true) = (outcome.result, assembled.complete)
            {
                assert_eq!(assembled.text.len(), usize::from(bytes));
            }
        }
        _ => {}
    }
}
