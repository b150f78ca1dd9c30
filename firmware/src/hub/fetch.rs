//! A whole model from the hub: listing, room, files, lock file, rebuilding, one rename.
//!
//! An [`Order`] in, a folder that is whole and its [`Lock`] out. Who waits is told by [`News`].
//! What is cut off anywhere leaves the model's folder as it was and goes on the next time.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::address::escape;
use super::client::{Client, Trouble};
use super::download::{Step, download};
use super::staging::Staging;
use super::{HubError, Listing};
use crate::model_store::lock::{Entry, Lock, Origin};
use crate::plain::plain;

/// Largest listing that is read.
const LISTING_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Tries of the first question: who has no network is told so soon.
const LISTING_TRIES: u32 = 3;
/// Room that is left free on a disk.
const RESERVE_BYTES: u64 = 16 * 1024 * 1024;
/// A rebuilt model has at most this part of the downloaded one's bytes: 1 in 2.
const REBUILT_PART: u64 = 2;

/// What is to be fetched.
#[derive(Clone, Debug)]
pub struct Order {
    /// Repository, `owner/name`.
    pub repo: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// The model's folder.
    pub target: PathBuf,
    /// How it is rebuilt, for example `8bit`; none: not at all.
    pub prepared: Option<String>,
}

/// What happens, for who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The files are known.
    Listed {
        /// Commit that the revision is.
        commit: String,
        /// Number of files.
        files: usize,
        /// Bytes of all.
        bytes: u64,
    },
    /// A file is begun or gone on with.
    File(String),
    /// So many bytes of all files are on the disk.
    At(u64),
    /// A file is compared with its hash, so many of its bytes so far.
    Hashed(u64),
    /// The model is rebuilt: what is done, and how much of it, in percent.
    Rebuilds(String, u8),
}

/// What was fetched.
#[derive(Clone, Debug)]
pub struct Done {
    /// The lock file's content.
    pub lock: Lock,
    /// It was there already, whole: nothing was downloaded.
    pub already: bool,
}

/// Rebuilds what is in the first folder into the second one, which is not there yet.
pub type Rebuild<'a> =
    &'a mut dyn FnMut(&Path, &Path, &mut dyn FnMut(News)) -> Result<(), HubError>;

/// Fetches a model.
///
/// # Errors
/// [`HubError`], one line. The target is then what it was.
pub fn fetch(
    client: &Client,
    order: &Order,
    rebuild: Rebuild<'_>,
    tell: &mut dyn FnMut(News),
) -> Result<Done, HubError> {
    let present = present(order)?;
    // A commit never changes: the hub need not be asked.
    let pinned = present
        .as_ref()
        .filter(|lock| lock.commit == order.revision);
    if let Some(lock) = pinned
        && is_whole(client, order, lock)?
    {
        let (lock, already) = (lock.clone(), true);
        return Ok(Done { lock, already });
    }
    let staging = Staging::open(&order.target)?;
    let listing = listing(client, order)?;
    let (files, bytes) = (listing.files.len(), listing.bytes());
    let commit = listing.commit.clone();
    tell(News::Listed {
        commit,
        files,
        bytes,
    });
    if let Some(lock) = present.filter(|lock| lock.commit == listing.commit)
        && is_whole(client, order, &lock)?
    {
        let already = true;
        return Ok(Done { lock, already });
    }
    staging.begin(&listing)?;
    let rest = bytes.saturating_sub(staging.bytes());
    let needed = needed_bytes(rest, bytes, order.prepared.is_some());
    check_room(order.target.parent().unwrap_or(Path::new(".")), needed)?;
    let sources = download_all(client, &listing, &staging.stock(), tell)?;
    let ready = match &order.prepared {
        None => staging.stock(),
        Some(_) => {
            let ready = staging.ready()?;
            rebuild(&staging.stock(), &ready, tell)?;
            ready
        }
    };
    let origin = Origin {
        hub: client.hub().to_owned(),
        repo: order.repo.clone(),
        revision: order.revision.clone(),
        commit: listing.commit,
        prepared: order.prepared.clone(),
        sources,
    };
    let mut tell = |bytes| tell(News::Hashed(bytes));
    let lock = Lock::of_folder(&ready, origin, &client.asked, &mut tell);
    let lock = lock.map_err(|error| HubError::disk(&ready, error))?;
    lock.write(&ready)
        .map_err(|error| HubError::disk(&ready, error))?;
    staging.finish(&ready, &order.target)?;
    let already = false;
    Ok(Done { lock, already })
}

