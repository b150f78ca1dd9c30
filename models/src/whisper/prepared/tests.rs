//! Tests of the prepared graphs: against the stock graphs, at the ends of window and context, and
//! with files that do not fit.
//!
//! The tiny model of fixtures/ is prepared in fp32 for each test; without ONNX Runtime they print
//! one line and return.

use std::{fs, ops::ControlFlow, path::Path};

use tempfile::TempDir;

use super::{
    super::{folder::PREPARED_FORMAT, graphs::Graphs, stock::Stock},
    *,
};
use crate::{
    Provider,
    onnx::finite::damage,
    prepare::{self, Options},
    testing::{fixtures, runtime},
};

const SETTINGS: SessionSettings = SessionSettings {
    threads: 1,
    spin: false,
    provider: Provider::Cpu,
};
const BINS: usize = 80;
const CONTEXT: usize = 64;
const PROMPT: [i64; 4] = [257, 258, 261, 263];

/// The tiny model, prepared.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        fp32: true,
        replace: true,
        ..Options::default()
    };
    let mut silent = |_| ControlFlow::Continue(());
    prepare::prepare(
        &fixtures().join("tiny"),
        folder.path(),
        &options,
        None,
        &mut silent,
    )
    .unwrap();
    folder
}

fn load(runtime: &Runtime, folder: &Path) -> Result<Graphs, LoadError> {
    Graphs::load(runtime, &Folder::read(folder, Provider::Cpu)?, SETTINGS)
}

fn prepared() -> Option<Prepared> {
    let runtime = runtime()?;
    let Graphs::Prepared(graphs) = load(&runtime, folder().path()).unwrap() else {
        panic!("the prepared pair is to be preferred");
    };
    Some(*graphs)
}

/// Features that are no audio, but of a spectrogram's size.
fn features(frames: usize) -> Vec<f32> {
    (0..BINS * frames)
        .map(|n| ((n * n) % 1_009) as f32 / 504.0 - 1.0)
        .collect()
}

fn assert_near(found: &[f32], expected: &[f32], what: &str) {
    let difference = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let difference = difference.fold(0.0, f32::max);
    assert_eq!(found.len(), expected.len());
    assert!(difference < 1e-3, "{what}: {difference}");
}

#[test]
fn logits_are_those_of_the_stock_graphs() {
    let Some(runtime) = runtime() else { return };
    let options = RunOptions::new().unwrap();
    let mut prepared = prepared().unwrap();
    let stock = Folder::read(&fixtures().join("tiny"), Provider::Cpu).unwrap();
    let mut stock = Stock::load(&runtime, &stock, SETTINGS).unwrap();
    for _ in 0..2 {
        prepared.hear(&features(3_000), 3_000, &options).unwrap();
        stock.hear(&features(3_000), 3_000, &options).unwrap();
        for _ in 0..2 {
            prepared.feed(&PROMPT, Some(0), &options).unwrap();
            stock.feed(&PROMPT, Some(0), &options).unwrap();
            let (found, expected) = (prepared.marked_logits(), stock.marked_logits());
            assert_near(found.unwrap(), expected.unwrap(), "marked");
            for token in [1, 5, 250, 5, 33, 90, 17, 2] {
                assert_near(prepared.logits_mut(), stock.logits_mut(), "last");
                prepared.feed(&[token], None, &options).unwrap();
                stock.feed(&[token], None, &options).unwrap();
                assert!(prepared.marked_logits().is_none());
            }
            prepared.rewind();
            stock.rewind();
        }
    }
}

#[test]
fn tokens_at_once_and_one_by_one_give_the_same() {
    let Some(mut graphs) = prepared() else { return };
    let options = RunOptions::new().unwrap();
    let tokens: Vec<i64> = (0..CONTEXT as i64).map(|n| n * 37 % 264).collect();
    graphs.hear(&features(90), 90, &options).unwrap();
    graphs.feed(&tokens, Some(30), &options).unwrap();
    let (last, marked) = (
        graphs.logits_mut().to_vec(),
        graphs.marked_logits().unwrap().to_vec(),
    );
    graphs.rewind();
    for (place, token) in tokens.iter().enumerate() {
        let mark = (place == 30).then_some(0);
        graphs.feed(&[*token], mark, &options).unwrap();
        if let Some(found) = graphs.marked_logits() {
            assert_near(found, &marked, "marked");
            // Striking out the last logits leaves the marked ones as they are.
            graphs.logits_mut().fill(f32::NEG_INFINITY);
            assert_near(graphs.marked_logits().unwrap(), &marked, "marked");
        }
    }
    assert_near(graphs.logits_mut(), &last, "last");
}

