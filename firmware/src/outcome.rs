//! Outcomes: what an utterance ends as.
//!
//! A closed utterance in, the part of it that the worker gets, and the outcome that its answer
//! makes. Pure functions, used by the main loop and by `offline` alike, so that both say the same.

use heapless::String;
use pressel_pipeline::limits::TEXT_BYTES_MAX;
use pressel_pipeline::time::{Millis, SampleTime, millis};
use pressel_pipeline::utterance::CloseReason;
use pressel_pipeline::waiting::Utterance;
use pressel_wire::{
    CONFIDENCE_UNKNOWN, DropReason, FailCode, Outcome, OutcomeResult, Timing, Trigger,
};

use crate::stream::{ClosedUtterance, LostUtterance};
use crate::window::Heard;
use crate::worker::Answer;
use crate::worker::message::{Fault, Sense};

/// An outcome on its way to the link.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What the link tells.
    pub outcome: Outcome,
    /// Its text, empty unless the result is text.
    pub text: String<TEXT_BYTES_MAX>,
    /// Two-letter code of the language; zeros when nothing was recognised.
    pub language: [u8; 2],
    /// What a window gave besides.
    pub heard: Heard,
    /// Sample time of the utterance's start.
    pub start: SampleTime,
    /// When the result was there.
    pub done_at: Millis,
}

impl Finished {
    /// An outcome without text and timing, as for an utterance that never reached the worker.
    #[must_use]
    pub fn bare(id: u32, trigger: Trigger, result: OutcomeResult, now: Millis) -> Self {
        let outcome = Outcome {
            sequence: 0,
            utterance: id,
            trigger,
            result,
            confidence: CONFIDENCE_UNKNOWN,
            audio_ms: 0,
            timing: Timing::default(),
        };
        Self {
            outcome,
            text: String::new(),
            language: [0; 2],
            heard: Heard::default(),
            start: 0,
            done_at: now,
        }
    }

    /// The outcome of an utterance whose audio was not handed over.
    #[must_use]
    pub fn lost(lost: &LostUtterance, now: Millis) -> Self {
        let result = OutcomeResult::Dropped(lost.reason);
        let mut finished = Self::bare(lost.id, lost.trigger, result, now);
        finished.start = lost.start;
        finished.outcome.audio_ms = short(millis(u64::from(lost.samples)));
        finished
    }

    /// An outcome of a recorded utterance, without text.
    #[must_use]
    pub fn of(utterance: &Utterance, result: OutcomeResult, now: Millis) -> Self {
        let mut finished = Self::bare(utterance.id, utterance.trigger, result, now);
        finished.start = utterance.start;
        finished.outcome.audio_ms = short(millis(u64::from(utterance.samples)));
        finished.outcome.timing.capture_ms = utterance.capture_ms;
        finished
    }
}

/// Makes the arbiter's view of an utterance that listen closed; `now` is when that was seen.
#[must_use]
pub fn utterance(closed: &ClosedUtterance, post_roll: u64, now: Millis) -> Utterance {
    let end = closed.start + u64::from(closed.samples);
    let speech_end = closed
        .speech
        .map_or(end, |span| closed.start + u64::from(span.end));
    let spoken_until = match (closed.reason, closed.trigger) {
        (CloseReason::Released, _) => end.saturating_sub(post_roll),
        (_, Trigger::Ptt) => end,
        _ => speech_end,
    };
    Utterance {
        id: closed.id,
        slot: closed.slot,
        trigger: closed.trigger,
        start: closed.start,
        samples: closed.samples,
        speech: closed.speech,
        closed_at: now,
        capture_ms: short(millis(closed.closed_at.saturating_sub(spoken_until))),
    }
}

/// Makes the outcome of an answer to a request that was sent at `sent_at`.
#[must_use]
pub fn of_answer(utterance: &Utterance, answer: Answer, sent_at: Millis, now: Millis) -> Finished {
    let mut finished = Finished::of(utterance, OutcomeResult::NoSpeech, now);
    finished.outcome.timing.queue_ms = short(sent_at.saturating_sub(utterance.closed_at));
    match answer {
        Answer::Done {
            text,
            truncated,
            sense,
            language,
            confidence,
            encode_ms,
            decode_ms,
            heard,
            ..
        } => {
            finished.language = language;
            finished.heard = heard;
            finished.outcome.timing.encode_ms = encode_ms;
            finished.outcome.timing.decode_ms = decode_ms;
            match sense {
                Sense::Words if !text.is_empty() => {
                    let bytes = u16::try_from(text.len()).unwrap_or(u16::MAX);
                    finished.outcome.result = OutcomeResult::Text { bytes, truncated };
                    finished.outcome.confidence = confidence;
                    finished.text = text;
                }
                Sense::Command(command) => {
                    finished.outcome.result = OutcomeResult::Command { command };
                    finished.outcome.confidence = confidence;
                }
                // A piece of a recording has text or none.
                Sense::Unknown if utterance.trigger != Trigger::File => {
                    finished.outcome.result = OutcomeResult::Unknown;
                }
                Sense::Words | Sense::NoSpeech | Sense::Unknown => {}
            }
        }
        Answer::Failed { fault, .. } => {
            finished.outcome.result = match fault {
                Fault::BadRequest => OutcomeResult::Failed(FailCode::BadAudio),
                Fault::Cancelled => OutcomeResult::Dropped(DropReason::Cancelled),
                Fault::Model | Fault::Sticky | Fault::Reload => {
                    OutcomeResult::Failed(FailCode::ModelFault)
                }
            };
        }
        Answer::Ready { .. } | Answer::CannotLoad { .. } | Answer::CanaryFailed(_) => {}
    }
    finished
}

/// Returns a time that fits the wire; longer than 49 days is 49 days.
#[must_use]
pub fn short(ms: u64) -> u32 {
    u32::try_from(ms).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
