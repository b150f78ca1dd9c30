//! What can be typed about speech models: `models fetch`, `list`, `verify` and `remove`.
//!
//! Part of the command line, see the file above.

#[cfg(feature = "fetch")]
use std::path::PathBuf;

use clap::{Args, Subcommand};

#[cfg(feature = "fetch")]
use crate::cli::models::prepare::Head;
use crate::cli::models::prepare::PrepareArguments;

/// Options of `models`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  pressel models list\n  pressel models fetch whisper-base.en\n  \
                  pressel transcribe --model whisper-base.en note.wav\n  \
                  pressel models verify\n  pressel models remove whisper-base.en\n\n\
                  Fetched models lie in ~/.local/share/pressel/models, root's in \
                  /var/lib/pressel/models;\nthe configuration's model.name finds them there."
)]
pub struct ModelsArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: ModelsCommand,
}

/// What can be done with models.
#[derive(Clone, Debug, Subcommand)]
pub enum ModelsCommand {
    /// Fetch a model from a hub, and turn it into the graphs that run fastest here.
    #[cfg(feature = "fetch")]
    Fetch(FetchArguments),
    /// Turn a stock Whisper export into the graphs that run fastest here.
    Prepare(PrepareArguments),
    /// Show the models that are here, and the names that can be fetched.
    #[command(after_help = "Example:\n  pressel models list --json")]
    List {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Compare fetched models with their lock files, byte by byte.
    #[command(after_help = "Examples:\n  pressel models verify\n  \
                      pressel models verify whisper-base.en\n\n\
                      Exit code 4: a file is missing, changed or extra.")]
    Verify {
        /// Name, or folder with a / in it [default: all fetched ones]
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Remove a fetched model, or what an unfinished fetch has left.
    #[command(after_help = "Example:\n  pressel models remove whisper-base.en --yes")]
    Remove {
        /// Name, or folder with a / in it
        #[arg(value_name = "NAME")]
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Options of `models fetch`.
#[cfg(feature = "fetch")]
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  pressel models fetch whisper-base.en\n  \
                  pressel models fetch me/my-whisper --revision v2\n  \
                  pressel models fetch mine --from me/my-whisper --to ./mine\n\n\
                  A fetch that was cut off goes on where it was: run it again.\n\
                  Variables: PRESSEL_HUB another hub, HF_TOKEN a token for it, HTTPS_PROXY a \
                  proxy,\nSSL_CERT_FILE certificates to trust instead of the usual ones.\n\
                  Exit codes: 1 stopped, 2 no such model, 3 network, 4 wrong files, 5 disk.")]
pub struct FetchArguments {
    /// A name that `pressel models list` shows, or a repository as owner/name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Fetch from this repository, and call the model NAME
    #[arg(long, value_name = "OWNER/NAME")]
    pub from: Option<String>,
    /// Branch, tag or commit
    #[arg(long, value_name = "REVISION", default_value = "main")]
    pub revision: String,
    /// Address of the hub [default: PRESSEL_HUB, or <https://huggingface.co>]
    #[arg(long, value_name = "ADDRESS")]
    pub hub: Option<String>,
    /// The model's folder [default: NAME in the user's home of models, for root in the system's]
    #[arg(long, value_name = "FOLDER")]
    pub to: Option<PathBuf>,
    /// Keep the hub's own files: they run as they are, slower
    #[arg(long, conflicts_with = "head")]
    pub raw: bool,
    /// Bits of the matrix that chooses tokens
    #[arg(long, value_name = "BITS", default_value = "4bit")]
    pub head: Head,
    /// Print one JSON object at the end
    #[arg(long)]
    pub json: bool,
}
