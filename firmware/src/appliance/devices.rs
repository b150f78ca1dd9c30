//! The board's devices, opened: the one place that names backends.
//!
//! Board and configuration in, open devices out. Runs at start-up, and on the keeper's thread for
//! what was lost; the main loop never comes here.

use std::path::PathBuf;

use heapless::Vec;
use pressel_boards::{Backend, Board, Role};
use pressel_hal::linux::{AlsaMicrophone, CdevButton, CdevLed, SerialLink};
use pressel_hal::sim::{self, SimButton, SimLed, SimMicrophone};
use pressel_hal::{EdgePin, LedPin, Link, Microphone, MicrophoneConfig, OpenError};
use pressel_pipeline::limits::BLOCK_SAMPLES;

use crate::config::{Config, LinkMode};
use crate::failure::{Failure, Kind};
use crate::keeper::Opener;
use crate::main_loop::{Input, Led, LedRole, Pins};

/// Where the devices are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the kernel.
    Linux,
    /// In a folder of pipes.
    Sim {
        /// The folder.
        dir: PathBuf,
        /// How many times faster than real time its world runs.
        speed: u32,
    },
}

/// Opens a board's microphone and serial line.
pub struct BoardOpener {
    backend: Backend,
    place: Place,
    microphone: MicrophoneConfig,
    /// A device that the user named instead of the board's.
    named_microphone: bool,
    uart: Option<(String, u32)>,
}

impl BoardOpener {
    /// Takes names from the board, and from the configuration where it has its own.
    #[must_use]
    pub fn new(board: &Board, config: &Config, place: Place) -> Self {
        let mut microphone = board.microphone_config(BLOCK_SAMPLES);
        let named_microphone = config.microphone.device.is_some();
        if let Some(device) = &config.microphone.device {
            microphone.device.clone_from(device);
        }
        let path = config.link.path.clone().unwrap_or_else(|| match &place {
            Place::Sim { dir, .. } => dir.join(&board.uart.path).to_string_lossy().into_owned(),
            Place::Linux => board.uart.path.clone(),
        });
        let uart = (config.link.mode != LinkMode::None)
            .then(|| (path, config.link.baud.unwrap_or(board.uart.baud)));
        Self {
            backend: board.backend,
            place,
            microphone,
            named_microphone,
            uart,
        }
    }
}

impl Opener for BoardOpener {
    fn microphone(&mut self) -> Result<Box<dyn Microphone>, String> {
        let opened: Result<Box<dyn Microphone>, OpenError> = match (&self.place, self.backend) {
            (Place::Sim { dir, .. }, Backend::Sim) if !self.named_microphone => {
                SimMicrophone::open(dir, &self.microphone)
                    .map(|microphone| Box::new(microphone) as _)
            }
            _ => AlsaMicrophone::open(&self.microphone).map(|microphone| Box::new(microphone) as _),
        };
        opened.map_err(|error| error.to_string())
    }

    fn link(&mut self) -> Result<Option<Box<dyn Link>>, String> {
        let Some((path, baud)) = &self.uart else {
            return Ok(None);
        };
        let link = SerialLink::open(path, *baud).map_err(|error| error.to_string())?;
        Ok(Some(Box::new(link)))
    }
}

/// Opens button, mute switch and LEDs.
///
/// # Errors
/// [`Kind::Device`] that names the pin, the cause and the remedy.
pub(super) fn open_pins(board: &Board, place: &Place) -> Result<Pins, Failure> {
    let open = || -> Result<Pins, OpenError> {
        let button = open_input(board.button.as_ref(), "button", sim::BUTTON_FILE, place)?;
        let mute = open_input(board.mute.as_ref(), "mute switch", sim::MUTE_FILE, place)?;
        let mut leds = Vec::new();
        for led in &board.leds {
            let pin: Box<dyn LedPin> = match place {
                Place::Sim { dir, .. } => {
                    Box::new(SimLed::open(&dir.join(sim::LEDS_FILE), led.role.name())?)
                }
                Place::Linux => Box::new(CdevLed::open(&led.pin_config())?),
            };
            // Boards have been checked to have no more than there is room for.
            leds.push(Led::new(role(led.role), pin)).ok();
        }
        Ok(Pins { button, mute, leds })
    };
    open().map_err(|error| Failure::new(Kind::Device, error))
}

fn open_input(
    input: Option<&pressel_boards::Button>,
    name: &str,
    file: &str,
    place: &Place,
) -> Result<Input, OpenError> {
    let Some(input) = input else {
        return Ok(Input::new(None, 0));
    };
    let pin: Box<dyn EdgePin> = match place {
        Place::Sim { dir, .. } => Box::new(SimButton::open(&dir.join(file))?),
        Place::Linux => Box::new(CdevButton::open(&input.pin_config(name))?),
    };
    Ok(Input::new(Some(pin), u64::from(input.debounce_ms)))
}

fn role(role: Role) -> LedRole {
    match role {
        Role::Listening => LedRole::Listening,
        Role::Thinking => LedRole::Thinking,
        Role::Sent => LedRole::Sent,
        Role::Error => LedRole::Error,
    }
}
