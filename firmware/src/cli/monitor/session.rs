//! One conversation with an appliance over a port that may come and go.
//!
//! The port's bytes in, what they say to a [`Show`], and acknowledgements back. Whoever drives it
//! waits for the port, calls [`Session::read`], and [`Session::answer`] in each turn.

use std::io;
use std::time::{Duration, Instant};

use pressel_hal::{LinkError, PollFd};
use pressel_wire::{Decoder, DeviceMessage, HostMessage};

use super::courier::{Courier, Listener, Show};
use super::port::Port;

/// Bytes that one read takes.
const READ_BYTES: usize = 512;
/// For ever, as long as nothing else is to be done.
const LONG: Duration = Duration::from_secs(3_600);

/// The conversation.
pub(super) struct Session<S> {
    port: Port,
    decoder: Decoder<DeviceMessage>,
    listener: Listener,
    /// None for a monitor that only listens.
    courier: Option<Courier>,
    is_over: bool,
    pub(super) show: S,
}

impl<S: Show> Session<S> {
    pub(super) fn new(port: Port, acknowledges: bool, show: S) -> Self {
        Self {
            port,
            decoder: Decoder::new(),
            listener: Listener::default(),
            courier: acknowledges.then(Courier::new),
            is_over: false,
            show,
        }
    }

    /// Whether standard input has ended.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn poll_fd(&self) -> PollFd {
        self.port.poll_fd()
    }

    /// Returns how long it may be slept.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let courier = self.courier.as_ref().and_then(Courier::wait);
        let waits = [courier, self.port.wait(now)];
        waits.into_iter().flatten().min().unwrap_or(LONG)
    }

    /// Does what is due: opens a lost port, acknowledges, shows what did not come again.
    ///
    /// # Errors
    /// What is shown cannot be written.
    pub(super) fn answer(&mut self, now: Instant) -> io::Result<()> {
        if self.port.reopen(now) {
            self.decoder.reset();
            if let Some(courier) = &mut self.courier {
                courier.begin_line();
            }
            self.show.port(None)?;
        }
        if !self.port.is_open() {
            return Ok(());
        }
        let due = self.courier.as_mut().and_then(Courier::acknowledgement);
        if let Some(message) = due {
            self.send(&message)?;
        }
        match &mut self.courier {
            Some(courier) => courier.tell_unheard(&mut self.listener, &mut self.show),
            None => Ok(()),
        }
    }

    /// Sends a message; a port that takes none is lost, and opened again later.
    ///
    /// # Errors
    /// What is shown cannot be written.
    pub(super) fn send(&mut self, message: &HostMessage) -> io::Result<()> {
        match self.port.transmit(message) {
            Ok(()) => {
                self.show.sent(message);
                Ok(())
            }
            Err(error) => self.lose(error),
        }
    }

    /// Reads what has arrived and shows it, until `count` outcomes were shown.
    ///
    /// # Errors
    /// What is shown cannot be written.
    pub(super) fn read(&mut self, count: Option<u32>) -> io::Result<()> {
        let mut bytes = [0; READ_BYTES];
        let read = match self.port.read(&mut bytes) {
            Ok(read) => read,
            Err(error) => return self.lose(error),
        };
        self.show.heard(read);
        for item in self.decoder.push(&bytes[..read]) {
            if item.is_ok() {
                self.show.read();
            }
            match (item, &mut self.courier) {
                (Ok(message), Some(courier)) => {
                    courier.take(&message, &mut self.listener, &mut self.show)?;
                }
                (Ok(message), None) => self.listener.take(&message, &mut self.show)?,
                (Err(error), _) => self.show.bad(error)?,
            }
            if count.is_some_and(|count| count <= self.show.outcomes()) {
                break; // After the acknowledgement.
            }
        }
        Ok(())
    }

    fn lose(&mut self, error: LinkError) -> io::Result<()> {
        if self.port.is_standard_input() {
            self.is_over = true; // The other side has ended.
            return Ok(());
        }
        self.port.lose(Instant::now());
        self.show.port(Some(&error.to_string()))
    }
}

#[cfg(test)]
mod tests;
