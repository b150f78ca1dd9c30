//! The two graphs of Whisper, whoever made them.
//!
//! Flow: features -> [`Graphs::hear`] -> tokens into [`Graphs::feed`] -> logits of the next token.
//! In the worker process, on the thread of the recogniser. The graphs keep the audio and the cache
//! of keys and values; the caller keeps the tokens.

use ort::session::RunOptions;

use super::{folder::Folder, prepared::Prepared, stock::Stock};
use crate::{LoadError, ModelError, Runtime, onnx::tensor::OnnxFile, runtime::SessionSettings};

/// Loaded graphs.
pub(super) enum Graphs {
    /// A stock export as it is.
    Stock(Box<Stock>),
    /// Graphs that were made from one for this program.
    Prepared(Box<Prepared>),
}

impl Graphs {
    /// Loads the graphs of the folder and checks their weights, and their tensors against its
    /// configuration.
    pub(super) fn load(
        runtime: &Runtime,
        folder: &Folder,
        settings: SessionSettings,
    ) -> Result<Self, LoadError> {
        let encoder = OnnxFile::open(&folder.encoder)?;
        check_positions(&encoder, folder.config.max_source_positions)?;
        encoder.check_finite()?;
        OnnxFile::open(&folder.decoder)?.check_finite()?;
        if folder.prepared {
            Prepared::load(runtime, folder, settings).map(|graphs| Self::Prepared(Box::new(graphs)))
        } else {
            Stock::load(runtime, folder, settings).map(|graphs| Self::Stock(Box::new(graphs)))
        }
    }

    /// Returns true when the graphs were made for this program.
    pub(super) fn is_prepared(&self) -> bool {
        matches!(self, Self::Prepared(_))
    }

    /// Returns the fewest frames of a window.
    pub(super) fn frames_min(&self) -> usize {
        match self {
            Self::Stock(graphs) => graphs.frames_min(),
            Self::Prepared(graphs) => graphs.frames_min(),
        }
    }

    /// Returns the most frames of a window.
    pub(super) fn frames_max(&self) -> usize {
        match self {
            Self::Stock(graphs) => graphs.frames_max(),
            Self::Prepared(graphs) => graphs.frames_max(),
        }
    }

    /// Hears a window: runs the encoder, keeps what the decoder needs of it, forgets all tokens.
    ///
    /// Shape: `features` is `[bins, frames]`, row-major.
    pub(super) fn hear(
        &mut self,
        features: &[f32],
        frames: usize,
        options: &RunOptions,
    ) -> Result<(), ModelError> {
        match self {
            Self::Stock(graphs) => graphs.hear(features, frames, options),
            Self::Prepared(graphs) => graphs.hear(features, frames, options),
        }
    }

    /// Forgets all tokens; the audio stays, to be decoded again.
    pub(super) fn rewind(&mut self) {
        match self {
            Self::Stock(graphs) => graphs.rewind(),
            Self::Prepared(graphs) => graphs.rewind(),
        }
    }

    /// Reads more tokens behind those that were read since [`Graphs::hear`] or [`Graphs::rewind`].
    /// `marked` is the place in `tokens` of one whose logits are wanted besides the last one's.
    ///
    /// Nothing is allocated when one token is read, by graphs that were prepared.
    pub(super) fn feed(
        &mut self,
        tokens: &[i64],
        marked: Option<usize>,
        options: &RunOptions,
    ) -> Result<(), ModelError> {
        match self {
            Self::Stock(graphs) => graphs.feed(tokens, marked, options),
            Self::Prepared(graphs) => graphs.feed(tokens, marked, options),
        }
    }

    /// Makes the highest of the last token's logits exact, once what may not be said is struck out:
    /// prepared graphs have them only nearly right. Allocates nothing.
    ///
    /// # Errors
    /// [`ModelError::Reload`] when a file of the model is gone.
    pub(super) fn sharpen(&mut self) -> Result<(), ModelError> {
        match self {
            Self::Stock(_) => Ok(()),
            Self::Prepared(graphs) => graphs.sharpen(),
        }
    }

    /// Returns the logits behind the last token, `[vocabulary]`, to be struck out in place.
    pub(super) fn logits_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Stock(graphs) => graphs.logits_mut(),
            Self::Prepared(graphs) => graphs.logits_mut(),
        }
    }

    /// Returns the logits behind the marked token of the last [`Graphs::feed`]; `None` when none
    /// was marked, or the graph gives only the last ones.
    pub(super) fn marked_logits(&self) -> Option<&[f32]> {
        match self {
            Self::Stock(graphs) => graphs.marked_logits(),
            Self::Prepared(graphs) => graphs.marked_logits(),
        }
    }
}

/// Checks that the encoder has as many positions as the configuration, where its file tells.
fn check_positions(encoder: &OnnxFile, expected: usize) -> Result<(), LoadError> {
    for tensor in encoder.graph.tensors.values() {
        if let [.., found, _] = tensor.dims[..]
            && tensor.name.ends_with("embed_positions.weight")
            && found != expected
        {
            let problem = format!(
                "has {found} positions, config.json has {expected}: take all files from one export"
            );
            return Err(encoder.wrong(&tensor.name, problem));
        }
    }
    Ok(())
}
