//! An outlet: standard output or standard error, written without ever waiting for its reader.
//!
//! Lines in, bytes out as long as the reader takes them; a line that finds no room is dropped and
//! counted, and the count is told when there is room again. Used by the keeper and the log of the
//! running appliance: a reader that stops (`less`, Ctrl+S, a stuck collector) must stop nothing.

use std::io::{self, Stderr, Stdout, Write};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use pressel_hal::PollFd;
use pressel_hal::linux::poll;

/// Bytes that a pipe takes without waiting once `poll(2)` says that it is writable: `PIPE_BUF`.
const PIECE_BYTES: usize = 4_096;

/// Longest wait for the rest of a line of which a part is out already, in milliseconds.
const REST_MS: i32 = 20;

/// Where an outlet leads.
enum Stream {
    Output(Stdout),
    Error(Stderr),
    #[cfg(test)]
    Pipe(std::os::fd::OwnedFd),
}

/// A writer that never waits for its reader.
pub struct Outlet {
    stream: Stream,
    /// A line was cut: the next one begins on a line of its own.
    cut: bool,
    missing: u64,
}

impl Outlet {
    /// Returns an outlet to standard output.
    #[must_use]
    pub fn output() -> Self {
        Self::to(Stream::Output(io::stdout()))
    }

    /// Returns an outlet to standard error.
    #[must_use]
    pub fn error() -> Self {
        Self::to(Stream::Error(io::stderr()))
    }

    fn to(stream: Stream) -> Self {
        Self {
            stream,
            cut: false,
            missing: 0,
        }
    }

    /// Writes one line with its line feed, or drops and counts it.
    pub fn line(&mut self, line: &[u8]) {
        if !self.has_room(0) {
            self.missing += 1;
            return;
        }
        if self.cut {
            self.put(b"\n");
        }
        if 0 < self.missing {
            let told = format!(
                "{{\"event\":\"lines_missing\",\"count\":{}}}\n",
                self.missing
            );
            self.missing = 0;
            self.put(told.as_bytes());
        }
        self.cut = !self.put(line);
    }

    /// Writes all of `bytes`; false when the reader did not take all of them.
    fn put(&self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            let first = rest.len() == bytes.len();
            if !self.has_room(if first { 0 } else { REST_MS }) {
                return false;
            }
            match rustix::io::write(self.fd(), &rest[..rest.len().min(PIECE_BYTES)]) {
                Ok(count) => rest = &rest[count..],
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false, // The reader is gone: so be it.
            }
        }
        true
    }

    fn has_room(&self, wait_ms: i32) -> bool {
        let mut fds = [PollFd {
            fd: self.fd().as_raw_fd(),
            events: libc::POLLOUT,
            revents: 0,
        }];
        poll::wait(&mut fds, wait_ms).is_ok_and(|ready| 0 < ready)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Output(stream) => stream.as_fd(),
            Stream::Error(stream) => stream.as_fd(),
            #[cfg(test)]
            Stream::Pipe(stream) => stream.as_fd(),
        }
    }
}

/// For the log: one call is one line. Says that all was written, also when it was dropped.
impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn reader_that_reads_nothing_costs_lines_and_no_time() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut outlet = Outlet::to(Stream::Pipe(writer.into()));
        let line = [b'x'; 999]
            .iter()
            .chain(b"\n")
            .copied()
            .collect::<Vec<u8>>();
        // Ten times what a pipe holds: a write that waits would never come back.
        for _ in 0..640 {
            outlet.line(&line);
        }
        let missing = outlet.missing;
        assert!(500 < missing);
        // When there is room again, the loss is told before the next line.
        let mut reader = std::io::BufReader::new(reader);
        reader.read_exact(&mut vec![0; 32 * 1_000]).unwrap();
        outlet.line(b"after\n");
        drop(outlet);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let told = format!("{{\"event\":\"lines_missing\",\"count\":{missing}}}\nafter\n");
        assert!(rest.ends_with(&told), "{}", &rest[rest.len() - 200..]);
    }

    #[test]
    fn reader_that_has_gone_is_no_fault() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut outlet = Outlet::to(Stream::Pipe(writer.into()));
        outlet.line(b"nobody hears this\n");
    }
}
