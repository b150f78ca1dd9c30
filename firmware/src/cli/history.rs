//! `pressel history`: past transcripts, from the journal.
//!
//! Journal files in, one line or one JSON object for each outcome out. It only reads: a running
//! appliance is not disturbed.

use std::io::{self, Write as _};
use std::path::Path;

use jiff::Timestamp;
use pressel_wire::OutcomeResult;
use serde_json::json;

use super::args::HistoryArguments;
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::journal::{Record, Spoken, disk, scan, wall_ms};
use crate::keeper::report::result_name;
use crate::plain::plain;

/// Prints what the journal has.
///
/// # Errors
/// [`Kind::Usage`] for a time that is none, [`Kind::Disk`] when there is no journal to read.
pub fn history(arguments: &HistoryArguments) -> Result<(), Failure> {
    let since = match &arguments.since {
        Some(text) => since(text, wall_ms()).map_err(|why| Failure::new(Kind::Usage, why))?,
        None => 0,
    };
    let folder = match &arguments.state_dir {
        Some(folder) => folder.clone(),
        None => Config::load(arguments.config.as_deref())?.state_dir,
    };
    let (outcomes, damaged) = read(&folder).map_err(|error| {
        let why = format!(
            "{}: the journal cannot be read ({error}): name its folder with --state-dir, and read \
             it as its owner",
            folder.display()
        );
        Failure::new(Kind::Disk, why)
    })?;
    if 0 < damaged {
        log::warn!(
            "{}: {damaged} damaged records are left out",
            folder.display()
        );
    }
    let mut out = io::stdout().lock();
    let newer = outcomes.iter().filter(|spoken| since <= spoken.at_ms);
    for spoken in newer {
        let line = if arguments.json {
            object(spoken).to_string()
        } else {
            words(spoken)
        };
        match writeln!(out, "{line}") {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(super::output_failed(&error)),
        }
    }
    Ok(())
}

/// Returns the outcomes of a journal, each once and in order, and how many records are damaged.
fn read(folder: &Path) -> io::Result<(Vec<Spoken>, usize)> {
    let (mut outcomes, mut damaged) = (Vec::<Spoken>::new(), 0);
    for file in disk::numbers(folder)? {
        let bytes = match disk::read(folder, file) {
            Ok(bytes) => bytes,
            // A running appliance has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let found = scan(&bytes);
        damaged += found.damaged;
        for (_, record) in found.records {
            let Record::Outcome(spoken) = record else {
                continue;
            };
            if outcomes
                .last()
                .is_none_or(|last| last.mark() < spoken.mark())
            {
                outcomes.push(spoken);
            }
        }
    }
    Ok((outcomes, damaged))
}

/// Returns the time that `text` means, in milliseconds since 1970.
fn since(text: &str, now_ms: u64) -> Result<u64, String> {
    let unit_ms = match text.chars().last() {
        Some('s') => Some(1_000),
        Some('m') => Some(60_000),
        Some('h') => Some(3_600_000),
        Some('d') => Some(86_400_000),
        _ => None,
    };
    let ago = unit_ms.and_then(|unit: u64| {
        let count: u64 = text[..text.len() - 1].parse().ok()?;
        count.checked_mul(unit)
    });
    if let Some(ago) = ago {
        return Ok(now_ms.saturating_sub(ago));
    }
    let at: Timestamp = text.parse().map_err(|_| {
        format!("--since {text}: not a time: write 2026-11-21T08:00:00Z, or 30s, 10m, 2h, 3d")
    })?;
    Ok(u64::try_from(at.as_millisecond()).unwrap_or(0))
}

/// Returns wall time as RFC 3339, to the second.
pub(super) fn time(at_ms: u64) -> String {
    let seconds = i64::try_from(at_ms / 1_000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "?".to_owned(), |at| at.to_string())
}

fn words(spoken: &Spoken) -> String {
    let (time, result) = (time(spoken.at_ms), result_name(&spoken.outcome.result));
    match spoken.outcome.result {
        OutcomeResult::Text { .. } => format!("{time}  {result}  {}", plain(&spoken.text)),
        _ => format!("{time}  {result}"),
    }
}

fn object(spoken: &Spoken) -> serde_json::Value {
    let outcome = spoken.outcome;
    json!({
        "time": time(spoken.at_ms), "at_ms": spoken.at_ms, "boot": spoken.epoch,
        "sequence": outcome.sequence, "utterance": outcome.utterance,
        "trigger": outcome.trigger.name(), "result": result_name(&outcome.result),
        "text": spoken.text.as_str(), "confidence": outcome.confidence,
        "audio_ms": outcome.audio_ms,
    })
}

#[cfg(test)]
mod tests {
    use pressel_wire::Trigger;

    use super::*;
    use crate::journal::{Folder, Journal, Limits};
    use crate::outcome::Finished;

    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(since(text, 1_000_000_000).ok(), expected, "{text}");
    }

    #[test]
    fn times_are_understood() {
        check("10m", Some(999_400_000));
        check("2h", Some(992_800_000));
        check("3d", Some(740_800_000));
        check("99999999999999d", None);
        check("1970-01-02T00:00:00Z", Some(86_400_000));
        check("1970-01-02T01:00:00+01:00", Some(86_400_000));
        check("yesterday", None);
        check("", None);
        check("ä", None);
        check("-3h", None);
    }

    #[test]
    fn what_a_journal_was_given_is_read_from_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::new(Folder::new(folder.path()), Limits::default());
        journal.start(5_000).unwrap();
        for sequence in 0..3 {
            let result = OutcomeResult::Text {
                bytes: 4,
                truncated: false,
            };
            let mut finished = Finished::bare(sequence, Trigger::Ptt, result, 0);
            finished.outcome.sequence = sequence;
            journal.outcome(Spoken {
                epoch: journal.epoch(),
                at_ms: 86_400_000,
                outcome: finished.outcome,
                text: heapless::String::try_from("s\u{1b}op").unwrap(),
            });
        }
        journal.work().unwrap();
        let (outcomes, damaged) = read(folder.path()).unwrap();
        assert_eq!((outcomes.len(), damaged), (3, 0));
        assert_eq!(words(&outcomes[0]), "1970-01-02T00:00:00Z  text  s op");
        // A second appliance is kept out of the same folder.
        let mut second = Journal::new(Folder::new(folder.path()), Limits::default());
        let error = second.start(0).unwrap_err();
        assert!(error.to_string().contains("--state-dir"));
    }
}
