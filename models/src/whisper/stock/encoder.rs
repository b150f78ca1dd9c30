//! The encoder: a log-mel spectrogram in, hidden states out.
//!
//! Flow: `[1, bins, frames] f32` -> `[1, frames / 2, d_model] f32`. In the worker process. Whether
//! the window is fixed is read from the ONNX file.

use std::path::Path;

use ort::{
    session::{RunOptions, Session},
    value::{DynValue, Outlet, TensorElementType, TensorRef, ValueType},
};

use super::super::folder::Folder;
use crate::{
    LoadError, ModelError, Runtime,
    mel::FRAMES_MIN,
    runtime::{SessionSettings, run_error},
};

const INPUT: &str = "input_features";
const OUTPUT: &str = "last_hidden_state";

/// A loaded encoder.
pub(in crate::whisper) struct Encoder {
    session: Session,
    bins: usize,
    d_model: usize,
    /// The number of frames that the file is fixed to.
    fixed: Option<usize>,
    positions_max: usize,
}

impl Encoder {
    /// Loads the encoder and checks its tensors against the configuration.
    pub(in crate::whisper) fn load(
        runtime: &Runtime,
        folder: &Folder,
        settings: SessionSettings,
    ) -> Result<Self, LoadError> {
        let file = &folder.encoder;
        let session = runtime.session(file, settings)?;
        let (bins, d_model) = (folder.config.num_mel_bins, folder.config.d_model);
        let input = shape_of(session.inputs(), INPUT, file)?;
        fits(&input, &[None, Some(bins), None], INPUT, file)?;
        let output = shape_of(session.outputs(), OUTPUT, file)?;
        fits(&output, &[None, None, Some(d_model)], OUTPUT, file)?;
        let fixed = usize::try_from(input[2]).ok();
        let positions_max = folder.config.max_source_positions;
        if fixed.is_some_and(|frames| frames < FRAMES_MIN || positions_max * 2 < frames) {
            let problem = format!(
                "has {} frames, config.json allows {}",
                input[2],
                positions_max * 2
            );
            return Err(LoadError::Tensor {
                file: file.into(),
                name: INPUT.into(),
                problem,
            });
        }
        Ok(Self {
            session,
            bins,
            d_model,
            fixed,
            positions_max,
        })
    }

    /// Returns the fewest frames that it takes.
    pub(in crate::whisper) fn frames_min(&self) -> usize {
        self.fixed.unwrap_or(FRAMES_MIN)
    }

    /// Returns the most frames that it takes.
    pub(in crate::whisper) fn frames_max(&self) -> usize {
        self.fixed.unwrap_or(self.positions_max * 2)
    }

    /// Runs the encoder. `features` has shape `[bins, frames]`, row-major.
    pub(in crate::whisper) fn run(
        &mut self,
        features: &[f32],
        frames: usize,
        options: &RunOptions,
    ) -> Result<DynValue, ModelError> {
        let input = TensorRef::from_array_view(([1, self.bins, frames], features))
            .map_err(|error| run_error(&error))?;
        let mut outputs = self
            .session
            .run_with_options(ort::inputs![INPUT => input], options)
            .map_err(|error| run_error(&error))?;
        let hidden = outputs.remove(OUTPUT).ok_or(ModelError::BadOutput)?;
        let expected = [1, frames.div_ceil(2) as i64, self.d_model as i64];
        if **hidden.shape() == expected {
            Ok(hidden)
        } else {
            Err(ModelError::BadOutput)
        }
    }
}

/// Returns the shape of the f32 tensor `name`; -1 is a free axis.
pub(in crate::whisper) fn shape_of(
    outlets: &[Outlet],
    name: &str,
    file: &Path,
) -> Result<Vec<i64>, LoadError> {
    let wrong = |problem: &str| LoadError::Tensor {
        file: file.into(),
        name: name.into(),
        problem: problem.into(),
    };
    let outlet = outlets.iter().find(|outlet| outlet.name() == name);
    match outlet.map(Outlet::dtype) {
        Some(ValueType::Tensor {
            ty: TensorElementType::Float32,
            shape,
            ..
        }) => Ok(shape.to_vec()),
        Some(_) => Err(wrong(
            "is not of 32-bit floats: use the plain or the int8 export",
        )),
        None => Err(wrong("is missing: this is not a Whisper export of optimum")),
    }
}

/// Checks that the axes which the file fixes have the sizes of the configuration.
pub(in crate::whisper) fn fits(
    shape: &[i64],
    expected: &[Option<usize>],
    name: &str,
    file: &Path,
) -> Result<(), LoadError> {
    let same = |(&found, expected): (&i64, &Option<usize>)| {
        found < 0 || expected.is_none_or(|expected| expected as i64 == found)
    };
    if shape.len() == expected.len() && shape.iter().zip(expected).all(same) {
        return Ok(());
    }
    let problem = format!("has shape {shape:?}, which is not config.json's: take one export");
    Err(LoadError::Tensor {
        file: file.into(),
        name: name.into(),
        problem,
    })
}
