//! Buttons and LEDs through the GPIO character device.
//!
//! Flow: edges and levels in, levels out, on the main loop, one system call each. Opening
//! allocates.
//!
//! LEDs go through `linux_embedded_hal::CdevPin`; it cannot wait for edges, so buttons use the
//! event handle of `gpio-cdev`, the crate beneath it. Both speak version 1 of the kernel's
//! interface.

use std::path::PathBuf;

use embedded_hal::digital::{ErrorType, InputPin, OutputPin, PinState};
use gpio_cdev::{Chip, EventRequestFlags, Line, LineEventHandle, LineRequestFlags};
use linux_embedded_hal::CdevPin;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::{EdgePin, OpenError, PinConfig, PinError, PollFd, Pull};

/// The name that other programs (`gpioinfo`) see as the user of our lines.
const CONSUMER: &str = "pressel";

/// Bytes of one edge in the kernel's queue: `struct gpioevent_data`.
const EDGE_BYTES: usize = 16;

/// Edges taken by one call; the kernel's queue holds 16.
const EDGES_MAX: usize = 16;

/// A button or switch: both edges wake the main loop, `is_high` means pressed.
pub struct CdevButton {
    handle: LineEventHandle,
}

impl CdevButton {
    /// Takes the line as an input with both edges.
    ///
    /// # Errors
    /// [`OpenError`] when the chip or line is missing, busy or not permitted, or when the kernel
    /// cannot set the pull resistor (before Linux 5.5).
    pub fn open(config: &PinConfig) -> Result<Self, OpenError> {
        let line = open_line("button", config)?;
        let mut flags = LineRequestFlags::INPUT | bias(config.pull);
        flags.set(LineRequestFlags::ACTIVE_LOW, config.active_low);
        let handle = line
            .events(flags, EventRequestFlags::BOTH_EDGES, CONSUMER)
            .map_err(|_| line_failed("button", config, &line, last_errno()))?;
        let old = fcntl_getfl(&handle);
        old.and_then(|old| fcntl_setfl(&handle, old | OFlags::NONBLOCK))
            .map_err(|errno| line_failed("button", config, &line, errno.raw_os_error()))?;
        Ok(Self { handle })
    }
}

impl ErrorType for CdevButton {
    type Error = PinError;
}

impl InputPin for CdevButton {
    fn is_high(&mut self) -> Result<bool, PinError> {
        // The kernel has already turned an active-low level round.
        let value = self.handle.get_value().map_err(|_| PinError {
            errno: last_errno(),
        })?;
        Ok(value != 0)
    }

    fn is_low(&mut self) -> Result<bool, PinError> {
        self.is_high().map(|high| !high)
    }
}

impl EdgePin for CdevButton {
    fn poll_fd(&self) -> PollFd {
        let fd = std::os::fd::AsRawFd::as_raw_fd(&self.handle);
        PollFd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        }
    }

    fn take_edges(&mut self) -> Result<(), PinError> {
        let mut edges = [0; EDGES_MAX * EDGE_BYTES];
        match rustix::io::read(&self.handle, &mut edges) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(errno) => Err(PinError {
                errno: errno.raw_os_error(),
            }),
        }
    }
}

/// An LED on a line: `set_high` means lit.
///
/// `CdevPin` undoes the kernel's active-low flag (its high is the electrical level), so the
/// polarity is applied here and the flag is not used.
pub struct CdevLed {
    pin: CdevPin,
    active_low: bool,
}

impl CdevLed {
    /// Takes the line as an output, dark.
    ///
    /// # Errors
    /// [`OpenError`] when the chip or line is missing, busy or not permitted.
    pub fn open(config: &PinConfig) -> Result<Self, OpenError> {
        let line = open_line("led", config)?;
        let pin = line
            .request(
                LineRequestFlags::OUTPUT,
                u8::from(config.active_low),
                CONSUMER,
            )
            .and_then(CdevPin::new)
            .map_err(|_| line_failed("led", config, &line, last_errno()))?;
        Ok(Self {
            pin,
            active_low: config.active_low,
        })
    }

    fn set(&mut self, lit: bool) -> Result<(), PinError> {
        let level = PinState::from(lit != self.active_low);
        self.pin.set_state(level).map_err(|_| PinError {
            errno: last_errno(),
        })
    }
}

impl ErrorType for CdevLed {
    type Error = PinError;
}

impl OutputPin for CdevLed {
    fn set_low(&mut self) -> Result<(), PinError> {
        self.set(false)
    }

    fn set_high(&mut self) -> Result<(), PinError> {
        self.set(true)
    }
}

/// A GPIO chip of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChipInfo {
    /// Path of the device, for example `/dev/gpiochip0`.
    pub path: PathBuf,
    /// The driver's name for it, for example `pinctrl-bcm2711`. Stays when the number changes.
    pub label: String,
    /// How many lines it has.
    pub lines: u32,
}

