//! The rules that a board must keep, beyond the types of its values.
//!
//! Board in, the first broken rule out, as cause and remedy.

use std::ops::RangeInclusive;

use pressel_hal::Flow;
use pressel_hal::apa102::BRIGHTNESS_MAX;
use pressel_hal::link::nearest_speed;

use crate::board::{Backend, Role};
use crate::{Board, Pixels, Shown};

/// Cause and remedy of a broken rule.
type Fault = (String, String);

/// LEDs that the firmware drives: the pipeline's limit, asserted equal in
/// `firmware/src/checks.rs`.
pub const LEDS_MAX: usize = 4;
/// Samples per second of all audio inside Pressel.
const RATE_HZ: u32 = 16_000;
const BUFFER_MS: RangeInclusive<u32> = 100..=5_000;
/// A chain of four LEDs then keeps the main loop for 0.2 ms at most; no such LED is faster.
const SPI_HZ: RangeInclusive<u32> = 1_000_000..=20_000_000;
/// Times in a rhythm: the pipeline's limit, asserted equal in `firmware/src/checks.rs`.
pub const RHYTHM_TIMES_MAX: usize = 12;
/// What an eye can see, and what a person waits for.
const RHYTHM_MS: RangeInclusive<u16> = 20..=60_000;
/// Lines of the header's GPIO: what rppal can name.
const RPI_LINES: RangeInclusive<u32> = 0..=27;
const DEBOUNCE_MS: RangeInclusive<u32> = 0..=200;
/// Cores that a processor set of the kernel can name.
const CORES: usize = 1_024;
/// Pins of the 40-pin header that carry 3.3 V, 5 V or ground, the same on Raspberry Pi and Jetson.
/// Source: Raspberry Pi documentation, "GPIO and the 40-pin header".
const POWER_PINS: [u8; 12] = [1, 2, 4, 6, 9, 14, 17, 20, 25, 30, 34, 39];
const HEADER_PINS: RangeInclusive<u8> = 1..=40;

/// Checks everything; returns the first broken rule.
pub(crate) fn check(board: &Board) -> Result<(), Fault> {
    names(board)?;
    devices(board)?;
    serial_line(board)?;
    leds(board)?;
    pixels(board)?;
    lights(board)?;
    lines(board)?;
    registers(board)?;
    header(board)?;
    cores(board)
}

fn fault(cause: impl Into<String>, remedy: impl Into<String>) -> Result<(), Fault> {
    Err((cause.into(), remedy.into()))
}

fn names(board: &Board) -> Result<(), Fault> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if board.name.is_empty() || !board.name.chars().all(fits) {
        return fault(
            format!("the name `{}` is not allowed", board.name),
            "use a-z, 0-9 and -",
        );
    }
    if board.title.trim().is_empty() {
        return fault("`title` is empty", "write the name that people know");
    }
    if !(1..=3).contains(&board.tier) {
        return fault(format!("tier {} is not known", board.tier), "use 1, 2 or 3");
    }
    Ok(())
}

fn devices(board: &Board) -> Result<(), Fault> {
    let microphone = &board.microphone;
    if microphone.device.trim().is_empty() {
        return fault(
            "`microphone.device` is empty",
            "`pressel devices` lists the names",
        );
    }
    if microphone.rate_hz != RATE_HZ {
        let cause = format!("`microphone.rate_hz` is {}", microphone.rate_hz);
        return fault(cause, "write 16000: a `plughw:` device converts");
    }
    if !BUFFER_MS.contains(&microphone.buffer_ms) {
        let cause = format!("`microphone.buffer_ms` is {}", microphone.buffer_ms);
        return fault(cause, "use 100 to 5000; 1000 is usual");
    }
    for (name, button) in [("button", &board.button), ("mute", &board.mute)] {
        if let Some(button) = button
            && !DEBOUNCE_MS.contains(&button.debounce_ms)
        {
            let cause = format!("`{name}.debounce_ms` is {}", button.debounce_ms);
            return fault(cause, "use 0 to 200; 20 is usual");
        }
    }
    Ok(())
}

