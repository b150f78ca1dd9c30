//! `pressel replay`: recordings through the appliance's own ears, every event printed.
//!
//! The output holds no wall-clock time: the same file gives the same output.

use std::io::{self, Write};

use super::args::{ReplayArguments, ReplayTrigger};
use crate::appliance::{load_listening_ears, worker_setup};
use crate::audio_file::AudioFile;
use crate::config::Trigger;
use crate::failure::{Failure, Kind};
use crate::keeper::Record;
use crate::keeper::report::{json_object, result_name, seconds};
use crate::offline::{Offline, Played};
use crate::stream::ListenEvent;

/// Plays the files one after the other.
///
/// # Errors
/// [`Failure`] of the first file that could not be read; the others are played all the same.
pub fn replay(arguments: &ReplayArguments) -> Result<(), Failure> {
    let mut config = arguments.common.config()?;
    config.trigger = match arguments.trigger {
        ReplayTrigger::Voice => Trigger::Voice,
        ReplayTrigger::Ptt => Trigger::Ptt,
        ReplayTrigger::Wake => Trigger::Wake,
    };
    let setup = worker_setup(&super::desk_board()?, &config)?;
    let mut offline = Offline::start(load_listening_ears(&config)?, config.tuning(), setup)?;
    offline.confirm(config.wake.confirmed());
    let held = arguments.trigger == ReplayTrigger::Ptt;
    let mut first = Ok(());
    for path in &arguments.files {
        let played = AudioFile::open(path)
            .map_err(|error| Failure::new(Kind::Disk, error))
            .and_then(|mut file| {
                let mut out = Output::new(path, arguments);
                offline.play(&mut file, held, &mut |played| {
                    out.print(&played);
                    out.result.is_ok()
                })?;
                super::warn_of_damage(path, file.damage());
                out.result
            });
        first = super::keep_first(first, played);
    }
    first
}

/// Where events are printed.
struct Output {
    file: String,
    several: bool,
    json: bool,
    result: Result<(), Failure>,
}

impl Output {
    fn new(path: &std::path::Path, arguments: &ReplayArguments) -> Self {
        let file = path.to_string_lossy().into_owned();
        Self {
            file,
            several: 1 < arguments.files.len(),
            json: arguments.json,
            result: Ok(()),
        }
    }

    fn print(&mut self, played: &Played) {
        let line = if self.json {
            self.object(played)
        } else {
            self.words(played)
        };
        let Some(line) = line else { return };
        let mut out = io::stdout().lock();
        if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
            self.result = Err(super::output_failed(&error));
        }
    }

    fn object(&self, played: &Played) -> Option<String> {
        let mut object = json_object(&record(played)?, false)?;
        if let Some(map) = object.as_object_mut() {
            map.insert("file".to_owned(), self.file.clone().into());
        }
        Some(object.to_string())
    }

    fn words(&self, played: &Played) -> Option<String> {
        let (at, words) = match played {
            Played::Event(event) => match event {
                ListenEvent::SpeechStart(at) => (*at, "speech start".to_owned()),
                ListenEvent::SpeechEnd(at) => (*at, "speech end".to_owned()),
                ListenEvent::Wake { word, score, at } => (
                    *at,
                    format!("wake word \"{}\" score {score:.2}", word.as_str()),
                ),
                ListenEvent::Opened { id, trigger, start } => {
                    (*start, format!("utterance {id} start ({trigger})"))
                }
                ListenEvent::Closed(closed) => {
                    let end = closed.start + u64::from(closed.samples);
                    (end, format!("utterance {} end", closed.id))
                }
                ListenEvent::VadFellBack => {
                    (0, "voice activity model failed, level decides".to_owned())
                }
                ListenEvent::WakeFailed => (0, "wake word model failed".to_owned()),
                ListenEvent::Gap(_)
                | ListenEvent::Ahead(_)
                | ListenEvent::Lost(_)
                | ListenEvent::ThreadPanicked { .. } => {
                    return None;
                }
            },
            Played::Refused { utterance, word } => {
                let word = word.as_str();
                let words = format!("wake word \"{word}\" refused, utterance {utterance}");
                // What the outcome tells next has the time.
                return Some(if self.several {
                    format!("{}:            {words}", self.file)
                } else {
                    format!("           {words}")
                });
            }
            Played::Outcome(finished) => {
                let result = result_name(&finished.outcome.result);
                let id = finished.outcome.utterance;
                let end = finished.start + u64::from(finished.outcome.audio_ms) * 16;
                (end, format!("outcome {id} {result}: {}", finished.text))
            }
            Played::Progress(_) => return None,
        };
        let file = if self.several {
            format!("{}: ", self.file)
        } else {
            String::new()
        };
        Some(format!(
            "{file}{:9.3}  {}",
            seconds(at),
            words.trim_end_matches(": ")
        ))
    }
}

/// Returns what was played as the live path records it.
fn record(played: &Played) -> Option<Record> {
    Some(match played {
        Played::Event(event) => Record::Listen(*event),
        &Played::Refused { utterance, word } => Record::WakeRefused { utterance, word },
        Played::Outcome(finished) => Record::Outcome {
            outcome: finished.outcome,
            start: finished.start,
            text: finished.text.clone(),
        },
        Played::Progress(_) => return None,
    })
}
