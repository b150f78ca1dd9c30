//! The steps: what is done to the virtual board, and what must be seen.
//!
//! In: a rig. Out: one text for each step. Each of them sees for itself that the board has booted
//! and the appliance runs, so any of them can run alone.

use std::time::Duration;

use super::board::{Board, Line, is_ready};
use super::files::{Accelerator, Files};
use super::image::Sentence;
use super::uart::{LIMIT, is_outcome};
use super::{Report, endurance, power};
use crate::Fallible;

/// One step.
pub(super) struct Step {
    pub(super) name: &'static str,
    /// What it shows.
    pub(super) what: &'static str,
    run: fn(&mut Rig) -> Fallible<String>,
}

const fn step(
    name: &'static str,
    what: &'static str,
    run: fn(&mut Rig) -> Fallible<String>,
) -> Step {
    Step { name, what, run }
}

/// All steps, in their order.
pub(super) const STEPS: [Step; 9] = [
    step(
        "boot",
        "a kernel with its devices, the appliance ready on the line",
        boot,
    ),
    step(
        "press",
        "button, speech, LEDs and text through the kernel",
        press,
    ),
    step("card", "the sound card is gone and comes back", card),
    step("chip", "the GPIO chip is gone and comes back", chip),
    step("mute", "the mute switch: no text, the PCM closed", mute),
    step(
        "worker",
        "SIGKILL of the worker while it recognises",
        worker,
    ),
    step(
        "serial",
        "the USB serial cable is pulled out and put back",
        serial,
    ),
    step(
        "power",
        "power cut during a file job; the second boot finishes it",
        power::run,
    ),
    step(
        "endurance",
        "speech while the worker is saturated: nothing allocated or lost",
        endurance::run,
    ),
];

/// The steps of these names; of none, all.
///
/// # Errors
/// There is no such step.
pub(super) fn choose(names: &[String]) -> Fallible<Vec<&'static Step>> {
    let known = |name: &String| STEPS.iter().find(|step| step.name == *name);
    if let Some(name) = names.iter().find(|name| known(name).is_none()) {
        return Err(format!(
            "there is no step `{name}`: `cargo xtask vm --list` prints them"
        ));
    }
    let is_chosen = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    Ok(STEPS.iter().filter(is_chosen).collect())
}

/// The board and what it is tried with.
pub(super) struct Rig<'a> {
    pub(super) files: &'a Files<'a>,
    pub(super) minutes: u32,
    accelerator: Accelerator,
    board: Option<Board<'a>>,
    said_count: usize,
}

impl<'a> Rig<'a> {
    pub(super) fn new(files: &'a Files<'a>, accelerator: Accelerator, minutes: u32) -> Self {
        Self {
            files,
            minutes,
            accelerator,
            board: None,
            said_count: 0,
        }
    }

    /// The board, booted.
    pub(super) fn board(&mut self) -> Fallible<&mut Board<'a>> {
        let board = match self.board.take() {
            Some(board) => board,
            None => Board::boot(self.files, self.accelerator)?,
        };
        Ok(self.board.insert(board))
    }

    /// The board with the appliance at work on this line.
    pub(super) fn appliance(&mut self, line: Line) -> Fallible<&mut Board<'a>> {
        let board = self.board()?;
        board.appliance(line, "")?;
        Ok(board)
    }

    /// The board that was booted last; whoever takes it cuts its power or puts it back.
    pub(super) fn take(&mut self) -> Option<Board<'a>> {
        self.board.take()
    }

    /// The next sentence: all of them in turn.
    pub(super) fn sentence(&mut self) -> Sentence {
        let all = &self.files.sentences;
        let next = all[self.said_count % all.len()].clone();
        self.said_count += 1;
        next
    }

    /// Says the next sentence on this line, and wants its text.
    pub(super) fn say(&mut self, line: Line) -> Fallible<String> {
        let sentence = self.sentence();
        self.appliance(line)?.say(&sentence)?;
        Ok(sentence.text)
    }
}