#[test]
fn every_window_gives_what_it_gives_when_it_is_the_first() {
    let Some(mut graphs) = prepared() else { return };
    let options = RunOptions::new().unwrap();
    let answer = |graphs: &mut Prepared, frames: usize| {
        graphs.hear(&features(frames), frames, &options).unwrap();
        graphs.feed(&PROMPT, None, &options).unwrap();
        graphs.feed(&[9], None, &options).unwrap();
        graphs.logits_mut().to_vec()
    };
    // Longer and shorter than before; 1 to 1500 positions.
    for frames in [2, 3_000, 2, 4, 90, 3_000, 800] {
        let expected = answer(&mut prepared().unwrap(), frames);
        assert!(expected.iter().all(|logit| logit.is_finite()));
        assert_near(&answer(&mut graphs, frames), &expected, &frames.to_string());
    }
}

#[test]
fn what_does_not_fit_is_bad_input_and_the_graphs_go_on() {
    let Some(mut graphs) = prepared() else { return };
    let options = RunOptions::new().unwrap();
    let bad = Err(ModelError::BadInput);
    assert_eq!(
        graphs.feed(&PROMPT, None, &options),
        bad,
        "nothing was heard"
    );
    for frames in [0, 1, 3, 3_002] {
        assert_eq!(graphs.hear(&features(frames), frames, &options), bad);
    }
    assert_eq!(graphs.hear(&features(90), 92, &options), bad);
    assert_eq!(graphs.feed(&PROMPT, None, &options), bad);
    graphs.hear(&features(90), 90, &options).unwrap();
    for tokens in [&[][..], &[-1], &[264], &[i64::MAX], &[0; CONTEXT + 1]] {
        assert_eq!(graphs.feed(tokens, None, &options), bad, "{tokens:?}");
    }
    assert_eq!(graphs.feed(&PROMPT, Some(4), &options), bad);
    graphs.feed(&[7; CONTEXT - 1], None, &options).unwrap();
    assert_eq!(graphs.feed(&[7; 2], None, &options), bad);
    graphs.feed(&[7], None, &options).unwrap();
    assert_eq!(graphs.feed(&[7], None, &options), bad);
    graphs.rewind();
    graphs.feed(&[7; CONTEXT], None, &options).unwrap();
}

#[test]
fn an_ended_run_is_cancelled_and_the_next_one_runs() {
    let Some(mut graphs) = prepared() else { return };
    let options = RunOptions::new().unwrap();
    options.terminate().unwrap();
    let heard = graphs.hear(&features(90), 90, &options);
    assert_eq!(heard, Err(ModelError::Cancelled));
    options.unterminate().unwrap();
    let fed = graphs.feed(&PROMPT, None, &options);
    assert_eq!(fed, Err(ModelError::BadInput), "the audio was not heard");
    graphs.hear(&features(90), 90, &options).unwrap();
    options.terminate().unwrap();
    assert_eq!(
        graphs.feed(&PROMPT, None, &options),
        Err(ModelError::Cancelled)
    );
    options.unterminate().unwrap();
    graphs.feed(&PROMPT, None, &options).unwrap();
}

/// Breaks the prepared model and checks the one line that loading it gives.
fn check_broken(breakage: impl Fn(&Path), expected: &[&str]) {
    let Some(runtime) = runtime() else { return };
    let folder = folder();
    breakage(folder.path());
    let text = load(&runtime, folder.path()).err().unwrap().to_string();
    for part in expected {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
    assert!(!text.contains('\n'), "{text}");
}

/// Puts `to` in the place of `from` in a file of the folder, all over it.
fn replace(folder: &Path, file: &str, from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(folder.join(file)).unwrap();
    let mut count = 0;
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
            count += 1;
        }
    }
    assert!(0 < count);
    fs::write(folder.join(file), bytes).unwrap();
}

#[test]
fn wrong_files_are_named_with_the_tensor_and_the_remedy() {
    let remedy = "pressel models prepare";
    let (encoder, decoder) = ("encoder.onnx", "decoder.onnx");
    let copy = |from: &'static str, to: &'static str| {
        move |folder: &Path| {
            fs::copy(folder.join(from), folder.join(to)).unwrap();
        }
    };
    check_broken(
        copy(decoder, encoder),
        &[encoder, "input_features is missing", remedy],
    );
    check_broken(
        copy(encoder, decoder),
        &[decoder, "embedded is missing", remedy],
    );
    for (file, name, other) in [
        (encoder, "input_features", "input_featureZ"),
        (encoder, "cross.1.value", "cross.1.valuZ"),
        (decoder, "cross.0.key", "cross.0.keZ"),
        (decoder, "embedded", "embeddeZ"),
        (decoder, "total_positions", "total_positionZ"),
        (decoder, "hidden", "hiddeZ"),
        (decoder, "self_out.1.key", "self_out.1.keZ"),
        (decoder, "logits", "logitZ"),
    ] {
        let breakage = |folder: &Path| replace(folder, file, name.as_bytes(), other.as_bytes());
        check_broken(breakage, &[file, &format!("{name} is missing"), remedy]);
    }
    let config = |key: &'static str, from: usize, to: usize| {
        move |folder: &Path| {
            let (from, to) = (format!("\"{key}\": {from}"), format!("\"{key}\": {to}"));
            let file = folder.join("config.json");
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.contains(&from), "{text}");
            fs::write(file, text.replace(&from, &to)).unwrap();
        }
    };
    let not_there = |key, from, to, part| check_broken(config(key, from, to), &[part, remedy]);
    not_there("decoder_layers", 2, 3, "tensor self.2.key is missing");
    not_there("decoder_layers", 2, 1, "is not known here");
    not_there("decoder_attention_heads", 2, 3, "self.0.key has shape");
    not_there("max_target_positions", 64, 65, "embedding.bin");
    not_there("vocab_size", 264, 265, "embedding.bin");
}

