//! Silero VAD through ONNX Runtime.
//!
//! Flow: 64 samples of context and one frame -> [`spectrum`] -> the network, with its state -> a
//! probability. On listen's thread. Tensors are made once and bound once; our own code does not
//! allocate in [`Vad::hear`], the ONNX Runtime call inside it does (a few small blocks), so a
//! caller that forbids allocation permits it around that one call.
//!
//! What runs is Silero's weights in a graph of our own ([`graph`]): the same numbers in half the
//! time.

use std::path::Path;

use ort::{
    memory::Allocator,
    session::{IoBinding, Session},
    value::Tensor,
};

use self::{
    graph::WIDTH,
    spectrum::{BINS, FRAMES, SAMPLES, Spectrum},
};
use super::{FRAME_SAMPLES, Vad};
use crate::{
    LoadError, ModelError, Provider, Runtime,
    runtime::{SessionSettings, damaged, is_there, run_error},
};

mod graph;
mod spectrum;

/// Samples kept from the frame before. Source: silero-vad 6.2.3, utils_vad.py, 16 kHz.
const CONTEXT_SAMPLES: usize = 64;
const _: () = assert!(CONTEXT_SAMPLES + FRAME_SAMPLES == SAMPLES);

/// Silero VAD, ready to hear.
pub struct Silero {
    session: Session,
    binding: IoBinding,
    /// Context and frame, 1.0 at full scale.
    samples: [f32; SAMPLES],
    spectrum: Spectrum,
    /// Shape: `[1, 129, 4]`.
    magnitudes: Tensor<f32>,
    /// Hidden and cell state. Shape: `[1, 1, 128]` each.
    state: [Tensor<f32>; 2],
    state_next: [Tensor<f32>; 2],
    /// Shape: `[1, 1]`.
    probability: Tensor<f32>,
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
        is_there(file)?;
        let session = runtime.session_of(&graph::build(file)?, file, settings)?;
        let mut silero = Self::bind(session).map_err(|error| damaged(file, &error))?;
        silero.infer().map_err(|error| damaged(file, &error))?;
        silero.reset();
        Ok(silero)
    }

    fn bind(session: Session) -> ort::Result<Self> {
        let allocator = Allocator::default();
        let remembered = || Tensor::new(&allocator, [1_usize, 1, WIDTH]);
        let magnitudes = Tensor::new(&allocator, [1, BINS, FRAMES])?;
        let mut probability = Tensor::new(&allocator, [1_usize, 1])?;
        let state = [remembered()?, remembered()?];
        let mut state_next = [remembered()?, remembered()?];
        let mut binding = session.create_binding()?;
        binding.bind_input("magnitudes", &magnitudes)?;
        binding.bind_input("hidden", &state[0])?;
        binding.bind_input("cell", &state[1])?;
        binding.bind_output("hidden_next", &mut state_next[0])?;
        binding.bind_output("cell_next", &mut state_next[1])?;
        binding.bind_output("probability", &mut probability)?;
        Ok(Self {
            session,
            binding,
            samples: [0.0; SAMPLES],
            spectrum: Spectrum::new(),
            magnitudes,
            state,
            state_next,
            probability,
        })
    }

    /// The one call into ONNX Runtime.
    fn infer(&mut self) -> ort::Result<()> {
        self.session.run_binding(&self.binding).map(drop)
    }
}

impl Vad for Silero {
    fn hear(&mut self, frame: &[i16; FRAME_SAMPLES]) -> Result<f32, ModelError> {
        self.samples.copy_within(FRAME_SAMPLES.., 0);
        for (to, &from) in self.samples[CONTEXT_SAMPLES..].iter_mut().zip(frame) {
            *to = f32::from(from) / 32_768.0;
        }
        let (_, magnitudes) = self.magnitudes.extract_tensor_mut();
        self.spectrum.magnitudes(&self.samples, magnitudes);
        self.infer().map_err(|error| run_error(&error))?;
        for (state, next) in self.state.iter_mut().zip(&self.state_next) {
            let (_, state) = state.extract_tensor_mut();
            state.copy_from_slice(next.extract_tensor().1);
        }
        let probability = self.probability.extract_tensor().1[0];
        if (0.0..=1.0).contains(&probability) {
            Ok(probability)
        } else {
            Err(ModelError::BadOutput)
        }
    }

    fn reset(&mut self) {
        self.samples.fill(0.0);
        for state in &mut self.state {
            state.extract_tensor_mut().1.fill(0.0);
        }
    }
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
    fn the_graph_of_our_own_gives_what_the_file_gives() {
        let Some(mut vad) = silero() else { return };
        let (runtime, file) = (testing::runtime().unwrap(), testing::silero().unwrap());
        let settings = SessionSettings {
            threads: 1,
            spin: false,
            provider: Provider::Cpu,
        };
        let mut stock = runtime.session(&file, settings).unwrap();
        let mut context = [0.0; CONTEXT_SAMPLES];
        let mut state = Tensor::from_array(([2_usize, 1, 128], vec![0.0_f32; 256])).unwrap();
        let speech = testing::computer();
        let mut highest = 0.0_f32;
        for frame in speech.as_chunks::<FRAME_SAMPLES>().0 {
            let mut samples = context.to_vec();
            samples.extend(frame.iter().map(|&sample| f32::from(sample) / 32_768.0));
            context.copy_from_slice(&samples[FRAME_SAMPLES..]);
            let input = Tensor::from_array(([1, samples.len()], samples)).unwrap();
            let rate = Tensor::from_array(((), vec![16_000_i64])).unwrap();
            let inputs = ort::inputs!["input" => input, "state" => state, "sr" => rate];
            let mut outputs = stock.run(inputs).unwrap();
            let expected = outputs["output"].try_extract_tensor::<f32>().unwrap().1[0];
            state = outputs
                .remove("stateN")
                .unwrap()
                .downcast()
                .map_err(|_| "another kind")
                .unwrap();
            let found = vad.hear(frame).unwrap();
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            highest = highest.max(found);
        }
        assert!(0.9 < highest, "the clip is speech: {highest}");
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
