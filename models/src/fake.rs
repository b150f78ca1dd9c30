//! Scripted doubles of the models, for tests and for the simulated board.
//!
//! Flow: a script -> answers, whatever the sound. They follow the same faces as the real models,
//! faults included, and run on the same threads. Nothing here is used by a real board.

use core::sync::atomic::{AtomicBool, Ordering};
use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    DecodeOptions, Language, ModelError, Transcriber, Transcript, Transcription, Vad, WakeWord,
    vad::FRAME_SAMPLES as VAD_FRAME_SAMPLES, wake_word::FRAME_SAMPLES as WAKE_FRAME_SAMPLES,
};

/// A voice-activity detector that answers from a list, then repeats the last answer.
#[derive(Clone, Debug)]
pub struct ScriptedVad {
    answers: Vec<Result<f32, ModelError>>,
    heard: usize,
}

impl ScriptedVad {
    /// Returns a detector that gives `answers`, one for each frame. None given: always 0.
    #[must_use]
    pub fn new(answers: Vec<Result<f32, ModelError>>) -> Self {
        Self { answers, heard: 0 }
    }
}

impl Vad for ScriptedVad {
    fn hear(&mut self, _frame: &[i16; VAD_FRAME_SAMPLES]) -> Result<f32, ModelError> {
        let at = self.heard.min(self.answers.len().saturating_sub(1));
        self.heard += 1;
        self.answers.get(at).copied().unwrap_or(Ok(0.0))
    }

    /// Keeps its place in the script: a gap in the sound does not rewind the test.
    fn reset(&mut self) {}
}

/// A detector of one wake word that fires at the frames of a list.
#[derive(Clone, Debug)]
pub struct ScriptedWakeWord {
    fires_at: Vec<u64>,
    heard: u64,
}

impl ScriptedWakeWord {
    /// Returns a detector that scores 1 at the frames `fires_at`, counted from 0, else 0.
    #[must_use]
    pub fn new(fires_at: Vec<u64>) -> Self {
        Self { fires_at, heard: 0 }
    }
}

impl WakeWord for ScriptedWakeWord {
    fn word_count(&self) -> usize {
        1
    }

    fn hear(
        &mut self,
        _frame: &[i16; WAKE_FRAME_SAMPLES],
        scores: &mut [f32],
    ) -> Result<(), ModelError> {
        assert!(scores.len() == self.word_count());
        scores[0] = if self.fires_at.contains(&self.heard) {
            1.0
        } else {
            0.0
        };
        self.heard += 1;
        Ok(())
    }

    /// Keeps its place in the script.
    fn reset(&mut self) {}
}

/// One answer of [`ScriptedTranscriber`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Says this text.
    Text(String),
    /// Says how many samples it heard, as `heard 16000 samples`.
    Count,
    /// Hears no speech.
    NoSpeech,
    /// Fails in this way.
    Error(ModelError),
    /// Says the text after this many milliseconds, unless it is cancelled before.
    Slow(u64, String),
    /// Does not answer for this many milliseconds and does not look at `cancel`: what only the end
    /// of the process stops. Fails as `Transient` after that.
    Hang(u64),
}

/// A recogniser that answers from a list, then repeats the last answer.
#[derive(Clone, Debug)]
pub struct ScriptedTranscriber {
    lines: Vec<Line>,
    heard: usize,
}

impl ScriptedTranscriber {
    /// Returns a recogniser that gives `lines`, one for each utterance. None given: no speech.
    #[must_use]
    pub fn new(lines: Vec<Line>) -> Self {
        Self { lines, heard: 0 }
    }
}

impl Transcriber for ScriptedTranscriber {
    fn transcribe(
        &mut self,
        audio: &[i16],
        _options: &DecodeOptions,
        _context: &str,
        cancel: &AtomicBool,
        transcript: &mut Transcript,
    ) -> Result<Transcription, ModelError> {
        transcript.clear();
        let text = &mut transcript.text;
        let at = self.heard.min(self.lines.len().saturating_sub(1));
        self.heard += 1;
        if cancel.load(Ordering::SeqCst) {
            return Err(ModelError::Cancelled);
        }
        match self.lines.get(at).unwrap_or(&Line::NoSpeech) {
            Line::Text(line) => text.push_str(line),
            Line::Count => *text = format!("heard {} samples", audio.len()),
            Line::NoSpeech => {}
            Line::Error(error) => return Err(*error),
            Line::Slow(milliseconds, line) => {
                wait(*milliseconds, || cancel.load(Ordering::SeqCst))?;
                text.push_str(line);
            }
            Line::Hang(milliseconds) => {
                wait(*milliseconds, || false)?;
                return Err(ModelError::Transient);
            }
        }
        Ok(Transcription {
            no_speech: text.is_empty(),
            language: Some(Language::ENGLISH),
            language_probability: 1.0,
            heard_samples: audio.len() as u32,
            mean_logprob: 0.0,
            temperature: 0.0,
            token_count: text.split_whitespace().count() as u32,
            pass_count: 1,
            encode_ms: 0,
            decode_ms: 0,
            nearest: None,
        })
    }

    fn provider(&self) -> &'static str {
        "cpu"
    }
}

/// Waits, or stops early with `Cancelled`.
fn wait(milliseconds: u64, cancelled: impl Fn() -> bool) -> Result<(), ModelError> {
    let end = Instant::now() + Duration::from_millis(milliseconds);
    while Instant::now() < end {
        if cancelled() {
            return Err(ModelError::Cancelled);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: Line, cancel: bool, expected: Result<&str, ModelError>) {
        let mut heard = Transcript {
            text: "old".into(),
            segments: Vec::new(),
        };
        let (options, cancel) = (DecodeOptions::default(), AtomicBool::new(cancel));
        let found = ScriptedTranscriber::new(vec![line])
            .transcribe(&[0; 320], &options, "", &cancel, &mut heard)
            .map(|result| (heard.text.as_str(), result.no_speech));
        assert_eq!(found, expected.map(|text| (text, text.is_empty())));
    }

    #[test]
    fn each_line_gives_its_answer() {
        check(Line::Text("lights on".into()), false, Ok("lights on"));
        check(Line::Count, false, Ok("heard 320 samples"));
        check(Line::NoSpeech, false, Ok(""));
        check(
            Line::Error(ModelError::Sticky),
            false,
            Err(ModelError::Sticky),
        );
        check(Line::Slow(1, "late".into()), false, Ok("late"));
        check(Line::Hang(1), false, Err(ModelError::Transient));
    }

    #[test]
    fn a_cancelled_job_says_so() {
        check(Line::Text("never".into()), true, Err(ModelError::Cancelled));
        check(
            Line::Slow(60_000, "never".into()),
            true,
            Err(ModelError::Cancelled),
        );
    }

    #[test]
    fn scripts_repeat_their_last_answer() {
        let mut vad = ScriptedVad::new(vec![Ok(0.1), Err(ModelError::Reload), Ok(0.9)]);
        let frame = [0; VAD_FRAME_SAMPLES];
        let heard: Vec<_> = (0..4).map(|_| vad.hear(&frame)).collect();
        assert_eq!(heard, [Ok(0.1), Err(ModelError::Reload), Ok(0.9), Ok(0.9)]);
        let mut wake = ScriptedWakeWord::new(vec![1]);
        let mut scores = [0.0];
        let fired: Vec<_> = (0..3)
            .map(|_| {
                wake.hear(&[0; WAKE_FRAME_SAMPLES], &mut scores).unwrap();
                scores[0]
            })
            .collect();
        assert_eq!(fired, [0.0, 1.0, 0.0]);
    }
}
