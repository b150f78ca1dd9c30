//! The prepared encoder: a log-mel spectrogram in, the keys and values of the cross attention out.
//!
//! Flow: features, copied into the bound memory -> one run -> the shared caches. In the worker
//! process. Bindings change only when the window does.

use std::path::Path;

use ort::{session::RunOptions, value::TensorElementType};

use super::{
    Cross, Sizes,
    binding::{Bound, Room, Way},
    names::{self, Expected, FEATURES},
};
use crate::{
    LoadError, ModelError, Runtime,
    error::one_line,
    runtime::{SessionSettings, run_error},
};

/// The only set of bindings.
const ALL: usize = 0;

/// A loaded encoder.
pub(super) struct Encoder {
    bound: Bound,
    sizes: Sizes,
    features: Room<f32>,
    cross: Cross,
    cross_names: Vec<String>,
    /// The window that is bound now; 0 is none.
    frames: usize,
}

impl Encoder {
    pub(super) fn load(
        runtime: &Runtime,
        file: &Path,
        sizes: Sizes,
        cross: Cross,
        settings: SessionSettings,
    ) -> Result<Self, LoadError> {
        let session = runtime.session_as_it_is(file, settings)?;
        let features = [Some(1), Some(sizes.bins), None];
        let expected = Expected {
            name: FEATURES,
            number: TensorElementType::Float32,
            shape: &features,
        };
        names::check(session.inputs(), &[expected], file)?;
        let cross_names = names::caches("cross", sizes.layers);
        let shapes = sizes.cross_shapes(None);
        let expected: Vec<Expected> = cross_names
            .iter()
            .map(|name| Expected {
                name,
                number: TensorElementType::Float32,
                shape: &shapes[usize::from(!names::is_key(name))],
            })
            .collect();
        names::check(session.outputs(), &expected, file)?;
        let mut bound = Bound::new(session, ALL + 1).map_err(|error| LoadError::Onnx {
            file: file.into(),
            problem: one_line(error.message()),
        })?;
        Ok(Self {
            features: bound.room(sizes.bins * sizes.positions * 2),
            bound,
            sizes,
            cross,
            cross_names,
            frames: 0,
        })
    }

    /// Hears `features`, `[bins, frames]`, and returns the number of positions that the caches hold
    /// now.
    pub(super) fn run(
        &mut self,
        features: &[f32],
        frames: usize,
        options: &RunOptions,
    ) -> Result<usize, ModelError> {
        let room = self.bound.numbers_mut(&self.features);
        let room = room.get_mut(..features.len());
        let room = room.filter(|room| room.len() == self.sizes.bins * frames);
        room.ok_or(ModelError::BadInput)?.copy_from_slice(features);
        let positions = frames.div_ceil(2);
        self.bind(frames, positions)
            .and_then(|()| self.bound.run(ALL, options))
            .map_err(|error| run_error(&error))?;
        Ok(positions)
    }

    fn bind(&mut self, frames: usize, positions: usize) -> ort::Result<()> {
        if self.frames == frames {
            return Ok(());
        }
        // Half bound is not bound.
        self.frames = 0;
        let shape = [1, self.sizes.bins, frames];
        self.bound
            .bind(ALL, Way::In, FEATURES, &self.features, &shape)?;
        let shapes = self.sizes.cross_shapes(positions);
        for (name, memory) in self.cross_names.iter().zip(&self.cross) {
            let shape = &shapes[usize::from(!names::is_key(name))];
            self.bound
                .bind_shared::<f32>(ALL, Way::Out, name, memory, shape)?;
        }
        self.frames = frames;
        Ok(())
    }
}
