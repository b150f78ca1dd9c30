//! `pressel record`: a simulated microphone that says known things, and what is then in the folder.
//!
//! In: the demo's recordings through the real libasound, good takes and bad ones, signals. Out:
//! recordings that `pressel evaluate` judges, and a second run that goes on. What is said comes
//! after the line that asks for it, so that no take depends on the machine's load.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::bad_start::check;
use crate::board::{BLOCK, Board};
use crate::events::{Events, of_name};
use crate::process::signal;
use crate::program::{Ran, command, need_models, recordings, run, wait};
use crate::voice::{Random, clips, noise, read, silence};

/// The command, on this board, into the folder `mine` beside its pipes.
fn start(board: &Board, arguments: &[&str]) -> Command {
    let mut command = command(&["record", "--board", "sim", "--sim-dir"]);
    command
        .arg(board.path())
        .arg("--out")
        .arg(mine(board))
        .args(arguments)
        .env("ALSA_CONFIG_PATH", &board.alsa);
    command
}

fn mine(board: &Board) -> PathBuf {
    board.path().join("mine")
}

/// A run of it, under a test's hands.
struct Session<'a> {
    board: &'a Board,
    child: Child,
    events: Events,
    asked: usize,
}

impl<'a> Session<'a> {
    fn start(board: &'a Board, arguments: &[&str]) -> Self {
        Self::of(board, start(board, arguments).arg("--json"))
    }

    fn of(board: &'a Board, command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let events = Events::of(child.stdout.take().unwrap());
        Self {
            board,
            child,
            events,
            asked: 0,
        }
    }

    /// Waits until the next take is asked for, and says this, with a pause before and behind.
    fn answer(&mut self, samples: &[i16]) {
        self.wait_for_ask();
        self.play(&[&silence(0.4), samples, &silence(1.0)].concat());
    }

    /// Waits until a piece of the room is asked for, and plays this for so long, and a moment more.
    fn answer_for(&mut self, seconds: f32, samples: &[i16]) {
        self.wait_for_ask();
        let samples = [samples, &silence(seconds)].concat();
        self.play(&samples[..silence(seconds + 0.3).len()]);
    }

    fn wait_for_ask(&mut self) {
        self.asked += 1;
        let asked = self.asked;
        let is_asked = |events: &[Value]| (asked <= of_name(events, "ask").count()).then_some(());
        if self.events.wait(is_asked).is_none() {
            let events = self.events.look(<[Value]>::to_vec);
            panic!(
                "take {asked} is not asked for: {} {events:#?}",
                self.stderr()
            );
        }
    }

    /// Plays samples, and silence up to a whole block.
    fn play(&self, samples: &[i16]) {
        for piece in samples.chunks(BLOCK) {
            let mut block = [0; BLOCK];
            block[..piece.len()].copy_from_slice(piece);
            self.board.speak(&block);
        }
    }

    fn stderr(&mut self) -> String {
        self.child.kill().ok();
        let mut said = String::new();
        let stderr = self.child.stderr.take().unwrap();
        std::io::Read::read_to_string(&mut { stderr }, &mut said).unwrap();
        said
    }

    /// Waits for its end.
    fn end(mut self) -> (Ran, Vec<Value>) {
        let status = wait(&mut self.child);
        let stderr = self.stderr();
        let status = status.unwrap_or_else(|| panic!("it did not end: {stderr}"));
        let events = self.events.finish();
        let stdout = String::new();
        let ran = Ran {
            status,
            stdout,
            stderr,
        };
        (ran, events)
    }
}

/// The recording of the demo in which this is said.
fn saying(text: &str) -> Vec<i16> {
    let clip = clips().iter().find(|clip| clip.text == text);
    clip.unwrap().samples.clone()
}

/// The same, with its loudest sample at this height; what does not fit is cut off.
fn at_peak(samples: &[i16], peak: i64) -> Vec<i16> {
    let loudest = samples.iter().map(|&sample| i64::from(sample).abs()).max();
    let loudest = loudest.unwrap();
    let scaled = |&sample: &i16| {
        let sample = i64::from(sample) * peak / loudest;
        i16::try_from(sample.clamp(-32_768, 32_767)).unwrap()
    };
    samples.iter().map(scaled).collect()
}

/// Files of the folder, with their paths in it.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let path = path.strip_prefix(folder).unwrap();
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Files of the list.
fn listed(folder: &Path) -> Vec<String> {
    let list = fs::read_to_string(folder.join("manifest.csv")).unwrap();
    let rows = list.lines().skip(1);
    rows.map(|row| row.split(',').next().unwrap().to_owned())
        .collect()
}

