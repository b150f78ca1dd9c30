//! What was measured, as a table for people, Markdown for papers and JSON for programs.
//!
//! In: cells and reasons. Out: lines on stdout, `peers.md`, `peers.json` and `peers.svg`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::machine::Machine;
use super::rounds::{Cell, Row};
use super::settings::{Engine, Window};
use super::{Options, Refusals, cannot_write, plot};
use crate::{Fallible, console};

/// All that a run of the bench found.
pub(crate) struct Results<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) options: &'a Options,
    pub(crate) cells: &'a [Cell],
    /// What could not be run, and why.
    pub(crate) refusals: &'a Refusals,
    pub(crate) elapsed: Duration,
}

/// The model of ours that speaks for us: what `pressel models prepare` makes by default.
const BY_DEFAULT: &str = "4bit-head";

/// Columns of the tables, the name first.
const COLUMNS: [&str; 11] = [
    "setting",
    "median ms",
    "quartiles ms",
    "min-max ms",
    "ratio",
    "in rounds",
    "CPU ms",
    "peak MiB",
    "before model MiB",
    "load ms",
    "first text ms",
];

impl Results<'_> {
    /// Writes the three files.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Fallible<()> {
        let files = [
            ("peers.md", self.markdown()),
            ("peers.json", format!("{:#}\n", self.json())),
            ("peers.svg", plot::draw(&self.title(), self.cells)),
        ];
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|error| cannot_write(&path, &error))?;
        }
        Ok(())
    }

    /// Prints the table, or the JSON.
    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            console::pass_on(&format!("{:#}", self.json()));
        } else {
            self.text().lines().for_each(console::pass_on);
        }
    }

    /// What was run, in one line.
    fn title(&self) -> String {
        let Options { tokens, rounds, .. } = self.options;
        format!(
            "Whisper tiny.en shape, random weights, {tokens} tokens, {rounds} rounds; {}",
            self.machine.processor
        )
    }

    /// The tables for a terminal: columns under each other.
    fn text(&self) -> String {
        let mut text = format!("{}\n", self.title());
        for cell in self.cells {
            writeln!(text, "\n{}", cell.title()).ok();
            let lines: Vec<Vec<String>> = std::iter::once(COLUMNS.map(str::to_owned).to_vec())
                .chain(cell.rows.iter().map(|row| columns(row).to_vec()))
                .collect();
            let width = |column: usize| lines.iter().map(|line| line[column].len()).max();
            let widths: Vec<usize> = (0..COLUMNS.len()).filter_map(width).collect();
            for line in &lines {
                let (name, rest) = (&line[0], line.iter().zip(&widths).skip(1));
                write!(text, "  {name:<0$}", widths[0]).ok();
                rest.for_each(|(word, &width)| {
                    write!(text, "  {word:>width$}").ok();
                });
                text.push('\n');
            }
            cell.verdicts().iter().for_each(|line| {
                writeln!(text, "  {line}").ok();
            });
        }
        text + &self.not_run("  ") + &format!("\n{}\n", self.time())
    }

    fn markdown(&self) -> String {
        let mut text = format!("# Benchmark of peers\n\n{}\n", self.title());
        for cell in self.cells {
            write!(text, "\n## {}\n\n", cell.title()).ok();
            let rule = format!("|---|{}", "---:|".repeat(COLUMNS.len() - 1));
            write!(text, "| {} |\n{rule}\n", COLUMNS.join(" | ")).ok();
            for row in &cell.rows {
                writeln!(text, "| {} |", columns(row).join(" | ")).ok();
            }
            text.push('\n');
            for line in cell.verdicts() {
                writeln!(text, "- {line}").ok();
            }
        }
        text + &self.not_run("- ") + &format!("\n{}\n", self.time())
    }

    /// The lines about what could not be run.
    fn not_run(&self, before: &str) -> String {
        let mut text = String::new();
        if !self.refusals.is_empty() {
            text.push_str("\nCould not be run:\n");
        }
        for (name, why) in self.refusals {
            writeln!(text, "{before}{name}: {why}").ok();
        }
        text
    }

    fn time(&self) -> String {
        format!("All of it took {}.", console::time(self.elapsed))
    }

    fn json(&self) -> Value {
        let refusals = self
            .refusals
            .iter()
            .map(|(name, why)| json!({"name": name, "why": why}));
        json!({
            "title": self.title(),
            "processor": self.machine.processor,
            "cores": self.machine.count(),
            "tokens": self.options.tokens,
            "rounds": self.options.rounds,
            "seed": self.options.seed,
            "elapsed_s": self.elapsed.as_secs(),
            "cells": self.cells.iter().map(Cell::json).collect::<Vec<_>>(),
            "not_run": refusals.collect::<Vec<_>>(),
        })
    }
}

/// The words of one row of a table.
fn columns(row: &Row) -> [String; COLUMNS.len()] {
    let spread = &row.spread;
    [
        row.setting.name(),
        format!("{:.1}", spread.median),
        format!("{:.1}-{:.1}", spread.low, spread.high),
        format!("{:.1}-{:.1}", spread.least, spread.most),
        format!("{:.2}", row.ratio),
        format!("{:.2}", row.paired),
        format!("{:.1}", row.work),
        format!("{:.0}", row.peak),
        format!("{:.0}", row.before),
        format!("{:.0}", row.load),
        format!("{:.0}", row.first),
    ]
}

