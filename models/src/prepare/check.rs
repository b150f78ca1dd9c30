//! A prepared model is run once, and compared with the stock graphs it was made of.
//!
//! Flow: both folders -> logits of the same tokens for the same features -> how alike they are. On
//! the thread that prepares a model.

use std::{
    fs,
    path::Path,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
};

use ort::session::RunOptions;

use super::{
    Head, Options, PrepareError, Reporter, Stage, TELL_EVERY,
    run::{Runner, Stock, prepared_logits},
    shape::Shape,
    source::Source,
};
use crate::{Runtime, error::one_line};

/// The window of the comparison when the stock encoder takes any: 7.68 s.
const FRAMES: usize = 768;
/// The tokens of the comparison; the last is read alone, behind the others.
const TOKENS: usize = 5;
/// What silence is in Whisper's features.
const SILENCE: f32 = -1.5;
/// Memory that ONNX Runtime takes for a graph in fp32, in sizes of its file.
const MEMORY_FACTOR: u64 = 6;

/// How alike the logits must be.
const LIKENESS_FP32: f32 = 0.9999;
const LIKENESS_INT8: f32 = 0.98;
const LIKENESS_FOUR_BIT: f32 = 0.95;

/// Returns how alike the logits must be. Int8 weights in the source are compared with graphs that
/// round their inputs as well.
pub(super) fn least(options: &Options, is_quantized: bool) -> f32 {
    match (options.fp32, options.head) {
        (true, _) if !is_quantized => LIKENESS_FP32,
        (true, _) | (false, Head::EightBit) => LIKENESS_INT8,
        (false, Head::FourBit) => LIKENESS_FOUR_BIT,
    }
}

/// Runs the prepared graphs and, if it can, the stock ones. Returns how alike they are, or why they
/// were not compared.
pub(super) fn check(
    runtime: &Runtime,
    source: &Source,
    target: &Path,
    shape: &Shape,
    least: f32,
    reporter: &mut Reporter<'_>,
) -> Result<Result<f32, String>, PrepareError> {
    reporter.stage(Stage::Checking, 3)?;
    let frames = FRAMES.min(2 * shape.positions);
    let tokens = &tokens(shape);
    let mut watched = Watched {
        runtime,
        shape,
        reporter,
    };
    let silence = vec![SILENCE; shape.bins * frames];
    watched.run(|runner| prepared(runner, target, silence, tokens))??;
    let expected = watched.run(|runner| stock(runner, source, tokens, frames))?;
    let (features, expected) = match expected {
        Ok(expected) => expected,
        Err(why) => return Ok(Err(why)),
    };
    let found = watched.run(|runner| prepared(runner, target, features, tokens))??;
    let likeness = likeness(&found, &expected, shape.vocabulary);
    // Also when it is no number.
    if least <= likeness {
        Ok(Ok(likeness))
    } else {
        Err(PrepareError::Disagrees { likeness, least })
    }
}

/// Works on another thread, so that the caller can be asked whether to stop.
struct Watched<'a, 'b> {
    runtime: &'a Runtime,
    shape: &'a Shape,
    reporter: &'a mut Reporter<'b>,
}