/// Runs steps, and switches off.
///
/// # Errors
/// The first step that does not hold.
pub(super) fn run(mut rig: Rig, steps: &[&Step], report: &mut Report) -> Fallible<()> {
    for step in steps {
        report.step(step.name, || (step.run)(&mut rig))?;
    }
    report.step("off", || {
        let seen = match rig.take() {
            Some(board) => board.off()?,
            None => None,
        };
        Ok(seen.unwrap_or_else(|| "the board is switched off".to_owned()))
    })
}

fn boot(rig: &mut Rig) -> Fallible<String> {
    let board = rig.appliance(Line::Port)?;
    let kernel = board.guest.run("uname -r -v")?.join(" ");
    board
        .guest
        .wait_for("held_lines", LIMIT, |count| count == "6")?;
    Ok(format!("{kernel}; the appliance holds 6 lines of the chip"))
}

fn press(rig: &mut Rig) -> Fallible<String> {
    let sentence = rig.sentence();
    let board = rig.appliance(Line::Port)?;
    board.guest.run("watch_leds")?;
    board.say(&sentence)?;
    let dark = |leds: &str| leds.trim() == "0 0 0 0";
    board.guest.wait_for("leds", LIMIT, dark)?;
    let seen = lit(&board.guest.run("seen_leds")?);
    if seen != LEDS[..3] {
        return Err(format!(
            "the LEDs were {}, not {}",
            seen.join(", "),
            LEDS[..3].join(", ")
        ));
    }
    Ok(format!(
        "\"{}\"; LEDs lit: {}, then dark",
        sentence.text,
        seen.join(", ")
    ))
}

/// LEDs of the board, from line 2 on.
const LEDS: [&str; 4] = ["listening", "thinking", "sent", "error"];

/// Names of the LEDs that were lit, in the order in which they were, out of `LINE LEVEL`.
fn lit(seen: &[String]) -> Vec<&'static str> {
    let name = |line: &String| {
        let line = line.strip_suffix(" 1")?.parse::<usize>().ok()?;
        LEDS.get(line.checked_sub(2)?).copied()
    };
    seen.iter().filter_map(name).collect()
}

fn card(rig: &mut Rig) -> Fallible<String> {
    let board = rig.appliance(Line::Port)?;
    board.guest.run("card_out")?;
    board
        .uart()?
        .wait("the loss", LIMIT, |event| event["microphone"] == false)?;
    // It blinks four times a second.
    board
        .guest
        .wait_for("leds", LIMIT, |leds| leds.trim().ends_with('1'))?;
    board.guest.run("card_in")?;
    board
        .uart()?
        .wait("the microphone", LIMIT, |event| event["microphone"] == true)?;
    let text = rig.say(Line::Port)?;
    Ok(format!(
        "told on the line and by the LED, opened again; then \"{text}\""
    ))
}

fn chip(rig: &mut Rig) -> Fallible<String> {
    let board = rig.appliance(Line::Port)?;
    board.guest.run("chip_out")?;
    board
        .guest
        .wait_for("held_lines", LIMIT, |count| count == "0")?;
    board.guest.run("chip_in")?;
    board
        .guest
        .wait_for("held_lines", LIMIT, |count| count == "6")?;
    let sentence = rig.sentence();
    let board = rig.appliance(Line::Port)?;
    board.guest.run("watch_leds")?;
    board.say(&sentence)?;
    let seen = lit(&board.guest.run("seen_leds")?);
    if !seen.contains(&LEDS[0]) {
        return Err("the LEDs stay dark".to_owned());
    }
    Ok(format!(
        "its 6 lines are held again; then \"{}\"",
        sentence.text
    ))
}

