//! A pin's place on the board: the pin itself may be lost and come back.
//!
//! A pin that failed is kept here until the keeper gets it: to let it go would free memory on the
//! main loop. Waits between tries double, and begin anew once the pin has worked.

use core::fmt;

use pressel_hal::{EdgePin, LedPin};
use pressel_pipeline::limits::PIN_RETRY_MS;

/// Which pin of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinName {
    /// The push-to-talk button.
    Button,
    /// The mute switch.
    Mute,
    /// An LED on a line of its own: its place in the board's file.
    Led(usize),
}

impl PinName {
    /// Returns a number for each pin, below [`PINS_MAX`](pressel_pipeline::limits::PINS_MAX).
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Button => 0,
            Self::Mute => 1,
            Self::Led(place) => 2 + place,
        }
    }

    /// Returns the pin of a number.
    #[must_use]
    pub const fn of_index(index: usize) -> Self {
        match index {
            0 => Self::Button,
            1 => Self::Mute,
            place => Self::Led(place - 2),
        }
    }
}

impl fmt::Display for PinName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Button => f.write_str("button"),
            Self::Mute => f.write_str("mute"),
            Self::Led(place) => write!(f, "led{place}"),
        }
    }
}

/// A pin on its way between main loop and keeper.
pub enum AnyPin {
    /// The push-to-talk button.
    Button(Box<dyn EdgePin>),
    /// The mute switch.
    Mute(Box<dyn EdgePin>),
    /// An LED, and its place.
    Led(usize, Box<dyn LedPin>),
}

impl AnyPin {
    /// Returns which one it is.
    #[must_use]
    pub fn name(&self) -> PinName {
        match self {
            Self::Button(_) => PinName::Button,
            Self::Mute(_) => PinName::Mute,
            Self::Led(place, _) => PinName::Led(*place),
        }
    }
}

/// The place of one pin.
pub(super) struct Seat<P: ?Sized> {
    pin: Option<Box<P>>,
    /// It failed, and nobody has taken it yet.
    gone: Option<Box<P>>,
    retry_ms: u64,
}

impl<P: ?Sized> Seat<P> {
    pub(super) fn new(pin: Option<Box<P>>) -> Self {
        Self {
            pin,
            gone: None,
            retry_ms: PIN_RETRY_MS.0,
        }
    }

    pub(super) fn pin(&self) -> Option<&P> {
        self.pin.as_deref()
    }

    /// Uses the pin, if there is one; one that fails is gone.
    pub(super) fn try_with<T, E>(
        &mut self,
        work: impl FnOnce(&mut P) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let Some(pin) = self.pin.as_deref_mut() else {
            return Ok(None);
        };
        let done = work(pin);
        match done {
            Ok(_) => self.retry_ms = PIN_RETRY_MS.0,
            Err(_) => self.gone = self.pin.take(),
        }
        done.map(Some)
    }

    pub(super) fn take_gone(&mut self) -> Option<Box<P>> {
        self.gone.take()
    }

    pub(super) fn next_retry_ms(&mut self) -> u64 {
        let wait = self.retry_ms;
        self.retry_ms = (wait * 2).min(PIN_RETRY_MS.1);
        wait
    }

    /// Takes a pin that was opened again.
    pub(super) fn resume(&mut self, pin: Box<P>) {
        self.pin = Some(pin);
    }
}
