//! The keeper's thread and the doors to it.
//!
//! Errands in, deliveries out, both bounded. Nobody blocks in a channel: each side tries, and
//! sleeps in `poll(2)` beside its bell, so a send never meets a sleeping receiver's lock. A panic
//! is caught at the top, counted and reported; what it left unanswered is answered with a no.

mod opening;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use pressel_hal::linux::poll;
use pressel_pipeline::limits::{
    DELIVERIES_MAX, JOURNAL_RETRY_MS, KEEPER_QUEUE_RECORDS, KEEPER_RESERVED_RECORDS,
};

use pressel_wire::{Alert, Mark};

use super::errand::RunningWorker;
use super::report::{json_object, log_line};
use super::{Delivery, Errand, Opener, Recent, Record};
use crate::bell::Bell;
use crate::journal::{self, Folder, Found, Journal, Spoken};
use crate::main_loop::PinName;
use crate::outlet::Outlet;
use crate::slots::SharedMemory;
use crate::vitals::{Vitals, Watched};
use crate::worker::{Setup, WorkerProcess};
use opening::Due;

/// Longest sleep: the keeper is watched, and shows at least once a second that it is well.
const SLEEP_MS: u64 = 1_000;

/// The way to the keeper.
#[derive(Clone)]
pub struct Doors {
    errands: Sender<Errand>,
    bell: Bell,
}

impl Doors {
    /// Returns whether the queue has room for lines besides the outcomes that must not be missed.
    #[must_use]
    pub fn has_room_for_lines(&self) -> bool {
        self.errands.len() < KEEPER_QUEUE_RECORDS - KEEPER_RESERVED_RECORDS
    }

    /// Returns how many errands and lines wait.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        self.errands.len()
    }

    /// Makes the way to a keeper that the test plays: what is asked comes out of the receiver.
    #[cfg(test)]
    pub(crate) fn to_test(errands_max: usize) -> (Self, Receiver<Errand>) {
        let (errands, errands_out) = bounded(errands_max);
        let bell = Bell::new().unwrap();
        (Self { errands, bell }, errands_out)
    }

    /// Hands over an errand. Never blocks and never allocates.
    ///
    /// # Errors
    /// The errand itself, when the queue is full: the caller keeps it or counts it.
    #[allow(
        clippy::result_large_err,
        reason = "the caller gets its errand back, by value"
    )]
    pub fn ask(&self, errand: Errand) -> Result<(), Errand> {
        match self.errands.try_send(errand) {
            Ok(()) => {
                self.bell.ring();
                Ok(())
            }
            Err(TrySendError::Full(errand) | TrySendError::Disconnected(errand)) => Err(errand),
        }
    }
}

/// The keeper's thread, as its owner sees it.
pub struct Keeper {
    /// The way to it.
    pub doors: Doors,
    /// What it opened.
    pub deliveries: Receiver<Delivery>,
    /// Rings when something was delivered.
    pub bell: Bell,
    /// The last outcomes.
    pub recent: Arc<Recent>,
    thread: JoinHandle<()>,
}

/// What the keeper works with.
pub struct Tools {
    /// Opens devices.
    pub opener: Box<dyn Opener>,
    /// How a worker is started.
    pub setup: Setup,
    /// The slots that a worker reads.
    pub memory: SharedMemory,
    /// Print one JSON object a line on standard output.
    pub json: bool,
    /// Keeps transcripts; it has been started.
    pub journal: Journal<Folder>,
    /// Where it shows that it is well.
    pub vitals: Arc<Vitals>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// The error of making a bell or a thread.
    pub fn start(tools: Tools) -> io::Result<Self> {
        let (errands, errands_out) = bounded(KEEPER_QUEUE_RECORDS);
        let (deliveries_in, deliveries) = bounded(DELIVERIES_MAX);
        let (bell, bell_out) = (Bell::new()?, Bell::new()?);
        // A disk that failed at the start has been named there.
        let is_behind = tools.journal.is_behind();
        let due = Due {
            journal: is_behind.then(|| Instant::now() + Duration::from_millis(JOURNAL_RETRY_MS)),
            ..Due::default()
        };
        let recent = Arc::new(Recent::default());
        let room = Room {
            tools,
            recent: Arc::clone(&recent),
            in_hand: Hand::Nothing,
            panics: 0,
            errands: errands_out,
            deliveries: deliveries_in,
            bell_in: bell.clone(),
            bell_out: bell_out.clone(),
            worker: None,
            due,
            journal_failures: u32::from(is_behind),
            alerted: false,
            out: Outlet::output(),
            last_error: [const { String::new() }; opening::KINDS],
        };
        let thread = std::thread::Builder::new()
            .name("keeper".into())
            .spawn(|| room.run())?;
        Ok(Self {
            doors: Doors { errands, bell },
            deliveries,
            bell: bell_out,
            recent,
            thread,
        })
    }

