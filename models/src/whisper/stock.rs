//! A stock export, as it is: an encoder and a merged decoder, each an ONNX Runtime session.
//!
//! Flow: features -> hidden states, kept here -> tokens in, logits out. In the worker process.
//! Slower than [`super::prepared`]: the decoder holds an `If`, and every run allocates.

use ort::{session::RunOptions, value::DynValue};

use super::folder::Folder;
use crate::{LoadError, ModelError, Runtime, runtime::SessionSettings};

mod decoder;
mod encoder;

use decoder::Decoder;
use encoder::Encoder;

/// The graphs of a stock export.
pub(super) struct Stock {
    encoder: Encoder,
    decoder: Decoder,
    hidden: Option<DynValue>,
}

impl Stock {
    pub(super) fn load(
        runtime: &Runtime,
        folder: &Folder,
        settings: SessionSettings,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            encoder: Encoder::load(runtime, folder, settings)?,
            decoder: Decoder::load(runtime, folder, settings)?,
            hidden: None,
        })
    }

    pub(super) fn frames_min(&self) -> usize {
        self.encoder.frames_min()
    }

    pub(super) fn frames_max(&self) -> usize {
        self.encoder.frames_max()
    }

    pub(super) fn hear(
        &mut self,
        features: &[f32],
        frames: usize,
        options: &RunOptions,
    ) -> Result<(), ModelError> {
        self.rewind();
        self.hidden = None;
        self.hidden = Some(self.encoder.run(features, frames, options)?);
        Ok(())
    }

    pub(super) fn rewind(&mut self) {
        self.decoder.rewind();
    }

    pub(super) fn feed(
        &mut self,
        tokens: &[i64],
        marked: Option<usize>,
        options: &RunOptions,
    ) -> Result<(), ModelError> {
        let hidden = self.hidden.as_ref().ok_or(ModelError::BadInput)?;
        self.decoder.feed(tokens, marked, hidden, options)
    }

    pub(super) fn logits_mut(&mut self) -> &mut [f32] {
        self.decoder.logits_mut()
    }

    pub(super) fn marked_logits(&self) -> Option<&[f32]> {
        self.decoder.marked_logits()
    }
}
