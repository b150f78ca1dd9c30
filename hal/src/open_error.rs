//! Why a device could not be opened, and what to do about it.
//!
//! Made at start-up and when a lost device is opened again; never on the main loop's hot path.
//! Errors of running devices are small `Copy` enums instead, see [`crate::MicError`].

use core::fmt;

/// A device could not be opened: which one, why, and the remedy. Prints as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// Kind of device: `microphone`, `serial port`, `button`, `led`, `file`.
    pub device: &'static str,
    /// The name as the user or the board file wrote it.
    pub name: String,
    /// What the system answered, in words.
    pub cause: String,
    /// What the user can do.
    pub remedy: String,
    /// Positive errno of the call that failed; 0 when no system call failed.
    pub errno: i32,
}

impl OpenError {
    /// Makes an error from an errno value of either sign; the cause is the system's text for it.
    pub fn from_errno(
        device: &'static str,
        name: &str,
        errno: i32,
        remedy: impl Into<String>,
    ) -> Self {
        let errno = errno.saturating_abs();
        Self {
            device,
            name: name.to_owned(),
            cause: errno_text(errno),
            remedy: remedy.into(),
            errno,
        }
    }

    /// Makes an error that no system call reported.
    pub fn new(
        device: &'static str,
        name: &str,
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (cause, remedy) = (cause.into(), remedy.into());
        Self {
            device,
            name: name.to_owned(),
            cause,
            remedy,
            errno: 0,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} `{}`: {}; {}",
            self.device, self.name, self.cause, self.remedy
        )
    }
}
impl core::error::Error for OpenError {}

/// Returns the system's text for an errno, lower-case and without the number.
fn errno_text(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => format!("errno {errno}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_one_line_with_name_cause_and_remedy() {
        let error = OpenError::from_errno("serial port", "/dev/ttyX", -libc::ENOENT, "plug it in");
        assert_eq!(
            error.to_string(),
            "serial port `/dev/ttyX`: no such file or directory; plug it in"
        );
        assert_eq!(error.errno, libc::ENOENT);
    }
}
