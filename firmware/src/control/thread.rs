//! The thread `control`: clients, beats and systemd, in one `poll(2)`.
//!
//! A bell, clients and time in; answers, log lines and `sd_notify` messages out. A panic is caught
//! at the top, counted and reported, and the thread begins anew, a bounded number of times.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use heapless::Vec as Few;
use pressel_hal::PollFd;
use pressel_hal::linux::poll;
use pressel_pipeline::limits::{CONTROL_CLIENTS_MAX, CONTROL_END_MS, CONTROL_PANICS_MAX};
use pressel_pipeline::time::Millis;

use super::protocol::{Answer, Request};
use super::server::{Desk, Reply, Server};
use super::socket::ControlSocket;
use super::status::{self, Facts};
use super::systemd::{Notifier, watchdog_interval};
use super::watchdog::{Action, Tuning, Watchdog};
use crate::bell::Bell;
use crate::jobs::doors::SendError;
use crate::jobs::{JobClient, JobRequest};
use crate::journal::Spoken;
use crate::vitals::{Vitals, Watched};

/// A thread that is to hang does so after this time.
const HANG_AFTER: Duration = Duration::from_secs(1);

/// What the thread works with.
pub struct Tools {
    /// What stays the same.
    pub facts: Facts,
    /// How the threads are.
    pub vitals: Arc<Vitals>,
    /// Returns the last outcomes, the newest last.
    pub last: Box<dyn Fn() -> Vec<Spoken> + Send>,
    /// The way to the jobs.
    pub jobs: JobClient,
    /// A thread that is to hang, for tests of the watchdog.
    pub hang: Option<Watched>,
}

/// The thread, as its owner sees it.
pub struct Control {
    stop: Arc<AtomicBool>,
    bell: Bell,
    thread: JoinHandle<()>,
}

impl Control {
    /// Makes the socket and starts the thread. Without a socket it only watches, and says why.
    ///
    /// # Errors
    /// The error of making a bell or a thread.
    pub fn start(path: &Path, tools: Tools) -> io::Result<Self> {
        let opened = if path.as_os_str().is_empty() {
            Ok(None)
        } else {
            ControlSocket::open(path).map(Some)
        };
        let mut socket = opened.unwrap_or_else(|why| {
            log::warn!("{why}");
            None
        });
        let listener = socket.as_ref().map(|socket| socket.listener.try_clone());
        let (stop, bell) = (Arc::new(AtomicBool::new(false)), Bell::new()?);
        let begun = Instant::now();
        let interval = watchdog_interval();
        let interval_ms = interval.map(|interval| u64::try_from(interval.as_millis()));
        let tuning = Tuning::new(interval_ms.and_then(Result::ok));
        let mut room = Room {
            begun,
            stop: Arc::clone(&stop),
            bell: bell.clone(),
            server: listener.transpose()?.map(Server::new),
            watchdog: Watchdog::new(tuning, 0),
            notifier: Notifier::from_environment(),
            is_ready: false,
            told: String::new(),
            tools,
        };
        let thread = std::thread::Builder::new()
            .name("control".into())
            .spawn(move || {
                room.run();
                // Last of all: the name in the file system goes.
                drop(socket.take());
            })?;
        Ok(Self { stop, bell, thread })
    }

    /// Ends the thread, and does not wait for it longer than some moments.
    pub fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.bell.ring();
        let deadline = Instant::now() + Duration::from_millis(CONTROL_END_MS);
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The inside of the thread.
struct Room {
    begun: Instant,
    stop: Arc<AtomicBool>,
    bell: Bell,
    server: Option<Server>,
    watchdog: Watchdog,
    notifier: Notifier,
    /// Systemd knows that the appliance is ready.
    is_ready: bool,
    /// The status line that systemd knows.
    told: String,
    tools: Tools,
}

impl Room {
    fn run(&mut self) {
        let mut panics = 0;
        while !self.stop.load(Ordering::Relaxed) {
            if catch_unwind(AssertUnwindSafe(|| self.turn())).is_ok() {
                continue;
            }
            panics += 1;
            self.tools.vitals.panicked();
            log::error!("thread panicked and was rebuilt name=control total={panics}");
            if let Some(server) = &mut self.server {
                server.clear();
            }
            if CONTROL_PANICS_MAX <= panics {
                log::error!("control panicked too often: nobody watches the threads any more");
                return;
            }
        }
        self.notifier.send(&["STOPPING=1", "STATUS=stopping"]);
    }

