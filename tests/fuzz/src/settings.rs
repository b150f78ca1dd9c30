//! Configuration and board files: any text.
//!
//! Text in. It is taken whole, or refused with one line that begins with the file's name and can
//! be printed on any terminal. What was taken keeps its promises.

use pressel::config::Config;
use pressel_boards::Board;

/// Checks any text as a configuration and as a board.
pub fn check(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    match Config::parse("a.toml", text) {
        Ok(config) => check_config(&config),
        Err(failure) => {
            assert_eq!(failure.exit_code(), 2);
            check_line(&failure.to_string());
        }
    }
    match Board::parse("a.toml", text) {
        Ok(board) => check_board(&board),
        Err(error) => check_line(&error.to_string()),
    }
}

fn check_line(line: &str) {
    assert!(line.starts_with("a.toml"), "{line:?}");
    assert!("a.toml: ".len() < line.len(), "{line:?}");
    assert!(!line.contains(char::is_control), "{line:?}");
}

fn check_config(config: &Config) {
    let tuning = config.tuning();
    assert!(tuning.gate.close_probability < tuning.gate.open_probability);
    // Speech that opens an utterance is still in the history, its padding included.
    assert!(tuning.utterance.start_padding <= 16_000);
    assert!(tuning.utterance.pre_roll <= 16_000);
    assert!(0 < config.session().talk_ms_max);
    assert!(!config.model.folder().as_os_str().is_empty());
    assert!(!config.model.short_name().contains('/'));
}

fn check_board(board: &Board) {
    assert_eq!(board.microphone_config(256).rate_hz, 16_000);
    assert!(!board.cores.worker.is_empty());
    assert!(board.leds.len() <= pressel_boards::LEDS_MAX);
    for button in board.button.iter().chain(&board.mute) {
        assert!(!button.pin_config("button").chip.is_empty());
    }
}
