//! Tests of boards: the built-in ones, the errors of board files, and finding the board.
//!
//! Reads this folder's files and temporary ones; no device.

use std::collections::HashSet;
use std::path::PathBuf;

use super::*;
use crate::LEDS_MAX;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_built_in_board_is_valid_and_named_as_its_file() {
    let mut compatible = HashSet::new();
    for name in builtin::names() {
        let board = Board::builtin(name).unwrap();
        assert_eq!(board.name, name);
        assert!(board.leds.len() <= LEDS_MAX);
        let is_metal = !board.compatible.is_empty();
        assert!(!is_metal || board.machine == Machine::Aarch64, "{name}");
        for tree_name in board.compatible {
            assert!(
                compatible.insert(tree_name.clone()),
                "{tree_name} finds two boards"
            );
        }
    }
}

#[test]
fn the_list_of_boards_and_the_folder_are_the_same() {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|file| file.strip_suffix(".toml").map(str::to_owned))
        .filter(|name| name != "Cargo")
        .collect();
    files.sort();
    assert_eq!(files, builtin::names().collect::<Vec<_>>());
}

#[test]
fn the_readme_lists_every_board_with_its_title_and_tier() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let rows: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("| ["))
        .collect();
    assert_eq!(rows.len(), builtin::names().count());
    for name in builtin::names() {
        let board = Board::builtin(name).unwrap();
        let row = format!(
            "| [`{name}`]({name}.toml) | {} | {} |",
            board.title, board.tier
        );
        assert!(
            rows.iter().any(|line| line.starts_with(&row)),
            "no row `{row}`"
        );
    }
}

#[test]
fn the_files_that_people_copy_show_every_section() {
    let board = Board::builtin("rpi-4b").unwrap();
    assert!(board.button.is_some() && board.mute.is_some() && board.leds.len() == 4);
    assert!(
        Board::builtin("rpi-respeaker-2mic")
            .unwrap()
            .pixels
            .is_some()
    );
}

/// Changes `from` into `to` in the Raspberry Pi 4's file and expects `expected` in the error.
fn check(from: &str, to: &str, expected: &str) {
    let (_, text) = builtin::TEXTS
        .iter()
        .find(|(name, _)| *name == "rpi-4b")
        .unwrap();
    assert!(text.contains(from), "{from}");
    let error = Board::parse("my.toml", &text.replacen(from, to, 1))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("my.toml") && !error.contains('\n'),
        "{error}"
    );
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_key_or_value_that_is_not_known_names_the_nearest_one() {
    check(
        "debounce_ms",
        "debounce",
        "unknown key `debounce`; did you mean `debounce_ms`?",
    );
    check(
        "[uart]",
        "[usart]",
        "unknown key `usart`; did you mean `uart`?",
    );
    check(
        "\"up\"",
        "\"upp\"",
        "unknown value `upp`; did you mean `up`?",
    );
    check(
        "\"cpu\"",
        "\"gpu\"",
        "unknown value `gpu`; did you mean `cpu`?",
    );
    check(
        "\"sent\"",
        "\"send\"",
        "unknown value `send`; did you mean `sent`?",
    );
    check("baud = 115200", "", "the key `baud` is missing");
    check("line = 17", "line = -1", "invalid value");
    check("line = 17", "line = \"17\"", "my.toml:");
}

