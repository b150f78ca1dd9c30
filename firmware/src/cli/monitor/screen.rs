//! The monitor's screen on a real terminal: keys in, pictures out.
//!
//! One thread: it waits for the port, the keyboard and signals, and draws when something may have
//! changed. The terminal is as before at the end, whatever the end is: a key, a signal, an error, a
//! panic.

use std::io::{self, Stdout};
use std::os::fd::AsRawFd as _;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossterm::cursor;
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use jiff::Timestamp;
use pressel_hal::PollFd;
use pressel_hal::linux::poll;
use pressel_wire::HostMessage;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use super::model::Model;
use super::session::Session;
use super::view::draw;
use crate::failure::{Failure, Kind};

/// Longest sleep: "heard 3 s ago" must go on.
const WAIT_MAX: Duration = Duration::from_millis(250);
/// Keys that are taken in one turn.
const KEYS_MAX: usize = 64;
/// A space bar that is held sends spaces faster than this: they are not taken for taps.
const TAP_MIN: Duration = Duration::from_millis(150);

/// The terminal is drawn on, and must be restored.
static IS_DRAWN_ON: AtomicBool = AtomicBool::new(false);

/// Shows the conversation until a key or a signal ends it.
///
/// # Errors
/// [`Kind::Disk`] when the terminal cannot be written, [`Kind::Device`] when it cannot be set up.
pub(super) fn run(mut session: Session<Model>, asked: &AtomicBool) -> Result<(), Failure> {
    let terminal = Screen::open().map_err(|error| {
        let why = format!("terminal: {error}: `--plain` prints lines instead");
        Failure::new(Kind::Device, why)
    });
    let ended = converse(&mut session, &mut terminal?, asked);
    ended.map_err(|error| super::super::output_failed(&error))
}

fn converse(
    session: &mut Session<Model>,
    screen: &mut Screen,
    asked: &AtomicBool,
) -> io::Result<()> {
    let (start, mut keys) = (Instant::now(), Keys::default());
    // What is shown is as old as the line is new: then, and whenever it comes back.
    let mut must_ask = session.show.acknowledges;
    while !asked.load(Ordering::Relaxed) {
        session.show.turn(start.elapsed(), clock());
        session.answer(Instant::now())?;
        let is_lost = session.show.lost.is_some();
        if must_ask && !is_lost {
            session.send(&HostMessage::GetStatus)?;
        }
        must_ask = is_lost && session.show.acknowledges;
        if let Some(ping) = session.show.ping() {
            session.send(&ping)?;
        }
        screen.terminal.draw(|frame| draw(frame, &session.show))?;
        let mut fds = [session.poll_fd(), keyboard()];
        let wait = session.wait(Instant::now()).min(WAIT_MAX);
        let ready = poll::wait(&mut fds, i32::try_from(wait.as_millis()).unwrap_or(0));
        ready.map_err(io::Error::from_raw_os_error)?;
        session.show.turn(start.elapsed(), clock());
        if fds[0].revents != 0 {
            session.read(None)?;
        }
        for _ in 0..KEYS_MAX {
            if !event::poll(Duration::ZERO)? {
                break;
            }
            // A new size is drawn in the next turn.
            let Event::Key(key) = event::read()? else {
                continue;
            };
            match keys.meaning(key, &session.show, start.elapsed()) {
                Some(Meaning::Quit) => return leave(session),
                Some(Meaning::Send(message)) => session.send(&message)?,
                None => {}
            }
        }
    }
    leave(session)
}

/// The button does not stay down behind a monitor that has ended.
fn leave(session: &mut Session<Model>) -> io::Result<()> {
    if session.show.talks {
        session.send(&HostMessage::PttUp)?;
    }
    Ok(())
}

fn keyboard() -> PollFd {
    PollFd {
        fd: io::stdin().as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    }
}

/// Time of day for the talk: UTC, as in `pressel history`.
fn clock() -> String {
    Timestamp::now().strftime("%H:%M:%SZ").to_string()
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Quit,
    Send(HostMessage),
}

/// The keyboard; terminals do not tell when a key is released, so space toggles.
#[derive(Debug, Default)]
struct Keys {
    space_at: Option<Duration>,
}

impl Keys {
    fn meaning(&mut self, key: KeyEvent, model: &Model, now: Duration) -> Option<Meaning> {
        if key.kind != KeyEventKind::Press {
            return None;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => Some(Meaning::Quit),
            _ if is_control => None,
            KeyCode::Char('q') | KeyCode::Esc => Some(Meaning::Quit),
            KeyCode::Char('m') => {
                let is_muted = model.state.is_some_and(|state| state.muted);
                Some(Meaning::Send(HostMessage::Mute(!is_muted)))
            }
            KeyCode::Char(' ') => {
                let before = self.space_at.replace(now);
                let is_tap = before.is_none_or(|before| TAP_MIN <= now.saturating_sub(before));
                let message = match model.talks {
                    true => HostMessage::PttUp,
                    false => HostMessage::PttDown,
                };
                is_tap.then_some(Meaning::Send(message))
            }
            _ => None,
        }
    }
}

/// The terminal while it is drawn on.
struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    fn open() -> io::Result<Self> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // First, or its words are gone with the screen.
            restore();
            before(panic);
        }));
        enable_raw_mode()?;
        IS_DRAWN_ON.store(true, Ordering::SeqCst);
        let opened = execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match opened {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Makes the terminal what it was before. A terminal that is gone needs none of it.
fn restore() {
    if IS_DRAWN_ON.swap(false, Ordering::SeqCst) {
        execute!(io::stdout(), LeaveAlternateScreen, cursor::Show).ok();
        disable_raw_mode().ok();
    }
}

#[cfg(test)]
mod tests;
