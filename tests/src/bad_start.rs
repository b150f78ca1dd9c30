//! A start that cannot be: each cause gives one line with name and remedy, and its exit code.
//!
//! In: wrong boards, configurations, models, libraries and devices. Out: what `run` says.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use pressel_hal::linux::SerialLink;
use pressel_models::places;

use crate::board::{Board, terminal};
use crate::program::{Ran, command, lacking, need_models, recordings, run};

/// Runs on the simulated board with these arguments and variables.
fn start(board: &Board, arguments: &[&str], variables: &[(&str, &Path)]) -> Ran {
    // One board for several starts in a minute, all of which fail.
    let mut command = command(&["run", "--no-safe-mode", "--sim-dir"]);
    command
        .arg(board.path())
        .env("ALSA_CONFIG_PATH", &board.alsa);
    if !arguments
        .iter()
        .any(|argument| argument.starts_with("--board"))
    {
        command.args(["--board", "sim"]);
    }
    run(command.args(arguments).envs(variables.iter().copied()))
}

/// Checks the exit code, and that one line of complaint has these words. The others are log lines.
pub(crate) fn check(ran: &Ran, code: i32, words: &[&str]) {
    let said = &ran.stderr;
    assert_eq!(ran.status.code(), Some(code), "{said}");
    assert!(!said.contains("panic"), "{said}");
    let (log, complaints): (Vec<&str>, Vec<&str>) =
        said.lines().partition(|line| line.starts_with('['));
    assert_eq!(complaints.len(), 1, "{said}");
    assert!(complaints[0].starts_with("pressel: "), "{said}");
    for word in words {
        assert!(complaints[0].contains(word), "`{word}` is not in: {said}");
    }
    assert!(!log.iter().any(|line| line.contains("ERROR")), "{said}");
}

#[test]
fn a_board_that_is_none_is_named_with_the_nearest() {
    let board = Board::new();
    check(&start(&board, &["--board", "rpi-4"], &[]), 2, &["rpi-4b"]);
    let ran = start(&board, &["--board-file", "/no/such/board.toml"], &[]);
    check(&ran, 2, &["/no/such/board.toml"]);
    let file = board.write("typo.toml", &sim().replace("debounce_ms", "debounce"));
    let name = file.to_str().unwrap();
    check(
        &start(&board, &["--board-file", name], &[]),
        2,
        &[name, "debounce_ms"],
    );
    let file = board.write("no.toml", "\u{1}not toml");
    let name = file.to_str().unwrap();
    check(&start(&board, &["--board-file", name], &[]), 2, &[name]);
}

#[test]
fn a_run_without_a_board_or_its_folder_says_what_to_type() {
    if Path::new("/proc/device-tree").exists() {
        println!("skipped: this machine has a device tree");
    } else {
        let words = [
            "there is no device tree",
            "`board = \"NAME\"`",
            "/etc/pressel/pressel.toml",
            "--board (",
            "pressel demo",
        ];
        check(&run(&mut command(&["run"])), 2, &words);
    }
    let ran = run(&mut command(&["run", "--board", "sim"]));
    check(&ran, 2, &["--sim-dir", "pressel demo"]);
    if let Some(why) = lacking() {
        println!("skipped the rest: {why}");
        return;
    }
    let ran = run(&mut command(&[
        "run",
        "--board",
        "sim",
        "--sim-dir",
        "/no/such/folder",
    ]));
    check(&ran, 3, &["/no/such/folder", "pressel demo"]);
    let empty = tempfile::tempdir().unwrap();
    let ran = run(command(&["run", "--board", "sim", "--sim-dir"]).arg(empty.path()));
    check(&ran, 3, &[empty.path().to_str().unwrap(), "pressel demo"]);
}

#[test]
fn a_configuration_that_is_wrong_is_named_with_the_nearest_key() {
    let board = Board::new();
    let with = |text: &str, words: &[&str]| {
        let file = board.write("wrong.toml", text);
        let name = file.to_str().unwrap();
        let ran = start(&board, &["--config", name], &[]);
        check(&ran, 2, &[&[name], words].concat());
    };
    with("triger = \"voice\"\n", &["triger", "trigger"]);
    with(
        "[speech]\nendpoint_ms = 3\n",
        &["endpoint_ms", "`endpoint`"],
    );
    with("[speech]\nendpoint = \"quik\"\n", &["quik", "`quick`"]);
    with("[speech]\nthreshold = 7.0\n", &["between 0.05 and 0.95"]);
    with("trigger = \n", &[]);
    let ran = start(&board, &["--config", "/no/such/pressel.toml"], &[]);
    check(&ran, 2, &["/no/such/pressel.toml", "--config"]);
}