#[test]
fn a_rule_that_is_broken_is_said_with_the_remedy() {
    check("tier = 3", "tier = 0", "tier 0 is not known; use 1, 2 or 3");
    check(
        "name = \"rpi-4b\"",
        "name = \"My Board\"",
        "use a-z, 0-9 and -",
    );
    check(
        "title = \"Raspberry Pi 4 Model B\"",
        "title = \" \"",
        "`title` is empty",
    );
    check("rate_hz = 16000", "rate_hz = 48000", "write 16000");
    check("buffer_ms = 1000", "buffer_ms = 10", "use 100 to 5000");
    check(
        "plughw:CARD=Device,DEV=0",
        "",
        "`microphone.device` is empty",
    );
    check("/dev/serial0", "", "`uart.path` is empty");
    check("debounce_ms = 20", "debounce_ms = 2000", "use 0 to 200");
    check(
        "role = \"sent\"",
        "role = \"error\"",
        "two LEDs show `error`",
    );
    check(
        "chip = \"pinctrl-bcm2711\"",
        "chip = \"\"",
        "`chip` of button is empty",
    );
    check("line = 27", "line = 17", "mute and button both use line 17");
    check(
        "header_pin = 13",
        "header_pin = 11",
        "mute and button both use header pin 11",
    );
    check(
        "header_pin = 13",
        "header_pin = 14",
        "header pin 14 of mute is no signal pin",
    );
    check(
        "header_pin = 13",
        "header_pin = 41",
        "header pin 41 of mute is no signal pin",
    );
    check(
        "header_pin = 13",
        "header_pin = 8",
        "mute and uart both use header pin 8",
    );
    check(
        "header_pins = []",
        "header_pins = [12, 35, 18]",
        "both use header pin 18",
    );
    check("main = [0]", "main = []", "`cores.main` is empty");
    check(
        "listen = [1]",
        "listen = [1024]",
        "`cores.listen` has core 1024",
    );
    check("threads = 2", "threads = 3", "use 1 to 2");
    check("threads = 2", "threads = 0", "use 1 to 2");
    let fifth = "[[led]]\nrole = \"sent\"\nchip = \"x\"\nline = 1\nheader_pin = 0\n\
                 active_low = false\n\n[uart]";
    check("[uart]", fifth, "5 LEDs are too many");
}

#[test]
fn a_serial_line_that_cannot_be_is_refused() {
    check("baud = 115200", "baud = 300", "the nearest is 9600");
    check("baud = 115200", "baud = 250000", "the nearest is 230400");
    check(
        "flow = \"none\"",
        "flow = \"rts-cts\"",
        "write 4, transmit, receive, RTS and CTS",
    );
    check(
        "flow = \"none\"  # RTS is pin 11, CTS pin 36: \"rts-cts\" wants the button elsewhere\n\
         header_pins = [8, 10]",
        "flow = \"rts-cts\"\nheader_pins = [8, 10, 11, 36]",
        "button and uart both use header pin 11",
    );
    check(
        "flow = \"none\"",
        "flow = \"rtscts\"",
        "unknown value `rtscts`; did you mean `rts-cts`?",
    );
}

