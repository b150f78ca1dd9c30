//! One life of the appliance: all real parts, put together as the program does it.
//!
//! Disks, pins and a microphone in; a main loop, a listen, a jobs core and doors to a keeper out.
//! Compiled for tests only.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender, bounded};
use pressel_hal::linux::poll;
use pressel_hal::sim::{MemoryLink, MemoryPeer};
use pressel_pipeline::limits::{DELIVERIES_MAX, KEEPER_QUEUE_RECORDS};

use super::air::{Air, Level};
use super::worker::PlayedWorker;
use crate::alloc_guard;
use crate::bell::Bell;
use crate::chunks::Cut;
use crate::config::{Config, LinkMode};
use crate::jobs::JobClient;
use crate::jobs::checkpoints::Store;
use crate::jobs::sim::{SPOOL, World as Folder};
use crate::jobs::spool::Spool;
use crate::jobs::turn::{Core, Parts};
use crate::journal::sim_disk::SimDisk;
use crate::journal::{Journal, Limits};
use crate::keeper::{Delivery, Doors, Errand};
use crate::listen::listener::Events;
use crate::listen::thread::{Bells, Room};
use crate::listen::words::one_word;
use crate::listen::{Ears, Listener};
use crate::main_loop::tests::Wire;
use crate::main_loop::tests::rig::{TestClock, Time, pins};
use crate::main_loop::*;
use crate::rings;
use crate::slots::{LiveSlots, SharedMemory};

/// Outcomes in one file of the journal: few, so that the bound is passed now and then.
pub(super) const OUTCOMES_MAX: usize = 20;
/// Longest sleep of listen.
const LISTEN_MS: u64 = 100;

/// What stays while the appliance is killed.
pub(super) struct Place {
    pub(super) air: Air,
    pub(super) journal: SimDisk,
    pub(super) folder: Folder,
    pub(super) button: Wire,
    pub(super) mute: Wire,
}

/// What the test needs to play the keeper.
pub(super) struct Desk {
    pub(super) errands: Receiver<Errand>,
    deliveries: Sender<Delivery>,
    bell: Bell,
    pub(super) journal: Journal<SimDisk>,
    pub(super) memory: SharedMemory,
    /// When these are to be opened, started, written.
    pub(super) microphone_at: Option<u64>,
    pub(super) link_at: Option<u64>,
    pub(super) worker_at: Option<u64>,
    pub(super) journal_at: Option<u64>,
    /// The journal's disk fails, and the main loop knows.
    pub(super) failing: (bool, bool),
}

impl Desk {
    pub(super) fn deliver(&self, delivery: Delivery) {
        assert!(self.deliveries.try_send(delivery).is_ok(), "no room");
        self.bell.ring();
    }

    pub(super) fn has_delivered(&self) -> bool {
        !self.deliveries.is_empty()
    }
}

/// The appliance.
pub(super) struct Life {
    time: Arc<Time>,
    pub(super) main_loop: Box<MainLoop>,
    pub(super) room: Room,
    listened_at: u64,
    core: Core,
    jobs_bell: Bell,
    jobs_at: u64,
    pub(super) client: JobClient,
    pub(super) desk: Desk,
    pub(super) worker: Option<PlayedWorker>,
    pub(super) signals: UnixStream,
}

fn rings(bell: &Bell) -> bool {
    poll::wait(&mut [bell.poll_fd()], 0) == Ok(1)
}

/// Does the work of a thread that may not allocate.
fn sealed<T>(work: impl FnOnce() -> T) -> T {
    let before = alloc_guard::violations_here();
    alloc_guard::seal();
    let done = work();
    alloc_guard::unseal();
    assert_eq!(alloc_guard::violations_here(), before, "a turn allocated");
    done
}

fn room(config: &Config, ends: rings::ListenEnds, memory: &SharedMemory, bells: Bells) -> Room {
    let ears = Ears::new(Box::new(Level), Some(one_word(Box::new(Level))));
    let slots = LiveSlots::new(memory.writer().unwrap(), ends.free);
    Room {
        listener: Listener::new(config.tuning(), ears, slots),
        ends: ends.listening,
        bells,
        stop: Arc::default(),
        next: None,
        events: Events::new(),
        sent: 0,
        ahead: None,
        sent_since: 0,
        panics: 0,
        vitals: Arc::default(),
    }
}

fn core(
    place: &Place,
    memory: &SharedMemory,
    main_bell: &Bell,
    inside: crate::jobs::doors::JobsInside,
) -> Core {
    Core::new(Parts {
        store: Store::new(Box::new(place.folder.disk.clone()), Path::new("/state")),
        spool: Some(Spool::new(Path::new(SPOOL))),
        recordings: Box::new(place.folder.clone()),
        shelf: Box::new(place.folder.clone()),
        inside,
        main_bell: main_bell.clone(),
        slot: Box::new(memory.file_writer().unwrap()),
        cut: Cut::Speech(Config::default().tuning()),
        load_ears: Box::new(|| Ok(Ears::by_level())),
        model: "nano 1".to_owned(),
        paused: false,
        vitals: Arc::default(),
        stop: Arc::default(),
    })
}