fn serial_line(board: &Board) -> Result<(), Fault> {
    let uart = &board.uart;
    if uart.path.trim().is_empty() {
        return fault("`uart.path` is empty", "`pressel devices` lists the ports");
    }
    let near = nearest_speed(uart.baud);
    if near != uart.baud {
        let cause = format!("`uart.baud` is {}, which is no standard speed", uart.baud);
        return fault(cause, format!("the nearest is {near}"));
    }
    let (wanted, words) = match uart.flow {
        Flow::None => (2, "transmit and receive"),
        Flow::RtsCts => (4, "transmit, receive, RTS and CTS"),
    };
    let count = uart.header_pins.len();
    if count != 0 && count != wanted {
        let cause = format!("`uart.header_pins` has {count} pins");
        return fault(cause, format!("write {wanted}, {words}, or none for USB"));
    }
    Ok(())
}

fn leds(board: &Board) -> Result<(), Fault> {
    let pixel_roles = board
        .pixels
        .iter()
        .flat_map(|pixels| pixels.roles.iter().copied());
    let roles: Vec<_> = board
        .leds
        .iter()
        .map(|led| led.role)
        .chain(pixel_roles)
        .collect();
    if LEDS_MAX < roles.len() {
        return fault(
            format!("{} LEDs are too many", roles.len()),
            format!("use {LEDS_MAX}"),
        );
    }
    for (index, role) in roles.iter().enumerate() {
        if roles[..index].contains(role) {
            return fault(
                format!("two LEDs show `{}`", role.name()),
                "give each its own role",
            );
        }
    }
    Ok(())
}

fn pixels(board: &Board) -> Result<(), Fault> {
    let Some(Pixels {
        spi,
        speed_hz,
        brightness,
        roles,
        ..
    }) = &board.pixels
    else {
        return Ok(());
    };
    if spi.trim().is_empty() {
        let remedy = "/dev/spidev0.0 is usual; `pressel devices` lists them";
        return fault("`pixels.spi` is empty", remedy);
    }
    if !SPI_HZ.contains(speed_hz) {
        let cause = format!("`pixels.speed_hz` is {speed_hz}");
        return fault(cause, "use 1000000 to 20000000; 8000000 is usual");
    }
    if BRIGHTNESS_MAX < *brightness {
        let cause = format!("`pixels.brightness` is {brightness}");
        return fault(cause, format!("use 0 to {BRIGHTNESS_MAX}; 8 is usual"));
    }
    if roles.is_empty() {
        return fault(
            "`pixels.roles` is empty",
            "write what each LED shows, or leave [pixels] out",
        );
    }
    Ok(())
}

/// The rhythms can be seen, and each is on an LED that there is.
fn lights(board: &Board) -> Result<(), Fault> {
    let has = |role: Role| {
        let pixels = board.pixels.iter().flat_map(|pixels| &pixels.roles);
        let mut leds = board.leds.iter().map(|led| &led.role).chain(pixels);
        leds.any(|other| *other == role)
    };
    for (sign, shown) in board.lights.signs() {
        let Some(Shown { led, ms, .. }) = shown else {
            continue;
        };
        if let Some(role) = led.filter(|role| !has(*role)) {
            let cause = format!("`lights.{sign}` is on the LED {}", role.name());
            return fault(cause, "the board has no LED of that role");
        }
        let Some(ms) = ms else { continue };
        if RHYTHM_TIMES_MAX < ms.len() {
            let cause = format!("`lights.{sign}` has {} times", ms.len());
            return fault(cause, format!("use {RHYTHM_TIMES_MAX} at most"));
        }
        if let Some(time) = ms.iter().find(|time| !RHYTHM_MS.contains(time)) {
            let cause = format!("`lights.{sign}` has a time of {time} ms");
            return fault(cause, "use 20 to 60000");
        }
    }
    Ok(())
}