/// Returns the GPIO chips that the user may open, for `pressel devices`.
pub fn list_chips() -> Vec<ChipInfo> {
    let info = |chip: Chip| ChipInfo {
        path: chip.path().to_owned(),
        label: chip.label().to_owned(),
        lines: chip.num_lines(),
    };
    let mut chips: Vec<ChipInfo> = match gpio_cdev::chips() {
        Ok(chips) => chips.filter_map(Result::ok).map(info).collect(),
        Err(_) => Vec::new(),
    };
    chips.sort_by(|a, b| a.path.cmp(&b.path));
    chips
}

/// Finds the path of a chip that is given by path, name or label.
fn chip_path(device: &'static str, name: &str, chip: &str) -> Result<PathBuf, OpenError> {
    if chip.starts_with('/') {
        return Ok(PathBuf::from(chip));
    }
    let chips = list_chips();
    let by_name = PathBuf::from("/dev").join(chip);
    if let Some(found) = chips
        .iter()
        .find(|info| info.label == chip || info.path == by_name)
    {
        return Ok(found.path.clone());
    }
    if by_name.exists() {
        // It is there and could not be opened: opening it again gives the reason.
        return Ok(by_name);
    }
    let labels: Vec<&str> = chips.iter().map(|info| info.label.as_str()).collect();
    let cause = match labels.as_slice() {
        [] => "no GPIO chip of this machine can be opened".to_owned(),
        labels => format!("no such GPIO chip; this machine has {}", labels.join(", ")),
    };
    Err(OpenError::new(device, name, cause, CHIP_REMEDY))
}

const CHIP_REMEDY: &str = "check `chip` in the board file, and that the user is in the group \
                           `gpio`; `pressel devices` lists the chips";

fn open_line(device: &'static str, config: &PinConfig) -> Result<Line, OpenError> {
    let name = pin_name(config);
    let path = chip_path(device, &name, &config.chip)?;
    let mut chip = Chip::new(&path).map_err(|_| {
        let remedy = match last_errno() {
            libc::EACCES | libc::EPERM => {
                "add the user to the group `gpio` (`sudo usermod -aG gpio $USER`), log in again"
            }
            _ => CHIP_REMEDY,
        };
        OpenError::from_errno(device, &name, last_errno(), remedy)
    })?;
    let count = chip.num_lines();
    chip.get_line(config.line).map_err(|_| {
        let cause = format!(
            "the chip has only the lines 0 to {}",
            count.saturating_sub(1)
        );
        OpenError::new(device, &name, cause, "correct `line` in the board file")
    })
}

fn line_failed(device: &'static str, config: &PinConfig, line: &Line, errno: i32) -> OpenError {
    let user = line
        .info()
        .ok()
        .and_then(|info| info.consumer().map(str::to_owned));
    let remedy = match (errno, user) {
        (libc::EBUSY, Some(user)) => format!("the line is used by `{user}`: end that first"),
        (libc::EBUSY, None) => "the line is used by a driver: see `gpioinfo`".to_owned(),
        (libc::EINVAL, _) if config.pull != Pull::None => {
            "pull resistors need Linux 5.5: write `pull = \"none\"` and fit a resistor".to_owned()
        }
        _ => "see `gpioinfo` for what the line can do".to_owned(),
    };
    OpenError::from_errno(device, &pin_name(config), errno, remedy)
}

fn pin_name(config: &PinConfig) -> String {
    format!("{} ({} line {})", config.role, config.chip, config.line)
}

/// `gpio-cdev` names no bias; these are `GPIOHANDLE_REQUEST_BIAS_*` of linux/gpio.h.
fn bias(pull: Pull) -> LineRequestFlags {
    LineRequestFlags::from_bits_retain(match pull {
        Pull::None => 0,
        Pull::Up => 1 << 5,
        Pull::Down => 1 << 6,
    })
}

/// Returns the errno of the call that just failed: `gpio-cdev` hides it in an error of its own
/// version of `nix`, but nothing has run since.
fn last_errno() -> i32 {
    std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(chip: &str) -> PinConfig {
        PinConfig {
            role: "talk".to_owned(),
            chip: chip.to_owned(),
            line: 17,
            active_low: true,
            pull: Pull::Up,
        }
    }

    fn check_refused(chip: &str, cause: &str) {
        let errors = [
            CdevButton::open(&config(chip)).map(|_| ()).unwrap_err(),
            CdevLed::open(&config(chip)).map(|_| ()).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.name, format!("talk ({chip} line 17)"));
            assert!(error.cause.contains(cause), "{error}");
            assert!(error.remedy.contains("pressel devices"), "{error}");
        }
    }

    #[test]
    fn a_chip_that_does_not_exist_is_named_with_the_remedy() {
        check_refused("/dev/gpiochip_none", "no such file");
        check_refused("pinctrl-none", "GPIO chip");
        check_refused("/dev/null", "inappropriate ioctl");
    }

    #[test]
    fn chips_are_listed_without_a_panic() {
        let chips = list_chips();
        if chips.is_empty() {
            println!("skipped: no GPIO chip on this machine");
        }
        assert!(chips.iter().all(|chip| 0 < chip.lines));
    }
}
