//! The appliance at work on the simulated board, under a test's hands.
//!
//! In: samples, presses and signals from the test. Out: events, serial messages, and how it ended.
//! Audio is fed at a bounded pace, and only while ears and outcomes keep up, so that a slow machine
//! makes a test slow and never makes it fail.

use std::fs::File;
use std::process::{Child, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pressel_pipeline::limits::BLOCK_RING_BLOCKS;
use rustix::process::Signal;
use serde_json::Value;

use crate::board::{BLOCK, Board, rest};
use crate::events::{Events, of_name};
use crate::process;
use crate::program::{PATIENCE, command, until, wait};
use crate::uart::{Heard, Host};

/// Time by which a wait must be longer than the appliance's own, for its clock counts milliseconds.
const CLOCK: Duration = Duration::from_millis(3);

/// Blocks that may wait to be heard.
const UNHEARD_MAX: usize = BLOCK_RING_BLOCKS / 2;

/// How the appliance is started.
#[derive(Clone, Debug)]
pub(crate) struct Setting<'a> {
    /// How many times faster than real time its clock runs.
    pub(crate) speed: u32,
    /// How many times faster than real time the world plays.
    pub(crate) pace: u32,
    /// Its configuration file.
    pub(crate) config: &'a str,
    /// More of the command line.
    pub(crate) arguments: &'a [&'a str],
    /// More of its environment.
    pub(crate) variables: &'a [(&'a str, &'a str)],
    /// A board's file instead of the built-in board.
    pub(crate) board: Option<&'a str>,
    /// Whether the host reads the serial line.
    pub(crate) reads: bool,
}

impl Default for Setting<'_> {
    fn default() -> Self {
        Self {
            speed: 4,
            pace: 8,
            config: "",
            arguments: &[],
            variables: &[],
            board: None,
            reads: true,
        }
    }
}

/// The appliance.
pub(crate) struct Rig {
    pub(crate) board: Board,
    pub(crate) events: Events,
    pub(crate) host: Host,
    /// Utterances that may wait for their outcome while audio goes on.
    pub(crate) ahead: usize,
    child: Child,
    speed: u32,
    pace: u32,
    due: Instant,
    unheard: usize,
    edge_at: Instant,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// From the signal to the end.
    pub(crate) took: Duration,
    pub(crate) events: Vec<Value>,
    pub(crate) heard: Heard,
    pub(crate) log: String,
    /// Children that outlived it.
    pub(crate) left: Vec<u32>,
}

impl Rig {
    /// Starts it and does not wait.
    pub(crate) fn start(setting: &Setting<'_>) -> Self {
        let board = Board::new();
        let config = board.write("pressel.toml", setting.config);
        let log = File::create(board.path().join("log")).unwrap();
        let mut host = Host::new(&board.uart);
        if setting.reads {
            host.listen();
        }
        let mut command = command(&["run", "--json", "--strict-memory", "--sim-speed"]);
        command.arg(setting.speed.to_string());
        command
            .arg("--sim-dir")
            .arg(board.path())
            .arg("--config")
            .arg(config);
        if let Some(text) = setting.board {
            command
                .arg("--board-file")
                .arg(board.write("board.toml", text));
        } else {
            command.args(["--board", "sim"]);
        }
        command
            .args(setting.arguments)
            .envs(setting.variables.iter().copied())
            .env("ALSA_CONFIG_PATH", &board.alsa);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let events = Events::of(child.stdout.take().unwrap());
        let now = Instant::now();
        let (ahead, speed, pace) = (2, setting.speed, setting.pace);
        Self {
            board,
            events,
            host,
            ahead,
            child,
            speed,
            pace,
            due: now,
            unheard: 0,
            edge_at: now,
        }
    }

    /// Starts it and waits until it can recognise.
    pub(crate) fn ready(setting: &Setting<'_>) -> Self {
        let rig = Self::start(setting);
        rig.wait_for("worker_ready", 1);
        rig
    }

    /// Returns its process number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the process number of its worker.
    pub(crate) fn worker(&self) -> u32 {
        let children = process::children(self.id());
        assert_eq!(children.len(), 1, "{children:?}");
        children[0]
    }

