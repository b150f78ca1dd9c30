//! Pressel's own graphs: an encoder of any window that gives keys and values, and a decoder that
//! keeps its cache in place.
//!
//! Flow: features -> encoder -> cross caches -> decoder, a prompt or a token at a time -> logits.
//! In the worker process, on the thread of the recogniser. All memory is made at load and reused:
//! the encoder writes where the decoder reads, and a token only changes numbers in place.
//! The graphs are made from a stock export: see the tensors in [`prepared::names`](names).

use ort::session::RunOptions;

use super::folder::{EMBEDDING_FILE, Folder};
use crate::{
    LoadError, ModelError, Runtime,
    mel::FRAMES_MIN,
    runtime::{SessionSettings, run_error},
};

mod binding;
mod decoder;
mod embedding;
mod encoder;
mod names;

use binding::Shared;
use decoder::Decoder;
use embedding::Embedding;
use encoder::Encoder;

/// The graphs of a prepared folder.
pub(super) struct Prepared {
    encoder: Encoder,
    decoder: Decoder,
    frames_max: usize,
}

/// Sizes that both graphs share.
#[derive(Clone, Copy)]
struct Sizes {
    bins: usize,
    layers: usize,
    width: usize,
    heads: usize,
    head: usize,
    vocabulary: usize,
    /// Tokens in the longest transcript, its beginning included.
    context: usize,
    /// Positions in the longest window.
    positions: usize,
}

impl Sizes {
    /// Returns the shapes of the cross caches: of keys, and of values.
    fn cross_shapes<N: From<usize> + Copy>(&self, positions: N) -> [[N; 4]; 2] {
        let (one, heads, head) = (N::from(1), N::from(self.heads), N::from(self.head));
        [[one, heads, head, positions], [one, heads, positions, head]]
    }
}

/// Keys and values of the audio: what the encoder writes and the decoder reads, two of each layer.
type Cross = Vec<Shared>;

impl Prepared {
    pub(super) fn load(
        runtime: &Runtime,
        folder: &Folder,
        settings: SessionSettings,
    ) -> Result<Self, LoadError> {
        let config = &folder.config;
        let sizes = Sizes {
            bins: config.num_mel_bins,
            layers: config.decoder_layers,
            width: config.d_model,
            heads: config.decoder_attention_heads,
            head: config.d_model / config.decoder_attention_heads,
            vocabulary: config.vocab_size,
            context: config.max_target_positions,
            positions: config.max_source_positions,
        };
        let embedding = Embedding::open(&folder.path.join(EMBEDDING_FILE), sizes)?;
        // The larger file first: reading it takes more memory than keeping it, and that is least
        // while nothing else is there.
        let decoder = Decoder::load(runtime, &folder.decoder, sizes, embedding, settings)?;
        let cross = decoder.cross();
        Ok(Self {
            encoder: Encoder::load(runtime, &folder.encoder, sizes, cross, settings)?,
            decoder,
            frames_max: sizes.positions * 2,
        })
    }

    pub(super) fn frames_min(&self) -> usize {
        FRAMES_MIN
    }

    pub(super) fn frames_max(&self) -> usize {
        self.frames_max
    }

    pub(super) fn hear(
        &mut self,
        features: &[f32],
        frames: usize,
        options: &RunOptions,
    ) -> Result<(), ModelError> {
        // Two frames make a position.
        let fits = (FRAMES_MIN..=self.frames_max).contains(&frames) && frames.is_multiple_of(2);
        if !fits {
            return Err(ModelError::BadInput);
        }
        self.decoder.forget();
        let positions = self.encoder.run(features, frames, options)?;
        self.decoder
            .hear(positions)
            .map_err(|error| run_error(&error))
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
        self.decoder.feed(tokens, marked, options)
    }

    pub(super) fn sharpen(&mut self) -> Result<(), ModelError> {
        self.decoder.sharpen()
    }

    pub(super) fn logits_mut(&mut self) -> &mut [f32] {
        self.decoder.logits_mut()
    }

    pub(super) fn marked_logits(&self) -> Option<&[f32]> {
        self.decoder.marked_logits()
    }
}

#[cfg(test)]
mod tests;
