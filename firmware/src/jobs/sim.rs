//! A world for tests of jobs: recordings, a folder for results, a main loop, and its power.
//!
//! The folder knows what is durable: a file's content after `sync`, a name after `sync_names`. A
//! power cut keeps any beginning of the name changes, and what it likes of content. It goes dark
//! together with the disk of the checkpoints, a [`SimDisk`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use pressel_pipeline::limits::{JOBS_MAX, RATE_HZ};
use pressel_pipeline::time::Millis;
use pressel_pipeline::waiting::Utterance;
use pressel_wire::{Job as Told, OutcomeResult, Trigger};

use super::checkpoints::Store;
use super::doors::{JobClient, JobInfo, JobNews, JobRequest, JobsEnds, doors};
use super::record::Stamp;
use super::recordings::{Links, Reader, Recordings, Rights};
use super::results::Shelf;
use super::spool::Spool;
use super::thread::turn_safely;
use super::turn::{Core, Parts};
use crate::audio_file::{AudioFileError, Fault as AudioFault};
use crate::bell::Bell;
use crate::chunks::Cut;
use crate::config::Config;
use crate::journal::sim_disk::{Fault, SimDisk};
use crate::listen::Ears;
use crate::outcome::Finished;
use crate::vitals::Vitals;
use crate::window::{Context, Heard};

mod tape;

pub(crate) use tape::{Piece, SimSlot, Tape};

/// The watched folder.
pub(crate) const SPOOL: &str = "/spool";
/// One second of a recording.
pub(crate) const SECOND: u64 = RATE_HZ as u64;

/// What a power cut leaves of the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// So many of the name changes.
    names: usize,
    /// So many quarters of each content that was not synced.
    quarters: usize,
    /// The rest of it is zeros.
    zeros: bool,
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Clone, Debug)]
struct Content {
    bytes: Vec<u8>,
    is_durable: bool,
}

type Names = BTreeMap<PathBuf, usize>;

#[derive(Debug, Default)]
struct Inside {
    tapes: BTreeMap<PathBuf, Tape>,
    /// The spool cannot be listed.
    is_folder_away: bool,
    contents: Vec<Content>,
    durable: Names,
    seen: Names,
    changes: Vec<NameChange>,
    operations: usize,
    faults: Vec<(usize, Fault)>,
    /// Opened recordings and read chunks, to see what was read again.
    opened: Vec<u64>,
}

/// The folder and its recordings; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct World {
    inside: Arc<Mutex<Inside>>,
    pub(crate) disk: SimDisk,
}

