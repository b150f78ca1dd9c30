//! The UART contract of Pressel, link version 1: messages, frames, and a plain-text line mode.
//!
//! Flow: a message goes in, bytes for the wire come out, and back. Pure: no device, no clock, no
//! allocation, no `unsafe`; a microcontroller can use it. SPEC.md is the contract in words.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod codes;
pub mod limits;
pub mod message;

pub use codes::{DeviceState, DropReason, FailCode, Provider, Trigger};
pub use message::{
    CONFIDENCE_UNKNOWN, Counters, DeviceMessage, Hello, HostMessage, Name, Outcome, OutcomeResult,
    State, Timing, Transcript,
};
