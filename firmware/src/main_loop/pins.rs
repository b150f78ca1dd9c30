//! Pins: button and mute switch in, LEDs out.
//!
//! Runs on the main loop. Levels are logical: pressed and lit. A pin that fails is reported once
//! and left alone.

use heapless::Vec;
use pressel_hal::{EdgePin, LedPin, PinError, PollFd};
use pressel_pipeline::debounce;
use pressel_pipeline::lights::Lights;
use pressel_pipeline::limits::LEDS_MAX;
use pressel_pipeline::time::Millis;

/// What an LED shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedRole {
    /// Pressel records.
    Listening,
    /// Pressel recognises.
    Thinking,
    /// A text went out.
    Sent,
    /// Something is wrong.
    Error,
}

impl LedRole {
    /// Returns the role's name, as board files have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Thinking => "thinking",
            Self::Sent => "sent",
            Self::Error => "error",
        }
    }

    const fn is_on(self, lights: Lights) -> bool {
        match self {
            Self::Listening => lights.listening,
            Self::Thinking => lights.thinking,
            Self::Sent => lights.sent,
            Self::Error => lights.error,
        }
    }
}

/// A debounced input.
pub struct Input {
    pin: Option<Box<dyn EdgePin>>,
    /// The pin failed. It is kept: to let it go would free memory on the main loop.
    failed: bool,
    state: debounce::State,
    debounce_ms: u64,
}

impl Input {
    /// Wraps an open pin; `None` is an input that the board does not have.
    #[must_use]
    pub fn new(pin: Option<Box<dyn EdgePin>>, debounce_ms: u64) -> Self {
        Self {
            pin,
            failed: false,
            state: debounce::State::released(),
            debounce_ms,
        }
    }

    /// Returns what to wait for. A negative descriptor is one that `poll(2)` passes over.
    #[must_use]
    pub fn poll_fd(&self) -> PollFd {
        let none = PollFd {
            fd: -1,
            events: 0,
            revents: 0,
        };
        match &self.pin {
            Some(pin) if !self.failed => pin.poll_fd(),
            _ => none,
        }
    }

    /// Returns when to look without an edge.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.state.deadline()
    }

    /// Reads the level at start-up and takes it as settled: it is no edge. Returns it.
    ///
    /// # Errors
    /// [`PinError`]; from then on the input is never pressed.
    pub fn settle(&mut self) -> Result<bool, PinError> {
        let pressed = self.level()?.unwrap_or(false);
        self.state = debounce::State::Settled { pressed };
        Ok(pressed)
    }

    /// Looks at the input if it has an edge or is due; returns a clean edge: true for a press.
    ///
    /// # Errors
    /// [`PinError`] once; from then on the input is never pressed.
    pub fn look(&mut self, has_edge: bool, now: Millis) -> Result<Option<bool>, PinError> {
        let is_due = self.deadline().is_some_and(|at| at <= now);
        if !has_edge && !is_due {
            return Ok(None);
        }
        let Some(level) = self.level()? else {
            return Ok(None);
        };
        let step = debounce::step(&self.state, level, now, self.debounce_ms);
        self.state = step.next;
        Ok(step.edge)
    }

    /// Takes the edges and reads the level; `None` without a pin that works.
    fn level(&mut self) -> Result<Option<bool>, PinError> {
        let Some(pin) = self.pin.as_mut().filter(|_| !self.failed) else {
            return Ok(None);
        };
        let level = pin.take_edges().and_then(|()| pin.is_high());
        if level.is_err() {
            self.failed = true;
            self.state = debounce::State::released();
        }
        level.map(Some)
    }
}

/// An LED and what it shows.
pub struct Led {
    role: LedRole,
    pin: Box<dyn LedPin>,
    lit: Option<bool>,
    failed: bool,
}

impl Led {
    /// Wraps an open pin.
    #[must_use]
    pub fn new(role: LedRole, pin: Box<dyn LedPin>) -> Self {
        Self {
            role,
            pin,
            lit: None,
            failed: false,
        }
    }

    /// Sets the LED if it changes.
    fn show(&mut self, lights: Lights) -> Result<(), PinError> {
        let lit = self.role.is_on(lights);
        if self.lit == Some(lit) || self.failed {
            return Ok(());
        }
        self.lit = Some(lit);
        let set = if lit {
            self.pin.set_high()
        } else {
            self.pin.set_low()
        };
        self.failed = set.is_err();
        set
    }
}

/// All pins of the board.
pub struct Pins {
    /// The push-to-talk button.
    pub button: Input,
    /// The mute switch.
    pub mute: Input,
    /// The LEDs.
    pub leds: Vec<Led, LEDS_MAX>,
}

impl Pins {
    /// Sets the LEDs that change. Returns the first LED that failed just now.
    pub fn show(&mut self, lights: Lights) -> Option<(LedRole, PinError)> {
        let mut failed = None;
        for led in &mut self.leds {
            if let Err(error) = led.show(lights) {
                failed = failed.or(Some((led.role, error)));
            }
        }
        failed
    }
}

#[cfg(test)]
mod tests;
