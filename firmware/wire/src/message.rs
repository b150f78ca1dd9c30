//! The messages of both directions, as postcard writes them.
//!
//! The order of variants and fields is the contract: variants are only appended, the fields of a
//! variant never change. SPEC.md has the same lists with their bytes. Nothing here does anything.

use heapless::String;
use serde::{Deserialize, Serialize};

use crate::codes::{Alert, DeviceState, DropReason, FailCode, JobState, Provider, Trigger};
use crate::limits::{NAME_BYTES_MAX, PART_BYTES_MAX};

/// Name of a board or of a model.
pub type Name = String<NAME_BYTES_MAX>;

/// `confidence` of an outcome without one.
pub const CONFIDENCE_UNKNOWN: u8 = 255;

/// From the appliance to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DeviceMessage {
    /// Who speaks. Sent at start and as the first answer to [`HostMessage::GetStatus`].
    Hello(Hello),
    /// What the appliance is doing. Sent at each change, at start, and on request.
    State(State),
    /// A part of an utterance's text. Sent before the outcome of the same utterance.
    Transcript(Transcript),
    /// The end of an utterance. Each utterance has exactly one.
    Outcome(Outcome),
    /// Counters since start. Sent on request and from time to time.
    Counters(Counters),
    /// The answer to [`HostMessage::Ping`].
    Pong {
        /// The number from the ping.
        nonce: u32,
    },
    /// A part of a text, for a host that acknowledges. Sent before its [`Delivered`].
    Part(Part),
    /// The end of an utterance, for a host that acknowledges.
    Delivered(Delivered),
    /// What lies between two marks will not come: it was lost, or somebody acknowledged it before.
    Gap {
        /// Where the host is.
        from: Mark,
        /// Where it goes on.
        to: Mark,
    },
    /// How far a file job is. Sent when its state or its percentage changes.
    Job(Job),
    /// Something that the owner should know has begun, or is over.
    Alert {
        /// What.
        alert: Alert,
        /// True when it has begun, false when it is over.
        on: bool,
    },
}

/// How far a file job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Number of the job; it stays the same over restarts.
    pub number: u32,
    /// What becomes of it.
    pub state: JobState,
    /// Units: percent of the recording that is done, 0 to 100.
    pub percent: u8,
    /// Units: seconds until it is done, as far as can be told; [`LEFT_UNKNOWN`] when it cannot.
    pub left_s: u32,
}

/// `left_s` of a job of which nobody knows how long it takes.
pub const LEFT_UNKNOWN: u32 = u32::MAX;

/// From the host to the appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostMessage {
    /// Is anyone there? Answered by [`DeviceMessage::Pong`].
    Ping {
        /// Any number; the answer carries it.
        nonce: u32,
    },
    /// The host's push-to-talk button went down.
    PttDown,
    /// The host's push-to-talk button went up.
    PttUp,
    /// Give up the utterance that is being recorded and all that wait or are being recognised.
    Cancel,
    /// Switch the microphone off (`true`) or on.
    Mute(bool),
    /// Answered by `Hello`, `State` and `Counters`, in this order.
    GetStatus,
    /// Everything before this mark has arrived for good; go on from here.
    Acknowledge(Mark),
}

/// A place in the order of all outcomes of an appliance, over all its starts.
///
/// Marks are compared by `boot`, then by `next`. A host that has nothing yet has the mark 0, 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Mark {
    /// [`Hello::boot`]; it grows from start to start.
    pub boot: u32,
    /// The first sequence of that boot which is still to come.
    pub next: u32,
}

/// A part of the text of the outcome with this `boot` and `sequence`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// [`Hello::boot`] of the start that heard it.
    pub boot: u32,
    /// Sequence of the outcome that it belongs to.
    pub sequence: u32,
    /// Index of this part, from 0.
    pub part: u8,
    /// Count of the parts, at least 1.
    pub parts: u8,
    /// Whole characters of UTF-8. The parts joined are the text.
    pub text: String<PART_BYTES_MAX>,
}

/// An outcome, and its place in the order of all outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Nothing lies between this mark and the outcome.
    pub after: Mark,
    /// [`Hello::boot`] of the start that heard it.
    pub boot: u32,
    /// The outcome.
    pub outcome: Outcome,
}

impl Delivered {
    /// Returns the mark behind this outcome: what a host acknowledges that has it.
    pub fn end(&self) -> Mark {
        Mark {
            boot: self.boot,
            next: self.outcome.sequence.saturating_add(1),
        }
    }
}

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Link version, [`crate::limits::PROTOCOL`].
    pub protocol: u8,
    /// Version of the firmware: major, minor, patch.
    pub version: [u16; 3],
    /// Name of the board.
    pub board: Name,
    /// Grows from start to start. Another number than before means: the appliance has restarted,
    /// and the numbers of sequences and utterances begin again.
    pub boot: u32,
    /// Name of the speech model, empty when none is loaded.
    pub model: Name,
}

