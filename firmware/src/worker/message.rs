//! What the appliance and its worker say to each other.
//!
//! Requests and answers as postcard bytes. Used by both processes; audio never passes here.

use pressel_models::ModelError;
use pressel_pipeline::limits::{REASON_BYTES_MAX, TEXT_BYTES_MAX, WORKER_FRAME_BYTES};
use pressel_pipeline::trim;
use pressel_pipeline::waiting::Utterance;
use serde::{Deserialize, Serialize};

use super::faults::Plan;
use crate::config::{Commands, Recognition};
use crate::window::Heard;

/// What the worker is told at its start, as arguments of its command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// Folder of the speech model.
    pub model: std::path::PathBuf,
    /// Threads of one inference.
    pub threads: usize,
    /// Processor cores to run on; empty is any.
    pub cores: Vec<usize>,
    /// Whether to ask for CUDA, and fail without it.
    pub cuda: bool,
    /// How speech becomes text.
    pub recognition: Recognition,
    /// The closed list of what may be said.
    pub commands: Commands,
    /// What it is to do wrong, for proofs.
    pub fault: Option<Plan>,
}

/// To the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Recognise this part of a slot. Answered by `Done` or `Failed` with the same number.
    Recognise {
        /// Number of the request, counted by the appliance from 1.
        id: u32,
        /// What is to be recognised.
        part: Excerpt,
    },
    /// Stop the request with this number, if it is running.
    Cancel {
        /// Number of the request.
        id: u32,
    },
    /// This part of an utterance that is being recorded is in its slot. Has no answer; the newest
    /// counts.
    Ahead {
        /// What is there.
        part: Excerpt,
        /// It may well be all that is said: recognise it, and keep the answer for the request that
        /// asks for exactly this. Otherwise more is to come.
        is_guess: bool,
    },
    /// What was looked at ahead will not be asked for: keep nothing of it.
    Forget,
}

/// A part of a slot, and which utterance it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// Number of the utterance, or of the chunk in the slot of files.
    pub utterance: u32,
    /// Slot that holds the audio.
    pub slot: u8,
    /// First sample in the slot.
    pub start: u32,
    /// Count of samples.
    pub samples: u32,
}

impl Excerpt {
    /// Returns the part of an utterance that is recognised.
    #[must_use]
    pub fn of(utterance: &Utterance) -> Self {
        let (start, samples) = trim::speech(utterance);
        Self {
            utterance: utterance.id,
            slot: utterance.slot,
            start,
            samples,
        }
    }
}

/// The number of no request: a worker that is broken by what it did ahead says so with it.
pub const NOT_ASKED: u32 = 0;

/// From the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "one answer at a time, held in a static buffer"
)]
pub enum Answer {
    /// The model is loaded; requests are welcome.
    Ready {
        /// True when CUDA really runs it.
        cuda: bool,
        /// Milliseconds that loading took.
        load_ms: u32,
        /// CRC of the text that a known clip gave: the same at every start, unless something broke.
        canary: u32,
    },
    /// The model cannot be loaded; the worker ends.
    CannotLoad {
        /// What is wrong and what to do, cut to fit.
        reason: heapless::String<REASON_BYTES_MAX>,
    },
    /// The text of an utterance.
    Done {
        /// Number of the request.
        id: u32,
        /// The text; it counts when `sense` says so.
        text: heapless::String<TEXT_BYTES_MAX>,
        /// The text was longer and was cut.
        truncated: bool,
        /// What became of the words.
        sense: Sense,
        /// Two-letter code of the language.
        language: [u8; 2],
        /// Percent, 0 to 100: the mean probability of the chosen tokens.
        confidence: u8,
        /// Milliseconds in spectrogram and encoder after it was asked.
        encode_ms: u32,
        /// Milliseconds in the decoder after it was asked.
        decode_ms: u32,
        /// What a window gave besides; nothing, for what was heard as a whole.
        heard: Heard,
    },
    /// The utterance could not be recognised.
    Failed {
        /// Number of the request.
        id: u32,
        /// What the appliance does next.
        fault: Fault,
    },
    /// The model is loaded and does not recognise the known clip; the worker is not to be used.
    CanaryFailed(Canary),
}