fn apply(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Link(path, content) => {
            names.insert(path.clone(), *content);
        }
        NameChange::Rename(from, to) => {
            if let Some(content) = names.remove(from) {
                names.insert(to.clone(), content);
            }
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            inside: Arc::default(),
            disk: SimDisk::new(&[]),
        }
    }

    fn inside<T>(&self, work: impl FnOnce(&mut Inside) -> T) -> T {
        // A test that panics on purpose leaves the lock poisoned.
        let inside = self.inside.lock();
        work(&mut inside.unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Puts a recording into the spool and returns its path.
    pub(crate) fn put(&self, name: &str, tape: &Tape) -> PathBuf {
        let path = Path::new(SPOOL).join(name);
        self.inside(|inside| inside.tapes.insert(path.clone(), tape.clone()));
        path
    }

    pub(crate) fn take_away(&self, path: &Path) -> Option<Tape> {
        self.inside(|inside| inside.tapes.remove(path))
    }

    /// Takes the spool's folder away, or brings it back. Recordings go by themselves.
    pub(crate) fn set_folder_away(&self, is_away: bool) {
        self.inside(|inside| inside.is_folder_away = is_away);
    }

    pub(crate) fn set_faults(&self, faults: &[(usize, Fault)]) {
        self.inside(|inside| inside.faults = faults.to_vec());
    }

    pub(crate) fn operations(&self) -> usize {
        self.inside(|inside| inside.operations)
    }

    pub(crate) fn is_off(&self) -> bool {
        self.disk.is_off()
    }

    /// Returns where recordings were opened since the start.
    pub(crate) fn opened(&self) -> Vec<u64> {
        self.inside(|inside| inside.opened.clone())
    }

    /// Returns the files beside the recordings.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.inside(|inside| {
            let files = inside.seen.iter();
            files
                .map(|(path, content)| (path.clone(), inside.contents[*content].bytes.clone()))
                .collect()
        })
    }

    /// Returns a file's text.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let bytes = self.files().remove(Path::new(path))?;
        Some(String::from_utf8(bytes).unwrap())
    }

    /// Returns what a power cut now may leave of the folder.
    pub(crate) fn lefts(&self) -> Vec<Left> {
        self.inside(|inside| {
            let is_whole = inside.contents.iter().all(|content| content.is_durable);
            let mut lefts = Vec::new();
            for names in 0..=inside.changes.len() {
                let parts = if is_whole { 4..=4 } else { 0..=4 };
                for quarters in parts {
                    for zeros in [false, true] {
                        if !zeros || quarters < 4 {
                            lefts.push(Left {
                                names,
                                quarters,
                                zeros,
                            });
                        }
                    }
                }
            }
            lefts
        })
    }

    /// Returns the world after the power is back, over a disk that was restarted.
    pub(crate) fn restart(&self, left: Left, disk: SimDisk, faults: &[(usize, Fault)]) -> Self {
        self.inside(|inside| {
            let mut names = inside.durable.clone();
            for change in &inside.changes[..left.names] {
                apply(&mut names, change);
            }
            let mut contents = inside.contents.clone();
            for content in contents.iter_mut().filter(|content| !content.is_durable) {
                let all = content.bytes.len();
                content.bytes.truncate(all * left.quarters / 4);
                if left.zeros {
                    content.bytes.resize(all, 0);
                }
                content.is_durable = true;
            }
            let fresh = Inside {
                tapes: inside.tapes.clone(),
                contents,
                durable: names.clone(),
                seen: names,
                faults: faults.to_vec(),
                ..Inside::default()
            };
            Self {
                inside: Arc::new(Mutex::new(fresh)),
                disk,
            }
        })
    }

    fn change(&self, work: impl FnOnce(&mut Inside, Option<Fault>)) -> io::Result<()> {
        let is_off = self.disk.is_off();
        let fault = self.inside(|inside| {
            let number = inside.operations;
            inside.operations += 1;
            let mut faults = inside.faults.iter();
            let fault = faults.find(|(at, _)| *at == number).map(|found| found.1);
            if !is_off && fault != Some(Fault::Error) {
                work(inside, fault);
            }
            fault
        });
        if fault == Some(Fault::PowerCut) {
            self.disk.cut();
        }
        if fault.is_some() || is_off {
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }
}

impl Shelf for World {
    fn write(&mut self, path: &Path, bytes: &[u8], _rights: Rights) -> io::Result<()> {
        self.change(|inside, fault| {
            let count = if fault == Some(Fault::ErrorAfter) {
                bytes.len() / 2
            } else {
                bytes.len()
            };
            let content = inside.contents.len();
            inside.contents.push(Content {
                bytes: bytes[..count].to_vec(),
                is_durable: false,
            });
            for change in [
                NameChange::Remove(path.to_owned()),
                NameChange::Link(path.to_owned(), content),
            ] {
                apply(&mut inside.seen, &change);
                inside.changes.push(change);
            }
        })
    }

    fn sync(&mut self, path: &Path) -> io::Result<()> {
        self.change(|inside, fault| {
            // What a cut leaves of it is up to [`Left`].
            if fault != Some(Fault::PowerCut) {
                let content = inside.seen[path];
                inside.contents[content].is_durable = true;
            }
        })
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|inside, _| {
            let change = NameChange::Rename(from.to_owned(), to.to_owned());
            apply(&mut inside.seen, &change);
            inside.changes.push(change);
        })
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.change(|inside, _| {
            let change = NameChange::Remove(path.to_owned());
            apply(&mut inside.seen, &change);
            inside.changes.push(change);
        })
    }

    fn sync_names(&mut self, _folder: &Path) -> io::Result<()> {
        self.change(|inside, fault| {
            if fault != Some(Fault::PowerCut) {
                inside.durable = inside.seen.clone();
                inside.changes.clear();
            }
        })
    }
}

