//! The stage of the demo: the appliance's process, the monitor's process, and what is drawn.
//!
//! Lines of the LEDs' pipe, of the button and of the monitor come in as news; a line of lights and
//! what is said go out to the terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use pressel_hal::sim::{self, LEDS_FILE, UART_FILE};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use crate::cli::args::CommonArguments;
use crate::failure::{Failure, Kind};

/// News at most on their way; the demo reads faster than they come.
const NEWS_MAX: usize = 1_024;
/// The lights in the order of the board's file.
const LIGHTS: [&str; 4] = ["listening", "thinking", "sent", "error"];

/// What happened on the stage.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// The appliance is ready.
    Ready,
    /// A light changed.
    Light(String, bool),
    /// The button went down or up.
    Button(bool),
    /// A transcript, or another outcome, came out of the serial line.
    Outcome {
        /// Its text.
        text: String,
        /// Its result in one word.
        result: String,
    },
    /// The appliance's or the monitor's output ended.
    Ended,
}

/// The processes and the terminal.
pub(super) struct Stage {
    /// Keeps the serial line from hanging up.
    _uart: File,
    folder: tempfile::TempDir,
    appliance: Child,
    monitor: Child,
    news: Receiver<News>,
    news_in: SyncSender<News>,
    lit: [bool; 4],
    pressed: bool,
    draws: bool,
    began: Instant,
}

impl Stage {
    /// Makes the board and starts both processes.
    pub(super) fn open(
        common: &CommonArguments,
        microphone: Option<&str>,
    ) -> Result<Self, Failure> {
        let cannot = |what: &'static str| {
            move |error: io::Error| Failure::new(Kind::Device, format!("cannot {what}: {error}"))
        };
        let folder = tempfile::Builder::new().prefix("pressel-demo-").tempdir();
        let folder = folder.map_err(cannot("make a temporary folder"))?;
        let alsa =
            sim::create_board(folder.path()).map_err(|error| Failure::new(Kind::Device, error))?;
        let (far, held) = open_uart(folder.path()).map_err(cannot("open a pseudo-terminal"))?;

        let (news_in, news) = sync_channel(NEWS_MAX);
        let leds = OpenOptions::new()
            .read(true)
            .write(true)
            .open(folder.path().join(LEDS_FILE));
        watch_lights(leds.map_err(cannot("open the lights"))?, news_in.clone())
            .map_err(cannot("start a thread"))?;

