//! The pure logic of Pressel: numbers and events in, decisions out.
//!
//! No device, no model, no thread, no clock, no allocation, no `unsafe`: the compiler proves it.
//! In data-flow order: a button is [`debounce`]d and steers the [`session`]; audio is kept in
//! [`history`]; the [`gate`] and the [`wake`] machine mark speech and wake words in it; the
//! [`utterance`] machine decides what is recorded; utterances wait in [`waiting`], and the
//! [`arbiter`] decides who goes to the worker; [`ahead`] says what the worker may look at before
//! that; [`lights`] shows it.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod limits;
pub mod time;

pub mod debounce;
pub mod session;

pub mod history;

pub mod gate;
pub mod wake;

pub mod utterance;

pub mod waiting;

pub mod arbiter;

pub mod trim;

pub mod ahead;

pub mod lights;
