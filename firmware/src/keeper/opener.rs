//! Who opens the devices: the one place that knows whether a board is real or simulated.
//!
//! A name in, an open device out. Runs on the keeper's thread, because opening may block.

use pressel_hal::{Link, Microphone};

use crate::main_loop::{AnyPin, PinName};

/// Opens devices by name, as often as they are lost.
pub trait Opener: Send {
    /// Opens the microphone. May block for as long as the driver does.
    ///
    /// # Errors
    /// One line that names the device, the cause and the remedy.
    fn microphone(&mut self) -> Result<Box<dyn Microphone>, String>;

    /// Opens the serial line; `None` on a board without one.
    ///
    /// # Errors
    /// One line that names the device, the cause and the remedy.
    fn link(&mut self) -> Result<Option<Box<dyn Link>>, String>;

    /// Opens one of the board's pins.
    ///
    /// # Errors
    /// One line that names the pin, the cause and the remedy.
    fn pin(&mut self, name: PinName) -> Result<AnyPin, String>;
}