        let myself = std::env::current_exe().map_err(cannot("find this program"))?;
        let mut monitor = Command::new(&myself)
            .args(["monitor", "-", "--json"])
            .stdin(Stdio::from(far))
            .stdout(Stdio::piped())
            .spawn()
            .map_err(cannot("start the monitor"))?;
        if let Some(output) = monitor.stdout.take() {
            watch_monitor(BufReader::new(output), news_in.clone())
                .map_err(cannot("start a thread"))?;
        }
        let log = File::create(folder.path().join("log")).map_err(cannot("write the log"))?;
        let mut command = Command::new(&myself);
        command
            .args(["run", "--board", "sim", "--json", "--sim-dir"])
            .arg(folder.path())
            .args(arguments(common))
            .env("ALSA_CONFIG_PATH", alsa)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log));
        if let Some(device) = microphone {
            // The user's own devices, not the simulated board's.
            command
                .env_remove("ALSA_CONFIG_PATH")
                .args(["--mic", device]);
        }
        let started = command.spawn().map_err(cannot("start the appliance"));
        let mut appliance = match started {
            Ok(appliance) => appliance,
            Err(failure) => {
                end(&mut monitor);
                return Err(failure);
            }
        };
        if let Some(output) = appliance.stdout.take() {
            watch_appliance(BufReader::new(output), news_in.clone())
                .map_err(cannot("start a thread"))?;
        }
        let draws = io::stdout().is_terminal();
        let (lit, pressed, began) = ([false; 4], false, Instant::now());
        Ok(Self {
            _uart: held,
            folder,
            appliance,
            monitor,
            news,
            news_in,
            lit,
            pressed,
            draws,
            began,
        })
    }

    /// Returns the board's folder.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns where others on the stage tell their news.
    pub(super) fn news(&self) -> SyncSender<News> {
        self.news_in.clone()
    }

    /// Waits for news that `is_it`, and draws the others. `None` when it was asked to end.
    ///
    /// # Errors
    /// [`Kind::Result`] when it does not come in time, or the appliance has ended.
    pub(super) fn wait_until(
        &mut self,
        longest: Duration,
        asked: &AtomicBool,
        mut is_it: impl FnMut(&News) -> bool,
    ) -> Result<Option<News>, Failure> {
        let deadline = Instant::now() + longest;
        while !asked.load(Ordering::Relaxed) {
            match self.news.recv_timeout(Duration::from_millis(50)) {
                Ok(News::Ended) => return Err(self.why_it_ended()),
                Ok(news) => {
                    self.draw(&news);
                    if is_it(&news) {
                        return Ok(Some(news));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(self.why_it_ended()),
            }
            if deadline < Instant::now() {
                let why = format!("nothing came for {} s", longest.as_secs());
                return Err(Failure::new(
                    Kind::Result,
                    format!("{why}{}", self.last_lines()),
                ));
            }
        }
        Ok(None)
    }

    /// Draws what happens for a while. Returns the last outcome that came.
    pub(super) fn idle(&mut self, length: Duration) -> Option<News> {
        let deadline = Instant::now() + length;
        let mut outcome = None;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            let Ok(news) = self.news.recv_timeout(left) else {
                continue;
            };
            self.draw(&news);
            if let News::Outcome { .. } = news {
                outcome = Some(news);
            }
        }
        outcome
    }

    /// Prints one line.
    #[allow(clippy::print_stdout, reason = "the demo is what it prints")]
    pub(super) fn say(&mut self, line: &str) {
        let (clear, end) = if self.draws {
            ("\r\x1b[K", "\r\n")
        } else {
            ("", "\n")
        };
        print!("{clear}{line}{end}");
        self.draw_lights();
    }

    /// Ends both processes; nothing is left behind.
    pub(super) fn close(mut self, ended: Result<(), Failure>) -> Result<(), Failure> {
        self.clear_lights();
        end(&mut self.appliance);
        let status = self.appliance.wait();
        end(&mut self.monitor);
        self.monitor.wait().ok();
        let lines = self.last_lines();
        ended?;
        match status {
            Ok(status) if status.success() => Ok(()),
            status => {
                let why = format!("the appliance ended with {status:?}{lines}");
                Err(Failure::new(Kind::Result, why))
            }
        }
    }

    fn draw(&mut self, news: &News) {
        match news {
            News::Button(pressed) => self.pressed = *pressed,
            News::Light(name, lit) => {
                if let Some(place) = LIGHTS.iter().position(|light| light == name) {
                    self.lit[place] = *lit;
                }
            }
            News::Ready | News::Outcome { .. } | News::Ended => return,
        }
        if self.draws {
            self.draw_lights();
            return;
        }
        let seconds = self.began.elapsed().as_secs_f32();
        match news {
            News::Button(true) => self.say(&format!("{seconds:6.2} s  button pressed")),
            News::Button(false) => self.say(&format!("{seconds:6.2} s  button released")),
            News::Light(name, lit) => {
                let state = if *lit { "on" } else { "off" };
                self.say(&format!("{seconds:6.2} s  led {name} {state}"));
            }
            News::Ready | News::Outcome { .. } | News::Ended => {}
        }
    }

    #[allow(clippy::print_stdout, reason = "the demo is what it prints")]
    fn draw_lights(&self) {
        if !self.draws {
            return;
        }
        let mut row = String::from(if self.pressed { "[BUTTON]" } else { "[button]" });
        for (name, lit) in LIGHTS.iter().zip(self.lit) {
            let (colour, lamp) = match (lit, *name) {
                (false, _) => ("2", "o"),
                (true, "error") => ("1;31", "@"),
                (true, "sent") => ("1;32", "@"),
                (true, "thinking") => ("1;33", "@"),
                (true, _) => ("1;34", "@"),
            };
            row.push_str(&format!("  \x1b[{colour}m{lamp} {name}\x1b[0m"));
        }
        print!("\r\x1b[K{row}");
        io::stdout().flush().ok();
    }

    /// Takes the line of lights away, so that the last words stand alone.
    #[allow(clippy::print_stdout, reason = "the demo is what it prints")]
    fn clear_lights(&self) {
        if self.draws {
            print!("\r\x1b[K");
            io::stdout().flush().ok();
        }
    }

    fn why_it_ended(&mut self) -> Failure {
        let status = self.appliance.wait().ok().and_then(|status| status.code());
        let kind = match status {
            Some(2) => Kind::Usage,
            Some(3) => Kind::Device,
            Some(4) => Kind::Model,
            Some(5) => Kind::Disk,
            _ => Kind::Result,
        };
        Failure::new(kind, format!("the appliance ended{}", self.last_lines()))
    }

    /// Returns the end of the appliance's log.
    fn last_lines(&self) -> String {
        let log: PathBuf = self.folder.path().join("log");
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(4)..].join(" | ");
        if last.is_empty() {
            String::new()
        } else {
            format!("; its log ends with: {last}")
        }
    }
}

