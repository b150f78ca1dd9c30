//! Why a recording cannot be read: one line with the file, the cause and the remedy.
//!
//! In: a path and a [`Fault`]. Out: text for people. Nothing here may print or exit.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::{CHANNELS_MAX, RATES_HZ};

/// A recording that cannot be read. Its text is one line: file, cause, remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFileError {
    /// The file as the user wrote it.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a recording. The caller goes on with the next file in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such file. Recovery: the user corrects the path.
    Missing,
    /// The path is a link to a file that does not exist.
    DanglingLink,
    /// The path is a folder. Recovery: the user names the files in it.
    Folder,
    /// The user may not read the file.
    NoPermission,
    /// The path is a pipe, a socket or a device, which may never end.
    NotAFile {
        /// What it is, with its article.
        kind: &'static str,
    },
    /// The file has no bytes.
    Empty,
    /// The file holds no sound that is known here.
    NotAudio {
        /// What it looks like, with its article.
        looks_like: &'static str,
    },
    /// The file holds sound in a format or codec that this program does not read.
    Unsupported {
        /// Name of the format or codec.
        name: &'static str,
    },
    /// A WAV file with a codec that has no name here.
    WavCodec {
        /// The format tag in its header.
        tag: u16,
    },
    /// The header is broken.
    Header {
        /// What about it.
        detail: &'static str,
    },
    /// The header gives no usable number of channels.
    Channels {
        /// The number in the header.
        count: usize,
    },
    /// The header gives no usable sample rate.
    Rate {
        /// The number in the header.
        rate_hz: u32,
    },
    /// The sample rate changes inside the file.
    RateChanged,
    /// Not one frame could be decoded.
    Undecodable,
    /// The disk or the system failed.
    Io {
        /// Positive errno of the call, 0 when there is none.
        errno: i32,
    },
}

impl AudioFileError {
    pub(super) fn new(path: &Path, fault: Fault) -> Self {
        Self {
            path: path.to_owned(),
            fault,
        }
    }
}

impl Fault {
    pub(super) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::NoPermission,
            io::ErrorKind::IsADirectory => Self::Folder,
            _ => Self::Io {
                errno: error.raw_os_error().unwrap_or(0),
            },
        }
    }

    /// Returns true when the disk failed, not the recording: another time it may be read.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Io { .. })
    }

    /// Returns what the user can do about it.
    fn remedy(self) -> &'static str {
        match self {
            Self::Missing | Self::DanglingLink => "check the path",
            Self::Folder => "name the files in it, for example with a * at the end",
            Self::NoPermission => "allow it with chmod +r, or run as a user who may read it",
            Self::NotAFile { .. } => "save the sound to a file first",
            Self::Empty | Self::Undecodable => "record or copy it again",
            Self::NotAudio { .. } => "give a WAV, FLAC, MP3 or OGG file",
            Self::Unsupported { .. } | Self::WavCodec { .. } | Self::RateChanged => {
                "convert it first, for example with ffmpeg -i IN -ac 1 -ar 16000 OUT.wav"
            }
            Self::Header { .. } | Self::Channels { .. } | Self::Rate { .. } => {
                "record, copy or export it again"
            }
            Self::Io { .. } => "check the disk and the cable, then try again",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Missing => f.write_str("there is no such file"),
            Self::DanglingLink => f.write_str("is a link to a file that does not exist"),
            Self::Folder => f.write_str("is a folder, not a recording"),
            Self::NoPermission => f.write_str("may not be read by this user"),
            Self::NotAFile { kind } => write!(f, "is {kind}, not a file"),
            Self::Empty => f.write_str("is empty (0 bytes)"),
            Self::NotAudio { looks_like } => {
                write!(f, "is not a recording, it looks like {looks_like}")
            }
            Self::Unsupported { name } => write!(f, "holds {name}, which cannot be read"),
            Self::WavCodec { tag } => {
                write!(
                    f,
                    "is a WAV file with codec 0x{tag:04x}, which cannot be read"
                )
            }
            Self::Header { detail } => write!(f, "has a broken header: {detail}"),
            Self::Channels { count } => {
                write!(
                    f,
                    "has a broken header: {count} channels, 1 to {CHANNELS_MAX} are possible"
                )
            }
            Self::Rate { rate_hz } => write!(
                f,
                "has a broken header: {rate_hz} Hz, {} to {} are possible",
                RATES_HZ.start(),
                RATES_HZ.end()
            ),
            Self::RateChanged => f.write_str("changes its sample rate in the middle"),
            Self::Undecodable => f.write_str("has no frame that can be decoded"),
            Self::Io { errno: 0 } => f.write_str("cannot be read"),
            Self::Io { errno } => {
                write!(f, "cannot be read: {}", io::Error::from_raw_os_error(errno))
            }
        }
    }
}

impl fmt::Display for AudioFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name may hold anything but the text must stay one line.
        let name = self
            .path
            .to_string_lossy()
            .replace(char::is_control, "\u{fffd}");
        write!(f, "{name}: {}; {}", self.fault, self.fault.remedy())
    }
}

impl std::error::Error for AudioFileError {}