/// rppal names the lines of the header only.
fn registers(board: &Board) -> Result<(), Fault> {
    if board.backend != Backend::Rpi {
        return Ok(());
    }
    let inputs = [&board.button, &board.mute].into_iter().flatten();
    let leds = board.leds.iter().map(|led| led.line);
    let mut lines = inputs.map(|input| input.line).chain(leds);
    match lines.find(|line| !RPI_LINES.contains(line)) {
        Some(line) => fault(
            format!("line {line} is not on the header of a Raspberry Pi"),
            "use 0 to 27, or `backend = \"linux\"`",
        ),
        None => Ok(()),
    }
}

fn lines(board: &Board) -> Result<(), Fault> {
    let buttons = [("button", &board.button), ("mute", &board.mute)];
    let buttons = buttons
        .into_iter()
        .filter_map(|(name, button)| button.as_ref().map(|b| (name, b.chip.as_str(), b.line)));
    let leds = board
        .leds
        .iter()
        .map(|led| (led.role.name(), led.chip.as_str(), led.line));
    let used: Vec<_> = buttons.chain(leds).collect();
    for (index, (name, chip, line)) in used.iter().enumerate() {
        if chip.trim().is_empty() {
            let remedy = "`pressel devices` lists the chips";
            return fault(format!("`chip` of {name} is empty"), remedy);
        }
        let earlier = used[..index]
            .iter()
            .find(|(_, c, l)| c == chip && l == line);
        if let Some((other, ..)) = earlier {
            let cause = format!("{name} and {other} both use line {line} of {chip}");
            return fault(cause, "give each its own line");
        }
    }
    Ok(())
}

/// A pin is used once: I2S, UART and SPI take theirs from buttons and LEDs.
fn header(board: &Board) -> Result<(), Fault> {
    let mut used: Vec<(&str, u8)> = Vec::new();
    used.extend(
        board
            .microphone
            .header_pins
            .iter()
            .map(|pin| ("microphone", *pin)),
    );
    used.extend(board.uart.header_pins.iter().map(|pin| ("uart", *pin)));
    let pixels = board
        .pixels
        .iter()
        .flat_map(|pixels| pixels.header_pins.iter());
    used.extend(pixels.map(|pin| ("pixels", *pin)));
    used.extend(
        board
            .button
            .iter()
            .map(|button| ("button", button.header_pin)),
    );
    used.extend(board.mute.iter().map(|mute| ("mute", mute.header_pin)));
    used.extend(
        board
            .leds
            .iter()
            .map(|led| (led.role.name(), led.header_pin)),
    );
    used.retain(|(_, pin)| *pin != 0);
    for (index, (name, pin)) in used.iter().enumerate() {
        if !HEADER_PINS.contains(pin) || POWER_PINS.contains(pin) {
            let cause = format!("header pin {pin} of {name} is no signal pin");
            return fault(
                cause,
                "count the pins again; 0 means that there is no header",
            );
        }
        if let Some((other, _)) = used[..index].iter().find(|(_, earlier)| earlier == pin) {
            let cause = format!("{name} and {other} both use header pin {pin}");
            return fault(cause, "give each its own pin");
        }
    }
    Ok(())
}

fn cores(board: &Board) -> Result<(), Fault> {
    let cores = &board.cores;
    for (name, list) in [
        ("main", &cores.main),
        ("listen", &cores.listen),
        ("worker", &cores.worker),
    ] {
        if list.is_empty() {
            return fault(
                format!("`cores.{name}` is empty"),
                "write at least one core",
            );
        }
        if let Some(core) = list.iter().find(|core| CORES <= **core) {
            return fault(
                format!("`cores.{name}` has core {core}"),
                "cores count from 0",
            );
        }
    }
    let threads = board.worker.threads;
    if threads == 0 || cores.worker.len() < threads {
        let cause = format!("`worker.threads` is {threads}");
        return fault(cause, format!("use 1 to {}, its cores", cores.worker.len()));
    }
    Ok(())
}
