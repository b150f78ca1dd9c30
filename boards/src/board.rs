//! One board: what its file says.
//!
//! Polarity, pull and debounce are here, so that logic only knows *pressed* and *lit*. Header pins
//! are here too: they are what people count, and what must not be used twice.

use std::path::Path;

use pressel_hal::{Flow, MicrophoneConfig, PinConfig, Pull};
use serde::Deserialize;

use crate::lights::Lights;
use crate::suggest::{self, DataError};
use crate::{builtin, validate};

/// Where the kernel tells what board this is: names with a NUL after each, the most exact first.
const COMPATIBLE_PATH: &str = "/proc/device-tree/compatible";

/// A board, read and checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// The file's name without `.toml`; what `--board` takes.
    pub name: String,
    /// The name that people know.
    pub title: String,
    /// How far it was tried: 1 run on metal, 2 emulated, 3 from the data sheet.
    pub tier: u8,
    /// Which kind of devices the firmware opens.
    pub backend: Backend,
    /// Which machine a binary for it is built for.
    #[serde(default)]
    pub machine: Machine,
    /// Device-tree names by which the board is found; empty when it is only chosen by name.
    pub compatible: Vec<String>,
    /// The board on top of the header that has microphone, button and LEDs on it, when there is
    /// one: then nothing but the serial line is wired by hand. Only pictures need it.
    pub hat: Option<String>,
    /// Where sound comes from.
    pub microphone: Microphone,
    /// The push-to-talk button, when there is one.
    pub button: Option<Button>,
    /// The switch that closes the microphone, when there is one.
    pub mute: Option<Button>,
    /// LEDs on GPIO lines.
    #[serde(default, rename = "led")]
    pub leds: Vec<Led>,
    /// LEDs on a data line, when there are some.
    pub pixels: Option<Pixels>,
    /// How the LEDs show what there is to show, where that is not as usual.
    #[serde(default)]
    pub lights: Lights,
    /// The serial line to the owner.
    pub uart: Uart,
    /// Which cores do what.
    pub cores: Cores,
    /// How Whisper runs.
    pub worker: Worker,
}

/// Which kind of devices the firmware opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Real devices: `pressel_hal::linux`.
    Linux,
    /// The same, but pins through the registers of a Raspberry Pi: `pressel_hal::rpi`.
    Rpi,
    /// A folder of pipes: `pressel_hal::sim`.
    Sim,
}

/// Which machine a binary for the board is built for. `cargo xtask cross` reads it; the appliance
/// itself needs it nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Machine {
    /// 64-bit ARM.
    Aarch64,
    /// The one that builds.
    #[default]
    Any,
}

/// Where sound comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Microphone {
    /// ALSA name.
    pub device: String,
    /// Samples per second that Pressel gets: 16,000.
    pub rate_hz: u32,
    /// Milliseconds of audio that the kernel keeps while Pressel is late.
    pub buffer_ms: u32,
    /// Header pins that the microphone uses; empty for USB.
    pub header_pins: Vec<u8>,
}

/// A button or switch on a GPIO line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Button {
    /// GPIO chip: path, name or label.
    pub chip: String,
    /// Line on the chip.
    pub line: u32,
    /// Pin on the header; 0 when there is no header.
    pub header_pin: u8,
    /// True when the line is low while pressed.
    pub active_low: bool,
    /// Resistor inside the chip.
    #[serde(with = "PullName")]
    pub pull: Pull,
    /// Milliseconds after an accepted edge in which bounces are ignored.
    pub debounce_ms: u32,
}

/// An LED on a GPIO line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Led {
    /// What it shows.
    pub role: Role,
    /// GPIO chip: path, name or label.
    pub chip: String,
    /// Line on the chip.
    pub line: u32,
    /// Pin on the header; 0 when there is no header.
    pub header_pin: u8,
    /// True when the line is low while lit.
    pub active_low: bool,
    /// What stands between the pin and the LED. Only pictures need it.
    #[serde(default)]
    pub drive: Drive,
}

/// What stands between a pin and its LED.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drive {
    /// A resistor: the pin gives the current.
    #[default]
    Resistor,
    /// A transistor: the pin gives microamperes only.
    Transistor,
}

/// A chain of LEDs on a data line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pixels {
    /// Which LEDs they are.
    pub kind: PixelKind,
    /// Device of the bus, for example `/dev/spidev0.0`.
    pub spi: String,
    /// Bits per second on the bus.
    pub speed_hz: u32,
    /// How bright all of them are, 0 to 31.
    pub brightness: u8,
    /// Header pins of the bus.
    pub header_pins: Vec<u8>,
    /// What each LED of the chain shows, the first one first.
    pub roles: Vec<Role>,
}

/// A kind of LED chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelKind {
    /// APA102: clock and data, as on the ReSpeaker HATs.
    Apa102,
}

/// What an LED shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Pressel records.
    Listening,
    /// Pressel recognises.
    Thinking,
    /// A text went out.
    Sent,
    /// Something is wrong.
    Error,
}

