//! A model file that cannot be used: which one, why, and what to do.
//!
//! Made at start-up only, on whatever thread loads the model. Each text is one line.

use core::fmt;
use std::path::PathBuf;

/// Why a model was not loaded. The caller shows the text and ends with the code for models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// A file is not there or cannot be read.
    Missing {
        /// The file or folder that was looked for.
        file: PathBuf,
        /// What the user does about it.
        remedy: &'static str,
    },
    /// A JSON file is broken or lacks a key.
    Json {
        /// The file.
        file: PathBuf,
        /// What the parser said, with line and column.
        problem: String,
    },
    /// A value in a JSON file does not fit the rest of the model.
    Config {
        /// The file.
        file: PathBuf,
        /// The key.
        key: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
    /// ONNX Runtime refuses the file: truncated, damaged, or not an ONNX model.
    Onnx {
        /// The file.
        file: PathBuf,
        /// What ONNX Runtime said.
        problem: String,
    },
    /// The file is an ONNX model of another kind: a tensor is missing or has another shape.
    Tensor {
        /// The file.
        file: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The model is well, but not for what it was asked for.
    Cannot {
        /// The model's folder.
        model: PathBuf,
        /// What it does not know, and what it does.
        problem: String,
    },
    /// The execution provider that was asked for cannot run here.
    Provider {
        /// `cuda`.
        name: &'static str,
        /// What ONNX Runtime said.
        problem: String,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { file, remedy } => {
                write!(f, "model file {} is missing: {remedy}", file.display())
            }
            Self::Json { file, problem } => {
                let file = file.display();
                write!(
                    f,
                    "model file {file} is not usable: {problem}; fetch the model again"
                )
            }
            Self::Config { file, key, problem } => {
                let file = file.display();
                write!(
                    f,
                    "model file {file}: {key} {problem}; take all files from one export"
                )
            }
            Self::Onnx { file, problem } => write!(
                f,
                "model file {} is damaged or no ONNX model ({problem}); fetch the model again",
                file.display()
            ),
            Self::Tensor {
                file,
                name,
                problem,
            } => {
                write!(f, "model file {}: tensor {name} {problem}", file.display())
            }
            Self::Cannot { model, problem } => write!(f, "model {}: {problem}", model.display()),
            Self::Provider { name, problem } => write!(
                f,
                "execution provider {name} cannot run here ({problem}); set the provider to cpu, \
                 or point ORT_DYLIB_PATH at an ONNX Runtime built for {name}"
            ),
        }
    }
}
impl core::error::Error for LoadError {}

/// Puts a foreign message on one line, so that each error stays one line in a log.
#[cfg(feature = "ort")]
pub(crate) fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
