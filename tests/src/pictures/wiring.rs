//! The wiring of a board: its header, and what is wired to it.
//!
//! A board in, a picture out; none for a board without a header. All facts come from the board's
//! file: a pin, a polarity or a pull that changes there changes here.

use pressel_boards::Board;
use pressel_hal::Flow;

use super::header::{PINS, Power, Use, Wire, power, use_of};
use super::parts::{self, Part};
use super::svg::{Anchor, FAINT, INK, Svg};

const WIDTH: i32 = 1_060;
const TOP: i32 = 112;
const ROW: i32 = 27;
const ROWS: i32 = PINS as i32 / 2;
/// Middle of the odd and of the even pins.
const COLUMNS: [i32; 2] = [WIDTH / 2 - 18, WIDTH / 2 + 18];
/// Where wires begin and where they bend, from the middle of the sheet.
const START: i32 = 30;
const BEND: i32 = 150;
/// Where wires end and parts begin, from the edge of the sheet.
const PARTS: i32 = 50;
const GROUND: &str = "#1f2933";
const VOLTS3: &str = "#e07b00";

/// A side of the header: odd pins are left, even ones right.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

impl Side {
    fn of(pin: u8) -> Self {
        if pin % 2 == 1 {
            Self::Left
        } else {
            Self::Right
        }
    }

    /// Turns a distance from the middle into a place on this side.
    fn out(self, distance: i32) -> i32 {
        match self {
            Self::Left => WIDTH / 2 - distance,
            Self::Right => WIDTH / 2 + distance,
        }
    }

    /// Inner edge of the parts.
    fn edge(self) -> i32 {
        match self {
            Self::Left => PARTS + parts::WIDTH,
            Self::Right => WIDTH - PARTS - parts::WIDTH,
        }
    }

    /// Outer edge of the parts.
    fn rim(self) -> i32 {
        match self {
            Self::Left => PARTS,
            Self::Right => WIDTH - PARTS,
        }
    }

    /// The line of ground beyond them.
    fn rail(self) -> i32 {
        match self {
            Self::Left => PARTS - 22,
            Self::Right => WIDTH - PARTS + 22,
        }
    }
}

/// Middle of a pin's row.
fn row_y(pin: u8) -> i32 {
    TOP + (i32::from(pin) - 1) / 2 * ROW
}

/// Draws a board's header, or nothing where it has none.
pub(super) fn draw(board: &Board) -> Option<String> {
    let uses: Vec<(u8, Use)> = (1..=PINS).map(|pin| (pin, use_of(board, pin))).collect();
    let has_header = |(_, what): &(u8, Use)| matches!(what, Use::Wired(_) | Use::Taken(_));
    if !uses.iter().any(has_header) {
        return None;
    }
    let height = TOP + ROWS * ROW + 130;
    let mut svg = Svg::new(WIDTH, height, &format!("Wiring of {}", board.title));
    head(&mut svg, board);
    svg.rounded(
        (WIDTH / 2 - 38, TOP - 20),
        (76, ROWS * ROW + 14),
        "#e9edf1",
        FAINT,
    );
    let mut power = Vec::new();
    for side in [Side::Left, Side::Right] {
        power.extend(wires(&mut svg, board, side, &uses));
    }
    for (pin, what) in &uses {
        let has_wire = matches!(what, Use::Wired(_)) || power.contains(pin);
        pin_of(&mut svg, board, *pin, what, has_wire);
    }
    foot(&mut svg, board);
    Some(svg.finish())
}

fn head(svg: &mut Svg, board: &Board) {
    svg.bold(
        (28, 38),
        20,
        Anchor::Start,
        &format!("Wiring of {}", board.title),
    );
    let tier = match board.tier {
        1 => "tier 1: run on the board",
        2 => "tier 2: emulated only",
        _ => "tier 3: from the data sheets, not yet run on the board",
    };
    let about = format!("Drawn from boards/{}.toml; {tier}.", board.name);
    svg.styled((28, 60), 13, Anchor::Start, FAINT, false, &about);
    let header = "40-pin header, seen from above";
    svg.styled(
        (WIDTH / 2, TOP - 30),
        12,
        Anchor::Middle,
        FAINT,
        false,
        header,
    );
}