/// Returns the lock of the model that is there under this name, `None` when the name is free.
fn present(order: &Order) -> Result<Option<Lock>, HubError> {
    let taken = |why: String| HubError::Taken {
        folder: order.target.clone(),
        why,
    };
    match fs::read_dir(&order.target).map(|mut entries| entries.next().is_none()) {
        Ok(false) => (),
        // An empty folder is as good as none.
        Ok(true) => return Ok(None),
        Err(_) if !order.target.exists() => return Ok(None),
        Err(error) => return Err(taken(format!("it cannot be used as a folder ({error})"))),
    }
    match Lock::read(&order.target) {
        Ok(None) => Err(taken("it is there, and was not fetched".into())),
        Ok(Some(lock)) if lock.repo != order.repo => {
            Err(taken(format!("it is {}", plain(&lock.repo))))
        }
        Ok(Some(lock)) => Ok(Some(lock)),
        Err(error) => Err(taken(plain(&error.why))),
    }
}

/// Returns whether what is there is what is asked for, file by file.
fn is_whole(client: &Client, order: &Order, lock: &Lock) -> Result<bool, HubError> {
    if lock.prepared != order.prepared {
        return Ok(false);
    }
    let faults = lock.check(&order.target, &client.asked, &mut |_| ());
    let faults = faults.map_err(|error| HubError::disk(&order.target, error))?;
    for fault in &faults {
        log::warn!("{}: {}: fetched again", plain(&fault.path), fault.what);
    }
    Ok(faults.is_empty())
}

/// Asks the hub what the repository holds.
fn listing(client: &Client, order: &Order) -> Result<Listing, HubError> {
    let (repo, revision) = (&order.repo, escape(&order.revision, b""));
    let path = format!("/api/models/{repo}/revision/{revision}?blobs=true");
    let what = format!("{repo} at {}", order.revision);
    let mut tries = 0;
    loop {
        let (host, why, wait) = match client.get(&path, &what, &[]) {
            Ok(mut answer) => {
                let body = answer.body.with_config().limit(LISTING_BYTES_MAX);
                match body.read_to_vec() {
                    Ok(json) => return Listing::parse(repo, &json, order.prepared.is_none()),
                    Err(ureq::Error::BodyExceedsLimit(_)) => {
                        let repo = repo.clone();
                        let why = "the hub's listing does not come to an end".to_owned();
                        return Err(HubError::Unusable { repo, why });
                    }
                    Err(error) => (answer.host, plain(&error.to_string()), None),
                }
            }
            Err(Trouble::Over(error)) => return Err(error),
            Err(Trouble::Again { host, why, wait }) => (host, why, wait),
        };
        tries += 1;
        if LISTING_TRIES <= tries {
            return Err(HubError::Unreachable { host, why });
        }
        client.wait(tries, host, why, wait)?;
    }
}

/// Fetches all files, and looks at the small ones before the large ones come.
fn download_all(
    client: &Client,
    listing: &Listing,
    stock: &Path,
    tell: &mut dyn FnMut(News),
) -> Result<Vec<Entry>, HubError> {
    let mut entries = Vec::new();
    let mut before = 0;
    for file in &listing.files {
        tell(News::File(file.path.clone()));
        let place = stock.join(&file.path);
        let mut step = |step| match step {
            Step::Have(bytes) => tell(News::At(before + bytes)),
            Step::Hashed(bytes) => tell(News::Hashed(bytes)),
        };
        let source = (listing.repo.as_str(), listing.commit.as_str());
        entries.push(download(client, source, file, &place, &mut step)?);
        before += file.size;
        tell(News::At(before));
        if file.path == "config.json" {
            check_config(listing, &place)?;
        }
    }
    Ok(entries)
}

fn check_config(listing: &Listing, file: &Path) -> Result<(), HubError> {
    let text = fs::read(file).map_err(|error| HubError::disk(file, error))?;
    let config: Value = serde_json::from_slice(&text).unwrap_or_default();
    if config["model_type"] == "whisper" {
        return Ok(());
    }
    let found = config["model_type"].as_str().unwrap_or("nothing");
    Err(HubError::Unusable {
        repo: listing.repo.clone(),
        why: format!("its config.json tells of {}, not of whisper", plain(found)),
    })
}

/// Returns the bytes that are needed: what is to come, what is made of it, and a reserve.
fn needed_bytes(rest: u64, whole: u64, rebuilds: bool) -> u64 {
    let rebuilt = if rebuilds { whole / REBUILT_PART } else { 0 };
    rest.saturating_add(rebuilt).saturating_add(RESERVE_BYTES)
}

/// Checks that the disk of a folder has room.
fn check_room(folder: &Path, needed: u64) -> Result<(), HubError> {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        // It will say so itself.
        return Ok(());
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < needed {
        let folder = folder.to_owned();
        return Err(HubError::NoRoom {
            folder,
            needed,
            free,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
