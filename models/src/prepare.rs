//! Preparing a model: a stock Whisper export becomes Pressel's own two graphs, on the device.
//!
//! Flow: folder of a Hugging Face export -> weights by name -> int8 and new graphs -> folder that
//! [`Whisper`](crate::Whisper) loads. On the thread of the command that asks for it, never in the
//! running appliance. The target appears whole, or not at all.
//!
//! Why: the stock graphs always hear 30 s, keep the decoder in an `If`, copy its cache for every
//! token and, in int8, turn the whole embedding back into fp32 for every token. The graphs made
//! here do the same sums without that (see [`encoder`] and [`decoder`]).

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::Write as _,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Runtime,
    onnx::{self, protobuf, tensor},
    whisper,
};

mod check;
mod decoder;
mod encoder;
mod error;
mod find;
mod graph;
mod linear;
mod names;
mod quantize;
mod run;
mod shape;
mod source;
mod weights;
mod write;

pub use crate::onnx::protobuf::Bytes;
pub use error::PrepareError;

use graph::{Builder, Planned};
use shape::Shape;
use source::Source;
use tensor::OnnxFile;
use weights::Weights;
use write::write_data;

/// The version of the prepared graphs, in `pressel.json`: `prepared.format`.
pub const FORMAT: u64 = whisper::PREPARED_FORMAT;
/// The name of the prepared encoder's files: `encoder.onnx` with the graph, `encoder.data`.
pub const ENCODER: &str = "encoder";
/// The name of the prepared decoder's files: `decoder.onnx` with the graph, `decoder.data`.
pub const DECODER: &str = "decoder";
/// The file with the rows of tokens and positions that go into the decoder.
pub const EMBEDDING_FILE: &str = whisper::EMBEDDING_FILE;

/// How often progress is told, besides the beginning and the end of a stage.
const TELL_EVERY: Duration = Duration::from_millis(50);

/// The bits of the matrix that makes logits, the largest of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Head {
    /// int8, as all others.
    EightBit,
    /// 4 bits: half the memory, and faster. The caller makes the best rows exact again, from
    /// `hidden` and the rows of the embedding.
    #[default]
    FourBit,
}

/// How a model is prepared.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The bits of the head.
    pub head: Head,
    /// Everything stays in fp32: to prove that the graphs are right.
    pub fp32: bool,
    /// A target that is there already is replaced; otherwise it is refused.
    pub replace: bool,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The source's files are hashed. Counted in bytes.
    Reading,
    /// The encoder is written. Counted in bytes of weights.
    Encoder,
    /// The decoder is written. Counted in bytes of weights.
    Decoder,
    /// The graphs are run and compared. Counted in runs.
    Checking,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The stage.
    pub stage: Stage,
    /// How much of it is done.
    pub done: u64,
    /// How much it is in all.
    pub total: u64,
}

/// What was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Bytes of the encoder's files.
    pub encoder_bytes: u64,
    /// Bytes of the decoder's files, embedding included.
    pub decoder_bytes: u64,
    /// Whether both graphs were run: false without a runtime.
    pub checked: bool,
    /// How alike the logits of prepared and stock graphs are, 1 when equal. `None` when they were
    /// not compared: without a runtime, or the stock graphs do not load, or too little memory.
    pub likeness: Option<f32>,
    /// Why they were not compared.
    pub not_compared: Option<String>,
}

