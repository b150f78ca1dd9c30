//! From the bytes of the wire to lines.
//!
//! Bytes go in as they arrive, whole lines come out. A line ends with a line feed or a carriage
//! return, so that a terminal's Enter key works; empty lines mean nothing. Never panics.

use core::fmt;

/// Why bytes up to a line's end gave no line. They are gone; the next line is not affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    /// More bytes than the decoder holds. Cause: the other side is not in line mode, or noise.
    Overlong,
    /// The bytes are not UTF-8. Cause: noise, or a wrong speed.
    NotText,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overlong => "line too long",
            Self::NotText => "line is not text",
        })
    }
}
impl core::error::Error for LineError {}

/// Receives lines of at most `N` bytes: [`crate::limits::LINE_BYTES_MAX`] for a host,
/// [`crate::limits::HOST_LINE_BYTES_MAX`] for an appliance.
#[derive(Clone, Debug)]
pub struct LineDecoder<const N: usize> {
    line: [u8; N],
    collected_bytes: usize,
    skipping: bool,
    lines: u32,
    bad_lines: u32,
}

impl<const N: usize> Default for LineDecoder<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> LineDecoder<N> {
    /// Returns a decoder that has seen nothing.
    pub const fn new() -> Self {
        Self {
            line: [0; N],
            collected_bytes: 0,
            skipping: false,
            lines: 0,
            bad_lines: 0,
        }
    }

    /// Takes one byte; returns a line without its end, or an error, when the byte ended one.
    pub fn push_byte(&mut self, byte: u8) -> Option<Result<&str, LineError>> {
        if byte != b'\n' && byte != b'\r' {
            self.collect(byte);
            return None;
        }
        let collected_bytes = core::mem::take(&mut self.collected_bytes);
        let result = if core::mem::take(&mut self.skipping) {
            Err(LineError::Overlong)
        } else if collected_bytes == 0 {
            return None;
        } else {
            let line = self.line.get(..collected_bytes).unwrap_or_default();
            core::str::from_utf8(line).map_err(|_| LineError::NotText)
        };
        let counter = if result.is_ok() {
            &mut self.lines
        } else {
            &mut self.bad_lines
        };
        *counter = counter.saturating_add(1);
        Some(result)
    }

    /// Forgets a line that has begun. For a serial line that was closed and opened again.
    pub fn reset(&mut self) {
        self.collected_bytes = 0;
        self.skipping = false;
    }

    /// Returns the count of lines delivered.
    pub fn lines(&self) -> u32 {
        self.lines
    }

    /// Returns the count of lines that were too long or no text.
    pub fn bad_lines(&self) -> u32 {
        self.bad_lines
    }

    fn collect(&mut self, byte: u8) {
        if let Some(place) = self.line.get_mut(self.collected_bytes) {
            *place = byte;
            self.collected_bytes += 1;
        } else {
            self.skipping = true;
        }
    }
}
