//! Buttons and LEDs through the GPIO character device.
//!
//! Flow: edges and levels in, levels out, on the main loop, one system call each. Opening
//! allocates.
//!
//! LEDs go through `linux_embedded_hal::CdevPin`; it cannot wait for edges, so buttons use the
//! event handle of `gpio-cdev`, the crate beneath it. Both speak version 1 of the kernel's
//! interface.

use std::path::{Path, PathBuf};

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
    look_for_chips().0
}

/// Returns the GPIO chips that the user may open, and the first one that he may not.
fn look_for_chips() -> (Vec<ChipInfo>, Option<PathBuf>) {
    let mut paths: Vec<PathBuf> = std::fs::read_dir("/dev")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().starts_with("/dev/gpiochip"))
        .collect();
    paths.sort();
    let (mut chips, mut refused) = (Vec::new(), None);
    for path in paths {
        match Chip::new(&path) {
            Ok(chip) => chips.push(ChipInfo {
                label: chip.label().to_owned(),
                lines: chip.num_lines(),
                path,
            }),
            Err(_) if matches!(last_errno(), libc::EACCES | libc::EPERM) => {
                refused = refused.or(Some(path));
            }
            Err(_) => {}
        }
    }
    (chips, refused)
}

/// Finds the path of a chip that is given by path, name or label.
fn chip_path(device: &'static str, name: &str, chip: &str) -> Result<PathBuf, OpenError> {
    if chip.starts_with('/') {
        return Ok(PathBuf::from(chip));
    }
    let by_name = Path::new("/dev").join(chip);
    let (chips, refused) = look_for_chips();
    if by_name.exists() {
        return Ok(by_name);
    }
    choose_chip(chip, &chips, refused).ok_or_else(|| no_such_chip(device, name, &chips))
}

/// Chooses the chip of this label, else one that this user may not open: it may be the one, and
/// opening it again gives the reason.
fn choose_chip(label: &str, chips: &[ChipInfo], refused: Option<PathBuf>) -> Option<PathBuf> {
    let found = chips.iter().find(|info| info.label == label);
    found.map(|info| info.path.clone()).or(refused)
}

fn no_such_chip(device: &'static str, name: &str, chips: &[ChipInfo]) -> OpenError {
    let labels: Vec<&str> = chips.iter().map(|info| info.label.as_str()).collect();
    let (cause, remedy) = match labels.as_slice() {
        [] => (
            "this machine has no GPIO chip (/dev/gpiochip*)".to_owned(),
            "is this the board of the board file? `pressel devices` lists what is there",
        ),
        labels => (
            format!("no such GPIO chip; this machine has {}", labels.join(", ")),
            CHIP_REMEDY,
        ),
    };
    OpenError::new(device, name, cause, remedy)
}

const CHIP_REMEDY: &str = "correct `chip` in the board file; `pressel devices` lists the chips";
const GROUP_REMEDY: &str =
    "add the user to the group `gpio` (`sudo usermod -aG gpio $USER`), log in again";

fn open_line(device: &'static str, config: &PinConfig) -> Result<Line, OpenError> {
    let name = config.name();
    let path = chip_path(device, &name, &config.chip)?;
    let mut chip = Chip::new(&path).map_err(|_| {
        let remedy = match last_errno() {
            libc::EACCES | libc::EPERM => GROUP_REMEDY,
            _ => CHIP_REMEDY,
        };
        let mut error = OpenError::from_errno(device, &name, last_errno(), remedy);
        error.cause = format!("{}: {}", path.display(), error.cause);
        error
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
        (libc::EBUSY, Some(user)) if user == CONSUMER => {
            "the line is used by another `pressel`, or twice in the board file".to_owned()
        }
        (libc::EBUSY, Some(user)) => format!("the line is used by `{user}`: end that first"),
        (libc::EBUSY, None) => "the line is used by a driver: see `gpioinfo`".to_owned(),
        (libc::EINVAL, _) if config.pull != Pull::None => {
            "pull resistors need Linux 5.5: write `pull = \"none\"` and fit a resistor".to_owned()
        }
        _ => "see `gpioinfo` for what the line can do".to_owned(),
    };
    OpenError::from_errno(device, &config.name(), errno, remedy)
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

    fn check_refused(chip: &str, cause: &str, remedy: &str) {
        let errors = [
            CdevButton::open(&config(chip)).map(|_| ()).unwrap_err(),
            CdevLed::open(&config(chip)).map(|_| ()).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.name, format!("talk ({chip} line 17)"));
            assert!(error.cause.contains(cause), "{error}");
            assert!(error.remedy.contains(remedy), "{error}");
        }
    }

    #[test]
    fn a_chip_that_does_not_exist_is_named_with_the_remedy() {
        let list = "pressel devices";
        let none = "/dev/gpiochip_none";
        check_refused(none, "/dev/gpiochip_none: no such file", list);
        check_refused("pinctrl-none", "GPIO chip", list);
        check_refused("/dev/null", "/dev/null: inappropriate ioctl", list);
    }

    #[test]
    fn the_chips_that_are_there_are_named_when_the_wanted_one_is_not() {
        let chip = ChipInfo {
            path: PathBuf::from("/dev/gpiochip0"),
            label: "pinctrl-rp1".to_owned(),
            lines: 54,
        };
        let chips = [chip];
        let error = no_such_chip("led", "sent (pinctrl-bcm2711 line 24)", &chips).to_string();
        assert!(error.contains("this machine has pinctrl-rp1"), "{error}");
        assert!(error.contains("correct `chip`"), "{error}");
        let error = no_such_chip("led", "sent (pinctrl-bcm2711 line 24)", &[]).to_string();
        assert!(error.contains("no GPIO chip (/dev/gpiochip*)"), "{error}");
    }

    #[test]
    fn a_chip_that_may_not_be_opened_is_tried_when_no_other_has_the_label() {
        let chips = [ChipInfo {
            path: PathBuf::from("/dev/gpiochip4"),
            label: "pinctrl-rp1".to_owned(),
            lines: 54,
        }];
        let refused = Some(PathBuf::from("/dev/gpiochip0"));
        let chosen = |label| choose_chip(label, &chips, refused.clone());
        assert_eq!(chosen("pinctrl-rp1"), Some(chips[0].path.clone()));
        assert_eq!(chosen("pinctrl-bcm2711"), refused);
        assert_eq!(choose_chip("pinctrl-bcm2711", &chips, None), None);
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
