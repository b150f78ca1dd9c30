//! Jobs against a disk and a folder that fail, or lose their power, at every operation.
//!
//! One recording lies in the spool. Each life of the appliance finds it, transcribes it and writes
//! its results, until the power goes; the last one has no faults. Then the results are those of an
//! undisturbed life, there is one job, and nothing that was durable was done again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pressel_pipeline::time::Millis;

use super::sim::{Life, Piece, SECOND, Tape, World};
use crate::audio_file::Fault as AudioFault;
use crate::journal::sim_disk::{Fault, Tear};
use crate::prove;

const FAULTS: [Fault; 3] = [Fault::Error, Fault::ErrorAfter, Fault::PowerCut];
const NAME: &str = "note.wav";
/// The last of its results.
const LAST: &str = "/spool/note.wav.json";
/// By then the spool has taken a recording that it takes.
const FIRST_LOOKS_MS: Millis = 8_000;
/// Enough for all retries after two faults.
const PATIENCE_MS: Millis = 100_000;
const NO_TEAR: Tear = Tear {
    operations: 0,
    bytes: 0,
    zeros: false,
};

/// Where faults are put.
#[derive(Clone, Copy, Debug, Default)]
struct Faults<'a> {
    /// Into the checkpoints.
    disk: &'a [(usize, Fault)],
    /// Into the results.
    folder: &'a [(usize, Fault)],
}

/// What the world outside knows.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Everything before this sample has a durable checkpoint.
    position: u64,
    number: Option<u32>,
    has_ended: bool,
}

fn tape() -> Tape {
    Tape::new(&[
        Piece::Words("turn on the light"),
        Piece::Silence,
        Piece::Noise,
        Piece::Words("stop"),
    ])
}

fn broken() -> Tape {
    Tape {
        fault: Some(AudioFault::Undecodable),
        ..tape()
    }
}

/// The same kind of recording, heard by windows that end between words and go with a context.
fn windows() -> Tape {
    let pieces = [
        Piece::Words("turn on the light"),
        Piece::Words("one"),
        Piece::Words("two"),
        Piece::Noise,
        Piece::Words("stop"),
        Piece::Words("go left"),
    ];
    Tape {
        has_windows: true,
        ..Tape::new(&pieces)
    }
}

fn world(tape: &Tape) -> World {
    let world = World::new();
    world.put(NAME, tape);
    world
}

/// One life, until the job has ended or the power goes.
fn live(world: &World, known: &mut Known) {
    let mut life = Life::begin(world);
    let before = known.clone();
    let ended = life.run(PATIENCE_MS, |life| {
        let store = &life.core.parts.store;
        let Some(job) = store.jobs().next() else {
            // Its checkpoints never reached the disk, but its results did: then it is done.
            let has_looked = FIRST_LOOKS_MS < life.now && !store.is_behind();
            known.has_ended |= has_looked && life.world.files().contains_key(Path::new(LAST));
            return known.has_ended;
        };
        if !store.is_behind() && !life.world.is_off() {
            known.position = known.position.max(job.position);
            known.has_ended |= job.has_ended();
            assert_eq!(*known.number.get_or_insert(job.number), job.number);
        }
        assert!(store.jobs().count() <= 1, "twice: {:?}", life.list());
        known.has_ended && job.has_ended()
    });
    assert!(ended || world.is_off(), "stuck: {:?}", life.list());
    // What was durable is not done again.
    let again = life.heard.iter().filter(|start| **start < before.position);
    assert_eq!(again.count(), 0, "{:?} {before:?}", life.heard);
    assert!(!before.has_ended || world.opened().is_empty());
}

/// Whatever happens, each file beside the recording is whole.
fn check_files(world: &World, expected: &BTreeMap<PathBuf, Vec<u8>>) {
    for (path, content) in world.files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            assert_eq!(Some(&content), expected.get(&path), "torn: {name}");
        }
    }
}

/// Starts from what is there, without faults, and compares with what must come of it.
fn check_last(world: &World, known: &Known, expected: &BTreeMap<PathBuf, Vec<u8>>, told: bool) {
    let mut known = known.clone();
    live(world, &mut known);
    assert!(known.has_ended);
    let files = world.files();
    if told {
        assert_eq!(&files, expected);
    }
}

struct Proof {
    expected: BTreeMap<PathBuf, Vec<u8>>,
    /// The last life writes all files anew that are not there. The reason of a failed job is not
    /// written again.
    told: bool,
    faults: usize,
    worlds: usize,
}

impl Proof {
    fn of(tape: &Tape, told: bool) -> (Self, World, [usize; 2]) {
        let first = world(tape);
        live(&first, &mut Known::default());
        let operations = [first.disk.operations(), first.operations()];
        let proof = Self {
            expected: first.files(),
            told,
            faults: 0,
            worlds: 0,
        };
        (proof, world(tape), operations)
    }

    /// Plays a life with faults, then everything that the power cut at its end may leave.
    fn play(
        &mut self,
        world: &World,
        known: &Known,
        faults: Faults<'_>,
        all: bool,
        then: &mut dyn FnMut(&mut Self, &World, &Known),
    ) {
        self.faults += 1;
        let disk = world.disk.restart(NO_TEAR, faults.disk);
        let whole = *world.lefts().last().unwrap();
        let world = world.restart(whole, disk, faults.folder);
        let mut known = known.clone();
        live(&world, &mut known);
        for tear in world.disk.tears(all) {
            for left in world.lefts() {
                self.worlds += 1;
                let disk = world.disk.restart(tear, &[]);
                let next = world.restart(left, disk, &[]);
                check_files(&next, &self.expected);
                then(self, &next, &known);
                check_last(&next, &known, &self.expected, self.told);
            }
        }
    }
}

