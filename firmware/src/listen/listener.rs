//! The listener: one block at a time through VAD, gate, wake and utterance machines.
//!
//! Runs on listen's thread, or inside `replay`. The same blocks and commands give the same events,
//! always: nothing here looks at a clock.

use heapless::Vec;
use pressel_models::{vad, wake_word};
use pressel_pipeline::history::History;
use pressel_pipeline::limits::{
    BLOCK_SAMPLES, EVENTS_PER_BLOCK_MAX, HISTORY_SAMPLES, UTTERANCE_SAMPLES_MAX, WAKE_CLIP_SAMPLES,
    WAKE_WORDS_MAX,
};
use pressel_pipeline::time::SampleTime;
use pressel_pipeline::waiting::SpeechSpan;
use pressel_pipeline::{ahead, gate, utterance, wake};
use pressel_wire::{DropReason, Trigger};

use super::ears::Ears;
use super::words::Word;
use crate::second_looks::CLIP_START;
use crate::slots::Slots;
use crate::stream::{Ahead, Block, ClosedUtterance, Command, Control, ListenEvent, LostUtterance};

/// Numbers that the configuration may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Speech and silence.
    pub gate: gate::Tuning,
    /// What is one utterance.
    pub utterance: utterance::Tuning,
    /// Whether the worker may look at what is being recorded.
    pub works_ahead: bool,
}

/// Events that one call gave.
pub type Events = Vec<ListenEvent, EVENTS_PER_BLOCK_MAX>;

/// The utterance that is being written.
#[derive(Clone, Copy, Debug)]
struct Writing {
    id: u32,
    /// `None` when no slot was free: the utterance will end as `Dropped{busy}`.
    slot: Option<u8>,
    start: SampleTime,
    written: u32,
    speech: Option<SpeechSpan>,
    ahead: ahead::State,
}

/// The logic of listen. Memory: 64 KB of history.
pub struct Listener<S: Slots> {
    tuning: Tuning,
    ears: Ears,
    slots: S,
    history: History,
    vad_next: SampleTime,
    wake_next: SampleTime,
    gate: gate::State,
    wake: [wake::State; WAKE_WORDS_MAX],
    utterance: utterance::State,
    writing: Option<Writing>,
    id_next: u32,
}

impl<S: Slots> Listener<S> {
    /// Makes a listener at sample time 0.
    #[must_use]
    pub fn new(tuning: Tuning, ears: Ears, slots: S) -> Self {
        Self {
            tuning,
            ears,
            slots,
            history: History::new(),
            vad_next: 0,
            wake_next: 0,
            gate: gate::State::Silence { run: None },
            wake: [wake::State::ARMED; WAKE_WORDS_MAX],
            utterance: utterance::State::Closed { since: 0 },
            writing: None,
            id_next: 1,
        }
    }

    /// Takes the listener apart, to make another one of its ears and slots.
    #[must_use]
    pub fn into_parts(mut self) -> (Ears, S) {
        self.ears.reset();
        (self.ears, self.slots)
    }

    /// Returns the sample time up to which the stream was heard.
    #[must_use]
    pub fn heard(&self) -> SampleTime {
        self.history.end()
    }

    /// Returns the memory of slots, for the owner that hands them out.
    pub fn slots(&mut self) -> &mut S {
        &mut self.slots
    }

    /// Returns the number of the open utterance.
    #[must_use]
    pub fn open_id(&self) -> Option<u32> {
        self.writing.map(|writing| writing.id)
    }

    /// Returns what the worker may look at now, of the utterance that is being recorded. To be
    /// asked after each block; who does not ask changes nothing.
    pub fn ahead(&mut self) -> Option<Ahead> {
        let utterance::State::Open { end, .. } = self.utterance else {
            return None;
        };
        let writing = self.writing.as_mut().filter(|_| self.tuning.works_ahead)?;
        let offset = |at: SampleTime| u32::try_from(at - writing.start).unwrap_or(u32::MAX);
        let sight = ahead::Sight {
            speech: writing.speech?,
            heard: offset(self.vad_next.max(writing.start)).min(writing.written),
            end: end.map(|end| offset(end.max(writing.start))),
        };
        let step = ahead::step(&writing.ahead, &sight);
        writing.ahead = step.next;
        Some(Ahead {
            utterance: writing.id,
            slot: writing.slot?,
            look: step.look?,
        })
    }

