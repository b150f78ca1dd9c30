//! The measurement: rounds in which every engine works once, in another order each time.
//!
//! In: settings with their models. Out: a cell for each number of threads and length of audio. All
//! engines of a cell are alive at once, and only one works; each is pinned to the same cores. The
//! text of each is checked before anything counts.

use std::time::Duration;

use super::driver::{Driver, Heard};
use super::install::Pythons;
use super::machine::Machine;
use super::make::Models;
use super::settings::{Engine, Places, Setting, Window};
use super::statistics::{Shuffler, Spread, median, paired_ratio};
use super::{Folders, Options, Refusals};
use crate::{Fallible, console};

/// Runs of one engine in one round; the first does not count: the caches hold the others' weights.
const RUNS: usize = 4;
/// What sleeping threads of the engine before may still spin.
const PAUSE: Duration = Duration::from_millis(250);
/// The audio at which 30 s and the audio alone are the same window.
const FULL_SECONDS: u32 = 30;

/// Everything that a measurement needs.
pub(crate) struct Bench<'a> {
    pub(crate) folders: &'a Folders,
    pub(crate) pythons: &'a Pythons,
    pub(crate) models: &'a Models,
    pub(crate) machine: &'a Machine,
    pub(crate) options: &'a Options,
}

/// All results for one number of threads and one length of audio.
pub(crate) struct Cell {
    pub(crate) threads: usize,
    pub(crate) seconds: u32,
    /// In the order of the table of settings.
    pub(crate) rows: Vec<Row>,
}

/// The result of one setting. Times in milliseconds, memory in MiB.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) setting: Setting,
    /// What the engine says it is.
    pub(crate) about: String,
    /// The median of each round.
    pub(crate) rounds: Vec<f64>,
    /// Over all runs of all rounds.
    pub(crate) spread: Spread,
    /// Median over the base's median; the base is the cell's first row.
    pub(crate) ratio: f64,
    /// Median of the ratios within the rounds.
    pub(crate) paired: f64,
    /// Loading the model.
    pub(crate) load: f64,
    /// Loading the model and the first transcript.
    pub(crate) first: f64,
    /// The process at its peak.
    pub(crate) peak: f64,
    /// The process before the model was loaded.
    pub(crate) before: f64,
}

/// An engine that is alive, and what it gave.
struct Player {
    setting: Setting,
    driver: Driver,
    first_s: f64,
    rounds: Vec<f64>,
    runs: Vec<f64>,
}