/// A pin and its label, which is above its wire if it has one.
fn pin_of(svg: &mut Svg, board: &Board, pin: u8, what: &Use, has_wire: bool) {
    let (y, side) = (row_y(pin), Side::of(pin));
    let x = COLUMNS[usize::from(side == Side::Right)];
    let (fill, ink) = match what {
        Use::Power(Power::Volts3) => (VOLTS3, "#ffffff"),
        Use::Power(Power::Volts5) => ("#c62828", "#ffffff"),
        Use::Power(Power::Ground) => (GROUND, "#ffffff"),
        Use::Wired(wire) => (parts::part(board, wire).colour, "#ffffff"),
        Use::Taken(_) => ("#aab3bd", INK),
        Use::Free => ("#ffffff", FAINT),
    };
    svg.pin((x, y), pin, what.word(), fill);
    svg.styled((x, y + 4), 10, Anchor::Middle, ink, true, &pin.to_string());
    let label = match what {
        Use::Power(Power::Volts3) => "3.3 V".to_owned(),
        Use::Power(Power::Volts5) => "5 V".to_owned(),
        Use::Power(Power::Ground) => "ground".to_owned(),
        Use::Wired(Wire::Button) => "button".to_owned(),
        Use::Wired(Wire::Mute) => "mute".to_owned(),
        Use::Wired(Wire::Led(led)) => format!("LED {}", led.role.name()),
        Use::Wired(Wire::Uart(here, _)) => here.to_string(),
        Use::Taken("pixels") => "taken: LEDs".to_owned(),
        Use::Taken(by) => format!("taken: {by}"),
        Use::Free => return,
    };
    let (fill, is_bold) = match what {
        _ if has_wire => (INK, true),
        Use::Taken(_) => ("#4a5560", false),
        _ => (FAINT, false),
    };
    let y = if has_wire { y - 5 } else { y + 4 };
    let anchor = match side {
        Side::Left => Anchor::End,
        Side::Right => Anchor::Start,
    };
    svg.styled((side.out(44), y), 12, anchor, fill, is_bold, &label);
}

/// A part with its pin and the place of its box.
struct Placed {
    pin: u8,
    part: Part,
    y: i32,
}

/// The parts of one side, their wires, and the ground that they share. Returns the pins of power
/// that it uses.
fn wires(svg: &mut Svg, board: &Board, side: Side, uses: &[(u8, Use)]) -> Vec<u8> {
    let of_side = || uses.iter().filter(|(pin, _)| Side::of(*pin) == side);
    let uart: Vec<(u8, &str)> = of_side()
        .filter_map(|(pin, what)| match what {
            Use::Wired(Wire::Uart(_, there)) => Some((*pin, *there)),
            _ => None,
        })
        .collect();
    let others: Vec<(u8, Part)> = of_side()
        .filter_map(|(pin, what)| match what {
            Use::Wired(Wire::Uart(..)) => None,
            Use::Wired(wire) => Some((*pin, parts::part(board, wire))),
            _ => None,
        })
        .collect();
    let mut power = Vec::new();
    let mut top = TOP + 20;
    if let Some((first, _)) = uart.first() {
        let ground = ground_near(side, *first, false);
        let mut terminals = uart;
        terminals.extend(ground.map(|pin| (pin, "ground")));
        terminals.sort_unstable();
        let corner = (side.edge().min(side.rim()), TOP - 20);
        let places = parts::other_side(svg, corner, &terminals);
        for ((pin, name), y) in terminals.into_iter().zip(places) {
            let colour = if name == "ground" {
                GROUND
            } else {
                parts::UART
            };
            wire(svg, pin, (side.edge(), y), colour);
            top = y + 70;
        }
        power.extend(ground);
    }
    power.extend(group(svg, side, others, top));
    power
}

/// Parts that share a ground: below `top`, and as near to their pins as they fit.
fn group(svg: &mut Svg, side: Side, parts: Vec<(u8, Part)>, top: i32) -> Vec<u8> {
    let Some((first, last)) = parts.first().zip(parts.last()) else {
        return Vec::new();
    };
    let pitch = parts::HEIGHT + 16;
    let count = i32::try_from(parts.len()).unwrap();
    let middle = i32::midpoint(row_y(first.0), row_y(last.0));
    let top = (middle - count * pitch / 2).max(top);
    let placed: Vec<Placed> = (0..)
        .zip(parts)
        .map(|(index, (pin, part))| Placed {
            pin,
            part,
            y: top + index * pitch,
        })
        .collect();
    for Placed { pin, part, y } in &placed {
        wire(svg, *pin, (side.edge(), y + parts::HEIGHT / 2), part.colour);
    }
    let pulled = placed.iter().find(|placed| placed.part.needs_pull_up);
    let mut power = Vec::from_iter(ground(svg, side, &placed, pulled.is_some()));
    for Placed { part, y, .. } in &placed {
        parts::draw(svg, (side.edge().min(side.rim()), *y), part);
    }
    power.extend(pulled.map(|pulled| pull_up(svg, side, pulled)));
    power
}