    /// Returns the slot of the open utterance.
    #[cfg(test)]
    pub(crate) fn slot_held(&self) -> Option<u8> {
        self.writing.and_then(|writing| writing.slot)
    }

    /// Obeys a command whose sample time has been reached: what was not heard until then was lost.
    pub fn obey(&mut self, command: Command, events: &mut Events) {
        self.fill_gap(command.at, events);
        let at = command.at.max(self.history.end());
        match command.control {
            Control::TalkStart => self.utter(utterance::Event::TalkStart(at), events),
            Control::TalkStop => self.utter(utterance::Event::TalkStop(at), events),
            Control::Discard(reason) => self.discard(at, reason, events),
            Control::Mute => {
                self.discard(at, DropReason::Muted, events);
                self.history.wipe();
                self.slots.wipe_free();
                self.forget();
            }
        }
    }

    /// Hears one block.
    pub fn hear(&mut self, block: &Block, events: &mut Events) {
        self.fill_gap(block.start, events);
        if block.start < self.history.end() {
            return; // Heard already; cannot happen while one main loop counts the samples.
        }
        self.history.push(block.start, &block.samples);
        self.hear_wake_words(events);
        self.hear_voice(events);
        self.go_on_behind_wake_word(events);
        self.copy_into_slot();
        self.utter(utterance::Event::Heard(self.history.end()), events);
    }

    /// Ends the stream: an open utterance is closed here.
    pub fn finish(&mut self, events: &mut Events) {
        let end = self.history.end();
        if let gate::State::Speech { last } = self.gate {
            push(events, ListenEvent::SpeechEnd(last));
            self.gate = gate::State::Silence { run: None };
        }
        if let utterance::State::Open {
            trigger,
            start,
            end: known,
        } = self.utterance
        {
            let end = known.map_or(end, |known| known.min(end));
            self.utterance = utterance::State::Open {
                trigger,
                start,
                end: Some(end),
            };
            self.utter(utterance::Event::Heard(end), events);
        }
    }

    /// Starts afresh after a panic: the open utterance is lost, the stream goes on.
    pub fn recover(&mut self, events: &mut Events) {
        if let utterance::State::Open { trigger, .. } = self.utterance {
            self.lose(trigger, DropReason::Internal, events);
        }
        self.utterance = utterance::State::Closed {
            since: self.history.end(),
        };
        self.gate = gate::State::Silence { run: None };
        self.wake = [wake::State::ARMED; WAKE_WORDS_MAX];
        self.forget();
    }

    fn fill_gap(&mut self, until: SampleTime, events: &mut Events) {
        let gap = until.saturating_sub(self.history.end());
        if gap == 0 {
            return;
        }
        push(events, ListenEvent::Gap(gap));
        if gap > HISTORY_SAMPLES as u64 {
            // Nothing useful is said across so long a gap; it also bounds the loop below.
            self.discard(self.history.end(), DropReason::MicLost, events);
        }
        // In steps, so that an open utterance gets the whole gap as silence.
        while self.history.end() < until {
            let step = (self.history.end() + BLOCK_SAMPLES as u64).min(until);
            self.history.silence(step);
            self.copy_into_slot();
            self.utter(utterance::Event::Heard(step), events);
            if self.writing.is_none() {
                self.history.silence(until);
            }
        }
        self.forget();
    }

    /// Starts the models afresh at the end of the history.
    fn forget(&mut self) {
        self.ears.reset();
        self.vad_next = self.history.end();
        self.wake_next = self.history.end();
        self.wake = self.wake.map(wake::State::without_scores);
        if let gate::State::Silence { .. } = self.gate {
            self.gate = gate::State::Silence { run: None };
        }
    }

