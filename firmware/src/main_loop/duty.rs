//! What the main loop does in a turn, one duty after the other.
//!
//! Each duty takes from one neighbour and gives to the others. None of them waits.

use heapless::Vec;
use pressel_hal::MicError;
use pressel_pipeline::lights;
use pressel_pipeline::limits::{COMMANDS_WAITING_MAX, COUNTERS_EVERY_MS, FAREWELL_MS};
use pressel_pipeline::session;
use pressel_pipeline::time::Millis;
use pressel_wire::{Alert, DeviceMessage, DropReason, HostMessage, OutcomeResult, Trigger};

use super::MainLoop;
use super::pins::ChainNews;
use super::serial::HOST_MESSAGES_MAX;
use super::wait::Ready;
use crate::keeper::{Delivery, Errand, Record};
use crate::outcome::Finished;
use crate::stream::{Command, Control};

impl MainLoop {
    /// Says hello, asks for the worker, and looks at the switches.
    pub fn begin(&mut self) {
        let now = self.fixed.clock.now_ms();
        self.alerts.set(Alert::SafeMode, self.fixed.safe_mode);
        self.alerts
            .set(Alert::VadFallback, self.fixed.hears_by_level);
        self.start_worker(0);
        self.greet();
        self.settle_inputs(now);
    }

    pub(super) fn take_audio(&mut self, now: Millis) {
        let (news, error) = self.capture.read(&mut self.neighbours.ends.blocks, now);
        if news {
            self.neighbours.listen_bell.ring();
        }
        let Some(error) = error else { return };
        self.note(Record::Microphone(error));
        if let MicError::Lost { .. } = error {
            if let Some(microphone) = self.capture.take(now) {
                self.ask(Errand::CloseMicrophone(microphone));
            }
            self.command(Control::Discard(DropReason::MicLost));
            let wait_ms = self.capture.next_retry_ms();
            self.ask(Errand::OpenMicrophone { wait_ms });
        }
    }

    pub(super) fn take_pins(&mut self, ready: &Ready, now: Millis) {
        match self.pins.button.look(ready.button, now) {
            Ok(Some(true)) => self.happen(session::Event::ButtonDown, now),
            Ok(Some(false)) => self.happen(session::Event::ButtonUp, now),
            Ok(None) => {}
            Err(error) => self.lose_button(error, now),
        }
        match self.pins.mute.look(ready.mute, now) {
            Ok(Some(muted)) => {
                self.switch_mutes = muted;
                self.mute(now);
            }
            Ok(None) => {}
            Err(error) => self.pin_failed("mute", error),
        }
    }

    pub(super) fn take_link(&mut self, now: Millis) {
        let mut messages: Vec<HostMessage, HOST_MESSAGES_MAX> = Vec::new();
        if let Err(error) = self.serial.read(&mut messages) {
            self.lose_link(error);
        }
        for message in messages {
            match message {
                HostMessage::Ping { nonce } => self.tell(&DeviceMessage::Pong { nonce }),
                HostMessage::PttDown => self.host_talks(true, now),
                HostMessage::PttUp => self.host_talks(false, now),
                HostMessage::Cancel => self.happen(session::Event::HostCancel, now),
                HostMessage::Mute(muted) => {
                    self.host_mutes = muted;
                    self.mute(now);
                }
                HostMessage::GetStatus => {
                    self.greet();
                    self.tell_state();
                    self.tell_counters(now);
                    self.outbox.send_again(now);
                }
                HostMessage::Acknowledge(mark) => {
                    if let Some(mark) = self.outbox.acknowledge(mark, now) {
                        self.ask(Errand::Acknowledged(mark));
                    }
                }
            }
        }
    }

