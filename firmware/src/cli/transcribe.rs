//! `pressel transcribe`: recordings as text.
//!
//! Speech is cut at pauses by the same gate as on the live path; each piece is one segment.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pressel_pipeline::time::{SampleTime, samples};
use pressel_wire::OutcomeResult;

use super::args::TranscribeArguments;
use crate::appliance::{load_ears, worker_setup};
use crate::audio_file::AudioFile;
use crate::config::Trigger;
use crate::failure::{Failure, Kind};
use crate::keeper::report::{result_name, seconds};
use crate::offline::{Offline, Played, is_loss};
use crate::stream::ListenEvent;
use crate::transcript::{Segment, Transcript, WriteError, write};

/// Transcribes the files and prints them in the asked format.
///
/// # Errors
/// [`Failure`] of the first file that could not be read or recognised; the others are printed.
pub fn transcribe(arguments: &TranscribeArguments) -> Result<(), Failure> {
    if 1 < arguments.files.len() && !arguments.format.holds_several() {
        return Err(Failure::new(Kind::Usage, WriteError::OneFileOnly));
    }
    let mut config = arguments.common.config()?;
    config.trigger = Trigger::Voice;
    let setup = worker_setup(&super::desk_board()?, &config)?;
    let mut offline = Offline::start(load_ears()?, config.tuning(), setup)?;
    let mut first = Ok(());
    let mut transcripts = Vec::new();
    for path in &arguments.files {
        let done = AudioFile::open(path)
            .map_err(|error| Failure::new(Kind::Disk, error))
            .and_then(|file| one(&mut offline, file, &mut transcripts));
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

/// Transcribes one file. What was recognised before an error is kept.
fn one(
    offline: &mut Offline,
    mut file: AudioFile,
    transcripts: &mut Vec<Transcript>,
) -> Result<(), Failure> {
    let name = file.path().to_string_lossy().into_owned();
    let bar = progress(&name, file.info().duration_samples);
    let mut collected = Collected::default();
    let played = offline.play(&mut file, false, &mut |played| {
        match played {
            Played::Progress(samples) => bar.set_position(samples),
            Played::Event(ListenEvent::VadFellBack) => collected.fell_back = true,
            Played::Event(_) => {}
            Played::Outcome(finished) => {
                if let OutcomeResult::Text { .. } = finished.outcome.result {
                    let end = finished.start + samples(u64::from(finished.outcome.audio_ms));
                    collected.add(finished.start, end, finished.text.as_str());
                    collected.language = finished.language;
                } else if is_loss(&finished.outcome.result) {
                    let result = result_name(&finished.outcome.result);
                    collected.lost.get_or_insert((finished.start, result));
                }
            }
        }
        true
    });
    bar.finish_and_clear();
    super::warn_of_damage(&file);
    let duration = file.position();
    let lost = collected.lost.take();
    let transcript = collected.transcript(file.path(), duration);
    transcripts.push(transcript.map_err(|error| Failure::new(Kind::Result, error))?);
    played?;
    match lost {
        None => Ok(()),
        Some((at, result)) => {
            let at = seconds(at);
            let why =
                format!("{name}: the speech at {at:.1} s was not recognised ({result}): try again");
            Err(Failure::new(Kind::Model, why))
        }
    }
}

/// What a file has given so far.
#[derive(Default)]
struct Collected {
    segments: Vec<Segment>,
    language: [u8; 2],
    lost: Option<(SampleTime, String)>,
    fell_back: bool,
}

impl Collected {
    fn add(&mut self, start: SampleTime, end: SampleTime, text: &str) {
        self.segments.push(Segment {
            start: seconds(start),
            end: seconds(end),
            text: text.to_owned(),
        });
    }

    fn transcript(
        mut self,
        file: &Path,
        duration: SampleTime,
    ) -> Result<Transcript, crate::transcript::TranscriptError> {
        if self.fell_back {
            log::warn!(
                "{}: voice activity model failed, the level decided",
                file.display()
            );
        }
        let duration = seconds(duration);
        for segment in &mut self.segments {
            segment.end = segment.end.min(duration);
        }
        let language = String::from_utf8_lossy(&self.language);
        let language = language.trim_matches('\0');
        Transcript::new(file, self.segments, language, duration)
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
