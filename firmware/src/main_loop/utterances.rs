//! Utterances and the worker: from what listen closed to what has its outcome.
//!
//! Listen's events and the worker's answers in; requests, outcomes and free slots out. Runs on the
//! main loop. The arbiter decides who is next; nothing here waits.

use heapless::String;
use pressel_pipeline::limits::{ANSWERS_PER_TURN_MAX, REASON_BYTES_MAX, RESTART_WINDOW_MS};
use pressel_pipeline::time::Millis;
use pressel_wire::{Alert, OutcomeResult, Trigger};

use super::panics::InHand;
use super::recogniser::News;
use super::{End, MainLoop};
use crate::keeper::{Errand, Record};
use crate::outcome::{self, Finished};
use crate::stream::{ClosedUtterance, ListenEvent};

impl MainLoop {
    pub(super) fn take_listen_events(&mut self, now: Millis) {
        while let Some(event) = self.neighbours.ends.events.dequeue() {
            self.in_hand = in_hand(&event);
            if let ListenEvent::Ahead(ahead) = event {
                if self.open.is_some_and(|(id, _)| id == ahead.utterance) {
                    self.recogniser.look_ahead(ahead);
                }
                continue;
            }
            self.note(Record::Listen(event));
            match event {
                ListenEvent::Opened { id, trigger, .. } => {
                    self.ledger.opened();
                    self.recogniser.looks().open(id, trigger);
                    self.open = Some((id, trigger));
                }
                ListenEvent::Closed(closed) => {
                    self.open = None;
                    self.take_utterance(&closed, now);
                }
                ListenEvent::Lost(lost) => {
                    self.open = None;
                    self.finish(Finished::lost(&lost, now));
                }
                ListenEvent::ThreadPanicked { count, ended } => {
                    self.note(Record::Panic {
                        thread: "listen",
                        count,
                    });
                    if ended {
                        self.end = Some(End::ListenDied);
                    }
                }
                ListenEvent::VadFellBack => self.alerts.set(Alert::VadFallback, true),
                ListenEvent::Wake { word, .. } => self.recogniser.looks().wake(word),
                ListenEvent::WakeFailed => self.alerts.set(Alert::WakeDown, true),
                ListenEvent::SpeechStart(_)
                | ListenEvent::SpeechEnd(_)
                | ListenEvent::Ahead(_)
                | ListenEvent::Gap(_) => {}
            }
            self.attend(now);
        }
    }

    /// Takes a closed utterance: silence has its outcome at once, the rest waits for the worker.
    fn take_utterance(&mut self, closed: &ClosedUtterance, now: Millis) {
        let utterance = outcome::utterance(closed, self.fixed.post_roll, now);
        if closed.speech.is_none() {
            let finished = Finished::of(&utterance, OutcomeResult::NoSpeech, now);
            self.conclude(finished, closed.slot);
        } else {
            self.recogniser.offer(utterance, now);
            self.in_hand = None;
            self.settle(now);
        }
    }

    pub(super) fn take_answers(&mut self, now: Millis) {
        for _ in 0..ANSWERS_PER_TURN_MAX {
            let Some(news) = self.recogniser.receive(now) else {
                return;
            };
            self.take_news(news, now);
        }
    }

    pub(super) fn take_news(&mut self, news: News, now: Millis) {
        match news {
            News::Ready { cuda, load_ms } => self.note(Record::WorkerReady { cuda, load_ms }),
            News::Done(finished, slot) => self.conclude(finished, slot),
            News::Refused {
                finished,
                slot,
                word,
            } => {
                let utterance = finished.outcome.utterance;
                self.note(Record::WakeRefused { utterance, word });
                self.conclude(finished, slot);
            }
            News::Yielded { after_ms } => self.note(Record::ChunkYielded { after_ms }),
            News::Guess {
                utterance,
                audio_ms,
                adopted,
            } => self.note(Record::Guess {
                utterance,
                audio_ms,
                adopted,
            }),
            News::CannotLoad(reason) => self.miss_model(reason, now),
            News::Lost(why) => self.lose_worker(why, now),
        }
    }

