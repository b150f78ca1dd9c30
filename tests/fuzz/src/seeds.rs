//! The first corpus of each fuzz target: messages, records and files that are good.
//!
//! In: a folder, and this repository. Out: a folder for each target in it. What libFuzzer found
//! since is in `corpus`; this is how it began, and how a new target begins.

use std::path::Path;
use std::{fs, io};

use pressel::jobs::record as checkpoint;
use pressel::journal::record::encode;
use pressel::journal::{Record, Spoken, frame};
use pressel::outcome::Finished;
use pressel::window::{Heard, Span, Spans};
use pressel::worker::Answer;
use pressel::worker::message::{self, Excerpt, FrameBuffer, Request};
use pressel_pipeline::limits::WORKER_FRAME_BYTES;
use pressel_wire::limits::{FRAME_BYTES_MAX, LINE_BYTES_MAX};
use pressel_wire::{
    Alert, Counters, Delivered, DeviceLine, DeviceMessage, DeviceState, DropReason, FailCode,
    Hello, HostMessage, Job, JobState, Mark, Message, Outcome, OutcomeResult, Part, Provider,
    State, Timing, Transcript, Trigger, line,
};

/// Writes them into folders below `into`, from what is in the repository.
///
/// # Errors
/// A file cannot be read or written.
pub fn write(into: &Path, repository: &Path) -> io::Result<()> {
    let folder = Folder(into);
    link(&folder)?;
    logs(&folder)?;
    for (number, packet) in packets().iter().enumerate() {
        folder.save("worker", &format!("packet-{number}"), packet)?;
    }
    for (number, line) in REQUESTS.iter().enumerate() {
        folder.save("control", &format!("request-{number}"), line.as_bytes())?;
    }
    settings(&folder, repository)?;
    models(&folder, repository)?;
    recordings(&folder, repository)
}

/// Where the corpus goes.
struct Folder<'a>(&'a Path);

impl Folder<'_> {
    fn save(&self, target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.0.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    }
}

/// The two graphs of a small model.
fn models(folder: &Folder, repository: &Path) -> io::Result<()> {
    for name in ["encoder_model.onnx", "decoder_model_merged.onnx"] {
        let file = repository.join("models/fixtures/tiny").join(name);
        folder.save("onnx", name, &fs::read(file)?)?;
    }
    Ok(())
}

/// Messages of both directions, as frames and as lines.
fn link(folder: &Folder) -> io::Result<()> {
    let mut all = Vec::new();
    for (number, message) in device_messages().iter().enumerate() {
        let (name, content) = (format!("device-{number}"), content(message));
        folder.save("messages", &name, &[&[0], &content[..]].concat())?;
        folder.save("frames", &name, &whole_frame(message))?;
        folder.save("lines", &name, &device_line(message))?;
        all.push(u8::try_from(content.len()).expect("a message is shorter than a frame"));
        all.extend(content);
    }
    folder.save("receiver", "all", &all)?;
    for (number, message) in host_messages().iter().enumerate() {
        let name = format!("host-{number}");
        folder.save("messages", &name, &[&[1], &content(message)[..]].concat())?;
        folder.save("frames", &name, &whole_frame(message))?;
        let mut room = [0; LINE_BYTES_MAX];
        let count = line::write_host_line(message, &mut room).unwrap_or(0);
        folder.save("lines", &name, &room[..count])?;
    }
    Ok(())
}

/// The journal and the checkpoints of a job: each record alone, and files of them.
fn logs(folder: &Folder) -> io::Result<()> {
    let journal = records().iter().map(encode).collect();
    let checkpoints = checkpoints().iter().map(frame::encode).collect();
    for (target, records) in [("journal", journal), ("checkpoints", checkpoints)] {
        let records: Vec<Vec<u8>> = records;
        let mut file = vec![0];
        for (number, record) in records.iter().enumerate() {
            let alone = [&[0], &record[..]].concat();
            folder.save(target, &format!("record-{number}"), &alone)?;
            file.extend(record);
            folder.save(target, &format!("file-{number}"), &file)?;
        }
    }
    Ok(())
}