/// Asks a process to end; a process that has ended already is fine.
fn end(child: &mut Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        kill_process(pid, Signal::TERM).ok();
    }
}

/// Makes a pseudo-terminal whose near end is the board's serial line. Returns the far end, and the
/// near end, which is held open so that the far end never hangs up.
fn open_uart(folder: &Path) -> io::Result<(OwnedFd, File)> {
    let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&far)?;
    unlockpt(&far)?;
    let near = ptsname(&far, Vec::new())?;
    let near = near.to_str().map_err(io::Error::other)?;
    std::os::unix::fs::symlink(near, folder.join(UART_FILE))?;
    let held = OpenOptions::new().read(true).write(true).open(near)?;
    Ok((far, held))
}

fn arguments(common: &CommonArguments) -> Vec<std::ffi::OsString> {
    let mut arguments = Vec::new();
    let mut add = |name: &str, value: std::ffi::OsString| {
        arguments.push(name.into());
        arguments.push(value);
    };
    if let Some(config) = &common.config {
        add("--config", config.into());
    }
    if let Some(model) = &common.model {
        add("--model", model.into());
    }
    if let Some(threads) = common.threads {
        add("--threads", threads.to_string().into());
    }
    arguments
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map(drop)
}

fn watch_lights(leds: File, news: SyncSender<News>) -> io::Result<()> {
    spawn("lights", move || {
        for line in BufReader::new(leds).lines().map_while(Result::ok) {
            if let Some((name, state)) = line.split_once(' ')
                && news
                    .send(News::Light(name.to_owned(), state == "1"))
                    .is_err()
            {
                return;
            }
        }
    })
}

fn watch_monitor(
    output: impl io::BufRead + Send + 'static,
    news: SyncSender<News>,
) -> io::Result<()> {
    spawn("monitor", move || {
        for object in objects(output) {
            if object["event"] == "outcome" {
                let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
                let outcome = News::Outcome {
                    text: text("text"),
                    result: text("result"),
                };
                if news.send(outcome).is_err() {
                    return;
                }
            }
        }
    })
}

/// The appliance's own events tell when it is ready, and when it has ended.
fn watch_appliance(
    output: impl io::BufRead + Send + 'static,
    news: SyncSender<News>,
) -> io::Result<()> {
    spawn("appliance", move || {
        for object in objects(output) {
            if object["event"] == "worker_ready" && news.send(News::Ready).is_err() {
                return;
            }
        }
        // The demo may be gone already.
        news.send(News::Ended).ok();
    })
}

fn objects(output: impl io::BufRead) -> impl Iterator<Item = Value> {
    output
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str(&line).ok())
}
