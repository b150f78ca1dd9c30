//! Pressel: press a button, or speak, and the text comes out on a UART.
//!
//! One audio sample's way, in order: [`main_loop`] reads it from the microphone into [`rings`];
//! [`listen`] finds the utterance that it belongs to and writes it into [`slots`]; the [`worker`]
//! process turns the slot into text; the main loop sends the text on the serial line and tells the
//! [`keeper`], which prints it. ARCHITECTURE.md has the picture.

pub mod stream;

pub mod bell;
pub mod rings;
pub mod slots;

pub mod main_loop;

pub mod listen;

pub mod worker;

pub mod levels;
pub mod outcome;
pub mod second_looks;

pub mod journal;

pub mod outlet;
mod plain;

pub mod keeper;

pub mod jobs;

pub mod vitals;

pub mod control;

pub mod config;

pub mod failure;

pub mod starts;

pub mod appliance;

pub mod audio_file;
pub mod chunks;
pub mod offline;
pub mod transcript;
pub mod window;

#[cfg(feature = "fetch")]
pub mod hub;
pub mod model_store;

pub mod alloc_guard;
mod checks;
pub mod cli;

#[cfg(test)]
mod prove;

/// Unit tests of the main loop run sealed: one that allocates after start-up fails.
#[cfg(test)]
#[global_allocator]
static GUARD: alloc_guard::AllocGuard = alloc_guard::AllocGuard;