#[test]
fn graphs_of_another_version_are_named() {
    assert_eq!(PREPARED_FORMAT, prepare::FORMAT);
    let breakage = |folder: &Path| {
        let file = folder.join("pressel.json");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("\"format\": 2"), "{text}");
        fs::write(file, text.replace("\"format\": 2", "\"format\": 9")).unwrap();
    };
    let expected = [
        "pressel.json",
        "prepared.format is 9",
        "pressel models prepare",
    ];
    check_broken(breakage, &expected);
}

#[test]
fn damaged_files_are_named() {
    for file in ["encoder.onnx", "decoder.onnx"] {
        check_broken(
            |folder| fs::write(folder.join(file), "not found").unwrap(),
            &[file, "is damaged or no ONNX model"],
        );
        check_broken(
            |folder| {
                let bytes = fs::read(folder.join(file)).unwrap();
                fs::write(folder.join(file), &bytes[..bytes.len() * 2 / 3]).unwrap();
            },
            &[file, "is damaged or no ONNX model"],
        );
        check_broken(
            |folder| fs::remove_file(folder.join(file)).unwrap(),
            &[file, "is missing", "half prepared"],
        );
    }
    for (file, weights) in [
        ("encoder.onnx", "encoder.data"),
        ("decoder.onnx", "decoder.data"),
    ] {
        let expected = [file, "is damaged or no ONNX model"];
        check_broken(
            |folder| fs::remove_file(folder.join(weights)).unwrap(),
            &expected,
        );
        check_broken(
            |folder| {
                let bytes = fs::read(folder.join(weights)).unwrap();
                fs::write(folder.join(weights), &bytes[..bytes.len() / 2]).unwrap();
            },
            &expected,
        );
    }
}

#[test]
fn every_damaged_weight_is_named() {
    let good = folder();
    for name in ["encoder.onnx", "decoder.onnx"] {
        let names = damage(&good.path().join(name), 0.5, &|_| true);
        assert!(10 < names.len(), "{names:?}");
        for tensor in names.iter().step_by(5) {
            for number in [f32::NAN, f32::INFINITY] {
                let breakage = |folder: &Path| {
                    damage(&folder.join(name), number, &|one| one.name == *tensor);
                };
                let tensor = format!("tensor {tensor} ");
                check_broken(
                    breakage,
                    &[name, &tensor, "NaN or infinity", "prepare it again"],
                );
            }
        }
    }
}

#[test]
fn numbers_of_another_kind_are_named() {
    use ort::value::{Outlet, Shape, SymbolicDimensions, TensorElementType, ValueType};

    let outlet = |ty, shape: [i64; 2]| {
        let dtype = ValueType::Tensor {
            ty,
            shape: Shape::new(shape),
            dimension_symbols: SymbolicDimensions::empty(2),
        };
        Outlet::new("rows", dtype)
    };
    let check = |outlet: Outlet, expected: Result<(), &str>| {
        let rows = names::Expected {
            name: "rows",
            number: TensorElementType::Int64,
            shape: &[Some(1), None],
        };
        let found = names::check(&[outlet], &[rows], Path::new("decoder.onnx"));
        let found = found.map_err(|error| error.to_string());
        match expected {
            Ok(()) => assert_eq!(found, Ok(())),
            Err(part) => assert!(found.unwrap_err().contains(part), "{part}"),
        }
    };
    check(outlet(TensorElementType::Int64, [1, -1]), Ok(()));
    check(outlet(TensorElementType::Int64, [-1, -1]), Ok(()));
    check(
        outlet(TensorElementType::Int32, [1, -1]),
        Err("rows is of i32, not i64"),
    );
    check(
        outlet(TensorElementType::Int64, [2, -1]),
        Err("rows has shape [2, -1]"),
    );
    check(
        outlet(TensorElementType::Int64, [1, 5]),
        Err("rows is fixed to 5"),
    );
}

#[test]
fn a_gpu_gets_the_stock_graphs_or_says_why_not() {
    let folder = folder();
    let provider = Provider::Cuda;
    let error = Folder::read(folder.path(), provider).err().unwrap();
    assert!(
        error.to_string().contains("prepared for the CPU only"),
        "{error}"
    );
    for file in ["encoder_model.onnx", "decoder_model_merged.onnx"] {
        fs::copy(fixtures().join("tiny").join(file), folder.path().join(file)).unwrap();
    }
    assert!(!Folder::read(folder.path(), provider).unwrap().prepared);
    assert!(Folder::read(folder.path(), Provider::Cpu).unwrap().prepared);
}
