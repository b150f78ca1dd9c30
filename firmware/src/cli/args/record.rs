//! What can be typed to record phrases: `record`.
//!
//! Part of the command line, see the file above.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::BoardArguments;

/// Options of `record`.
#[derive(Clone, Debug, Args)]
#[command(
    group = ArgGroup::new("what").required(true).multiple(true)
        .args(["phrase", "phrases", "noise"]),
    after_help = "Each phrase is shown, said and kept, take for take. Ctrl+C stops; the same \
                  command goes on with what is missing.\n\n\
                  Examples:\n  \
                  pressel record --out mine --phrases commands.txt\n  \
                  pressel record --out mine --wake --phrase \"hey pressel\" --takes 20\n  \
                  pressel record --out mine --speaker ann --phrase stop --noise 30\n  \
                  pressel evaluate words --manifest mine/manifest.csv\n\n\
                  Where no board is named, configured or found, this computer's microphone \
                  (`default`) is used.\n\
                  Exit code 1: stopped before the last take, or phrases were skipped."
)]
pub struct RecordArguments {
    /// Folder of the recordings and their manifest.csv; made when it is not there
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// What to say; several times for several phrases
    #[arg(long, value_name = "TEXT")]
    pub phrase: Vec<String>,
    /// A file of phrases: one a line, # for remarks
    #[arg(long, value_name = "FILE")]
    pub phrases: Option<PathBuf>,
    /// The phrases are wake words
    #[arg(long)]
    pub wake: bool,
    /// Who speaks; each person needs another name
    #[arg(long, value_name = "NAME", default_value = "me")]
    pub speaker: String,
    /// How often each phrase is wanted
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = counts(99))]
    pub takes: u32,
    /// What others may do with the recordings, for the manifest
    #[arg(long, value_name = "TEXT", default_value = "own recording")]
    pub licence: String,
    /// Seconds of the room without speech that are wanted
    #[arg(long, value_name = "SECONDS", value_parser = counts(600))]
    pub noise: Option<u32>,
    /// Configuration file [default: /etc/pressel/pressel.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Whose microphone it is.
    #[command(flatten)]
    pub place: BoardArguments,
    /// Print one JSON object for each event, and no bar
    #[arg(long)]
    pub json: bool,
}

/// Returns what an option takes that counts from 1.
fn counts(most: i64) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=most)
}
