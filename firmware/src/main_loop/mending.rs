//! Pins that are lost, and those that come back.
//!
//! Runs on the main loop. A GPIO chip may go as a whole, so what fails once lets all LEDs be set
//! anew: those of the same chip show at once that they are gone, too. The keeper opens each of them
//! again; the others are used meanwhile.

use pressel_hal::PinError;
use pressel_pipeline::session;
use pressel_pipeline::time::Millis;

use super::MainLoop;
use super::pins::{AnyPin, PinName};
use crate::keeper::{Errand, Record};

impl MainLoop {
    /// Looks at the switches: a mute switch that is on already counts, a button that is held
    /// already counts from its next press on.
    pub(super) fn settle_inputs(&mut self, now: Millis) {
        self.settle_button();
        self.settle_mute(now);
    }

    fn settle_button(&mut self) {
        if let Err(error) = self.pins.button.settle() {
            self.pin_failed("button", error);
        }
    }

    fn settle_mute(&mut self, now: Millis) {
        match self.pins.mute.settle() {
            Ok(Some(muted)) => {
                self.switch_mutes = muted;
                self.mute(now);
            }
            // What is lost mutes, or does not, as it did.
            Ok(None) => {}
            Err(error) => self.pin_failed("mute", error),
        }
    }

    pub(super) fn pin_failed(&mut self, role: &'static str, error: PinError) {
        let errno = error.errno;
        self.note(Record::Pin { role, errno });
    }

    /// Gives what is gone to the keeper, to be opened again.
    pub(super) fn mend_pins(&mut self) {
        while let Some((old, wait_ms)) = self.pins.take_gone() {
            self.pins.doubt();
            self.ask(Errand::MendPin {
                name: old.name(),
                old: Some(old),
                wait_ms,
            });
        }
    }

    /// The keeper could not open a pin: it tries again later.
    pub(super) fn wait_for_pin(&mut self, name: PinName) {
        if let Some(wait_ms) = self.pins.next_retry_ms(name) {
            self.ask(Errand::MendPin {
                name,
                old: None,
                wait_ms,
            });
        }
    }

    /// Takes a pin that was opened again.
    pub(super) fn resume_pin(&mut self, pin: AnyPin, now: Millis) {
        let name = pin.name();
        self.pins.resume(pin);
        match name {
            PinName::Button => self.settle_button(),
            PinName::Mute => self.settle_mute(now),
            PinName::Led(_) => {}
        }
    }

    /// The button failed: its release will not be seen.
    pub(super) fn lose_button(&mut self, error: PinError, now: Millis) {
        self.pin_failed("button", error);
        self.happen(session::Event::ButtonUp, now);
    }
}
