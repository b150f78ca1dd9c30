//! One file from the hub to the disk: resumed, tried again, compared with its object id.
//!
//! A [`RemoteFile`] in, the file at its place and its [`Entry`] out. Bytes go to `NAME.part`; the
//! file gets its name once its hash is the hub's. Memory: one buffer, whatever the file's size.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sha1::{Digest as _, Sha1};
use ureq::http::HeaderMap;

use super::address::escape;
use super::client::{Answer, Client, Trouble, text};
use super::{HubError, RemoteFile};
use crate::model_store::digest;
use crate::model_store::lock::{Entry, sync_folder};
use crate::plain::plain;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes that make a try one with progress.
const PROGRESS_BYTES: u64 = 1024 * 1024;
/// Times that a file with wrong bytes is fetched.
const WRONG_MAX: u32 = 2;

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes of it are on the disk.
    Have(u64),
    /// So many bytes of it are hashed.
    Hashed(u64),
}

/// How a try ended that is not over.
enum Outcome {
    /// All bytes are on the disk.
    Whole,
    /// It ended early, for this reason.
    Cut {
        host: String,
        why: String,
        wait: Option<Duration>,
    },
    /// It is not what the listing says.
    Wrong(String),
}

/// Fetches `file` of `repo` at `commit` to `place`, or finds it there.
///
/// # Errors
/// [`HubError::Content`] when the bytes are wrong twice, and those of network and disk. The `.part`
/// stays for the next time, but not with wrong bytes.
pub(super) fn download(
    client: &Client,
    (repo, commit): (&str, &str),
    file: &RemoteFile,
    place: &Path,
    tell: &mut dyn FnMut(Step),
) -> Result<Entry, HubError> {
    if place.exists() {
        if let Some(entry) = proven(client, file, place, tell)? {
            return Ok(entry);
        }
        remove(place)?;
    }
    let part = place.with_added_extension("part");
    let job = Job {
        client,
        address: address(repo, commit, &file.path),
        commit,
        file,
        part: &part,
    };
    let mut wrong = 0;
    loop {
        let why = match job.fill(tell)? {
            Some(why) => why,
            None => match proven(client, file, &part, tell)? {
                Some(entry) => {
                    fs::rename(&part, place).map_err(|error| HubError::disk(place, error))?;
                    let folder = place.parent().unwrap_or(Path::new("."));
                    sync_folder(folder).map_err(|error| HubError::disk(folder, error))?;
                    return Ok(entry);
                }
                None => "its bytes do not have the hash that the hub tells".to_owned(),
            },
        };
        remove(&part)?;
        wrong += 1;
        let path = file.path.clone();
        if WRONG_MAX <= wrong {
            return Err(HubError::Content { path, why });
        }
        log::warn!("{path}: {why}: deleted, and fetched once more");
    }
}

/// Returns the entry of a file on the disk, `None` when its content is not the hub's.
fn proven(
    client: &Client,
    file: &RemoteFile,
    path: &Path,
    tell: &mut dyn FnMut(Step),
) -> Result<Option<Entry>, HubError> {
    let fail = |error| HubError::disk(path, error);
    let asked = &client.asked;
    let mut tell = |bytes: u64| tell(Step::Hashed(bytes.min(file.size)));
    let (sha256, size) = digest::sha256(path, asked, &mut tell).map_err(fail)?;
    let oid = if file.is_sha256() {
        sha256.clone()
    } else {
        let blob = Sha1::new().chain_update(format!("blob {size}\0"));
        digest::of_file(path, blob, asked, &mut tell)
            .map_err(fail)?
            .0
    };
    let entry = Entry {
        path: file.path.clone(),
        size,
        oid: Some(oid),
        sha256,
    };
    let same = entry.oid.as_ref() == Some(&file.oid) && size == file.size;
    Ok(same.then_some(entry))
}

fn remove(path: &Path) -> Result<(), HubError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(HubError::disk(path, error)),
        _ => Ok(()),
    }
}

