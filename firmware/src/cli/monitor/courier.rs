//! From messages to what is shown: each outcome once, with its whole text.
//!
//! Messages in; outcomes, gaps and all other messages out, to a [`Show`]. A [`Listener`] puts texts
//! together; a [`Courier`] also acknowledges, so that each outcome comes once and in order.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use pressel_wire::{
    Assembler, DecodeError, DeviceMessage, HostMessage, Mark, Outcome, OutcomeResult, Received,
    Receiver, Transcript, Trigger,
};

/// An outcome without a mark that has not come again by then was sent by an appliance that does not
/// hear this monitor.
const UNHEARD_AFTER: Duration = Duration::from_millis(1_000);
/// Messages without a mark that wait for that.
const UNMARKED_MAX: usize = 256;
/// Outcomes that were shown without a mark, and may still come with one.
const TOLD_MAX: usize = 256;

/// Where the monitor shows what it reads.
pub(super) trait Show {
    /// Any message but those that outcomes are made of.
    fn message(&mut self, message: &DeviceMessage) -> io::Result<()>;
    /// How an utterance ended; `complete` is false when a part of its text was lost.
    fn outcome(&mut self, outcome: &Outcome, text: &str, complete: bool) -> io::Result<()>;
    /// What lies between these marks will not come.
    fn gap(&mut self, from: Mark, to: Mark) -> io::Result<()>;
    /// A frame could not be read.
    fn bad(&mut self, error: DecodeError) -> io::Result<()>;
    /// The port is gone, and why; or it is open again.
    fn port(&mut self, lost: Option<&str>) -> io::Result<()>;
    /// So many bytes came.
    fn heard(&mut self, _bytes: usize) {}
    /// A frame was good.
    fn read(&mut self) {}
    /// This was sent.
    fn sent(&mut self, _message: &HostMessage) {}
    /// Returns how many outcomes were shown.
    fn outcomes(&self) -> u32;
}

/// Puts texts together, for a monitor that acknowledges nothing.
#[derive(Default)]
pub(super) struct Listener {
    assembler: Assembler,
}

impl Listener {
    pub(super) fn take(&mut self, message: &DeviceMessage, show: &mut impl Show) -> io::Result<()> {
        match message {
            DeviceMessage::Transcript(part) => self.assembler.push(part),
            DeviceMessage::Outcome(outcome) => return self.finish(outcome, show).map(|_| ()),
            // Beside a host that acknowledges: parts are told apart by sequence.
            DeviceMessage::Part(part) => self.assembler.push(&Transcript {
                utterance: part.sequence,
                part: part.part,
                parts: part.parts,
                text: part.text.clone(),
            }),
            DeviceMessage::Delivered(delivered) => {
                let outcome = delivered.outcome;
                let assembled = self.assembler.finish(&Outcome {
                    utterance: outcome.sequence,
                    ..outcome
                });
                return show.outcome(&outcome, assembled.text, assembled.complete);
            }
            DeviceMessage::Gap { from, to } => return show.gap(*from, *to),
            message => return show.message(message),
        }
        Ok(())
    }

    /// Shows an outcome without a mark; returns whether nothing of it was lost.
    fn finish(&mut self, outcome: &Outcome, show: &mut impl Show) -> io::Result<bool> {
        let assembled = self.assembler.finish(outcome);
        let complete = assembled.complete;
        show.outcome(outcome, assembled.text, complete)?;
        Ok(complete)
    }
}

/// What an outcome is known by when it comes again with a mark: its time on the line may differ.
type Known = (u32, u32, Trigger, OutcomeResult, u32);

fn known(outcome: &Outcome) -> Known {
    let Outcome {
        sequence,
        utterance,
        trigger,
        result,
        audio_ms,
        ..
    } = *outcome;
    (sequence, utterance, trigger, result, audio_ms)
}

/// Acknowledges what is shown.
pub(super) struct Courier {
    receiver: Receiver,
    /// Outcomes that come again with a mark, if the appliance hears this monitor.
    unmarked: VecDeque<DeviceMessage>,
    unmarked_since: Instant,
    /// It does not: there is no wire towards it.
    is_unheard: bool,
    /// What was shown for that reason, whole, in this start of the appliance. Over a slow line the
    /// appliance may hear the monitor later than [`UNHEARD_AFTER`], and send it again.
    told: VecDeque<Known>,
    /// The start, as far as it was said.
    boot: Option<u32>,
    /// The line was lost meanwhile: say once more where this monitor is.
    is_new_line: bool,
}

