//! Pins: embedded-hal traits, and the one thing they lack: a descriptor to wait for.
//!
//! Polarity and pull are settled when a pin is opened: `is_high` means *pressed*
//! and `set_high` means *on*, on every board.

use embedded_hal::digital::{ErrorKind, InputPin, OutputPin};

use crate::PollFd;

/// What to open, as plain data; `boards` fills it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinConfig {
    /// What the pin is, for messages: `button`, `mute switch`, `led listening`.
    pub role: String,
    /// GPIO chip: a path (`/dev/gpiochip0`), a name (`gpiochip0`) or a label (`pinctrl-rp1`).
    pub chip: String,
    /// Line number on that chip, not the pin number on the header.
    pub line: u32,
    /// True when the line is low while pressed or lit.
    pub active_low: bool,
    /// Resistor inside the chip. Outputs ignore it.
    pub pull: Pull,
}

impl PinConfig {
    /// Returns role, chip and line, for messages.
    pub fn name(&self) -> String {
        format!("{} ({} line {})", self.role, self.chip, self.line)
    }
}

/// A pull resistor inside the GPIO chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// Left as the device tree or firmware set it.
    None,
    /// Towards the supply.
    Up,
    /// Towards ground.
    Down,
}

/// An input that wakes the main loop at each edge.
pub trait EdgePin: InputPin<Error = PinError> + Send {
    /// Returns the descriptor that becomes readable at an edge.
    fn poll_fd(&self) -> PollFd;

    /// Takes all waiting edges, without blocking. The level is read afterwards with `is_high`.
    ///
    /// # Errors
    /// [`PinError`] when the line cannot be read any more.
    fn take_edges(&mut self) -> Result<(), PinError>;
}

/// An LED: on and off.
pub trait LedPin: OutputPin<Error = PinError> + Send {}
impl<P: OutputPin<Error = PinError> + Send> LedPin for P {}

/// A pin or a chain of LEDs could not be read or set. Recovery: report it once and go on without
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinError {
    /// Positive errno of the call that failed.
    pub errno: i32,
}

impl core::fmt::Display for PinError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "pin failed errno={}", self.errno)
    }
}
impl core::error::Error for PinError {}

impl embedded_hal::digital::Error for PinError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl embedded_hal::spi::Error for PinError {
    fn kind(&self) -> embedded_hal::spi::ErrorKind {
        embedded_hal::spi::ErrorKind::Other
    }
}
