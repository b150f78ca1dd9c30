//! Our own receiver, in the words of the table.
//!
//! Bytes in, lines out; the same lines as `receivers/c/dump.c` and `receivers/micropython/dump.py`
//! print. The last word on what they must say.

use std::fmt::Write as _;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::limits::{FRAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::text::cut;
use crate::{
    Assembler, Decoder, DeviceMessage, Mark, Outcome, OutcomeResult, Received, Receiver,
    encode_host,
};

/// A receiver that keeps all of a text.
pub(super) const ALL: usize = TEXT_BYTES_MAX;

/// How a receiver begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It acknowledges, from this mark on.
    Acknowledge(Mark),
    /// It only listens.
    Listen,
}

impl Mode {
    /// Returns the words of the command line and of the table.
    pub(super) fn words(self) -> Vec<String> {
        match self {
            Self::Acknowledge(Mark { boot, next }) => {
                ["acknowledge".into(), boot.to_string(), next.to_string()].into()
            }
            Self::Listen => ["listen".into()].into(),
        }
    }
}

/// Returns what our receiver says to these bytes; of each text at most `text_max` bytes.
pub(super) fn dump(mode: Mode, bytes: &[u8], text_max: usize) -> String {
    let mut lines = String::new();
    match mode {
        Mode::Acknowledge(mark) => acknowledge(Receiver::resume(mark), bytes, text_max, &mut lines),
        Mode::Listen => listen(bytes, text_max, &mut lines),
    }
    lines
}

fn acknowledge(mut receiver: Receiver, bytes: &[u8], text_max: usize, lines: &mut String) {
    let mut decoder = Decoder::<DeviceMessage>::new();
    answer(&mut receiver, lines);
    for &byte in bytes {
        match decoder.push_byte(byte) {
            None => continue,
            Some(Err(_)) => lines.push_str("bad\n"),
            Some(Ok(message)) => match receiver.push(&message) {
                Some(Received::Outcome {
                    boot,
                    outcome,
                    text,
                }) => tell(boot, outcome, true, text, text_max, lines),
                Some(Received::Gap { from, to }) => gap(from, to, lines),
                None => match &message {
                    DeviceMessage::Part(_)
                    | DeviceMessage::Delivered(_)
                    | DeviceMessage::Gap { .. } => {}
                    message => other(message, lines),
                },
            },
        }
        answer(&mut receiver, lines);
    }
}

/// The reference receiver at the end of SPEC.md.
fn listen(bytes: &[u8], text_max: usize, lines: &mut String) {
    let mut decoder = Decoder::<DeviceMessage>::new();
    let mut assembler = Assembler::new();
    let (mut last_boot, mut last_sequence) = (0, None);
    for &byte in bytes {
        match decoder.push_byte(byte) {
            None => {}
            Some(Err(_)) => lines.push_str("bad\n"),
            Some(Ok(DeviceMessage::Transcript(part))) => assembler.push(&part),
            // It came twice.
            Some(Ok(DeviceMessage::Outcome(outcome)))
                if last_sequence == Some(outcome.sequence) => {}
            Some(Ok(DeviceMessage::Outcome(outcome))) => {
                last_sequence = Some(outcome.sequence);
                let found = assembler.finish(&outcome);
                tell(
                    last_boot,
                    &outcome,
                    found.complete,
                    found.text,
                    text_max,
                    lines,
                );
            }
            Some(Ok(message)) => {
                if let DeviceMessage::Hello(hello) = &message
                    && hello.boot != last_boot
                {
                    last_boot = hello.boot;
                    last_sequence = None;
                    assembler = Assembler::new();
                }
                other(&message, lines);
            }
        }
    }
}

/// The acknowledgement, if one is due.
fn answer(receiver: &mut Receiver, lines: &mut String) {
    if let Some(message) = receiver.acknowledgement() {
        let mut frame = [0; FRAME_BYTES_MAX];
        let count = encode_host(&message, &mut frame).unwrap();
        lines.push_str("send ");
        lines.push_str(&hex(&frame[..count]));
        lines.push('\n');
    }
}

/// Bytes as the table writes them.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// Text as the table writes it.
fn quoted(text: &str) -> String {
    let letters = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => format!("\\x{byte:02x}"),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    });
    format!("\"{}\"", letters.collect::<String>())
}

fn tell(
    boot: u32,
    outcome: &Outcome,
    is_whole: bool,
    text: &str,
    text_max: usize,
    lines: &mut String,
) {
    let (kept, whole) = (cut(text, text_max), u8::from(is_whole));
    let fields = fields(outcome);
    let end = if kept == text { "" } else { " cut" };
    writeln!(
        lines,
        "outcome {boot} {fields} {whole} {}{end}",
        quoted(kept)
    )
    .unwrap();
}

fn gap(from: Mark, to: Mark, lines: &mut String) {
    writeln!(
        lines,
        "gap {} {} {} {}",
        from.boot, from.next, to.boot, to.next
    )
    .unwrap();
}

fn fields(outcome: &Outcome) -> String {
    let result = match outcome.result {
        OutcomeResult::Text { bytes, truncated } => format!("text {bytes} {}", u8::from(truncated)),
        OutcomeResult::NoSpeech => "nospeech".into(),
        OutcomeResult::Dropped(reason) => format!("dropped {reason}"),
        OutcomeResult::Failed(code) => format!("failed {code}"),
        OutcomeResult::Command { command } => format!("command {command}"),
        OutcomeResult::Unknown => "unknown".into(),
    };
    let times = outcome.timing;
    format!(
        "{} {} {} {result} {} {} {} {} {} {} {}",
        outcome.sequence,
        outcome.utterance,
        outcome.trigger,
        outcome.confidence,
        outcome.audio_ms,
        times.capture_ms,
        times.queue_ms,
        times.encode_ms,
        times.decode_ms,
        times.link_ms
    )
}

/// A message that is shown as it is.
fn other(message: &DeviceMessage, lines: &mut String) {
    let line = match message {
        DeviceMessage::Hello(hello) => {
            let [major, minor, patch] = hello.version;
            let (board, model) = (quoted(&hello.board), quoted(&hello.model));
            let (protocol, boot) = (hello.protocol, hello.boot);
            format!("hello {protocol} {major}.{minor}.{patch} {board} {boot} {model}")
        }
        DeviceMessage::State(state) => {
            let flags = [state.microphone_ok, state.worker_ok, state.muted].map(u8::from);
            let [microphone, worker, muted] = flags;
            let (name, provider, waiting) = (state.state, state.provider, state.waiting);
            format!("state {name} {provider} {microphone} {worker} {muted} {waiting}")
        }
        DeviceMessage::Transcript(part) => {
            let (number, text) = (part.utterance, quoted(&part.text));
            format!("transcript {number} {} {} {text}", part.part, part.parts)
        }
        DeviceMessage::Outcome(outcome) => format!("plain {}", fields(outcome)),
        DeviceMessage::Counters(counters) => {
            let values = counters.fields().map(|(_, value)| value.to_string());
            format!("counters {}", values.join(" "))
        }
        DeviceMessage::Pong { nonce } => format!("pong {nonce}"),
        DeviceMessage::Part(_) => "part".into(),
        DeviceMessage::Delivered(_) => "delivered".into(),
        DeviceMessage::Gap { from, to } => return gap(*from, *to, lines),
        DeviceMessage::Job(job) => {
            format!(
                "job {} {} {} {}",
                job.number, job.state, job.percent, job.left_s
            )
        }
        DeviceMessage::Alert { alert, on } => format!("alert {alert} {}", u8::from(*on)),
    };
    lines.push_str(&line);
    lines.push('\n');
}
