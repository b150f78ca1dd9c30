//! `pressel monitor`: the other end of the serial line, decoded.
//!
//! Frames in, one line or one JSON object for each message out, and acknowledgements back, so that
//! what was said while nobody listened comes too. It is also what the demo uses.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pressel_hal::linux::{SerialLink, poll};
use pressel_hal::{Link, LinkError, PollFd};
use pressel_wire::limits::FRAME_BYTES_MAX;
use pressel_wire::{
    Assembler, Decoder, DeviceMessage, HostMessage, Job, LEFT_UNKNOWN, Mark, Outcome,
    OutcomeResult, Received, Receiver, Transcript, encode_host,
};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::args::{HostCommand, MonitorArguments};
use crate::failure::{Failure, Kind};
use crate::keeper::Record;
use crate::keeper::report::{json_object, result_name};

/// An outcome without a mark that has not come again by then was sent by an appliance that does not
/// hear this monitor.
const UNHEARD_AFTER: Duration = Duration::from_millis(1_000);
/// Messages without a mark that wait for that.
const UNMARKED_MAX: usize = 256;

/// Reads the port until it is closed, `--count` outcomes came, or Ctrl+C.
///
/// # Errors
/// [`Kind::Device`] when the port cannot be opened or is lost.
pub fn monitor(arguments: &MonitorArguments) -> Result<(), Failure> {
    let device = |why: String| Failure::new(Kind::Device, why);
    let mut link: Box<dyn Link> = if arguments.port == "-" {
        Box::new(StandardInput::open().map_err(|error| device(error.to_string()))?)
    } else {
        let link = SerialLink::open(&arguments.port, arguments.baud);
        Box::new(link.map_err(|error| device(error.to_string()))?)
    };
    for command in &arguments.send {
        send(&mut *link, *command).map_err(|error| device(format!("{}: {error}", link.name())))?;
    }
    let mut screen = Screen::new(arguments.json, io::stdout());
    let mut decoder = Decoder::new();
    // Standard input has no way back.
    let mut courier = (!arguments.no_ack && arguments.port != "-").then(Courier::new);
    let enough = |screen: &Screen<io::Stdout>| {
        arguments
            .count
            .is_some_and(|count| count <= screen.outcomes)
    };
    let disk = |error: io::Error| super::output_failed(&error);
    let asked = super::asked_to_end(&[SIGINT, SIGTERM])?;
    loop {
        if let Some(courier) = &mut courier {
            if let Some(message) = courier.receiver.acknowledgement() {
                transmit(&mut *link, &message)
                    .map_err(|error| device(format!("{}: {error}", link.name())))?;
            }
            courier.tell_unheard(&mut screen).map_err(disk)?;
        }
        if enough(&screen) {
            return Ok(());
        }
        let mut fds = [PollFd {
            events: libc::POLLIN,
            ..link.poll_fd()
        }];
        let wait_ms = courier.as_ref().map_or(-1, Courier::wait_ms);
        poll::wait(&mut fds, wait_ms)
            .map_err(|errno| device(format!("poll failed errno={errno}")))?;
        if asked.load(Ordering::Relaxed) {
            return Ok(());
        }
        if fds[0].revents == 0 {
            continue;
        }
        let mut bytes = [0; 512];
        let count = match link.read(&mut bytes) {
            Ok(count) => count,
            Err(_) if arguments.port == "-" => return Ok(()), // The other side has ended.
            Err(error) => return Err(device(format!("{}: {error}", link.name()))),
        };
        for item in decoder.push(&bytes[..count]) {
            let shown = match (item, &mut courier) {
                (Ok(message), Some(courier)) => courier.show(&message, &mut screen),
                (Ok(message), None) => screen.show(&message),
                (Err(error), _) => screen.print(
                    &json!({"event": "bad_frame", "why": error.to_string()}),
                    &format!("?  a frame could not be read: {error}"),
                ),
            };
            shown.map_err(disk)?;
            if enough(&screen) {
                break; // After the acknowledgement.
            }
        }
    }
}

