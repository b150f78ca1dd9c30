//! One graph of one input and one output, bound once: a call copies nothing and makes nothing.

use std::path::Path;

use ort::{
    memory::Allocator,
    session::{IoBinding, Session},
    value::{Outlet, Tensor, ValueType},
};

use crate::{
    LoadError, ModelError, Provider, Runtime,
    error::one_line,
    runtime::{SessionSettings, run_error},
};

/// Loads a graph of the wake words: on the processor, one thread, which sleeps between frames.
pub(super) fn session(runtime: &Runtime, file: &Path) -> Result<Session, LoadError> {
    let settings = SessionSettings {
        threads: 1,
        spin: false,
        provider: Provider::Cpu,
    };
    runtime.session(file, settings)
}

/// Makes an error of ONNX Runtime one about `file`.
pub(super) fn foreign(file: &Path) -> impl Fn(ort::Error) -> LoadError + '_ {
    |error| LoadError::Onnx {
        file: file.into(),
        problem: one_line(error.message()),
    }
}

/// Returns the shape of the only input or output in `outlets`; -1 stands for any length.
pub(super) fn only_shape<'a>(
    file: &Path,
    outlets: &'a [Outlet],
    expected: &'static str,
) -> Result<(&'a str, &'a [i64]), LoadError> {
    let wrong = |name: &str| LoadError::Tensor {
        file: file.into(),
        name: name.into(),
        problem: format!("is not as in {expected}: take the files of one openWakeWord model"),
    };
    let [outlet] = outlets else {
        return Err(wrong("of input or output"));
    };
    match outlet.dtype() {
        ValueType::Tensor { shape, .. } => Ok((outlet.name(), shape)),
        _ => Err(wrong(outlet.name())),
    }
}

/// A binding of one input and one output; the session stays with the owner, who may have several.
pub(super) struct Bound {
    binding: IoBinding,
    pub(super) input: Tensor<f32>,
    pub(super) output: Tensor<f32>,
}

impl Bound {
    pub(super) fn new<const I: usize, const O: usize>(
        session: &Session,
        (input_name, input): (&str, [usize; I]),
        (output_name, output): (&str, [usize; O]),
    ) -> ort::Result<Self> {
        let allocator = Allocator::default();
        let mut input = Tensor::new(&allocator, input)?;
        let mut output = Tensor::new(&allocator, output)?;
        input.extract_tensor_mut().1.fill(0.0);
        output.extract_tensor_mut().1.fill(0.0);
        let mut binding = session.create_binding()?;
        binding.bind_input(input_name, &input)?;
        binding.bind_output(output_name, &mut output)?;
        Ok(Self {
            binding,
            input,
            output,
        })
    }

    /// Returns the memory of the input.
    pub(super) fn input(&mut self) -> &mut [f32] {
        self.input.extract_tensor_mut().1
    }

    /// Runs the graph and returns its output.
    pub(super) fn run(&mut self, session: &mut Session) -> Result<&[f32], ModelError> {
        session
            .run_binding(&self.binding)
            .map_err(|error| run_error(&error))?;
        Ok(self.output.extract_tensor().1)
    }
}