    pub(super) fn take_deliveries(&mut self, now: Millis) {
        while let Ok(delivery) = self.neighbours.deliveries.try_recv() {
            if let Delivery::Microphone(_) | Delivery::NoMicrophone = delivery {
                self.unmuting = false;
            }
            match delivery {
                // Muted in the meantime, or opened twice by a quick mute and unmute.
                Delivery::Microphone(microphone)
                    if self.session == session::State::Muted || self.capture.is_open() =>
                {
                    self.ask(Errand::CloseMicrophone(microphone));
                }
                Delivery::Microphone(microphone) => {
                    self.capture.resume(microphone, now);
                    if self.session.is_talking() {
                        // The button is still held: what is said from now on is not lost.
                        self.command(Control::TalkStart);
                    }
                }
                Delivery::NoMicrophone
                    if self.session == session::State::Muted || self.capture.is_open() => {}
                Delivery::NoMicrophone => {
                    let wait_ms = self.capture.next_retry_ms();
                    self.ask(Errand::OpenMicrophone { wait_ms });
                }
                Delivery::Link(link) => {
                    self.serial.resume(link);
                    self.greet();
                    self.outbox.send_again(now);
                }
                Delivery::Found { asked, found } => self.outbox.take_found(asked, found),
                Delivery::NoLink => {
                    let wait_ms = self.serial.next_retry_ms();
                    self.ask(Errand::OpenLink { wait_ms });
                }
                Delivery::Pin(pin) => self.resume_pin(pin, now),
                Delivery::NoPin(name) => self.wait_for_pin(name),
                Delivery::Worker(socket) => self.recogniser.resume(socket, now),
                Delivery::Alert { alert, on } => self.alerts.set(alert, on),
                Delivery::NoWorker => self.lose_worker("it cannot be started", now),
            }
        }
    }

    pub(super) fn keep_time(&mut self, now: Millis) {
        self.happen(session::Event::Tick, now);
        if let Some(news) = self.recogniser.keep_time(now) {
            self.take_news(news, now);
        }
        let is_sent = self.serial.is_open() && self.serial.is_flushed();
        self.outbox.keep_time(is_sent, now);
        if self.counters_at + COUNTERS_EVERY_MS <= now {
            self.tell_counters(now);
        }
        while let Some(command) = self.commands.pop_front() {
            if self.neighbours.ends.commands.enqueue(command).is_err() {
                self.commands.push_front(command).ok(); // It was just taken out: there is room.
                break;
            }
            self.neighbours.listen_bell.ring();
        }
    }

    pub(super) fn show(&mut self, now: Millis) {
        self.view.recording = self.open.is_some() || self.session.is_talking();
        self.view.recognising = self.recogniser.is_running() || 0 < self.recogniser.waiting_count();
        self.view.muted = self.session == session::State::Muted || self.unmuting;
        self.view.microphone_lost = !self.capture.is_open() && !self.view.muted;
        self.view.worker_down = self.recogniser.is_down();
        self.view.link_lost = self.serial.is_lost();
        self.view.safe_mode = self.alerts.is_on(Alert::SafeMode);
        self.view.on_processor = self.alerts.is_on(Alert::CpuFallback);
        self.view.journal_down = self.alerts.is_on(Alert::JournalDown);
        self.view.by_level = self.alerts.is_on(Alert::VadFallback);
        self.view.wake_down = self.alerts.is_on(Alert::WakeDown);
        self.light_up(lights::lights(&self.view, &self.pins.patterns, now), now);
    }

    /// Sets the LEDs; one that fails is told once, and stops nothing.
    fn light_up(&mut self, lights: lights::Lights, now: Millis) {
        if let Some((light, error)) = self.pins.show(lights) {
            self.pin_failed(light.name(), error);
        }
        match self.pins.show_chain(lights, now) {
            Some(ChainNews::Failed(error)) => self.pin_failed("pixels", error),
            Some(ChainNews::Works { failures }) => self.note(Record::PixelsWork { failures }),
            None => {}
        }
    }

    /// Muted is what the switch or the host mutes; neither opens what the other has closed.
    pub(super) fn mute(&mut self, now: Millis) {
        let muted = self.switch_mutes || self.host_mutes;
        self.happen(session::Event::Mute(muted), now);
    }

    /// The host's push-to-talk went down or up.
    fn host_talks(&mut self, talks: bool, now: Millis) {
        self.host_holds = talks;
        self.happen(session::Event::HostTalk(talks), now);
    }

    /// The host is gone: it can no longer let go of its push-to-talk.
    pub(super) fn let_go_for_host(&mut self) {
        if self.host_holds {
            let now = self.fixed.clock.now_ms();
            self.host_talks(false, now);
        }
    }

