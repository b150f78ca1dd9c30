//! openWakeWord's chain of ONNX graphs: spectrogram -> embedding -> one head for each word.
//!
//! Flow: 80 ms of samples and 30 ms before them -> 8 rows of a mel spectrogram -> the last 76 rows
//! make one embedding -> the last embeddings (16 as a rule) make the score of each head. On listen's
//! thread; several heads share all but the last step. Our own code does not allocate in
//! [`WakeWord::hear`], the ONNX Runtime calls inside it do.
//!
//! What is kept between the steps, and what it begins with, is as in the Python package
//! openwakeword 0.6.0 (utils.py, `AudioFeatures`; model.py, `Model.predict`), but for one thing: its
//! embeddings begin as those of random noise, ours as those of noise that is always the same.

use std::path::{Path, PathBuf};

use ort::session::Session;

use super::{
    FRAME_SAMPLES, WakeWord,
    bound::{Bound, foreign, only_shape, session},
};
use crate::{LoadError, ModelError, Runtime};

/// Samples before a frame that its spectrogram reaches back to. Source: utils.py, `160*3`.
const REACH_SAMPLES: usize = 480;
/// Numbers in one row of the spectrogram.
const BINS: usize = 32;
/// Rows that one frame adds; the first one adds fewer, as nothing was before it.
const ROWS_PER_FRAME: usize = 8;
const ROWS_FIRST: usize = 5;
/// Rows that one embedding sees.
const ROWS: usize = 76;
/// Numbers in one embedding.
const EMBEDDING: usize = 96;
/// The noise that the embeddings begin with: 4 s, up to 1,000. Source: utils.py.
const NOISE_SAMPLES: usize = 4 * 16_000;
/// Rows of the noise's spectrogram: 25 ms of samples and some for the first, 10 ms for each more.
const NOISE_ROWS: usize = (NOISE_SAMPLES - REACH_SAMPLES) / 160;
/// Embeddings of that noise.
const NOISE_EMBEDDINGS: usize = (NOISE_ROWS - ROWS) / ROWS_PER_FRAME + 1;
/// Frames after a reset whose scores do not count. Source: model.py.
const DEAF_FRAMES: u8 = 5;

/// File of the spectrogram, beside the heads.
pub const SPECTROGRAM_FILE: &str = "melspectrogram.onnx";
/// File of the embedding, beside the heads.
pub const EMBEDDING_FILE: &str = "embedding_model.onnx";

/// One word: a small network over the last embeddings.
struct Head {
    session: Session,
    bound: Bound,
    embeddings: usize,
}

/// The chain, ready to hear.
pub struct OpenWakeWord {
    spectrogram: Session,
    /// For the first frame after a reset, and for all others.
    first: Bound,
    next: Bound,
    embedder: Session,
    embedding: Bound,
    heads: Vec<Head>,
    /// The newest frame and [`REACH_SAMPLES`] before it.
    audio: [f32; REACH_SAMPLES + FRAME_SAMPLES],
    /// The newest embeddings, as many as the most demanding head wants. Shape: `[n, 96]`.
    embeddings: Vec<f32>,
    /// What they begin with.
    noise: Vec<f32>,
    /// Frames since the last reset; stops counting at [`DEAF_FRAMES`].
    heard: u8,
}

impl OpenWakeWord {
    /// Loads the spectrogram and the embedding out of `folder`, and the heads.
    ///
    /// # Errors
    /// [`LoadError`] when a file is absent, damaged, or another model.
    pub fn load(runtime: &Runtime, folder: &Path, heads: &[PathBuf]) -> Result<Self, LoadError> {
        let mel_file = folder.join(SPECTROGRAM_FILE);
        let mut spectrogram = find(runtime, &mel_file)?;
        let (input, shape) = only_shape(&mel_file, spectrogram.inputs(), SPECTROGRAM_FILE)?;
        let (output, _) = only_shape(&mel_file, spectrogram.outputs(), SPECTROGRAM_FILE)?;
        let (input, output) = (input.to_owned(), output.to_owned());
        if shape.len() != 2 {
            return Err(other_model(&mel_file, &input, "does not take samples"));
        }
        let bind = |session: &Session, samples: usize, rows: usize| {
            let to = (output.as_str(), [1, 1, rows, BINS]);
            Bound::new(session, (&input, [1, samples]), to).map_err(foreign(&mel_file))
        };
        let first = bind(&spectrogram, FRAME_SAMPLES, ROWS_FIRST)?;
        let next = bind(&spectrogram, REACH_SAMPLES + FRAME_SAMPLES, ROWS_PER_FRAME)?;
        let mut of_noise = bind(&spectrogram, NOISE_SAMPLES, NOISE_ROWS)?;

        let file = folder.join(EMBEDDING_FILE);
        let embedder = find(runtime, &file)?;
        let (input, _) = only_shape(&file, embedder.inputs(), EMBEDDING_FILE)?;
        let (output, _) = only_shape(&file, embedder.outputs(), EMBEDDING_FILE)?;
        let to = (output, [1, 1, 1, EMBEDDING]);
        let embedding = Bound::new(&embedder, (input, [1, ROWS, BINS, 1]), to);
        let embedding = embedding.map_err(foreign(&file))?;
        let heads: Vec<Head> = heads
            .iter()
            .map(|head| Head::load(runtime, head))
            .collect::<Result<_, _>>()?;
        let most = heads.iter().map(|head| head.embeddings).max().unwrap_or(1);

        let failed = |_: ModelError| other_model(&mel_file, "output", "is not usable");
        fill_with_noise(of_noise.input());
        let rows = of_noise.run(&mut spectrogram).map_err(failed)?;
        let mut chain = Self {
            spectrogram,
            first,
            next,
            embedder,
            embedding,
            heads,
            audio: [0.0; REACH_SAMPLES + FRAME_SAMPLES],
            embeddings: vec![0.0; most * EMBEDDING],
            noise: Vec::new(),
            heard: 0,
        };
        for at in NOISE_EMBEDDINGS - most..NOISE_EMBEDDINGS {
            let seen = &rows[at * ROWS_PER_FRAME * BINS..][..ROWS * BINS];
            scale(seen, chain.embedding.input());
            chain.embed().map_err(failed)?;
        }
        chain.noise.clone_from(&chain.embeddings);
        chain.reset();
        // So that the first real frame is not slow, and a head that cannot run is known now.
        let mut scores = vec![0.0; chain.heads.len()];
        for _ in 0..2 {
            let heard = chain.hear(&[0; FRAME_SAMPLES], &mut scores);
            heard.map_err(failed)?;
        }
        chain.reset();
        Ok(chain)
    }