    /// A model that cannot be loaded ends the program at the start. Later, what waits fails, unless
    /// the processor may still take over from CUDA.
    fn miss_model(&mut self, reason: String<REASON_BYTES_MAX>, now: Millis) {
        if !self.recogniser.was_ready() {
            self.end = Some(End::Model(reason));
            return;
        }
        let may_wait = self.recogniser.may_fall_back();
        self.note(Record::WorkerCannotLoad(reason));
        self.lose_worker("its model cannot be loaded any more", now);
        if !may_wait {
            self.recogniser.miss_model(now);
            self.settle(now);
        }
    }

    pub(super) fn lose_worker(&mut self, why: &'static str, now: Millis) {
        self.note(Record::WorkerLost(why));
        let restart = self.recogniser.lose(now);
        if restart.fell_back {
            self.note(Record::WorkerFellBack);
            self.alerts.set(Alert::CpuFallback, true);
        }
        let wait_ms = restart.wait_ms;
        self.ask(Errand::EndWorker(restart.socket));
        self.start_worker(wait_ms);
        self.settle(now);
        if self.recogniser.is_left_off() {
            self.note(Record::WorkerLeftOff { ms: wait_ms });
        }
        if restart.holds_files {
            let ms = RESTART_WINDOW_MS;
            self.note(Record::FilesHeld { ms });
        }
    }

    pub(super) fn start_worker(&mut self, wait_ms: u64) {
        let cpu = self.recogniser.has_fallen_back();
        self.ask(Errand::StartWorker { wait_ms, cpu });
    }

    pub(super) fn give_work(&mut self, now: Millis) {
        if let Some(news) = self.recogniser.give_work(now) {
            self.take_news(news, now);
        }
    }

    /// Tells the arbiter whether somebody talks or is recorded: files give way at once.
    pub(super) fn attend(&mut self, now: Millis) {
        let (talking, open) = (self.session.is_talking(), self.open.is_some());
        self.recogniser.attend(talking, open, now);
    }

    /// Takes what has ended without an answer.
    pub(super) fn settle(&mut self, now: Millis) {
        while let Some((finished, slot)) = self.recogniser.take_ended(now) {
            self.conclude(finished, slot);
        }
    }

    /// Gives a result to whom it belongs, and its slot back.
    fn conclude(&mut self, finished: Finished, slot: u8) {
        let (id, trigger) = (finished.outcome.utterance, finished.outcome.trigger);
        if trigger == Trigger::File {
            self.give_back_chunk(finished);
            return;
        }
        let slot_in_hand = Some(slot);
        self.in_hand = Some(InHand {
            id,
            trigger,
            slot: slot_in_hand,
        });
        self.free(slot);
        self.in_hand = Some(InHand {
            id,
            trigger,
            slot: None,
        });
        self.finish(finished);
    }

    /// Gives an utterance its outcome.
    pub(super) fn finish(&mut self, finished: Finished) {
        match finished.outcome.result {
            OutcomeResult::Failed(_) => self.view.failed_at = Some(finished.done_at),
            OutcomeResult::Dropped(_) => self.view.dropped_at = Some(finished.done_at),
            OutcomeResult::Text { .. }
            | OutcomeResult::NoSpeech
            | OutcomeResult::Command { .. }
            | OutcomeResult::Unknown => {}
        }
        self.recogniser.forget(finished.outcome.utterance);
        self.ledger.enter(&finished.outcome.result);
        let (mut outcome, start) = (finished.outcome, finished.start);
        let text = finished.text.clone();
        let (sequence, given_up) = self.outbox.enter(finished);
        self.in_hand = None;
        outcome.sequence = sequence;
        self.note(Record::Outcome {
            outcome,
            start,
            text,
        });
        if given_up {
            self.serial.count_dropped();
        }
    }

    /// Gives a slot back to listen.
    pub(super) fn free(&mut self, slot: u8) {
        // The ring has a place for each slot.
        let fits = self.neighbours.ends.free.enqueue(slot).is_ok();
        debug_assert!(fits);
    }
}

/// Returns the utterance that an event hands over.
fn in_hand(event: &ListenEvent) -> Option<InHand> {
    match event {
        ListenEvent::Closed(closed) => Some(InHand {
            id: closed.id,
            trigger: closed.trigger,
            slot: Some(closed.slot),
        }),
        ListenEvent::Lost(lost) => Some(InHand {
            id: lost.id,
            trigger: lost.trigger,
            slot: None,
        }),
        _ => None,
    }
}
