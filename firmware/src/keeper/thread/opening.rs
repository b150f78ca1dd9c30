//! What the keeper opens and starts, and when.
//!
//! Each request is tried once when its time has come, and answered. Part of the keeper's thread.

use std::time::{Duration, Instant};

use pressel_pipeline::limits::PINS_MAX;

use super::{Delivery, Hand, Room};
use crate::main_loop::PinName;
use crate::worker::{Setup, WorkerProcess};

/// Places in the list of last errors.
const MICROPHONE: usize = 0;
const LINK: usize = 1;
const WORKER: usize = 2;
const FIRST_PIN: usize = 3;
pub(super) const KINDS: usize = FIRST_PIN + PINS_MAX;

/// What is to be done when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Due {
    pub(super) microphone: Option<Instant>,
    pub(super) link: Option<Instant>,
    pub(super) pins: [Option<Instant>; PINS_MAX],
    pub(super) worker: Option<Instant>,
    /// The next worker is not to use CUDA.
    pub(super) worker_on_cpu: bool,
    pub(super) journal: Option<Instant>,
}

impl Due {
    /// Returns how long it is until the next one.
    pub(super) fn next(&self) -> Option<Duration> {
        let all = [self.microphone, self.link, self.worker, self.journal];
        let next = all.into_iter().chain(self.pins).flatten().min();
        next.map(|at| at.saturating_duration_since(Instant::now()))
    }
}

/// Takes the time out if it has come.
fn take_due(time: &mut Option<Instant>) -> bool {
    time.take_if(|at| *at <= Instant::now()).is_some()
}

impl Room {
    pub(super) fn open_what_is_due(&mut self) {
        if take_due(&mut self.due.microphone) {
            self.in_hand = Hand::Microphone;
            self.open_microphone();
        }
        if take_due(&mut self.due.link) {
            self.in_hand = Hand::Link;
            self.open_link();
        }
        for index in 0..PINS_MAX {
            if take_due(&mut self.due.pins[index]) {
                let name = PinName::of_index(index);
                self.in_hand = Hand::Pin(name);
                self.open_pin(name);
            }
        }
        if take_due(&mut self.due.worker) {
            self.in_hand = Hand::Worker;
            self.start_worker();
        }
    }

    fn open_microphone(&mut self) {
        let delivery = match self.tools.opener.microphone() {
            Ok(microphone) => {
                self.now_fine(MICROPHONE, || {
                    format!("microphone open device={}", microphone.name())
                });
                Delivery::Microphone(microphone)
            }
            Err(error) => self.complain(MICROPHONE, error, Delivery::NoMicrophone),
        };
        self.deliver(delivery);
    }

    fn open_link(&mut self) {
        let delivery = match self.tools.opener.link() {
            Ok(Some(link)) => {
                self.now_fine(LINK, || format!("link open port={}", link.name()));
                Delivery::Link(link)
            }
            Ok(None) => {
                self.in_hand = Hand::Nothing;
                return;
            }
            Err(error) => self.complain(LINK, error, Delivery::NoLink),
        };
        self.deliver(delivery);
    }

    fn open_pin(&mut self, name: PinName) {
        let kind = FIRST_PIN + name.index();
        let delivery = match self.tools.opener.pin(name) {
            Ok(pin) => {
                self.now_fine(kind, || format!("pin open name={name}"));
                Delivery::Pin(pin)
            }
            Err(error) => self.complain(kind, error, Delivery::NoPin(name)),
        };
        self.deliver(delivery);
    }

    fn start_worker(&mut self) {
        self.end_worker();
        let board = &self.tools.setup;
        let setup = Setup {
            cuda: board.cuda && !self.due.worker_on_cpu,
            ..board.clone()
        };
        let delivery = match WorkerProcess::start(&setup, self.tools.memory.raw_fd()) {
            Ok((worker, socket)) => {
                log::info!("worker started pid={}", worker.id());
                self.worker = Some(worker);
                Delivery::Worker(socket)
            }
            Err(error) => self.complain(
                WORKER,
                format!("cannot start the worker: {error}"),
                Delivery::NoWorker,
            ),
        };
        self.deliver(delivery);
    }

    fn now_fine(&mut self, kind: usize, line: impl FnOnce() -> String) {
        self.last_error[kind].clear();
        log::info!("{}", line());
    }

    /// Prints an error unless it was the last one of its kind, and goes on with `delivery`.
    fn complain(&mut self, kind: usize, error: String, delivery: Delivery) -> Delivery {
        if self.last_error[kind] != error {
            log::warn!("{error}");
            self.last_error[kind] = error;
        }
        delivery
    }
}