/// Waits of a second at most for a line that takes nothing.
const SEND_TRIES_MAX: u32 = 5;

fn send(link: &mut dyn Link, command: HostCommand) -> Result<(), LinkError> {
    let message = match command {
        HostCommand::Status => HostMessage::GetStatus,
        HostCommand::PttDown => HostMessage::PttDown,
        HostCommand::PttUp => HostMessage::PttUp,
        HostCommand::Cancel => HostMessage::Cancel,
        HostCommand::MuteOn => HostMessage::Mute(true),
        HostCommand::MuteOff => HostMessage::Mute(false),
    };
    transmit(link, &message)
}

fn transmit(link: &mut dyn Link, message: &HostMessage) -> Result<(), LinkError> {
    let mut bytes = [0; FRAME_BYTES_MAX];
    // Every message of the host fits a frame.
    let count = encode_host(message, &mut bytes).unwrap_or(0);
    let (mut sent, mut tries) = (0, 0);
    while sent < count {
        if SEND_TRIES_MAX <= tries {
            return Err(LinkError::Lost {
                errno: libc::ETIMEDOUT,
            });
        }
        tries += 1;
        sent += link.write(&bytes[sent..count])?;
        let mut fds = [PollFd {
            events: libc::POLLOUT,
            ..link.poll_fd()
        }];
        poll::wait(&mut fds, 1_000).map_err(|errno| LinkError::Lost { errno })?;
    }
    Ok(())
}

/// Prints messages.
struct Screen<W> {
    out: W,
    json: bool,
    assembler: Assembler,
    outcomes: u32,
}

impl<W: io::Write> Screen<W> {
    fn new(json: bool, out: W) -> Self {
        Self {
            out,
            json,
            assembler: Assembler::new(),
            outcomes: 0,
        }
    }

    fn print(&mut self, object: &serde_json::Value, words: &str) -> io::Result<()> {
        if self.json {
            writeln!(self.out, "{object}")?
        } else {
            writeln!(self.out, "{words}")?
        }
        self.out.flush()
    }

    fn show(&mut self, message: &DeviceMessage) -> io::Result<()> {
        match message {
            DeviceMessage::Hello(hello) => {
                let [major, minor, patch] = hello.version;
                let object = json!({
                    "event": "hello", "protocol": hello.protocol,
                    "version": format!("{major}.{minor}.{patch}"),
                    "board": hello.board.as_str(), "boot": hello.boot,
                    "model": hello.model.as_str(),
                });
                let words = format!(
                    "-  pressel {major}.{minor}.{patch} board={} model={}",
                    hello.board, hello.model
                );
                self.print(&object, &words)
            }
            DeviceMessage::State(state) => {
                let object = json_object(&Record::State(*state), true).unwrap_or_default();
                self.print(&object, &format!("-  {} ({})", state.state, state.provider))
            }
            DeviceMessage::Transcript(part) => {
                self.assembler.push(part);
                Ok(())
            }
            DeviceMessage::Outcome(outcome) => {
                let assembled = self.assembler.finish(outcome);
                let (text, complete) = (assembled.text.to_owned(), assembled.complete);
                self.outcome(outcome, &text, complete)
            }
            DeviceMessage::Gap { from, to } => self.gap(*from, *to),
            // Without acknowledgements, beside a host that does: parts are told apart by sequence.
            DeviceMessage::Part(part) => {
                self.assembler.push(&Transcript {
                    utterance: part.sequence,
                    part: part.part,
                    parts: part.parts,
                    text: part.text.clone(),
                });
                Ok(())
            }
            DeviceMessage::Delivered(delivered) => {
                let outcome = delivered.outcome;
                let assembled = self.assembler.finish(&Outcome {
                    utterance: outcome.sequence,
                    ..outcome
                });
                let (text, complete) = (assembled.text.to_owned(), assembled.complete);
                self.outcome(&outcome, &text, complete)
            }
            DeviceMessage::Counters(counters) => {
                let object = json_object(&Record::Counters(*counters), true).unwrap_or_default();
                self.print(&object, &format!("-  {counters:?}"))
            }
            DeviceMessage::Pong { nonce } => self.print(
                &json!({"event": "pong", "nonce": nonce}),
                &format!("-  pong {nonce}"),
            ),
            DeviceMessage::Job(job) => self.job(*job),
            DeviceMessage::Alert { alert, on } => self.print(
                &json!({"event": "alert", "alert": alert.name(), "on": on}),
                &format!(
                    "{}  alert {alert} {}",
                    if *on { "!" } else { "-" },
                    if *on { "begins" } else { "is over" }
                ),
            ),
            _ => Ok(()), // A newer appliance says more than this monitor knows.
        }
    }

