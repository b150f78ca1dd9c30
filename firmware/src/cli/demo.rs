//! `pressel demo`: the real appliance on the simulated board, to watch it work.
//!
//! Three processes: this one plays the world (voice, button, eyes on the LEDs), `pressel run` is
//! the appliance, `pressel monitor` reads the other end of the pseudo-terminal. It fails when a
//! transcript is missing or wrong.

mod stage;
mod watch;
mod world;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyModifiers, poll, read};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::args::DemoArguments;
use crate::appliance::model_folder;
use crate::failure::{Failure, Kind};
use stage::{News, Stage};
use world::{Act, World};

/// Longest wait for the appliance to be ready, and for a text after its release.
const READY_MAX: Duration = Duration::from_secs(60);
const TEXT_MAX: Duration = Duration::from_secs(15);
/// Quiet between two commands.
const PAUSE: Duration = Duration::from_millis(900);

/// Runs the demo.
///
/// # Errors
/// [`Kind::Result`] when a transcript is missing or wrong, and whatever keeps it from starting.
pub fn demo(arguments: &DemoArguments) -> Result<(), Failure> {
    let asked = super::asked_to_end(&[SIGINT, SIGTERM, SIGHUP])?;
    // The model is looked for before anything is drawn.
    model_folder(&arguments.common.config()?)?;
    match &arguments.mic {
        Some(device) => by_hand(arguments, device, &asked),
        None => by_script(arguments, &asked),
    }
}

/// The scripted demo: each act is spoken, the button is held meanwhile, the text is compared.
fn by_script(arguments: &DemoArguments, asked: &Arc<AtomicBool>) -> Result<(), Failure> {
    let acts = world::acts()?;
    let mut stage = Stage::open(&arguments.common, None, asked)?;
    stage
        .say("The appliance runs on a simulated board; its voice, button and serial line are real");
    stage.say(
        "pipes, libasound and a pseudo-terminal. Each command is spoken while the button is held.",
    );
    let world = World::start(stage.folder(), stage.news())?;
    let ended = |stage: &mut Stage| -> Result<(), Failure> {
        stage.wait_until(READY_MAX, |news| matches!(news, News::Ready))?;
        let mut right = 0;
        for act in &acts {
            if stage.is_asked() {
                return Ok(());
            }
            right += u32::from(play(stage, &world, act)?);
        }
        if stage.is_asked() {
            return Ok(());
        }
        let all = u32::try_from(acts.len()).unwrap_or(u32::MAX);
        stage.say(&format!("{right} of {all} transcripts are right."));
        if right == all {
            return Ok(());
        }
        let why = format!("only {right} of {all} transcripts came out right: see the lines above");
        Err(Failure::new(Kind::Result, why))
    }(&mut stage);
    world.finish();
    stage.close(ended)
}

/// Plays one act. Returns whether its text came, and was right.
fn play(stage: &mut Stage, world: &World, act: &Act) -> Result<bool, Failure> {
    stage.say(&format!("  said: \"{}\"", act.text));
    world.speak(act);
    let mut released = None;
    let text = stage.wait_until(act.length + TEXT_MAX, |news| {
        if let News::Button(false) = news {
            released = Some(Instant::now());
        }
        matches!(news, News::Outcome { .. })
    })?;
    let Some(News::Outcome { text, result }) = text else {
        return Ok(false);
    };
    let after = released.map_or(Duration::ZERO, |released| released.elapsed());
    let is_right = text == act.text;
    let verdict = if is_right { "right" } else { "WRONG" };
    stage.say(&format!(
        "  uart: \"{text}\" ({result}, {verdict}), {} ms after the release",
        after.as_millis()
    ));
    stage.idle(PAUSE);
    Ok(is_right)
}

/// The demo with a real microphone: the space bar is the button.
fn by_hand(
    arguments: &DemoArguments,
    device: &str,
    asked: &Arc<AtomicBool>,
) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        let why = "--mic takes its keys from a terminal: run it in one, or leave --mic away";
        return Err(Failure::new(Kind::Usage, why));
    }
    let mut stage = Stage::open(&arguments.common, Some(device), asked)?;
    let world = World::silent(stage.folder(), stage.news())?;
    let ended = stage
        .wait_until(READY_MAX, |news| matches!(news, News::Ready))
        .map(|_| ());
    stage.say("Space: start talking, space again: stop. q: end.");
    let raw = enable_raw_mode();
    let ended = ended.and_then(|()| {
        raw.map_err(|error| Failure::new(Kind::Device, format!("terminal: {error}")))?;
        while !stage.is_asked() {
            if let Some(News::Outcome { text, result }) = stage.idle(Duration::from_millis(20)) {
                stage.say(&format!("  uart: \"{text}\" ({result})"));
            }
            if !poll(Duration::ZERO).unwrap_or(false) {
                continue;
            }
            let Ok(Event::Key(key)) = read() else {
                continue;
            };
            let is_ctrl_c =
                key.code == KeyCode::Char('c') && key.modifiers == KeyModifiers::CONTROL;
            match key.code {
                KeyCode::Char(' ') => world.tap(),
                KeyCode::Char('q') | KeyCode::Esc => break,
                _ if is_ctrl_c => break,
                _ => {}
            }
        }
        Ok(())
    });
    disable_raw_mode().ok();
    world.finish();
    stage.close(ended)
}

/// Returns the folder of the demo's recordings: of the package, or of the source tree.
fn recordings() -> PathBuf {
    let installed = PathBuf::from("/usr/share/pressel/demo");
    if installed.is_dir() {
        installed
    } else {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/demo"))
    }
}
