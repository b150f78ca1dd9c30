//! LEDs on a data line: all colours of a chain at once.
//!
//! Colours in, light out. Used by the main loop, only when a colour changes.

use crate::PinError;

/// A colour as LEDs mix it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Colour {
    /// How much red, 0 to 255.
    pub red: u8,
    /// How much green, 0 to 255.
    pub green: u8,
    /// How much blue, 0 to 255.
    pub blue: u8,
}

impl Colour {
    /// No light at all.
    pub const DARK: Self = Self {
        red: 0,
        green: 0,
        blue: 0,
    };
}

/// A chain of LEDs that is open.
pub trait Pixels: Send {
    /// Shows a colour on each LED, the first one of the chain first; those without stay dark.
    ///
    /// # Errors
    /// [`PinError`] when the bus did not take it. What is lit is not known then. Recovery: show
    /// the same again later.
    fn show(&mut self, colours: &[Colour]) -> Result<(), PinError>;
}