    fn job(&mut self, job: Job) -> io::Result<()> {
        let left_s = (job.left_s != LEFT_UNKNOWN).then_some(job.left_s);
        let object = json!({
            "event": "job", "job": job.number, "state": job.state.name(),
            "percent": job.percent, "left_s": left_s,
        });
        let left = left_s.map_or(String::new(), |left_s| format!(", {left_s} s left"));
        let (number, state, percent) = (job.number, job.state, job.percent);
        let words = format!("-  job {number} {state} {percent} %{left}");
        self.print(&object, &words)
    }

    fn gap(&mut self, from: Mark, to: Mark) -> io::Result<()> {
        let object = json!({
            "event": "link_gap", "from": [from.boot, from.next], "to": [to.boot, to.next],
        });
        self.print(
            &object,
            "-  what was said in between is lost or was told to others",
        )
    }

    fn outcome(&mut self, outcome: &Outcome, text: &str, complete: bool) -> io::Result<()> {
        self.outcomes += 1;
        let timing = outcome.timing;
        let object = json!({
            "event": "outcome", "sequence": outcome.sequence, "utterance": outcome.utterance,
            "trigger": outcome.trigger.name(), "result": result_name(&outcome.result),
            "text": text, "complete": complete, "confidence": outcome.confidence,
            "audio_ms": outcome.audio_ms,
            "timing_ms": {
                "capture": timing.capture_ms, "queue": timing.queue_ms,
                "encode": timing.encode_ms, "decode": timing.decode_ms, "link": timing.link_ms,
            },
        });
        let said = match outcome.result {
            OutcomeResult::Text { .. } if complete => text.to_owned(),
            OutcomeResult::Text { .. } => format!("{text} [part of the text was lost on the line]"),
            _ => format!("[{}]", result_name(&outcome.result)),
        };
        self.print(&object, &format!("{}  {said}", outcome.utterance))
    }
}

/// Acknowledges what is shown, so that each outcome comes once and in order.
struct Courier {
    receiver: Receiver,
    /// Outcomes that come again with a mark, if the appliance hears this monitor.
    unmarked: VecDeque<DeviceMessage>,
    unmarked_since: Instant,
    /// It does not: there is no wire towards it.
    is_unheard: bool,
}

impl Courier {
    fn new() -> Self {
        Self {
            receiver: Receiver::new(),
            unmarked: VecDeque::new(),
            unmarked_since: Instant::now(),
            is_unheard: false,
        }
    }

