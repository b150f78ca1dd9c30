//! How far a long work on files is: a bar on a terminal, a line now and then elsewhere.
//!
//! Bytes in, standard error out, on the thread of the command.

use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};

/// Percents between two lines.
const LINE_PERCENT: u64 = 10;

/// A bar, or lines.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    what: String,
    total: u64,
    /// Percents that the last line told.
    told: u64,
}

impl Progress {
    /// Begins without a total.
    pub(super) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(ProgressBar::no_length);
        Self {
            bar,
            what: String::new(),
            total: 0,
            told: 0,
        }
    }

    /// Begins a work of so many bytes.
    pub(super) fn begin(&mut self, what: &str, total: u64) {
        (self.total, self.told) = (total, 0);
        if let Some(bar) = &self.bar {
            let template = "{msg} {wide_bar} {percent:>3}% {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_length(total);
            bar.reset_eta();
        }
        self.name(what);
    }

    /// Says what is at work now.
    pub(super) fn name(&mut self, what: &str) {
        if self.what == what {
            return;
        }
        what.clone_into(&mut self.what);
        match &self.bar {
            Some(bar) => bar.set_message(self.what.clone()),
            None => say(what),
        }
    }

    /// Tells how many bytes are done.
    pub(super) fn at(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
            return;
        }
        let percent = bytes.saturating_mul(100).checked_div(self.total);
        let percent = percent.unwrap_or(0).min(100) / LINE_PERCENT * LINE_PERCENT;
        // It goes back where something is begun anew.
        if self.told < percent {
            say(&format!("{}: {percent} %", self.what));
        }
        self.told = percent;
    }

    /// Takes the bar away.
    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

/// Prints a line for people; nobody who reads it is fine.
fn say(line: &str) {
    writeln!(io::stderr(), "{line}").ok();
}
