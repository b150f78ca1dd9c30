//! The table of test vectors: made here, kept in `receivers/vectors.txt`, read from there.
//!
//! Each case is bytes of the line and what a receiver says to them. The encoder and the receiver of
//! this crate make it; a test compares, so that the committed table is never older than they are.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::programs::folder;
use super::reference::{ALL, Mode, dump, hex};
use crate::frame::checksum;
use crate::limits::{FRAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::text::{name, transcript_parts};
use crate::{
    Alert, Counters, Delivered, DeviceMessage, DeviceState, DropReason, FailCode, Hello, Job,
    JobState, LEFT_UNKNOWN, Mark, Outcome, OutcomeResult, Part, Provider, State, Timing, Trigger,
    encode_device,
};

/// One case of the table.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) bytes: Vec<u8>,
    /// Lines that a receiver prints.
    pub(super) said: String,
}

/// What an utterance became, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) after: Mark,
    pub(super) at: Mark,
    /// A text, or why there is none.
    pub(super) result: Result<String, OutcomeResult>,
}

impl Said {
    /// Returns the messages that tell it.
    pub(super) fn messages(&self, mode: Mode) -> Vec<DeviceMessage> {
        let Mark { boot, next } = self.at;
        let text = self.result.as_deref().unwrap_or_default();
        let (result, confidence) = match &self.result {
            Ok(text) => {
                let bytes = u16::try_from(text.len()).unwrap();
                let truncated = text.len() == TEXT_BYTES_MAX;
                (OutcomeResult::Text { bytes, truncated }, 93)
            }
            Err(result) => (*result, 255),
        };
        let outcome = Outcome {
            sequence: next,
            utterance: next.wrapping_add(1),
            trigger: Trigger::ALL[usize::try_from(next).unwrap() % Trigger::ALL.len()],
            result,
            confidence,
            audio_ms: 1_800,
            timing: Timing {
                capture_ms: 200,
                queue_ms: 0,
                encode_ms: 41,
                decode_ms: 127,
                link_ms: 128,
            },
        };
        let parts = transcript_parts(outcome.utterance, text).map(|part| match mode {
            Mode::Listen => DeviceMessage::Transcript(part),
            Mode::Acknowledge(_) => DeviceMessage::Part(Part {
                boot,
                sequence: next,
                part: part.part,
                parts: part.parts,
                text: part.text,
            }),
        });
        let mut messages: Vec<_> = parts.filter(|_| self.result.is_ok()).collect();
        let after = self.after;
        messages.push(match mode {
            Mode::Listen => DeviceMessage::Outcome(outcome),
            Mode::Acknowledge(_) => DeviceMessage::Delivered(Delivered {
                after,
                boot,
                outcome,
            }),
        });
        messages
    }
}

/// Returns the frame around a payload without its CRC.
pub(super) fn forged(payload: &[u8]) -> Vec<u8> {
    let checked = [payload, &checksum(payload).to_le_bytes()].concat();
    let mut stuffed = vec![0; checked.len() + 8];
    let count = cobs::encode(&checked, &mut stuffed);
    [&[0], &stuffed[..count], &[0]].concat()
}

/// Returns the frames of these messages.
fn frames(messages: &[DeviceMessage]) -> Vec<u8> {
    let mut frame = [0; FRAME_BYTES_MAX];
    let mut bytes = Vec::new();
    for message in messages {
        let count = encode_device(message, &mut frame).unwrap();
        bytes.extend_from_slice(&frame[..count]);
    }
    bytes
}

/// Returns what a host with nothing hears of an appliance to which three things were said, and
/// then, with a closed list, its commands 1, 3 and 2.
pub(super) fn commands() -> (Mode, Vec<u8>) {
    let (from, to) = (Mark::default(), mark(17, 4));
    let mut bytes = frames(&[DeviceMessage::Gap { from, to }]);
    bytes.extend(delivered(to, &["turn on the light", "what else", "stop"]));
    let mode = Mode::Acknowledge(from);
    for (next, command) in (to.next + 3..).zip([1, 3, 2]) {
        let result = OutcomeResult::Command { command };
        bytes.extend(frames(&ended(mark(17, next), result, mode)));
    }
    (mode, bytes)
}

