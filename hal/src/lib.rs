//! Doors to hardware: traits always, backends by feature.
//!
//! Flow: microphone and pins in, LEDs and link out. Nothing here decides anything.

pub mod apa102;
pub mod clock;
pub mod link;
pub mod microphone;
pub mod open_error;
pub mod pins;
pub mod pixels;

pub use apa102::Apa102;
pub use clock::Clock;
pub use libc::pollfd as PollFd;
pub use link::{Flow, Link, LinkError};
pub use microphone::{MicError, Microphone, MicrophoneConfig};
pub use open_error::OpenError;
pub use pins::{EdgePin, LedPin, PinConfig, PinError, Pull};
pub use pixels::{Colour, Pixels};

#[cfg(feature = "linux")]
pub mod linux;
#[cfg(feature = "linux")]
pub mod rpi;
#[cfg(feature = "sim")]
pub mod sim;