/// Plays single faults at every operation of both.
fn one_fault(tape: &Tape, told: bool) -> Proof {
    let (mut proof, world, operations) = Proof::of(tape, told);
    for (place, count) in operations.into_iter().enumerate() {
        for at in 0..count {
            for fault in FAULTS {
                let fault = [(at, fault)];
                let faults = match place {
                    0 => Faults {
                        disk: &fault,
                        folder: &[],
                    },
                    _ => Faults {
                        disk: &[],
                        folder: &fault,
                    },
                };
                proof.play(&world, &Known::default(), faults, true, &mut |_, _, _| {});
            }
        }
    }
    proof
}

/// Plays pairs of faults on the checkpoint path: in one life, and in each of two lives. Of all
/// pairs one in `every` is played.
fn two_faults(tape: &Tape, every: usize, seed: u64) -> Proof {
    let (mut proof, world, [count, _]) = Proof::of(tape, true);
    let mut number = usize::try_from(seed % every as u64).unwrap();
    let mut is_played = move || {
        number += 1;
        number.is_multiple_of(every)
    };
    let known = Known::default();
    for first in 0..count {
        for one in FAULTS {
            // Both in one life: the second may be in what mends the first.
            for second in first + 1..count + 4 {
                for two in FAULTS {
                    if one != Fault::PowerCut && is_played() {
                        let pair = [(first, one), (second, two)];
                        let faults = Faults {
                            disk: &pair,
                            folder: &[],
                        };
                        proof.play(&world, &known, faults, false, &mut |_, _, _| {});
                    }
                }
            }
        }
        // One in each of two lives.
        let cut = [(first, Fault::PowerCut)];
        let faults = Faults {
            disk: &cut,
            folder: &[],
        };
        let mut again = |proof: &mut Proof, world: &World, known: &Known| {
            for second in 0..count {
                for two in FAULTS {
                    if is_played() {
                        let second = [(second, two)];
                        let faults = Faults {
                            disk: &second,
                            folder: &[],
                        };
                        proof.play(world, known, faults, false, &mut |_, _, _| {});
                    }
                }
            }
        };
        proof.play(&world, &known, faults, false, &mut again);
    }
    proof
}

#[test]
fn prove_crash_jobs() {
    let seed = prove::seed();
    let every = if prove::is_full() { 1 } else { 40 };
    let one = one_fault(&tape(), true);
    let failed = one_fault(&broken(), false);
    let of_windows = one_fault(&windows(), true);
    let two = two_faults(&tape(), every, seed);
    let two_of_windows = two_faults(&windows(), every, seed);
    let counts = format!(
        "jobs: faults={} of_failed={} of_windows={} pairs={} worlds={}",
        one.faults,
        failed.faults,
        of_windows.faults,
        two.faults + two_of_windows.faults,
        one.worlds + failed.worlds + of_windows.worlds + two.worlds + two_of_windows.worlds
    );
    prove::say("crash", seed, &counts);
    assert!(75 <= one.faults && 500 <= one.worlds);
    assert!(75 <= of_windows.faults && 500 <= of_windows.worlds);
    assert!(50 <= two.faults);
}

#[test]
fn undisturbed_life_gives_three_results_and_leaves_nothing_else() {
    let world = world(&tape());
    live(&world, &mut Known::default());
    let names: Vec<_> = world.files().into_keys().collect();
    let expected = ["json", "srt", "txt"].map(|ending| format!("/spool/{NAME}.{ending}"));
    assert_eq!(names, expected.map(PathBuf::from));
    assert_eq!(
        world.text("/spool/note.wav.txt").unwrap(),
        "turn on the light\nstop\n"
    );
    let srt = world.text("/spool/note.wav.srt").unwrap();
    assert!(srt.starts_with("1\n00:00:01,000 --> 00:00:10,000\nturn on the light\n"));
    let json = world.text("/spool/note.wav.json").unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["full_text"], "turn on the light stop");
    assert_eq!(json["language"], "en");
    assert_eq!(json["duration"], 40.0);
    assert_eq!(json["file"], "/spool/note.wav");
    assert_eq!(json["segments"][1]["start"], 31.0);
}

#[test]
fn undisturbed_windows_have_the_times_of_their_words_and_know_what_was_said_before() {
    let world = world(&windows());
    live(&world, &mut Known::default());
    let srt = world.text("/spool/note.wav.srt").unwrap();
    let expected = [
        ("00:00:01,000 --> 00:00:09,000", "turn on the light after 0"),
        ("00:00:11,000 --> 00:00:19,000", "one after 0"),
        // The window that begins at 20.75 s, and has noise at its end.
        ("00:00:21,000 --> 00:00:29,000", "two after 37"),
        // It was not to be relied on.
        ("00:00:41,000 --> 00:00:49,000", "stop after 0"),
        ("00:00:51,000 --> 00:00:59,000", "go left after 0"),
    ];
    let expected = expected.iter().enumerate();
    let expected =
        expected.map(|(index, (time, text))| format!("{}\n{time}\n{text}\n\n", index + 1));
    assert_eq!(srt, expected.collect::<String>());
    let text = world.text("/spool/note.wav.txt").unwrap();
    assert_eq!(text.lines().count(), 5);
}

#[test]
fn broken_recording_leaves_one_line_beside_it() {
    let world = world(&broken());
    live(&world, &mut Known::default());
    let line = world.text("/spool/note.wav.error.txt").unwrap();
    assert_eq!(line.matches('\n').count(), 1);
    assert!(line.starts_with("/spool/note.wav: "), "{line}");
    assert!(line.contains("record or copy it again"), "{line}");
    assert!(
        !world
            .files()
            .contains_key(Path::new("/spool/note.wav.json"))
    );
    assert_eq!(SECOND, 16_000);
}