/// A wire from a pin outwards.
fn wire(svg: &mut Svg, pin: u8, to: (i32, i32), colour: &str) {
    let (side, y, (to_x, to_y)) = (Side::of(pin), row_y(pin), to);
    let (start, x) = (side.out(START), side.out(BEND));
    let bend = i32::midpoint(x, to_x);
    svg.path(
        &format!("M{start} {y} H{x} C{bend} {y} {bend} {to_y} {to_x} {to_y}"),
        colour,
        3,
    );
}

/// The ground pin of a side that is next to `pin`, above it or below it.
fn ground_near(side: Side, pin: u8, is_below: bool) -> Option<u8> {
    let is_ground = |pin: &u8| power(*pin) == Some(Power::Ground);
    let mut pins = (1..=PINS).filter(|pin| Side::of(*pin) == side && is_ground(pin));
    if is_below {
        pins.find(|ground| pin < *ground)
    } else {
        pins.rfind(|ground| *ground < pin)
    }
}

/// The ground that a group shares: from a pin above it, around it on the outside. Below it, where a
/// wire of 3.3 V comes from above.
fn ground(svg: &mut Svg, side: Side, placed: &[Placed], is_below: bool) -> Option<u8> {
    let (first, last) = placed.first().zip(placed.last())?;
    let next = if is_below { last.pin } else { first.pin };
    let pin = ground_near(side, next, is_below)?;
    let end = if is_below {
        last.y + parts::HEIGHT + 24
    } else {
        first.y - 24
    };
    wire(svg, pin, (side.edge(), end), GROUND);
    let (edge, rim, rail) = (side.edge(), side.rim(), side.rail());
    let far = if is_below { first.y } else { last.y } + parts::HEIGHT / 2;
    svg.path(&format!("M{edge} {end} H{rail} V{far}"), GROUND, 3);
    for Placed { y, .. } in placed {
        let y = y + parts::HEIGHT / 2;
        svg.path(&format!("M{rail} {y} H{rim}"), GROUND, 3);
        svg.circle((rail, y), 4, GROUND, GROUND);
    }
    let words = format!("ground, pin {pin}");
    let x = side.edge().min(side.rim()) + 8;
    svg.styled((x, end - 7), 11, Anchor::Start, FAINT, false, &words);
    Some(pin)
}

/// The resistor from 3.3 V to an input whose pin has none inside.
fn pull_up(svg: &mut Svg, side: Side, pulled: &Placed) -> u8 {
    // 3.3 V is on the odd side only; a button on the other side has a longer wire.
    let pin = 1;
    let x = side.edge() - 40;
    let (top, bottom) = (pulled.y - 66, pulled.y - 18);
    wire(svg, pin, (x, top), VOLTS3);
    svg.path(&format!("M{x} {top} V{bottom}"), VOLTS3, 3);
    let edge = side.edge() + 18;
    let y = pulled.y + parts::HEIGHT / 2;
    svg.path(
        &format!("M{x} {bottom} H{edge} V{y}"),
        pulled.part.colour,
        3,
    );
    svg.circle((edge, y), 4, pulled.part.colour, pulled.part.colour);
    parts::resistor(svg, (x, bottom - 8), &format!("100 kΩ to 3.3 V, pin {pin}"));
    pin
}

/// What is not a wire: microphone, serial line, HAT.
fn foot(svg: &mut Svg, board: &Board) {
    let microphone = match board.microphone.header_pins.as_slice() {
        [] => format!(
            "Microphone: {}, not on the header.",
            board.microphone.device
        ),
        pins => {
            let pins: Vec<String> = pins.iter().map(u8::to_string).collect();
            let pins = pins.join(", ");
            format!(
                "Microphone: {}, takes pins {pins}.",
                board.microphone.device
            )
        }
    };
    let flow = match board.uart.flow {
        Flow::None => "no flow control",
        Flow::RtsCts => "RTS/CTS",
    };
    let (path, baud) = (&board.uart.path, board.uart.baud);
    let uart = format!("Serial line: {path}, {baud} baud, 8N1, {flow}.");
    let last = match &board.hat {
        Some(hat) => format!(
            "{hat} sits on the header: its pins are taken. Solder the serial line, or use a \
             stacking header."
        ),
        None => "Every signal pin has 3.3 V. 5 V on one of them can destroy the board.".to_owned(),
    };
    let y = TOP + ROWS * ROW + 30;
    for (index, line) in (0..).zip([microphone, uart, last]) {
        svg.text((28, y + 24 * index), 13, Anchor::Start, &line);
    }
}
