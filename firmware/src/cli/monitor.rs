//! `pressel monitor`: the other end of the serial line, decoded and acknowledged.
//!
//! Frames in; out one screen for people, or one line or JSON object for each message; and
//! acknowledgements back, so that what was said while nobody listened comes too. The demo reads
//! its JSON.
//!
//! ```text
//! port ─▶ decoder ─▶ session ─▶ courier ─▶ show: lines, or model ─▶ view ─▶ screen
//!   ▲                   │ acknowledgements, commands, pings
//!   └───────────────────┘
//! ```

mod courier;
mod lines;
mod model;
mod port;
mod screen;
mod session;
mod view;

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pressel_hal::linux::poll;
use pressel_wire::HostMessage;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::args::{HostCommand, MonitorArguments};
use crate::failure::{Failure, Kind};
use courier::Show as _;
use lines::Lines;
use model::Model;
use port::{Port, STANDARD_INPUT};
use session::Session;

/// Longest sleep: a signal that comes just before it is seen behind it.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Reads the port until `--count` outcomes came, Ctrl+C, or the end of standard input.
///
/// # Errors
/// [`Kind::Device`] when the port cannot be opened at first. Lost later, it is opened again.
pub fn monitor(arguments: &MonitorArguments) -> Result<(), Failure> {
    let mut port = Port::open(&arguments.port, arguments.baud)?;
    for command in &arguments.send {
        let sent = port.transmit(&message(*command));
        sent.map_err(|error| {
            let why = format!(
                "{}: {error}; is anything at the other end, and RTS/CTS off?",
                port.path()
            );
            Failure::new(Kind::Device, why)
        })?;
    }
    // Standard input has no way back.
    let acknowledges = !arguments.no_ack && arguments.port != STANDARD_INPUT;
    let asked = super::asked_to_end(&[SIGINT, SIGTERM, SIGHUP])?;
    if wants_screen(arguments) {
        let model = Model::new(&arguments.port, arguments.baud, acknowledges);
        return screen::run(Session::new(port, acknowledges, model), &asked);
    }
    let lines = Lines::new(arguments.json, io::stdout());
    let mut session = Session::new(port, acknowledges, lines);
    print(&mut session, arguments.count, &asked)
}

/// Whether there is a person who looks: a terminal on both sides, and no wish for lines.
fn wants_screen(arguments: &MonitorArguments) -> bool {
    let wants_lines = arguments.plain || arguments.json || arguments.count.is_some();
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let is_able = std::env::var_os("TERM").is_some_and(|name| name != "dumb");
    !wants_lines && arguments.port != STANDARD_INPUT && is_terminal && is_able
}

/// Prints messages until the end.
fn print<W: io::Write>(
    session: &mut Session<Lines<W>>,
    count: Option<u32>,
    asked: &AtomicBool,
) -> Result<(), Failure> {
    let disk = |error: io::Error| super::output_failed(&error);
    loop {
        session.answer(Instant::now()).map_err(disk)?;
        let is_enough = count.is_some_and(|count| count <= session.show.outcomes());
        if is_enough || session.is_over() || asked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let wait = session.wait(Instant::now()).min(WAIT_MAX);
        let mut fds = [session.poll_fd()];
        let ready = poll::wait(&mut fds, i32::try_from(wait.as_millis()).unwrap_or(0));
        let ready = ready.map_err(|errno| {
            Failure::new(
                Kind::Device,
                format!("poll failed errno={errno}: try again"),
            )
        })?;
        if 0 < ready {
            session.read(count).map_err(disk)?;
        }
    }
}

/// Returns the message of a command.
fn message(command: HostCommand) -> HostMessage {
    match command {
        HostCommand::Status => HostMessage::GetStatus,
        HostCommand::PttDown => HostMessage::PttDown,
        HostCommand::PttUp => HostMessage::PttUp,
        HostCommand::Cancel => HostMessage::Cancel,
        HostCommand::MuteOn => HostMessage::Mute(true),
        HostCommand::MuteOff => HostMessage::Mute(false),
    }
}

#[cfg(test)]
mod tests;
