//! Real devices of a Linux board.
//!
//! Flow: [`clock`] and [`poll`] pace the main loop; [`alsa`] and [`gpio`] come in, [`serial`] goes
//! out and in, [`spi`] out. `open` functions allocate and may take time; everything after them does
//! neither.

pub mod alsa;
pub mod clock;
pub mod cpu;
pub mod gpio;
pub mod poll;
pub mod serial;
pub mod spi;

pub use alsa::{AlsaMicrophone, Capture, list_captures};
pub use clock::MonotonicClock;
pub use cpu::{CpuError, Pinned, pin_thread_to};
pub use gpio::{CdevButton, CdevLed, ChipInfo, list_chips};
pub use serial::{SerialLink, list_ports};
pub use spi::{SpiWriter, list_spi_devices};