impl Bench<'_> {
    /// Measures all cells.
    ///
    /// # Errors
    /// Nothing yet: an engine that fails is named in `refusals`.
    pub(crate) fn run(&self, chosen: &[Setting], refusals: &mut Refusals) -> Fallible<Vec<Cell>> {
        let chosen = self.present(chosen, refusals);
        let mut cells = Vec::new();
        for &threads in &self.options.threads {
            let Some(cores) = self.machine.cores(threads) else {
                let why = format!("this machine lends {} cores", self.machine.count());
                refusals.push((format!("{threads} threads"), why));
                continue;
            };
            for &seconds in &self.options.seconds {
                cells.push(self.cell(&chosen, threads, seconds, &cores, refusals));
            }
        }
        Ok(cells)
    }

    /// The settings whose programs and models are there.
    fn present(&self, chosen: &[Setting], refusals: &mut Refusals) -> Vec<Setting> {
        let mut there = chosen.to_vec();
        there.retain(|one| {
            let ours = matches!(one.engine, Engine::Pressel | Engine::Stock);
            let why = if !one.model_path(&self.models.folder).exists() {
                "its model was not made"
            } else if one.engine == Engine::WhisperCpp && !self.pythons.built.is_dir() {
                "it was not built"
            } else if ours && self.models.pressel.is_none() {
                "its driver was not built"
            } else {
                return true;
            };
            refusals.push((one.name(), why.into()));
            false
        });
        there
    }

    /// Measures one cell.
    fn cell(
        &self,
        chosen: &[Setting],
        threads: usize,
        seconds: u32,
        cores: &str,
        refusals: &mut Refusals,
    ) -> Cell {
        let place = format!("{threads} threads, {seconds} s");
        let mut players = Vec::new();
        for setting in chosen.iter().filter(|one| is_new(one, chosen, seconds)) {
            console::note(&format!("{place}: {}", setting.name()));
            match self.player(setting, threads, seconds, cores) {
                Ok(player) => players.push(player),
                Err(why) => refusals.push((format!("{}, {place}", setting.name()), why)),
            }
        }
        let mut shuffler = Shuffler::new(self.options.seed);
        let mut order: Vec<usize> = (0..players.len()).collect();
        let wav = self.models.recording(seconds);
        for round in 1..=self.options.rounds {
            console::note(&format!(
                "{place}: round {round} of {}",
                self.options.rounds
            ));
            shuffler.shuffle(&mut order);
            for &at in &order {
                std::thread::sleep(PAUSE);
                let player: &mut Player = &mut players[at];
                let heard = player.driver.run(&wav, RUNS);
                match heard.and_then(|heard| self.check(heard)) {
                    Ok(heard) => player.note(&heard),
                    // Its rounds are no longer those of the others: it is left out below.
                    Err(why) => {
                        refusals.push((format!("{}, {place}", player.setting.name()), why));
                    }
                }
            }
        }
        players.retain(|player| player.rounds.len() == self.options.rounds);
        let rows = rows(&players);
        Cell {
            threads,
            seconds,
            rows,
        }
    }

    /// Starts an engine and hears its first transcript.
    fn player(
        &self,
        setting: &Setting,
        threads: usize,
        seconds: u32,
        cores: &str,
    ) -> Result<Player, String> {
        let places = Places {
            scripts: &self.folders.scripts,
            models: &self.models.folder,
            python: &self.pythons.peers,
            pressel: self.models.pressel.as_deref().unwrap_or(&self.folders.work),
            built: &self.pythons.built,
        };
        let start = setting.start(&places, threads, seconds);
        let log = format!("logs/{}-{threads}-{seconds}.log", setting.name());
        let mut driver = Driver::start(&start, cores, &self.folders.out.join(log))?;
        let heard = self.check(driver.run(&self.models.recording(seconds), 1)?)?;
        Ok(Player {
            setting: *setting,
            first_s: driver.load_s + heard.seconds.iter().sum::<f64>(),
            driver,
            rounds: Vec::new(),
            runs: Vec::new(),
        })
    }

    /// Sees that an engine said the planted text, all of it.
    fn check(&self, heard: Heard) -> Result<Heard, String> {
        if heard.text == self.models.text {
            return Ok(heard);
        }
        let (said, wanted) = (words(&heard.text), words(&self.models.text));
        if self.models.text.starts_with(&heard.text) {
            return Err(format!(
                "said only {said} of {wanted} words: it does less than the others"
            ));
        }
        Err(format!("said another text: `{}`", heard.text))
    }
}

/// Whether a setting does something else than one before it: at 30 s all windows are the same.
fn is_new(setting: &Setting, chosen: &[Setting], seconds: u32) -> bool {
    let same = |other: &Setting| {
        other.engine == setting.engine
            && other.model == setting.model
            && other.way == setting.way
            && other.window != setting.window
            && other.window == Window::Exact
    };
    seconds < FULL_SECONDS || !chosen.iter().any(same)
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

impl Player {
    /// Takes the runs of one round, the first one left out.
    fn note(&mut self, heard: &Heard) {
        let counted: Vec<f64> = heard.seconds.iter().skip(1).map(|s| s * 1e3).collect();
        self.rounds.extend(median(&counted));
        self.runs.extend(counted);
    }
}

/// Makes the rows of a cell; the first one is the base of the ratios.
fn rows(players: &[Player]) -> Vec<Row> {
    let Some(base) = players.first() else {
        return Vec::new();
    };
    let base_median = median(&base.runs).unwrap_or(f64::NAN);
    let row = |player: &Player| {
        let spread = Spread::of(&player.runs)?;
        Some(Row {
            setting: player.setting,
            about: player.driver.about.clone(),
            rounds: player.rounds.clone(),
            spread,
            ratio: spread.median / base_median,
            paired: paired_ratio(&player.rounds, &base.rounds)?,
            load: player.driver.load_s * 1e3,
            first: player.first_s * 1e3,
            peak: player.driver.peak_kib().unwrap_or_default() / 1024.0,
            before: player.driver.before_kib / 1024.0,
        })
    };
    players.iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::settings;
    use super::*;

    #[test]
    fn windows_that_are_the_same_run_once() {
        let check = |only: &str, windows: &[Window], seconds, expected: &[&str]| {
            let chosen = settings::choose(&[only.to_owned()], windows);
            let new = chosen.iter().filter(|one| is_new(one, &chosen, seconds));
            let names: Vec<String> = new.map(Setting::name).collect();
            assert_eq!(names, expected);
        };
        let both = [Window::Exact, Window::Full];
        check(
            "pressel-int8",
            &both,
            4,
            &["pressel-int8-exact", "pressel-int8-full"],
        );
        check("pressel-int8", &both, 30, &["pressel-int8-exact"]);
        check("pressel-int8", &[Window::Full], 30, &["pressel-int8-full"]);
        check("stock-int8", &both, 30, &["stock-int8-full"]);
    }
}
