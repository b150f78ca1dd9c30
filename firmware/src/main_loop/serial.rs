//! The serial line: messages in and out, as frames or as lines of text.
//!
//! Runs on the main loop. Outgoing bytes are whole frames in one bounded buffer; what does not fit
//! waits where it is, or is dropped and counted. Nothing here ever waits for the reader.

use heapless::Deque;
use pressel_hal::{Link, LinkError, PollFd};
use pressel_pipeline::limits::{LINK_BUFFER_BYTES, LINK_READ_BYTES, LINK_RETRY_MS};
use pressel_wire::limits::{FRAME_BYTES_MAX, HOST_LINE_BYTES_MAX, LINE_BYTES_MAX, PARTS_MAX};
use pressel_wire::{
    Decoder, Delivered, DeviceLine, DeviceMessage, HostMessage, LineDecoder, OutcomeResult, Part,
    encode_device, transcript_parts,
};

use crate::config::LinkMode;
use crate::outcome::Finished;

/// Bytes that one outcome takes at most: its parts and itself as frames, or one line.
const OUTCOME_BYTES_MAX: usize = FRAME_BYTES_MAX * (PARTS_MAX + 1);
const _: () = assert!(LINE_BYTES_MAX <= OUTCOME_BYTES_MAX);
const _: () = assert!(OUTCOME_BYTES_MAX * 2 <= LINK_BUFFER_BYTES); // one going out, one coming in

/// Messages taken from the host in one turn at most.
pub(super) const HOST_MESSAGES_MAX: usize = LINK_READ_BYTES;

/// The serial line.
pub struct Serial {
    mode: LinkMode,
    link: Option<Box<dyn Link>>,
    out: Deque<u8, LINK_BUFFER_BYTES>,
    frames: Decoder<HostMessage>,
    lines: LineDecoder<HOST_LINE_BYTES_MAX>,
    retry_ms: u64,
    dropped: u32,
    bad_lines: u32,
}

impl Serial {
    /// Starts with an open line, or without one.
    #[must_use]
    pub fn new(link: Option<Box<dyn Link>>, mode: LinkMode) -> Self {
        Self {
            mode,
            link,
            out: Deque::new(),
            frames: Decoder::new(),
            lines: LineDecoder::new(),
            retry_ms: LINK_RETRY_MS.0,
            dropped: 0,
            bad_lines: 0,
        }
    }

    /// Returns messages that were never put on the line.
    #[must_use]
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Counts a message that was never put on the line.
    pub fn count_dropped(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
    }

    /// Returns frames or lines from the host that could not be read.
    #[must_use]
    pub fn bad_frames(&self) -> u32 {
        let bad = self.frames.counts().bad();
        bad.saturating_add(self.lines.bad_lines())
            .saturating_add(self.bad_lines)
    }

    /// Returns what to wait for: input, and room if there is something to send.
    #[must_use]
    pub fn poll_fd(&self) -> PollFd {
        let Some(link) = &self.link else {
            return PollFd {
                fd: -1,
                events: 0,
                revents: 0,
            };
        };
        let room = if self.out.is_empty() {
            0
        } else {
            libc::POLLOUT
        };
        PollFd {
            events: libc::POLLIN | room,
            ..link.poll_fd()
        }
    }