/// Returns the frames of texts that follow each other, from a mark on.
fn delivered(from: Mark, texts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, text) in (from.next..=u32::MAX).zip(texts) {
        let at = Mark { next: at, ..from };
        bytes.extend(frames(&spoken(at, at, text)));
    }
    bytes
}

fn mark(boot: u32, next: u32) -> Mark {
    Mark { boot, next }
}

fn spoken(after: Mark, at: Mark, text: &str) -> Vec<DeviceMessage> {
    let result = Ok(text.into());
    Said { after, at, result }.messages(Mode::Acknowledge(at))
}

fn plain(sequence: u32, text: &str) -> Vec<DeviceMessage> {
    let (at, result) = (mark(17, sequence), Ok(text.into()));
    let after = at;
    Said { after, at, result }.messages(Mode::Listen)
}

fn ended(at: Mark, result: OutcomeResult, mode: Mode) -> Vec<DeviceMessage> {
    let (after, result) = (at, Err(result));
    Said { after, at, result }.messages(mode)
}

fn hello(boot: u32) -> DeviceMessage {
    DeviceMessage::Hello(Hello {
        protocol: 1,
        version: [0, 1, 65_535],
        board: name("rpi-zero-2w"),
        boot,
        model: name("nano"),
    })
}

fn counters() -> DeviceMessage {
    let mut counters = Counters::default();
    for (value, (name, _)) in (1..).zip(Counters::default().fields()) {
        *counters.field_mut(name).unwrap() = value * value * 100;
    }
    DeviceMessage::Counters(counters)
}

/// Messages that are shown as they are.
fn reports() -> Vec<DeviceMessage> {
    let state = DeviceMessage::State(State {
        state: DeviceState::Recognising,
        provider: Provider::Cuda,
        microphone_ok: true,
        worker_ok: false,
        muted: true,
        waiting: 3,
    });
    let job = |number, state, percent, left_s| {
        DeviceMessage::Job(Job {
            number,
            state,
            percent,
            left_s,
        })
    };
    let mut messages = vec![hello(17), state, counters()];
    messages.push(DeviceMessage::Pong { nonce: u32::MAX });
    messages.push(job(3, JobState::Running, 40, 95));
    messages.push(job(4, JobState::Paused, 0, LEFT_UNKNOWN));
    for on in [true, false] {
        let alert = Alert::JournalDown;
        messages.push(DeviceMessage::Alert { alert, on });
    }
    messages
}

/// Whole frames that are no message, each for another reason; and two that are one.
fn nearly() -> Vec<u8> {
    let payloads: [&[u8]; 16] = [
        b"\x20\x05\x07",                                                  // another version
        b"\x11\x05\x07",                                                  // another direction
        b"\x10\x0b\x07",                                                  // a kind that is newer
        b"\x10\x05",                                                      // a field too few
        b"\x10\x05\x07\x00",                                              // a byte too many
        b"\x10\x05\xff\xff\xff\xff\x10",                                  // a number above 32 bits
        b"\x10\x05\x80\x80\x80\x80\x80\x00",                              // a sixth byte
        b"\x10\x05\x87\x80\x00",                                          // longer than needed: 7
        b"\x10\x01\x63\x63\x01\x01\x00\x00",                              // codes that are newer
        b"\x10\x01\x01\x01\x02\x01\x00\x00",                              // a flag of 2
        b"\x10\x02\x01\x00\x01\x02\xc0\xaf", // UTF-8 longer than needed
        b"\x10\x02\x01\x00\x01\x03\xed\xa0\x80", // half of a pair
        b"\x10\x02\x01\x00\x01\x04\xf4\x90\x80\x80", // above U+10FFFF
        b"\x10\x02\x01\x00\x01\x02\xe2\x82", // half a character
        b"\x10\x03\x01\x01\x00\x04\x00\xff\x00\x00\x00\x00", // a fifth result
        b"\x10\x00\x01\x00\x01\x00\x19aaaaaaaaaaaaaaaaaaaaaaaaa\x11\x00", // a name of 25 bytes
    ];
    payloads.into_iter().flat_map(forged).collect()
}

fn damaged() -> Vec<u8> {
    let pong = frames(&[DeviceMessage::Pong { nonce: 7 }]);
    let mut bytes = b"noise\xff\x01".to_vec();
    bytes.extend(&pong); // its first 0x00 closes the noise
    for at in 1..pong.len() {
        let mut flipped = pong.clone();
        flipped[at] ^= 0x40;
        bytes.extend(flipped);
    }
    bytes.extend(vec![0x55; 255]);
    bytes.extend(&pong);
    bytes.extend([0; 5]);
    bytes.extend(&pong[1..]);
    bytes
}

