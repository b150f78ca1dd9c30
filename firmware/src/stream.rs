//! What flows between the threads: blocks, commands and events.
//!
//! Main loop -> listen: [`Block`] and [`Command`] and free slot numbers. Listen -> main loop:
//! [`ListenEvent`]. All are small values; nothing points anywhere.

use core::fmt;

use pressel_pipeline::ahead::Look;
use pressel_pipeline::limits::{BLOCK_SAMPLES, WAKE_NAME_BYTES_MAX};
use pressel_pipeline::time::SampleTime;
use pressel_pipeline::utterance::CloseReason;
use pressel_pipeline::waiting::SpeechSpan;
use pressel_wire::{DropReason, Trigger};

/// One block of audio. Shape: `[256] i16`, mono 16 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Sample time of the first sample; later than the end of the block before after a gap.
    pub start: SampleTime,
    /// The samples.
    pub samples: [i16; BLOCK_SAMPLES],
}

/// What the owner wants, stamped with the sample time at which it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Every sample before this one was captured before the command.
    pub at: SampleTime,
    /// What to do.
    pub control: Control,
}

/// What the owner wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Talking starts (press).
    TalkStart,
    /// Talking stops (release).
    TalkStop,
    /// The open utterance is discarded, with this reason.
    Discard(DropReason),
    /// The open utterance is discarded as muted and all audio is forgotten.
    Mute,
}

/// What listen found in the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ListenEvent {
    /// The gate opened at this sample.
    SpeechStart(SampleTime),
    /// The gate closed; speech ended at this sample.
    SpeechEnd(SampleTime),
    /// A wake word ended at this sample.
    Wake {
        /// Which one.
        word: WordName,
        /// Its score, 0 to 1.
        score: f32,
        /// Sample time of its end.
        at: SampleTime,
    },
    /// An utterance is being recorded.
    Opened {
        /// Counts up from 1.
        id: u32,
        /// Who opened it.
        trigger: Trigger,
        /// Its first sample.
        start: SampleTime,
    },
    /// An utterance that is being recorded, so far.
    Ahead(Ahead),
    /// An utterance is complete in its slot.
    Closed(ClosedUtterance),
    /// An utterance ended without its audio being handed over.
    Lost(LostUtterance),
    /// A gap of this many samples was filled with silence.
    Gap(u64),
    /// The VAD's model failed; the level-based detector takes over.
    VadFellBack,
    /// The wake words' model failed; they are not heard any more.
    WakeFailed,
    /// Listen's thread panicked, and was rebuilt unless it `ended`.
    ThreadPanicked {
        /// Panics since start.
        count: u32,
        /// It had panicked too often.
        ended: bool,
    },
}

/// The name of a wake word, short enough to travel with an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WordName {
    bytes: [u8; WAKE_NAME_BYTES_MAX],
    length: u8,
}

impl WordName {
    /// Returns the name, or `None` when it is longer than [`WAKE_NAME_BYTES_MAX`].
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; WAKE_NAME_BYTES_MAX];
        bytes
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        let length = u8::try_from(name.len()).ok()?;
        Some(Self { bytes, length })
    }

    /// Returns its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The bytes were those of a str.
        core::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Debug for WordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A part of an utterance that is still being recorded. The slot stays listen's: what is told of it
/// is not written again, but for a discard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Counts up from 1.
    pub utterance: u32,
    /// Slot that is being written.
    pub slot: u8,
    /// What of it is there.
    pub look: Look,
}

/// An utterance whose audio was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostUtterance {
    /// Counts up from 1.
    pub id: u32,
    /// Who owned it.
    pub trigger: Trigger,
    /// Sample time of its first sample.
    pub start: SampleTime,
    /// How much of it there was.
    pub samples: u32,
    /// Why.
    pub reason: DropReason,
}

/// A complete utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedUtterance {
    /// Counts up from 1.
    pub id: u32,
    /// Slot that holds the audio.
    pub slot: u8,
    /// Who owned it at its end.
    pub trigger: Trigger,
    /// Sample time of the first sample.
    pub start: SampleTime,
    /// Samples in the slot.
    pub samples: u32,
    /// Where in it speech was heard.
    pub speech: Option<SpeechSpan>,
    /// Sample time up to which listen had heard when it closed the utterance.
    pub closed_at: SampleTime,
    /// Why it was closed.
    pub reason: CloseReason,
}

impl Block {
    /// A block that carries no audio: it only overwrites a place of the ring after a mute.
    pub const WIPE: Self = Self {
        start: SampleTime::MAX,
        samples: [0; BLOCK_SAMPLES],
    };

    /// Returns whether this is [`Block::WIPE`].
    #[must_use]
    pub fn is_wipe(&self) -> bool {
        self.start == SampleTime::MAX
    }
}
