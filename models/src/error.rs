//! What can go wrong with a model, and what the caller does next.
//!
//! Flow: ONNX Runtime's texts -> [`classify`] -> [`ModelError`] while a model runs; a file and its
//! fault -> [`LoadError`] while it is loaded. Foreign errors end here and go no further.

use core::fmt;

mod classify;
mod load;

pub use classify::classify;
pub use load::LoadError;
#[cfg(feature = "ort")]
pub(crate) use load::one_line;

/// What went wrong in a model call, by what the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelError {
    /// The caller asked to stop. Recovery: none needed, the work may be done again later.
    Cancelled,
    /// The input is not what the model can hear (longer than its window). Recovery: cut it; the
    /// model is well.
    BadInput,
    /// The run failed in a way that may pass. Recovery: run once more, then treat as `Reload`.
    Transient,
    /// The session is not to be trusted any more (out of memory, wrong shape). Recovery: drop the
    /// sessions and load them again.
    Reload,
    /// The device's context is broken (CUDA illegal address and its family). Recovery: end this
    /// process and start another; results from now on are not to be trusted.
    Sticky,
    /// The answer is not what a model of this kind gives (NaN, wrong shape). Recovery: report it;
    /// the input or the model is at fault.
    BadOutput,
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancelled => "cancelled",
            Self::BadInput => "input is longer than the model can hear",
            Self::Transient => "transient fault",
            Self::Reload => "session must be loaded again",
            Self::Sticky => "device context is broken",
            Self::BadOutput => "output is not usable",
        })
    }
}
impl core::error::Error for ModelError {}