impl Recordings for World {
    fn stamp(&self, path: &Path, _links: Links) -> io::Result<Stamp> {
        self.inside(|inside| {
            let tape = inside.tapes.get(path).map(|tape| tape.stamp);
            let file = inside.seen.get(path).map(|_| Stamp {
                bytes: 1,
                changed: (200, 0),
            });
            tape.or(file)
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        })
    }

    fn rights(&self, _path: &Path, _links: Links) -> Rights {
        Rights::NARROW
    }

    fn list(&self, folder: &Path, show: &mut dyn FnMut(PathBuf, Stamp)) -> io::Result<()> {
        let tapes = self.inside(|inside| {
            let is_there = !inside.is_folder_away;
            is_there.then(|| inside.tapes.clone())
        });
        let tapes = tapes.ok_or(io::ErrorKind::NotFound)?;
        for (path, tape) in tapes {
            if path.parent() == Some(folder) {
                show(path, tape.stamp);
            }
        }
        Ok(())
    }

    fn open(
        &self,
        path: &Path,
        _links: Links,
        from: u64,
    ) -> Result<Box<dyn Reader>, AudioFileError> {
        let path_buf = path.to_owned();
        self.inside(|inside| {
            inside.opened.push(from);
            let tape = inside.tapes.get(path);
            let fault = tape.map_or(Some(AudioFault::Missing), |tape| tape.fault);
            match (tape, fault) {
                (Some(tape), None) => {
                    let is_begin = tape.has_windows || from.is_multiple_of(10 * SECOND);
                    assert!(is_begin, "no chunk begins here");
                    Ok(tape.reader(from))
                }
                (_, fault) => Err(AudioFileError {
                    path: path_buf,
                    fault: fault.unwrap_or(AudioFault::Missing),
                }),
            }
        })
    }
}

/// The thread's inside, stepped by a test that is the main loop and its clock.
pub(crate) struct Life {
    pub(crate) world: World,
    pub(crate) core: Core,
    pub(crate) now: Millis,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) ends: JobsEnds,
    pub(crate) client: JobClient,
    /// Starts of the chunks that the main loop had.
    pub(crate) heard: Vec<u64>,
    pub(crate) told: Vec<Told>,
    /// What is noted beside the chunk.
    pub(crate) note: Arc<Mutex<Option<Context>>>,
    /// Turns in a row after which there was more to do at once.
    restless: usize,
}

impl Life {
    pub(crate) fn begin(world: &World) -> Self {
        Self::of_model(world, "nano 1", false)
    }

    pub(crate) fn of_model(world: &World, model: &str, paused: bool) -> Self {
        let slot = SimSlot::new(1);
        let note = Arc::clone(&slot.note);
        let has_windows = world.inside(|inside| {
            let tape = inside.tapes.values().next();
            tape.is_some_and(|tape| tape.has_windows)
        });
        let cut = if has_windows {
            Cut::Windows
        } else {
            Cut::Speech(Config::default().tuning())
        };
        let bell = Bell::new().unwrap();
        let (ends, inside, client) = doors(&bell);
        let vitals = Arc::new(Vitals::new());
        let core = Core::new(Parts {
            store: Store::new(Box::new(world.disk.clone()), Path::new("/state")),
            spool: Some(Spool::new(Path::new(SPOOL))),
            recordings: Box::new(world.clone()),
            shelf: Box::new(world.clone()),
            inside,
            main_bell: bell,
            slot: Box::new(slot),
            cut,
            load_ears: Box::new(|| Ok(Ears::by_level())),
            model: model.to_owned(),
            paused,
            vitals: Arc::clone(&vitals),
            stop: Arc::default(),
        });
        Self {
            world: world.clone(),
            core,
            now: 0,
            vitals,
            ends,
            client,
            heard: Vec::new(),
            told: Vec::new(),
            note,
            restless: 0,
        }
    }