    /// Prints what is left, kills the worker and ends the thread.
    pub fn finish(self) {
        let mut errand = Errand::Finish;
        let deadline = Instant::now() + Duration::from_millis(600);
        // The keeper empties its queue quickly; the wait is bounded all the same.
        while let Err(back) = self.doors.ask(errand) {
            errand = back;
            if deadline < Instant::now() {
                return;
            }
            std::thread::yield_now();
        }
        // A device that is being opened, or a slow disk, may hold it up; the end does not wait for
        // that, and the worker goes with this process.
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What the keeper is at: after a panic it tells who waits for an answer.
#[derive(Clone, Copy, Debug, Default)]
enum Hand {
    /// Nothing that anybody waits for.
    #[default]
    Nothing,
    Microphone,
    Link,
    Worker,
    Pin(PinName),
    Fetch(Mark),
    Journal,
    Finish,
}

/// The inside of the keeper's thread.
struct Room {
    tools: Tools,
    recent: Arc<Recent>,
    in_hand: Hand,
    /// Panics since start.
    panics: u32,
    errands: Receiver<Errand>,
    deliveries: Sender<Delivery>,
    bell_in: Bell,
    bell_out: Bell,
    worker: RunningWorker,
    due: Due,
    /// Tries in a row that the journal's disk did not take.
    journal_failures: u32,
    /// The main loop was told that the journal fails.
    alerted: bool,
    /// Standard output, for `--json`.
    out: Outlet,
    /// Last error of microphone, link, worker and each pin: the same one is not printed twice.
    last_error: [String; opening::KINDS],
}

impl Room {
    fn run(mut self) {
        while self.turn_safely() {}
    }

    /// One turn; a panic in it is caught and told. Returns whether the thread goes on.
    fn turn_safely(&mut self) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.turn())).unwrap_or_else(|_| self.recover())
    }

    /// Does what is there to do, and sleeps.
    fn turn(&mut self) -> bool {
        self.tools.vitals.beat(Watched::Keeper);
        while let Ok(errand) = self.errands.try_recv() {
            if let Errand::Finish = errand {
                self.in_hand = Hand::Finish;
                self.end_worker();
                self.write_journal(true);
                return false;
            }
            self.run_errand(errand);
            self.tools.vitals.beat(Watched::Keeper);
        }
        self.open_what_is_due();
        self.write_journal(false);
        self.tell_alert();
        let wait = self.due.next().map_or(SLEEP_MS, |wait| {
            u64::try_from(wait.as_millis()).map_or(SLEEP_MS, |ms| SLEEP_MS.min(ms + 1))
        });
        let mut fds = [self.bell_in.poll_fd()];
        if poll::wait(&mut fds, i32::try_from(wait).unwrap_or(1)).is_err() {
            return false; // Only a closed bell does that.
        }
        self.bell_in.hush();
        true
    }

    /// After a panic: tells it, and answers whoever waits. Returns whether the thread goes on.
    fn recover(&mut self) -> bool {
        self.panics = self.panics.saturating_add(1);
        self.tools.vitals.panicked();
        let told = Record::Panic {
            thread: "keeper",
            count: self.panics,
        };
        // It may be the printing that panics: then the panic's own line has to do.
        catch_unwind(AssertUnwindSafe(|| self.print(&told))).ok();
        match core::mem::take(&mut self.in_hand) {
            Hand::Nothing => {}
            Hand::Microphone => self.deliver(Delivery::NoMicrophone),
            Hand::Link => self.deliver(Delivery::NoLink),
            Hand::Worker => self.deliver(Delivery::NoWorker),
            Hand::Pin(name) => self.deliver(Delivery::NoPin(name)),
            Hand::Fetch(asked) => {
                // What the journal cannot give is lost for the host, and it is told so.
                let found = Found {
                    spoken: None,
                    gap: true,
                };
                self.deliver(Delivery::Found { asked, found });
            }
            Hand::Journal => self.journal_failed(),
            Hand::Finish => return false,
        }
        true
    }

    fn run_errand(&mut self, errand: Errand) {
        let after = |wait_ms| Some(Instant::now() + Duration::from_millis(wait_ms));
        match errand {
            Errand::Record(record) => {
                self.keep(&record);
                self.print(&record);
            }
            Errand::Acknowledged(mark) => self.tools.journal.acknowledge(mark),
            Errand::Fetch(asked) => {
                self.in_hand = Hand::Fetch(asked);
                let found = self.tools.journal.next_after(asked);
                self.deliver(Delivery::Found { asked, found });
            }
            Errand::OpenMicrophone { wait_ms } => self.due.microphone = after(wait_ms),
            Errand::CloseMicrophone(microphone) => drop(microphone),
            Errand::OpenLink { wait_ms } => self.due.link = after(wait_ms),
            Errand::CloseLink(link) => drop(link),
            Errand::MendPin { name, old, wait_ms } => {
                drop(old);
                if let Some(due) = self.due.pins.get_mut(name.index()) {
                    *due = after(wait_ms);
                }
            }
            Errand::StartWorker { wait_ms, cpu } => {
                self.due.worker = after(wait_ms);
                self.due.worker_on_cpu = cpu;
            }
            Errand::EndWorker(socket) => {
                // Before its end of the socket is closed: then it would end by itself.
                if let Some(status) = self.worker.take().and_then(WorkerProcess::end) {
                    log::warn!("worker ended by itself: {status}");
                }
                drop(socket);
            }
            Errand::Finish => {}
        }
    }

    /// Hands an outcome to the journal, to be written when the queue is empty.
    fn keep(&mut self, record: &Record) {
        if let Record::Outcome { outcome, text, .. } = record {
            let spoken = Spoken {
                epoch: self.tools.journal.epoch(),
                at_ms: journal::wall_ms(),
                outcome: *outcome,
                text: text.clone(),
            };
            self.recent.push(spoken.clone());
            self.tools.journal.outcome(spoken);
        }
    }

    /// Makes durable what waits. A failing disk is named once, and tried again now and then.
    fn write_journal(&mut self, at_once: bool) {
        let journal = &mut self.tools.journal;
        let now = Instant::now();
        let waits = self.due.journal.is_some_and(|at| now < at) && !at_once;
        if !journal.is_behind() || waits {
            return;
        }
        self.in_hand = Hand::Journal;
        match journal.work() {
            Ok(()) => {
                self.due.journal = None;
                if 0 < self.journal_failures {
                    let (failures, lost) = (self.journal_failures, journal.lost());
                    log::info!("journal written again failures={failures} lost={lost}");
                }
                self.journal_failures = 0;
            }
            Err(error) => {
                if self.journal_failures == 0 {
                    log::warn!("{}", journal.failure(&error));
                }
                self.journal_failed();
            }
        }
        self.in_hand = Hand::Nothing;
    }

    fn journal_failed(&mut self) {
        self.journal_failures = self.journal_failures.saturating_add(1);
        self.due.journal = Some(Instant::now() + Duration::from_millis(JOURNAL_RETRY_MS));
    }

    /// Tells the main loop when the journal begins to fail, and when it is well again. Waits until
    /// no answer is on its way: the places of the queue are theirs.
    fn tell_alert(&mut self) {
        let on = 0 < self.journal_failures;
        if on != self.alerted && self.deliveries.is_empty() {
            self.alerted = on;
            let alert = Alert::JournalDown;
            self.deliver(Delivery::Alert { alert, on });
        }
    }

    fn end_worker(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.end();
        }
    }

    /// Hands over what was in hand.
    fn deliver(&mut self, delivery: Delivery) {
        self.in_hand = Hand::Nothing;
        // There is room: see `DELIVERIES_MAX`.
        if self.deliveries.try_send(delivery).is_err() {
            log::error!("delivery dropped: the main loop does not take it");
        }
        self.bell_out.ring();
    }

    fn print(&mut self, record: &Record) {
        let (level, line) = log_line(record);
        log::log!(level, "{line}");
        if self.tools.json
            && let Some(object) = json_object(record, true)
        {
            self.out.line(format!("{object}\n").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
