//! `pressel models prepare`: a stock Whisper export becomes the graphs that run fastest here.
//!
//! A folder in, a folder out. On the terminal's thread; the appliance need not run. Asked to end,
//! it leaves nothing behind.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use pressel_models::prepare::{self, Options, PrepareError, Progress, Stage, Summary};
use pressel_models::{Runtime, places};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::{Failure, Kind};

/// Options of `models prepare`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  pressel models prepare downloads/whisper-base.en models/base.en\n  \
                  pressel models prepare --head 8bit whisper-tiny tiny    the head as the rest\n\n\
                  SOURCE is an export by optimum in fp32: config.json, generation_config.json, \
                  tokenizer.json,\nencoder_model.onnx and decoder_model_merged.onnx (or \
                  decoder_model.onnx), also in onnx/.\nThe result is compared with the source \
                  before it gets its name.\n\
                  Exit codes: 1 stopped, 2 TARGET is there already, 4 not such an export, 5 disk."
)]
pub struct PrepareArguments {
    /// Folder of the export
    #[arg(value_name = "SOURCE")]
    pub source: PathBuf,
    /// Folder that is made
    #[arg(value_name = "TARGET")]
    pub target: PathBuf,
    /// Bits of the matrix that chooses tokens
    #[arg(
        long,
        value_name = "BITS",
        default_value = "4bit",
        conflicts_with = "fp32"
    )]
    pub head: Head,
    /// Keep all weights in fp32: large and slow, for comparisons
    #[arg(long)]
    pub fp32: bool,
    /// Replace TARGET if it is there
    #[arg(long)]
    pub replace: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Bits of the matrix that chooses tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Head {
    /// As all other matrices.
    #[value(name = "8bit")]
    EightBit,
    /// Half the memory and faster; the best candidates are computed exactly.
    #[value(name = "4bit")]
    FourBit,
}

impl Head {
    /// Returns what the preparation calls it.
    #[must_use]
    pub fn bits(self) -> prepare::Head {
        match self {
            Self::EightBit => prepare::Head::EightBit,
            Self::FourBit => prepare::Head::FourBit,
        }
    }
}

/// Prepares the model and says what was made.
///
/// # Errors
/// [`Failure`] that names the file and what to do.
pub fn prepare(arguments: &PrepareArguments) -> Result<(), Failure> {
    let asked = crate::cli::asked_to_end(&[SIGINT, SIGTERM])?;
    let options = Options {
        head: arguments.head.bits(),
        fp32: arguments.fp32,
        replace: arguments.replace,
    };
    let runtime = Runtime::load(&places::onnx_runtime_candidates());
    let runtime = runtime.map_err(|error| Failure::new(Kind::Model, error))?;
    let bar = Bar::new();
    let mut tell = |progress: Progress| {
        bar.show(progress);
        if asked.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let (source, target) = (&arguments.source, &arguments.target);
    let made = prepare::prepare(source, target, &options, Some(&runtime), &mut tell);
    bar.0.finish_and_clear();
    let summary = made.map_err(|error| failure(&error))?;
    let text = if arguments.json {
        told_as_json(arguments, &summary)
    } else {
        told(arguments, &summary)
    };
    let printed = io::stdout().lock().write_all(text.as_bytes());
    printed.map_err(|error| crate::cli::output_failed(&error))
}

/// Returns the failure, with the exit code that fits.
#[must_use]
pub fn failure(error: &PrepareError) -> Failure {
    let kind = match error {
        PrepareError::Cancelled => Kind::Result,
        PrepareError::Target { .. } => Kind::Usage,
        PrepareError::Write { .. } => Kind::Disk,
        PrepareError::Source(_)
        | PrepareError::Quantized { .. }
        | PrepareError::Check { .. }
        | PrepareError::Disagrees { .. } => Kind::Model,
    };
    Failure::new(kind, error)
}

fn told(arguments: &PrepareArguments, summary: &Summary) -> String {
    let target = arguments.target.display();
    let mebibytes = (summary.encoder_bytes + summary.decoder_bytes) >> 20;
    let mut text = format!("{target} is ready ({mebibytes} MiB)");
    // Writing into a string cannot fail.
    match (&summary.likeness, &summary.not_compared) {
        (Some(likeness), _) => write!(text, ", its likeness to the export is {likeness:.4}").ok(),
        (None, Some(why)) => write!(text, ", not compared with the export ({why})").ok(),
        (None, None) => None,
    };
    text.push('\n');
    text
}

fn told_as_json(arguments: &PrepareArguments, summary: &Summary) -> String {
    let object = json!({
        "target": arguments.target,
        "encoder_bytes": summary.encoder_bytes,
        "decoder_bytes": summary.decoder_bytes,
        "likeness": summary.likeness,
        "not_compared": summary.not_compared,
    });
    format!("{object}\n")
}

/// Progress on a terminal, nothing elsewhere.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(1);
        if let Ok(style) = ProgressStyle::with_template("{msg:22} {wide_bar} {percent:>3}%") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    fn show(&self, progress: Progress) {
        self.0.set_message(match progress.stage {
            Stage::Reading => "reading",
            Stage::Encoder => "preparing the encoder",
            Stage::Decoder => "preparing the decoder",
            Stage::Checking => "comparing",
        });
        self.0.set_length(progress.total.max(1));
        self.0.set_position(progress.done);
    }
}