    /// One turn; returns the chunk that the main loop has now.
    pub(crate) fn turn(&mut self) -> Option<Utterance> {
        let rest = turn_safely(&mut self.core, self.now);
        self.now += rest.max(1);
        self.restless = if rest == 0 { self.restless + 1 } else { 0 };
        assert!(self.restless < 2 * JOBS_MAX, "it never rests");
        let mut chunk = None;
        while let Ok(news) = self.ends.news.try_recv() {
            match news {
                JobNews::Chunk(utterance) => {
                    assert!(chunk.replace(utterance).is_none());
                    self.heard.push(utterance.start);
                }
                JobNews::Progress(told) => self.told.push(told),
            }
        }
        chunk
    }

    /// Answers a chunk.
    pub(crate) fn answer(&mut self, chunk: &Utterance, result: OutcomeResult, text: &str) {
        self.answer_window(chunk, result, text, Heard::default());
    }

    /// Answers a window.
    pub(crate) fn answer_window(
        &mut self,
        chunk: &Utterance,
        result: OutcomeResult,
        text: &str,
        heard: Heard,
    ) {
        let mut finished = Finished::bare(chunk.id, Trigger::File, result, 0);
        finished.text = heapless::String::try_from(text).unwrap();
        finished.heard = heard;
        finished.language = if text.is_empty() { [0; 2] } else { *b"en" };
        self.ends.done.try_send(finished).unwrap();
    }

    /// Answers a chunk with what is said there.
    pub(crate) fn answer_truly(&mut self, chunk: &Utterance) {
        let pieces: Vec<Piece> = self.world.inside(|inside| {
            let tape = inside.tapes.values().next();
            tape.map(|tape| tape.pieces.clone()).unwrap_or_default()
        });
        let index = usize::try_from(chunk.start / (10 * SECOND)).unwrap();
        let note = self.note.lock().unwrap().clone();
        let (text, heard) = match (note, pieces.get(index)) {
            (Some(note), _) => tape::hear(&pieces, chunk, &note),
            (None, Some(Piece::Words(words))) => ((*words).to_owned(), Heard::default()),
            (None, _) => (String::new(), Heard::default()),
        };
        let result = match u16::try_from(text.len()).unwrap() {
            0 => OutcomeResult::NoSpeech,
            bytes => OutcomeResult::Text {
                bytes,
                truncated: false,
            },
        };
        self.answer_window(chunk, result, &text, heard);
    }

    /// Goes on, with true answers, until `enough`, or for so many milliseconds.
    pub(crate) fn run(&mut self, ms: Millis, mut enough: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + ms;
        while self.now < end && !self.world.is_off() {
            if let Some(chunk) = self.turn() {
                self.answer_truly(&chunk);
            }
            if enough(self) {
                return true;
            }
        }
        false
    }

    /// Goes on until a job is in this state.
    pub(crate) fn run_until(&mut self, number: u32, state: &str) -> JobInfo {
        let is_there = |life: &mut Self| {
            let job = life.core.parts.store.job(number);
            job.is_some_and(|job| job.code().name() == state)
        };
        let reached = self.run(120_000, is_there);
        assert!(reached, "{number} is not {state}: {:?}", self.list());
        let mut list = self.list();
        list.retain(|info| info.number == number);
        list.remove(0)
    }

    pub(crate) fn list(&self) -> Vec<JobInfo> {
        self.core
            .parts
            .store
            .jobs()
            .map(super::job::Job::info)
            .collect()
    }

    /// Asks as the control thread does; the answer comes in the next turn.
    pub(crate) fn ask(&mut self, request: JobRequest) -> Result<Vec<JobInfo>, String> {
        let client = self.client.clone();
        let asking = std::thread::spawn(move || client.ask(request));
        while !asking.is_finished() {
            if let Some(chunk) = self.turn() {
                self.answer_truly(&chunk);
            }
        }
        asking.join().unwrap()
    }
}
