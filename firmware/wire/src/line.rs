//! Line mode: the contract for receivers that would rather read text than frames.
//!
//! One message is one line of UTF-8 that ends with a line feed. Messages go in and lines come out,
//! and back. There is no checksum. What was said can never look like another line: characters that
//! could end or hide a line are replaced by spaces. SPEC.md has the grammar.

use core::fmt;

use crate::codes::{Alert, DeviceState, DropReason, FailCode, JobState, Provider};
use crate::frame::EncodeError;
use crate::limits::LINE_BYTES_MAX;
use crate::message::{
    Counters, DeviceMessage, Hello, HostMessage, Job, LEFT_UNKNOWN, Outcome, OutcomeResult,
};
use crate::text::name;

mod decoder;
pub use decoder::{LineDecoder, LineError};

/// A message to the host in line mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceLine<'a> {
    /// `HELLO 1 0.1.0 sim nano 17`: protocol, version, board, model, boot.
    Hello(Hello),
    /// `STATE recording cpu`
    State {
        /// The one word for what the appliance does.
        state: DeviceState,
        /// What runs the model.
        provider: Provider,
    },
    /// `TEXT 12 turn on the light`
    Text {
        /// Number of the utterance since start.
        utterance: u32,
        /// All of its text.
        text: &'a str,
    },
    /// `NOSPEECH 13`
    NoSpeech {
        /// Number of the utterance since start.
        utterance: u32,
    },
    /// `DROPPED 14 busy`
    Dropped {
        /// Number of the utterance since start.
        utterance: u32,
        /// Why.
        reason: DropReason,
    },
    /// `FAILED 15 timeout`
    Failed {
        /// Number of the utterance since start.
        utterance: u32,
        /// Why.
        code: FailCode,
    },
    /// `COUNTERS uptime_s=60 utterances=3 ...`
    Counters(Counters),
    /// `COMMAND 13 7 93`: utterance, number of the phrase, confidence in percent.
    Command {
        /// Number of the utterance.
        utterance: u32,
        /// The number that the closed list gives the phrase.
        command: u16,
        /// Units: percent.
        confidence: u8,
    },
    /// `UNKNOWN 13`
    Unknown {
        /// Number of the utterance.
        utterance: u32,
    },
    /// `PONG 7`
    Pong {
        /// The number from the ping.
        nonce: u32,
    },
    /// `JOB 3 running 40 95`: number, state, percent, seconds left.
    Job(Job),
    /// `ALERT journaldown on`
    Alert {
        /// What.
        alert: Alert,
        /// It has begun; false when it is over.
        on: bool,
    },
}

impl<'a> DeviceLine<'a> {
    /// Returns the line for `message`, where `text` is all the text of its outcome.
    ///
    /// `None` for `Transcript`: in line mode the text comes whole, with its outcome. `None` for
    /// what only a host gets that acknowledges: line mode has no acknowledgement.
    pub fn from_message(message: &DeviceMessage, text: &'a str) -> Option<Self> {
        Some(match message {
            DeviceMessage::Hello(hello) => Self::Hello(hello.clone()),
            DeviceMessage::State(state) => Self::State {
                state: state.state,
                provider: state.provider,
            },
            DeviceMessage::Transcript(_)
            | DeviceMessage::Part(_)
            | DeviceMessage::Delivered(_)
            | DeviceMessage::Gap { .. } => return None,
            DeviceMessage::Outcome(outcome) => Self::from_outcome(outcome, text),
            DeviceMessage::Counters(counters) => Self::Counters(*counters),
            DeviceMessage::Pong { nonce } => Self::Pong { nonce: *nonce },
            DeviceMessage::Job(job) => Self::Job(*job),
            DeviceMessage::Alert { alert, on } => Self::Alert {
                alert: *alert,
                on: *on,
            },
        })
    }

    fn from_outcome(outcome: &Outcome, text: &'a str) -> Self {
        let utterance = outcome.utterance;
        match outcome.result {
            OutcomeResult::Text { .. } => Self::Text { utterance, text },
            OutcomeResult::NoSpeech => Self::NoSpeech { utterance },
            OutcomeResult::Dropped(reason) => Self::Dropped { utterance, reason },
            OutcomeResult::Failed(code) => Self::Failed { utterance, code },
            OutcomeResult::Command { command } => Self::Command {
                utterance,
                command,
                confidence: outcome.confidence,
            },
            OutcomeResult::Unknown => Self::Unknown { utterance },
        }
    }

