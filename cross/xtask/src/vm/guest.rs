//! The agent in the virtual board: a shell at the other end of a virtio port.
//!
//! In: a command line. Out: what it printed; an error when it ended with another code than 0 or
//! took too long. cross/vm/agent.sh is the other side.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::failed;
use super::qemu::LOOK;
use crate::Fallible;

/// Longest time for a command that nobody gave another.
const LIMIT: Duration = Duration::from_secs(30);

/// The agent.
pub(super) struct Guest {
    reader: BufReader<UnixStream>,
    number: u64,
    log: File,
}

impl Guest {
    /// Waits until the board has booted.
    ///
    /// # Errors
    /// It has not, in that time.
    pub(super) fn wait(stream: UnixStream, log: &Path, limit: Duration) -> Fallible<Self> {
        let log = File::options().create(true).append(true).open(log);
        let mut guest = Self {
            reader: BufReader::new(stream),
            number: 0,
            log: log.map_err(|error| format!("cannot write the agent's log: {error}"))?,
        };
        guest.answer(0, limit).map_err(|error| {
            format!("the virtual board does not boot: {error}; its console says why")
        })?;
        Ok(guest)
    }

    /// Runs a command line of the shell.
    ///
    /// # Errors
    /// It ended with another code than 0, or not in 30 s.
    pub(super) fn run(&mut self, command: &str) -> Fallible<Vec<String>> {
        self.run_for(command, LIMIT)
    }

    /// The same, with another limit.
    ///
    /// # Errors
    /// As [`Guest::run`].
    pub(super) fn run_for(&mut self, command: &str, limit: Duration) -> Fallible<Vec<String>> {
        self.number += 1;
        writeln!(self.log, "$ {command}").ok();
        let sent = writeln!(self.reader.get_mut(), "{} {command}", self.number);
        sent.map_err(|error| format!("the virtual board does not hear: {error}"))?;
        let (code, lines) = self
            .answer(self.number, limit)
            .map_err(|error| format!("`{command}` in the virtual board: {error}"))?;
        if code == 0 {
            return Ok(lines);
        }
        Err(format!(
            "`{command}` in the virtual board ended with {code}: {}",
            lines.join(" / ")
        ))
    }

    /// Runs a command again and again until what it prints is right.
    ///
    /// # Errors
    /// It never was; the message has what it printed last.
    pub(super) fn wait_for(
        &mut self,
        command: &str,
        limit: Duration,
        mut is_right: impl FnMut(&str) -> bool,
    ) -> Fallible<String> {
        let start = Instant::now();
        loop {
            let said = self.run(command)?.join("\n");
            if is_right(&said) {
                return Ok(said);
            }
            if limit < start.elapsed() {
                let seconds = limit.as_secs();
                return Err(format!(
                    "`{command}` in the virtual board still says after {seconds} s: {}",
                    said.replace('\n', " / ")
                ));
            }
            thread::sleep(LOOK);
        }
    }

    /// Reads lines until the one with the code of a command.
    fn answer(&mut self, number: u64, limit: Duration) -> Fallible<(i32, Vec<String>)> {
        let deadline = Instant::now() + limit;
        let (output, end) = (format!("{number}|"), format!("{number}="));
        let (mut lines, mut line) = (Vec::new(), Vec::new());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("no answer in {} s", limit.as_secs()));
            }
            let timeout = self.reader.get_ref().set_read_timeout(Some(left.max(LOOK)));
            timeout.map_err(|error| error.to_string())?;
            match self.reader.read_until(b'\n', &mut line) {
                Ok(0) => return Err("it is gone".to_owned()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.to_string()),
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if let Some(said) = text.strip_prefix(&output) {
                writeln!(self.log, "  {said}").ok();
                lines.push(said.to_owned());
            } else if let Some(code) = text.strip_prefix(&end) {
                return Ok((code.parse().unwrap_or(-1), lines));
            }
        }
    }

    /// Copies a file of the board to this machine, as far as it is text.
    ///
    /// # Errors
    /// There is none, or it cannot be written here.
    pub(super) fn keep(&mut self, from: &str, to: &Path) -> Fallible<()> {
        let text = self.run(&format!("cat {from}"))?.join("\n") + "\n";
        std::fs::write(to, text).map_err(|error| failed("write", to, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays an agent that gives these bytes, and compares what a command ends with.
    fn check(said: &str, expected: Result<&[&str], &str>) {
        let (here, mut there) = UnixStream::pair().unwrap();
        there.write_all(format!("0=0\n{said}").as_bytes()).unwrap();
        let second = Duration::from_millis(200);
        let mut guest = Guest::wait(here, Path::new("/dev/null"), second).unwrap();
        match (guest.run_for("x", second), expected) {
            (Ok(lines), Ok(expected)) => assert_eq!(lines, expected),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (done, expected) => panic!("{done:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn output_and_code_of_a_command_are_told_apart() {
        check("1|a\n1|2=0\n\n1=0\n", Ok(&["a", "2=0"]));
        check("0|old\n0=0\n\n1=0\n", Ok(&[]));
        check("1|no such file\n\n1=1\n", Err("ended with 1: no such file"));
        check("1|half", Err("no answer"));
    }
}
