//! What is printed while phrases are recorded: lines for people, or JSON; and the bar.
//!
//! In: what happens. Out: standard output, and on a terminal a bar of the level on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::judge::{Fault, Kept, decibels};
use crate::cli::output_failed;
use crate::failure::Failure;

/// The level at the left end of the bar, in dB below full scale.
const BAR_DB: i32 = 60;

/// A take that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    /// What is to be said; empty for the room.
    pub(super) phrase: &'a str,
    /// Which one it is, from 1 on, and of how many.
    pub(super) take: usize,
    pub(super) of: usize,
    /// How long, of the room.
    pub(super) seconds: f64,
}

impl Wish<'_> {
    fn object(&self, event: &str) -> Value {
        let mut object = json!({"event": event, "take": self.take, "of": self.of});
        if self.phrase.is_empty() {
            object["noise"] = true.into();
            object["seconds"] = self.seconds.into();
        } else {
            object["phrase"] = self.phrase.into();
        }
        object
    }

    fn words(&self) -> String {
        let Self { take, of, .. } = self;
        if self.phrase.is_empty() {
            let seconds = self.seconds;
            format!("be quiet for {seconds:.0} s (piece {take} of {of})")
        } else {
            format!("say \"{}\" (take {take} of {of})", self.phrase)
        }
    }
}

/// What was done, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Takes that are wanted.
    pub(super) wanted: usize,
    /// Takes that were there before.
    pub(super) before: usize,
    /// Takes that were kept now.
    pub(super) kept: usize,
    /// Takes that had to be said again.
    pub(super) again: usize,
    /// Phrases that were given up.
    pub(super) skipped: usize,
}

impl Counts {
    /// Returns how many takes there are now.
    pub(super) fn there(&self) -> usize {
        self.before + self.kept
    }
}

/// Prints.
pub(super) struct Teller {
    json: bool,
    bar: ProgressBar,
}

impl Teller {
    pub(super) fn new(json: bool) -> Self {
        let bar = if json || !io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(u64::from(BAR_DB.unsigned_abs()))
        };
        let style = ProgressStyle::with_template("  {msg:>7} {bar:40} {prefix}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { json, bar }
    }

    /// Says how it goes, before the first take.
    pub(super) fn begin(&self, device: &str) -> Result<(), Failure> {
        let words = format!(
            "listening to {device}. Wait for each line, then say it once. Ctrl+C stops; the same \
             command goes on."
        );
        self.print(json!({"event": "begin", "microphone": device}), &words)
    }

    /// Asks for a take.
    pub(super) fn ask(&self, wish: &Wish<'_>) -> Result<(), Failure> {
        self.bar
            .set_prefix(format!("take {} of {}", wish.take, wish.of));
        self.print(wish.object("ask"), &wish.words())
    }

    /// Shows the loudest sample of the last moment.
    pub(super) fn level(&self, peak: i16) {
        let level_db = decibels(u32::from(peak.unsigned_abs()));
        let place = u64::try_from(level_db + BAR_DB).unwrap_or(0);
        self.bar.set_message(format!("{level_db} dB"));
        self.bar.set_position(place);
    }

    /// Tells of a take that is kept.
    pub(super) fn kept(
        &self,
        wish: &Wish<'_>,
        file: &str,
        samples: usize,
        kept: Kept,
    ) -> Result<(), Failure> {
        let seconds = samples as f64 / pressel_pipeline::limits::RATE_HZ as f64;
        let level_db = kept.level_db;
        let mut object = wish.object("take");
        object["kept"] = true.into();
        object["file"] = file.into();
        object["seconds"] = seconds.into();
        object["level_db"] = level_db.into();
        let words = format!("  kept {file}: {seconds:.2} s, level {level_db} dB");
        self.print(object, &words)
    }

    /// Tells why a take is not kept.
    pub(super) fn again(&self, wish: &Wish<'_>, fault: Fault) -> Result<(), Failure> {
        let mut object = wish.object("take");
        object["kept"] = false.into();
        object["why"] = fault.name().into();
        self.print(object, &format!("  {fault}; once more"))
    }

    /// Tells that a phrase is given up.
    pub(super) fn skip(&self, wish: &Wish<'_>, tries: usize) -> Result<(), Failure> {
        let mut object = wish.object("skipped");
        object["tries"] = tries.into();
        let words = format!("  skipped after {tries} tries; the same command asks for it again");
        self.print(object, &words)
    }

    /// Tells what there is in the end.
    pub(super) fn end(&self, counts: &Counts, manifest: &str) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        let object = json!({
            "event": "summary", "wanted": counts.wanted, "there": counts.there(),
            "kept": counts.kept, "again": counts.again, "skipped": counts.skipped,
            "manifest": manifest,
        });
        let (there, wanted) = (counts.there(), counts.wanted);
        let words = format!("{there} of {wanted} takes are there, listed in {manifest}");
        self.print(object, &words)
    }

    fn print(&self, object: Value, words: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = self.bar.suspend(|| {
            if self.json {
                writeln!(out, "{object}")?;
            } else {
                writeln!(out, "{words}")?;
            }
            out.flush()
        });
        written.map_err(|error| output_failed(&error))
    }
}