    fn show(
        &mut self,
        message: &DeviceMessage,
        screen: &mut Screen<impl io::Write>,
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
            _ => {}
        }
        match self.receiver.push(message) {
            Some(Received::Outcome { outcome, text, .. }) => screen.outcome(outcome, text, true),
            // A new receiver begins behind what others had.
            Some(Received::Gap { from, .. }) if from.boot == 0 => Ok(()),
            Some(Received::Gap { from, to }) => screen.gap(from, to),
            None => match message {
                // Parts, repeats, and what must come again.
                DeviceMessage::Part(_)
                | DeviceMessage::Delivered(_)
                | DeviceMessage::Gap { .. } => Ok(()),
                message => screen.show(message),
            },
        }
    }

    /// Returns the longest wait for the line, in milliseconds.
    fn wait_ms(&self) -> i32 {
        if self.unmarked.is_empty() { -1 } else { 100 }
    }

    /// Shows what did not come again.
    fn tell_unheard(&mut self, screen: &mut Screen<impl io::Write>) -> io::Result<()> {
        let is_full = UNMARKED_MAX <= self.unmarked.len();
        if is_full || UNHEARD_AFTER <= self.unmarked_since.elapsed() {
            self.is_unheard |= !self.unmarked.is_empty();
            while let Some(message) = self.unmarked.pop_front() {
                screen.show(&message)?;
            }
        }
        Ok(())
    }
}

/// Standard input as a serial line: a descriptor that somebody else opened.
struct StandardInput {
    file: File,
}

impl StandardInput {
    fn open() -> io::Result<Self> {
        let fd = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self {
            file: File::from(fd),
        })
    }
}

impl Link for StandardInput {
    fn poll_fd(&self) -> PollFd {
        PollFd {
            fd: self.file.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, LinkError> {
        match self.file.read(bytes) {
            Ok(0) => Err(LinkError::Lost { errno: libc::EPIPE }),
            Ok(count) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(LinkError::Lost {
                errno: error.raw_os_error().unwrap_or(libc::EIO),
            }),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, LinkError> {
        self.file.write(bytes).map_err(|error| LinkError::Lost {
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        })
    }

    fn name(&self) -> &'static str {
        "standard input"
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod courier_tests {
    use pressel_wire::{Delivered, Trigger};

    use super::*;
    use crate::outcome::Finished;

    fn outcome(sequence: u32) -> Outcome {
        let mut outcome = Finished::bare(0, Trigger::Ptt, OutcomeResult::NoSpeech, 0).outcome;
        outcome.sequence = sequence;
        outcome
    }

    /// Plays the messages and compares how many outcomes were shown.
    fn check(
        courier: &mut Courier,
        screen: &mut Screen<Vec<u8>>,
        messages: &[DeviceMessage],
        shown: u32,
    ) {
        for message in messages {
            courier.show(message, screen).unwrap();
            courier.tell_unheard(screen).unwrap();
        }
        assert_eq!(screen.outcomes, shown);
    }

    fn delivered(sequence: u32) -> DeviceMessage {
        let next = sequence;
        DeviceMessage::Delivered(Delivered {
            after: Mark { boot: 1, next },
            boot: 1,
            outcome: outcome(sequence),
        })
    }

    #[test]
    fn outcome_that_comes_again_with_a_mark_is_shown_once() {
        let (mut courier, mut screen) = (Courier::new(), Screen::new(true, Vec::new()));
        courier.receiver = Receiver::resume(Mark { boot: 1, next: 0 });
        let plain = DeviceMessage::Outcome(outcome(0));
        check(&mut courier, &mut screen, &[plain], 0);
        let again = [delivered(0), delivered(0), delivered(1)];
        check(&mut courier, &mut screen, &again, 2);
        assert_eq!(courier.wait_ms(), -1);
    }

    #[test]
    fn appliance_that_does_not_hear_the_monitor_is_shown_all_the_same() {
        let (mut courier, mut screen) = (Courier::new(), Screen::new(true, Vec::new()));
        let plain = DeviceMessage::Outcome(outcome(0));
        check(&mut courier, &mut screen, std::slice::from_ref(&plain), 0);
        courier.unmarked_since -= UNHEARD_AFTER;
        courier.tell_unheard(&mut screen).unwrap();
        // From now on at once.
        check(&mut courier, &mut screen, &[plain], 2);
    }
}
