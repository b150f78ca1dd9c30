//! A pin in memory: an input that the test presses, or an LED that it looks at.
//!
//! Levels pass between the test and the pin; an edge rings a bell, so that `poll(2)` sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use pressel_hal::{EdgePin, PinError, PollFd};

use crate::bell::Bell;

/// What the test and a pin share; clones are the same pin.
#[derive(Clone)]
pub(crate) struct Wire {
    level: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    calls: Arc<AtomicU32>,
    bell: Bell,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            level: Arc::default(),
            broken: Arc::default(),
            panics: Arc::default(),
            calls: Arc::default(),
            bell: Bell::new().unwrap(),
        }
    }
}

impl Wire {
    /// Changes the level, with an edge.
    pub(crate) fn put(&self, level: bool) {
        self.level.store(level, Ordering::Relaxed);
        self.bell.ring();
    }

    /// Returns the level.
    pub(crate) fn is_lit(&self) -> bool {
        self.level.load(Ordering::Relaxed)
    }

    /// Makes every later use fail.
    pub(crate) fn fail(&self) {
        self.broken.store(true, Ordering::Relaxed);
        self.bell.ring();
    }

    /// Makes every later use panic, or no longer.
    pub(crate) fn panic(&self, panics: bool) {
        self.panics.store(panics, Ordering::Relaxed);
        self.bell.ring();
    }

    /// Returns how often the pin was read or set.
    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    fn touch(&self) -> Result<(), PinError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.panics.load(Ordering::Relaxed) {
            // Without the words of the hook: it is meant.
            std::panic::resume_unwind(Box::new("a pin of the test"));
        }
        if self.broken.load(Ordering::Relaxed) {
            Err(PinError { errno: libc::EIO })
        } else {
            Ok(())
        }
    }
}

impl ErrorType for Wire {
    type Error = PinError;
}

impl InputPin for Wire {
    fn is_high(&mut self) -> Result<bool, PinError> {
        Ok(self.is_lit())
    }
    fn is_low(&mut self) -> Result<bool, PinError> {
        Ok(!self.is_lit())
    }
}

impl EdgePin for Wire {
    fn poll_fd(&self) -> PollFd {
        self.bell.poll_fd()
    }
    fn take_edges(&mut self) -> Result<(), PinError> {
        self.bell.hush();
        self.touch()
    }
}

impl OutputPin for Wire {
    fn set_low(&mut self) -> Result<(), PinError> {
        self.level.store(false, Ordering::Relaxed);
        self.touch()
    }
    fn set_high(&mut self) -> Result<(), PinError> {
        self.level.store(true, Ordering::Relaxed);
        self.touch()
    }
}