impl Watched<'_, '_> {
    fn run<T: Send>(
        &mut self,
        work: impl FnOnce(Runner<'_>) -> T + Send,
    ) -> Result<T, PrepareError> {
        let options = RunOptions::new().map_err(|error| PrepareError::Check {
            problem: one_line(error.message()),
        })?;
        let runner = Runner {
            runtime: self.runtime,
            shape: self.shape,
            options: &options,
        };
        let (done, is_done) = mpsc::channel::<()>();
        let outcome = thread::scope(|scope| {
            let worker = scope.spawn(move || {
                // Dropped at the end, also by a panic: that is the sign.
                let _done = done;
                work(runner)
            });
            let mut asked = Ok(());
            while is_done.recv_timeout(TELL_EVERY) == Err(RecvTimeoutError::Timeout) {
                if asked.is_ok() {
                    asked = self.reporter.say();
                }
                if asked.is_err() {
                    // A later run would not hear it: said until there is none.
                    options.terminate().ok();
                }
            }
            asked.map(|()| worker.join())
        })?;
        self.reporter.add(1)?;
        outcome.map_err(|_| PrepareError::Check {
            problem: "it broke off".into(),
        })
    }
}

/// Runs the prepared graphs: the last token alone, behind the cache of the others.
fn prepared(
    runner: Runner<'_>,
    target: &Path,
    features: Vec<f32>,
    tokens: &[i64],
) -> Result<Vec<f32>, PrepareError> {
    let failed = |problem: String| PrepareError::Check { problem };
    let calls = [tokens.len() - 1, 1];
    let logits = prepared_logits(runner, target, features, tokens, &calls);
    let logits = logits.map_err(failed)?;
    if logits.iter().all(|logit| logit.is_finite()) {
        Ok(logits)
    } else {
        Err(failed("the logits are not finite".into()))
    }
}

/// Runs the stock graphs over made-up features; returns these and the logits.
fn stock(
    runner: Runner<'_>,
    source: &Source,
    tokens: &[i64],
    frames: usize,
) -> Result<(Vec<f32>, Vec<f32>), String> {
    let files = [&source.encoder, &source.decoder];
    let bytes = files.map(|file| fs::metadata(file).map_or(0, |about| about.len()));
    let needed = MEMORY_FACTOR * bytes[0].max(bytes[1]);
    if let Some(free) = free_memory().filter(|&free| free < needed) {
        let [needed, free] = [needed, free].map(|bytes| bytes >> 20);
        return Err(format!(
            "the stock model takes {needed} MiB of memory, {free} are free"
        ));
    }
    let stock = Stock {
        runner,
        encoder: &source.encoder,
        decoder: &source.decoder,
    };
    let frames = stock.fixed_frames()?.unwrap_or(frames);
    let features = noise(runner.shape.bins * frames);
    let logits = stock.logits(&features, tokens)?;
    Ok((features, logits))
}

/// Tokens from all over the vocabulary.
fn tokens(shape: &Shape) -> Vec<i64> {
    let token = |index: usize| (index * 7_919 + 11) * shape.vocabulary / 50_021 % shape.vocabulary;
    (0..TOKENS)
        .map(|index| i64::try_from(token(index)).unwrap_or(0))
        .collect()
}

/// Numbers in the range of Whisper's features, the same each time.
pub(super) fn noise(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap_or(0)) / 65_536.0 * 2.5 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Returns the least correlation of two rows of logits: what all have in common does not count.
pub(super) fn likeness(found: &[f32], expected: &[f32], vocabulary: usize) -> f32 {
    if found.len() != expected.len() {
        return 0.0;
    }
    let rows = found.chunks(vocabulary).zip(expected.chunks(vocabulary));
    let correlations = rows.map(|(one, other)| correlation(one, other));
    // Like `min`, but what is no number stays.
    correlations.fold(1.0, |least, next| if least <= next { least } else { next })
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "-1 to 1; rows are short"
)]
fn correlation(one: &[f32], other: &[f32]) -> f32 {
    let mean = |row: &[f32]| row.iter().copied().map(f64::from).sum::<f64>() / row.len() as f64;
    let (mean_one, mean_other) = (mean(one), mean(other));
    let (mut both, mut of_one, mut of_other) = (0.0, 0.0, 0.0);
    for (&a, &b) in one.iter().zip(other) {
        let (a, b) = (f64::from(a) - mean_one, f64::from(b) - mean_other);
        both += a * b;
        of_one += a * a;
        of_other += b * b;
    }
    (both / (of_one * of_other).sqrt()) as f32
}

/// Returns the bytes that the system can give, as `MemAvailable` tells.
fn free_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}