    /// Returns whether the line is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.link.is_some()
    }

    /// Returns whether there should be a line and is none.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.link.is_none() && self.mode != LinkMode::None
    }

    /// Returns whether everything was handed to the kernel.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.link.is_none() || self.out.is_empty()
    }

    /// Puts a message into the buffer; false when it does not fit. In line mode, messages that have
    /// no line of their own take no room.
    pub fn send(&mut self, message: &DeviceMessage) -> bool {
        let mut bytes = [0; LINE_BYTES_MAX];
        let count = match self.mode {
            LinkMode::Frames => encode_device(message, &mut bytes),
            LinkMode::Lines => match DeviceLine::from_message(message, "") {
                Some(line) => pressel_wire::line::write_device_line(&line, &mut bytes),
                None => return true,
            },
            LinkMode::None => return true,
        };
        count.is_ok_and(|count| self.append(&bytes[..count]))
    }

    /// Puts an outcome and its text into the buffer; false when they do not fit.
    pub fn send_outcome(&mut self, finished: &Finished) -> bool {
        if LINK_BUFFER_BYTES - self.out.len() < OUTCOME_BYTES_MAX {
            return false;
        }
        let message = DeviceMessage::Outcome(finished.outcome);
        match self.mode {
            LinkMode::Frames => {
                if let OutcomeResult::Text { .. } = finished.outcome.result {
                    for part in transcript_parts(finished.outcome.utterance, &finished.text) {
                        self.send(&DeviceMessage::Transcript(part));
                    }
                }
                self.send(&message)
            }
            LinkMode::Lines => {
                let mut bytes = [0; LINE_BYTES_MAX];
                let Some(line) = DeviceLine::from_message(&message, &finished.text) else {
                    return true;
                };
                let count = pressel_wire::line::write_device_line(&line, &mut bytes);
                count.is_ok_and(|count| self.append(&bytes[..count]))
            }
            LinkMode::None => true,
        }
    }

    /// Puts an outcome and its text for an acknowledging host into the buffer; false when they do
    /// not fit.
    pub fn send_delivered(&mut self, delivered: &Delivered, text: &str) -> bool {
        if LINK_BUFFER_BYTES - self.out.len() < OUTCOME_BYTES_MAX {
            return false;
        }
        let Delivered { boot, outcome, .. } = *delivered;
        if let OutcomeResult::Text { .. } = outcome.result {
            for part in transcript_parts(outcome.utterance, text) {
                self.send(&DeviceMessage::Part(Part {
                    boot,
                    sequence: outcome.sequence,
                    part: part.part,
                    parts: part.parts,
                    text: part.text,
                }));
            }
        }
        self.send(&DeviceMessage::Delivered(*delivered))
    }

    /// Gives the kernel what it takes now.
    ///
    /// # Errors
    /// [`LinkError`]: the line is lost; see [`Serial::take`].
    pub fn flush(&mut self) -> Result<(), LinkError> {
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        // Twice: the buffer is a ring and may lie in two pieces.
        for _ in 0..2 {
            let (bytes, _) = self.out.as_slices();
            if bytes.is_empty() {
                break;
            }
            let count = link.write(bytes)?;
            for _ in 0..count {
                self.out.pop_front();
            }
        }
        Ok(())
    }

    /// Reads what the host sent and calls `hear` for each message.
    ///
    /// # Errors
    /// [`LinkError`]: the line is lost; see [`Serial::take`].
    pub fn read(
        &mut self,
        messages: &mut heapless::Vec<HostMessage, HOST_MESSAGES_MAX>,
    ) -> Result<(), LinkError> {
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        let mut bytes = [0; LINK_READ_BYTES];
        let count = link.read(&mut bytes)?;
        for &byte in &bytes[..count] {
            let message = match self.mode {
                LinkMode::Frames => self.frames.push_byte(byte).and_then(Result::ok),
                LinkMode::Lines => match self.lines.push_byte(byte) {
                    Some(Ok(line)) => {
                        let message = pressel_wire::line::parse_host_line(line);
                        self.bad_lines += u32::from(message.is_none());
                        message
                    }
                    Some(Err(_)) | None => None,
                },
                LinkMode::None => None,
            };
            if let Some(message) = message {
                // A byte gives at most one message, so there is room.
                messages.push(message).ok();
            }
        }
        Ok(())
    }

    /// Takes the line out, to be closed by the keeper. What waits in the buffer stays: the next
    /// reader skips the frame that was cut.
    pub fn take(&mut self) -> Option<Box<dyn Link>> {
        self.frames.reset();
        self.lines.reset();
        self.link.take()
    }

    /// Returns how long to wait before the next try to open; it doubles from try to try.
    pub fn next_retry_ms(&mut self) -> u64 {
        let wait = self.retry_ms;
        self.retry_ms = (wait * 2).min(LINK_RETRY_MS.1);
        wait
    }

    /// Goes on with a line that was opened again.
    pub fn resume(&mut self, link: Box<dyn Link>) {
        self.retry_ms = LINK_RETRY_MS.0;
        self.link = Some(link);
    }

    fn append(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= LINK_BUFFER_BYTES - self.out.len();
        if fits {
            for &byte in bytes {
                self.out.push_back(byte).ok();
            }
        }
        fits
    }
}

#[cfg(test)]
mod tests;