fn journal(place: &Place, now: u64) -> Journal<SimDisk> {
    let limits = Limits {
        outcomes_max: OUTCOMES_MAX,
        ..Limits::default()
    };
    let mut journal = Journal::new(place.journal.clone(), limits);
    journal.start(now).unwrap();
    journal
}

fn fixed(time: &Arc<Time>, config: &Config, journal: &Journal<SimDisk>) -> Fixed {
    Fixed {
        session: config.session(),
        post_roll: config.tuning().utterance.post_roll,
        confirmed: config.wake.confirmed(),
        boot: journal.epoch(),
        acknowledged: journal.acknowledged(),
        ..Fixed::of_test(Box::new(TestClock(Arc::clone(time))))
    }
}

impl Life {
    /// Begins a life; `voice` opens utterances as well. Returns the far end of its line.
    pub(super) fn begin(place: &Place, now: u64, voice: bool) -> (Self, MemoryPeer) {
        let mut config = Config::default();
        if voice {
            config.trigger = crate::config::Trigger::Voice;
        }
        let journal = journal(place, now);
        let (ends, listen_ends) = rings::fresh();
        let memory = SharedMemory::create().unwrap();
        let bell = || Bell::new().unwrap();
        let bells = Bells {
            listen: bell(),
            events: bell(),
        };
        let (keeper, errands) = Doors::to_test(KEEPER_QUEUE_RECORDS);
        let (deliveries_in, deliveries) = bounded(DELIVERIES_MAX);
        let (delivery_bell, jobs_bell) = (bell(), bell());
        let (jobs, inside, client) = crate::jobs::doors::doors(&jobs_bell);
        let (signals, signals_out) = UnixStream::pair().unwrap();
        let neighbours = Neighbours {
            ends,
            listen_bell: bells.listen.clone(),
            event_bell: bells.events.clone(),
            keeper,
            deliveries,
            delivery_bell: delivery_bell.clone(),
            jobs,
            vitals: Arc::default(),
            signals: signals_out.into(),
        };
        let time = Arc::new(Time::default());
        time.now_ms.store(now, Ordering::Relaxed);
        let fixed = fixed(&time, &config, &journal);
        let (link, peer) = MemoryLink::pair(16_384).unwrap();
        let capture = Capture::new(place.air.open().unwrap());
        let serial = Serial::new(Some(Box::new(link)), LinkMode::Frames);
        let pins = pins(&place.button, &place.mute, &Default::default());
        let core = core(place, &memory, &delivery_bell, inside);
        let mut main_loop = MainLoop::new(fixed, neighbours, capture, pins, serial);
        main_loop.begin();
        let life = Self {
            time,
            main_loop,
            room: room(&config, listen_ends, &memory, bells),
            listened_at: now,
            core,
            jobs_bell,
            jobs_at: now,
            client,
            desk: Desk {
                errands,
                deliveries: deliveries_in,
                bell: delivery_bell,
                journal,
                memory,
                microphone_at: None,
                link_at: None,
                worker_at: None,
                journal_at: None,
                failing: (false, false),
            },
            worker: None,
            signals,
        };
        (life, peer)
    }

    pub(super) fn go_to(&self, now: u64) {
        self.time.now_ms.store(now, Ordering::Relaxed);
    }

    pub(super) fn turn(&mut self) -> Option<End> {
        sealed(|| self.main_loop.turn())
    }

    /// Ends in order; returns the time after that.
    pub(super) fn wind_up(&mut self) -> u64 {
        self.time.flow(true);
        sealed(|| self.main_loop.wind_up());
        self.time.flow(false);
        let now = self.time.now_ms.load(Ordering::Relaxed);
        self.core.finish(now);
        now
    }

    /// Listen hears, if its bell rings or it has slept for long.
    pub(super) fn listen(&mut self, now: u64) {
        if now < self.listened_at + LISTEN_MS && !rings(&self.room.bells.listen) {
            return;
        }
        self.listened_at = now;
        self.room.bells.listen.ring();
        sealed(|| self.room.turn());
    }

    /// The jobs work, if their bell rings or they have rested.
    pub(super) fn work(&mut self, now: u64) {
        for _ in 0..3 {
            if now < self.jobs_at && !rings(&self.jobs_bell) {
                return;
            }
            self.jobs_bell.hush();
            self.jobs_at = now + self.core.turn(now);
        }
    }
}
