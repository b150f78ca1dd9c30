//! Buttons and LEDs of a Raspberry Pi through its registers.
//!
//! Levels in and out, on the main loop, a read or write of memory each. Opening allocates.
//!
//! rppal gives no descriptor to wait for: its interrupts either block or come on a thread of its
//! own, which Pressel has no room for. So a timer wakes the main loop, and it looks at the level.
//! rppal numbers pins as the chip does (BCM): `line` is that number, `chip` is only for messages.

use std::os::fd::{AsRawFd, OwnedFd};

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use rppal::gpio::{self, Gpio};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::REMEDY;
use crate::{EdgePin, LedPin, OpenError, PinConfig, PinError, PollFd, Pull};

/// Nanoseconds between two looks at a button: 5 ms, a quarter of the usual debounce. A press that
/// is shorter may be missed.
const LOOK_NS: i64 = 5_000_000;

/// Takes the line as an input that is looked at 200 times a second.
///
/// # Errors
/// [`OpenError`] when this is no Raspberry Pi that rppal knows, or the line is missing, used twice
/// or not permitted.
pub fn open_button(config: &PinConfig) -> Result<Box<dyn EdgePin>, OpenError> {
    Ok(Box::new(RpiButton::open(config)?))
}

/// Takes the line as an output, dark.
///
/// # Errors
/// As [`open_button`].
pub fn open_led(config: &PinConfig) -> Result<Box<dyn LedPin>, OpenError> {
    Ok(Box::new(RpiLed::open(config)?))
}

/// A button or switch.
pub struct RpiButton {
    pin: gpio::InputPin,
    active_low: bool,
    timer: OwnedFd,
}

impl RpiButton {
    fn open(config: &PinConfig) -> Result<Self, OpenError> {
        let pin = take("button", config)?;
        let pin = match config.pull {
            Pull::None => pin.into_input(),
            Pull::Up => pin.into_input_pullup(),
            Pull::Down => pin.into_input_pulldown(),
        };
        let timer = start_timer().map_err(|errno| {
            let remedy = "close other programs or raise `ulimit -n`";
            OpenError::from_errno("button", &config.name(), errno.raw_os_error(), remedy)
        })?;
        Ok(Self {
            pin,
            active_low: config.active_low,
            timer,
        })
    }
}

fn start_timer() -> Result<OwnedFd, Errno> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
    let period = Timespec {
        tv_sec: 0,
        tv_nsec: LOOK_NS,
    };
    let times = Itimerspec {
        it_interval: period,
        it_value: period,
    };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
    Ok(timer)
}

impl ErrorType for RpiButton {
    type Error = PinError;
}

impl InputPin for RpiButton {
    fn is_high(&mut self) -> Result<bool, PinError> {
        Ok(self.pin.is_high() != self.active_low)
    }

    fn is_low(&mut self) -> Result<bool, PinError> {
        self.is_high().map(|high| !high)
    }
}

impl EdgePin for RpiButton {
    fn poll_fd(&self) -> PollFd {
        PollFd {
            fd: self.timer.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }
    }

    fn take_edges(&mut self) -> Result<(), PinError> {
        match rustix::io::read(&self.timer, &mut [0; 8]) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(errno) => Err(PinError {
                errno: errno.raw_os_error(),
            }),
        }
    }
}

/// An LED.
pub struct RpiLed {
    pin: gpio::OutputPin,
    active_low: bool,
}

impl RpiLed {
    fn open(config: &PinConfig) -> Result<Self, OpenError> {
        let pin = take("led", config)?;
        let pin = if config.active_low {
            pin.into_output_high()
        } else {
            pin.into_output_low()
        };
        Ok(Self {
            pin,
            active_low: config.active_low,
        })
    }

    fn set(&mut self, lit: bool) {
        self.pin
            .write(gpio::Level::from(u8::from(lit != self.active_low)));
    }
}

impl ErrorType for RpiLed {
    type Error = PinError;
}

impl OutputPin for RpiLed {
    fn set_low(&mut self) -> Result<(), PinError> {
        self.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), PinError> {
        self.set(true);
        Ok(())
    }
}

fn take(device: &'static str, config: &PinConfig) -> Result<gpio::Pin, OpenError> {
    let failed = |error| failed(device, config, &error);
    // A number that does not fit is none that the chip has.
    let line = u8::try_from(config.line).unwrap_or(u8::MAX);
    Gpio::new().map_err(failed)?.get(line).map_err(failed)
}

fn failed(device: &'static str, config: &PinConfig, error: &gpio::Error) -> OpenError {
    let name = config.name();
    let group = "add the user to the group `gpio` (`sudo usermod -aG gpio $USER`), log in again";
    let new = |cause: String, remedy: &str| OpenError::new(device, &name, cause, remedy);
    match error {
        gpio::Error::UnknownModel => {
            let cause = "this is no Raspberry Pi that rppal knows".to_owned();
            new(cause, REMEDY)
        }
        gpio::Error::PinUsed(_) => new(
            "the line is used twice".to_owned(),
            "give each its own line in the board file",
        ),
        gpio::Error::PinNotAvailable(_) => new(
            "the chip has no such line".to_owned(),
            "correct `line` in the board file",
        ),
        gpio::Error::PermissionDenied(path) => new(format!("{path}: permission denied"), group),
        gpio::Error::Io(error) => {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            OpenError::from_errno(device, &name, errno, REMEDY)
        }
        gpio::Error::ThreadPanic => new("rppal panicked".to_owned(), REMEDY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::poll::wait;

    fn config() -> PinConfig {
        PinConfig {
            role: "sent".to_owned(),
            chip: "pinctrl-bcm2711".to_owned(),
            line: 24,
            active_low: false,
            pull: Pull::Up,
        }
    }

    #[test]
    fn a_machine_that_is_no_raspberry_pi_is_told_what_to_write_instead() {
        if Gpio::new().is_ok() {
            println!("skipped: this is a Raspberry Pi");
            return;
        }
        for error in [open_button(&config()).err(), open_led(&config()).err()] {
            let error = error.unwrap().to_string();
            assert!(error.contains("sent (pinctrl-bcm2711 line 24)"), "{error}");
            assert!(error.contains("backend = \"linux\""), "{error}");
        }
    }

    #[test]
    fn each_failure_of_rppal_has_its_remedy() {
        let io = |errno| gpio::Error::Io(std::io::Error::from_raw_os_error(errno));
        let denied = gpio::Error::PermissionDenied("/dev/gpiomem".to_owned());
        for (error, words) in [
            (gpio::Error::UnknownModel, "no Raspberry Pi"),
            (gpio::Error::PinUsed(24), "used twice"),
            (gpio::Error::PinNotAvailable(99), "correct `line`"),
            (denied, "/dev/gpiomem: permission denied; add the user"),
            (io(libc::ENOENT), "no such file"),
        ] {
            let error = failed("led", &config(), &error).to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn the_timer_wakes_again_and_again_and_is_taken_without_waiting() {
        let timer = start_timer().unwrap();
        let mut fds = [PollFd {
            fd: timer.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }];
        for _ in 0..3 {
            assert_eq!(wait(&mut fds, 1_000), Ok(1));
            assert_eq!(rustix::io::read(&timer, &mut [0; 8]), Ok(8));
        }
    }
}
