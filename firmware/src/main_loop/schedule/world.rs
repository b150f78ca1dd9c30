//! The world of the schedule: time, lives, and the turns of all threads in any order.
//!
//! Random numbers in; turns of the appliance's parts, kills and other lives out. Compiled for tests
//! only.

use crossbeam_channel::Receiver;
use pressel_pipeline::limits::SLOT_COUNT;
use pressel_pipeline::session;

use super::air::{Air, Dice};
use super::checks::Checks;
use super::host::Host;
use super::life::{Life, Place};
use super::rest::Recording;
use super::worker::Work;
use crate::jobs::sim::World as Folder;
use crate::jobs::{JobAnswer, JobInfo, JobRequest};
use crate::journal::sim_disk::SimDisk;
use crate::main_loop::End;

/// When the first life begins, so that a start's number is its time.
const BEGIN_MS: u64 = 1_000_000_000;

/// Main loop, listen, jobs, keeper, worker, host, and how long each is held up at most.
const PARTS: usize = 6;
const STUCK_MS: [u64; PARTS] = [800, 3_500, 5_000, 1_500, 4_000, 70_000];

/// What is counted for the line of the proof.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) kills: usize,
    pub(super) power_cuts: usize,
    pub(super) ends: usize,
    pub(super) jobs: usize,
    pub(super) retried: usize,
    /// Jobs whose state a failing disk has lost.
    pub(super) forgotten: usize,
    pub(super) link_losses: usize,
    pub(super) microphone_losses: usize,
    pub(super) disk_errors: usize,
    pub(super) rests: usize,
    pub(super) stuck: usize,
}

