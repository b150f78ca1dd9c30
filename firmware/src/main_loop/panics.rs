//! Health of the main loop: a panic that does not end it, and what it publishes of itself.
//!
//! Turns in; vitals, and the reason to end, out. A panic is caught at the top of a turn, counted
//! and reported, what was being recorded is given up, and the loop goes on, a bounded number of
//! times.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pressel_pipeline::limits::MAIN_LOOP_PANICS_MAX;
use pressel_pipeline::session;
use pressel_pipeline::time::Millis;
use pressel_wire::{DropReason, OutcomeResult, Trigger};

use super::{End, MainLoop};
use crate::alloc_guard;
use crate::keeper::Record;
use crate::outcome::Finished;
use crate::stream::Control;
use crate::vitals::{Published, Watched};

/// An utterance that is neither listen's nor the arbiter's, nor has its outcome yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct InHand {
    pub(super) id: u32,
    pub(super) trigger: Trigger,
    /// Its slot, until that is free.
    pub(super) slot: Option<u8>,
}

impl MainLoop {
    /// Runs until it is told to end, or has panicked too often. Every utterance has its outcome
    /// then.
    pub fn run(&mut self) -> End {
        loop {
            if let Some(end) = self.turn_safely() {
                // What a panic here leaves undone is not worth another end.
                if catch_unwind(AssertUnwindSafe(|| self.wind_up())).is_err() {
                    self.neighbours.vitals.panicked();
                }
                return end;
            }
        }
    }

    /// One turn; a panic in it is caught and told. Returns the reason to end, if there is one.
    pub(super) fn turn_safely(&mut self) -> Option<End> {
        if let Ok(end) = catch_unwind(AssertUnwindSafe(|| self.turn())) {
            return end;
        }
        // The hook that reports a panic lifts the seal, where there was one.
        alloc_guard::seal();
        self.panics = self.panics.saturating_add(1);
        self.neighbours.vitals.panicked();
        let recovered = catch_unwind(AssertUnwindSafe(|| self.recover()));
        let ends = recovered.is_err() || MAIN_LOOP_PANICS_MAX <= self.panics;
        ends.then_some(End::Panicked)
    }

    /// Gives up what the turn that panicked had in its hands, and what is being recorded. A worker
    /// whose answer was lost is lost itself: what it had is tried once more.
    fn recover(&mut self) {
        let now = self.fixed.clock.now_ms();
        self.note(Record::Panic {
            thread: "main-loop",
            count: self.panics,
        });
        let internal = DropReason::Internal;
        if let Some(InHand { id, trigger, slot }) = self.in_hand.take() {
            if let Some(slot) = slot {
                self.free(slot);
            }
            let result = OutcomeResult::Dropped(internal);
            self.finish(Finished::bare(id, trigger, result, now));
        }
        if self.recogniser.is_astray() {
            self.lose_worker("its answer was lost in a panic", now);
        }
        self.settle(now);
        self.recover_chunk(now);
        if self.session.is_talking() {
            self.session = session::State::Idle;
        }
        self.command(Control::Discard(internal));
        self.attend(now);
    }

    /// Publishes how this loop and the worker are.
    pub(super) fn publish(&mut self, now: Millis) {
        let byte = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        let commands = self.commands.len() + self.neighbours.ends.commands.len();
        let published = Published {
            state: self.state(),
            counters: self.counters(),
            outbox: byte(self.outbox.waiting_count()),
            errands: byte(self.errands.len() + self.neighbours.keeper.waiting_count()),
            commands: byte(commands),
            chunk: self.recogniser.has_chunk(),
            alerts: self.alerts.bits(),
            guesses: self.recogniser.guesses(),
            wakes_refused: self.recogniser.wakes_refused(),
        };
        let vitals = &self.neighbours.vitals;
        vitals.publish(&published);
        vitals.beat(Watched::MainLoop);
        if !self.recogniser.is_stuck(now) {
            vitals.beat(Watched::Worker);
        }
    }
}