    /// Reads a line without its line feed; `None` when it is no line of this contract.
    ///
    /// Words after those that the line needs are ignored: a newer sender may append some.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        let mut words = rest.split(' ');
        Some(match word {
            "TEXT" => {
                let (utterance, text) = rest.split_once(' ').unwrap_or((rest, ""));
                Self::Text {
                    utterance: utterance.parse().ok()?,
                    text,
                }
            }
            "HELLO" => Self::Hello(parse_hello(&mut words)?),
            "STATE" => Self::State {
                state: DeviceState::from_name(words.next()?),
                provider: Provider::from_name(words.next()?),
            },
            "NOSPEECH" => Self::NoSpeech {
                utterance: number(&mut words)?,
            },
            "DROPPED" => Self::Dropped {
                utterance: number(&mut words)?,
                reason: DropReason::from_name(words.next()?),
            },
            "FAILED" => Self::Failed {
                utterance: number(&mut words)?,
                code: FailCode::from_name(words.next()?),
            },
            "COMMAND" => Self::Command {
                utterance: number(&mut words)?,
                command: words.next()?.parse().ok()?,
                confidence: words.next()?.parse().ok()?,
            },
            "UNKNOWN" => Self::Unknown {
                utterance: number(&mut words)?,
            },
            "COUNTERS" => Self::Counters(parse_counters(words)?),
            "PONG" => Self::Pong {
                nonce: number(&mut words)?,
            },
            "JOB" => Self::Job(parse_job(&mut words)?),
            "ALERT" => Self::Alert {
                alert: Alert::from_name(words.next()?),
                on: match words.next()? {
                    "on" => true,
                    "off" => false,
                    _ => return None,
                },
            },
            _ => return None,
        })
    }
}

impl fmt::Display for DeviceLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello(hello) => {
                let [major, minor, patch] = hello.version;
                let (board, model) = (Word(&hello.board), Word(&hello.model));
                write!(f, "HELLO {} {major}.{minor}.{patch} ", hello.protocol)?;
                write!(f, "{board} {model} {}", hello.boot)
            }
            Self::State { state, provider } => write!(f, "STATE {state} {provider}"),
            Self::Text { utterance, text } => write!(f, "TEXT {utterance} {}", Spoken(text)),
            Self::NoSpeech { utterance } => write!(f, "NOSPEECH {utterance}"),
            Self::Dropped { utterance, reason } => write!(f, "DROPPED {utterance} {reason}"),
            Self::Failed { utterance, code } => write!(f, "FAILED {utterance} {code}"),
            Self::Command {
                utterance,
                command,
                confidence,
            } => write!(f, "COMMAND {utterance} {command} {confidence}"),
            Self::Unknown { utterance } => write!(f, "UNKNOWN {utterance}"),
            Self::Counters(counters) => {
                f.write_str("COUNTERS")?;
                counters
                    .fields()
                    .iter()
                    .try_for_each(|(key, value)| write!(f, " {key}={value}"))
            }
            Self::Pong { nonce } => write!(f, "PONG {nonce}"),
            Self::Job(job) => {
                let Job {
                    number,
                    state,
                    percent,
                    left_s,
                } = job;
                write!(f, "JOB {number} {state} {percent} ")?;
                match *left_s {
                    LEFT_UNKNOWN => f.write_str("-"),
                    left_s => write!(f, "{left_s}"),
                }
            }
            Self::Alert { alert, on } => {
                write!(f, "ALERT {alert} {}", if *on { "on" } else { "off" })
            }
        }
    }
}

/// Reads a host's line without its line feed; `None` when it is no line of this contract.
///
/// Capitals and small letters are the same here, for people at a terminal.
pub fn parse_host_line(line: &str) -> Option<HostMessage> {
    let mut words = line.split_ascii_whitespace();
    let mut word = || words.next().unwrap_or_default();
    let (first, second, third) = (word(), word(), word());
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    if !third.is_empty() {
        return None;
    }
    match (first, second) {
        (first, nonce) if is(first, "PING") => Some(HostMessage::Ping {
            nonce: nonce.parse().ok()?,
        }),
        (first, down) if is(first, "PTT") && is(down, "DOWN") => Some(HostMessage::PttDown),
        (first, up) if is(first, "PTT") && is(up, "UP") => Some(HostMessage::PttUp),
        (first, "") if is(first, "CANCEL") => Some(HostMessage::Cancel),
        (first, on) if is(first, "MUTE") && is(on, "ON") => Some(HostMessage::Mute(true)),
        (first, off) if is(first, "MUTE") && is(off, "OFF") => Some(HostMessage::Mute(false)),
        (first, "") if is(first, "STATUS") => Some(HostMessage::GetStatus),
        _ => None,
    }
}