    /// Returns what it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.board.path().join("log")).unwrap()
    }

    /// Waits for so many events of a name.
    pub(crate) fn wait_for(&self, name: &str, count: usize) {
        self.wait(name, |events| {
            (count <= of_name(events, name).count()).then_some(())
        });
    }

    /// Waits for the appliance's state.
    pub(crate) fn wait_for_state(&self, state: &str) {
        let last = |events: &[Value]| of_name(events, "state").last().cloned();
        self.wait(state, |events| {
            last(events)
                .filter(|event| event["state"] == state)
                .map(drop)
        });
    }

    /// Waits until `found` finds something in the events.
    pub(crate) fn wait<T>(&self, what: &str, found: impl Fn(&[Value]) -> Option<T>) -> T {
        let found = self.events.wait(found);
        found.unwrap_or_else(|| panic!("waited in vain for {what}:\n{}", self.log()))
    }

    /// Plays samples, and silence up to a whole block.
    pub(crate) fn play(&mut self, samples: &[i16]) {
        for piece in samples.chunks(BLOCK) {
            self.events.wait_for_outcomes(self.ahead);
            self.keep_up();
            let mut block = [0; BLOCK];
            block[..piece.len()].copy_from_slice(piece);
            // A world that was held up goes on at its pace and does not hurry.
            self.due = self.due.max(Instant::now()) + Duration::from_millis(16) / self.pace;
            self.board.speak(&block);
            let early = self.due.saturating_duration_since(Instant::now());
            if CLOCK < early {
                sleep(early);
            }
        }
    }

    /// Waits now and then until all that was played has been heard: no machine is so busy that the
    /// ring of blocks, which holds more, runs over.
    fn keep_up(&mut self) {
        self.unheard += 1;
        if UNHEARD_MAX < self.unheard {
            self.unheard = 0;
            self.board.drain();
            let id = self.id();
            let heard = until(PATIENCE, || process::sleeps(id).then_some(()));
            assert!(heard.is_some(), "it never rests");
        }
    }

    /// Presses the button, or lets it go, after the last sample that was played.
    pub(crate) fn press(&mut self, pressed: bool) {
        let debounce = Duration::from_millis(20) / self.speed;
        rest(self.edge_at, debounce + CLOCK);
        self.board.button(if pressed { b"1" } else { b"0" });
        self.edge_at = Instant::now();
    }

    /// Lets the button go, when it has been down for longer than a tap.
    pub(crate) fn release(&mut self) {
        rest(
            self.edge_at,
            Duration::from_millis(250) / self.speed + CLOCK,
        );
        self.press(false);
    }

    /// Presses the button for just these samples, and then plays the time after a release.
    pub(crate) fn say(&mut self, samples: &[i16]) {
        self.press(true);
        self.play(samples);
        self.release();
        self.play(&[0; 5_120]);
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end(self, signal: Signal) -> Ended {
        self.end_by(|id| process::signal(id, signal))
    }

    /// Does what ends it, and waits for the end.
    pub(crate) fn end_by(mut self, ask: impl FnOnce(u32)) -> Ended {
        let children = process::children(self.id());
        let began = Instant::now();
        ask(self.id());
        let status = wait(&mut self.child);
        let took = began.elapsed();
        let left = children
            .into_iter()
            .filter(|&child| process::runs(child))
            .collect();
        let log = self.log();
        let status = status.unwrap_or_else(|| panic!("it did not end:\n{log}"));
        // What follows takes it apart; its `drop` would only kill what has ended.
        let Self {
            ref mut events,
            ref mut host,
            ..
        } = self;
        let events = std::mem::replace(events, Events::of(std::io::empty())).finish();
        let heard = std::mem::replace(host, Host::new(&self.board.uart)).finish();
        Ended {
            status,
            took,
            events,
            heard,
            log,
            left,
        }
    }

    /// Waits for so many outcomes, ends it, and looks whether its books are right.
    pub(crate) fn finish(self, outcomes: usize) -> Ended {
        self.wait_for("outcome", outcomes);
        let ended = self.end(Signal::TERM);
        ended.check_books();
        ended
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.log());
        }
        // A test that failed leaves nothing running.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
