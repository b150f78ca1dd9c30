//! The server: a few clients at once, none of which can hold up anybody.
//!
//! Bytes of clients in, answers out. Each client sends one line, gets one line and is let go, all
//! of it within two seconds of its own. Nothing blocks: each turn does what can be done now, and
//! [`Server::wait_for`] says what to sleep beside. Runs on the thread `control`.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use heapless::Vec as Few;
use pressel_hal::PollFd;
use pressel_pipeline::limits::{
    CONTROL_CLIENT_MS, CONTROL_CLIENTS_MAX, CONTROL_COUNT_MS, CONTROL_JOBS_MS,
    CONTROL_REQUEST_BYTES_MAX,
};

use super::protocol::{Answer, Request, parse};
use super::status::Status;
use crate::jobs::JobAnswer;
use crate::jobs::doors::SendError;

/// Time between two looks for an answer of `jobs`, which rings no bell here.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Pause after an error of `accept(2)`: no descriptors are left, and the client still waits.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// Clients that are let in or sent away in one turn.
const ACCEPTS_PER_TURN_MAX: usize = 16;

/// What becomes of a request.
pub enum Reply {
    /// The answer.
    Now(Answer),
    /// The jobs answer it; and what is said should they be late.
    Jobs(Receiver<JobAnswer>, &'static str),
    /// A status that lacks the count of jobs.
    Status(Box<Status>, Receiver<JobAnswer>),
}

/// Answers requests.
pub trait Desk {
    /// Answers, and waits for nobody.
    fn reply(&mut self, request: Request) -> Reply;
}

/// What a client is at.
enum Stage {
    /// It sends its request.
    Reads(Vec<u8>),
    /// The jobs think about it, until then at most.
    Waits {
        reply: Reply,
        until: Instant,
        /// What it has left of its own time.
        left: Duration,
    },
    /// It takes its answer, from this byte on.
    Takes(Vec<u8>, usize),
}

struct Client {
    stream: UnixStream,
    stage: Stage,
    until: Instant,
}

/// The server.
pub struct Server {
    listener: UnixListener,
    accept_from: Option<Instant>,
    clients: Few<Client, CONTROL_CLIENTS_MAX>,
}

impl Server {
    /// Serves the clients of a listener that does not block.
    #[must_use]
    pub fn new(listener: UnixListener) -> Self {
        Self {
            listener,
            accept_from: None,
            clients: Few::new(),
        }
    }

    /// Lets go of all clients, for a thread that begins anew.
    pub fn clear(&mut self) {
        self.clients.clear();
    }

    /// Adds what to sleep beside, and returns until when at most.
    pub fn wait_for<const N: usize>(&self, fds: &mut Few<PollFd, N>) -> Option<Instant> {
        let fd = |fd, events| PollFd {
            fd,
            events,
            revents: 0,
        };
        if self.accept_from.is_none() {
            let listener = fd(self.listener.as_raw_fd(), libc::POLLIN);
            fds.push(listener).ok();
        }
        for client in &self.clients {
            let events = match client.stage {
                Stage::Reads(_) => libc::POLLIN,
                Stage::Takes(..) => libc::POLLOUT,
                Stage::Waits { .. } => continue,
            };
            // There is room: the caller has a place for each client.
            fds.push(fd(client.stream.as_raw_fd(), events)).ok();
        }
        let due = self.clients.iter().map(|client| match client.stage {
            Stage::Waits { .. } => Instant::now() + ASK_AGAIN,
            _ => client.until,
        });
        due.chain(self.accept_from).min()
    }

    /// Does all that can be done now.
    pub fn turn(&mut self, now: Instant, desk: &mut dyn Desk) {
        self.accept(now);
        let mut index = 0;
        while let Some(client) = self.clients.get_mut(index) {
            if client.turn(now, desk) {
                index += 1;
            } else {
                self.clients.swap_remove(index);
            }
        }
    }

    fn accept(&mut self, now: Instant) {
        if self.accept_from.is_some_and(|from| now < from) {
            return;
        }
        self.accept_from = None;
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            match self.listener.accept() {
                Ok((stream, _)) => self.welcome(stream, now),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        log::warn!("control clients cannot be served: {error}");
                        self.accept_from = Some(now + ACCEPT_AGAIN);
                        return;
                    }
                },
            }
        }
    }

    fn welcome(&mut self, mut stream: UnixStream, now: Instant) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        if self.clients.is_full() {
            let why = "too many clients at once: try again";
            // A fresh socket has room for it; a client that has gone does not miss it.
            stream.write_all(&Answer::Busy(why.to_owned()).line()).ok();
            return;
        }
        let client = Client {
            stream,
            stage: Stage::Reads(Vec::new()),
            until: now + Duration::from_millis(CONTROL_CLIENT_MS),
        };
        self.clients.push(client).ok();
    }
}