/// The world.
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) now: u64,
    pub(super) place: Place,
    pub(super) host: Host,
    pub(super) life: Life,
    pub(super) checks: Checks,
    pub(super) work: Work,
    pub(super) counts: Counts,
    /// Nothing fails by itself.
    pub(super) calm: bool,
    /// The serial line is plugged in.
    pub(super) has_line: bool,
    stuck_until: [u64; PARTS],
    /// A disk has failed since the last rest.
    pub(super) has_failed: bool,
    pub(super) recordings: Vec<Recording>,
    /// The list of jobs is on its way.
    pub(super) answer: Option<Receiver<JobAnswer>>,
    /// The jobs at the last look.
    pub(super) jobs: Vec<JobInfo>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let place = Place {
            air: Air::new(),
            journal: SimDisk::new(&[]),
            folder: Folder::new(),
            button: Default::default(),
            mute: Default::default(),
        };
        place.air.go_to(BEGIN_MS);
        let mut host = Host::new();
        let (life, peer) = Life::begin(&place, BEGIN_MS, false);
        host.meet(peer);
        Self {
            dice: Dice(seed),
            now: BEGIN_MS,
            place,
            host,
            life,
            checks: Checks::default(),
            work: Work::default(),
            counts: Counts::default(),
            calm: false,
            has_line: true,
            stuck_until: [0; PARTS],
            has_failed: false,
            recordings: Vec::new(),
            answer: None,
            jobs: Vec::new(),
        }
    }

    /// Time passes, and the threads turn in any order; some are late.
    pub(super) fn tick(&mut self, ms: u64) {
        self.now += ms;
        self.life.go_to(self.now);
        self.place.air.go_to(self.now);
        let first = self.dice.below(PARTS as u64) as usize;
        for part in 0..PARTS {
            let part = (first + part) % PARTS;
            let is_late = self.now < self.stuck_until[part] || self.dice.chance(120);
            if is_late && !self.calm {
                continue;
            }
            match part {
                0 => self.turn(),
                1 => self.life.listen(self.now),
                2 => self.life.work(self.now),
                3 => self.keep(),
                4 => self.let_worker(),
                _ => {
                    self.host.turn(&mut self.dice, self.calm);
                    self.checks.note_gaps(&self.host);
                }
            }
        }
    }

    /// A thread, the worker or the host does nothing for a while.
    pub(super) fn hold_up(&mut self) {
        let part = self.dice.below(PARTS as u64) as usize;
        let ms = self.dice.between(100, STUCK_MS[part]);
        self.stuck_until[part] = self.now + ms;
        self.counts.stuck += 1;
    }

    /// The main loop turns.
    pub(super) fn turn(&mut self) {
        assert_eq!(self.turn_once(), None);
    }

    fn turn_once(&mut self) -> Option<End> {
        let capture = &self.life.main_loop.capture;
        let (mut at, dropped) = (capture.sample_time(), capture.dropped_blocks());
        let was_muted = self.life.main_loop.session == session::State::Muted;
        let end = self.life.turn();
        let checks = &mut self.checks;
        self.place.air.take_given(|samples| {
            checks.given(at, samples);
            at += samples.len() as u64;
        });
        let capture = &self.life.main_loop.capture;
        checks.dropped((capture.dropped_blocks() - dropped) as usize);
        if !was_muted && self.life.main_loop.session == session::State::Muted {
            checks.muted(capture.sample_time());
        }
        self.count_slots();
        end
    }

    fn let_worker(&mut self) {
        let Some(worker) = &mut self.life.worker else {
            return;
        };
        worker.may_fail = self.life.main_loop.recogniser.was_ready();
        if !worker.turn(self.now, &mut self.dice, self.calm, &mut self.work) {
            self.kill_worker();
        }
    }

    pub(super) fn kill_worker(&mut self) {
        if self.life.worker.take().is_some() {
            self.work.deaths += 1;
        }
    }

    /// Every slot has one owner. Those of utterances on their way cannot be seen.
    fn count_slots(&mut self) {
        let Life {
            main_loop, room, ..
        } = &mut self.life;
        let ends = &main_loop.neighbours.ends;
        if !ends.events.is_empty() || !room.events.is_empty() {
            return;
        }
        let listens = room.listener.slots().kept().len()
            + usize::from(room.listener.slot_held().is_some())
            + ends.free.len();
        let recogniser = &main_loop.recogniser;
        let taken = recogniser.waiting_count() + usize::from(recogniser.is_running());
        assert_eq!(listens + taken, SLOT_COUNT);
    }

    /// Asks the jobs; nobody waits for the answer.
    pub(super) fn ask(&self, request: JobRequest) {
        self.life.client.send(request).ok();
    }

    /// One of the newest jobs.
    pub(super) fn any_job(&mut self) -> u32 {
        let newest = u32::try_from(self.counts.jobs).unwrap();
        newest.saturating_sub(self.dice.below(6) as u32).max(1)
    }

    /// The appliance is killed, or loses its power and with it what was not synced; another life
    /// begins.
    pub(super) fn kill(&mut self, loses_power: bool) {
        self.lose_errands();
        if loses_power || self.has_no_power() {
            self.counts.power_cuts += 1;
            self.place.journal.cut();
            self.place.folder.disk.cut();
            let tears = self.place.folder.disk.tears(false);
            let lefts = self.place.folder.lefts();
            let tear = tears[self.dice.below(tears.len() as u64) as usize];
            let left = lefts[self.dice.below(lefts.len() as u64) as usize];
            let disk = self.place.folder.disk.restart(tear, &[]);
            self.place.folder = self.place.folder.restart(left, disk, &[]);
            let tears = self.place.journal.tears(false);
            let tear = tears[self.dice.below(tears.len() as u64) as usize];
            self.place.journal = self.place.journal.restart(tear, &[]);
        } else {
            self.counts.kills += 1;
        }
        self.begin();
    }

    /// The power may have gone in the middle of a write: then the next life begins.
    pub(super) fn look_at_power(&mut self) {
        if self.has_no_power() {
            self.kill(true);
        }
    }

    fn has_no_power(&self) -> bool {
        self.place.journal.is_off() || self.place.folder.is_off()
    }

    /// The appliance ends in order, and begins again.
    pub(super) fn end_in_order(&mut self) {
        use std::io::Write as _;
        self.counts.ends += 1;
        self.life.signals.write_all(&[15]).unwrap();
        assert_eq!(self.turn_once(), Some(End::Asked));
        self.now = self.life.wind_up();
        self.keep();
        self.life.desk.journal_at = None;
        self.write_journal();
        self.checks.at_rest();
        if self.has_no_power() {
            self.kill(true);
        } else {
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.mend();
        self.place.air.take_given(|_| {});
        self.checks.live_again();
        let voice = self.dice.chance(500);
        self.place.air.go_to(self.now);
        let (life, peer) = Life::begin(&self.place, self.now, voice);
        self.life = life;
        self.host.meet(peer);
    }

    /// Everything is plugged in, and the disks are well.
    pub(super) fn mend(&mut self) {
        self.place.air.plug(true);
        self.place.folder.set_faults(&[]);
        self.place.folder.disk.set_faults(&[]);
        self.place.journal.set_faults(&[]);
        self.has_line = true;
    }
}
