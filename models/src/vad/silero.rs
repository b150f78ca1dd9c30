//! Silero VAD through ONNX Runtime.
//!
//! Flow: 64 samples of context and one frame -> the network, with its state -> a probability. On
//! listen's thread. Tensors are made once and bound once; our own code does not allocate in
//! [`Vad::hear`], the ONNX Runtime call inside it does (a few small blocks), so a caller that
//! forbids allocation permits it around that one call.

use std::path::Path;

use ort::{
    memory::Allocator,
    session::{IoBinding, Session},
    value::Tensor,
};

use super::{FRAME_SAMPLES, Vad};
use crate::{
    LoadError, ModelError, Provider, Runtime,
    error::one_line,
    runtime::{SessionSettings, run_error},
};

/// Samples kept from the frame before. Source: silero-vad 6.2.3, utils_vad.py, 16 kHz.
const CONTEXT_SAMPLES: usize = 64;
/// Numbers in the recurrent state, `[2, 1, 128]`.
const STATE_NUMBERS: usize = 2 * 128;
/// The only rate that the 16 kHz file knows.
const RATE_HZ: i64 = 16_000;

/// Silero VAD, ready to hear.
pub struct Silero {
    session: Session,
    binding: IoBinding,
    /// Shape: `[1, 64 + 512]`.
    input: Tensor<f32>,
    /// Shape: `[2, 1, 128]`.
    state: Tensor<f32>,
    /// Shape: `[1, 1]`.
    output: Tensor<f32>,
    /// Shape: `[2, 1, 128]`.
    state_next: Tensor<f32>,
}

impl Silero {
    /// Loads the model and hears one frame of silence, so that the first real frame is not slow.
    ///
    /// # Errors
    /// [`LoadError`] when the file is absent, damaged, or another model.
    pub fn load(runtime: &Runtime, file: &Path, threads: usize) -> Result<Self, LoadError> {
        let settings = SessionSettings {
            threads,
            spin: false,
            provider: Provider::Cpu,
        };
        let session = runtime.session(file, settings)?;
        check_names(&session, file)?;
        let foreign = |error: ort::Error| LoadError::Onnx {
            file: file.into(),
            problem: one_line(error.message()),
        };
        let mut silero = Self::bind(session).map_err(foreign)?;
        silero.infer().map_err(foreign)?;
        silero.reset();
        Ok(silero)
    }

    fn bind(session: Session) -> ort::Result<Self> {
        let allocator = Allocator::default();
        let input = Tensor::new(&allocator, [1, CONTEXT_SAMPLES + FRAME_SAMPLES])?;
        let state = Tensor::new(&allocator, [2_usize, 1, 128])?;
        let mut output = Tensor::new(&allocator, [1_usize, 1])?;
        let mut state_next = Tensor::new(&allocator, [2_usize, 1, 128])?;
        let rate = Tensor::from_array(((), vec![RATE_HZ]))?;
        let mut binding = session.create_binding()?;
        binding.bind_input("input", &input)?;
        binding.bind_input("state", &state)?;
        binding.bind_input("sr", &rate)?;
        binding.bind_output("output", &mut output)?;
        binding.bind_output("stateN", &mut state_next)?;
        Ok(Self {
            session,
            binding,
            input,
            state,
            output,
            state_next,
        })
    }

    /// The one call into ONNX Runtime.
    fn infer(&mut self) -> ort::Result<()> {
        self.session.run_binding(&self.binding).map(drop)
    }
}

impl Vad for Silero {
    fn hear(&mut self, frame: &[i16; FRAME_SAMPLES]) -> Result<f32, ModelError> {
        let (_, input) = self.input.extract_tensor_mut();
        input.copy_within(FRAME_SAMPLES.., 0);
        for (to, &from) in input[CONTEXT_SAMPLES..].iter_mut().zip(frame) {
            *to = f32::from(from) / 32_768.0;
        }
        self.infer().map_err(|error| run_error(&error))?;
        let (_, state_next) = self.state_next.extract_tensor();
        assert!(state_next.len() == STATE_NUMBERS);
        self.state
            .extract_tensor_mut()
            .1
            .copy_from_slice(state_next);
        let probability = self.output.extract_tensor().1[0];
        if (0.0..=1.0).contains(&probability) {
            Ok(probability)
        } else {
            Err(ModelError::BadOutput)
        }
    }

    fn reset(&mut self) {
        self.input.extract_tensor_mut().1.fill(0.0);
        self.state.extract_tensor_mut().1.fill(0.0);
    }
}

fn check_names(session: &Session, file: &Path) -> Result<(), LoadError> {
    let inputs = session.inputs().iter().map(ort::value::Outlet::name);
    let outputs = session.outputs().iter().map(ort::value::Outlet::name);
    let there: Vec<&str> = inputs.chain(outputs).collect();
    for name in ["input", "state", "sr", "output", "stateN"] {
        if !there.contains(&name) {
            return Err(LoadError::Tensor {
                file: file.into(),
                name: name.into(),
                problem: "is missing: this is not Silero VAD 5 or later".into(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn silero() -> Option<Silero> {
        let (runtime, file) = (testing::runtime()?, testing::silero()?);
        Some(Silero::load(&runtime, &file, 1).unwrap())
    }

    #[test]
    fn the_first_silence_gives_the_known_probability() {
        let Some(mut vad) = silero() else { return };
        // Source: this file of silero-vad 6.2.3 in Python, onnxruntime 1.31.1, on zeros.
        let first = vad.hear(&[0; FRAME_SAMPLES]).unwrap();
        assert!((first - 0.001_669_79).abs() < 1e-5, "{first}");
        let second = vad.hear(&[0; FRAME_SAMPLES]).unwrap();
        assert!(
            (second - 0.006_883_86).abs() < 1e-5,
            "the state goes on: {second}"
        );
        vad.reset();
        assert_eq!(vad.hear(&[0; FRAME_SAMPLES]).unwrap(), first);
    }

    #[test]
    fn clipping_and_noise_stay_probabilities() {
        let Some(mut vad) = silero() else { return };
        for n in 0..50_i32 {
            let frame = std::array::from_fn(|i| {
                if (i as i32 * n) % 7 < 3 {
                    i16::MAX
                } else {
                    i16::MIN
                }
            });
            assert!((0.0..=1.0).contains(&vad.hear(&frame).unwrap()));
        }
    }

    #[test]
    fn a_file_that_is_no_silero_is_named() {
        let Some(runtime) = testing::runtime() else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vad.onnx");
        let check = |expected: &str| {
            let text = Silero::load(&runtime, &file, 1).err().unwrap().to_string();
            assert!(
                text.contains("vad.onnx") && text.contains(expected),
                "{text}"
            );
            assert!(!text.contains('\n'), "{text}");
        };
        check("is missing");
        std::fs::write(&file, "not found").unwrap();
        check("is damaged or no ONNX model");
        if let Some(real) = testing::silero() {
            let bytes = std::fs::read(real).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
            check("is damaged or no ONNX model");
        }
        std::fs::copy(testing::fixtures().join("tiny/encoder_model.onnx"), &file).unwrap();
        check("this is not Silero");
    }
}
