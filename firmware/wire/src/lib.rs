//! The UART contract of Pressel, link version 1: messages, frames, and a plain-text line mode.
//!
//! Flow: a message goes in, bytes for the wire come out, and back. Pure: no device, no clock, no
//! allocation, no `unsafe`; a microcontroller can use it. SPEC.md is the contract in words.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod codes;
pub mod message;
pub mod text;

pub mod frame;

pub mod decoder;
pub mod line;
pub mod receiver;

pub mod limits;

#[cfg(test)]
mod receivers_tests;
#[cfg(test)]
mod spec_tests;
#[cfg(test)]
mod strategies;

pub use codes::{Alert, DeviceState, DropReason, FailCode, JobState, Provider, Trigger};
pub use decoder::{DecodeCounts, DecodeError, Decoder};
pub use frame::{EncodeError, Message, encode, encode_device, encode_host};
pub use line::{DeviceLine, LineDecoder, LineError};
pub use message::{
    CONFIDENCE_UNKNOWN, Counters, Delivered, DeviceMessage, Hello, HostMessage, Job, LEFT_UNKNOWN,
    Mark, Name, Outcome, OutcomeResult, Part, State, Timing, Transcript,
};
pub use receiver::{Received, Receiver};
pub use text::{Assembled, Assembler, TranscriptParts, transcript_parts};
