//! LEDs on a data line: what the appliance writes on the bus while it is spoken to.
//!
//! In: a press and a word. Out: every byte on the simulated SPI bus, taken apart as an APA102 does.
//! The main loop may not allocate meanwhile (`--strict-memory`).

use std::fs::File;

use crate::program::{PATIENCE, need_models, until};
use crate::rig::{Rig, Setting};
use crate::voice::word;

/// Bytes of one write to three LEDs.
const WRITE: usize = 4 + 3 * 4 + 5;

const DARK: [u8; 3] = [0; 3];
const GREEN: [u8; 3] = [0, 255, 0];
const BLUE: [u8; 3] = [0, 0, 255];

/// The simulated board with the ReSpeaker's LEDs in the place of its own.
fn board() -> String {
    let sim = include_str!("../../boards/sim.toml");
    let hat = include_str!("../../boards/rpi-respeaker-2mic.toml");
    let between = |text: &'static str, from: &str, to: &str| {
        let start = text.find(from).unwrap();
        &text[start..start + text[start..].find(to).unwrap()]
    };
    let leds = between(sim, "[[led]]", "[uart]");
    sim.replace(leds, between(hat, "[pixels]", "[uart]"))
}

/// Reads what was written, and takes it apart: red, green and blue of each LED.
fn shown(bus: &File) -> Vec<[[u8; 3]; 3]> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4_096];
    while let Ok(count) = rustix::io::read(bus, &mut piece) {
        bytes.extend_from_slice(&piece[..count]);
    }
    let (writes, rest) = bytes.as_chunks::<WRITE>();
    assert!(rest.is_empty(), "a write that is not whole");
    let colours = |write: &[u8; WRITE]| {
        assert_eq!(write[..4], [0; 4], "start frame");
        assert_eq!(write[16..], [0; 5], "end frame");
        [0, 1, 2].map(|led| {
            let frame = &write[4 + 4 * led..8 + 4 * led];
            assert_eq!(frame[0], 0xE0 | 8, "the brightness of the board's file");
            [frame[3], frame[2], frame[1]]
        })
    };
    writes.iter().map(colours).collect()
}

#[test]
fn a_chain_of_leds_shows_in_its_colours_what_the_appliance_does_and_is_dark_at_the_end() {
    need_models!();
    let board = board();
    let mut rig = Rig::ready(&Setting {
        board: Some(&board),
        ..Setting::default()
    });
    rig.wait_for_state("idle");
    let bus = rig.board.spi.try_clone().unwrap();
    let mut all = Vec::new();
    rig.say(&word());
    rig.events.wait_for_outcomes(0);
    // Sent is shown, and goes out by itself.
    let ends = until(PATIENCE, || {
        all.extend(shown(&bus));
        let sent = all.iter().position(|leds| *leds == [DARK, GREEN, DARK])?;
        all[sent..].contains(&[DARK; 3]).then_some(())
    });
    assert!(ends.is_some(), "{all:?}");
    // Asked to end while it records: the last write is dark.
    rig.press(true);
    rig.play(&word());
    rig.wait_for("utterance_start", 2);
    let ended = rig.end(rustix::process::Signal::TERM);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    all.extend(shown(&bus));
    let order = [
        [DARK; 3],
        [GREEN, DARK, DARK],
        [DARK, BLUE, DARK],
        [DARK, GREEN, DARK],
        [DARK; 3],
        [GREEN, DARK, DARK],
        [DARK; 3],
    ];
    let mut rest = all.iter();
    for leds in order {
        assert!(rest.any(|shown| *shown == leds), "no {leds:?} in {all:?}");
    }
    assert_eq!(all.last(), Some(&[DARK; 3]));
    // Only changes are written.
    assert!(all.windows(2).all(|two| two[0] != two[1]), "{all:?}");
}
