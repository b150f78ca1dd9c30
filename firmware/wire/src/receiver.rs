//! The receiver of a host that acknowledges: every outcome exactly once and in order.
//!
//! Messages to the host go in, outcomes with their text and gaps come out, and acknowledgements for
//! the way back. It keeps one mark. Frames may be lost or come again, and either end may start anew
//! at any time. Nothing here panics on any message.
//!
//! ```text
//! mark before `after`        something was lost on the line: ask again, once
//! `after` <= mark < end      the next one: deliver it, mark = end
//! end <= mark                a repeat: leave it out, acknowledge again
//! ```

use heapless::String;

use crate::limits::TEXT_BYTES_MAX;
use crate::message::{Delivered, DeviceMessage, HostMessage, Mark, Outcome, OutcomeResult, Part};

/// What a receiver has for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// The next outcome.
    Outcome {
        /// The start of the appliance that heard it.
        boot: u32,
        /// The outcome.
        outcome: &'a Outcome,
        /// Its text, empty unless the result is text. Always whole.
        text: &'a str,
    },
    /// What lies between these marks will not come. `from` of boot 0 is a new receiver that begins
    /// behind what others had. `to` before `from`: the appliance has forgotten where it was.
    Gap {
        /// Where the receiver was.
        from: Mark,
        /// Where it is now.
        to: Mark,
    },
}

/// Receives every outcome exactly once and in order. Memory: about 1.6 KB.
///
/// Its owner keeps [`Receiver::mark`] when what came out is safe, and only then sends
/// [`Receiver::acknowledgement`]. It also sends it once at its own start.
#[derive(Clone, Debug)]
pub struct Receiver {
    mark: Mark,
    text: String<TEXT_BYTES_MAX>,
    /// Boot and sequence of the text.
    of: (u32, u32),
    parts: u8,
    parts_next: u8,
    /// An acknowledgement is to be sent.
    due: bool,
    /// The break at this mark has been told.
    broken: bool,
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    /// Makes a receiver that has nothing yet.
    pub const fn new() -> Self {
        Self::resume(Mark { boot: 0, next: 0 })
    }

    /// Makes a receiver that goes on from the mark that an earlier one kept.
    pub const fn resume(mark: Mark) -> Self {
        Self {
            mark,
            text: String::new(),
            of: (0, 0),
            parts: 0,
            parts_next: 0,
            due: true,
            broken: false,
        }
    }

    /// Returns the mark: the one thing to keep.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Takes a message; returns what it completes.
    pub fn push<'a>(&'a mut self, message: &'a DeviceMessage) -> Option<Received<'a>> {
        match message {
            // The appliance may not know yet, or no more, that this host acknowledges. Counters
            // come once a minute.
            DeviceMessage::Hello(_) | DeviceMessage::Outcome(_) | DeviceMessage::Counters(_) => {
                self.due = true;
                None
            }
            DeviceMessage::Part(part) => {
                self.collect(part);
                None
            }
            DeviceMessage::Delivered(delivered) => self.deliver(delivered),
            DeviceMessage::Gap { from, to } => self.skip(*from, *to),
            _ => None,
        }
    }

    /// Returns the message to send now, if there is one.
    pub fn acknowledgement(&mut self) -> Option<HostMessage> {
        let due = core::mem::take(&mut self.due);
        due.then_some(HostMessage::Acknowledge(self.mark))
    }

    fn collect(&mut self, part: &Part) {
        let of = (part.boot, part.sequence);
        if part.part == 0 || of != self.of || part.parts != self.parts {
            self.text.clear();
            self.of = of;
            self.parts = part.parts;
            self.parts_next = 0;
        }
        let expected = part.part == self.parts_next && part.part < self.parts;
        if expected && self.text.push_str(&part.text).is_ok() {
            self.parts_next += 1;
        }
    }

    fn deliver<'a>(&'a mut self, delivered: &'a Delivered) -> Option<Received<'a>> {
        if delivered.end() <= self.mark {
            self.due = true;
            return None;
        }
        let outcome = &delivered.outcome;
        let text_is_whole = match outcome.result {
            OutcomeResult::Text { bytes, .. } => {
                self.of == (delivered.boot, outcome.sequence)
                    && self.parts != 0
                    && self.parts_next == self.parts
                    && self.text.len() == usize::from(bytes)
            }
            _ => {
                self.text.clear();
                self.parts = 0;
                true
            }
        };
        if self.mark < delivered.after || !text_is_whole {
            self.ask_again();
            return None;
        }
        self.go_to(delivered.end());
        Some(Received::Outcome {
            boot: delivered.boot,
            outcome,
            text: &self.text,
        })
    }

    fn skip(&mut self, from: Mark, to: Mark) -> Option<Received<'static>> {
        let forgotten = from == self.mark && to < from;
        if !forgotten && to <= self.mark {
            self.due = true;
            return None;
        }
        if self.mark < from {
            self.ask_again();
            return None;
        }
        let from = self.mark;
        self.go_to(to);
        Some(Received::Gap { from, to })
    }

    fn go_to(&mut self, mark: Mark) {
        self.mark = mark;
        self.due = true;
        self.broken = false;
    }

    /// Says where it is, once: what follows on the line is behind the same break.
    fn ask_again(&mut self) {
        self.due |= !self.broken;
        self.broken = true;
    }
}

#[cfg(test)]
mod tests;