    /// Makes the next embedding of the rows that are there.
    fn embed(&mut self) -> Result<(), ModelError> {
        let embedding = self.embedding.run(&mut self.embedder)?;
        self.embeddings.copy_within(EMBEDDING.., 0);
        let at = self.embeddings.len() - EMBEDDING;
        self.embeddings[at..].copy_from_slice(embedding);
        Ok(())
    }

    /// Adds the rows of the newest frame to those that the embedding sees.
    fn hear_rows(&mut self) -> Result<(), ModelError> {
        let (bound, samples) = if self.heard == 0 {
            (&mut self.first, FRAME_SAMPLES)
        } else {
            (&mut self.next, REACH_SAMPLES + FRAME_SAMPLES)
        };
        let from = self.audio.len() - samples;
        bound.input().copy_from_slice(&self.audio[from..]);
        let rows = bound.run(&mut self.spectrogram)?;
        let seen = self.embedding.input();
        seen.copy_within(rows.len().., 0);
        let at = seen.len() - rows.len();
        scale(rows, &mut seen[at..]);
        Ok(())
    }
}

impl Head {
    fn load(runtime: &Runtime, file: &Path) -> Result<Self, LoadError> {
        let session = session(runtime, file)?;
        const LIKE: &str = "a head of openWakeWord";
        let (input, shape) = only_shape(file, session.inputs(), LIKE)?;
        let (output, scores) = only_shape(file, session.outputs(), LIKE)?;
        let embeddings = match *shape {
            [1 | -1, count, numbers] if numbers == EMBEDDING as i64 => usize::try_from(count).ok(),
            _ => None,
        };
        let embeddings = embeddings
            .filter(|count| (1..=NOISE_EMBEDDINGS).contains(count))
            .ok_or_else(|| other_model(file, input, "does not take embeddings of openWakeWord"))?;
        if !matches!(*scores, [1 | -1, 1 | -1]) {
            return Err(other_model(
                file,
                output,
                "is not one score: one word a head",
            ));
        }
        let from = (input, [1, embeddings, EMBEDDING]);
        let bound = Bound::new(&session, from, (output, [1, 1])).map_err(foreign(file))?;
        Ok(Self {
            session,
            bound,
            embeddings,
        })
    }
}

impl WakeWord for OpenWakeWord {
    fn word_count(&self) -> usize {
        self.heads.len()
    }

    fn hear(&mut self, frame: &[i16; FRAME_SAMPLES], scores: &mut [f32]) -> Result<(), ModelError> {
        assert!(scores.len() == self.heads.len());
        self.audio.copy_within(FRAME_SAMPLES.., 0);
        for (to, &from) in self.audio[REACH_SAMPLES..].iter_mut().zip(frame) {
            *to = f32::from(from);
        }
        self.hear_rows()?;
        self.embed()?;
        let is_deaf = self.heard < DEAF_FRAMES;
        self.heard = self.heard.saturating_add(1).min(DEAF_FRAMES);
        for (head, score) in self.heads.iter_mut().zip(scores) {
            let at = self.embeddings.len() - head.embeddings * EMBEDDING;
            head.bound.input().copy_from_slice(&self.embeddings[at..]);
            let found = head.bound.run(&mut head.session)?[0];
            if !(0.0..=1.0).contains(&found) {
                return Err(ModelError::BadOutput);
            }
            *score = if is_deaf { 0.0 } else { found };
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.audio.fill(0.0);
        self.embedding.input().fill(1.0);
        self.embeddings.copy_from_slice(&self.noise);
        self.heard = 0;
    }
}

/// Writes rows of the spectrogram as the embedding wants them. Source: utils.py, `x/10 + 2`.
fn scale(rows: &[f32], to: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(rows) {
        *to = from / 10.0 + 2.0;
    }
}

fn fill_with_noise(samples: &mut [f32]) {
    let mut state = 1_u32;
    for sample in samples {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample = ((state >> 16) % 2_000) as f32 - 1_000.0;
    }
}

/// Loads a graph that all heads share; says where it belongs when it is absent.
fn find(runtime: &Runtime, file: &Path) -> Result<Session, LoadError> {
    if !file.is_file() {
        return Err(LoadError::Missing {
            file: file.into(),
            remedy: "put openWakeWord's melspectrogram.onnx and embedding_model.onnx beside the \
                     word's file, or name their folder in [wake] features",
        });
    }
    session(runtime, file)
}

fn other_model(file: &Path, name: &str, problem: &str) -> LoadError {
    LoadError::Tensor {
        file: file.into(),
        name: name.into(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests;