fn evaluate(folder: &Path, what: &str, options: &[&str]) -> Value {
    let mut command = command(&["evaluate", what, "--json", "--manifest"]);
    let ran = run(command.arg(folder.join("manifest.csv")).args(options));
    assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Returns for each take that was heard the reason why it was not kept; nothing for one that was.
fn whys(events: &[Value]) -> Vec<&str> {
    let takes = of_name(events, "take");
    takes
        .map(|take| take["why"].as_str().unwrap_or_default())
        .collect()
}

fn summary(events: &[Value]) -> [u64; 4] {
    let last = events.last().unwrap();
    assert_eq!(last["event"], "summary", "{last}");
    ["wanted", "there", "kept", "skipped"].map(|key| last[key].as_u64().unwrap())
}

#[test]
fn what_is_said_is_kept_and_judged_and_what_will_not_do_is_asked_for_again() {
    need_models!();
    let board = Board::new();
    let arguments = [
        "--phrase", "stop", "--phrase", "go left", "--takes", "2", "--noise", "2",
    ];
    let mut session = Session::start(&board, &arguments);
    // The room: once with somebody in it.
    session.answer_for(2.0, &saying("yes"));
    session.answer_for(2.0, &noise(2.3, 30, &mut Random::new(3)));
    let stop = saying("stop");
    session.answer(&stop);
    session.answer(&at_peak(&stop, 200_000));
    session.answer(&at_peak(&stop, 600));
    session.answer(&stop.repeat(5));
    session.answer(&stop);
    session.answer(&saying("go left"));
    session.answer(&saying("go left"));
    let (ran, events) = session.end();
    assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
    let expected = [
        "speech-heard",
        "",
        "",
        "clipped",
        "too-quiet",
        "too-long",
        "",
        "",
        "",
    ];
    assert_eq!(whys(&events), expected, "{events:#?}");
    assert_eq!(summary(&events), [5, 5, 5, 0]);
    let folder = mine(&board);
    let expected = [
        "manifest.csv",
        "noise/room-01.wav",
        "words/me/go-left-01.wav",
        "words/me/go-left-02.wav",
        "words/me/stop-01.wav",
        "words/me/stop-02.wav",
    ];
    assert_eq!(files(&folder), expected);
    assert_eq!(read(&folder.join("noise/room-01.wav")).len(), 32_000);
    // All of the word is in it, which is from 0.3 to 0.8 s in the demo's recording, and a margin.
    let kept = read(&folder.join("words/me/stop-01.wav"));
    let word = &stop[4_800..12_800];
    let at = kept.windows(word.len()).position(|part| part == word);
    let at = at.expect("the word is in it");
    assert!(4_000 <= at && at + word.len() + 4_000 <= kept.len(), "{at}");
    judge(&folder);
    go_on(&board, &arguments);
}

/// Judges what was kept, with and without the room that was recorded.
fn judge(folder: &Path) {
    let words = evaluate(folder, "words", &["--people"]);
    assert_eq!(words["words"]["stop"]["of"], 2, "{words}");
    assert_eq!(words["right"]["count"], 2, "{words}");
    let noisy = evaluate(folder, "words", &["--noise-db", "20"]);
    assert_eq!(noisy["right"]["of"], 2, "{noisy}");
    let text = evaluate(folder, "text", &[]);
    assert_eq!(
        (&text["errors"], &text["words"]),
        (&0.into(), &4.into()),
        "{text}"
    );
}

/// Goes on in the folder of two takes of two phrases: with nothing, with one more, as another one.
fn go_on(board: &Board, arguments: &[&str]) {
    let (folder, stop) = (mine(board), saying("stop"));
    // The same again has nothing to ask for, and needs no microphone.
    let ran = run(start(board, arguments).env_remove("ALSA_CONFIG_PATH"));
    assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("5 of 5 takes are there"),
        "{}",
        ran.stdout
    );
    // More of one phrase is asked for; another person begins anew.
    let mut session = Session::start(board, &["--phrase", "Stop", "--takes", "3"]);
    session.answer(&stop);
    let (_, events) = session.end();
    assert_eq!(summary(&events), [3, 3, 1, 0]);
    let ask = of_name(&events, "ask").next().unwrap();
    assert_eq!((&ask["take"], &ask["of"]), (&3.into(), &3.into()));
    let ann = ["--phrase", "stop", "--takes", "1", "--speaker", "Ann"];
    let mut session = Session::start(board, &ann);
    session.answer(&stop);
    let (_, events) = session.end();
    assert_eq!(summary(&events), [1, 1, 1, 0]);
    assert!(files(&folder).contains(&"words/ann/stop-01.wav".to_owned()));
    assert_eq!(listed(&folder).len() + 1, files(&folder).len());
}

