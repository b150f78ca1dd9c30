//! The stage of the demo: the appliance's process, the monitor's process, and what is drawn.
//!
//! Lines of the LEDs' pipe, of the button and of the monitor come in as news; a line of lights and
//! what is said go out to the terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, IsTerminal as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use pressel_hal::sim::{self, LEDS_FILE, UART_FILE};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::watch;
use crate::cli::args::CommonArguments;
use crate::failure::{Failure, Kind};

/// News at most on their way; the demo reads faster than they come.
const NEWS_MAX: usize = 1_024;
/// How long a process that was asked to end may take.
const END_MAX: Duration = Duration::from_millis(1_500);
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
    appliance: Process,
    monitor: Process,
    // After the processes: it goes away when they have ended.
    folder: tempfile::TempDir,
    asked: Arc<AtomicBool>,
    news: Receiver<News>,
    news_in: SyncSender<News>,
    lit: [bool; 4],
    pressed: bool,
    draws: bool,
    began: Instant,
}

impl Stage {
    /// Makes the board and starts both processes. Whoever sets `asked` ends the demo.
    pub(super) fn open(
        common: &CommonArguments,
        microphone: Option<&str>,
        asked: &Arc<AtomicBool>,
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
        watch::lights(leds.map_err(cannot("open the lights"))?, news_in.clone())
            .map_err(cannot("start a thread"))?;

        let myself = std::env::current_exe().map_err(cannot("find this program"))?;
        let mut command = Command::new(&myself);
        command
            .args(["monitor", "-", "--json"])
            .stdin(Stdio::from(far))
            .stdout(Stdio::piped());
        let mut monitor = Process::start(command).map_err(cannot("start the monitor"))?;
        if let Some(output) = monitor.0.stdout.take() {
            watch::monitor(BufReader::new(output), news_in.clone())
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
        let mut appliance = Process::start(command).map_err(cannot("start the appliance"))?;
        if let Some(output) = appliance.0.stdout.take() {
            watch::appliance(BufReader::new(output), news_in.clone())
                .map_err(cannot("start a thread"))?;
        }
        let draws = io::stdout().is_terminal();
        let (lit, pressed, began) = ([false; 4], false, Instant::now());
        Ok(Self {
            _uart: held,
            appliance,
            monitor,
            folder,
            asked: Arc::clone(asked),
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
        mut is_it: impl FnMut(&News) -> bool,
    ) -> Result<Option<News>, Failure> {
        let deadline = Instant::now() + longest;
        while !self.is_asked() {
            match self.news.recv_timeout(Duration::from_millis(50)) {
                Ok(News::Ended) | Err(RecvTimeoutError::Disconnected) if self.is_asked() => break,
                Ok(News::Ended) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.why_it_ended());
                }
                Ok(news) => {
                    self.draw(&news);
                    if is_it(&news) {
                        return Ok(Some(news));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
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

    /// Returns whether the demo was asked to end.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Draws what happens for a while. Returns the last outcome that came.
    pub(super) fn idle(&mut self, length: Duration) -> Option<News> {
        let deadline = Instant::now() + length;
        let mut outcome = None;
        while let Some(left) = deadline.checked_duration_since(Instant::now())
            && !self.is_asked()
        {
            let step = left.min(Duration::from_millis(50));
            let Ok(news) = self.news.recv_timeout(step) else {
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
    pub(super) fn say(&mut self, line: &str) {
        let (clear, end) = if self.draws {
            ("\r\x1b[K", "\r\n")
        } else {
            ("", "\n")
        };
        self.print(&format!("{clear}{line}{end}"));
        self.draw_lights();
    }

    /// Writes to standard output. When nobody reads it any more, the demo has to end.
    fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        if out.write_all(text.as_bytes()).is_err() || out.flush().is_err() {
            self.asked.store(true, Ordering::Relaxed);
        }
    }

    /// Ends both processes. A demo that was asked to end has not failed.
    pub(super) fn close(mut self, ended: Result<(), Failure>) -> Result<(), Failure> {
        self.clear_lights();
        let status = self.appliance.end();
        // It has nothing more to tell; only that it ends matters.
        self.monitor.end().ok();
        let lines = self.last_lines();
        if self.is_asked() {
            return Ok(());
        }
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
        self.print(&format!("\r\x1b[K{row}"));
    }

    /// Takes the line of lights away, so that the last words stand alone.
    fn clear_lights(&self) {
        if self.draws {
            self.print("\r\x1b[K");
        }
    }

    fn why_it_ended(&mut self) -> Failure {
        let status = self.appliance.end().ok().and_then(|status| status.code());
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

/// A process of the stage; it ends with the stage.
struct Process(Child);

impl Process {
    /// Starts it in a group of its own: a terminal's Ctrl+C reaches the demo only.
    fn start(mut command: Command) -> io::Result<Self> {
        command.process_group(0).spawn().map(Self)
    }

    /// Asks it to end, once, and waits; what takes too long is killed with all its group.
    fn end(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.0.try_wait()? {
            return Ok(status);
        }
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::NotFound)?;
        kill_process(pid, Signal::TERM)?;
        let deadline = Instant::now() + END_MAX;
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        kill_process_group(pid, Signal::KILL)?;
        self.0.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that cannot be waited for has ended.
        self.end().ok();
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
    // It must not become the terminal that controls this process.
    let held = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(near)?;
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