/// What became of the words of an utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sense {
    /// They are its text.
    Words,
    /// The model heard no speech.
    NoSpeech,
    /// They are a phrase of the closed list, with this number.
    Command(u16),
    /// They are none of the closed list, or none that the model knows.
    Unknown,
}

/// What is wrong with what a model makes of the known clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Canary {
    /// Words that its folder does not promise.
    OtherWords,
    /// Numbers that are none: weights are damaged, or the device computes wrong.
    NoNumbers,
    /// Nothing: the run failed.
    NoAnswer,
}

impl Canary {
    /// Returns what is wrong, in words that follow "the model".
    #[must_use]
    pub const fn problem(self) -> &'static str {
        match self {
            Self::OtherWords => "does not recognise the clip that every start tries",
            Self::NoNumbers => {
                "computes numbers that are none (NaN) from the clip that every start tries"
            }
            Self::NoAnswer => "cannot be run on the clip that every start tries",
        }
    }

    /// Returns what the owner does about it on the CPU.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::OtherWords => "take its files from one export",
            Self::NoNumbers => "fetch it again and prepare it again",
            Self::NoAnswer => "look for free memory, and fetch it again",
        }
    }
}

/// Why a request failed, by what the appliance does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// It was cancelled: nothing to do.
    Cancelled,
    /// The request itself is wrong (not in a slot): report it.
    BadRequest,
    /// The model failed on this audio; what may pass was tried twice: report it.
    Model,
    /// The device's context is broken: end the worker and start another.
    Sticky,
    /// Memory ran out or a shape is wrong, and the sessions are not to be trusted any more: as
    /// `Sticky`, for another process loads them anew.
    Reload,
}

impl From<ModelError> for Fault {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Cancelled => Self::Cancelled,
            ModelError::Transient | ModelError::BadOutput => Self::Model,
            ModelError::BadInput => Self::BadRequest,
            ModelError::Reload => Self::Reload,
            ModelError::Sticky => Self::Sticky,
        }
    }
}

/// Writes a message into `buffer` and returns its bytes, or `None` if it does not fit.
pub fn encode<'b, M: Serialize>(message: &M, buffer: &'b mut FrameBuffer) -> Option<&'b [u8]> {
    postcard::to_slice(message, buffer)
        .ok()
        .map(|bytes| &*bytes)
}

/// Reads a message; `None` when the bytes are none, or more than one.
#[must_use]
pub fn decode<'b, M: Deserialize<'b>>(bytes: &'b [u8]) -> Option<M> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Some(message),
        _ => None,
    }
}

/// Room for one message.
pub type FrameBuffer = [u8; WORKER_FRAME_BYTES];

#[cfg(test)]
mod tests {
    use pressel_pipeline::limits::SEGMENTS_MAX;

    use super::*;
    use crate::window::{Span, Spans};

    #[test]
    fn longest_answer_fits_into_a_frame() {
        let text: heapless::String<TEXT_BYTES_MAX> =
            heapless::String::try_from("x".repeat(TEXT_BYTES_MAX).as_str()).unwrap();
        let span = Span {
            start_ms: u32::MAX,
            end_ms: u32::MAX,
            text_end: u16::MAX,
        };
        let answer = Answer::Done {
            id: u32::MAX,
            text,
            truncated: true,
            sense: Sense::Words,
            language: [255; 2],
            confidence: 100,
            encode_ms: u32::MAX,
            decode_ms: u32::MAX,
            heard: Heard {
                spans: Spans::from_iter([span; SEGMENTS_MAX]),
                samples: u32::MAX,
                forgets: true,
            },
        };
        let mut buffer = [0; WORKER_FRAME_BYTES];
        let bytes = encode(&answer, &mut buffer).unwrap();
        assert_eq!(decode::<Answer>(bytes), Some(answer));
    }

    #[test]
    fn garbage_is_no_message() {
        assert_eq!(decode::<Answer>(&[0xff; 40]), None);
        assert_eq!(decode::<Request>(&[]), None);
        // Begins like `Ready`.
        assert_eq!(decode::<Answer>(&[0; 40]), None);
    }
}
