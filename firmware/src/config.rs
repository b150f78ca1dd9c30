//! The configuration: what the owner may change, with its defaults.
//!
//! One TOML file, `/etc/pressel/pressel.toml`; every key is optional and documented here and in
//! `firmware/pressel.toml`. Unknown keys are errors that name the nearest known one.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use pressel_boards::suggest;
use pressel_hal::Flow;
use pressel_hal::link::nearest_speed;
use pressel_models::places;
use pressel_pipeline::time::samples;
use pressel_pipeline::{gate, session, utterance};
use serde::Deserialize;

use crate::failure::{Failure, Kind};
use crate::listen::listener::Tuning;

mod commands;
mod recognition;
mod speech;
mod wake;

pub use commands::{Command, Commands};
pub use recognition::{Recognition, TaskName, language};
pub use speech::{Endpoint, Speech};
pub use wake::{Wake, WakeWord};

/// Where the configuration is looked for when none is named.
pub const DEFAULT_PATH: &str = "/etc/pressel/pressel.toml";

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A built-in board, or the path of a board's file; empty is found in the device tree.
    pub board: String,
    /// What opens an utterance besides the button.
    pub trigger: Trigger,
    /// Folder of the journal.
    pub state_dir: PathBuf,
    /// Unix socket of `pressel status` and `pressel jobs`; empty is none.
    pub control_socket: PathBuf,
    /// Speech model: `nano`, the name of a fetched one, or the path of a folder.
    pub model: Model,
    /// How speech becomes text.
    pub recognition: Recognition,
    /// The closed list of what may be said.
    pub commands: Commands,
    /// The button.
    pub button: Button,
    /// What an utterance is.
    pub speech: Speech,
    /// The words that wake it.
    pub wake: Wake,
    /// The serial line.
    pub link: Link,
    /// The microphone.
    pub microphone: Microphone,
    /// Recordings that are transcribed in the background.
    pub jobs: Jobs,
    /// How recordings are heard, in the background and by `pressel transcribe`.
    pub files: Files,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            board: String::new(),
            trigger: Trigger::default(),
            state_dir: PathBuf::from("/var/lib/pressel"),
            control_socket: PathBuf::from("/run/pressel/control"),
            model: Model::default(),
            recognition: Recognition::default(),
            commands: Commands::default(),
            button: Button::default(),
            speech: Speech::default(),
            wake: Wake::default(),
            link: Link::default(),
            microphone: Microphone::default(),
            jobs: Jobs::default(),
            files: Files::default(),
        }
    }
}

/// What opens an utterance besides the button.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// Nothing: push to talk only.
    #[default]
    Ptt,
    /// Speech itself, hands-free.
    Voice,
    /// A wake word.
    Wake,
}

/// The speech model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// The name of a built-in or fetched model, or the path of a folder in the Hugging Face layout
    /// (with a `/` in it).
    pub name: String,
    /// Threads of one recognition; 0 is what the board says.
    pub threads: usize,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            name: "nano".to_owned(),
            threads: 0,
        }
    }
}

impl Model {
    /// Returns the model's folder; for a name that no model has, where a built-in one would be.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        if self.name.contains('/') {
            return PathBuf::from(&self.name);
        }
        places::model(&self.name).unwrap_or_else(|| places::builtin(&self.name))
    }

    /// Returns the short name that the link tells.
    #[must_use]
    pub fn short_name(&self) -> String {
        let folder = self.folder();
        folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

/// The button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Button {
    /// `hold-or-tap`, `hold` or `toggle`.
    pub mode: ButtonMode,
    /// A press shorter than this is a tap, in milliseconds.
    pub tap_ms: u64,
    /// Talking ends by itself after this, in milliseconds: a tap was forgotten, or the button is
    /// stuck.
    pub forgotten_ms: u64,
}

/// How the button behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ButtonMode {
    /// A tap latches, a longer press is hold-to-talk.
    #[default]
    HoldOrTap,
    /// Talk while held.
    Hold,
    /// Each press toggles.
    Toggle,
}

impl Default for Button {
    fn default() -> Self {
        Self {
            mode: ButtonMode::default(),
            tap_ms: 250,
            forgotten_ms: 120_000,
        }
    }
}

/// The serial line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Link {
    /// `frames`, `lines` or `none`.
    pub mode: LinkMode,
    /// Device, when it is not the board's.
    pub path: Option<String>,
    /// Speed, when it is not the board's.
    pub baud: Option<u32>,
    /// `none` or `rts-cts`, when it is not the board's.
    pub flow: Option<FlowName>,
}

/// Who may stop the other side of the serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowName {
    /// Nobody.
    None,
    /// Each side, by RTS and CTS.
    RtsCts,
}

impl From<FlowName> for Flow {
    fn from(name: FlowName) -> Self {
        match name {
            FlowName::None => Self::None,
            FlowName::RtsCts => Self::RtsCts,
        }
    }
}

/// What the receiver reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkMode {
    /// Frames of firmware/wire/SPEC.md.
    #[default]
    Frames,
    /// Plain text lines.
    Lines,
    /// No serial line.
    None,
}

/// The microphone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Microphone {
    /// ALSA name, when it is not the board's.
    pub device: Option<String>,
}

/// Recordings that are transcribed in the background.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jobs {
    /// Folder whose recordings become jobs once they have stopped growing; empty is none.
    pub spool: PathBuf,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            spool: PathBuf::from("/var/spool/pressel"),
        }
    }
}

/// How recordings are heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// `auto`, `speech` or `windows`.
    pub cut: FileCut,
}

