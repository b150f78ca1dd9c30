//! The client of the control socket, for `pressel status` and `pressel jobs`.
//!
//! A request in, its answer out, within some seconds. An appliance that is busy is asked again.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::protocol::{Answer, Request};

/// Longest wait for the appliance: longer than it waits for its slowest thread.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an appliance that is busy is asked again: longer than clients that do nothing, and
/// those that wait for a slow disk, hold all places.
const ASK_AGAIN_MAX: Duration = Duration::from_secs(8);

/// Shortest wait before it is asked again, and the longest, so that many do not come at once.
const ASK_AGAIN_MS: (u64, u64) = (50, 300);

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
    /// It had no time for some seconds; nothing was done.
    Busy(String),
    /// It has not answered yet; what was asked for may still be done.
    Late(String),
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
            Self::Refused(why) | Self::Busy(why) | Self::Late(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for AskError {}

/// Asks the appliance whose control socket is at `path`, and for some seconds again while it is
/// busy.
///
/// # Errors
/// [`AskError`]; an answer that is a refusal is one, too.
pub fn ask(path: &Path, request: &Request) -> Result<Answer, AskError> {
    let began = Instant::now();
    loop {
        let asked = ask_once(path, request);
        if !matches!(asked, Err(AskError::Busy(_))) || ASK_AGAIN_MAX < began.elapsed() {
            return asked;
        }
        let (shortest, longest) = ASK_AGAIN_MS;
        // Each hasher has other keys: no better randomness is needed here.
        let random = RandomState::new().hash_one(std::process::id());
        let wait = shortest + random % (longest - shortest);
        std::thread::sleep(Duration::from_millis(wait));
    }
}

fn ask_once(path: &Path, request: &Request) -> Result<Answer, AskError> {
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
        Answer::Busy(why) => Err(AskError::Busy(why)),
        Answer::Late(why) => Err(AskError::Late(why)),
        answer => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::jobs::JobRequest;

    /// Asks an appliance that answers so, one client after the other.
    fn check(answers: &[Answer], expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for answer in answers {
                    let (mut client, _) = listener.accept().unwrap();
                    client.write_all(&answer.line()).unwrap();
                }
            });
            let asked = ask(&path, &Request::Jobs(JobRequest::List));
            assert_eq!(format!("{asked:?}"), expected);
        });
    }

    #[test]
    fn busy_appliance_is_asked_again() {
        let busy = || Answer::Busy("many".to_owned());
        check(&[busy(), busy(), Answer::Jobs(Vec::new())], "Ok(Jobs([]))");
        // What may still be done is not asked for twice.
        let late = [Answer::Late("may".to_owned())];
        check(&late, r#"Err(Late("may"))"#);
        let refused = [busy(), Answer::Error("no".to_owned())];
        check(&refused, r#"Err(Refused("no"))"#);
    }
}