    /// Waits until something is to be done, and does it.
    fn turn(&mut self) {
        let mut fds = Few::<PollFd, { CONTROL_CLIENTS_MAX + 2 }>::new();
        fds.push(self.bell.poll_fd()).ok();
        let look = self.begun + Duration::from_millis(self.watchdog.next_look());
        let served = self.server.as_ref();
        let due = served.and_then(|server| server.wait_for(&mut fds));
        let due = due.map_or(look, |due| due.min(look));
        let wait = due.saturating_duration_since(Instant::now());
        let timeout = i32::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(1_000);
        if poll::wait(&mut fds, timeout).is_err() {
            // Out of memory: not at once again.
            std::thread::sleep(Duration::from_millis(100));
        }
        self.bell.hush();
        let now = Instant::now();
        if look <= now {
            self.look();
        }
        let Self {
            server,
            tools,
            watchdog,
            ..
        } = self;
        if let Some(server) = server {
            server.turn(now, &mut FrontDesk { tools, watchdog });
        }
    }

    fn now(&self) -> Millis {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Looks at the beats, and says what is to be said.
    fn look(&mut self) {
        if HANG_AFTER < self.begun.elapsed()
            && let Some(thread) = self.tools.hang.take()
        {
            self.tools.vitals.hang(thread);
        }
        let beats = Watched::ALL.map(|thread| self.tools.vitals.beats(thread));
        let mut feeds = false;
        for action in self.watchdog.step(self.now(), beats) {
            match action {
                Action::Feed => feeds = true,
                _ => say(action),
            }
        }
        let line = self.line();
        let ready = self.tools.vitals.read().state.worker_ok;
        let mut lines = Vec::new();
        if ready && !self.is_ready {
            lines.push("READY=1");
        }
        if line != self.told {
            lines.push(line.as_str());
        }
        if feeds {
            lines.push("WATCHDOG=1");
        }
        if !lines.is_empty() && self.notifier.send(&lines) {
            self.is_ready |= ready;
            self.told = line;
        }
    }

    /// Returns the line that `systemctl status` shows.
    fn line(&self) -> String {
        let state = self.tools.vitals.read().state;
        let mut line = format!("STATUS={}, {}", state.state, state.provider);
        if self.tools.facts.safe_mode.is_some() {
            line += ", safe mode";
        }
        if let Some(thread) = self.watchdog.stuck() {
            line += ", stuck: ";
            line += thread.name();
        }
        line
    }
}

fn say(action: Action) {
    match action {
        Action::Stuck {
            thread,
            for_ms,
            never,
        } => {
            let (name, for_s) = (thread.name(), for_ms / 1_000);
            let what = if never {
                "it has not begun"
            } else {
                "it makes no progress"
            };
            log::error!(
                "stuck thread={name} for_s={for_s}: {what}; systemd, where it watches, starts the \
                 appliance anew"
            );
        }
        Action::Moves { thread, after_ms } => {
            let (name, after_s) = (thread.name(), after_ms / 1_000);
            log::info!("moves again thread={name} after_s={after_s}");
        }
        Action::Feed => {}
    }
}

/// Answers clients.
struct FrontDesk<'a> {
    tools: &'a Tools,
    watchdog: &'a Watchdog,
}

impl Desk for FrontDesk<'_> {
    fn reply(&mut self, request: Request) -> Reply {
        match request {
            Request::Status {} => {
                let Tools {
                    facts,
                    vitals,
                    last,
                    jobs,
                    ..
                } = self.tools;
                let status = status::gather(facts, vitals, self.watchdog, &last());
                match jobs.send(JobRequest::List) {
                    Ok(counted) => Reply::Status(Box::new(status), counted),
                    Err(_) => Reply::Now(Answer::Status(Box::new(status))),
                }
            }
            Request::Jobs(request) => {
                let late = request.late();
                Reply::Now(match self.tools.jobs.send(request) {
                    Ok(answer) => return Reply::Jobs(answer, late),
                    Err(why @ SendError::Full) => Answer::Busy(why.to_string()),
                    Err(why @ SendError::Gone) => Answer::Error(why.to_string()),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::control::client::AskError;
    use crate::control::{ask, status::Status};
    use crate::jobs::doors::doors;

    fn status(path: &Path) -> Result<Box<Status>, AskError> {
        match ask(path, &Request::Status {})? {
            Answer::Status(status) => Ok(status),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn panic_costs_the_clients_of_that_moment_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        let vitals = Arc::new(Vitals::new());
        let asked = AtomicU32::new(0);
        let tools = Tools {
            facts: Facts::default(),
            vitals: Arc::clone(&vitals),
            last: Box::new(move || {
                assert_ne!(asked.fetch_add(1, Ordering::Relaxed), 1, "on purpose");
                Vec::new()
            }),
            jobs: doors(&Bell::new().unwrap()).2,
            hang: None,
        };
        let control = Control::start(&path, tools).unwrap();
        // There is no thread `jobs`: the status goes without it.
        assert_eq!(status(&path).unwrap().jobs, None);
        assert!(matches!(status(&path), Err(AskError::NoAnswer(_))));
        assert_eq!(status(&path).unwrap().panics, 1);
        assert_eq!(vitals.panics(), 1);
        control.finish();
        assert!(matches!(status(&path), Err(AskError::NoAppliance(_))));
        assert!(!path.exists());
    }
}
