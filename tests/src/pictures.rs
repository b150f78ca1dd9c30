//! The pictures of boards and lights: drawn from board files and from the pure function of lights.
//!
//! In: the built-in boards, the usual patterns. Out: the files of `boards/pictures`, when
//! `cargo xtask pictures` asks for them; otherwise a failure for each file that is not what would
//! be drawn now. So no picture can say what the code does not do.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use pressel::appliance::lights::patterns;
use pressel_boards::{Board, Lights, builtin_names};
use pressel_pipeline::lights::Patterns;

use crate::program::root;

mod header;
mod parts;
mod svg;
mod timelines;
mod wiring;

/// Set by `cargo xtask pictures`: the files are to be written.
const DRAW: &str = "PRESSEL_PICTURES";

fn folder() -> PathBuf {
    root().join("boards/pictures")
}

/// All pictures, by file name.
fn draw() -> BTreeMap<String, String> {
    let usual = timelines::draw("Lights", "The usual patterns.", &Patterns::usual(), &|_| {
        true
    });
    let mut pictures = BTreeMap::from([("lights.svg".to_owned(), usual)]);
    for name in builtin_names() {
        let board = Board::builtin(name).unwrap();
        if board.lights != Lights::default() {
            let file = format!("lights-{name}.svg");
            pictures.insert(file, timelines::draw_board(&board));
        }
        if let Some(picture) = wiring::draw(&board) {
            pictures.insert(format!("{name}.svg"), picture);
        }
    }
    pictures
}

#[test]
fn pictures_show_what_board_files_and_lights_say() {
    let pictures = draw();
    if std::env::var_os(DRAW).is_some() {
        fs::create_dir_all(folder()).unwrap();
        for (name, picture) in &pictures {
            fs::write(folder().join(name), picture).unwrap();
        }
    }
    let remedy = "`cargo xtask pictures` draws it anew";
    for (name, picture) in &pictures {
        let there = fs::read_to_string(folder().join(name)).unwrap_or_default();
        assert!(
            there == *picture,
            "boards/pictures/{name} differs: {remedy}"
        );
    }
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let remedy = "remove it";
        assert!(
            pictures.contains_key(&name),
            "boards/pictures/{name} is of nothing: {remedy}"
        );
    }
}

#[test]
fn papers_show_every_picture() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let papers = [read("README.md"), read("boards/README.md")].concat();
    for name in draw().keys() {
        let link = format!("pictures/{name})");
        assert!(papers.contains(&link), "no paper shows {name}");
    }
}

#[test]
fn every_pin_of_a_board_file_is_in_its_picture_and_no_other_is_used() {
    for name in builtin_names() {
        let board = Board::builtin(name).unwrap();
        let mut expected = BTreeMap::new();
        let mut take = |pin: u8, what: &str| {
            if pin != 0 {
                expected.insert(pin, what.to_owned());
            }
        };
        board
            .microphone
            .header_pins
            .iter()
            .for_each(|pin| take(*pin, "microphone"));
        board
            .uart
            .header_pins
            .iter()
            .for_each(|pin| take(*pin, "uart"));
        if let Some(pixels) = &board.pixels {
            pixels
                .header_pins
                .iter()
                .for_each(|pin| take(*pin, "pixels"));
        }
        for (input, what) in [(&board.button, "button"), (&board.mute, "mute")] {
            input.iter().for_each(|input| take(input.header_pin, what));
        }
        board
            .leds
            .iter()
            .for_each(|led| take(led.header_pin, led.role.name()));
        let Some(picture) = wiring::draw(&board) else {
            assert_eq!(expected, BTreeMap::new(), "{name}");
            continue;
        };
        assert_eq!(uses(&picture), expected, "{name}");
        for what in [
            board.title.as_str(),
            &board.uart.path,
            &board.microphone.device,
        ] {
            assert!(picture.contains(what), "{name}: {what}");
        }
    }
}

/// Reads the uses of pins back out of a picture.
fn uses(picture: &str) -> BTreeMap<u8, String> {
    let pins = picture.split("data-pin=\"").skip(1).map(|rest| {
        let (pin, rest) = rest.split_once('"').unwrap();
        let (_, rest) = rest.split_once("data-use=\"").unwrap();
        let (what, _) = rest.split_once('"').unwrap();
        (pin.parse().unwrap(), what.to_owned())
    });
    pins.filter(|(_, what)| what != "power" && what != "free")
        .collect()
}

#[test]
fn the_timeline_of_a_sign_is_what_the_lights_do() {
    let board = Board::builtin("rpi-respeaker-2mic").unwrap();
    let patterns = patterns(&board.lights);
    let sent = pressel_pipeline::lights::Sign::Sent;
    let lit = timelines::lit(sent, &patterns);
    let light = pressel_pipeline::lights::Light::Thinking;
    let spans: Vec<_> = lit
        .iter()
        .map(|span| (span.light, span.from_ms, span.to_ms))
        .collect();
    assert_eq!(spans, [(light, 0, 600)]);
}