/// Returns the path of a file in the hub's addresses.
fn address(repo: &str, commit: &str, path: &str) -> String {
    format!("/{repo}/resolve/{commit}/{}", escape(path, b"/"))
}

/// One file on its way.
struct Job<'a> {
    client: &'a Client,
    address: String,
    commit: &'a str,
    file: &'a RemoteFile,
    part: &'a Path,
}

impl Job<'_> {
    /// Fetches until all bytes are there; returns why, when they cannot be the right ones.
    fn fill(&self, tell: &mut dyn FnMut(Step)) -> Result<Option<String>, HubError> {
        let mut etag = None;
        let mut tries = 0;
        // The most bytes that ever were there: what comes again after a beginning anew is no gain.
        let mut most = 0;
        loop {
            let have = self.have()?;
            most = have.max(most);
            tell(Step::Have(have));
            if have == self.file.size && self.part.exists() {
                return Ok(None);
            }
            let (host, why, wait) = match self.one_try(have, &mut etag, tell)? {
                Outcome::Whole => return Ok(None),
                Outcome::Wrong(why) => return Ok(Some(why)),
                Outcome::Cut { host, why, wait } => (host, why, wait),
            };
            let gained = self.have()?.saturating_sub(most);
            tries = if gained < PROGRESS_BYTES {
                tries + 1
            } else {
                1
            };
            let why = format!("{}: {why}", self.file.path);
            self.client.wait(tries, host, why, wait)?;
        }
    }

    /// Returns the bytes that are there; one that is too long is not ours.
    fn have(&self) -> Result<u64, HubError> {
        let have = match fs::metadata(self.part) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(HubError::disk(self.part, error)),
        };
        if self.file.size < have {
            remove(self.part)?;
            return Ok(0);
        }
        Ok(have)
    }

    /// Asks once for what is missing, and writes what comes.
    fn one_try(
        &self,
        have: u64,
        etag: &mut Option<String>,
        tell: &mut dyn FnMut(Step),
    ) -> Result<Outcome, HubError> {
        let mut headers = Vec::new();
        if 0 < have {
            headers.push(("range", format!("bytes={have}-")));
            // A server whose file has changed since then answers with the whole of it.
            headers.extend(etag.take().map(|etag| ("if-range", etag)));
        }
        let answer = self.client.get(&self.address, &self.file.path, &headers);
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(Trouble::Over(error)) => return Err(error),
            Err(Trouble::Again { host, why, wait }) => {
                return Ok(Outcome::Cut { host, why, wait });
            }
        };
        if let Some(why) = self.contradiction(&answer) {
            return Ok(Outcome::Wrong(why));
        }
        let from = match (answer.status, range(&answer.headers)) {
            (200, _) => 0,
            (206, Some((first, total))) if first == have => match total {
                Some(total) if total != self.file.size => {
                    return Ok(Outcome::Wrong(self.other_size(total)));
                }
                _ => have,
            },
            // It gives another part than the one asked for, or has none there: all anew.
            (status, _) => {
                remove(self.part)?;
                return Ok(Outcome::Cut {
                    host: answer.host,
                    why: format!("status {status}, and not the rest of the file"),
                    wait: None,
                });
            }
        };
        let rest = self.file.size - from;
        match content_length(&answer.headers) {
            Some(length) if length != rest => {
                return Ok(Outcome::Wrong(self.other_size(from.saturating_add(length))));
            }
            _ => *etag = strong_etag(&answer.headers),
        }
        self.write(&mut answer, from, tell)
    }

    /// Returns what the hub says of the file that the listing does not.
    fn contradiction(&self, answer: &Answer) -> Option<String> {
        let said = &answer.said;
        if said.oid.as_ref().is_some_and(|oid| *oid != self.file.oid) {
            return Some("the hub gives another object id than its listing".to_owned());
        }
        let commit = said.commit.as_ref();
        if commit.is_some_and(|commit| !commit.eq_ignore_ascii_case(self.commit)) {
            return Some("the hub gives another commit than the one asked for".to_owned());
        }
        if let Some(size) = said.size.filter(|&size| size != self.file.size) {
            return Some(self.other_size(size));
        }
        let coding = text(&answer.headers, "content-encoding");
        let coding = coding.filter(|coding| !coding.eq_ignore_ascii_case("identity"));
        coding.map(|coding| format!("it comes packed as {}", plain(coding)))
    }

    fn other_size(&self, size: u64) -> String {
        let listed = self.file.size;
        format!("it comes with {size} bytes, the hub's listing says {listed}")
    }

    /// Says how a body ended early.
    fn what_broke(&self, error: &io::Error) -> String {
        let inner = error.get_ref();
        let inner = inner.and_then(|error| error.downcast_ref::<ureq::Error>());
        if error.kind() == io::ErrorKind::TimedOut || matches!(inner, Some(ureq::Error::Timeout(_)))
        {
            let silence = self.client.patience.silence.as_secs_f32();
            return format!("nothing came for {silence:.1} s");
        }
        format!("the connection broke, {},", plain(&error.to_string()))
    }

    /// Writes the body behind the first `from` bytes, never more than the file's size.
    fn write(
        &self,
        answer: &mut Answer,
        from: u64,
        tell: &mut dyn FnMut(Step),
    ) -> Result<Outcome, HubError> {
        let fail = |error| HubError::disk(self.part, error);
        let options = File::options().create(true).append(true).open(self.part);
        let mut file = options.map_err(fail)?;
        if from == 0 && 0 < file.metadata().map_err(fail)?.len() {
            file.set_len(0).map_err(fail)?;
        }
        let size = self.file.size;
        // No more is read than may come, however long the body is.
        let mut body = answer.body.as_reader().take(size - from);
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut pace = Pace::new(self.client, from);
        let mut at = from;
        let why = loop {
            if self.client.asked.load(Ordering::Relaxed) {
                break None;
            }
            match body.read(&mut buffer) {
                Ok(0) if at == size => break None,
                Ok(0) => break Some(format!("the connection ended at byte {at} of {size}")),
                Ok(count) => {
                    file.write_all(&buffer[..count]).map_err(fail)?;
                    at += count as u64;
                    tell(Step::Have(at));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => {
                    let error = self.what_broke(&error);
                    break Some(format!("{error} at byte {at} of {size}"));
                }
            }
            if at < size && pace.is_too_slow(at) {
                break Some(format!("it came too slowly, {at} of {size} bytes"));
            }
        };
        file.sync_all().or_else(no_sync).map_err(fail)?;
        if self.client.asked.load(Ordering::Relaxed) {
            return Err(HubError::Interrupted);
        }
        Ok(why.map_or(Outcome::Whole, |why| Outcome::Cut {
            host: answer.host.clone(),
            why,
            wait: None,
        }))
    }
}

/// Lets pass that a file cannot be made durable because it is none.
fn no_sync(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::InvalidInput => Ok(()),
        _ => Err(error),
    }
}

/// Whether bytes come fast enough.
struct Pace {
    window: Duration,
    least: u64,
    began: Instant,
    at: u64,
}

impl Pace {
    fn new(client: &Client, at: u64) -> Self {
        Self {
            window: client.patience.pace,
            least: client.patience.pace_bytes,
            began: Instant::now(),
            at,
        }
    }

    fn is_too_slow(&mut self, at: u64) -> bool {
        if self.began.elapsed() < self.window {
            return false;
        }
        let slow = at - self.at < self.least;
        (self.began, self.at) = (Instant::now(), at);
        slow
    }
}

/// Returns the first byte and the total size of `Content-Range: bytes 5-9/10`.
fn range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let range = text(headers, "content-range")?.strip_prefix("bytes ")?;
    let (range, total) = range.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    text(headers, "content-length")?.trim().parse().ok()
}

/// Returns an etag that vouches for each byte.
fn strong_etag(headers: &HeaderMap) -> Option<String> {
    let etag = text(headers, "etag")?;
    etag.starts_with('"').then(|| etag.to_owned())
}

#[cfg(test)]
mod tests;
