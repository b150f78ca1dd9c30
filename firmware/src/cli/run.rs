//! `pressel run`: the appliance.
//!
//! Arguments in, a plan for `appliance` out; it stays there until the appliance ends.

use std::path::{Path, PathBuf};

use pressel_boards::{Backend, Board};

use super::args::{BoardArguments, LanguageArgument, RunArguments};
use crate::appliance::{self, Place, Plan};
use crate::config::{Config, DEFAULT_PATH, Jobs};
use crate::failure::{Failure, Kind};

/// Where the kernel tells the board; a PC, and some boards that boot as one does, have none.
const DEVICE_TREE: &str = "/proc/device-tree";

/// Runs the appliance on the chosen board until SIGINT or SIGTERM.
///
/// # Errors
/// [`Failure`] with the exit code of what is missing.
pub fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let mut config = arguments.common.config()?;
    if let Some(trigger) = arguments.trigger {
        config.trigger = trigger.into();
    }
    let device = arguments.place.mic.clone();
    config.microphone.device = device.or(config.microphone.device);
    config.link.path = arguments.uart.clone().or(config.link.path);
    let board = choose_board(&arguments.place, &config.board)?;
    let place = arguments.place.place(&board, arguments.sim_speed)?;
    let state_dir = match (&arguments.state_dir, &place) {
        (Some(dir), _) => dir.clone(),
        (None, Place::Sim { dir, .. }) => dir.join("state"),
        (None, Place::Linux) => config.state_dir.clone(),
    };
    let spool = spool(arguments, &config, &place)?;
    let control_socket = match (&arguments.control, &place) {
        (Some(path), _) => path.clone(),
        (None, Place::Sim { dir, .. }) => dir.join("control"),
        (None, Place::Linux) => config.control_socket.clone(),
    };
    log::info!("board {} ({})", board.name, board.title);
    appliance::run(Plan {
        board,
        config,
        place,
        state_dir,
        spool,
        json: arguments.json,
        strict_memory: arguments.strict_memory,
        control_socket,
        no_safe_mode: arguments.no_safe_mode,
        jobs_paused: false,
        hang: arguments.hang_thread,
        worker_fault: arguments.worker_fault,
    })
}

/// Returns the whole path of the watched folder, if there is to be one.
fn spool(
    arguments: &RunArguments,
    config: &Config,
    place: &Place,
) -> Result<Option<PathBuf>, Failure> {
    let is_named = config.jobs != Jobs::default();
    let folder = match (&arguments.spool, place) {
        (Some(folder), _) => folder.clone(),
        (None, Place::Sim { dir, .. }) if !is_named => dir.join("spool"),
        (None, _) => config.jobs.spool.clone(),
    };
    if folder.as_os_str().is_empty() {
        return Ok(None);
    }
    // The whole path: it stands in checkpoints and results.
    let whole = std::path::absolute(&folder).map_err(|error| {
        let why = format!("{}: cannot be the spool ({error})", folder.display());
        Failure::new(Kind::Usage, why)
    })?;
    Ok(Some(whole))
}

/// Returns the board of the appliance; where there is none, a failure that says what to type.
fn choose_board(arguments: &BoardArguments, configured: &str) -> Result<Board, Failure> {
    arguments.board(configured)?.ok_or_else(|| {
        let names = pressel_boards::builtin_names()
            .collect::<Vec<_>>()
            .join(", ");
        let why = if Path::new(DEVICE_TREE).exists() {
            "this is none of the boards that Pressel knows"
        } else {
            "there is no device tree here that says which board this is"
        };
        let why = format!(
            "{why}: write `board = \"NAME\"` into {DEFAULT_PATH}, name one with --board ({names}), \
             write one with --board-file, or try `pressel demo`"
        );
        Failure::new(Kind::Usage, why)
    })
}

impl BoardArguments {
    /// Returns the board that was typed, else the configuration's, else the one that this is.
    ///
    /// # Errors
    /// [`Kind::Usage`] when there is no such board, or its file is wrong.
    pub fn board(&self, configured: &str) -> Result<Option<Board>, Failure> {
        let found = if let Some(file) = &self.board_file {
            Board::load_file(file).map(Some)
        } else if let Some(name) = &self.board {
            Board::builtin(name).map(Some)
        } else if configured.contains('/') {
            Board::load_file(Path::new(configured)).map(Some)
        } else if !configured.is_empty() {
            Board::builtin(configured).map(Some)
        } else {
            Board::detect()
        };
        found.map_err(|error| Failure::new(Kind::Usage, error))
    }

    /// Returns where the devices of this board are.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the simulated board has no folder.
    pub fn place(&self, board: &Board, sim_speed: u32) -> Result<Place, Failure> {
        match (board.backend, &self.sim_dir) {
            (Backend::Linux | Backend::Rpi, _) => Ok(Place::Linux),
            (Backend::Sim, Some(dir)) => Ok(Place::Sim {
                dir: dir.clone(),
                speed: sim_speed,
            }),
            (Backend::Sim, None) => {
                let why =
                    "the simulated board needs --sim-dir: `pressel demo` makes one and runs it";
                Err(Failure::new(Kind::Usage, why))
            }
        }
    }
}

impl super::args::CommonArguments {
    /// Returns the configuration with what was typed on top.
    ///
    /// # Errors
    /// [`Kind::Usage`], as [`Config::load`].
    pub fn config(&self) -> Result<Config, Failure> {
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(model) = &self.model {
            config.model.name.clone_from(model);
        }
        if let Some(threads) = self.threads {
            config.model.threads = usize::from(threads);
        }
        let recognition = &mut config.recognition;
        if let Some(LanguageArgument(language)) = self.language {
            recognition.language = language;
        }
        if let Some(task) = self.task {
            recognition.task = task;
        }
        if let Some(prompt) = &self.prompt {
            recognition.prompt.clone_from(prompt);
        }
        let checked = recognition.check();
        checked.map_err(|why| Failure::new(Kind::Usage, why))?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Arguments, Command};

    fn check(line: &[&str], configured: &str, expected: &str) {
        let line = ["pressel", "run"].iter().chain(line);
        let Command::Run(arguments) = Arguments::try_parse_from(line).unwrap().command else {
            panic!("run was not understood");
        };
        let said = match choose_board(&arguments.place, configured) {
            Ok(board) => board.name,
            Err(failure) => failure.message,
        };
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn a_board_is_typed_configured_or_found() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../boards/rpi-4b.toml");
        check(&["--board", "sim"], "rpi-5", "sim");
        check(&["--board-file", file], "sim", "rpi-4b");
        check(&[], "rpi-5", "rpi-5");
        check(&[], file, "rpi-4b");
        check(&[], "rpi-6", "no such board");
        check(&[], "/no/board.toml", "cannot be read");
    }
}
