//! Pins: button and mute switch in, LEDs out.
//!
//! Runs on the main loop. Levels are logical: pressed and lit. A pin that fails is reported once,
//! and opened again by the keeper; a chain of LEDs is written to again.

mod seat;

use heapless::Vec;
use pressel_hal::{Colour, EdgePin, LedPin, PinError, Pixels, PollFd};
use pressel_pipeline::debounce;
use pressel_pipeline::lights::{Light, Lights, Patterns};
use pressel_pipeline::limits::{LEDS_MAX, PIXELS_RETRY_MS};
use pressel_pipeline::time::Millis;

use seat::Seat;
pub use seat::{AnyPin, PinName};

/// A debounced input.
pub struct Input {
    seat: Seat<dyn EdgePin>,
    state: debounce::State,
    debounce_ms: u64,
}

impl Input {
    /// Wraps an open pin; `None` is an input that the board does not have.
    #[must_use]
    pub fn new(pin: Option<Box<dyn EdgePin>>, debounce_ms: u64) -> Self {
        Self {
            seat: Seat::new(pin),
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
        self.seat.pin().map_or(none, EdgePin::poll_fd)
    }

    /// Returns when to look without an edge.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.state.deadline()
    }

    /// Reads the level of a pin that was just opened and takes it as settled: it is no edge.
    /// Returns it; `None` without a pin.
    ///
    /// # Errors
    /// [`PinError`]; the input is not pressed until its pin is back.
    pub fn settle(&mut self) -> Result<Option<bool>, PinError> {
        let pressed = self.level()?;
        self.state = debounce::State::Settled {
            pressed: pressed.unwrap_or(false),
        };
        Ok(pressed)
    }

    /// Looks at the input if it has an edge or is due; returns a clean edge: true for a press.
    ///
    /// # Errors
    /// [`PinError`] once; the input is not pressed until its pin is back.
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
        let level = self
            .seat
            .try_with(|pin| pin.take_edges().and_then(|()| pin.is_high()));
        if level.is_err() {
            self.state = debounce::State::released();
        }
        level
    }
}

/// An LED and what it shows.
pub struct Led {
    light: Light,
    seat: Seat<dyn LedPin>,
    lit: Option<bool>,
}

impl Led {
    /// Wraps an open pin.
    #[must_use]
    pub fn new(light: Light, pin: Box<dyn LedPin>) -> Self {
        Self {
            light,
            seat: Seat::new(Some(pin)),
            lit: None,
        }
    }

    /// Sets the LED if it changes.
    fn show(&mut self, lights: Lights) -> Result<(), PinError> {
        let lit = lights.is_lit(self.light);
        if self.lit == Some(lit) {
            return Ok(());
        }
        self.lit = Some(lit);
        let set = |pin: &mut (dyn LedPin + 'static)| {
            if lit { pin.set_high() } else { pin.set_low() }
        };
        self.seat.try_with(set).map(drop)
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

    /// Returns a pin that failed, and how long to wait before it is opened again; none when all are
    /// well, or the keeper has them.
    pub fn take_gone(&mut self) -> Option<(AnyPin, u64)> {
        let (button, mute) = (&mut self.button.seat, &mut self.mute.seat);
        if let Some(pin) = button.take_gone() {
            return Some((AnyPin::Button(pin), button.next_retry_ms()));
        }
        if let Some(pin) = mute.take_gone() {
            return Some((AnyPin::Mute(pin), mute.next_retry_ms()));
        }
        let mut leds = self.leds.iter_mut().enumerate();
        leds.find_map(|(place, led)| {
            let pin = led.seat.take_gone()?;
            Some((AnyPin::Led(place, pin), led.seat.next_retry_ms()))
        })
    }

    /// Lets the next [`Pins::show`] set every LED, whether it changes or not.
    pub fn doubt(&mut self) {
        for led in &mut self.leds {
            led.lit = None;
        }
    }

    /// Returns how long to wait before a pin is opened again; it doubles from try to try. `None`
    /// for an LED that the board does not have.
    pub fn next_retry_ms(&mut self, name: PinName) -> Option<u64> {
        Some(match name {
            PinName::Button => self.button.seat.next_retry_ms(),
            PinName::Mute => self.mute.seat.next_retry_ms(),
            PinName::Led(place) => self.leds.get_mut(place)?.seat.next_retry_ms(),
        })
    }

    /// Goes on with a pin that was opened again.
    pub fn resume(&mut self, pin: AnyPin) {
        match pin {
            AnyPin::Button(pin) => self.button.seat.resume(pin),
            AnyPin::Mute(pin) => self.mute.seat.resume(pin),
            AnyPin::Led(place, pin) => {
                if let Some(led) = self.leds.get_mut(place) {
                    led.seat.resume(pin);
                    led.lit = None;
                }
            }
        }
    }

    /// Sets the chain if it changes. Returns news of its bus.
    pub fn show_chain(&mut self, lights: Lights, now: Millis) -> Option<ChainNews> {
        self.chain.as_mut()?.show(lights, now)
    }
}

#[cfg(test)]
mod tests;
