//! What became of the chunk of the job in hand.
//!
//! A text or a failure from the main loop in; a checkpoint, another try, or a job in quarantine
//! out. Runs in the turn of the thread `jobs`.

use pressel_pipeline::limits::{CHUNK_AGAIN_MS, JOB_RETRY_MS};
use pressel_pipeline::time::Millis;
use pressel_wire::{FailCode, OutcomeResult};

use super::in_hand::Hand;
use super::record::{Record, Said, Window};
use super::turn::Core;
use crate::chunks::Cut;
use crate::keeper::report::seconds;
use crate::outcome::Finished;
use crate::window::Context;

impl Core {
    /// Takes what became of the chunk.
    pub(super) fn take_finished(&mut self, now: Millis) {
        while let Ok(finished) = self.parts.inside.done.try_recv() {
            let id = finished.outcome.utterance;
            if self.under_way == Some(id) {
                self.under_way = None;
                let of_hand = |hand: &Hand| {
                    let chunk = hand.chunk.as_ref();
                    chunk.is_some_and(|chunk| chunk.utterance.id == id)
                };
                if self.hand.as_ref().is_some_and(of_hand) {
                    self.conclude(finished, now);
                }
            }
        }
    }

    fn conclude(&mut self, finished: Finished, now: Millis) {
        let Some(hand) = &mut self.hand else { return };
        let Some(chunk) = &mut hand.chunk else { return };
        match finished.outcome.result {
            OutcomeResult::Text { .. }
            | OutcomeResult::NoSpeech
            | OutcomeResult::Command { .. }
            | OutcomeResult::Unknown => {
                let heard = finished.heard.samples;
                let Some(next) = hand.reader.as_mut().map(|reader| reader.heard(heard)) else {
                    return;
                };
                let said = Said {
                    from: chunk.from,
                    next,
                    start: chunk.utterance.start,
                    samples: chunk.utterance.samples,
                    text: finished.text.as_str().to_owned(),
                    language: finished.language,
                    confidence: finished.outcome.confidence,
                };
                hand.chunk = None;
                let window = Window {
                    said,
                    spans: finished.heard.spans.to_vec(),
                    forgets: finished.heard.forgets,
                };
                self.checkpoint(window, now);
            }
            OutcomeResult::Dropped(_) => chunk.again_at = now + CHUNK_AGAIN_MS,
            // There is no worker: it waits.
            OutcomeResult::Failed(FailCode::WorkerDown | FailCode::ModelMissing) => {
                chunk.again_at = now + JOB_RETRY_MS;
            }
            OutcomeResult::Failed(code) => {
                let (number, at) = (hand.number, seconds(chunk.utterance.start));
                let why = format!(
                    "the speech at {at:.1} s brings the recognition down ({code}): it is left \
                     alone; `pressel jobs retry {number}` tries again"
                );
                self.quarantine(number, why, now);
            }
        }
    }

    /// Makes the checkpoint of a stretch that is done.
    pub(super) fn checkpoint(&mut self, window: Window, now: Millis) {
        let Some(hand) = &mut self.hand else { return };
        let number = hand.number;
        let record = match self.parts.cut {
            Cut::Speech(_) => Record::Chunk(window.said.clone()),
            Cut::Windows => Record::Window(window.clone()),
        };
        learn(&mut hand.context, &window);
        hand.said.push(window);
        self.parts.store.note(number, record, now);
        let (began, from) = hand.began;
        if let Some(job) = self.parts.store.job_mut(number) {
            job.pace(job.position.saturating_sub(from), now.saturating_sub(began));
        }
    }
}

/// What the next window wants to know of one that is done.
pub(super) fn learn(context: &mut Context, window: &Window) {
    context.learn(&window.said.text, window.said.language, window.forgets);
}
