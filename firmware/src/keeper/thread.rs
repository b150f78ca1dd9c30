//! The keeper's thread and the doors to it.
//!
//! Errands in, deliveries out, both bounded. Nobody blocks in a channel: each side tries, and
//! sleeps in `poll(2)` beside its bell, so a send never meets a sleeping receiver's lock.

use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use pressel_hal::linux::poll;
use pressel_pipeline::limits::{
    DELIVERIES_MAX, JOURNAL_RETRY_MS, KEEPER_QUEUE_RECORDS, KEEPER_RESERVED_RECORDS,
};

use super::errand::RunningWorker;
use super::report::{json_object, log_line};
use super::{Delivery, Errand, Opener, Record};
use crate::bell::Bell;
use crate::journal::{self, Folder, Journal, Spoken};
use crate::outlet::Outlet;
use crate::slots::SharedMemory;
use crate::worker::{Setup, WorkerProcess};

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
        let room = Room {
            tools,
            errands: errands_out,
            deliveries: deliveries_in,
            bell_in: bell.clone(),
            bell_out: bell_out.clone(),
            worker: None,
            due,
            journal_failures: u32::from(is_behind),
            out: Outlet::output(),
            last_error: [const { String::new() }; 3],
        };
        let thread = std::thread::Builder::new()
            .name("keeper".into())
            .spawn(|| room.run())?;
        Ok(Self {
            doors: Doors { errands, bell },
            deliveries,
            bell: bell_out,
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

/// What is to be opened when.
#[derive(Clone, Copy, Default)]
struct Due {
    microphone: Option<Instant>,
    link: Option<Instant>,
    worker: Option<Instant>,
    journal: Option<Instant>,
}

/// The inside of the keeper's thread.
struct Room {
    tools: Tools,
    errands: Receiver<Errand>,
    deliveries: Sender<Delivery>,
    bell_in: Bell,
    bell_out: Bell,
    worker: RunningWorker,
    due: Due,
    /// Tries in a row that the journal's disk did not take.
    journal_failures: u32,
    /// Standard output, for `--json`.
    out: Outlet,
    /// Last error of microphone, link and worker: the same one is not printed twice in a row.
    last_error: [String; 3],
}

impl Room {
    fn run(mut self) {
        loop {
            while let Ok(errand) = self.errands.try_recv() {
                if let Errand::Finish = errand {
                    self.end_worker();
                    self.write_journal(true);
                    return;
                }
                self.run_errand(errand);
            }
            self.open_what_is_due();
            self.write_journal(false);
            let Due {
                microphone,
                link,
                worker,
                journal,
            } = self.due;
            let next = [microphone, link, worker, journal];
            let wait = next.into_iter().flatten().min();
            let wait = wait.map(|at| at.saturating_duration_since(Instant::now()));
            let timeout = wait.map_or(-1, |wait| {
                i32::try_from(wait.as_millis()).unwrap_or(1_000) + 1
            });
            let mut fds = [self.bell_in.poll_fd()];
            if poll::wait(&mut fds, timeout).is_err() {
                return; // Only a closed bell does that.
            }
            self.bell_in.hush();
        }
    }

    fn run_errand(&mut self, errand: Errand) {
        let after = |wait_ms| Some(Instant::now() + Duration::from_millis(wait_ms));
        match errand {
            Errand::Record(record) => {
                self.print(&record);
                self.keep(record);
            }
            Errand::Acknowledged(mark) => self.tools.journal.acknowledge(mark),
            Errand::Fetch(asked) => {
                let found = self.tools.journal.next_after(asked);
                self.deliver(Delivery::Found { asked, found });
            }
            Errand::OpenMicrophone { wait_ms } => self.due.microphone = after(wait_ms),
            Errand::CloseMicrophone(microphone) => drop(microphone),
            Errand::OpenLink { wait_ms } => self.due.link = after(wait_ms),
            Errand::CloseLink(link) => drop(link),
            Errand::StartWorker { wait_ms, .. } => self.due.worker = after(wait_ms),
            Errand::EndWorker(socket) => {
                drop(socket);
                self.end_worker();
            }
            Errand::Finish => {}
        }
    }

    /// Hands an outcome to the journal, to be written when the queue is empty.
    fn keep(&mut self, record: Record) {
        if let Record::Outcome { outcome, text, .. } = record {
            let epoch = self.tools.journal.epoch();
            let at_ms = journal::wall_ms();
            self.tools.journal.outcome(Spoken {
                epoch,
                at_ms,
                outcome,
                text,
            });
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
                self.journal_failures += 1;
                self.due.journal = Some(now + Duration::from_millis(JOURNAL_RETRY_MS));
            }
        }
    }

    fn end_worker(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.end();
        }
    }

    fn open_what_is_due(&mut self) {
        let now = Instant::now();
        if self.due.microphone.is_some_and(|at| at <= now) {
            self.due.microphone = None;
            let delivery = match self.tools.opener.microphone() {
                Ok(microphone) => {
                    self.now_fine(0, || {
                        format!("microphone open device={}", microphone.name())
                    });
                    Delivery::Microphone(microphone)
                }
                Err(error) => self.complain(0, error, Delivery::NoMicrophone),
            };
            self.deliver(delivery);
        }
        if self.due.link.is_some_and(|at| at <= now) {
            self.due.link = None;
            let delivery = match self.tools.opener.link() {
                Ok(Some(link)) => {
                    self.now_fine(1, || format!("link open port={}", link.name()));
                    Some(Delivery::Link(link))
                }
                Ok(None) => None,
                Err(error) => Some(self.complain(1, error, Delivery::NoLink)),
            };
            if let Some(delivery) = delivery {
                self.deliver(delivery);
            }
        }
        if self.due.worker.is_some_and(|at| at <= now) {
            self.due.worker = None;
            self.end_worker();
            let started = WorkerProcess::start(&self.tools.setup, self.tools.memory.raw_fd());
            let delivery = match started {
                Ok((worker, socket)) => {
                    log::info!("worker started pid={}", worker.id());
                    self.worker = Some(worker);
                    Delivery::Worker(socket)
                }
                Err(error) => self.complain(
                    2,
                    format!("cannot start the worker: {error}"),
                    Delivery::NoWorker,
                ),
            };
            self.deliver(delivery);
        }
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

    fn deliver(&mut self, delivery: Delivery) {
        // Each delivery answers one errand of the main loop, so there is room.
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
