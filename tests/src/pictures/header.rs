//! The 40 pins of the header: what each of them is for on a board.
//!
//! A board in, a use for each pin out. Nothing is drawn here.

use pressel_boards::{Board, Led};

/// Pins of the header.
pub(super) const PINS: u8 = 40;

/// What a pin is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// 3.3 V, 5 V or ground.
    Power(Power),
    /// A part that is wired to it by hand.
    Wired(Wire),
    /// It is taken, by something on the header or inside the board.
    Taken(&'static str),
    /// Nothing.
    Free,
}

/// A pin that carries no signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    Volts3,
    Volts5,
    Ground,
}

/// What is wired to a pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Button,
    Mute,
    Led(Led),
    /// The serial line: the pin's own name, and the other side's.
    Uart(&'static str, &'static str),
}

/// Names of the serial line's pins, in the order of board files.
const UART: [(&str, &str); 4] = [("TX", "RX"), ("RX", "TX"), ("RTS", "CTS"), ("CTS", "RTS")];

/// Source: Raspberry Pi documentation, "GPIO and the 40-pin header"; Jetson developer kit user
/// guides, 40-pin header: the same.
pub(super) fn power(pin: u8) -> Option<Power> {
    match pin {
        1 | 17 => Some(Power::Volts3),
        2 | 4 => Some(Power::Volts5),
        6 | 9 | 14 | 20 | 25 | 30 | 34 | 39 => Some(Power::Ground),
        _ => None,
    }
}

/// Returns what a pin is for.
pub(super) fn use_of(board: &Board, pin: u8) -> Use {
    if let Some(power) = power(pin) {
        return Use::Power(power);
    }
    let is_on_hat = board.hat.is_some();
    let input = |input: &Option<pressel_boards::Button>| {
        input.as_ref().is_some_and(|input| input.header_pin == pin)
    };
    let wired = |wire: Wire, name: &'static str| match is_on_hat {
        true => Use::Taken(name),
        false => Use::Wired(wire),
    };
    let uart = board.uart.header_pins.iter().position(|uart| *uart == pin);
    if let Some(place) = uart {
        let (here, there) = UART[place];
        return Use::Wired(Wire::Uart(here, there));
    }
    if input(&board.button) {
        return wired(Wire::Button, "button");
    }
    if input(&board.mute) {
        return wired(Wire::Mute, "mute");
    }
    if let Some(led) = board.leds.iter().find(|led| led.header_pin == pin) {
        return wired(Wire::Led(led.clone()), led.role.name());
    }
    if board.microphone.header_pins.contains(&pin) {
        return Use::Taken("microphone");
    }
    let pixels = board.pixels.as_ref();
    if pixels.is_some_and(|pixels| pixels.header_pins.contains(&pin)) {
        return Use::Taken("pixels");
    }
    Use::Free
}

impl Use {
    /// The use in one word, as it stands in the file.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Power(_) => "power",
            Self::Wired(Wire::Button) => "button",
            Self::Wired(Wire::Mute) => "mute",
            Self::Wired(Wire::Led(led)) => led.role.name(),
            Self::Wired(Wire::Uart(..)) => "uart",
            Self::Taken(by) => by,
            Self::Free => "free",
        }
    }
}
