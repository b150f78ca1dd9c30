//! What can be typed to reach the running appliance: `status` and `jobs`.
//!
//! Part of the command line, see the file above.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// How the running appliance is reached.
#[derive(Clone, Debug, Default, Args)]
pub struct ControlArguments {
    /// Print one JSON object
    #[arg(long, global = true)]
    pub json: bool,
    /// Socket of the appliance [default: the configuration's control_socket]
    #[arg(long, value_name = "PATH", global = true)]
    pub socket: Option<PathBuf>,
    /// Configuration file [default: /etc/pressel/pressel.toml, if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
}

/// Options of `status`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  pressel status\n  pressel status --json | jq .counters\n  \
                        pressel status --socket /tmp/board/control   a simulated board\n\n\
                        What was said last is shown, too: the socket is for the owner and the \
                        group of the appliance only.\nExit code 3: no appliance runs there."
)]
pub struct StatusArguments {
    /// How it is reached.
    #[command(flatten)]
    pub control: ControlArguments,
}

/// Options of `jobs`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  pressel jobs add talk.mp3 day.wav     both, one after the other\n  \
                  pressel jobs add --wait talk.mp3      and wait for its results\n  \
                  pressel jobs list\n  pressel jobs cancel 3\n  pressel jobs retry 3\n\n\
                  The results are written beside each recording, as json, txt and srt.\n\
                  Exit code 1: a job failed or was refused, 3: no appliance runs, 5: no such file."
)]
pub struct JobsArguments {
    /// How it is reached.
    #[command(flatten)]
    pub control: ControlArguments,
    /// What to do.
    #[command(subcommand)]
    pub command: JobsCommand,
}

/// What can be done with jobs.
#[derive(Clone, Debug, Subcommand)]
pub enum JobsCommand {
    /// Have recordings transcribed.
    #[command(after_help = "Examples:\n  pressel jobs add talk.mp3\n  \
                            pressel jobs add --wait *.wav    Ctrl+C ends the wait, not the jobs")]
    Add {
        /// WAV, FLAC, MP3 or OGG files of any length
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Wait until they are done; exit with 1 when one failed
        #[arg(long)]
        wait: bool,
    },
    /// Show all jobs.
    #[command(after_help = "Example:\n  pressel jobs list --json")]
    List,
    /// End jobs that are not done.
    #[command(after_help = "Example:\n  pressel jobs cancel 3")]
    Cancel {
        /// Numbers, as `list` shows them
        #[arg(required = true, value_name = "NUMBER")]
        numbers: Vec<u32>,
    },
    /// Go on with failed, cancelled or quarantined jobs.
    #[command(after_help = "Example:\n  pressel jobs retry 3")]
    Retry {
        /// Numbers, as `list` shows them
        #[arg(required = true, value_name = "NUMBER")]
        numbers: Vec<u32>,
    },
}
