//! The thread `jobs`, as its owner sees it.
//!
//! It sleeps in `poll(2)` beside its bell, a second at most, and does a turn of [`Core`]. A panic
//! is caught at the top, counted and logged, and the thread goes on. It runs with lower priority
//! than the voice path.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pressel_hal::Clock as _;
use pressel_hal::linux::{MonotonicClock, poll};

use super::checkpoints::Store;
use super::doors::{JobClient, JobsEnds, doors};
use super::recordings::Files;
use super::results::Folders;
use super::spool::Spool;
use super::turn::{Core, LoadEars, Parts, TURN_MS_MAX};
use crate::bell::Bell;
use crate::chunks::Cut;
use crate::journal::Folder;
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
    pub cut: Cut,
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
            recordings: Box::new(Files { cut: tools.cut }),
            shelf: Box::new(Folders::default()),
            inside,
            main_bell: tools.main_bell,
            slot: Box::new(tools.slot),
            cut: tools.cut,
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pressel_pipeline::limits::RATE_HZ;
    use pressel_wire::{OutcomeResult, Trigger};

    use super::*;
    use crate::config::Config;
    use crate::jobs::{JobInfo, JobNews, JobRequest};
    use crate::listen::Ears;
    use crate::outcome::Finished;
    use crate::slots::SharedMemory;

    /// Two seconds of silence, one of sound, two of silence, as a WAV file.
    fn recording(path: &Path) {
        let sound = |at: usize| (2 * RATE_HZ..3 * RATE_HZ).contains(&at);
        let samples = (0..5 * RATE_HZ).map(|at| match (sound(at), at % 8 < 4) {
            (true, true) => 3_000_i16,
            (true, false) => -3_000,
            (false, _) => 0,
        });
        let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
        let bytes = u32::try_from(data.len()).unwrap();
        let head = [
            &b"RIFF"[..],
            &(bytes + 36).to_le_bytes(),
            b"WAVEfmt \x10\0\0\0\x01\0\x01\0",
            &16_000_u32.to_le_bytes(),
            &32_000_u32.to_le_bytes(),
            b"\x02\0\x10\0data",
            &bytes.to_le_bytes(),
        ];
        std::fs::write(path, [&head.concat()[..], &data].concat()).unwrap();
    }

    fn start(folder: &Path, memory: &SharedMemory) -> (JobsThread, JobsEnds, JobClient, Bell) {
        let main_bell = Bell::new().unwrap();
        let (thread, ends, client) = JobsThread::start(JobTools {
            folder: folder.join("state/jobs"),
            spool: None,
            model: "nano".to_owned(),
            cut: Cut::Speech(Config::default().tuning()),
            slot: memory.file_writer().unwrap(),
            load_ears: Box::new(|| Ok(Ears::by_level())),
            main_bell: main_bell.clone(),
            vitals: Arc::new(Vitals::new()),
            paused: false,
        })
        .unwrap();
        (thread, ends, client, main_bell)
    }

    /// Waits for a chunk, as the main loop does.
    fn chunk(ends: &JobsEnds, main_bell: &Bell) -> pressel_pipeline::waiting::Utterance {
        loop {
            poll::wait(&mut [main_bell.poll_fd()], 60_000).unwrap();
            main_bell.hush();
            while let Ok(news) = ends.news.try_recv() {
                if let JobNews::Chunk(chunk) = news {
                    return chunk;
                }
            }
        }
    }

    fn state(client: &JobClient) -> JobInfo {
        client.ask(JobRequest::List).unwrap().remove(0)
    }

    #[test]
    fn real_recording_goes_through_the_thread_and_over_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note.wav");
        recording(&path);
        let memory = SharedMemory::create().unwrap();
        let (thread, ends, client, main_bell) = start(folder.path(), &memory);
        let add = JobRequest::Add { path: path.clone() };
        assert_eq!(client.ask(add).unwrap()[0].number, 1);
        let first = chunk(&ends, &main_bell);
        assert_eq!(state(&client).state, "running");
        // It ends while the main loop has the chunk, and begins again with the same one.
        thread.finish();
        let (thread, ends, client, main_bell) = start(folder.path(), &memory);
        let again = chunk(&ends, &main_bell);
        assert_eq!((again.start, again.samples), (first.start, first.samples));
        let result = OutcomeResult::Text {
            bytes: 4,
            truncated: false,
        };
        let mut finished = Finished::bare(again.id, Trigger::File, result, 0);
        finished.text = heapless::String::try_from("stop").unwrap();
        finished.language = *b"en";
        ends.done.try_send(finished).unwrap();
        ends.bell.ring();
        let deadline = Instant::now() + Duration::from_secs(60);
        while state(&client).state != "done" {
            assert!(Instant::now() < deadline, "{:?}", state(&client));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(state(&client).duration_s, Some(5.0));
        let text = std::fs::read_to_string(folder.path().join("note.wav.txt")).unwrap();
        assert_eq!(text, "stop\n");
        thread.finish();
        assert!(client.ask(JobRequest::List).is_err());
    }
}
