//! Why a model was not prepared: which file, and what to do.
//!
//! Made on the thread that prepares a model. Each text is one line.

use core::fmt;
use std::path::PathBuf;

use crate::LoadError;

/// Why a model was not prepared. Nothing is left behind then.
#[derive(Clone, Debug, PartialEq)]
pub enum PrepareError {
    /// A file of the source is missing, broken, or not that of a Whisper. Recovery: fetch it again.
    Source(LoadError),
    /// The source's weights are not there in fp32. Recovery: take the fp32 export.
    Quantized {
        /// The file.
        file: PathBuf,
    },
    /// The target is there already, or another process writes it, or it cannot be made.
    Target {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A file of the target cannot be written. Recovery: make room.
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// The prepared graphs do not run. Recovery: tell us; use the stock files.
    Check {
        /// What happened.
        problem: String,
    },
    /// The prepared graphs do not say what the stock graphs say. Recovery: as above.
    Disagrees {
        /// How alike the logits are: 1 is equal, 0 is unrelated.
        likeness: f32,
        /// What is wanted at least.
        least: f32,
    },
    /// The caller asked to stop.
    Cancelled,
}

impl From<LoadError> for PrepareError {
    fn from(error: LoadError) -> Self {
        Self::Source(error)
    }
}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Quantized { file } => write!(
                f,
                "model file {} holds quantized weights that cannot be converted: take the fp32 \
                 export (encoder_model.onnx and decoder_model_merged.onnx)",
                file.display()
            ),
            Self::Target { folder, problem } => {
                write!(f, "folder {} {problem}", folder.display())
            }
            Self::Write { file, problem } => write!(
                f,
                "file {} cannot be written ({problem}): check the disk",
                file.display()
            ),
            Self::Check { problem } => write!(
                f,
                "the prepared model does not run ({problem}): use the stock files as they are"
            ),
            Self::Disagrees { likeness, least } => write!(
                f,
                "the prepared model does not say what the stock model says (likeness \
                 {likeness:.4}, at least {least} is wanted): use the stock files as they are"
            ),
            Self::Cancelled => f.write_str("stopped as asked: nothing was written"),
        }
    }
}
impl core::error::Error for PrepareError {}