impl Courier {
    pub(super) fn new() -> Self {
        Self {
            receiver: Receiver::new(),
            unmarked: VecDeque::new(),
            unmarked_since: Instant::now(),
            is_unheard: false,
            told: VecDeque::new(),
            boot: None,
            is_new_line: false,
        }
    }

    /// Takes one message.
    pub(super) fn take(
        &mut self,
        message: &DeviceMessage,
        listener: &mut Listener,
        show: &mut impl Show,
    ) -> io::Result<()> {
        match message {
            DeviceMessage::Delivered(_) | DeviceMessage::Gap { .. } => {
                self.unmarked.clear();
                self.is_unheard = false;
            }
            DeviceMessage::Transcript(_) | DeviceMessage::Outcome(_) if !self.is_unheard => {
                if self.unmarked.is_empty() {
                    self.unmarked_since = Instant::now();
                }
                self.unmarked.push_back(message.clone());
                self.receiver.push(message);
                return Ok(());
            }
            DeviceMessage::Hello(hello) if self.boot != Some(hello.boot) => {
                // Its numbers begin anew.
                self.boot = Some(hello.boot);
                self.told.clear();
            }
            _ => {}
        }
        match self.receiver.push(message) {
            Some(Received::Outcome {
                boot,
                outcome,
                text,
            }) => {
                let is_now = self.boot.is_none_or(|now| now == boot);
                let told = self.told.iter().position(|told| *told == known(outcome));
                match told.filter(|_| is_now) {
                    Some(at) => {
                        self.told.remove(at);
                        Ok(())
                    }
                    None => show.outcome(outcome, text, true),
                }
            }
            // A new receiver begins behind what others had.
            Some(Received::Gap { from, .. }) if from.boot == 0 => Ok(()),
            Some(Received::Gap { from, to }) => show.gap(from, to),
            None => match message {
                // Parts, repeats, and what must come again.
                DeviceMessage::Part(_)
                | DeviceMessage::Delivered(_)
                | DeviceMessage::Gap { .. } => Ok(()),
                message => tell(&mut self.told, message, listener, show),
            },
        }
    }

    /// Returns the acknowledgement that is due.
    pub(super) fn acknowledgement(&mut self) -> Option<HostMessage> {
        let due = self.receiver.acknowledgement();
        let is_new_line = std::mem::take(&mut self.is_new_line);
        due.or_else(|| is_new_line.then(|| HostMessage::Acknowledge(self.receiver.mark())))
    }

    /// The line was lost and is open again.
    pub(super) fn begin_line(&mut self) {
        self.is_new_line = true;
    }

    /// Returns how long it may be slept before [`Courier::tell_unheard`].
    pub(super) fn wait(&self) -> Option<Duration> {
        let waits = !self.unmarked.is_empty();
        waits.then(|| UNHEARD_AFTER.saturating_sub(self.unmarked_since.elapsed()))
    }

    /// Shows what did not come again.
    pub(super) fn tell_unheard(
        &mut self,
        listener: &mut Listener,
        show: &mut impl Show,
    ) -> io::Result<()> {
        let is_full = UNMARKED_MAX <= self.unmarked.len();
        if is_full || UNHEARD_AFTER <= self.unmarked_since.elapsed() {
            self.is_unheard |= !self.unmarked.is_empty();
            while let Some(message) = self.unmarked.pop_front() {
                tell(&mut self.told, &message, listener, show)?;
            }
        }
        Ok(())
    }
}

/// Shows what has no mark, and remembers it.
fn tell(
    told: &mut VecDeque<Known>,
    message: &DeviceMessage,
    listener: &mut Listener,
    show: &mut impl Show,
) -> io::Result<()> {
    let DeviceMessage::Outcome(outcome) = message else {
        return listener.take(message, show);
    };
    // A text with a hole is shown again, whole.
    if listener.finish(outcome, show)? {
        told.push_back(known(outcome));
        if TOLD_MAX < told.len() {
            told.pop_front();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