/// The configuration with every key, and every board, without most of their comments.
fn settings(folder: &Folder, repository: &Path) -> io::Result<()> {
    let config = fs::read_to_string(repository.join("firmware/pressel.toml"))?;
    let lines = config.lines().filter(|line| !line.starts_with("# "));
    let plain = lines.map(|line| line.strip_prefix("#: ").unwrap_or(line));
    folder.save("settings", "pressel", &joined(plain))?;
    for entry in fs::read_dir(repository.join("boards"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if path.extension().is_some_and(|end| end == "toml") && name != "Cargo" {
            let text = fs::read_to_string(&path)?;
            let plain = text.lines().filter(|line| !line.starts_with('#'));
            folder.save("settings", &name, &joined(plain))?;
        }
    }
    Ok(())
}

fn joined<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<u8> {
    lines
        .flat_map(|line| [line, "\n"].concat().into_bytes())
        .collect()
}

/// The recordings of other tests, and a WAV file of each kind.
fn recordings(folder: &Folder, repository: &Path) -> io::Result<()> {
    for entry in fs::read_dir(repository.join("firmware/fixtures/audio"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("tone") {
            // The beginning is enough: the rest is more of the same.
            let bytes = fs::read(&path)?;
            let bytes = &bytes[..bytes.len().min(6_000)];
            folder.save("recordings", &name, &[&[0, 8], bytes].concat())?;
        }
    }
    for (tag, bits) in WAV_KINDS {
        for (channels, rate_hz) in [(1, 16_000), (2, 44_100)] {
            let bytes = wav(tag, bits, channels, rate_hz);
            let name = format!("wav-{tag}-{bits}-{channels}");
            folder.save("recordings", &name, &[&[0, 1], &bytes[..]].concat())?;
            folder.save("wav", &name, &[&[0, 1], &bytes[12..]].concat())?;
        }
    }
    Ok(())
}

/// Format tag and bits of a sample: PCM, float, A-law and µ-law.
const WAV_KINDS: [(u16, u16); 8] = [
    (1, 8),
    (1, 16),
    (1, 24),
    (1, 32),
    (3, 32),
    (3, 64),
    (6, 8),
    (7, 8),
];

/// Requests as `control/protocol.rs` shows them, and one that is none.
const REQUESTS: [&str; 6] = [
    "{\"status\":{}}\n",
    "{\"jobs\":\"list\"}",
    "{\"jobs\":{\"add\":{\"path\":\"/a.wav\"}}}\n",
    "{\"jobs\":{\"cancel\":{\"number\":2}}}\n",
    "{\"jobs\":{\"retry\":{\"number\":4294967295}}}\n{}\n",
    "status\n",
];

fn checkpoints() -> Vec<checkpoint::Record> {
    use checkpoint::{Head, Record, Said, Stamp};
    let said = |from: u64, text: &str| {
        Record::Chunk(Said {
            from,
            next: from + 480_000,
            start: from + 100,
            samples: 16_000,
            text: text.to_owned(),
            language: *b"en",
            confidence: 90,
        })
    };
    let why = || "cannot be read: copy it again".to_owned();
    vec![
        Record::Head(Head::new(Path::new("/a.wav"), Stamp::default(), "nano")),
        said(0, "turn on the light"),
        said(480_000, ""),
        Record::Heard {
            from: 960_000,
            samples: 970_000,
        },
        Record::Done,
        Record::Retried,
        Record::Failed { why: why() },
        Record::Cancelled,
        Record::Quarantined { why: why() },
    ]
}

fn content<M: Message>(message: &M) -> Vec<u8> {
    let mut room = [0; FRAME_BYTES_MAX];
    postcard::to_slice(message, &mut room)
        .expect("a message fits a frame")
        .to_vec()
}

fn whole_frame<M: Message>(message: &M) -> Vec<u8> {
    let mut room = [0; FRAME_BYTES_MAX];
    let count = pressel_wire::encode(message, &mut room).expect("a message fits a frame");
    room[..count].to_vec()
}

fn device_line(message: &DeviceMessage) -> Vec<u8> {
    let mut room = [0; LINE_BYTES_MAX + 1];
    let line = DeviceLine::from_message(message, "turn on the light");
    let count = line.and_then(|line| line::write_device_line(&line, &mut room).ok());
    room[..count.unwrap_or(0)].to_vec()
}

fn outcome(sequence: u32, result: OutcomeResult) -> Outcome {
    Outcome {
        sequence,
        utterance: sequence + 1,
        trigger: Trigger::Ptt,
        result,
        confidence: 90,
        audio_ms: 2_000,
        timing: Timing::default(),
    }
}

fn text() -> OutcomeResult {
    OutcomeResult::Text {
        bytes: 17,
        truncated: false,
    }
}

fn part(boot: u32, sequence: u32) -> DeviceMessage {
    DeviceMessage::Part(Part {
        boot,
        sequence,
        part: 0,
        parts: 1,
        text: "turn on the light".try_into().expect("it is short"),
    })
}

fn device_messages() -> Vec<DeviceMessage> {
    let (start, next) = (Mark::default(), Mark { boot: 5, next: 1 });
    let delivered = |after, sequence, result| {
        DeviceMessage::Delivered(Delivered {
            after,
            boot: 5,
            outcome: outcome(sequence, result),
        })
    };
    vec![
        DeviceMessage::Hello(Hello {
            protocol: 1,
            version: [0, 1, 0],
            board: "rpi-5".try_into().expect("it is short"),
            boot: 5,
            model: "nano".try_into().expect("it is short"),
        }),
        DeviceMessage::State(State {
            state: DeviceState::Recording,
            provider: Provider::Cpu,
            microphone_ok: true,
            worker_ok: true,
            muted: false,
            waiting: 1,
        }),
        DeviceMessage::Transcript(Transcript {
            utterance: 1,
            part: 0,
            parts: 1,
            text: "turn on the light".try_into().expect("it is short"),
        }),
        DeviceMessage::Outcome(outcome(0, text())),
        DeviceMessage::Outcome(outcome(1, OutcomeResult::NoSpeech)),
        DeviceMessage::Outcome(outcome(2, OutcomeResult::Dropped(DropReason::Busy))),
        DeviceMessage::Outcome(outcome(3, OutcomeResult::Failed(FailCode::Timeout))),
        DeviceMessage::Counters(Counters::default()),
        DeviceMessage::Pong { nonce: 7 },
        part(5, 0),
        delivered(start, 0, text()),
        delivered(next, 1, OutcomeResult::NoSpeech),
        DeviceMessage::Gap {
            from: Mark { boot: 5, next: 2 },
            to: Mark { boot: 6, next: 0 },
        },
        DeviceMessage::Gap {
            from: Mark { boot: 6, next: 0 },
            to: start,
        },
        DeviceMessage::Job(Job {
            number: 1,
            state: JobState::ALL[0],
            percent: 40,
            left_s: 9,
        }),
        DeviceMessage::Alert {
            alert: Alert::ALL[0],
            on: true,
        },
    ]
}

fn host_messages() -> Vec<HostMessage> {
    vec![
        HostMessage::Ping { nonce: 7 },
        HostMessage::PttDown,
        HostMessage::PttUp,
        HostMessage::Cancel,
        HostMessage::Mute(true),
        HostMessage::Mute(false),
        HostMessage::GetStatus,
        HostMessage::Acknowledge(Mark { boot: 5, next: 1 }),
    ]
}

fn records() -> Vec<Record> {
    let mark = Mark { boot: 5, next: 1 };
    let mut finished = Finished::bare(1, Trigger::Ptt, text(), 0);
    finished.outcome.sequence = 0;
    vec![
        Record::Head {
            epoch: 5,
            acknowledged: mark,
            forgotten: Mark::default(),
        },
        Record::Start { epoch: 5, at_ms: 1 },
        Record::Outcome(Spoken {
            epoch: 5,
            at_ms: 2,
            outcome: finished.outcome,
            text: "turn on the light".try_into().expect("it is short"),
        }),
        Record::Acknowledged(mark),
    ]
}

fn packets() -> Vec<Vec<u8>> {
    fn packet<M: serde::Serialize>(message: &M) -> Vec<u8> {
        let mut room: FrameBuffer = [0; WORKER_FRAME_BYTES];
        message::encode(message, &mut room)
            .expect("it fits")
            .to_vec()
    }
    let part = Excerpt {
        utterance: 5,
        slot: 2,
        start: 3,
        samples: 4,
    };
    vec![
        packet(&Request::Cancel { id: 1 }),
        packet(&Request::Recognise { id: 1, part }),
        packet(&Request::Ahead {
            part,
            is_guess: true,
        }),
        packet(&Request::Forget),
        packet(&Answer::Ready {
            cuda: false,
            canary: 7,
            load_ms: 80,
        }),
        packet(&Answer::CannotLoad {
            reason: "no model".try_into().expect("it is short"),
        }),
        packet(&Answer::Failed {
            id: 1,
            fault: message::Fault::Model,
        }),
        packet(&Answer::Done {
            id: 1,
            text: "turn on the light".try_into().expect("it is short"),
            truncated: false,
            sense: pressel::worker::message::Sense::Words,
            language: *b"en",
            confidence: 90,
            encode_ms: 20,
            decode_ms: 30,
            heard: Heard {
                spans: Spans::from_iter([Span {
                    start_ms: 0,
                    end_ms: 1_500,
                    text_end: 17,
                }]),
                samples: 24_000,
                forgets: false,
            },
        }),
        vec![0xff; WORKER_FRAME_BYTES + 1],
    ]
}

/// A short WAV file. Source: Microsoft, Multimedia Programming Interface 1.0 (RIFF).
fn wav(tag: u16, bits: u16, channels: u16, rate_hz: u32) -> Vec<u8> {
    let frame_bytes = channels * bits / 8;
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    bytes.extend(tag.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend((rate_hz * u32::from(frame_bytes)).to_le_bytes());
    bytes.extend(frame_bytes.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    let sound: Vec<u8> = (0..=255).collect();
    bytes.extend(256_u32.to_le_bytes());
    bytes.extend(sound);
    bytes
}
