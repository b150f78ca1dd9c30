//! The tiny fixture prepared and compared with the stock graphs; and exports that are broken.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ort::session::RunOptions;
use tempfile::TempDir;

use super::{
    check::{likeness, noise},
    run::{Runner, Stock, prepared_logits},
    *,
};
use crate::testing;

/// The JSON files of the fixture.
const JSON: [&str; 4] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "preprocessor_config.json",
];

fn tiny() -> PathBuf {
    testing::fixtures().join("tiny")
}

/// Returns the path of the fixture's encoder that takes any number of frames.
fn dynamic() -> PathBuf {
    tiny().join("encoder_dynamic.onnx")
}

pub(super) fn silent() -> impl FnMut(Progress) -> ControlFlow<()> {
    |_| ControlFlow::Continue(())
}

/// Copies the fixture into a new folder.
pub(super) fn copy() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    for name in JSON
        .iter()
        .chain(&["encoder_model.onnx", "decoder_model_merged.onnx"])
    {
        fs::copy(tiny().join(name), source.join(name)).unwrap();
    }
    (folder, source)
}

pub(super) fn fp32() -> Options {
    Options {
        fp32: true,
        ..Options::default()
    }
}

pub(super) fn make(
    source: &Path,
    target: &Path,
    options: &Options,
) -> Result<Summary, PrepareError> {
    prepare(source, target, options, None, &mut silent())
}

/// Prepares the fixture, runs both over `frames` and tokens in `calls`, and gives the logits.
fn both(runtime: &Runtime, options: &Options, frames: usize, calls: &[usize]) -> [Vec<f32>; 2] {
    let (folder, source) = copy();
    let target = folder.path().join("target");
    make(&source, &target, options).unwrap();
    let shape = Shape::read(&source.join("config.json")).unwrap();
    let tokens: Vec<i64> = (0..calls.iter().sum::<usize>())
        .map(|n| (n * 37 % 264) as i64)
        .collect();
    let features = noise(shape.bins * frames);
    let options = RunOptions::new().unwrap();
    let runner = Runner {
        runtime,
        shape: &shape,
        options: &options,
    };
    let stock = Stock {
        runner,
        encoder: &dynamic(),
        decoder: &source.join("decoder_model_merged.onnx"),
    };
    let expected = stock.logits(&features, &tokens).unwrap();
    let found = prepared_logits(runner, &target, features, &tokens, calls).unwrap();
    [found, expected]
}

/// The windows and calls of the comparisons.
const FRAMES: [usize; 6] = [2, 4, 30, 200, 768, 3_000];
const CALLS: [&[usize]; 7] = [&[1], &[2], &[5], &[1, 1, 1], &[4, 1, 1, 3], &[40], &[64]];

#[test]
fn fp32_graphs_say_what_the_stock_graphs_say() {
    let Some(runtime) = testing::runtime() else {
        return;
    };
    for frames in FRAMES {
        for calls in CALLS {
            let [found, expected] = both(&runtime, &fp32(), frames, calls);
            let pairs = found.iter().zip(&expected);
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-3, "{frames} frames, {calls:?}: {worst}");
        }
    }
}

#[test]
fn quantized_graphs_say_nearly_what_the_stock_graphs_say() {
    let Some(runtime) = testing::runtime() else {
        return;
    };
    let four_bit = Options {
        head: Head::FourBit,
        ..Options::default()
    };
    for (options, least) in [(Options::default(), 0.99), (four_bit, 0.97)] {
        for frames in FRAMES {
            let [found, expected] = both(&runtime, &options, frames, &[4, 1, 1]);
            let likeness = likeness(&found, &expected, 264);
            assert!(least < likeness, "{options:?}, {frames} frames: {likeness}");
        }
    }
}
