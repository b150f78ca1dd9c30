//! Whisper's timestamps: which token may follow, and what the tokens say about time.
//!
//! Flow: logits -> those that break the rules struck out; a window's tokens -> stretches of text
//! with their times, and how much of the window they stand for. Pure, nothing allocates.
//!
//! The rules are those of transformers' `WhisperTimeStampLogitsProcessor` and `_retrieve_segment`,
//! which are openai-whisper's `ApplyTimestampRules` and the slices of its `transcribe`. They differ
//! in two places: openai-whisper clears a segment without length or words afterwards, as
//! the writer of segments here does; and transformers takes the latest first timestamp from the
//! model's folder, where openai-whisper and this have an option.

use core::ops::Range;

use super::sampling::{highest, sum_of_exponents};

/// Timestamps in a second: each stands for 20 ms, which is one position of the encoder.
const PER_SECOND: f32 = 50.0;
/// Milliseconds between two timestamps.
const STEP_MS: u32 = 20;
/// Samples between two timestamps.
const STEP_SAMPLES: usize = 320;

/// Where the timestamps are in the vocabulary: they are the last of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timestamps {
    /// The timestamp of 0.00 s.
    pub(super) first: u32,
    /// The token that ends a transcript; all below it are text.
    end: usize,
}

/// A stretch of text in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Its tokens, timestamps included.
    pub(super) tokens: Range<usize>,
    /// Units: milliseconds from the begin of the window.
    pub(super) start_ms: u32,
    pub(super) end_ms: u32,
}

impl Timestamps {
    /// Returns where the timestamps are behind the token `quiet` ("no timestamps"); `None` when the
    /// vocabulary has none.
    pub(super) fn new(quiet: i64, end: i64, vocab_size: usize) -> Option<Self> {
        let first = u32::try_from(quiet).ok()?.checked_add(1)?;
        let end = usize::try_from(end).ok()?;
        (end < first as usize && (first as usize) < vocab_size).then_some(Self { first, end })
    }

    /// Strikes out what may not follow `tokens`. `initial_max` is in seconds.
    ///
    /// Shape: `logits` is `[vocabulary]`.
    pub(super) fn strike(self, logits: &mut [f32], tokens: &[u32], initial_max: f32) {
        const NONE: f32 = f32::NEG_INFINITY;
        let first = self.first as usize;
        logits[first - 1] = NONE; // "No timestamps" itself.
        let is_time = |place: usize| self.first <= tokens[place];
        let count = tokens.len();
        if count == 0 {
            logits[..first].fill(NONE);
            // Not negative, and `as` stops at the highest number.
            let last = first.saturating_add((initial_max * PER_SECOND).round() as usize);
            if last < logits.len() {
                logits[last + 1..].fill(NONE);
            }
            return;
        }
        let before_last = count < 2 || is_time(count - 2);
        let closes = is_time(count - 1) && !before_last;
        if is_time(count - 1) {
            if before_last {
                logits[first..].fill(NONE); // Words, or the end.
            } else {
                logits[..self.end].fill(NONE); // The next beginning, or the end.
            }
        }
        if let Some(&last) = tokens.iter().rev().find(|&&token| self.first <= token) {
            // Time goes on; a beginning may lie where the last end lay.
            let least = last as usize + usize::from(!closes);
            let end = least.min(logits.len());
            logits[first..end].fill(NONE);
        }
        if self.time_is_likelier(logits) {
            logits[..first].fill(NONE);
        }
    }

    /// Returns true when all timestamps together are likelier than any other token.
    fn time_is_likelier(self, logits: &[f32]) -> bool {
        let (words, times) = logits.split_at(self.first as usize);
        let ((_, word), (_, time)) = (highest(words), highest(times));
        // An error is for the choice that follows, and for all struck out.
        sum_of_exponents(times, time).is_ok_and(|sum| word < time + sum.ln())
    }

    /// Cuts the tokens of a window into `stretches`, in order. Returns the samples of `audio` (a
    /// length) that they stand for: all, unless words were cut off at its end. Never 0, unless
    /// `audio` is.
    ///
    /// Stretches end within the audio; one that begins behind it was heard in the silence there,
    /// and is left out.
    pub(super) fn cut(self, tokens: &[u32], audio: usize, stretches: &mut Vec<Stretch>) -> usize {
        stretches.clear();
        let is_time = |place: usize| self.first <= tokens[place];
        let time = |place: usize| tokens[place].saturating_sub(self.first);
        let audio_ms = (audio / (STEP_SAMPLES / STEP_MS as usize)) as u32;
        let mut add = |tokens: Range<usize>, start: u32, end: u32| {
            let (start_ms, end_ms) = (start * STEP_MS, (end * STEP_MS).min(audio_ms));
            if start_ms < end_ms {
                stretches.push(Stretch {
                    tokens,
                    start_ms,
                    end_ms,
                });
            }
        };
        let count = tokens.len();
        let ends_once = 2 <= count && is_time(count - 1) && !is_time(count - 2);
        let mut from = 0;
        for next in 1..count {
            if is_time(next - 1) && is_time(next) {
                add(from..next, time(from), time(next - 1));
                from = next;
            }
        }
        if from == 0 {
            // Nobody said where one ends and another begins: it is one.
            let last = tokens.iter().rev().find(|&&token| self.first <= token);
            let last = last.map_or(0, |&token| token - self.first);
            let end = if last == 0 {
                audio_ms.div_ceil(STEP_MS)
            } else {
                last
            };
            add(0..count, 0, end);
            return audio;
        }
        if ends_once {
            add(from..count, time(from), time(count - 1));
            return audio;
        }
        let heard = time(from - 1).max(1) as usize * STEP_SAMPLES;
        heard.min(audio)
    }
}

#[cfg(test)]
mod tests;
