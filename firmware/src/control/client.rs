//! The client of the control socket, for `pressel status` and `pressel jobs`.
//!
//! A request in, its answer out, within some seconds.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::protocol::{Answer, Request};

/// Longest wait for the appliance: longer than it waits for its slowest thread.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer at most: thousands of jobs.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// Nobody listens there, or it may not be reached.
    NoAppliance(io::Error),
    /// It was there, and did not answer.
    NoAnswer(io::Error),
    /// The answer cannot be read: the appliance is of another version.
    Garbled(serde_json::Error),
    /// It refused, and says why.
    Refused(String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAppliance(error) => write!(f, "no appliance answers ({error})"),
            Self::NoAnswer(error) => write!(f, "the appliance does not answer ({error})"),
            Self::Garbled(error) => write!(
                f,
                "the answer cannot be read ({error}): is the appliance of another version?"
            ),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for AskError {}

/// Asks the appliance whose control socket is at `path`.
///
/// # Errors
/// [`AskError`]; an answer that is a refusal is one, too.
pub fn ask(path: &Path, request: &Request) -> Result<Answer, AskError> {
    let mut line = serde_json::to_vec(request).map_err(AskError::Garbled)?;
    line.push(b'\n');
    let mut stream = UnixStream::connect(path).map_err(AskError::NoAppliance)?;
    let mut bytes = Vec::new();
    let talk = || -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // One that was turned away at once has its answer already.
        let sent = stream.write_all(&line);
        stream.shutdown(Shutdown::Write).ok();
        let mut limited = (&stream).take(ANSWER_BYTES_MAX);
        let read = limited.read_to_end(&mut bytes).map(drop);
        if bytes.is_empty() {
            sent.and(read)
        } else {
            Ok(())
        }
    }();
    talk.map_err(AskError::NoAnswer)?;
    if bytes.is_empty() {
        return Err(AskError::NoAnswer(io::ErrorKind::UnexpectedEof.into()));
    }
    match serde_json::from_slice(&bytes).map_err(AskError::Garbled)? {
        Answer::Error(why) => Err(AskError::Refused(why)),
        answer => Ok(answer),
    }
}
