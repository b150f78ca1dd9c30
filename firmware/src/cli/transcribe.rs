//! `pressel transcribe`: recordings as text.
//!
//! A recording is cut as a file job's is: at pauses, and each chunk with text is one segment; or by
//! windows, and the model says when it heard what. Asked to end, it prints what it has.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pressel_pipeline::time::SampleTime;
use pressel_wire::OutcomeResult;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::args::TranscribeArguments;
use crate::appliance::{file_cut, load_ears, worker_setup};
use crate::chunks::{Chunk, Chunks, Cut};
use crate::config::Trigger;
use crate::failure::{Failure, Kind};
use crate::keeper::report::{result_name, seconds};
use crate::offline::{Offline, is_loss};
use crate::outcome::Finished;
use crate::transcript::{Collected, Transcript, WriteError, write};

/// Transcribes the files and prints them in the asked format.
///
/// # Errors
/// [`Failure`] of the first file that could not be read or recognised; the others are printed.
/// [`Kind::Result`] when a signal ended it before the last one was done.
pub fn transcribe(arguments: &TranscribeArguments) -> Result<(), Failure> {
    if 1 < arguments.files.len() && !arguments.format.holds_several() {
        return Err(Failure::new(Kind::Usage, WriteError::OneFileOnly));
    }
    let mut config = arguments.common.config()?;
    config.trigger = Trigger::Voice;
    if let Some(cut) = arguments.cut {
        config.files.cut = cut;
    }
    let cut = file_cut(&config);
    let setup = worker_setup(&super::desk_board()?, &config)?;
    let mut offline = Offline::start(load_ears()?, config.tuning(), setup)?;
    // Only now: until the model is loaded, a signal ends the program at once.
    let asked = take_signals()?;
    let mut first = Ok(());
    let mut transcripts = Vec::new();
    for (index, path) in arguments.files.iter().enumerate() {
        if asked.load(Ordering::Relaxed) {
            let left = arguments.files.len() - index;
            let why = format!("stopped by a signal: {left} of the files were not begun");
            first = super::keep_first(first, Err(Failure::new(Kind::Result, why)));
            break;
        }
        let done = one(&mut offline, path, cut, &asked, &mut transcripts);
        first = super::keep_first(first, done);
    }
    if !transcripts.is_empty() {
        let written = write(arguments.format, &transcripts, &mut io::stdout().lock());
        let written = written.map_err(|error| match &error {
            WriteError::Io(error) => super::output_failed(error),
            WriteError::OneFileOnly => Failure::new(Kind::Usage, error),
        });
        first = super::keep_first(first, written);
    }
    first
}

/// Returns a flag that SIGINT and SIGTERM set; a second one ends the program at once.
pub(super) fn take_signals() -> Result<Arc<AtomicBool>, Failure> {
    let asked = Arc::new(AtomicBool::new(false));
    let take = |signal| -> io::Result<()> {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked))?;
        flag::register(signal, Arc::clone(&asked))?;
        Ok(())
    };
    let taken = [SIGINT, SIGTERM].into_iter().try_for_each(take);
    taken.map_err(|error| Failure::new(Kind::Device, format!("cannot take signals: {error}")))?;
    Ok(asked)
}

/// Transcribes one file. What was recognised before an error or a signal is kept.
fn one(
    offline: &mut Offline,
    path: &Path,
    cut: Cut,
    asked: &AtomicBool,
    transcripts: &mut Vec<Transcript>,
) -> Result<(), Failure> {
    let opened = Chunks::open(path, 0, cut);
    let mut chunks = opened.map_err(|error| Failure::new(Kind::Disk, error))?;
    let name = path.display();
    let bar = progress(&name.to_string(), chunks.info().duration_samples);
    let mut gathered = Gathered::default();
    let done = offline.transcribe(&mut chunks, asked, &mut |chunk, said| {
        bar.set_position(chunk.next);
        gathered.add(chunk, said);
    });
    bar.finish_and_clear();
    super::warn_of_damage(path, chunks.damage());
    if chunks.fell_back() {
        log::warn!("{name}: voice activity model failed, the level decided");
    }
    if matches!(done, Ok(true)) {
        // A tail that was not worth a window.
        gathered.heard = gathered.heard.max(chunks.position());
    }
    let heard = seconds(gathered.heard);
    let silent = gathered.said.is_silent();
    let transcript = gathered.said.into_transcript(path, gathered.heard);
    transcripts.push(transcript.map_err(|error| Failure::new(Kind::Result, error))?);
    let whole = done?;
    if let Some((at, result)) = gathered.lost {
        let at = seconds(at);
        let why =
            format!("{name}: the speech at {at:.1} s was not recognised ({result}): try again");
        return Err(Failure::new(Kind::Model, why));
    }
    if !whole {
        let why = format!("{name}: stopped by a signal at {heard:.1} s, the text is incomplete");
        return Err(Failure::new(Kind::Result, why));
    }
    if silent {
        log::warn!("{name}: no speech was heard");
    }
    Ok(())
}

/// What a file has given so far.
#[derive(Default)]
struct Gathered {
    said: Collected,
    /// Where the first utterance is that was not recognised, and why.
    lost: Option<(SampleTime, String)>,
    /// Where the last chunk ended.
    heard: SampleTime,
}

impl Gathered {
    fn add(&mut self, chunk: &Chunk, said: Option<Finished>) {
        self.heard = chunk.next;
        let Some(said) = said else { return };
        if let OutcomeResult::Text { .. } = said.outcome.result {
            let place = chunk.start..chunk.next;
            self.said
                .add(place, &said.text, &said.heard.spans, said.language);
        } else if is_loss(&said.outcome.result) {
            let result = result_name(&said.outcome.result);
            self.lost.get_or_insert((chunk.start, result));
        }
    }
}

/// Makes a progress bar on a terminal, and a hidden one elsewhere.
fn progress(name: &str, duration: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = duration.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = if duration.is_some() {
        "{msg} {wide_bar} {percent:>3}% {eta} left"
    } else {
        "{msg} {spinner} {elapsed}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
