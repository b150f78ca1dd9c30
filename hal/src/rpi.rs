//! Pins of a Raspberry Pi through its registers, with the crate `rppal`.
//!
//! For boards whose file says `backend = "rpi"`. On demand: the crate was retired by its author in
//! 2025, so it is only there when Pressel was built with the feature `rpi`. Everything but the pins
//! is [`crate::linux`]. Opening allocates; everything after it does not.

#[cfg(not(feature = "rpi"))]
mod absent;
#[cfg(feature = "rpi")]
mod registers;

#[cfg(not(feature = "rpi"))]
pub use absent::{open_button, open_led};
#[cfg(feature = "rpi")]
pub use registers::{RpiButton, RpiLed, open_button, open_led};

/// What to do when it cannot be used.
const REMEDY: &str = "write `backend = \"linux\"` into the board file: it works on every board";
