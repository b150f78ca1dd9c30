//! `pressel monitor` on a real terminal, which is as before at any end.
//!
//! In: keys and signals on one pseudo-terminal, messages of an appliance on another. Out: what the
//! monitor sent, its exit code, and the settings of its terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use pressel_wire::{
    CONFIDENCE_UNKNOWN, Decoder, Delivered, DeviceMessage, DeviceState, HostMessage, Mark, Outcome,
    OutcomeResult, Provider, State, Timing, Trigger, encode_device,
};
use rustix::fs::OFlags;
use rustix::process::Signal;
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::board::terminal;
use crate::process::signal;
use crate::program::{PATIENCE, command, until, wait};

/// What a terminal gets when a program takes all of it, and gives it back.
const TAKEN: &str = "\x1b[?1049h";
const GIVEN_BACK: &str = "\x1b[?1049l";

/// The far end of a pseudo-terminal, and everything that came out of it.
struct End {
    file: File,
    came: Arc<Mutex<Vec<u8>>>,
}

impl End {
    fn new(file: File) -> Self {
        let came: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (mut reader, all) = (file.try_clone().unwrap(), Arc::clone(&came));
        // It ends with the near end.
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                all.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { file, came }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.file.write_all(bytes).unwrap();
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.came.lock().unwrap()).into_owned()
    }
}

/// A monitor between its terminal and its port.
struct Rig {
    monitor: Child,
    /// The monitor's side of the terminal.
    near: File,
    screen: End,
    line: End,
}

impl Rig {
    /// Starts the monitor and waits for its screen.
    fn start() -> Self {
        let (line, port) = terminal();
        let (screen, name) = terminal();
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.custom_flags(OFlags::NOCTTY.bits().cast_signed());
        let near = options.open(&name).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&near, size).unwrap();
        let mut command = command(&["monitor", port.to_str().unwrap()]);
        command
            .env("TERM", "xterm")
            .stdin(near.try_clone().unwrap());
        command.stdout(near.try_clone().unwrap());
        let monitor = command.stderr(near.try_clone().unwrap()).spawn().unwrap();
        let rig = Self {
            monitor,
            near,
            screen: End::new(screen),
            line: End::new(line),
        };
        rig.wait_for_screen(TAKEN);
        rig.wait_for_message(HostMessage::GetStatus);
        rig
    }

    fn wait_for_screen(&self, what: &str) {
        let found = until(PATIENCE, || self.screen.text().contains(what).then_some(()));
        assert!(found.is_some(), "no {what:?} in {:?}", self.screen.text());
    }

    fn messages(&self) -> Vec<HostMessage> {
        let bytes = self.line.came.lock().unwrap();
        Decoder::new().push(&bytes).flatten().collect()
    }

    fn wait_for_message(&self, message: HostMessage) {
        let found = until(PATIENCE, || {
            self.messages().contains(&message).then_some(())
        });
        assert!(found.is_some(), "no {message:?} in {:?}", self.messages());
    }

    fn tell(&mut self, state: DeviceState, muted: bool) {
        let state = DeviceMessage::State(State {
            state,
            provider: Provider::Cpu,
            microphone_ok: true,
            worker_ok: true,
            muted,
            waiting: 0,
        });
        let mut frame = [0; 256];
        let count = encode_device(&state, &mut frame).unwrap();
        self.line.write(&frame[..count]);
    }

    fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.near).unwrap().local_modes;
        !modes.contains(LocalModes::ICANON)
    }

    /// It ends with 0, and the terminal is as before.
    fn ends(mut self) -> Vec<HostMessage> {
        let status = wait(&mut self.monitor).expect("the monitor did not end");
        assert_eq!(status.code(), Some(0), "{}", self.screen.text());
        self.wait_for_screen(GIVEN_BACK);
        assert!(!self.is_raw());
        self.messages()
    }
}

#[test]
fn terminal_is_as_before_after_each_key_and_signal_that_ends() {
    for key in ["q", "\x03"] {
        let mut rig = Rig::start();
        assert!(rig.is_raw());
        rig.screen.write(key.as_bytes());
        rig.ends();
    }
    for which in [Signal::TERM, Signal::INT, Signal::HUP] {
        let rig = Rig::start();
        assert!(rig.is_raw());
        signal(rig.monitor.id(), which);
        rig.ends();
    }
}

#[test]
fn keys_talk_and_mute_and_the_button_does_not_stay_down() {
    let mut rig = Rig::start();
    rig.tell(DeviceState::Idle, false);
    rig.wait_for_screen("IDLE");
    rig.screen.write(b"m");
    rig.wait_for_message(HostMessage::Mute(true));
    rig.tell(DeviceState::Muted, true);
    rig.wait_for_screen("unmute");
    rig.screen.write(b"m");
    rig.wait_for_message(HostMessage::Mute(false));
    rig.screen.write(b" ");
    rig.wait_for_message(HostMessage::PttDown);
    assert!(!rig.messages().contains(&HostMessage::PttUp));
    rig.screen.write(b"q");
    let sent = rig.ends();
    assert_eq!(sent.last(), Some(&HostMessage::PttUp), "{sent:?}");
}

#[test]
fn a_new_size_is_drawn() {
    let mut rig = Rig::start();
    rig.tell(DeviceState::Recognising, false);
    rig.wait_for_screen("RECOGNISING");
    let size = Winsize {
        ws_row: 40,
        ws_col: 120,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&rig.near, size).unwrap();
    // It is not the terminal that controls the monitor: nobody else tells it.
    signal(rig.monitor.id(), Signal::WINCH);
    rig.wait_for_screen("\x1b[40;"); // The row of keys is at the bottom.
    rig.screen.write(b"q");
    rig.ends();
}

#[test]
fn without_a_terminal_lines_are_printed() {
    let (line, port) = terminal();
    let mut line = End::new(line);
    let mut command = command(&["monitor", port.to_str().unwrap(), "--count", "1"]);
    let child = command.stdout(Stdio::piped()).spawn();
    let mut monitor = child.unwrap();
    let begins = HostMessage::Acknowledge(Mark::default());
    let heard = || {
        let bytes = line.came.lock().unwrap();
        Decoder::new()
            .push(&bytes)
            .flatten()
            .any(|message: HostMessage| message == begins)
    };
    assert!(until(PATIENCE, || heard().then_some(())).is_some());
    let mut frame = [0; 256];
    for message in messages() {
        let count = encode_device(&message, &mut frame).unwrap();
        line.write(&frame[..count]);
    }
    assert_eq!(wait(&mut monitor).and_then(|status| status.code()), Some(0));
    let mut printed = String::new();
    monitor
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut printed)
        .unwrap();
    assert_eq!(printed, "5  [nospeech]\n");
}

/// An appliance of which somebody else has heard the first four outcomes, and its fifth.
fn messages() -> [DeviceMessage; 2] {
    let (from, after) = (Mark::default(), Mark { boot: 17, next: 4 });
    let gap = DeviceMessage::Gap { from, to: after };
    let outcome = Outcome {
        sequence: 4,
        utterance: 5,
        trigger: Trigger::Ptt,
        result: OutcomeResult::NoSpeech,
        confidence: CONFIDENCE_UNKNOWN,
        audio_ms: 900,
        timing: Timing::default(),
    };
    let boot = 17;
    let delivered = Delivered {
        after,
        boot,
        outcome,
    };
    [gap, DeviceMessage::Delivered(delivered)]
}