#[test]
fn wake_words_are_kept_apart_and_are_found_again() {
    need_models!();
    let board = Board::new();
    let word = read(&recordings().join("../../models/fixtures/computer.wav"));
    let arguments = [
        "--wake",
        "--phrase",
        "computer",
        "--takes",
        "2",
        "--licence",
        "CC0-1.0",
    ];
    let mut session = Session::start(&board, &arguments);
    session.answer(&word);
    session.answer(&word);
    let (ran, events) = session.end();
    assert_eq!(ran.status.code(), Some(0), "{} {events:#?}", ran.stderr);
    let folder = mine(&board);
    let expected = ["wake/me/computer-01.wav", "wake/me/computer-02.wav"];
    assert_eq!(listed(&folder), expected);
    let list = fs::read_to_string(folder.join("manifest.csv")).unwrap();
    assert_eq!(
        list.matches(",computer,me,yes,CC0-1.0,").count(),
        2,
        "{list}"
    );
    let found = evaluate(&folder, "wake", &[]);
    let words = found["wake_words"].as_array().unwrap();
    let word = words
        .iter()
        .find(|word| word["word"] == "computer")
        .unwrap();
    let points = word["points"].as_array().unwrap();
    let configured = points
        .iter()
        .find(|point| point["threshold"] == word["threshold"]);
    let missed = &configured.unwrap()["missed"];
    assert_eq!(
        (&missed["count"], &missed["of"]),
        (&0.into(), &2.into()),
        "{found}"
    );
}

#[test]
fn ctrl_c_in_the_middle_of_a_take_leaves_nothing_half_and_the_next_run_goes_on() {
    need_models!();
    let board = Board::new();
    let arguments = ["--phrase", "go left", "--takes", "3"];
    for with in [Signal::INT, Signal::TERM] {
        let mut session = Session::start(&board, &arguments);
        session.answer(&saying("go left"));
        session.wait_for_ask();
        let clip = saying("go left");
        session.play(&clip[..clip.len() / 2]);
        board.drain();
        signal(session.child.id(), with);
        let (ran, events) = session.end();
        check(
            &ran,
            1,
            &[
                "stopped by a signal",
                "of 3 takes",
                "the same command goes on",
            ],
        );
        assert_eq!(summary(&events)[2], 1, "{events:#?}");
        let folder = mine(&board);
        let kept = listed(&folder);
        let files: Vec<_> = files(&folder)
            .into_iter()
            .filter(|file| file != "manifest.csv")
            .collect();
        assert_eq!(files, kept);
    }
    let mut session = Session::start(&board, &arguments);
    session.answer(&saying("go left"));
    let (ran, events) = session.end();
    assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
    assert_eq!(summary(&events), [3, 3, 1, 0]);
    let text = evaluate(&mine(&board), "text", &[]);
    assert_eq!(
        (&text["errors"], &text["words"]),
        (&0.into(), &6.into()),
        "{text}"
    );
}

#[test]
fn a_phrase_that_nobody_says_is_skipped_and_without_a_model_the_level_decides() {
    need_models!();
    let board = Board::new();
    let empty = board.path().join("no-models");
    let arguments = [
        "--phrase", "yes", "--phrase", "stop", "--takes", "1", "--json",
    ];
    let mut command = start(&board, &arguments);
    let mut session = Session::of(&board, command.env("PRESSEL_MODELS_DIR", &empty));
    let mut random = Random::new(4);
    for _ in 0..5 {
        // With some noise: the microphone is there, and nobody speaks.
        session.answer(&noise(9.6, 12, &mut random));
    }
    session.answer(&saying("stop"));
    let (ran, events) = session.end();
    check(&ran, 1, &["skipped: 1", "the same command"]);
    assert!(ran.stderr.contains("by its level"), "{}", ran.stderr);
    assert_eq!(
        whys(&events),
        [["nothing-heard"; 5].as_slice(), &[""]].concat()
    );
    assert_eq!(summary(&events), [2, 1, 1, 1]);
    let skipped = of_name(&events, "skipped").next().unwrap();
    assert_eq!(
        (&skipped["phrase"], &skipped["tries"]),
        (&"yes".into(), &5.into())
    );
}

#[test]
fn what_cannot_be_recorded_with_or_into_is_named_with_a_remedy() {
    let board = Board::new();
    let ran = run(start(&board, &["--phrase", "stop", "--mic", "plughw:CARD=None"]).arg("-q"));
    assert_eq!(ran.status.code(), Some(2), "{}", ran.stderr);
    let ran = run(&mut start(
        &board,
        &["--phrase", "stop", "--mic", "no_such_card"],
    ));
    check(&ran, 3, &["no_such_card", "pressel devices"]);
    let ran = run(&mut start(&board, &["--phrase", "?"]));
    check(&ran, 2, &["--phrase \"?\"", "nothing in it to say"]);
    fs::write(mine(&board).join("manifest.csv"), "file,category,text\n").unwrap();
    let ran = run(&mut start(&board, &["--phrase", "stop"]));
    check(&ran, 2, &["manifest.csv", "another list", "--out"]);
    let ran =
        run(command(&["record", "--phrase", "stop", "--out", "/proc/mine"]).arg("--board=sim"));
    check(&ran, 2, &["--sim-dir"]);
    let ran = run(&mut command(&[
        "record",
        "--phrase",
        "stop",
        "--out",
        "/proc/mine",
    ]));
    check(&ran, 5, &["/proc/mine", "--out"]);
}
