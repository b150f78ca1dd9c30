//! `pressel monitor`: the other end of the serial line, decoded.
//!
//! Frames in, one line or one JSON object for each message out. It is also what the demo uses.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};

use pressel_hal::linux::{SerialLink, poll};
use pressel_hal::{Link, LinkError, PollFd};
use pressel_wire::limits::FRAME_BYTES_MAX;
use pressel_wire::{
    Assembler, Decoder, DeviceMessage, HostMessage, Outcome, OutcomeResult, encode_host,
};
use serde_json::json;

use super::args::{HostCommand, MonitorArguments};
use crate::failure::{Failure, Kind};
use crate::keeper::Record;
use crate::keeper::report::{json_object, result_name};

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
    loop {
        let mut fds = [PollFd {
            events: libc::POLLIN,
            ..link.poll_fd()
        }];
        poll::wait(&mut fds, -1).map_err(|errno| device(format!("poll failed errno={errno}")))?;
        let mut bytes = [0; 512];
        let count = match link.read(&mut bytes) {
            Ok(count) => count,
            Err(_) if arguments.port == "-" => return Ok(()), // The other side has ended.
            Err(error) => return Err(device(format!("{}: {error}", link.name()))),
        };
        for item in decoder.push(&bytes[..count]) {
            let shown = match item {
                Ok(message) => screen.show(&message),
                Err(error) => screen.print(
                    &json!({"event": "bad_frame", "why": error.to_string()}),
                    &format!("?  a frame could not be read: {error}"),
                ),
            };
            shown.map_err(|error| {
                Failure::new(
                    Kind::Disk,
                    format!("standard output cannot be written: {error}"),
                )
            })?;
            if arguments
                .count
                .is_some_and(|count| count <= screen.outcomes)
            {
                return Ok(());
            }
        }
    }
}

fn send(link: &mut dyn Link, command: HostCommand) -> Result<(), LinkError> {
    let message = match command {
        HostCommand::Status => HostMessage::GetStatus,
        HostCommand::PttDown => HostMessage::PttDown,
        HostCommand::PttUp => HostMessage::PttUp,
        HostCommand::Cancel => HostMessage::Cancel,
        HostCommand::MuteOn => HostMessage::Mute(true),
        HostCommand::MuteOff => HostMessage::Mute(false),
    };
    let mut bytes = [0; FRAME_BYTES_MAX];
    // Every message of the host fits a frame.
    let count = encode_host(&message, &mut bytes).unwrap_or(0);
    let mut sent = 0;
    while sent < count {
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
            DeviceMessage::Outcome(outcome) => self.outcome(outcome),
            DeviceMessage::Counters(counters) => {
                let object = json_object(&Record::Counters(*counters), true).unwrap_or_default();
                self.print(&object, &format!("-  {counters:?}"))
            }
            DeviceMessage::Pong { nonce } => self.print(
                &json!({"event": "pong", "nonce": nonce}),
                &format!("-  pong {nonce}"),
            ),
            _ => Ok(()), // A newer appliance says more than this monitor knows.
        }
    }

    fn outcome(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.outcomes += 1;
        let assembled = self.assembler.finish(outcome);
        let (text, complete) = (assembled.text.to_owned(), assembled.complete);
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
            OutcomeResult::Text { .. } if complete => text,
            OutcomeResult::Text { .. } => format!("{text} [part of the text was lost on the line]"),
            _ => format!("[{}]", result_name(&outcome.result)),
        };
        self.print(&object, &format!("{}  {said}", outcome.utterance))
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
