//! The thread `jobs`, as its owner sees it.
//!
//! It sleeps in `poll(2)` beside its bell, a second at most, and does a turn of [`Core`]. A panic is
//! caught at the top, counted and logged, and the thread goes on. It runs with lower priority than
//! the voice path.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pressel_hal::Clock as _;
use pressel_hal::linux::{MonotonicClock, poll};

use super::doors::{JobClient, JobsEnds, doors};
use super::recordings::Files;
use super::results::Folders;
use super::spool::Spool;
use super::store::Store;
use super::turn::{Core, LoadEars, Parts, TURN_MS_MAX};
use crate::bell::Bell;
use crate::journal::Folder;
use crate::listen::listener::Tuning;
use crate::slots::FileSlot;
use crate::vitals::{Vitals, Watched};

/// Longest wait for the thread at the end: it may be reading from a slow stick. Nothing is lost
/// when it does not come, for all that counts is durable.
const FINISH: Duration = Duration::from_millis(300);

/// How much less urgent the thread is than others: half of the range.
const NICE: i32 = 10;

/// What the thread works with.
pub struct JobTools {
    /// Folder of the checkpoints.
    pub folder: PathBuf,
    /// The watched folder; `None` is none.
    pub spool: Option<PathBuf>,
    /// Which version of which model hears the chunks: a job whose texts are of another begins anew.
    pub model: String,
    /// How recordings are cut.
    pub tuning: Tuning,
    /// Where chunks are written.
    pub slot: FileSlot,
    /// Loads what tells speech from silence.
    pub load_ears: LoadEars,
    /// Wakes the main loop.
    pub main_bell: Bell,
    /// Where the thread says that it is alive.
    pub vitals: Arc<Vitals>,
    /// Jobs are only kept, none is begun: safe mode.
    pub paused: bool,
}

/// The thread.
pub struct JobsThread {
    stop: Arc<AtomicBool>,
    bell: Bell,
    thread: JoinHandle<()>,
}

impl JobsThread {
    /// Starts the thread and makes the ways to it.
    ///
    /// # Errors
    /// The error of making a bell or a thread.
    pub fn start(tools: JobTools) -> io::Result<(Self, JobsEnds, JobClient)> {
        let bell = Bell::new()?;
        let (ends, inside, client) = doors(&bell);
        let vitals = Arc::clone(&tools.vitals);
        let folder = Box::new(Folder::of_jobs(&tools.folder));
        let stop = Arc::new(AtomicBool::new(false));
        let core = Core::new(Parts {
            store: Store::new(folder, &tools.folder),
            spool: tools.spool.as_deref().map(Spool::new),
            recordings: Box::new(Files {
                tuning: tools.tuning,
            }),
            shelf: Box::new(Folders::default()),
            inside,
            main_bell: tools.main_bell,
            slot: Box::new(tools.slot),
            load_ears: tools.load_ears,
            model: tools.model,
            paused: tools.paused,
            vitals: tools.vitals,
            stop: Arc::clone(&stop),
        });
        let (stop_inside, bell_inside) = (Arc::clone(&stop), bell.clone());
        let thread = std::thread::Builder::new()
            .name(Watched::Jobs.name().into())
            .spawn(move || run(core, &bell_inside, &vitals, &stop_inside))?;
        Ok((Self { stop, bell, thread }, ends, client))
    }

    /// Ends the thread. What is under way is done again at the next start.
    pub fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.bell.ring();
        let deadline = Instant::now() + FINISH;
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn run(mut core: Core, bell: &Bell, vitals: &Vitals, stop: &AtomicBool) {
    // On Linux this is the thread's own; a system that forbids it leaves it as it was.
    rustix::process::nice(NICE).ok();
    let clock = MonotonicClock::new();
    while !stop.load(Ordering::Relaxed) {
        vitals.beat(Watched::Jobs);
        let now = clock.now_ms();
        let rest_ms = turn_safely(&mut core, now);
        let mut fds = [bell.poll_fd()];
        if poll::wait(&mut fds, i32::try_from(rest_ms).unwrap_or(0)).is_err() {
            return; // Only a closed bell does that.
        }
        bell.hush();
    }
    core.finish(clock.now_ms());
}

/// One turn; a panic in it is caught, and costs a second.
pub(super) fn turn_safely(core: &mut Core, now: u64) -> u64 {
    if let Ok(rest_ms) = catch_unwind(AssertUnwindSafe(|| core.turn(now))) {
        return rest_ms;
    }
    // It logged itself.
    if catch_unwind(AssertUnwindSafe(|| core.recover(now))).is_err() {
        core.hand = None;
    }
    TURN_MS_MAX
}