#[test]
fn lights_that_cannot_be_shown_are_refused() {
    let with = |lights: &str, expected: &str| {
        check("[uart]", &format!("[lights]\n{lights}\n\n[uart]"), expected);
    };
    with("sent = { colour = \"green\" }", "a colour as \"#ff8000\"");
    for wrong in ["#12345", "#1234567", "#12345g", "123456", "#+12345"] {
        with(&format!("sent = {{ colour = \"{wrong}\" }}"), wrong);
    }
    with(
        "sent = { ms = [20, 19] }",
        "`lights.sent` has a time of 19 ms; use 20 to 60000",
    );
    with("sent = { ms = [70000] }", "my.toml:");
    with(
        "sent = { ms = [50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50] }",
        "`lights.sent` has 13 times; use 12 at most",
    );
    with(
        "no-microfone = { ms = [] }",
        "unknown key `no-microfone`; did you mean `no-microphone`?",
    );
    with(
        "idle = { blink = 3 }",
        "unknown key `blink`; known here: led, ms, colour",
    );
    let (_, text) = builtin::TEXTS
        .iter()
        .find(|(name, _)| *name == "rpi-respeaker-2mic")
        .unwrap();
    let text = text.replace("led = \"thinking\"", "led = \"sent\"");
    let error = Board::parse("my.toml", &text).unwrap_err().to_string();
    let expected = "`lights.sent` is on the LED sent; the board has no LED of that role";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_chain_of_leds_that_cannot_be_driven_is_refused() {
    let (_, text) = builtin::TEXTS
        .iter()
        .find(|(name, _)| *name == "rpi-respeaker-2mic")
        .unwrap();
    let with = |from: &str, to: &str, expected: &str| {
        assert!(text.contains(from), "{from}");
        let error = Board::parse("my.toml", &text.replacen(from, to, 1)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    with("apa102", "ws2812", "unknown value `ws2812`");
    with("/dev/spidev0.0\"", "\"", "`pixels.spi` is empty");
    with("8000000", "100000", "use 1000000 to 20000000");
    with("brightness = 8", "brightness = 32", "use 0 to 31");
    let roles = "[\"listening\", \"thinking\", \"error\"]";
    with(roles, "[]", "`pixels.roles` is empty");
    with(
        "[19, 23]",
        "[19, 11]",
        "button and pixels both use header pin 11",
    );
}

#[test]
fn rppal_is_for_the_lines_of_the_header() {
    let (_, text) = builtin::TEXTS
        .iter()
        .find(|(name, _)| *name == "rpi-4b")
        .unwrap();
    let text = text.replace("backend = \"linux\"", "backend = \"rpi\"");
    assert_eq!(Board::parse("a", &text).unwrap().backend, Backend::Rpi);
    let text = text.replace("line = 27", "line = 28");
    let error = Board::parse("a", &text).unwrap_err().to_string();
    assert!(error.contains("line 28 is not on the header"), "{error}");
}

#[test]
fn a_file_from_before_flow_control_and_lights_is_still_a_board() {
    let (_, text) = builtin::TEXTS
        .iter()
        .find(|(name, _)| *name == "rpi-5")
        .unwrap();
    let older: String = text
        .lines()
        .filter(|line| !line.starts_with("flow"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(older.len() < text.len());
    let board = Board::parse("a", &older).unwrap();
    assert_eq!((board.uart.flow, board.lights), Default::default());
}

#[test]
fn a_name_that_is_not_built_in_gives_the_nearest_and_all() {
    let error = Board::builtin("rpi4b").unwrap_err().to_string();
    assert!(
        error.contains("did you mean `rpi-4b`?") && error.contains("--board-file"),
        "{error}"
    );
    let error = Board::builtin("").unwrap_err().to_string();
    assert!(error.contains("sim, vm"), "{error}");
}

#[test]
fn a_file_of_the_user_is_loaded_or_named() {
    let text = std::fs::read_to_string(folder().join("rpi-5.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let file = dir.join("mein Gerät.toml");
    std::fs::write(&file, text.replace("rpi-5", "my-box")).unwrap();
    assert_eq!(Board::load_file(&file).unwrap().name, "my-box");
    let error = Board::load_file(&dir.join("none.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("none.toml") && error.contains("cannot be read"),
        "{error}"
    );
}

#[test]
fn the_board_is_found_by_the_most_exact_name_of_the_device_tree() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let found = |tree: &str| {
        let file = dir.join("compatible");
        std::fs::write(&file, tree).unwrap();
        Board::detect_at(&file).unwrap().map(|board| board.name)
    };
    for (tree, expected) in [
        (
            "raspberrypi,model-zero-2-w\0brcm,bcm2837\0",
            Some("rpi-zero-2w"),
        ),
        ("raspberrypi,4-model-b\0brcm,bcm2711\0", Some("rpi-4b")),
        ("raspberrypi,5-model-b\0brcm,bcm2712\0", Some("rpi-5")),
        (
            "nvidia,p3450-0000\0nvidia,jetson-nano\0nvidia,tegra210\0",
            Some("jetson-nano"),
        ),
        (
            "nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0",
            Some("jetson-orin-nano"),
        ),
        ("raspberrypi,400\0brcm,bcm2711\0", None),
        ("", None),
    ] {
        assert_eq!(found(tree).as_deref(), expected, "{tree:?}");
    }
    assert_eq!(Board::detect_at(&dir.join("none")).unwrap(), None);
}

#[test]
fn hal_gets_plain_configurations() {
    let board = Board::builtin("rpi-4b").unwrap();
    let microphone = board.microphone_config(256);
    assert_eq!(
        (microphone.rate_hz, microphone.block_samples),
        (16_000, 256)
    );
    let button = board.button.unwrap().pin_config("button");
    assert_eq!(
        (button.line, button.active_low, button.pull),
        (17, true, Pull::Up)
    );
    let led = board.leds[0].pin_config();
    assert_eq!(
        (led.role.as_str(), led.line, led.pull),
        ("listening", 22, Pull::None)
    );
}
