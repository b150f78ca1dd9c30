//! The host's end of the board's serial line: `pressel monitor --json` on a pseudo-terminal.
//!
//! In: a terminal. Out: decoded events, in order. The monitor acknowledges, so each outcome comes
//! once; xtask itself knows nothing of frames.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::failed;
use crate::{Fallible, process};

/// Longest time for the text of a sentence that was spoken, and for a device that comes back.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// A line that says nothing for so long has come to rest; one that says so much never does.
const MOMENT: Duration = Duration::from_millis(700);
const EVENTS_MAX: usize = 100;

/// The monitor and what it has said.
pub(super) struct Uart {
    child: Child,
    events: Receiver<Value>,
}

impl Uart {
    /// Starts the monitor.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn listen(program: &Path, terminal: &str, log: &Path) -> Fallible<Self> {
        let mut log = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|error| failed("write", log, &error))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program);
        command.args(["monitor", terminal, "--json"]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null()) // It ends with a complaint when the board is switched off.
            .spawn()
            .map_err(|error| process::cannot_start(&command, &error))?;
        let (sender, events) = channel();
        let said = child.stdout.take().map(BufReader::new);
        thread::spawn(move || {
            for line in said.into_iter().flat_map(BufRead::lines) {
                let Ok(line) = line else { return };
                writeln!(log, "{line}").ok();
                let event = serde_json::from_str(&line).unwrap_or(Value::Null);
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, events })
    }

    /// The next event that is right; those before it are passed over.
    ///
    /// # Errors
    /// None came.
    pub(super) fn wait(
        &mut self,
        what: &str,
        limit: Duration,
        mut is_right: impl FnMut(&Value) -> bool,
    ) -> Fallible<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) if is_right(&event) => return Ok(event),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = limit.as_secs();
                    return Err(format!("{what} did not come over the line in {seconds} s"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("`pressel monitor` ended before {what} came"));
                }
            }
        }
    }

    /// Whether an event is there already; none is waited for.
    pub(super) fn next(&mut self) -> Option<Value> {
        self.events.try_recv().ok()
    }

    /// Waits until nothing came for a moment.
    ///
    /// # Errors
    /// An outcome came.
    pub(super) fn rest(&mut self) -> Fallible<()> {
        for _ in 0..EVENTS_MAX {
            match self.events.recv_timeout(MOMENT) {
                Ok(event) if is_outcome(&event) => {
                    return Err(format!("nothing more was said, the line has {event}"));
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// The next outcome, which must be this text.
    ///
    /// # Errors
    /// Another outcome, or none.
    pub(super) fn text(&mut self, expected: &str) -> Fallible<Value> {
        let what = format!("the text \"{expected}\"");
        let outcome = self.wait(&what, LIMIT, is_outcome)?;
        if outcome["result"] == "text" && outcome["text"] == expected {
            return Ok(outcome);
        }
        Err(format!("{what} was said, the line has {outcome}"))
    }
}

impl Drop for Uart {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether an utterance has ended.
pub(super) fn is_outcome(event: &Value) -> bool {
    event["event"] == "outcome"
}