impl Client {
    /// Goes on with a client as far as it goes now; false when it is done with.
    fn turn(&mut self, now: Instant, desk: &mut dyn Desk) -> bool {
        if let Stage::Reads(bytes) = &mut self.stage {
            let request = match read(&mut self.stream, bytes) {
                Ok(true) => parse(bytes),
                Ok(false) => return now < self.until,
                Err(Refusal::Gone) => return false,
                Err(Refusal::TooLong) => Err(format!(
                    "the request is too long: it has at most {CONTROL_REQUEST_BYTES_MAX} bytes"
                )),
            };
            let reply = request.map_or_else(
                |why| Reply::Now(Answer::Error(why)),
                |request| desk.reply(request),
            );
            self.stage = Stage::begin(reply, now, self.until);
        }
        if let Stage::Waits { reply, until, left } = &mut self.stage {
            let Some(answer) = reply.answer(*until <= now) else {
                return true;
            };
            self.until = now + *left;
            self.stage = Stage::Takes(answer.line(), 0);
        }
        if let Stage::Takes(bytes, done) = &mut self.stage {
            return !write(&mut self.stream, bytes, done) && now < self.until;
        }
        true
    }
}

impl Stage {
    fn begin(reply: Reply, now: Instant, client_until: Instant) -> Self {
        let wait_ms = match reply {
            Reply::Now(_) => 0,
            Reply::Jobs(..) => CONTROL_JOBS_MS,
            Reply::Status(..) => CONTROL_COUNT_MS,
        };
        Self::Waits {
            reply,
            until: now + Duration::from_millis(wait_ms),
            left: client_until.saturating_duration_since(now),
        }
    }
}

impl Reply {
    /// Returns the answer, if there is one by now; when it is late, there is.
    fn answer(&mut self, is_late: bool) -> Option<Answer> {
        Some(match self {
            Self::Now(answer) => std::mem::replace(answer, Answer::Jobs(Vec::new())),
            Self::Jobs(jobs, late) => match jobs.try_recv() {
                Ok(Ok(jobs)) => Answer::Jobs(jobs),
                Ok(Err(why)) => Answer::Error(why),
                Err(TryRecvError::Empty) if !is_late => return None,
                Err(TryRecvError::Empty) => Answer::Late((*late).to_owned()),
                Err(TryRecvError::Disconnected) => Answer::Error(SendError::Gone.to_string()),
            },
            Self::Status(status, jobs) => {
                status.jobs = match jobs.try_recv() {
                    Ok(answer) => answer.ok().map(|jobs| super::status::count(&jobs)),
                    Err(TryRecvError::Empty) if !is_late => return None,
                    Err(_) => None,
                };
                Answer::Status(std::mem::take(status))
            }
        })
    }
}

/// Why no request comes of it.
enum Refusal {
    Gone,
    TooLong,
}

/// Reads on; true when the request is there. The end of what a client sends ends it, too.
fn read(stream: &mut UnixStream, bytes: &mut Vec<u8>) -> Result<bool, Refusal> {
    let mut piece = [0; CONTROL_REQUEST_BYTES_MAX];
    loop {
        let count = match stream.read(&mut piece) {
            Ok(0) if bytes.is_empty() => return Err(Refusal::Gone),
            Ok(0) => return Ok(true),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(Refusal::Gone),
        };
        let new = &piece[..count];
        let line = new.iter().position(|&byte| byte == b'\n');
        bytes.extend_from_slice(&new[..line.unwrap_or(count)]);
        if CONTROL_REQUEST_BYTES_MAX < bytes.len() {
            return Err(Refusal::TooLong);
        }
        if line.is_some() {
            return Ok(true);
        }
    }
}

/// Writes on; true when all is written, or the client has gone.
fn write(stream: &mut UnixStream, bytes: &[u8], done: &mut usize) -> bool {
    while *done < bytes.len() {
        match stream.write(&bytes[*done..]) {
            Ok(count) => *done += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return true,
        }
    }
    true
}

#[cfg(test)]
mod tests;
