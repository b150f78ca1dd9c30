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
    for (head, least) in [(Head::EightBit, 0.99), (Head::FourBit, 0.97)] {
        let options = Options {
            head,
            ..Options::default()
        };
        for frames in FRAMES {
            let [found, expected] = both(&runtime, &options, frames, &[4, 1, 1]);
            let likeness = likeness(&found, &expected, 264);
            assert!(least < likeness, "{options:?}, {frames} frames: {likeness}");
        }
    }
}

#[test]
fn the_built_in_model_can_be_prepared_from_its_int8_weights() {
    let Some(runtime) = testing::runtime() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("nano");
    let source = crate::places::builtin("nano");
    let options = Options {
        head: Head::EightBit,
        ..Options::default()
    };
    let summary = prepare(&source, &target, &options, Some(&runtime), &mut silent()).unwrap();
    assert!(
        summary.likeness.is_some_and(|likeness| 0.99 < likeness),
        "{summary:?}"
    );
    let text = fs::read_to_string(target.join("pressel.json")).unwrap();
    let pressel: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(pressel["window_floor_frames"], 128);
    assert_eq!(pressel["canary"], "turn on the kitchen light");
    assert_eq!(pressel["prepared"]["quantization"], "int8");
}

#[test]
fn a_stop_at_any_moment_leaves_nothing_behind() {
    let Some(runtime) = testing::runtime() else {
        return;
    };
    let (folder, source) = copy();
    let target = folder.path().join("target");
    let mut stages = Vec::new();
    let mut note = |progress: Progress| {
        stages.push(progress);
        ControlFlow::Continue(())
    };
    prepare(&source, &target, &fp32(), Some(&runtime), &mut note).unwrap();
    for stage in [
        Stage::Reading,
        Stage::Encoder,
        Stage::Decoder,
        Stage::Checking,
    ] {
        let last = stages
            .iter()
            .rfind(|progress| progress.stage == stage)
            .unwrap();
        assert_eq!(last.done, last.total, "{stage:?}");
    }
    fs::remove_dir_all(&target).unwrap();
    for moment in 0..stages.len() {
        let mut calls = 0;
        let mut stop = |_: Progress| {
            calls += 1;
            if calls <= moment {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let made = prepare(&source, &target, &fp32(), Some(&runtime), &mut stop);
        // How often progress is told depends on the clock: it may be done before its last moment.
        if made.is_ok() {
            fs::remove_dir_all(&target).unwrap();
            continue;
        }
        assert_eq!(made, Err(PrepareError::Cancelled), "{moment}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{moment}");
    }
}

#[test]
fn a_target_that_is_there_is_replaced_only_when_asked() {
    let (folder, source) = copy();
    let target = folder.path().join("target");
    make(&source, &target, &fp32()).unwrap();
    let again = make(&source, &target, &fp32()).unwrap_err();
    assert!(again.to_string().contains("is there already"), "{again}");
    let replace = Options {
        replace: true,
        ..Options::default()
    };
    make(&source, &target, &replace).unwrap();
    let pressel = fs::read_to_string(target.join("pressel.json")).unwrap();
    assert!(pressel.contains("int8"), "{pressel}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn what_a_killed_process_left_is_swept_and_a_running_one_is_left_alone() {
    let (folder, source) = copy();
    let target = folder.path().join("target");
    let rest = folder.path().join(".target.preparing");
    fs::create_dir(&rest).unwrap();
    fs::write(rest.join("encoder.onnx"), "half").unwrap();
    let lock = File::open(&rest).unwrap();
    lock.lock().unwrap();
    let refused = make(&source, &target, &fp32()).unwrap_err();
    assert!(refused.to_string().contains("another process"), "{refused}");
    assert!(rest.join("encoder.onnx").exists());
    drop(lock);
    make(&source, &target, &fp32()).unwrap();
    assert!(!rest.exists());
}