    fn hear_voice(&mut self, events: &mut Events) {
        const FRAME: u64 = vad::FRAME_SAMPLES as u64;
        while self.vad_next + FRAME <= self.history.end() {
            let mut frame = [0; vad::FRAME_SAMPLES];
            self.history.copy(self.vad_next, &mut frame);
            let (probability, fell_back) = self.ears.voice(&frame);
            if fell_back {
                push(events, ListenEvent::VadFellBack);
            }
            let (start, end) = (self.vad_next, self.vad_next + FRAME);
            self.vad_next = end;
            if self.tuning.gate.close_probability <= probability {
                self.note_speech(start, end);
            }
            let frame = gate::Frame {
                start,
                end,
                probability,
            };
            let step = gate::step(&self.gate, frame, &self.tuning.gate);
            self.gate = step.next;
            match step.mark {
                Some(gate::Mark::SpeechStart(at)) => {
                    // A long doubtful run may have begun before the history: what is gone is gone.
                    let padding = self.tuning.utterance.start_padding;
                    let at = at.max(self.history.start() + padding);
                    push(events, ListenEvent::SpeechStart(at));
                    self.utter(utterance::Event::SpeechStart(at), events);
                    // The frames that opened the gate belong to the utterance that they opened.
                    self.note_speech(at, end);
                }
                Some(gate::Mark::SpeechEnd(at)) => {
                    push(events, ListenEvent::SpeechEnd(at));
                    self.utter(utterance::Event::SpeechEnd(at), events);
                }
                None => {}
            }
        }
    }

    fn hear_wake_words(&mut self, events: &mut Events) {
        const FRAME: u64 = wake_word::FRAME_SAMPLES as u64;
        if self.ears.words().is_empty() {
            return;
        }
        while self.wake_next + FRAME <= self.history.end() {
            let mut frame = [0; wake_word::FRAME_SAMPLES];
            self.history.copy(self.wake_next, &mut frame);
            self.wake_next += FRAME;
            let mut scores = [0.0; WAKE_WORDS_MAX];
            if !self.ears.wake_scores(&frame, &mut scores) {
                push(events, ListenEvent::WakeFailed);
            }
            for (index, score) in scores.into_iter().enumerate() {
                let Some(&Word { name, tuning }) = self.ears.words().get(index) else {
                    break;
                };
                let step = wake::step(&self.wake[index], score, self.wake_next, &tuning);
                self.wake[index] = step.next;
                if let Some(wake::Heard { score, end: at }) = step.heard {
                    push(
                        events,
                        ListenEvent::Wake {
                            word: name,
                            score,
                            at,
                        },
                    );
                    // What is older than the history is gone.
                    let at = at.max(self.history.start());
                    self.utter(utterance::Event::WakeHeard(at), events);
                }
            }
        }
    }

    /// Whoever speaks on behind the wake word opens no gate: it is open. That counts as speech once
    /// it is more than the end of the word itself.
    fn go_on_behind_wake_word(&mut self, events: &mut Events) {
        if let utterance::State::Open {
            trigger: Trigger::Wake,
            start,
            end: Some(end),
        } = self.utterance
            && let gate::State::Speech { last } = self.gate
            && end == start + self.tuning.utterance.wake_patience
            && start + self.tuning.utterance.wake_speech_min <= last
        {
            self.utter(utterance::Event::SpeechStart(start), events);
        }
    }

    /// Extends the speech span of the open utterance by `start..end`.
    fn note_speech(&mut self, start: SampleTime, end: SampleTime) {
        let Some(writing) = &mut self.writing else {
            return;
        };
        let offset =
            |at: SampleTime| u32::try_from(at.saturating_sub(writing.start)).unwrap_or(u32::MAX);
        if writing.start < end {
            let (start, end) = (offset(start), offset(end));
            let span = writing.speech.get_or_insert(SpeechSpan { start, end });
            span.start = span.start.min(start);
            span.end = span.end.max(end);
        }
    }

    fn discard(&mut self, at: SampleTime, reason: DropReason, events: &mut Events) {
        let step = utterance::step(
            &self.utterance,
            utterance::Event::Discard(at),
            &self.tuning.utterance,
        );
        self.utterance = step.next;
        for action in step.actions {
            if let utterance::Action::Discard { trigger } = action {
                self.lose(trigger, reason, events);
            }
        }
    }

    fn utter(&mut self, event: utterance::Event, events: &mut Events) {
        let step = utterance::step(&self.utterance, event, &self.tuning.utterance);
        self.utterance = step.next;
        for action in step.actions {
            match action {
                utterance::Action::Open { trigger, start } => self.open(trigger, start, events),
                utterance::Action::Close {
                    trigger,
                    end,
                    reason,
                } => {
                    self.close(trigger, end, reason, events);
                }
                utterance::Action::Discard { trigger } => {
                    self.lose(trigger, DropReason::Cancelled, events);
                }
            }
        }
    }