/// Prepares the export in `source` as the new folder `target`.
///
/// With a `runtime`, the new graphs are run once and compared with the stock ones before the folder
/// appears. `progress` is called at least every megabyte; it may ask to stop.
///
/// Memory: the largest matrix in int8, and a few megabytes.
///
/// # Errors
/// [`PrepareError`], which names the file. Nothing is left behind then, also when asked to stop.
pub fn prepare(
    source: &Path,
    target: &Path,
    options: &Options,
    runtime: Option<&Runtime>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Summary, PrepareError> {
    let mut reporter = Reporter::new(progress);
    let source = Source::find(source)?;
    let shape = Shape::read(&source.folder.join("config.json"))?;
    let encoder = OnnxFile::open(&source.encoder)?;
    let decoder = OnnxFile::open(&source.decoder)?;
    let files = [encoder.files()?, decoder.files()?].concat();
    let weights = Weights::find(encoder, decoder, &shape)?;
    let sources = hashes(&files, &source.folder, &mut reporter)?;
    let making = Making::begin(target, options)?;
    let folder = making.folder.as_path();
    let encoder = encoder::plan(Builder::new(options), &shape);
    reporter.stage(Stage::Encoder, encoder.bytes())?;
    let encoder_bytes = encoder.write(folder, ENCODER, &weights, &mut reporter)?;
    let decoder = decoder::plan(Builder::new(options), &shape);
    let embedding = decoder::embedding(options, &shape);
    let embedding_bytes: u64 = embedding.iter().map(Planned::bytes).sum();
    reporter.stage(Stage::Decoder, decoder.bytes() + embedding_bytes)?;
    let mut decoder_bytes = decoder.write(folder, DECODER, &weights, &mut reporter)?;
    let file = folder.join(EMBEDDING_FILE);
    decoder_bytes += write_data(&file, embedding.iter(), 1, &weights, &mut reporter)?;
    let is_quantized = weights.is_quantized();
    drop(weights);
    source.copy_json(folder)?;
    write_pressel(&source, folder, options, sources)?;
    let mut summary = Summary {
        encoder_bytes,
        decoder_bytes,
        checked: false,
        likeness: None,
        not_compared: Some("no ONNX Runtime was given".into()),
    };
    if let Some(runtime) = runtime {
        let outcome = {
            let wanted = check::least(options, is_quantized);
            check::check(runtime, &source, folder, &shape, wanted, &mut reporter)?
        };
        summary.checked = true;
        (summary.likeness, summary.not_compared) = match outcome {
            Ok(likeness) => (Some(likeness), None),
            Err(why) => (None, Some(why)),
        };
    }
    making.finish()?;
    Ok(summary)
}

/// Looks for a Whisper in the bytes of an ONNX file, and returns how many parameters it found: for
/// the fuzzer, and for nothing else.
///
/// # Errors
/// One line, when they are not an ONNX file.
#[doc(hidden)]
pub fn look_for_parameters(bytes: &dyn Bytes) -> Result<usize, String> {
    let graph = onnx::read(bytes)?;
    let branches = graph.branches();
    let branches = [None].into_iter().chain(branches.into_iter().map(Some));
    let found = branches.map(|branch| find::find(&graph, branch, [1500, 24]).len());
    Ok(found.sum())
}

fn hashes(
    files: &[PathBuf],
    folder: &Path,
    reporter: &mut Reporter<'_>,
) -> Result<BTreeMap<String, String>, PrepareError> {
    let sizes = files
        .iter()
        .map(|file| fs::metadata(file).map_or(0, |about| about.len()));
    reporter.stage(Stage::Reading, sizes.sum())?;
    let mut hashes = BTreeMap::new();
    for file in files {
        let name = file.strip_prefix(folder).unwrap_or(file);
        let name = name.to_string_lossy().into_owned();
        hashes.insert(name, source::sha256(file, reporter)?);
    }
    Ok(hashes)
}

fn write_pressel(
    source: &Source,
    folder: &Path,
    options: &Options,
    sources: BTreeMap<String, String>,
) -> Result<(), PrepareError> {
    let (quantization, head_bits) = match (options.fp32, options.head) {
        (true, _) => ("fp32", 32),
        (false, Head::EightBit) => ("int8", 8),
        (false, Head::FourBit) => ("int8", 4),
    };
    let mut keys = source.pressel.clone();
    let prepared = json!({
        "format": FORMAT,
        "quantization": quantization,
        "head_bits": head_bits,
        "sources": sources,
    });
    keys.insert("prepared".into(), prepared);
    let file = folder.join("pressel.json");
    let text = format!("{:#}\n", Value::Object(keys));
    let written = File::create_new(&file).and_then(|mut open| {
        open.write_all(text.as_bytes())?;
        open.sync_all()
    });
    written.map_err(|error| PrepareError::Write {
        file,
        problem: error.to_string(),
    })
}

/// Tells how far it is, and hears when to stop.
struct Reporter<'a> {
    tell: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    at: Progress,
    told: Instant,
}

