//! One window decoded: token by token, and again while the result is not good enough.
//!
//! Flow: a window of audio -> encoder -> beginning and tokens through the decoder -> the pass that
//! is taken, its tokens in the recogniser. On the recogniser's thread; nothing is allocated for a
//! token.
//!
//! Bound of the work for one piece of audio: one pass in the short window, one in the full window
//! when the guard trips, and one for each temperature but the first. With Whisper's six that are 7
//! passes and 2 runs of the encoder, each pass of at most as many tokens as the guard allows.

use core::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{
    Whisper,
    fallback::{Pass, Verdict, compression_ratio},
    languages::Spoken,
    sampling::{self, Random},
};
use crate::{DecodeOptions, ModelError, mel::RATE_HZ};

/// Tokens that any utterance may have, however short. Why 16: two words of a model that spells.
pub(super) const TOKENS_FLOOR: usize = 16;

/// How many times more tokens the full window may have than a short one. Why 3: a short window that
/// goes in circles is heard again in the full one, so a tight budget costs time only; there, one
/// would cut what was said. Scripts that Whisper spells in bytes need up to some 20 tokens a
/// second, English 4.
pub(super) const FULL_WINDOW_BUDGET: usize = 3;

/// One call, and what is known of it so far.
pub(super) struct Job<'a> {
    pub(super) options: &'a DecodeOptions,
    pub(super) cancel: &'a AtomicBool,
    /// Timestamps are asked for, and the model has them.
    pub(super) timed: bool,
    /// None until it is detected.
    pub(super) spoken: Option<Spoken>,
    pub(super) pass_count: u32,
    pub(super) encode_ms: u32,
    pub(super) decode_ms: u32,
}

impl Job<'_> {
    pub(super) fn go_on(&self) -> Result<(), ModelError> {
        if self.cancel.load(Ordering::SeqCst) {
            return Err(ModelError::Cancelled);
        }
        Ok(())
    }
}

impl Whisper {
    /// Recognises one piece. Its tokens are in `self.tokens`, and those of text in `self.words`.
    pub(super) fn recognise(&mut self, audio: &[i16], job: &mut Job) -> Result<Pass, ModelError> {
        let (frames, most) = (self.window.frames(audio.len()), self.window.frames_max());
        self.hear(audio, frames, job)?;
        let spoken = match job.spoken {
            Some(spoken) => spoken,
            None => self.detect(job)?,
        };
        job.spoken = Some(spoken);
        let task = job.options.task;
        self.prompt
            .begin(&self.previous, spoken, task, job.timed, &mut self.beginning);
        let ladder = &job.options.temperature;
        let first = *ladder.first().ok_or(ModelError::BadInput)?;
        if !self.learnt_on_windows() {
            return self.pass(audio, first, false, job);
        }
        let mut is_full = frames == most;
        let mut result = None;
        for &temperature in ladder {
            let mut pass = self.pass(audio, temperature, is_full, job)?;
            if !is_full && pass.goes_in_circles(job.options) {
                self.hear(audio, most, job)?;
                is_full = true;
                pass = self.pass(audio, temperature, is_full, job)?;
            }
            let verdict = pass.verdict(job.options);
            result = Some(pass);
            if verdict != Verdict::Again {
                break;
            }
        }
        result.ok_or(ModelError::BadInput)
    }

    fn hear(&mut self, audio: &[i16], frames: usize, job: &mut Job) -> Result<(), ModelError> {
        let start = Instant::now();
        self.encode(audio, frames)?;
        job.encode_ms += start.elapsed().as_millis() as u32;
        job.go_on()
    }

    /// Detects the language of the window that was heard.
    fn detect(&mut self, job: &mut Job) -> Result<Spoken, ModelError> {
        let start = Instant::now();
        self.graphs.rewind();
        self.graphs.feed(&[self.prompt.start], None, &self.run)?;
        self.graphs.sharpen()?;
        let spoken = self.languages.detect(self.graphs.logits_mut());
        job.decode_ms += start.elapsed().as_millis() as u32;
        spoken
    }

    /// Decodes the window that was heard at one temperature. In the full window that a network of
    /// windows learnt on (`is_full`), the budget of tokens is wider.
    fn pass(
        &mut self,
        audio: &[i16],
        temperature: f32,
        is_full: bool,
        job: &mut Job,
    ) -> Result<Pass, ModelError> {
        let start = Instant::now();
        job.pass_count += 1;
        let mut random = Random::of(if 0.0 < temperature { audio } else { &[] }, job.pass_count);
        self.tokens.clear();
        self.words.clear();
        self.graphs.rewind();
        let mark = Some(self.beginning.start);
        self.graphs.feed(&self.beginning.tokens, mark, &self.run)?;
        let no_speech = self.rules.no_speech(self.graphs.marked_logits())?;
        let per_second = job.options.tokens_per_second_max as usize;
        let words_max = audio
            .len()
            .saturating_mul(per_second)
            .div_ceil(RATE_HZ)
            .max(TOKENS_FLOOR)
            * if is_full { FULL_WINDOW_BUDGET } else { 1 };
        let tokens_max = self
            .rules
            .length_max
            .saturating_sub(self.beginning.tokens.len());
        let (mut logprob_sum, mut choices, mut used_up) = (0.0, 0, false);
        loop {
            let logits = self.graphs.logits_mut();
            self.rules
                .strike(logits, &self.tokens, job.timed, job.options);
            self.graphs.sharpen()?;
            let logits = self.graphs.logits_mut();
            let choice = sampling::choose(logits, temperature, &mut random)?;
            logprob_sum += choice.logprob;
            choices += 1;
            if self.rules.is_end(choice.token) {
                break;
            }
            self.tokens.push(choice.token);
            if !self.rules.is_timestamp(choice.token) {
                self.words.push(choice.token);
            }
            if words_max <= self.words.len() || tokens_max <= self.tokens.len() {
                used_up = true;
                break;
            }
            job.go_on()?;
            let token = [i64::from(choice.token)];
            self.graphs.feed(&token, None, &self.run)?;
        }
        let text = self.text_of_words()?;
        job.decode_ms += start.elapsed().as_millis() as u32;
        Ok(Pass {
            temperature,
            mean_logprob: logprob_sum / choices as f32,
            choices,
            no_speech,
            compression_ratio: compression_ratio(text.trim()),
            used_up,
            text,
        })
    }
}
