//! The board's devices, opened: the one place that names backends.
//!
//! Board and configuration in, open devices out. Runs at start-up, and on the keeper's thread for
//! what was lost; the main loop never comes here.

use std::path::PathBuf;

use heapless::Vec;
use pressel_boards::{Backend, Board};
use pressel_hal::linux::{AlsaMicrophone, CdevButton, CdevLed, SerialLink, SpiWriter};
use pressel_hal::sim::{self, SimButton, SimLed, SimMicrophone, SimSpi};
use pressel_hal::{
    Apa102, EdgePin, Flow, LedPin, Link, Microphone, MicrophoneConfig, OpenError, Pixels, rpi,
};
use pressel_pipeline::limits::BLOCK_SAMPLES;

use super::lights;
use crate::config::{Config, LinkMode};
use crate::failure::{Failure, Kind};
use crate::keeper::Opener;
use crate::main_loop::{AnyPin, Chain, Input, Led, PinName, Pins};

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

/// Opens a board's devices.
pub struct BoardOpener {
    board: Board,
    place: Place,
    microphone: MicrophoneConfig,
    /// A device that the user named instead of the board's.
    named_microphone: bool,
    uart: Option<(String, u32, Flow)>,
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
        let baud = config.link.baud.unwrap_or(board.uart.baud);
        let flow = config.link.flow.map_or(board.uart.flow, Flow::from);
        let uart = (config.link.mode != LinkMode::None).then_some((path, baud, flow));
        Self {
            board: board.clone(),
            place,
            microphone,
            named_microphone,
            uart,
        }
    }
}

impl Opener for BoardOpener {
    fn microphone(&mut self) -> Result<Box<dyn Microphone>, String> {
        let opened: Result<Box<dyn Microphone>, OpenError> = match (&self.place, self.board.backend)
        {
            (Place::Sim { dir, .. }, Backend::Sim) if !self.named_microphone => {
                SimMicrophone::open(dir, &self.microphone)
                    .map(|microphone| Box::new(microphone) as _)
            }
            _ => AlsaMicrophone::open(&self.microphone).map(|microphone| Box::new(microphone) as _),
        };
        opened.map_err(|error| error.to_string())
    }

    fn link(&mut self) -> Result<Option<Box<dyn Link>>, String> {
        let Some((path, baud, flow)) = &self.uart else {
            return Ok(None);
        };
        let link = SerialLink::open_with(path, *baud, *flow).map_err(|error| error.to_string())?;
        Ok(Some(Box::new(link)))
    }

    fn pin(&mut self, name: PinName) -> Result<AnyPin, String> {
        let Board {
            button, mute, leds, ..
        } = &self.board;
        let opener = PinOpener {
            backend: self.board.backend,
            place: &self.place,
        };
        let opened = match (name, button, mute) {
            (PinName::Button, Some(button), _) => opener.button(button).map(AnyPin::Button),
            (PinName::Mute, _, Some(mute)) => opener.mute(mute).map(AnyPin::Mute),
            (PinName::Led(place), ..) if place < leds.len() => {
                let pin = opener.led(&leds[place]);
                pin.map(|pin| AnyPin::Led(place, pin))
            }
            _ => return Err(format!("the board has no pin {name}")),
        };
        opened.map_err(|error| error.to_string())
    }
}

/// Opens button, mute switch and LEDs.
///
/// # Errors
/// [`Kind::Device`] that names the pin or the bus, the cause and the remedy.
pub(super) fn open_pins(board: &Board, place: &Place) -> Result<Pins, Failure> {
    let opener = PinOpener {
        backend: board.backend,
        place,
    };
    let open = || -> Result<Pins, OpenError> {
        let debounced = |input: &pressel_boards::Button, pin| {
            Input::new(Some(pin), u64::from(input.debounce_ms))
        };
        let none = || Input::new(None, 0);
        let button = match &board.button {
            Some(button) => debounced(button, opener.button(button)?),
            None => none(),
        };
        let mute = match &board.mute {
            Some(mute) => debounced(mute, opener.mute(mute)?),
            None => none(),
        };
        let mut leds = Vec::new();
        for led in &board.leds {
            let light = lights::light(led.role);
            // Boards have been checked to have no more than there is room for.
            leds.push(Led::new(light, opener.led(led)?)).ok();
        }
        let chain = board.pixels.as_ref();
        Ok(Pins {
            button,
            mute,
            leds,
            chain: chain.map(|pixels| opener.chain(pixels)).transpose()?,
            patterns: lights::patterns(&board.lights),
        })
    };
    open().map_err(|error| Failure::new(Kind::Device, error))
}

/// Opens pins where they are.
struct PinOpener<'a> {
    backend: Backend,
    place: &'a Place,
}

impl PinOpener<'_> {
    fn button(&self, button: &pressel_boards::Button) -> Result<Box<dyn EdgePin>, OpenError> {
        self.input(button, "button", sim::BUTTON_FILE)
    }

    fn mute(&self, mute: &pressel_boards::Button) -> Result<Box<dyn EdgePin>, OpenError> {
        self.input(mute, "mute switch", sim::MUTE_FILE)
    }

    fn input(
        &self,
        input: &pressel_boards::Button,
        name: &str,
        file: &str,
    ) -> Result<Box<dyn EdgePin>, OpenError> {
        Ok(match (self.place, self.backend) {
            (Place::Sim { dir, .. }, _) => Box::new(SimButton::open(&dir.join(file))?),
            (Place::Linux, Backend::Rpi) => rpi::open_button(&input.pin_config(name))?,
            (Place::Linux, _) => Box::new(CdevButton::open(&input.pin_config(name))?),
        })
    }

    fn led(&self, led: &pressel_boards::Led) -> Result<Box<dyn LedPin>, OpenError> {
        Ok(match (self.place, self.backend) {
            (Place::Sim { dir, .. }, _) => {
                Box::new(SimLed::open(&dir.join(sim::LEDS_FILE), led.role.name())?)
            }
            (Place::Linux, Backend::Rpi) => rpi::open_led(&led.pin_config())?,
            (Place::Linux, _) => Box::new(CdevLed::open(&led.pin_config())?),
        })
    }

    fn chain(&self, pixels: &pressel_boards::Pixels) -> Result<Chain, OpenError> {
        let (path, count) = (pixels.spi.as_str(), pixels.roles.len());
        let chain: Box<dyn Pixels> = match self.place {
            Place::Sim { dir, .. } => {
                let bus = SimSpi::open(&dir.join(sim::SPI_FILE))?;
                Box::new(Apa102::new(bus, path, count, pixels.brightness)?)
            }
            Place::Linux => {
                let bus = SpiWriter::open(path, pixels.speed_hz)?;
                Box::new(Apa102::new(bus, path, count, pixels.brightness)?)
            }
        };
        let shown = pixels.roles.iter().copied().map(lights::light).collect();
        Ok(Chain::new(chain, shown))
    }
}
