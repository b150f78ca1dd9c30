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
use pressel::worker::Answer;
use pressel::worker::message::{self, FrameBuffer, Request};
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
    let (device, host) = (device_messages(), host_messages());
    let save = |target: &str, name: String, bytes: &[u8]| {
        let folder = into.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };
    let mut all = Vec::new();
    for (number, message) in device.iter().enumerate() {
        let content = content(message);
        save(
            "messages",
            format!("device-{number}"),
            &[&[0], &content[..]].concat(),
        )?;
        save("frames", format!("device-{number}"), &whole_frame(message))?;
        let count = u8::try_from(content.len()).expect("a message is shorter than a frame");
        all.push(count);
        all.extend(content);
        save("lines", format!("device-{number}"), &device_line(message))?;
    }
    save("receiver", "all".to_owned(), &all)?;
    for (number, message) in host.iter().enumerate() {
        save(
            "messages",
            format!("host-{number}"),
            &[&[1], &content(message)[..]].concat(),
        )?;
        save("frames", format!("host-{number}"), &whole_frame(message))?;
        let mut room = [0; LINE_BYTES_MAX];
        let count = line::write_host_line(message, &mut room).unwrap_or(0);
        save("lines", format!("host-{number}"), &room[..count])?;
    }
    let mut file = vec![0];
    for (number, record) in records().iter().enumerate() {
        let bytes = encode(record);
        save(
            "journal",
            format!("record-{number}"),
            &[&[0], &bytes[..]].concat(),
        )?;
        file.extend(bytes);
    }
    save("journal", "file".to_owned(), &file)?;
    for (number, packet) in packets().iter().enumerate() {
        save("worker", format!("packet-{number}"), packet)?;
    }
    for (number, line) in REQUESTS.iter().enumerate() {
        save("control", format!("request-{number}"), line.as_bytes())?;
    }
    let mut file = vec![0];
    for (number, record) in checkpoints().iter().enumerate() {
        let bytes = frame::encode(record);
        save(
            "checkpoints",
            format!("record-{number}"),
            &[&[0], &bytes[..]].concat(),
        )?;
        file.extend(bytes);
        save("checkpoints", format!("file-{number}"), &file)?;
    }
    let config = fs::read_to_string(repository.join("firmware/pressel.toml"))?;
    let plain: String = config
        .lines()
        .filter(|l| !l.starts_with("# "))
        .fold(String::new(), |all, line| {
            all + line.strip_prefix("#: ").unwrap_or(line) + "\n"
        });
    save("settings", "pressel".to_owned(), plain.as_bytes())?;
    for entry in fs::read_dir(repository.join("boards"))? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.extension().is_some_and(|end| end == "toml") && name != "Cargo" {
            let text = fs::read_to_string(&path)?;
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let plain: String = lines.map(|line| line.to_owned() + "\n").collect();
            save("settings", name, plain.as_bytes())?;
        }
    }
    for entry in fs::read_dir(repository.join("firmware/fixtures/audio"))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with("tone") {
            // The beginning is enough: the rest is more of the same.
            let bytes = fs::read(&path)?;
            let bytes = &bytes[..bytes.len().min(6_000)];
            save("recordings", name, &[&[0, 8], bytes].concat())?;
        }
    }
    for (tag, bits) in [
        (1, 8),
        (1, 16),
        (1, 24),
        (1, 32),
        (3, 32),
        (3, 64),
        (6, 8),
        (7, 8),
    ] {
        for (channels, rate_hz) in [(1, 16_000), (2, 44_100)] {
            let bytes = wav(tag, bits, channels, rate_hz);
            let name = format!("wav-{tag}-{bits}-{channels}");
            save("recordings", name.clone(), &[&[0, 1], &bytes[..]].concat())?;
            save("wav", name, &[&[0, 1], &bytes[12..]].concat())?;
        }
    }
    Ok(())
}

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
    vec![
        packet(&Request::Cancel { id: 1 }),
        packet(&Request::Recognise {
            id: 1,
            slot: 2,
            start: 3,
            samples: 4,
        }),
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
            no_speech: false,
            language: *b"en",
            confidence: 90,
            encode_ms: 20,
            decode_ms: 30,
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