    /// Lets the session machine take an event, and does what it says.
    pub(super) fn happen(&mut self, event: session::Event, now: Millis) {
        let step = session::step(&self.session, event, now, &self.fixed.session);
        self.session = step.next;
        // Before anything else: a file's chunk gives way to a press at once.
        self.attend(now);
        match step.action {
            Some(session::Action::TalkStart) if self.capture.is_open() => {
                self.command(Control::TalkStart);
            }
            // A press without a microphone records nothing; the light says why.
            Some(session::Action::TalkStart) => self.view.dropped_at = Some(now),
            Some(session::Action::TalkStop) => self.command(Control::TalkStop),
            Some(session::Action::Cancel) => {
                self.command(Control::Discard(DropReason::Cancelled));
                self.recogniser.cancel(now);
                self.settle(now);
            }
            Some(session::Action::Mute) => {
                self.command(Control::Mute);
                self.capture.wipe_ring();
                if let Some(microphone) = self.capture.take(now) {
                    self.ask(Errand::CloseMicrophone(microphone));
                }
            }
            Some(session::Action::Unmute) => {
                self.unmuting = true;
                self.ask(Errand::OpenMicrophone { wait_ms: 0 });
            }
            None => {}
        }
    }

    /// Tells listen what the owner wants, as of the newest sample.
    pub(super) fn command(&mut self, control: Control) {
        let command = Command {
            at: self.capture.sample_time(),
            control,
        };
        // Order is kept: behind others that wait, or straight into the ring.
        let refused = if self.commands.is_empty() {
            self.neighbours.ends.commands.enqueue(command).err()
        } else {
            Some(command)
        };
        if let Some(command) = refused {
            self.wait_with(command);
        }
        self.neighbours.listen_bell.ring();
    }

    /// Keeps a command until listen's ring has room. With this list full, listen has been stuck for
    /// long: a press that finds no room for itself and its release is refused, and a discard or a
    /// mute makes all presses before it void. Each of them ends as dropped here: listen never hears
    /// of it.
    fn wait_with(&mut self, command: Command) {
        let begins = |command: &Command| command.control == Control::TalkStart;
        let mut refused = 0;
        match command.control {
            Control::TalkStart if COMMANDS_WAITING_MAX < self.commands.len() + 2 => {
                return self.refuse_press();
            }
            Control::Discard(_) | Control::Mute if self.commands.is_full() => {
                refused = self
                    .commands
                    .iter()
                    .filter(|command| begins(command))
                    .count();
                self.commands.clear();
            }
            _ => {}
        }
        // Full only for the release of a press that was refused: it ends nothing.
        self.commands.push_back(command).ok();
        for _ in 0..refused {
            self.refuse_press();
        }
    }

    /// A press that listen never hears of has its outcome here; its utterance has no number.
    fn refuse_press(&mut self) {
        let now = self.fixed.clock.now_ms();
        let busy = OutcomeResult::Dropped(DropReason::Busy);
        self.ledger.opened();
        self.finish(Finished::bare(0, Trigger::Ptt, busy, now));
    }

    /// Gives every utterance that is left its outcome and lets the link take them, for a short
    /// time.
    pub(super) fn wind_up(&mut self) {
        self.stopping = true;
        let now = self.fixed.clock.now_ms();
        let shutdown = OutcomeResult::Dropped(DropReason::Shutdown);
        self.take_listen_events(now);
        if let Some((id, trigger)) = self.open.take() {
            self.finish(Finished::bare(id, trigger, shutdown, now));
        }
        self.recogniser.stop(now);
        self.settle(now);
        let until = now + self.fixed.clock.of_real_ms(FAREWELL_MS);
        loop {
            let now = self.fixed.clock.now_ms();
            self.give_link(now);
            self.flush_errands();
            if until <= now || (self.outbox.is_sent() && self.serial.is_flushed()) {
                break;
            }
            if self.wait(until - now).is_err() {
                break;
            }
        }
        let now = self.fixed.clock.now_ms();
        self.light_up(lights::Lights::default(), now);
        let counters = self.counters();
        self.note(Record::Counters(counters));
    }
}
