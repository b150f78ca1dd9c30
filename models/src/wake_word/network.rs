//! Streaming networks that models/train makes: several words out of one small graph.
//!
//! Flow: 80 ms of samples and 15 ms before them -> 8 frames of log-mel power -> the graph, with its
//! state -> one score for each of its words. On listen's thread. Tensors are made once and bound
//! once; our own code does not allocate in [`WakeWord::hear`], the ONNX Runtime call inside it
//! does.
//!
//! Beside `NAME.onnx` lies `NAME.json`: the spectrogram's bins and floor, and the words, for each
//! the threshold and the times that it was judged with.

use std::path::{Path, PathBuf};

use ort::{
    memory::Allocator,
    session::{IoBinding, Session},
    value::{Outlet, Tensor, ValueType},
};
use serde::Deserialize;

use super::{
    FRAME_SAMPLES, WakeWord,
    bound::{foreign, session},
};
use crate::{
    LoadError, ModelError, Runtime,
    error::one_line,
    mel::{FFT_SAMPLES, HOP_SAMPLES, MelFrame},
    runtime::run_error,
};

/// Frames of the spectrogram in one step.
const FRAMES: usize = FRAME_SAMPLES / HOP_SAMPLES;
/// Samples before a step that its first frame reaches back to.
const REACH_SAMPLES: usize = FFT_SAMPLES - HOP_SAMPLES;

/// Steps of silence before a stream, 5 s; the built-in network remembers 28 of them.
const SILENT_STEPS: usize = 64;

/// What is known about a network, from its JSON file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct NetworkFile {
    /// Bins of the spectrogram.
    pub mel_bins: usize,
    /// Decimal logarithm of the power below which all is silence, -20 to 0. Files that do not tell
    /// it are from when it was -5.
    #[serde(default = "first_log_floor")]
    pub log_floor: f32,
    /// The words, in the order of the scores.
    pub words: Vec<NetworkWord>,
}

/// What a word was judged with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct NetworkWord {
    /// The phrase.
    pub name: String,
    /// Score from which on it counts as said, 0 to 1.
    pub threshold: f32,
    /// Scores that are averaged.
    pub smoothing: usize,
    /// Milliseconds in which it counts only once.
    pub refractory_ms: u64,
    /// Milliseconds from the end of the phrase to the end of the frame that finds it.
    pub lag_ms: u64,
}

fn first_log_floor() -> f32 {
    -5.0
}

impl NetworkFile {
    /// Returns where the JSON file of `network` lies.
    #[must_use]
    pub fn beside(network: &Path) -> PathBuf {
        network.with_extension("json")
    }

    /// Reads the JSON file beside `network`.
    ///
    /// # Errors
    /// [`LoadError`] when it is absent or not usable.
    pub fn read(network: &Path) -> Result<Self, LoadError> {
        let file = Self::beside(network);
        let bytes = std::fs::read(&file).map_err(|_| LoadError::Missing {
            file: file.clone(),
            remedy: "it belongs beside the network of the wake words",
        })?;
        let known: Self = serde_json::from_slice(&bytes).map_err(|error| LoadError::Json {
            file: file.clone(),
            problem: one_line(&error.to_string()),
        })?;
        let is_right = |word: &NetworkWord| {
            (0.0..=1.0).contains(&word.threshold) && !word.name.trim().is_empty()
        };
        if !(1..=128).contains(&known.mel_bins)
            || !(-20.0..=0.0).contains(&known.log_floor)
            || !known.words.iter().all(is_right)
        {
            return Err(LoadError::Config {
                file,
                key: "mel_bins, log_floor or words",
                problem: "is out of range".into(),
            });
        }
        Ok(known)
    }

    /// Returns the index of a word.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.words.iter().position(|word| word.name == name)
    }
}

/// A network, ready to hear some of its words.
pub struct Network {
    session: Session,
    binding: IoBinding,
    mel: MelFrame,
    /// See [`NetworkFile::log_floor`].
    log_floor: f32,
    /// Shape: `[1, bins, 8]`.
    input: Tensor<f32>,
    /// Frames and steps that the network remembers.
    front: Remembered,
    state: Remembered,
    /// Shape: `[1, words]`.
    scores: Tensor<f32>,
    /// Which scores are asked for.
    chosen: Vec<usize>,
    /// The newest step and [`REACH_SAMPLES`] before it.
    audio: [i16; REACH_SAMPLES + FRAME_SAMPLES],
    /// One frame's logarithms. Shape: `[bins]`.
    logs: Vec<f32>,
}

/// What goes into one run as it came out of the run before.
struct Remembered {
    now: Tensor<f32>,
    next: Tensor<f32>,
    /// What is remembered after a long silence, and before the first step.
    silence: Vec<f32>,
}

impl Network {
    /// Loads the graph, to hear the words `chosen` of those in `known`.
    ///
    /// # Errors
    /// [`LoadError`] when the file is absent, damaged, or another model.
    ///
    /// # Panics
    /// When a number in `chosen` is none of a word: a fault of the caller.
    pub fn load(
        runtime: &Runtime,
        file: &Path,
        known: &NetworkFile,
        chosen: Vec<usize>,
    ) -> Result<Self, LoadError> {
        assert!(chosen.iter().all(|&word| word < known.words.len()));
        let session = session(runtime, file)?;
        let front = shape_of(file, session.inputs(), "front")?;
        let state = shape_of(file, session.inputs(), "state")?;
        let mel = shape_of(file, session.inputs(), "mel")?;
        let scores = shape_of(file, session.outputs(), "scores")?;
        if mel != [1, known.mel_bins, FRAMES] || scores != [1, known.words.len()] {
            return Err(LoadError::Tensor {
                file: file.into(),
                name: "mel or scores".into(),
                problem: "does not fit the JSON file beside it: take both from one export".into(),
            });
        }
        let mut network =
            Self::bind(session, known, &front, &state, chosen).map_err(foreign(file))?;
        network.hear_silence().map_err(foreign(file))?;
        Ok(network)
    }