/// How recordings are cut for the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FileCut {
    /// By windows when the model learnt on them, else at pauses.
    #[default]
    Auto,
    /// At pauses: what is not speech is not heard.
    Speech,
    /// By windows of 30 s: all of it is heard, and each sentence has its times.
    Windows,
}

impl Config {
    /// Reads the named file, or the default one if it is there, or takes the defaults.
    ///
    /// # Errors
    /// [`Kind::Usage`] with file, line, key and the nearest known key.
    pub fn load(path: Option<&Path>) -> Result<Self, Failure> {
        let (path, is_named) = match path {
            Some(path) => (path, true),
            None => (Path::new(DEFAULT_PATH), false),
        };
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => {
                return Ok(Self::default());
            }
            Err(error) => {
                let why = format!("{name}: cannot be read ({error}): check the path of --config");
                return Err(Failure::new(Kind::Usage, why));
            }
        };
        Self::parse(&name, &text)
    }

    /// Reads a configuration from its text; `name` is for messages.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        let config: Self =
            suggest::parse(name, text).map_err(|error| Failure::new(Kind::Usage, error))?;
        config
            .check()
            .map_err(|why| Failure::new(Kind::Usage, format!("{name}: {why}")))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if 64 < self.model.threads {
            return Err("model.threads is at most 64".into());
        }
        self.recognition.check()?;
        self.commands.check()?;
        self.wake.check()?;
        self.wake.check_beside(&self.commands)?;
        if !(1_000..=3_600_000).contains(&self.button.forgotten_ms) {
            return Err("button.forgotten_ms is between 1000 and 3600000".into());
        }
        if 60_000 < self.button.tap_ms {
            return Err("button.tap_ms is at most 60000".into());
        }
        if let Some(baud) = self.link.baud
            && nearest_speed(baud) != baud
        {
            let near = nearest_speed(baud);
            return Err(format!(
                "link.baud is {baud}, which is no standard speed: the nearest is {near}"
            ));
        }
        self.speech.check()
    }

    /// Returns the numbers of the session machine.
    #[must_use]
    pub fn session(&self) -> session::Tuning {
        session::Tuning {
            mode: match self.button.mode {
                ButtonMode::HoldOrTap => session::ButtonMode::HoldOrTap,
                ButtonMode::Hold => session::ButtonMode::Hold,
                ButtonMode::Toggle => session::ButtonMode::Toggle,
            },
            tap_ms_max: self.button.tap_ms,
            talk_ms_max: self.button.forgotten_ms,
        }
    }

    /// Returns the numbers of listen.
    #[must_use]
    pub fn tuning(&self) -> Tuning {
        let speech = self.speech;
        Tuning {
            gate: gate::Tuning {
                open_probability: speech.threshold,
                // Silero's own distance between the two thresholds.
                close_probability: (speech.threshold - 0.15).max(0.01),
                speech_min: samples(speech.minimum_ms),
                hangover: samples(speech.endpoint.silence_ms()),
            },
            utterance: utterance::Tuning {
                pre_roll: samples(speech.pre_roll_ms),
                post_roll: samples(speech.post_roll_ms),
                start_padding: samples(speech.start_padding_ms),
                end_padding: samples(speech.end_padding_ms),
                wake_patience: samples(self.wake.patience_ms),
                wake_speech_min: samples(300),
                voice_opens: self.trigger == Trigger::Voice,
            },
            works_ahead: speech.guess,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that a configuration is refused in one line that has these words.
    pub(super) fn check(text: &str, expected: &str) {
        let error = Config::parse("pressel.toml", text).expect_err("must not be accepted");
        assert_eq!(error.exit_code(), 2);
        assert!(error.message.contains(expected), "{}", error.message);
        assert!(!error.message.contains('\n'));
    }

    #[test]
    fn empty_file_is_the_default() {
        assert_eq!(
            Config::parse("pressel.toml", "").unwrap(),
            Config::default()
        );
    }

    #[test]
    fn shipped_file_is_the_default_written_out() {
        let text = include_str!("../pressel.toml");
        assert_eq!(
            Config::parse("firmware/pressel.toml", text).unwrap(),
            Config::default()
        );
        let uncommented: String = text
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .fold(String::new(), |all, line| all + line + "\n");
        Config::parse("firmware/pressel.toml", &uncommented).expect("every key is known");
    }

    #[test]
    fn typos_name_the_nearest_key() {
        check("triger = 'voice'", "trigger");
        check("[speech]\npreroll_ms = 3", "pre_roll_ms");
        check("trigger = 'voise'", "voice");
        check(
            "[recognition]\nlanguage = 'germn'",
            "pressel.toml:2: unknown language `germn`; did you mean `german`?",
        );
        check(
            "[recognition]\ntask = 'translat'",
            "did you mean `translate`?",
        );
    }

    #[test]
    fn values_out_of_range_are_refused() {
        check("[model]\nthreads = 65", "at most 64");
        check("[recognition]\nprompt = \"a\\nb\"", "one line");
        let long = "x".repeat(1_001);
        check(&format!("[recognition]\nprompt = '{long}'"), "at most 1000");
        check("[button]\nforgotten_ms = 0", "between 1000 and 3600000");
        check("[button]\ntap_ms = 60001", "at most 60000");
        check("[link]\nbaud = 0", "the nearest is 9600");
        check("[link]\nbaud = 250000", "the nearest is 230400");
        check("[link]\nflow = \"rtscts\"", "did you mean `rts-cts`?");
    }
}