impl Cell {
    /// Threads and length in words, and what the ratios are relative to.
    pub(crate) fn title(&self) -> String {
        let threads = if self.threads == 1 {
            "1 thread"
        } else {
            &format!("{} threads", self.threads)
        };
        let base = self.rows.first().map_or_else(String::new, |row| {
            format!(" (ratios to {})", row.setting.name())
        });
        format!("{threads}, {} s of audio{base}", self.seconds)
    }

    /// The fastest row of one engine with one window.
    fn best(&self, engines: &[Engine], window: Window) -> Option<&Row> {
        let rows = self
            .rows
            .iter()
            .filter(|row| engines.contains(&row.setting.engine) && row.setting.window == window);
        rows.min_by(|a, b| a.spread.median.total_cmp(&b.spread.median))
    }

    /// The comparisons that the goals are about: peers at their fastest, the same window.
    fn verdicts(&self) -> Vec<String> {
        use Engine::{CTranslate2, Pressel, Sherpa, Stock, WhisperCpp, WhisperCppWheel};
        let whisper_cpp: &[Engine] = &[WhisperCpp, WhisperCppWheel];
        let peers: [(&str, &[Engine], Window); 7] = [
            ("whisper.cpp", whisper_cpp, Window::Exact),
            ("CTranslate2", &[CTranslate2], Window::Exact),
            ("sherpa-onnx", &[Sherpa], Window::Exact),
            ("whisper.cpp", whisper_cpp, Window::Safe),
            ("whisper.cpp", whisper_cpp, Window::Full),
            ("faster-whisper", &[CTranslate2], Window::Full),
            ("stock export", &[Stock], Window::Full),
        ];
        let line = |(name, engines, window): (&str, &[Engine], Window)| {
            let peer = self.best(engines, window)?;
            // The stock export always hears 30 s; ours then hears the audio alone.
            let own = if engines == [Stock] {
                Window::Exact
            } else {
                window
            };
            let own = self.rows.iter().find(|row| {
                let one = row.setting;
                one.engine == Pressel && one.model == BY_DEFAULT && one.window == own
            })?;
            let times = peer.spread.median / own.spread.median;
            let (ours, theirs) = (own.setting.name(), peer.setting.name());
            let work = peer.work / own.work;
            Some(format!(
                "{ours} is {times:.2} times as fast as the best {name}, {theirs} ({work:.2} by CPU)"
            ))
        };
        peers.into_iter().filter_map(line).collect()
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let spread = &row.spread;
            json!({
                "name": row.setting.name(),
                "engine": row.setting.engine_name(),
                "about": row.about,
                "window_positions": row.setting.window.positions(self.seconds),
                "median_ms": spread.median,
                "quartiles_ms": [spread.low, spread.high],
                "min_max_ms": [spread.least, spread.most],
                "rounds_ms": row.rounds,
                "ratio": row.ratio,
                "ratio_in_rounds": row.paired,
                "cpu_ms": row.work,
                "peak_mib": row.peak,
                "before_model_mib": row.before,
                "load_ms": row.load,
                "first_text_ms": row.first,
            })
        });
        json!({
            "threads": self.threads,
            "seconds": self.seconds,
            "rows": rows.collect::<Vec<_>>(),
            "comparisons": self.verdicts(),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::settings;
    use super::super::statistics::Spread;
    use super::*;

    /// A cell in which each setting takes as many milliseconds as is said.
    pub(in super::super) fn cell(times: &[(&str, f64)]) -> Cell {
        let row = |&(name, time): &(&str, f64)| Row {
            setting: settings::all().find(|one| one.name() == name).unwrap(),
            about: "a <test> & more".into(),
            rounds: vec![time],
            spread: Spread::of(&[0.9 * time, time, 1.1 * time]).unwrap(),
            ratio: time / times[0].1,
            paired: time / times[0].1,
            work: time,
            load: 1.0,
            first: 2.0,
            peak: 3.0,
            before: 4.0,
        };
        Cell {
            threads: 1,
            seconds: 4,
            rows: times.iter().map(row).collect(),
        }
    }

    #[test]
    fn the_best_peer_at_the_same_window_counts() {
        let found = cell(&[
            ("pressel-4bit-head-exact", 40.0),
            ("stock-hub-full", 400.0),
            ("whisper.cpp-q8_0-exact", 120.0),
            ("whisper.cpp-wheel-q4_0-exact", 100.0),
            ("ctranslate2-int8-faster-whisper-full", 30.0),
        ]);
        let expected = [
            "pressel-4bit-head-exact is 2.50 times as fast as the best whisper.cpp, \
             whisper.cpp-wheel-q4_0-exact (2.50 by CPU)",
            "pressel-4bit-head-exact is 10.00 times as fast as the best stock export, \
             stock-hub-full (10.00 by CPU)",
        ];
        assert_eq!(found.verdicts(), expected);
        assert!(cell(&[("stock-hub-full", 400.0)]).verdicts().is_empty());
    }

    #[test]
    fn columns_stand_under_each_other() {
        let row = &cell(&[("pressel-4bit-head-exact", 40.0)]).rows[0];
        let [name, median, quartiles, least_most, ratio, ..] = columns(row);
        let found = [name, median, quartiles, least_most, ratio];
        assert_eq!(
            found,
            [
                "pressel-4bit-head-exact",
                "40.0",
                "38.0-42.0",
                "36.0-44.0",
                "1.00"
            ]
        );
    }
}