    fn bind(
        session: Session,
        known: &NetworkFile,
        front: &[usize],
        state: &[usize],
        chosen: Vec<usize>,
    ) -> ort::Result<Self> {
        let bins = known.mel_bins;
        let input = zeros(&[1, bins, FRAMES])?;
        let mut scores = zeros(&[1, known.words.len()])?;
        let mut front = Remembered::new(front)?;
        let mut state = Remembered::new(state)?;
        let mut binding = session.create_binding()?;
        binding.bind_input("mel", &input)?;
        binding.bind_input("front", &front.now)?;
        binding.bind_input("state", &state.now)?;
        binding.bind_output("scores", &mut scores)?;
        binding.bind_output("front_next", &mut front.next)?;
        binding.bind_output("state_next", &mut state.next)?;
        Ok(Self {
            session,
            binding,
            mel: MelFrame::new(bins),
            log_floor: known.log_floor,
            input,
            front,
            state,
            scores,
            chosen,
            audio: [0; REACH_SAMPLES + FRAME_SAMPLES],
            logs: vec![0.0; bins],
        })
    }

    /// Hears silence, which a stream begins behind: a word at its very start is else misheard.
    fn hear_silence(&mut self) -> ort::Result<()> {
        self.transform();
        for _ in 0..SILENT_STEPS {
            self.infer()?;
            self.front.go_on();
            self.state.go_on();
        }
        self.front.keep_as_silence();
        self.state.keep_as_silence();
        Ok(())
    }

    /// The one call into ONNX Runtime.
    fn infer(&mut self) -> ort::Result<()> {
        self.session.run_binding(&self.binding).map(drop)
    }

    /// Writes the frames of the newest step.
    fn transform(&mut self) {
        let (_, input) = self.input.extract_tensor_mut();
        for at in 0..FRAMES {
            let samples = self.audio[at * HOP_SAMPLES..].first_chunk::<FFT_SAMPLES>();
            let Some(samples) = samples else { return };
            self.mel.logs(samples, &mut self.logs);
            for (bin, log) in self.logs.iter().enumerate() {
                input[bin * FRAMES + at] = (log.max(self.log_floor) + 4.0) / 4.0;
            }
        }
    }
}

const _: () = assert!((FRAMES - 1) * HOP_SAMPLES + FFT_SAMPLES == REACH_SAMPLES + FRAME_SAMPLES);

impl WakeWord for Network {
    fn word_count(&self) -> usize {
        self.chosen.len()
    }

    fn hear(&mut self, frame: &[i16; FRAME_SAMPLES], scores: &mut [f32]) -> Result<(), ModelError> {
        assert!(scores.len() == self.chosen.len());
        self.audio.copy_within(FRAME_SAMPLES.., 0);
        self.audio[REACH_SAMPLES..].copy_from_slice(frame);
        self.transform();
        self.infer().map_err(|error| run_error(&error))?;
        self.front.go_on();
        self.state.go_on();
        let (_, found) = self.scores.extract_tensor();
        for (score, &word) in scores.iter_mut().zip(&self.chosen) {
            *score = found[word];
            if !(0.0..=1.0).contains(score) {
                return Err(ModelError::BadOutput);
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.audio.fill(0);
        self.front.reset();
        self.state.reset();
    }
}

impl Remembered {
    fn new(shape: &[usize]) -> ort::Result<Self> {
        Ok(Self {
            now: zeros(shape)?,
            next: zeros(shape)?,
            silence: Vec::new(),
        })
    }

    fn go_on(&mut self) {
        let (_, next) = self.next.extract_tensor();
        self.now.extract_tensor_mut().1.copy_from_slice(next);
    }

    fn keep_as_silence(&mut self) {
        self.silence = self.now.extract_tensor().1.to_vec();
    }

    fn reset(&mut self) {
        let (_, now) = self.now.extract_tensor_mut();
        now.copy_from_slice(&self.silence);
    }
}

fn zeros(shape: &[usize]) -> ort::Result<Tensor<f32>> {
    let mut tensor = Tensor::new(&Allocator::default(), shape)?;
    tensor.extract_tensor_mut().1.fill(0.0);
    Ok(tensor)
}

/// Returns the fixed shape of the tensor `name`.
fn shape_of(file: &Path, outlets: &[Outlet], name: &str) -> Result<Vec<usize>, LoadError> {
    let outlet = outlets.iter().find(|outlet| outlet.name() == name);
    let shape = match outlet.map(Outlet::dtype) {
        Some(ValueType::Tensor { shape, .. }) => shape
            .iter()
            .map(|&length| usize::try_from(length).ok())
            .collect(),
        _ => None,
    };
    shape.ok_or_else(|| LoadError::Tensor {
        file: file.into(),
        name: name.into(),
        problem: "is missing or of no fixed shape: this is no network of wake words".into(),
    })
}

#[cfg(test)]
mod tests;