impl<'a> Reporter<'a> {
    fn new(tell: &'a mut dyn FnMut(Progress) -> ControlFlow<()>) -> Self {
        let at = Progress {
            stage: Stage::Reading,
            done: 0,
            total: 0,
        };
        Self {
            tell,
            at,
            told: Instant::now(),
        }
    }

    fn stage(&mut self, stage: Stage, total: u64) -> Result<(), PrepareError> {
        self.at = Progress {
            stage,
            done: 0,
            total,
        };
        self.say()
    }

    fn add(&mut self, done: u64) -> Result<(), PrepareError> {
        self.at.done += done;
        if self.at.done < self.at.total && self.told.elapsed() < TELL_EVERY {
            return Ok(());
        }
        self.say()
    }

    fn say(&mut self) -> Result<(), PrepareError> {
        self.told = Instant::now();
        match (self.tell)(self.at) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(PrepareError::Cancelled),
        }
    }
}

/// The target while it is made: a folder beside it, which goes when this is dropped.
struct Making {
    folder: PathBuf,
    target: PathBuf,
    replaces: bool,
    /// Locked, so that two processes do not make the same target.
    _lock: File,
}

impl Making {
    fn begin(target: &Path, options: &Options) -> Result<Self, PrepareError> {
        let refused = |problem: String| PrepareError::Target {
            folder: target.into(),
            problem,
        };
        if target.exists() && !options.replace {
            return Err(refused("is there already: remove it, or replace it".into()));
        }
        let folder = beside(target, "preparing").ok_or_else(|| refused("has no name".into()))?;
        let cannot = |error: std::io::Error| refused(format!("cannot be made ({error})"));
        fs::create_dir_all(&folder).map_err(cannot)?;
        let lock = File::open(&folder).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(refused("is being prepared by another process".into()));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let making = Self {
            folder,
            target: target.into(),
            replaces: target.exists(),
            _lock: lock,
        };
        // What a process left that was killed.
        for entry in fs::read_dir(&making.folder).map_err(cannot)? {
            fs::remove_file(entry.map_err(cannot)?.path()).map_err(cannot)?;
        }
        Ok(making)
    }

    /// Gives the folder its name, durably.
    fn finish(self) -> Result<(), PrepareError> {
        let moved = || -> std::io::Result<()> {
            File::open(&self.folder)?.sync_all()?;
            let old = beside(&self.target, "old").filter(|_| self.replaces);
            if let Some(old) = &old {
                fs::rename(&self.target, old)?;
            }
            fs::rename(&self.folder, &self.target)?;
            let parent = self
                .target
                .parent()
                .filter(|path| !path.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
            old.map_or(Ok(()), fs::remove_dir_all)
        };
        moved().map_err(|error| PrepareError::Target {
            folder: self.target.clone(),
            problem: format!("cannot be put in its place ({error})"),
        })
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // After `finish` there is none; what cannot be removed is removed by the next attempt.
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Returns the path of a hidden folder beside `target`.
fn beside(target: &Path, what: &str) -> Option<PathBuf> {
    let name = target.file_name()?.to_string_lossy();
    Some(target.with_file_name(format!(".{name}.{what}")))
}

#[cfg(test)]
mod broken_tests;
#[cfg(test)]
mod tests;
