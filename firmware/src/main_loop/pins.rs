//! Pins: button and mute switch in, LEDs out.
//!
//! Runs on the main loop. Levels are logical: pressed and lit. A pin that fails is reported once
//! and left alone; a chain of LEDs is tried again.

use heapless::Vec;
use pressel_hal::{Colour, EdgePin, LedPin, PinError, Pixels, PollFd};
use pressel_pipeline::debounce;
use pressel_pipeline::lights::{Light, Lights, Patterns};
use pressel_pipeline::limits::{LEDS_MAX, PIXELS_RETRY_MS};
use pressel_pipeline::time::Millis;

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
    light: Light,
    pin: Box<dyn LedPin>,
    lit: Option<bool>,
    failed: bool,
}

impl Led {
    /// Wraps an open pin.
    #[must_use]
    pub fn new(light: Light, pin: Box<dyn LedPin>) -> Self {
        Self {
            light,
            pin,
            lit: None,
            failed: false,
        }
    }

    /// Sets the LED if it changes.
    fn show(&mut self, lights: Lights) -> Result<(), PinError> {
        let lit = lights.is_lit(self.light);
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

/// A chain of LEDs and what each of them shows.
pub struct Chain {
    pixels: Box<dyn Pixels>,
    lights: Vec<Light, LEDS_MAX>,
    shown: Option<Vec<Colour, LEDS_MAX>>,
    failed_at: Option<Millis>,
    failures: u32,
}

/// What became of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainNews {
    /// Its bus failed just now, and did not before.
    Failed(PinError),
    /// Its bus works again, after so many writes that failed.
    Works {
        /// Since the start.
        failures: u32,
    },
}

impl Chain {
    /// Wraps an open chain; the first LED shows the first light.
    #[must_use]
    pub fn new(pixels: Box<dyn Pixels>, lights: Vec<Light, LEDS_MAX>) -> Self {
        Self {
            pixels,
            lights,
            shown: None,
            failed_at: None,
            failures: 0,
        }
    }

    /// Writes the colours if they change, or if the last write failed a while ago.
    fn show(&mut self, lights: Lights, now: Millis) -> Option<ChainNews> {
        let colour = |light: &Light| {
            let dark = Colour::DARK;
            lights.of(*light).map_or(dark, |colour| Colour {
                red: colour.red,
                green: colour.green,
                blue: colour.blue,
            })
        };
        let colours: Vec<Colour, LEDS_MAX> = self.lights.iter().map(colour).collect();
        let is_due = self
            .failed_at
            .is_some_and(|at| at.saturating_add(PIXELS_RETRY_MS) <= now);
        if self.shown.as_ref() == Some(&colours) && !is_due {
            return None;
        }
        let written = self.pixels.show(&colours);
        self.shown = Some(colours);
        match written {
            Ok(()) => self.failed_at.take().map(|_| ChainNews::Works {
                failures: self.failures,
            }),
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let is_new = self.failed_at.replace(now).is_none();
                is_new.then_some(ChainNews::Failed(error))
            }
        }
    }
}

/// All pins of the board.
pub struct Pins {
    /// The push-to-talk button.
    pub button: Input,
    /// The mute switch.
    pub mute: Input,
    /// The LEDs on lines of their own.
    pub leds: Vec<Led, LEDS_MAX>,
    /// The LEDs on a data line.
    pub chain: Option<Chain>,
    /// How they show what there is to show.
    pub patterns: Patterns,
}

impl Pins {
    /// Sets the LEDs that change. Returns the first LED that failed just now.
    pub fn show(&mut self, lights: Lights) -> Option<(Light, PinError)> {
        let mut failed = None;
        for led in &mut self.leds {
            if let Err(error) = led.show(lights) {
                failed = failed.or(Some((led.light, error)));
            }
        }
        failed
    }

    /// Sets the chain if it changes. Returns news of its bus.
    pub fn show_chain(&mut self, lights: Lights, now: Millis) -> Option<ChainNews> {
        self.chain.as_mut()?.show(lights, now)
    }
}

#[cfg(test)]
mod tests;