/// What the appliance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The one word for it.
    pub state: DeviceState,
    /// What runs the model.
    pub provider: Provider,
    /// False while the microphone is gone.
    pub microphone_ok: bool,
    /// False while no worker is ready to recognise.
    pub worker_ok: bool,
    /// True while the microphone is off on request.
    pub muted: bool,
    /// Utterances that wait for the worker.
    pub waiting: u8,
}

/// A part of an utterance's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// Number of the utterance since start.
    pub utterance: u32,
    /// Index of this part, from 0.
    pub part: u8,
    /// Count of the parts, at least 1.
    pub parts: u8,
    /// Whole characters of UTF-8. The parts joined are the text.
    pub text: String<PART_BYTES_MAX>,
}

/// The end of an utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Number of this outcome since start, from 0, without gaps.
    pub sequence: u32,
    /// Number of the utterance since start.
    pub utterance: u32,
    /// What opened the utterance.
    pub trigger: Trigger,
    /// What became of it.
    pub result: OutcomeResult,
    /// Units: percent, 0 to 100; [`CONFIDENCE_UNKNOWN`] when there is none.
    pub confidence: u8,
    /// Units: milliseconds of recorded audio.
    pub audio_ms: u32,
    /// Where the time went.
    pub timing: Timing,
}

/// What became of an utterance. This list is closed in link version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutcomeResult {
    /// It was recognised; its `Transcript` parts came before.
    Text {
        /// Bytes of UTF-8 in all its parts together.
        bytes: u16,
        /// True when the text was longer than [`crate::limits::TEXT_BYTES_MAX`] and was cut.
        truncated: bool,
    },
    /// Nobody spoke.
    NoSpeech,
    /// It was given up without being recognised.
    Dropped(DropReason),
    /// It could not be recognised.
    Failed(FailCode),
    /// It was a phrase of the owner's closed list.
    Command {
        /// The number that the list gives the phrase.
        command: u16,
    },
    /// Somebody spoke, and it is no phrase of the closed list, or no words that the model knows.
    Unknown,
}

impl OutcomeResult {
    /// Returns true for an utterance that was heard to its end, whatever was in it.
    pub fn is_heard(&self) -> bool {
        !matches!(self, Self::Dropped(_) | Self::Failed(_))
    }
}

/// Where an utterance's time went. Units: milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// From the end of speech or the release to the closed utterance (hangover, post-roll).
    pub capture_ms: u32,
    /// From the closed utterance to the start of recognition.
    pub queue_ms: u32,
    /// Spectrogram and encoder, as far as it came after the start of recognition: what was done
    /// ahead, while the end was not known yet, nobody has waited for.
    pub encode_ms: u32,
    /// Decoder, in the same way.
    pub decode_ms: u32,
    /// From the end of recognition until this outcome was given to the link.
    pub link_ms: u32,
}

/// Counters since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Units: seconds since start.
    pub uptime_s: u32,
    /// Utterances that were opened.
    pub utterances: u32,
    /// Outcomes with text.
    pub texts: u32,
    /// Outcomes without speech.
    pub no_speech: u32,
    /// Dropped utterances.
    pub dropped: u32,
    /// Failed utterances.
    pub failed: u32,
    /// Overruns of the sound device.
    pub overruns: u32,
    /// Units: samples lost in overruns, at 16 kHz.
    pub lost_samples: u32,
    /// Blocks of 256 samples that did not fit into the block ring.
    pub dropped_blocks: u32,
    /// Outcomes and messages that were never put on the link.
    pub link_dropped: u32,
    /// Frames or lines from the host that could not be read.
    pub link_bad_frames: u32,
    /// Starts of the worker after the first.
    pub worker_restarts: u32,
}

impl Counters {
    /// Returns each counter with its stable name, in the order of the wire.
    pub fn fields(&self) -> [(&'static str, u32); 12] {
        [
            ("uptime_s", self.uptime_s),
            ("utterances", self.utterances),
            ("texts", self.texts),
            ("no_speech", self.no_speech),
            ("dropped", self.dropped),
            ("failed", self.failed),
            ("overruns", self.overruns),
            ("lost_samples", self.lost_samples),
            ("dropped_blocks", self.dropped_blocks),
            ("link_dropped", self.link_dropped),
            ("link_bad_frames", self.link_bad_frames),
            ("worker_restarts", self.worker_restarts),
        ]
    }

    /// Returns the counter with this stable name.
    pub fn field_mut(&mut self, name: &str) -> Option<&mut u32> {
        Some(match name {
            "uptime_s" => &mut self.uptime_s,
            "utterances" => &mut self.utterances,
            "texts" => &mut self.texts,
            "no_speech" => &mut self.no_speech,
            "dropped" => &mut self.dropped,
            "failed" => &mut self.failed,
            "overruns" => &mut self.overruns,
            "lost_samples" => &mut self.lost_samples,
            "dropped_blocks" => &mut self.dropped_blocks,
            "link_dropped" => &mut self.link_dropped,
            "link_bad_frames" => &mut self.link_bad_frames,
            "worker_restarts" => &mut self.worker_restarts,
            _ => return None,
        })
    }
}
