//! The keeper of the schedule: devices, workers and the real journal, without a thread.
//!
//! Errands in, deliveries out, in simulated time. Compiled for tests only.

use pressel_hal::sim::MemoryLink;
use pressel_pipeline::limits::JOURNAL_RETRY_MS;
use pressel_wire::{Alert, Mark};

use super::worker::PlayedWorker;
use super::world::World;
use crate::journal::Spoken;
use crate::keeper::{Delivery, Errand, Record};
use crate::slots::SlotReader;
use crate::worker::WorkerSocket;

impl World {
    /// Runs the errands that are there and opens what is due.
    pub(super) fn keep(&mut self) {
        while let Ok(errand) = self.life.desk.errands.try_recv() {
            self.run(errand);
        }
        self.open_what_is_due();
        self.write_journal();
        let desk = &mut self.life.desk;
        let (on, told) = desk.failing;
        if on != told && !desk.has_delivered() {
            desk.failing.1 = on;
            let alert = Alert::JournalDown;
            desk.deliver(Delivery::Alert { alert, on });
        }
    }

    fn run(&mut self, errand: Errand) {
        let now = self.now;
        let desk = &mut self.life.desk;
        match errand {
            Errand::Record(record) => self.record(&record),
            Errand::Acknowledged(mark) => desk.journal.acknowledge(mark),
            Errand::Fetch(asked) => {
                let found = desk.journal.next_after(asked);
                desk.deliver(Delivery::Found { asked, found });
            }
            Errand::OpenMicrophone { wait_ms } => desk.microphone_at = Some(now + wait_ms),
            Errand::OpenLink { wait_ms } => desk.link_at = Some(now + wait_ms),
            Errand::StartWorker { wait_ms, cpu } => {
                assert!(!cpu, "there is no CUDA to fall back from");
                desk.worker_at = Some(now + wait_ms);
            }
            Errand::EndWorker(socket) => {
                drop(socket);
                self.life.worker = None;
            }
            Errand::MendPin { name, .. } => panic!("no pin is lost here, {name} neither"),
            Errand::CloseMicrophone(_) | Errand::CloseLink(_) | Errand::Finish => {}
        }
    }

    fn record(&mut self, record: &Record) {
        let journal = &mut self.life.desk.journal;
        let epoch = journal.epoch();
        let outcome = self.checks.learn(record, epoch);
        let (Some(outcome), Record::Outcome { text, .. }) = (outcome, record) else {
            return;
        };
        journal.outcome(Spoken {
            epoch,
            at_ms: self.now,
            outcome,
            text: text.clone(),
        });
        let mark = Mark {
            boot: epoch,
            next: outcome.sequence,
        };
        self.checks.journaled(mark, journal.lost());
    }

    /// What is on its way to the keeper when the appliance is killed was said, and is lost.
    pub(super) fn lose_errands(&mut self) {
        while let Ok(errand) = self.life.desk.errands.try_recv() {
            if let Errand::Record(record) = errand {
                let epoch = self.life.desk.journal.epoch();
                self.checks.learn(&record, epoch);
            }
        }
    }

    fn open_what_is_due(&mut self) {
        let now = self.now;
        let is_due = |at: &mut Option<u64>| at.take_if(|at| *at <= now).is_some();
        let desk = &mut self.life.desk;
        if is_due(&mut desk.microphone_at) {
            let microphone = self.place.air.open();
            desk.deliver(microphone.map_or(Delivery::NoMicrophone, Delivery::Microphone));
        }
        if is_due(&mut desk.link_at) {
            if self.has_line {
                let (link, peer) = MemoryLink::pair(16_384).unwrap();
                self.host.plug(peer);
                desk.deliver(Delivery::Link(Box::new(link)));
            } else {
                desk.deliver(Delivery::NoLink);
            }
        }
        if is_due(&mut desk.worker_at) {
            if !self.calm && self.dice.chance(20) {
                desk.deliver(Delivery::NoWorker);
                return;
            }
            let (ours, theirs) = WorkerSocket::pair().unwrap();
            rustix::io::ioctl_fionbio(&theirs, true).unwrap();
            let memory = SlotReader::inherit(desk.memory.raw_fd()).unwrap();
            let ready_at = now + self.dice.between(10, 2_000);
            let theirs = WorkerSocket::new(theirs);
            self.life.worker = Some(PlayedWorker::new(theirs, memory, ready_at));
            desk.deliver(Delivery::Worker(ours));
        }
    }

    /// Makes durable what waits; a failing disk is tried again later.
    pub(super) fn write_journal(&mut self) {
        let desk = &mut self.life.desk;
        if !desk.journal.is_behind() || desk.journal_at.is_some_and(|at| self.now < at) {
            return;
        }
        if desk.journal.work().is_ok() {
            (desk.journal_at, desk.failing.0) = (None, false);
            self.checks.written();
        } else {
            desk.journal_at = Some(self.now + JOURNAL_RETRY_MS);
            desk.failing.0 = true;
        }
    }
}
