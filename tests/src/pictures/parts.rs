//! The parts beside the header: a box for each, with what is inside.
//!
//! A wire of the header in, title, lines and looks out.

use pressel_boards::{Board, Button, Drive};
use pressel_hal::Pull;

use super::header::Wire;
use super::svg::{Anchor, FAINT, INK, Svg};

/// Size of a box.
pub(super) const WIDTH: i32 = 236;
pub(super) const HEIGHT: i32 = 58;

/// Colour of the serial line.
pub(super) const UART: &str = "#6b3fa0";

/// A box beside the header.
pub(super) struct Part {
    pub(super) title: String,
    pub(super) lines: Vec<String>,
    /// Colour of its symbol and of its wire.
    pub(super) colour: &'static str,
    pub(super) symbol: Symbol,
    /// It needs a resistor to 3.3 V beside it.
    pub(super) needs_pull_up: bool,
}

/// What is drawn in a box.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    Switch,
    Led,
}

/// Returns the part that a wire leads to.
pub(super) fn part(board: &Board, wire: &Wire) -> Part {
    match wire {
        Wire::Button => input("push-to-talk button", board.button.as_ref()),
        Wire::Mute => input("mute switch", board.mute.as_ref()),
        Wire::Led(led) => {
            let way = match led.drive {
                Drive::Resistor if led.active_low => "LED and 1 kΩ to 3.3 V",
                Drive::Resistor => "1 kΩ and LED to ground",
                Drive::Transistor => "gate of a logic-level N-MOSFET;",
            };
            let mut lines = vec![way.to_owned()];
            if led.drive == Drive::Transistor {
                lines.push("5 V, 1 kΩ, LED to its drain".to_owned());
            }
            Part {
                title: format!("LED {}", led.role.name()),
                lines,
                colour: colour(led.role.name()),
                symbol: Symbol::Led,
                needs_pull_up: false,
            }
        }
        Wire::Uart(_, there) => Part {
            title: (*there).to_owned(),
            lines: Vec::new(),
            colour: UART,
            symbol: Symbol::Led,
            needs_pull_up: false,
        },
    }
}

fn input(title: &str, input: Option<&Button>) -> Part {
    let to = match input {
        Some(Button { active_low, .. }) if !active_low => "to 3.3 V when pressed",
        _ => "to ground when pressed",
    };
    let pull = match input.map(|input| input.pull) {
        Some(Pull::Up) => "pull-up inside the chip",
        Some(Pull::Down) => "pull-down inside the chip",
        _ => "no pull inside: see the resistor",
    };
    let needs = input.is_some_and(|input| input.pull == Pull::None && input.active_low);
    Part {
        title: title.to_owned(),
        lines: vec![to.to_owned(), pull.to_owned()],
        colour: "#0b6e99",
        symbol: Symbol::Switch,
        needs_pull_up: needs,
    }
}

fn colour(role: &str) -> &'static str {
    match role {
        "listening" => "#1a7f37",
        "thinking" => "#1f5fd0",
        "sent" => "#9a6700",
        _ => "#c62828",
    }
}

/// Draws a box with its upper left corner at `at`.
pub(super) fn draw(svg: &mut Svg, at: (i32, i32), part: &Part) {
    let (x, y) = at;
    svg.rounded(at, (WIDTH, HEIGHT), "#fafbfc", part.colour);
    symbol(svg, (x + 26, y + HEIGHT / 2), part);
    svg.bold((x + 52, y + 20), 13, Anchor::Start, &part.title);
    for (index, line) in (0..).zip(&part.lines) {
        svg.styled(
            (x + 52, y + 36 + 14 * index),
            11,
            Anchor::Start,
            "#4a5560",
            false,
            line,
        );
    }
}

fn symbol(svg: &mut Svg, at: (i32, i32), part: &Part) {
    let (x, y) = at;
    match part.symbol {
        Symbol::Led => {
            svg.circle(at, 10, part.colour, INK);
            svg.path(
                &format!("M{} {} l6 -6 M{} {} l6 -6", x + 6, y - 10, x + 11, y - 6),
                INK,
                1,
            );
        }
        Symbol::Switch => {
            svg.path(&format!("M{} {y} h6 M{} {y} h-6", x - 16, x + 16), INK, 2);
            svg.path(
                &format!("M{} {} h20 M{x} {} v-8", x - 10, y - 7, y - 7),
                INK,
                2,
            );
            svg.circle((x - 8, y), 2, INK, INK);
            svg.circle((x + 8, y), 2, INK, INK);
        }
    }
}

/// Draws the device at the other end of the serial line, its upper left corner at `at`; returns the
/// height of each terminal.
pub(super) fn other_side(svg: &mut Svg, at: (i32, i32), terminals: &[(u8, &str)]) -> Vec<i32> {
    const PITCH: i32 = 24;
    const HEAD: i32 = 52;
    let (x, y) = at;
    let count = i32::try_from(terminals.len()).unwrap();
    svg.rounded(at, (WIDTH, HEAD + count * PITCH), "#fafbfc", UART);
    svg.bold((x + 20, y + 22), 13, Anchor::Start, "the other side");
    let words = "a USB adapter or a controller, 3.3 V";
    svg.styled((x + 20, y + 38), 11, Anchor::Start, "#4a5560", false, words);
    let place = |(index, (_, name)): (i32, &(u8, &str))| {
        let y = y + HEAD + index * PITCH + 8;
        svg.styled((x + 20, y + 4), 12, Anchor::Start, INK, true, name);
        y
    };
    (0..).zip(terminals).map(place).collect()
}

/// Draws the resistor that an input without a pull needs, standing above `at`.
pub(super) fn resistor(svg: &mut Svg, at: (i32, i32), words: &str) {
    let (x, y) = at;
    svg.rect((x - 7, y - 32), (14, 32), "#ffffff", INK);
    svg.styled((x - 14, y - 12), 11, Anchor::End, FAINT, false, words);
}