/// The line of a host's message, without its line feed.
struct HostLine<'a>(&'a HostMessage);

impl fmt::Display for HostLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            HostMessage::Ping { nonce } => return write!(f, "PING {nonce}"),
            HostMessage::PttDown => "PTT DOWN",
            HostMessage::PttUp => "PTT UP",
            HostMessage::Cancel => "CANCEL",
            HostMessage::Mute(true) => "MUTE ON",
            HostMessage::Mute(false) => "MUTE OFF",
            HostMessage::GetStatus => "STATUS",
            // Line mode does not acknowledge: see `write_host_line`.
            HostMessage::Acknowledge(_) => return Err(fmt::Error),
        })
    }
}

/// Writes `line` with its line feed into `bytes` and returns how many bytes it took.
///
/// # Errors
/// [`EncodeError`]; the content of `bytes` is not to be sent then.
pub fn write_device_line(line: &DeviceLine<'_>, bytes: &mut [u8]) -> Result<usize, EncodeError> {
    write_line(line, bytes)
}

/// Writes `message` as a line with its line feed into `bytes` and returns how many bytes it took.
/// An acknowledgement has no line and is an error.
///
/// # Errors
/// [`EncodeError`]; the content of `bytes` is not to be sent then.
pub fn write_host_line(message: &HostMessage, bytes: &mut [u8]) -> Result<usize, EncodeError> {
    write_line(&HostLine(message), bytes)
}

fn write_line(line: &impl fmt::Display, bytes: &mut [u8]) -> Result<usize, EncodeError> {
    let mut writer = LineWriter {
        bytes,
        used_bytes: 0,
    };
    fmt::write(&mut writer, format_args!("{line}\n")).map_err(|_| EncodeError::BufferTooSmall)?;
    if writer.used_bytes > LINE_BYTES_MAX + 1 {
        return Err(EncodeError::MessageTooLong);
    }
    Ok(writer.used_bytes)
}

/// Fills the caller's buffer.
struct LineWriter<'a> {
    bytes: &'a mut [u8],
    used_bytes: usize,
}

impl fmt::Write for LineWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.used_bytes.checked_add(text.len()).ok_or(fmt::Error)?;
        let room = self.bytes.get_mut(self.used_bytes..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.used_bytes = end;
        Ok(())
    }
}

/// Text in which nothing can end a line, move the cursor or turn the reading direction.
struct Spoken<'a>(&'a str);

impl fmt::Display for Spoken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        self.0
            .chars()
            .try_for_each(|c| f.write_char(if is_plain(c) { c } else { ' ' }))
    }
}

/// A name as one word: spaces become `_`, an empty name becomes `-`.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if self.0.is_empty() {
            return f.write_char('-');
        }
        let plain = |c: char| is_plain(c) && !c.is_whitespace();
        self.0
            .chars()
            .try_for_each(|c| f.write_char(if plain(c) { c } else { '_' }))
    }
}

fn is_plain(c: char) -> bool {
    let ends_line = matches!(c, '\u{2028}' | '\u{2029}');
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !(c.is_control() || ends_line || turns)
}

fn number<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<u32> {
    words.next()?.parse().ok()
}

fn parse_hello<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Hello> {
    let protocol = words.next()?.parse().ok()?;
    let mut version = [0; 3];
    let mut numbers = words.next()?.split('.');
    for place in &mut version {
        *place = numbers.next()?.parse().ok()?;
    }
    let mut word = || {
        words
            .next()
            .map(|word| name(if word == "-" { "" } else { word }))
    };
    let (board, model) = (word()?, word()?);
    Some(Hello {
        protocol,
        version,
        board,
        model,
        boot: number(words)?,
    })
}

fn parse_job<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Job> {
    Some(Job {
        number: number(words)?,
        state: JobState::from_name(words.next()?),
        percent: words.next()?.parse().ok()?,
        left_s: match words.next()? {
            "-" => LEFT_UNKNOWN,
            left_s => left_s.parse().ok()?,
        },
    })
}

fn parse_counters<'a>(words: impl Iterator<Item = &'a str>) -> Option<Counters> {
    let mut counters = Counters::default();
    for word in words {
        let (key, value) = word.split_once('=')?;
        if let Some(counter) = counters.field_mut(key) {
            *counter = value.parse().ok()?;
        }
    }
    Some(counters)
}

#[cfg(test)]
mod tests;