#[test]
fn a_model_that_cannot_be_used_is_named_by_its_file() {
    need_models!();
    let board = Board::new();
    let with = |folder: &Path, words: &[&str]| {
        let ran = start(&board, &["--model", folder.to_str().unwrap()], &[]);
        check(&ran, 4, words);
    };
    with(Path::new("/no/such/model"), &["/no/such/model", "nano"]);
    let ran = start(&board, &["--model", "nanno"], &[]);
    check(&ran, 4, &["nanno", "nano"]);

    let folder = board.path().join("model");
    fs::create_dir(&folder).unwrap();
    with(&folder, &[folder.to_str().unwrap(), "missing"]);
    for entry in fs::read_dir(places::builtin("nano")).unwrap().flatten() {
        symlink(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    for (file, word) in [
        ("encoder_model.onnx", "damaged"),
        ("decoder_model_merged.onnx", "damaged"),
        ("tokenizer.json", "tokenizer"),
        ("config.json", "fetch"),
    ] {
        let path = folder.join(file);
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        with(&folder, &[file, "missing"]);
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        with(&folder, &[path.to_str().unwrap(), word]);
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn a_model_that_does_not_hear_what_it_promises_is_named() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(places::builtin("nano")).unwrap().flatten() {
        symlink(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let own = folder.path().join("pressel.json");
    let text = fs::read_to_string(&own).unwrap();
    let clip = recordings().join("stop.wav");
    let transcribe = |text: &str| {
        fs::remove_file(&own).unwrap();
        fs::write(&own, text).unwrap();
        run(command(&["transcribe", "--model"])
            .arg(folder.path())
            .arg(&clip))
    };
    let kitchen = "turn on the kitchen light";
    let ran = transcribe(&text.replace(kitchen, "open the garage"));
    let name = folder.path().to_str().unwrap();
    check(&ran, 4, &[name, "clip", "pressel.json"]);
    // Capitals and a full stop are the model's own affair; so is what a folder does not promise.
    for text in [
        text.replace(kitchen, "Turn on the kitchen light."),
        "{}".into(),
    ] {
        let ran = transcribe(&text);
        assert!(ran.status.success(), "{ran:?}");
    }
}

#[test]
fn a_library_that_is_none_is_named() {
    need_models!();
    let board = Board::new();
    let text = board.write("libonnxruntime.so", "not found");
    let library = places::onnx_runtime_candidates()
        .into_iter()
        .find(|path| path.is_file());
    let half = board.path().join("half.so");
    if let Some(library) = library {
        let whole = fs::read(library).unwrap();
        fs::write(&half, &whole[..whole.len() / 2]).unwrap();
    }
    for (library, word) in [
        (text.as_path(), "is not a shared library"),
        (Path::new("/no/such/library.so"), "is not there"),
        (half.as_path(), "is truncated"),
    ] {
        let ran = start(&board, &[], &[("ORT_DYLIB_PATH", library)]);
        check(
            &ran,
            4,
            &[library.to_str().unwrap(), word, "ORT_DYLIB_PATH"],
        );
    }
}

#[test]
fn a_microphone_that_is_not_there_is_named() {
    need_models!();
    let board = Board::new();
    // The user's own sound configuration, in which there is no such card.
    let mut command = command(&[
        "run",
        "--board",
        "sim",
        "--mic",
        "plughw:CARD=Nope",
        "--sim-dir",
    ]);
    let ran = run(command.arg(board.path()).env_remove("ALSA_CONFIG_PATH"));
    check(&ran, 3, &["plughw:CARD=Nope", "pressel devices"]);
}

#[test]
fn a_serial_port_that_cannot_be_opened_is_named() {
    need_models!();
    let board = Board::new();
    let with = |port: &str, word: &str| {
        check(&start(&board, &["--uart", port], &[]), 3, &[port, word]);
    };
    with("/dev/no_such_port", "pressel devices");
    let file = board.write("plain", "");
    with(file.to_str().unwrap(), "not a serial port");
    with(board.path().to_str().unwrap(), "not a serial port");
    let (_far, near) = terminal();
    let near = near.to_str().unwrap();
    let held = SerialLink::open(near, 115_200).unwrap();
    with(near, "another program holds the port");
    drop(held);
}

/// The simulated board with real devices: everything but what the test changes can be opened.
fn real(board: &Board, from: &str, to: &str) -> String {
    let text = sim().replace("backend = \"sim\"", "backend = \"linux\"");
    assert!(text.contains(from), "{from}");
    let text = text.replace(from, to);
    let file = board.write("real.toml", &text);
    file.to_str().unwrap().to_owned()
}

/// Starts on such a board, as root's or anybody's user.
fn start_real(board: &Board, file: &str, uart: &Path, user: Option<u32>) -> Ran {
    let state = board.path().join("state");
    let mut command = command(&["run", "--no-safe-mode", "--spool", "", "--control", ""]);
    command
        .args(["--board-file", file, "--uart"])
        .arg(uart)
        .arg("--state-dir")
        .arg(state)
        .env("ALSA_CONFIG_PATH", &board.alsa);
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    run(&mut command)
}

/// A board without pins, but with a chain of LEDs at `path`.
fn with_pixels(board: &Board, path: &str) -> String {
    let text = sim().replace("backend = \"sim\"", "backend = \"linux\"");
    let pins = text.find("[button]").unwrap()..text.find("[uart]").unwrap();
    let pixels = format!(
        "[pixels]\nkind = \"apa102\"\nspi = \"{path}\"\nspeed_hz = 8000000\nbrightness = 8\n\
         header_pins = []\nroles = [\"error\"]\n\n"
    );
    let text = [&text[..pins.start], &pixels, &text[pins.end..]].concat();
    board.write("pixels.toml", &text).display().to_string()
}

#[test]
fn a_board_file_with_two_pins_on_one_line_is_refused_before_anything_is_opened() {
    let board = Board::new();
    let text = sim().replacen("line = 1\n", "line = 0\n", 1);
    let file = board.write("twice.toml", &text);
    let name = file.to_str().unwrap();
    let ran = start(&board, &["--board-file", name], &[]);
    check(&ran, 2, &[name, "mute and button both use line 0 of sim"]);
}

#[test]
fn a_pin_that_cannot_be_opened_is_named_with_chip_and_line() {
    need_models!();
    let board = Board::new();
    let (_far, near) = terminal();
    let file = real(&board, "debounce_ms", "debounce_ms");
    let ran = start_real(&board, &file, &near, None);
    let button = "button `button (sim line 0)`";
    check(&ran, 3, &[button, "GPIO chip", "pressel devices"]);
    let file = real(&board, "\"sim\"  # the file `button`", "\"/dev/null\" #");
    let ran = start_real(&board, &file, &near, None);
    check(&ran, 3, &["/dev/null: inappropriate ioctl", "`chip`"]);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"linux\"", "\"rpi\"")).unwrap();
    let ran = start_real(&board, &file, &near, None);
    check(&ran, 3, &["rppal", "backend = \"linux\""]);
}

#[test]
fn a_bus_of_leds_that_is_not_there_says_how_to_switch_it_on() {
    need_models!();
    let board = Board::new();
    let (_far, near) = terminal();
    let file = with_pixels(&board, "/dev/spidev99.9");
    let ran = start_real(&board, &file, &near, None);
    let words = [
        "SPI device `/dev/spidev99.9`",
        "dtparam=spi=on",
        "pixels.spi",
    ];
    check(&ran, 3, &words);
}

#[test]
fn a_device_that_the_user_may_not_open_is_named_with_its_group() {
    /// The user that owns nothing.
    const NOBODY: u32 = 65_534;
    need_models!();
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can start a program as nobody");
        return;
    }
    let board = Board::new();
    let open_to_all = fs::Permissions::from_mode(0o777);
    fs::set_permissions(board.path(), open_to_all.clone()).unwrap();
    for entry in fs::read_dir(board.path()).unwrap().flatten() {
        fs::set_permissions(entry.path(), open_to_all.clone()).unwrap();
    }
    let (_far, near) = terminal();
    fs::set_permissions(&near, open_to_all).unwrap();
    let closed = board.write("gpiochip0", "");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();
    let path = closed.to_str().unwrap();

    let file = real(&board, "debounce_ms", "debounce_ms");
    let may = run(command(&["transcribe"])
        .arg(recordings().join("stop.wav"))
        .uid(NOBODY)
        .gid(NOBODY));
    if !may.status.success() {
        println!(
            "skipped: nobody may not read this clone: {}",
            may.stderr.trim()
        );
        return;
    }
    let ran = start_real(&board, &file, &closed, Some(NOBODY));
    let port = format!("serial port `{path}`: permission denied");
    check(&ran, 3, &[&port, "group `dialout`"]);
    let chip = format!("\"{path}\"");
    let file = real(&board, "chip = \"sim\"", &format!("chip = {chip}"));
    let ran = start_real(&board, &file, &near, Some(NOBODY));
    let denied = format!("{path}: permission denied");
    check(&ran, 3, &["button `button (", &denied, "group `gpio`"]);
    let file = with_pixels(&board, path);
    let ran = start_real(&board, &file, &near, Some(NOBODY));
    let bus = format!("SPI device `{path}`: permission denied");
    check(&ran, 3, &[&bus, "group `spi`"]);
}

fn sim() -> &'static str {
    include_str!("../../boards/sim.toml")
}
