//! Why a command failed: one line for people, one number for scripts.
//!
//! Errors of every part in, exit code and message out. Used at start-up and by commands, never by
//! the threads of the running appliance.

use std::fmt;

/// What failed, by exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command did its work, and the result is not what was asked for (a failed demo).
    Result = 1,
    /// A wrong option, configuration or board file.
    Usage = 2,
    /// A microphone, pin or serial line.
    Device = 3,
    /// A speech model or its runtime.
    Model = 4,
    /// A file that cannot be read or written.
    Disk = 5,
}

/// A failure. The message names what failed, on which device or file, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind it is.
    pub kind: Kind,
    /// One line.
    pub message: String,
}

impl Failure {
    /// Makes a failure; a message of several lines becomes one.
    pub fn new(kind: Kind, message: impl fmt::Display) -> Self {
        let message = message.to_string();
        let message = message.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        Self { kind, message }
    }

    /// Returns the process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.kind as u8
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for Failure {}
