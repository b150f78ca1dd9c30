//! Why a fetch failed: one line, what to do included.
//!
//! Errors of the network, the hub and the disk in, text and exit code out.

use std::path::{Path, PathBuf};
use std::{error, fmt, io};

use crate::failure::{Failure, Kind};
use crate::plain::plain;

/// Why a fetch failed.
#[derive(Debug)]
pub enum HubError {
    /// Asked to end. Recovery: run it again, it goes on where it was.
    Interrupted,
    /// The hub's address, a repository or a revision is not one. Recovery: write it right.
    Wrong(String),
    /// The name is taken by something else. Recovery: another name, or remove it.
    Taken {
        /// The folder.
        folder: PathBuf,
        /// What is there.
        why: String,
    },
    /// Another fetch of the same model is at work. Recovery: wait for it.
    Busy(PathBuf),
    /// No answer, or one that did not come to its end, after all tries. Recovery: try again.
    Unreachable {
        /// Who did not answer.
        host: String,
        /// What happened last.
        why: String,
    },
    /// The connection cannot be trusted. Recovery: clock, certificates, address.
    Untrusted {
        /// Whose certificate, or which host.
        host: String,
        /// What TLS says.
        why: String,
    },
    /// The hub says no. Recovery: name, revision or token.
    Refused {
        /// Who says no.
        host: String,
        /// To what.
        what: String,
        /// HTTP status.
        status: u16,
    },
    /// The repository is not a Whisper export that can be used. Recovery: another one.
    Unusable {
        /// Repository.
        repo: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file is not what the hub's listing says, twice. Recovery: try later, distrust the way.
    Content {
        /// Path in the repository.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// There is too little room. Recovery: make room, or name another disk.
    NoRoom {
        /// Where.
        folder: PathBuf,
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The disk fails.
    Disk {
        /// Which file or folder.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
    /// The model could not be rebuilt. What was downloaded stays.
    Rebuild(Failure),
}

impl HubError {
    /// Makes an error of the disk; one that was asked for is no error of the disk.
    pub fn disk(path: &Path, error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::Interrupted {
            return Self::Interrupted;
        }
        let path = path.to_owned();
        Self::Disk { path, error }
    }

    /// Returns what kind of failure it is, for the exit code.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Interrupted | Self::Busy(_) => Kind::Result,
            Self::Wrong(_) | Self::Taken { .. } | Self::Refused { .. } => Kind::Usage,
            Self::Unreachable { .. } | Self::Untrusted { .. } => Kind::Device,
            Self::Unusable { .. } | Self::Content { .. } => Kind::Model,
            Self::Rebuild(failure) => failure.kind,
            Self::NoRoom { .. } | Self::Disk { .. } => Kind::Disk,
        }
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => write!(
                f,
                "stopped by a signal: what has come is kept, the same command goes on from there"
            ),
            Self::Wrong(why) => f.write_str(why),
            Self::Rebuild(failure) => failure.fmt(f),
            Self::Taken { folder, why } => {
                let folder = folder.display();
                write!(
                    f,
                    "{folder}: {why}: nothing was changed; name another folder with --to"
                )
            }
            Self::Busy(folder) => {
                let folder = folder.display();
                write!(
                    f,
                    "{folder}: another fetch is at work on it: wait for its end"
                )
            }
            Self::Unreachable { host, why } => write!(
                f,
                "{host}: cannot be reached ({why}): check the network and try again, what has \
                 come is kept; another hub is named with --hub"
            ),
            Self::Untrusted { host, why } => write!(
                f,
                "{host}: the connection is not safe ({why}): check the date of this machine and \
                 the address; certificates of your own are named by SSL_CERT_FILE"
            ),
            Self::Refused { host, what, status } => write_refusal(f, host, what, *status),
            Self::Unusable { repo, why } => write!(f, "{repo}: {why}"),
            Self::Content { path, why } => write!(
                f,
                "{path}: {why}, twice: it was deleted; try again later, and do not trust this \
                 hub or the way to it if it stays so"
            ),
            Self::NoRoom {
                folder,
                needed,
                free,
            } => write!(
                f,
                "{}: {} are needed and {} are free: make room, or name another disk with --to",
                folder.display(),
                megabytes(*needed),
                megabytes(*free)
            ),
            Self::Disk { path, error } => {
                let (path, remedy) = (path.display(), remedy(error));
                write!(f, "{path}: cannot be written ({error}): {remedy}")
            }
        }
    }
}
impl error::Error for HubError {}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        Self::new(error.kind(), plain(&error.to_string()))
    }
}

fn write_refusal(f: &mut fmt::Formatter<'_>, host: &str, what: &str, status: u16) -> fmt::Result {
    match status {
        401 | 403 => write!(
            f,
            "{host}: {what} is not there or not for everybody (status {status}): check its name; \
             for a private or gated one set HF_TOKEN"
        ),
        404 | 410 => write!(
            f,
            "{host}: {what} is not there (status {status}): check its name and --revision"
        ),
        _ => write!(
            f,
            "{host}: {what} was refused (status {status}): check the hub's address"
        ),
    }
}

/// Returns what helps against an error of the disk.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: make room and run it again, what has come is kept"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "name a folder of your own with --to, or use sudo for the system's"
        }
        _ => "check the disk, or name another folder with --to",
    }
}

/// Returns bytes as megabytes, for people.
#[must_use]
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