fn mute(rig: &mut Rig) -> Fallible<String> {
    let unheard = rig.sentence();
    let board = rig.appliance(Line::Port)?;
    board.guest.run("mute")?;
    board
        .uart()?
        .wait("the mute", LIMIT, |event| event["muted"] == true)?;
    board
        .guest
        .wait_for("capture_state", LIMIT, |state| state == "closed")?;
    board
        .guest
        .run_for(&format!("say {}", unheard.file), LIMIT)?;
    let state = board.guest.run("capture_state")?.join(" ");
    if state != "closed" {
        return Err(format!(
            "a press while muted opened the microphone: {state}"
        ));
    }
    board.guest.run("unmute")?;
    let told = board.uart()?.wait("the end of the mute", LIMIT, |event| {
        is_outcome(event) || event["muted"] == false
    })?;
    if is_outcome(&told) {
        return Err(format!("what was said while muted came out: {told}"));
    }
    board
        .guest
        .wait_for("capture_state", LIMIT, |state| state.contains("RUNNING"))?;
    // The next outcome is that of the next sentence: nothing came of the one before.
    let text = rig.say(Line::Port)?;
    Ok(format!(
        "the PCM was closed, nothing came of a press; unmuted, \"{text}\""
    ))
}

fn worker(rig: &mut Rig) -> Fallible<String> {
    let sentence = rig.sentence();
    let board = rig.appliance(Line::Port)?;
    let old = worker_pid(board)?;
    board
        .guest
        .run_for(&format!("say {}; kill -9 {old}", sentence.file), LIMIT)?;
    let what = "the loss of the worker";
    board
        .uart()?
        .wait(what, LIMIT, |event| event["worker"] == false)?;
    board.uart()?.wait("another worker", LIMIT * 2, is_ready)?;
    board.uart()?.text(&sentence.text)?;
    let new = worker_pid(board)?;
    if new == old {
        return Err(format!("process {old} was killed and is there again"));
    }
    let text = rig.say(Line::Port)?;
    Ok(format!(
        "killed at work, its utterance came all the same: \"{}\"; then \"{text}\"",
        sentence.text
    ))
}

/// The worker's process.
pub(super) fn worker_pid(board: &mut Board) -> Fallible<u64> {
    let status = board.status()?;
    let pid = status["worker"]["pid"].as_u64();
    pid.ok_or_else(|| format!("`pressel status` knows no worker: {}", status["worker"]))
}

fn serial(rig: &mut Rig) -> Fallible<String> {
    let first = rig.say(Line::Cable)?;
    let unheard = rig.sentence();
    let board = rig.appliance(Line::Cable)?;
    // QEMU 7.2 may crash when an adapter is pulled out while its other end is written to.
    board.uart()?.rest()?;
    board.pull_out()?;
    board
        .guest
        .run_for(&format!("say {}", unheard.file), LIMIT)?;
    // Long enough that its outcome is there while nobody can hear it.
    let recent = |text: &str| text.contains(&format!("\"text\":\"{}\"", unheard.text));
    board
        .guest
        .wait_for("pressel status --json", LIMIT, recent)?;
    board.plug_in()?;
    board.uart()?.text(&unheard.text)?;
    let second = rig.say(Line::Cable)?;
    let board = rig.appliance(Line::Cable)?;
    let mut again = Vec::new();
    while let Some(event) = board.uart()?.next() {
        again.extend(is_outcome(&event).then(|| event.to_string()));
    }
    if !again.is_empty() {
        return Err(format!("something came twice: {}", again.join(", ")));
    }
    Ok(format!(
        "\"{first}\"; \"{}\", said without a cable, came with it, once; then \"{second}\"",
        unheard.text
    ))
}

/// Longest time for a job of the board's recording.
pub(super) const JOB: Duration = Duration::from_secs(240);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lit_leds_are_named_in_their_order() {
        let seen = ["2 1", "3 1", "2 0", "3 0", "7 1", "0 1", "4 1", "x"].map(str::to_owned);
        assert_eq!(lit(&seen), ["listening", "thinking", "sent"]);
    }

    #[test]
    fn steps_are_chosen_by_name_and_keep_their_order() {
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            choose(&names).map(|steps| steps.iter().map(|step| step.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["mute", "press"]).unwrap(), ["press", "mute"]);
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        assert!(names(&["sleep"]).unwrap_err().contains("no step `sleep`"));
    }
}
