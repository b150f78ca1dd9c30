//! A receiver for a microcontroller: a lamp that obeys.
//!
//! Bytes of a UART in, acknowledgements out, and the lamp: "turn on the light", "turn off the
//! light", "stop"; with a closed list, its ids 1 (on) and 2 (off). Everything that depends on the
//! chip is behind [`Uart`] and a closure: write these two for yours, and copy the rest. No
//! allocator, no interrupt, some 4 KB of stack.

#![no_std]
#![forbid(unsafe_code)]

use pressel_wire::limits::FRAME_BYTES_MAX;
use pressel_wire::{Decoder, DeviceMessage, OutcomeResult, Received, Receiver, encode_host};

/// A UART at 115,200 baud, 8N1.
pub trait Uart {
    /// Returns a byte that has come, if there is one.
    fn read(&mut self) -> Option<u8>;
    /// Sends a byte; waits until there is room for it.
    fn write(&mut self, byte: u8);
}

/// The receiver: call [`Lamp::turn`] for ever.
pub struct Lamp {
    decoder: Decoder<DeviceMessage>,
    receiver: Receiver,
}

impl Default for Lamp {
    fn default() -> Self {
        Self::new()
    }
}

impl Lamp {
    /// Begins with nothing: what the appliance still has comes first, and is obeyed in order.
    ///
    /// A machine that keeps its mark over a restart begins with [`Receiver::resume`], and writes
    /// [`Receiver::mark`] to its flash after each outcome and each [`Received::Gap`], before the
    /// next turn acknowledges it.
    pub const fn new() -> Self {
        Self {
            decoder: Decoder::new(),
            receiver: Receiver::new(),
        }
    }

    /// Acknowledges what is due, takes in one byte if there is one, and obeys. Never waits for the
    /// appliance.
    pub fn turn(&mut self, uart: &mut impl Uart, light: &mut impl FnMut(bool)) {
        if let Some(message) = self.receiver.acknowledgement() {
            let mut frame = [0; FRAME_BYTES_MAX];
            // Every message of a host fits a frame.
            let count = encode_host(&message, &mut frame).unwrap_or(0);
            frame[..count].iter().for_each(|&byte| uart.write(byte));
        }
        let Some(byte) = uart.read() else {
            return;
        };
        // A damaged frame is skipped: what was in it comes again.
        let Some(Ok(message)) = self.decoder.push_byte(byte) else {
            return;
        };
        if let Some(Received::Outcome { outcome, text, .. }) = self.receiver.push(&message) {
            match (outcome.result, text) {
                (OutcomeResult::Command { command: 1 }, _) | (_, "turn on the light") => {
                    light(true)
                }
                (OutcomeResult::Command { command: 2 }, _) | (_, "turn off the light" | "stop") => {
                    light(false)
                }
                _ => {}
            }
        }
    }
}
