//! `cargo xtask bench peers`: this recogniser and its peers, on the same weights and audio.
//!
//! In: what to run. Out: a table on stdout, `peers.md`, `peers.json` and `peers.svg` in a folder,
//! and a line for each thing that could not be run. Installs, converts and builds what it needs
//! under `target/bench`. One engine works at a time; progress goes to stderr. Nothing here asserts
//! a time.

mod driver;
mod install;
mod machine;
mod make;
mod plot;
mod report;
mod rounds;
mod settings;
mod statistics;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use crate::{Fallible, console, fetch, packages};
use settings::Window;

/// Examples and what to expect, for the help text.
pub(crate) const HELP: &str = "\
Examples:
  cargo xtask bench peers              everything, both thread counts, all lengths: half an hour
  cargo xtask bench peers --threads 1 --seconds 4 --rounds 15
                                       the one comparison that the goals are about
  cargo xtask bench peers --only pressel,whisper.cpp --windows exact
                                       names begin with one of these
  cargo xtask bench peers --list       the names
  cargo xtask bench peers --json       the same as one JSON document on stdout

All engines get the same random weights in the shape of Whisper tiny.en, made so that ordinary
greedy decoding says a text of --tokens tokens; a setting that says another text is left out and
named. Leave the machine alone while it runs. Stock exports and sherpa-onnx's model need torch,
transformers and optimum: they are taken from the Python in PRESSEL_BENCH_PYTHON, or installed
(gigabytes). cross/bench/README.md says more.";

/// What to run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Print the results as JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Print the names of all settings, and end
    #[arg(long)]
    list: bool,
    /// Rounds; each runs every engine once, in another order
    #[arg(long, value_name = "N", default_value_t = 9)]
    rounds: usize,
    /// Threads, and cores that an engine may use
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<usize>,
    /// Lengths of the audio, 1 to 30 seconds
    #[arg(long, value_name = "S,...", value_delimiter = ',', default_values_t = [2, 4, 10, 30],
          value_parser = clap::value_parser!(u32).range(1..=30))]
    seconds: Vec<u32>,
    /// Tokens of text that every engine must say
    #[arg(long, value_name = "N", default_value_t = 24,
          value_parser = clap::value_parser!(u32).range(1..=48))]
    tokens: u32,
    /// Windows of the encoder: the audio alone, stock Whisper's safe short window, 30 s
    #[arg(long, value_name = "KIND,...", value_delimiter = ',', value_enum,
          default_values_t = [Window::Exact, Window::Full])]
    windows: Vec<Window>,
    /// Only settings whose name begins with one of these
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    only: Vec<String>,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of the order within the rounds
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

/// What could not be run, in words: the name of what it concerns, and why.
type Refusals = Vec<(String, String)>;

/// Where everything of the bench lies.
struct Folders {
    /// The Python programs.
    scripts: PathBuf,
    /// Environments and models: `target/bench`.
    work: PathBuf,
    /// Results and the engines' own messages.
    out: PathBuf,
}

/// Runs the comparison.
///
/// # Errors
/// Nothing at all could be run, or the results cannot be written.
pub(crate) fn run(options: &Options) -> Fallible<()> {
    let chosen = settings::choose(&options.only, &options.windows);
    if options.list {
        settings::all().for_each(|one| console::pass_on(&one.line()));
        return Ok(());
    }
    if chosen.is_empty() {
        return Err("--only and --windows leave nothing: --list prints the names".into());
    }
    if options.rounds == 0 || options.threads.contains(&0) {
        return Err("--rounds and --threads are 1 or more".into());
    }
    let start = Instant::now();
    let work = crate::root().join("target/bench");
    let folders = Folders {
        scripts: crate::root().join("cross/bench"),
        out: options.out.clone().unwrap_or_else(|| work.join("results")),
        work,
    };
    for folder in [&folders.work, &folders.out.join("logs")] {
        fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    }
    packages::require(packages::FOR_BUILD)?;
    fetch::run(fetch::Arch::of_this_machine()?, &crate::fetched_folder())?;
    let mut refusals = Refusals::new();
    let pythons = install::run(&folders, &chosen, &mut refusals)?;
    let models = make::run(&folders, &pythons, options, &chosen, &mut refusals)?;
    let machine = machine::Machine::look();
    machine
        .warnings()
        .iter()
        .for_each(|line| console::warn(line));
    let bench = rounds::Bench {
        folders: &folders,
        pythons: &pythons,
        models: &models,
        machine: &machine,
        options,
    };
    let cells = bench.run(&chosen, &mut refusals)?;
    if cells.iter().all(|cell| cell.rows.is_empty()) {
        let reasons = refusals.iter().map(|(name, why)| format!("{name}: {why}"));
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        return Err(format!("nothing could be run: {reasons}"));
    }
    let results = report::Results {
        machine: &machine,
        options,
        cells: &cells,
        refusals: &refusals,
        elapsed: start.elapsed(),
    };
    results.write(&folders.out)?;
    results.print(options.json);
    let where_to = folders.out.display();
    console::note(&format!(
        "peers.md, peers.json and peers.svg are in {where_to}"
    ));
    Ok(())
}

/// The error of a file that cannot be written.
fn cannot_write(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}
