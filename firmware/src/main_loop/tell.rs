//! What the main loop says on the serial line, and what it does when the line is lost.
//!
//! Outcomes, states, greetings and counters in; messages in the link's buffer out. Runs on the main
//! loop. What finds no room is told later, or is dropped and counted; nothing here waits.

use pressel_hal::LinkError;
use pressel_pipeline::session;
use pressel_pipeline::time::Millis;
use pressel_wire::limits::PROTOCOL;
use pressel_wire::{Delivered, DeviceMessage, DeviceState, Hello, OutcomeResult, Provider, State};

use super::MainLoop;
use super::outbox::Next;
use crate::keeper::{Errand, Record};

/// The version of this program, as the link tells it.
const VERSION: [u16; 3] = [
    number(env!("CARGO_PKG_VERSION_MAJOR")),
    number(env!("CARGO_PKG_VERSION_MINOR")),
    number(env!("CARGO_PKG_VERSION_PATCH")),
];

impl MainLoop {
    pub(super) fn give_link(&mut self, now: Millis) {
        self.give_outcomes(now);
        self.tell_state();
        self.tell_alerts();
        if let Err(error) = self.serial.flush() {
            self.lose_link(error);
        }
        self.tell_job();
        if let Err(error) = self.serial.flush() {
            self.lose_link(error);
        }
    }

    /// Tells alerts that have begun or are over; what finds no room is told at a later turn.
    fn tell_alerts(&mut self) {
        if !self.serial.is_open() {
            return;
        }
        while let Some((alert, on)) = self.alerts.news() {
            if !self.serial.send(&DeviceMessage::Alert { alert, on }) {
                return;
            }
            self.alerts.told(alert, on);
        }
    }

    /// Tells the state if it has changed; one that finds no room is told at a later turn.
    pub(super) fn tell_state(&mut self) {
        let state = self.state();
        if self.state_sent != Some(state) && self.serial.send(&DeviceMessage::State(state)) {
            self.state_sent = Some(state);
        }
        if self.state_noted != Some(state) {
            self.state_noted = Some(state);
            self.note(Record::State(state));
        }
    }

    /// Puts outcomes into the link's buffer, as long as there are some and they fit.
    fn give_outcomes(&mut self, now: Millis) {
        loop {
            let is_text = |result| matches!(result, OutcomeResult::Text { .. });
            let shows = match self.outbox.next(now) {
                Next::Nothing => return,
                Next::Plain(finished) => {
                    let result = finished.outcome.result;
                    if !self.serial.send_outcome(finished) {
                        return;
                    }
                    self.outbox.sent_plain();
                    is_text(result)
                }
                Next::Delivered {
                    after,
                    boot,
                    outcome,
                    text,
                } => {
                    let delivered = Delivered {
                        after,
                        boot,
                        outcome: *outcome,
                    };
                    if !self.serial.send_delivered(&delivered, text) {
                        return;
                    }
                    self.outbox.sent_delivered(delivered.end(), now)
                        && is_text(delivered.outcome.result)
                }
                Next::Gap { from, to } => {
                    if !self.serial.send(&DeviceMessage::Gap { from, to }) {
                        return;
                    }
                    self.outbox.sent_gap(to, now);
                    // To a host that had nothing, nothing is lost.
                    if from.boot != 0 {
                        self.note(Record::Gap { from, to });
                    }
                    false
                }
                Next::Fetch(mark) => {
                    if self.ask_now(Errand::Fetch(mark)) {
                        self.outbox.asked();
                    }
                    return;
                }
            };
            if shows {
                self.view.text_at = Some(now);
            }
        }
    }

    pub(super) fn lose_link(&mut self, error: LinkError) {
        if let Some(link) = self.serial.take() {
            self.note(Record::Link(error));
            self.let_go_for_host();
            self.ask(Errand::CloseLink(link));
            let wait_ms = self.serial.next_retry_ms();
            self.ask(Errand::OpenLink { wait_ms });
        }
    }

    /// Sends a message that is of no use later; one that does not fit is dropped and counted.
    pub(super) fn tell(&mut self, message: &DeviceMessage) {
        if !self.serial.send(message) {
            self.serial.count_dropped();
        }
    }

    /// Tells who speaks; the state follows in the same turn, and then alerts that are on and the
    /// job that runs.
    pub(super) fn greet(&mut self) {
        let hello = Hello {
            protocol: PROTOCOL,
            version: VERSION,
            board: self.fixed.board.clone(),
            boot: self.fixed.boot,
            model: self.fixed.model.clone(),
        };
        self.tell(&DeviceMessage::Hello(hello));
        self.state_sent = None;
        self.alerts.greeted();
        self.files.greeted();
    }

    pub(super) fn tell_counters(&mut self, now: Millis) {
        self.counters_at = now;
        let counters = self.counters();
        self.tell(&DeviceMessage::Counters(counters));
    }

    /// Returns what the appliance is doing.
    pub(super) fn state(&self) -> State {
        // Until the microphone is open again, it is as good as muted.
        let muted = self.session == session::State::Muted || self.unmuting;
        let worker_ok = self.recogniser.is_ready();
        let state = if self.stopping {
            DeviceState::Stopping
        } else if muted {
            DeviceState::Muted
        } else if !self.capture.is_open() {
            DeviceState::MicLost
        } else if self.open.is_some() || self.session.is_talking() {
            DeviceState::Recording
        } else if self.recogniser.is_down() {
            DeviceState::WorkerDown
        } else if !worker_ok {
            DeviceState::Starting
        } else if self.recogniser.is_running() {
            DeviceState::Recognising
        } else {
            DeviceState::Idle
        };
        let provider = match (worker_ok, self.recogniser.is_cuda()) {
            (false, _) => Provider::None,
            (true, false) => Provider::Cpu,
            (true, true) => Provider::Cuda,
        };
        let waiting = u8::try_from(self.recogniser.waiting_count()).unwrap_or(u8::MAX);
        State {
            state,
            provider,
            microphone_ok: self.capture.is_open(),
            worker_ok,
            muted,
            waiting,
        }
    }
}

/// Reads a decimal number at compile time.
const fn number(text: &str) -> u16 {
    let bytes = text.as_bytes();
    let (mut value, mut index) = (0, 0);
    while index < bytes.len() {
        assert!(bytes[index].is_ascii_digit());
        value = value * 10 + (bytes[index] - b'0') as u16;
        index += 1;
    }
    value
}
