//! How a board shows what there is to show: on which LED, in which rhythm, in which colour.
//!
//! The section `[lights]` of a board's file, sign by sign; what it leaves out is as usual. Which
//! signs there are and what is usual: `firmware/pipeline/src/lights.rs`.

use core::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, de};

use crate::Role;

/// The section `[lights]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Lights {
    /// An utterance failed.
    pub failed: Option<Shown>,
    /// An utterance was dropped, or a press found no microphone.
    pub dropped: Option<Shown>,
    /// There is no microphone.
    pub no_microphone: Option<Shown>,
    /// An utterance is recorded.
    pub listening: Option<Shown>,
    /// There is no worker that answers.
    pub no_worker: Option<Shown>,
    /// An utterance waits or is recognised.
    pub thinking: Option<Shown>,
    /// A text went out.
    pub sent: Option<Shown>,
    /// The microphone is closed by the owner.
    pub muted: Option<Shown>,
    /// Three crashes in a minute.
    pub safe_mode: Option<Shown>,
    /// The serial line is gone.
    pub no_link: Option<Shown>,
    /// Transcripts are in memory only.
    pub no_journal: Option<Shown>,
    /// The processor does the work in place of CUDA.
    pub on_processor: Option<Shown>,
    /// The level tells speech from silence.
    pub by_level: Option<Shown>,
    /// No wake word is heard.
    pub no_wake: Option<Shown>,
    /// Nothing else is shown.
    pub idle: Option<Shown>,
}

/// How a sign is shown; what is left out is as usual.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shown {
    /// On which LED.
    pub led: Option<Role>,
    /// Milliseconds lit, dark, lit and so on; one is always lit, none is never.
    pub ms: Option<Vec<u16>>,
    /// In which colour, where the LED has colours.
    pub colour: Option<Colour>,
}

/// A colour, as `"#rrggbb"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// How much red.
    pub red: u8,
    /// How much green.
    pub green: u8,
    /// How much blue.
    pub blue: u8,
}

impl Lights {
    /// Returns all signs by name, in the order of the pipeline's, each with what the file says.
    pub fn signs(&self) -> [(&'static str, Option<&Shown>); 15] {
        [
            ("failed", self.failed.as_ref()),
            ("dropped", self.dropped.as_ref()),
            ("no-microphone", self.no_microphone.as_ref()),
            ("listening", self.listening.as_ref()),
            ("no-worker", self.no_worker.as_ref()),
            ("thinking", self.thinking.as_ref()),
            ("sent", self.sent.as_ref()),
            ("muted", self.muted.as_ref()),
            ("safe-mode", self.safe_mode.as_ref()),
            ("no-link", self.no_link.as_ref()),
            ("no-journal", self.no_journal.as_ref()),
            ("on-processor", self.on_processor.as_ref()),
            ("by-level", self.by_level.as_ref()),
            ("no-wake", self.no_wake.as_ref()),
            ("idle", self.idle.as_ref()),
        ]
    }
}

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(HexDigits)
    }
}

struct HexDigits;

impl Visitor<'_> for HexDigits {
    type Value = Colour;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a colour as \"#ff8000\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Colour, E> {
        let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
        let digits = text.strip_prefix('#').ok_or_else(wrong)?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16)
            .map_err(|_| wrong())?
            .to_be_bytes();
        Ok(Colour { red, green, blue })
    }
}