impl Role {
    /// Returns the name as board files write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Thinking => "thinking",
            Self::Sent => "sent",
            Self::Error => "error",
        }
    }
}

/// The serial line to the owner.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uart {
    /// Device, for example `/dev/serial0`.
    pub path: String,
    /// Bits per second: a standard speed.
    pub baud: u32,
    /// Who may stop the other side.
    #[serde(default, with = "FlowName")]
    pub flow: Flow,
    /// Header pins that the line uses, transmit and receive, then RTS and CTS; empty for USB.
    pub header_pins: Vec<u8>,
}

/// Which cores do what. Cores that a machine does not have are left out when threads are pinned.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cores {
    /// The main loop.
    pub main: Vec<usize>,
    /// Voice activity and wake word.
    pub listen: Vec<usize>,
    /// Whisper.
    pub worker: Vec<usize>,
}

/// How Whisper runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// What computes.
    pub provider: Provider,
    /// Threads of ONNX Runtime.
    pub threads: usize,
}

/// What computes: an execution provider of ONNX Runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

/// Names of [`Pull`] in board files.
#[derive(Deserialize)]
#[serde(remote = "Pull", rename_all = "lowercase")]
enum PullName {
    None,
    Up,
    Down,
}

/// Names of [`Flow`] in board files.
#[derive(Deserialize)]
#[serde(remote = "Flow", rename_all = "kebab-case")]
enum FlowName {
    None,
    RtsCts,
}

impl Board {
    /// Reads and checks a board from the text of a file. `file` is for messages.
    ///
    /// # Errors
    /// [`DataError`] with the line and the nearest known key, or the rule that is broken.
    pub fn parse(file: &str, text: &str) -> Result<Self, DataError> {
        let board: Self = suggest::parse(file, text)?;
        validate::check(&board).map_err(|(cause, remedy)| DataError::new(file, cause, remedy))?;
        Ok(board)
    }

    /// Reads and checks the user's own board file.
    ///
    /// # Errors
    /// [`DataError`] when the file cannot be read, or as [`Board::parse`].
    pub fn load_file(path: &Path) -> Result<Self, DataError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            DataError::new(&file, format!("cannot be read: {error}"), "check the path")
        })?;
        Self::parse(&file, &text)
    }

    /// Returns a built-in board by name.
    ///
    /// # Errors
    /// [`DataError`] when there is none of that name; it names the nearest one and all of them.
    pub fn builtin(name: &str) -> Result<Self, DataError> {
        match builtin::TEXTS.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(&format!("{name}.toml"), text),
            None => {
                let all = builtin::names().collect::<Vec<_>>().join(", ");
                let near = suggest::nearest(name, builtin::names())
                    .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
                let remedy = format!("{near}built in are {all}; your own: --board-file FILE");
                Err(DataError::new(
                    &format!("board `{name}`"),
                    "no such board",
                    remedy,
                ))
            }
        }
    }

    /// Finds the built-in board that this machine is, by its device tree.
    ///
    /// `Ok(None)` when the machine has no device tree or is none of them.
    ///
    /// # Errors
    /// [`DataError`] as [`Board::builtin`].
    pub fn detect() -> Result<Option<Self>, DataError> {
        Self::detect_at(Path::new(COMPATIBLE_PATH))
    }

    /// Does what [`Board::detect`] does, with another file in the place of the device tree's.
    ///
    /// # Errors
    /// [`DataError`] as [`Board::builtin`].
    pub fn detect_at(compatible_path: &Path) -> Result<Option<Self>, DataError> {
        let Ok(bytes) = std::fs::read(compatible_path) else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        let names: Vec<&str> = text.split('\0').map(str::trim).collect();
        let mut best: Option<(usize, Self)> = None;
        for name in builtin::names() {
            let board = Self::builtin(name)?;
            // The tree names the exact board first and its chip last.
            let exactness = names
                .iter()
                .position(|name| board.compatible.iter().any(|c| c == name));
            if let Some(place) = exactness
                && best.as_ref().is_none_or(|(found, _)| place < *found)
            {
                best = Some((place, board));
            }
        }
        Ok(best.map(|(_, board)| board))
    }

    /// Returns what to open for the microphone, in blocks of `block_samples`.
    pub fn microphone_config(&self, block_samples: usize) -> MicrophoneConfig {
        MicrophoneConfig {
            device: self.microphone.device.clone(),
            rate_hz: self.microphone.rate_hz,
            block_samples,
            buffer_ms: self.microphone.buffer_ms,
        }
    }
}

impl Button {
    /// Returns what to open; `role` is for messages.
    pub fn pin_config(&self, role: &str) -> PinConfig {
        PinConfig {
            role: role.to_owned(),
            chip: self.chip.clone(),
            line: self.line,
            active_low: self.active_low,
            pull: self.pull,
        }
    }
}

impl Led {
    /// Returns what to open.
    pub fn pin_config(&self) -> PinConfig {
        PinConfig {
            role: self.role.name().to_owned(),
            chip: self.chip.clone(),
            line: self.line,
            active_low: self.active_low,
            pull: Pull::None,
        }
    }
}

#[cfg(test)]
mod tests;