type Made = (&'static str, Mode, Vec<u8>);

/// Cases of one frame after the other, whatever it says.
fn cases_of_frames() -> Vec<Made> {
    let from = Mode::Acknowledge(mark(0, 0));
    vec![
        ("a new receiver says that it has nothing", from, Vec::new()),
        ("all other messages are shown", from, frames(&reports())),
        (
            "damaged frames are skipped, the next one counts",
            from,
            damaged(),
        ),
        (
            "whole frames that are no message are skipped",
            from,
            nearly(),
        ),
    ]
}

/// Where the receiver of most cases stands.
const AT: Mark = Mark { boot: 17, next: 4 };

fn gap(from: Mark, to: Mark) -> Vec<u8> {
    frames(&[DeviceMessage::Gap { from, to }])
}

/// Cases of outcomes that come whole.
fn cases_of_outcomes() -> Vec<Made> {
    let from = Mode::Acknowledge(AT);
    let once = delivered(AT, &["turn on the light"]);
    let full = "ä\"\\語 ".repeat(400);
    let full = crate::text::cut(&full, TEXT_BYTES_MAX);
    let mut results = Vec::new();
    let all = [
        OutcomeResult::NoSpeech,
        OutcomeResult::Dropped(DropReason::Internal),
        OutcomeResult::Failed(FailCode::WorkerDown),
        OutcomeResult::Command { command: 40_000 },
        OutcomeResult::Unknown,
    ];
    for (next, result) in (4..).zip(all) {
        results.extend(ended(mark(17, next), result, from));
    }
    let twice = [&*once, &once].concat();
    let greeted = [
        frames(&[hello(18)]),
        once.clone(),
        frames(&plain(0, "stop")),
    ]
    .concat();
    let next_start = frames(&spoken(AT, mark(18, 0), "go"));
    let before_last = mark(17, u32::MAX - 1);
    let last = delivered(before_last, &["yes", "no"]);
    vec![
        ("a text", from, once),
        ("a repeat is acknowledged again", from, twice),
        ("outcomes without text", from, frames(&results)),
        ("an empty text", from, delivered(AT, &[""])),
        ("the longest text", from, delivered(AT, &[full])),
        ("a greeting and a plain outcome are answered", from, greeted),
        ("the next start", from, next_start),
        (
            "the last numbers of all",
            Mode::Acknowledge(before_last),
            last,
        ),
    ]
}

/// Cases of what was lost, for a while or for good.
fn cases_of_losses() -> Vec<Made> {
    let from = Mode::Acknowledge(AT);
    let text = "many words ".repeat(45);
    let long = spoken(AT, AT, &text);
    let mut lost_part = long.clone();
    lost_part.remove(1);
    let foreign = [long[0].clone(), spoken(AT, mark(18, 4), &text)[1].clone()];
    let behind = frames(&spoken(mark(17, 5), mark(17, 5), "later"));
    let once = delivered(AT, &["turn on the light"]);
    let parts = [frames(&lost_part), frames(&lost_part), frames(&long)].concat();
    let mixed = [frames(&foreign), frames(&long[1..]), frames(&long)].concat();
    let ahead = [&*behind, &behind, &once, &behind].concat();
    let told_twice = [gap(AT, mark(17, 9)), gap(AT, mark(17, 9))].concat();
    let anew = [gap(AT, mark(2, 0)), delivered(mark(2, 0), &["go"])].concat();
    let early = gap(mark(3, 0), mark(17, 9));
    let late = gap(mark(17, 5), mark(17, 9));
    vec![
        ("a lost part is asked for once", from, parts),
        ("parts of another text are not joined", from, mixed),
        ("what lies behind a loss is asked for once", from, ahead),
        ("a gap is told once", from, told_twice),
        ("a gap from before is told from the mark on", from, early),
        ("a gap behind a loss is asked for", from, late),
        ("an appliance that has lost its memory", from, anew),
    ]
}

/// Cases of one that only listens.
fn cases_of_listening() -> Vec<Made> {
    let listen = |messages: &[DeviceMessage]| frames(messages);
    let long = plain(0, &"many words ".repeat(40));
    let mut lost_part = long.clone();
    lost_part.remove(1);
    let no = ended(mark(17, 1), OutcomeResult::NoSpeech, Mode::Listen);
    let text = plain(0, "stop");
    let foreign = [plain(1, "go").remove(0), text[1].clone()];
    vec![
        ("listening: a text in parts", Mode::Listen, listen(&long)),
        (
            "listening: a text that lacks a part",
            Mode::Listen,
            listen(&lost_part),
        ),
        (
            "listening: an outcome that comes twice",
            Mode::Listen,
            listen(&[&*text, &text].concat()),
        ),
        (
            "listening: no text",
            Mode::Listen,
            listen(&[&*text, &no].concat()),
        ),
        (
            "listening: a text of another",
            Mode::Listen,
            listen(&foreign),
        ),
        (
            "listening: a restart counts from the beginning",
            Mode::Listen,
            listen(&[&[hello(17)], &*text, &[hello(18)], &text].concat()),
        ),
        (
            "listening: the messages for others are shown by name",
            Mode::Listen,
            delivered(mark(17, 4), &["stop"]),
        ),
    ]
}

const HEAD: &str = "\
# Test vectors of the link, version 1. Every receiver here is run against them.
#
# `mode`: how the receiver begins, `acknowledge BOOT NEXT` (its mark) or `listen`. `in`: bytes of
# the line, hexadecimal, lines joined. `out`: what it says, one line each, in order; `send` is what
# it writes back. In texts, what is not printable ASCII, and \" and \\, is \\xHH.
# Made by the encoder and the receiver of the crate `pressel-wire`: do not edit it by hand.
";

/// Returns the whole table.
fn table() -> String {
    let mut text = String::from(HEAD);
    let lists = [
        cases_of_frames(),
        cases_of_outcomes(),
        cases_of_losses(),
        cases_of_listening(),
    ];
    for (name, mode, bytes) in lists.into_iter().flatten() {
        let said = dump(mode, &bytes, ALL);
        text += &format!("\ncase {name}\nmode {}\n", mode.words().join(" "));
        for piece in bytes.chunks(48) {
            text += &format!("in {}\n", hex(piece));
        }
        for line in said.lines() {
            text += &format!("out {line}\n");
        }
    }
    text
}

fn path() -> PathBuf {
    folder().join("vectors.txt")
}

/// The committed table is what is made now. `PRESSEL_WRITE_VECTORS=1` writes it.
pub(super) fn guard() {
    let made = table();
    if env::var_os("PRESSEL_WRITE_VECTORS").is_some() {
        fs::write(path(), &made).unwrap();
    }
    let kept = fs::read_to_string(path()).unwrap_or_default();
    let pairs = kept.lines().zip(made.lines());
    let at = pairs.take_while(|(kept, made)| kept == made).count();
    assert!(
        kept == made,
        "receivers/vectors.txt differs from line {} on: is the change of the contract meant, then \
         `PRESSEL_WRITE_VECTORS=1 cargo test -p pressel-wire table` writes it",
        at + 1
    );
}

/// Reads the committed table.
pub(super) fn read() -> Vec<Case> {
    let text = fs::read_to_string(path()).unwrap();
    let cases = text.split("\ncase ").skip(1).map(|case| {
        let mut lines = case.lines();
        let name = lines.next().unwrap().into();
        let mode: Vec<_> = lines.next().unwrap().split(' ').skip(1).collect();
        let mode = match mode.as_slice() {
            ["acknowledge", boot, next] => {
                Mode::Acknowledge(mark(boot.parse().unwrap(), next.parse().unwrap()))
            }
            words => {
                assert_eq!(words, ["listen"]);
                Mode::Listen
            }
        };
        let (mut bytes, mut said) = (Vec::new(), String::new());
        for line in lines.filter(|line| !line.is_empty()) {
            match line.split_once(' ').unwrap() {
                ("in", digits) => {
                    let pairs = digits.as_bytes().chunks(2);
                    let pairs = pairs.map(|pair| str::from_utf8(pair).unwrap());
                    bytes.extend(pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()));
                }
                (word, line) => {
                    assert_eq!(word, "out");
                    said += &format!("{line}\n");
                }
            }
        }
        Case {
            name,
            mode,
            bytes,
            said,
        }
    });
    let cases: Vec<_> = cases.collect();
    assert!(20 < cases.len());
    cases
}
