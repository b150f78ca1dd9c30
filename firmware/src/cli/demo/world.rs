//! The world around the simulated board: a voice, and a finger on the button.
//!
//! One thread writes blocks of audio into the microphone's pipe in real time, silence between the
//! acts, and presses the button at its sample times.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pressel_hal::sim::{BUTTON_FILE, MIC_FILE};
use pressel_pipeline::limits::{BLOCK_SAMPLES, RATE_HZ};

use super::stage::News;
use crate::audio_file::AudioFile;
use crate::failure::{Failure, Kind};

/// Samples from the first word's pre-roll to the press: the press comes late, and nothing is lost.
const PRESS_AFTER: usize = RATE_HZ / 5;
/// Samples from the end of the recording to the release.
const RELEASE_AFTER: usize = RATE_HZ / 10;
/// How long a tap holds the button down.
const TAP: Duration = Duration::from_millis(80);

/// One spoken command.
#[derive(Clone, Debug)]
pub(super) struct Act {
    /// What is said, and must come out.
    pub(super) text: String,
    /// The recording.
    pub(super) samples: Vec<i16>,
    /// How long it takes.
    pub(super) length: Duration,
}

/// Reads the acts: `demo.csv` with `file,text`, and the recordings beside it.
pub(super) fn acts() -> Result<Vec<Act>, Failure> {
    let folder = super::recordings();
    let list = folder.join("demo.csv");
    let text = std::fs::read_to_string(&list).map_err(|error| {
        Failure::new(
            Kind::Disk,
            format!("{}: cannot be read ({error})", list.display()),
        )
    })?;
    let mut acts = Vec::new();
    for line in text.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let Some((file, text)) = line.split_once(',') else {
            let why = format!("{}: a line is not `file,text`: {line}", list.display());
            return Err(Failure::new(Kind::Disk, why));
        };
        let samples = read_all(&folder.join(file))?;
        let length = Duration::from_millis(samples.len() as u64 * 1_000 / RATE_HZ as u64);
        acts.push(Act {
            text: text.trim().to_owned(),
            samples,
            length,
        });
    }
    Ok(acts)
}

fn read_all(path: &Path) -> Result<Vec<i16>, Failure> {
    let disk = |error| Failure::new(Kind::Disk, error);
    let mut file = AudioFile::open(path).map_err(disk)?;
    let mut samples = Vec::new();
    let mut block = [0; BLOCK_SAMPLES];
    loop {
        match file.read(&mut block).map_err(disk)? {
            0 => return Ok(samples),
            count => samples.extend_from_slice(&block[..count]),
        }
    }
}

/// What the world is asked to do.
enum Cue {
    Speak(Vec<i16>),
    Tap,
}

/// The thread that plays the world.
pub(super) struct World {
    cues: SyncSender<Cue>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl World {
    /// Starts with silence at the microphone.
    pub(super) fn start(folder: &Path, news: SyncSender<News>) -> Result<Self, Failure> {
        let microphone = open(folder, MIC_FILE)?;
        Self::with(folder, Some(microphone), news)
    }

    /// Starts with a finger only.
    pub(super) fn silent(folder: &Path, news: SyncSender<News>) -> Result<Self, Failure> {
        Self::with(folder, None, news)
    }

    fn with(
        folder: &Path,
        microphone: Option<File>,
        news: SyncSender<News>,
    ) -> Result<Self, Failure> {
        let button = Finger {
            button: open(folder, BUTTON_FILE)?,
            news,
        };
        let (cues, cues_out) = sync_channel(8);
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let thread = std::thread::Builder::new()
            .name("world".into())
            .spawn(move || turn(microphone, button, &cues_out, &is_over))
            .map_err(|error| Failure::new(Kind::Device, format!("cannot start: {error}")))?;
        Ok(Self { cues, over, thread })
    }

    /// Speaks an act while the button is held.
    pub(super) fn speak(&self, act: &Act) {
        // A world that has ended plays nothing; the wait for the text says so.
        self.cues.try_send(Cue::Speak(act.samples.clone())).ok();
    }

    /// Taps the button.
    pub(super) fn tap(&self) {
        self.cues.try_send(Cue::Tap).ok();
    }

    /// Ends the thread, also in the middle of an act.
    pub(super) fn finish(self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().ok();
    }
}

/// Opens a pipe so that it never hangs up, whoever else has it open, and a full one never blocks.
fn open(folder: &Path, name: &str) -> Result<File, Failure> {
    let path = folder.join(name);
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .map_err(|error| {
            Failure::new(
                Kind::Disk,
                format!("{}: cannot be opened ({error})", path.display()),
            )
        })
}

/// A finger on the button's pipe.
struct Finger {
    button: File,
    news: SyncSender<News>,
}

impl Finger {
    fn press(&mut self, pressed: bool) {
        // An appliance that has ended feels nothing; the wait for the text says so.
        self.button
            .write_all(if pressed { b"1" } else { b"0" })
            .ok();
        self.news.try_send(News::Button(pressed)).ok();
    }
}

/// Plays until it is over.
fn turn(mut microphone: Option<File>, mut finger: Finger, cues: &Receiver<Cue>, over: &AtomicBool) {
    let began = Instant::now();
    let mut blocks = 0_u32;
    let mut playing: Option<(Vec<i16>, usize)> = None;
    while !over.load(Ordering::Relaxed) {
        if playing.is_none() {
            match cues.try_recv() {
                Ok(Cue::Speak(samples)) => playing = Some((samples, 0)),
                Ok(Cue::Tap) => {
                    finger.press(true);
                    std::thread::sleep(TAP);
                    finger.press(false);
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
        }
        let mut block = [0_i16; BLOCK_SAMPLES];
        if let Some((samples, at)) = &mut playing {
            for (out, sample) in block.iter_mut().zip(samples.iter().skip(*at)) {
                *out = *sample;
            }
            let before = *at;
            *at += BLOCK_SAMPLES;
            let passes = |when: usize| before <= when && when < *at;
            if passes(PRESS_AFTER) {
                finger.press(true);
            }
            if passes(samples.len() + RELEASE_AFTER) {
                finger.press(false);
                playing = None;
            }
        }
        if let Some(microphone) = &mut microphone
            && write(microphone, bytemuck::cast_slice(&block), over).is_err()
        {
            return;
        }
        blocks += 1;
        let due = began + Duration::from_millis(16) * blocks;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// Writes a block, and waits while the pipe is full: nobody listens yet.
fn write(mut pipe: &File, block: &[u8], over: &AtomicBool) -> io::Result<()> {
    // A block is short enough for a pipe to take it whole or not at all.
    while let Err(error) = pipe.write_all(block) {
        if error.kind() != io::ErrorKind::WouldBlock || over.load(Ordering::Relaxed) {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