    fn open(&mut self, trigger: Trigger, start: SampleTime, events: &mut Events) {
        assert!(self.writing.is_none());
        let id = self.id_next;
        self.id_next += 1;
        let slot = self.slots.take();
        if let Some(slot) = slot.filter(|_| trigger == Trigger::Wake) {
            self.keep_wake_clip(slot);
        }
        self.writing = Some(Writing {
            id,
            slot,
            start,
            written: 0,
            speech: None,
            ahead: ahead::State::default(),
        });
        push(events, ListenEvent::Opened { id, trigger, start });
        // A press in the middle of speech: what the pre-roll took of it counts as speech too.
        if let gate::State::Speech { last } = self.gate {
            self.note_speech(start, last);
        }
        self.copy_into_slot();
    }

    /// Copies what was heard up to now to the end of the slot, where a second look finds it.
    fn keep_wake_clip(&mut self, slot: u8) {
        let from = self.history.end().saturating_sub(WAKE_CLIP_SAMPLES as u64);
        let end = usize::try_from(self.history.end() - from).unwrap_or(0);
        let clip = &mut self.slots.memory(slot)[CLIP_START..];
        // Before the stream there was silence.
        let silence = WAKE_CLIP_SAMPLES - end;
        clip[..silence].fill(0);
        self.history.copy(from, &mut clip[silence..]);
    }

    /// Copies what the history has and the slot has not. Stops at the end of the slot.
    fn copy_into_slot(&mut self) {
        let Some(writing) = &mut self.writing else {
            return;
        };
        let from = writing.start + u64::from(writing.written);
        let Some(fresh) = self.history.end().checked_sub(from) else {
            return;
        };
        let room = UTTERANCE_SAMPLES_MAX as u64 - u64::from(writing.written);
        let count = usize::try_from(fresh.min(room)).unwrap_or(0);
        if let Some(slot) = writing.slot {
            let written = writing.written as usize;
            let memory = &mut self.slots.memory(slot)[written..written + count];
            self.history.copy(from, memory);
        }
        writing.written += u32::try_from(count).unwrap_or(0);
    }

    fn close(
        &mut self,
        trigger: Trigger,
        end: SampleTime,
        reason: utterance::CloseReason,
        events: &mut Events,
    ) {
        let Some(writing) = self.writing.take() else {
            return;
        };
        let Writing {
            id,
            slot,
            start,
            written,
            speech,
            ..
        } = writing;
        assert!(start <= end);
        let samples = u32::try_from(end - start).unwrap_or(u32::MAX);
        let Some(slot) = slot else {
            push(
                events,
                ListenEvent::Lost(LostUtterance {
                    id,
                    trigger,
                    start,
                    samples,
                    reason: DropReason::Busy,
                }),
            );
            return;
        };
        assert!(samples <= written);
        assert!(samples as usize <= UTTERANCE_SAMPLES_MAX);
        let clip = |span: SpeechSpan| SpeechSpan {
            start: span.start,
            end: span.end.min(samples),
        };
        let speech = speech.map(clip).filter(|span| span.start < span.end);
        // What was heard behind a wake word was the rest of that word.
        let speech = speech.filter(|_| reason != utterance::CloseReason::NothingSaid);
        let closed_at = self.history.end();
        let closed = ClosedUtterance {
            id,
            slot,
            trigger,
            start,
            samples,
            speech,
            closed_at,
            reason,
        };
        push(events, ListenEvent::Closed(closed));
    }

    fn lose(&mut self, trigger: Trigger, reason: DropReason, events: &mut Events) {
        let Some(writing) = self.writing.take() else {
            return;
        };
        if let Some(slot) = writing.slot {
            self.slots.give_back(slot);
        }
        push(
            events,
            ListenEvent::Lost(LostUtterance {
                id: writing.id,
                trigger,
                start: writing.start,
                samples: writing.written,
                reason,
            }),
        );
    }
}

/// Adds an event. One block never gives more than fit: see [`EVENTS_PER_BLOCK_MAX`].
fn push(events: &mut Events, event: ListenEvent) {
    let fits = events.push(event).is_ok();
    debug_assert!(fits);
}

#[cfg(test)]
mod tests;
