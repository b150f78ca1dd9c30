//! Exports that are broken, foreign or unusual: a named error or a right result, and nothing left
//! behind.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{
    protobuf::Message,
    tests::{copy, fp32, make, silent},
    *,
};
use crate::{LoadError, testing};

const ENCODER_MODEL: &str = "encoder_model.onnx";
const DECODER_MODEL: &str = "decoder_model_merged.onnx";

/// Returns the words of the error, after it was made sure that nothing was left behind.
fn error(folder: &TempDir, source: &Path) -> String {
    let target = folder.path().join("target");
    let error = make(source, &target, &fp32()).expect_err("is broken");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    error.to_string()
}

fn rewrite(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// Puts other letters in place of all `from`.
fn replace(bytes: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut found = 0;
    for at in 0..bytes.len().saturating_sub(from.len()) {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..][..to.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(0 < found, "{from} is nowhere");
}

/// Makes a change to the fixture and wants these words in the error.
fn check(change: &dyn Fn(&Path), expected: &[&str]) {
    let (folder, source) = copy();
    change(&source);
    let error = error(&folder, &source);
    for words in expected {
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn files_that_are_missing_or_foreign_are_named() {
    let remove =
        |name: &'static str| move |source: &Path| fs::remove_file(source.join(name)).unwrap();
    let write = |name: &'static str, bytes: &'static str| {
        move |source: &Path| fs::write(source.join(name), bytes).unwrap()
    };
    check(&remove("config.json"), &["config.json is missing"]);
    check(&remove("tokenizer.json"), &["tokenizer.json is missing"]);
    check(&remove(ENCODER_MODEL), &["encoder_model.onnx is missing"]);
    check(
        &remove(DECODER_MODEL),
        &["decoder_model_merged.onnx is missing"],
    );
    check(
        &write("generation_config.json", "{"),
        &["generation_config.json", "EOF"],
    );
    check(
        &write("pressel.json", "[]"),
        &["pressel.json", "is no object"],
    );
    check(&write("config.json", "{}"), &["config.json", "model_type"]);
    check(
        &write(ENCODER_MODEL, ""),
        &["encoder_model.onnx", "holds no graph"],
    );
    check(
        &write(DECODER_MODEL, "<html>"),
        &["decoder_model_merged.onnx", "damaged"],
    );
    let swap = |source: &Path| {
        fs::copy(source.join(ENCODER_MODEL), source.join(DECODER_MODEL)).unwrap();
    };
    check(
        &swap,
        &[
            "decoder_model_merged.onnx",
            "embed_tokens.weight",
            "not in the file",
        ],
    );
    let int8 = |source: &Path| {
        fs::rename(
            source.join(ENCODER_MODEL),
            source.join("encoder_model_int8.onnx"),
        )
        .unwrap();
    };
    check(&int8, &["encoder_model_int8.onnx", "take the fp32 export"]);
}

#[test]
fn sizes_that_are_not_those_of_the_weights_are_named() {
    let config = |from: &'static str, to: &'static str| {
        move |source: &Path| {
            let file = source.join("config.json");
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(file, text.replace(from, to)).unwrap();
        }
    };
    let width = "\"d_model\": 24";
    check(
        &config(width, "\"d_model\": 48"),
        &["conv1.weight", "has the shape"],
    );
    check(&config(width, "\"d_model\": 99999999999"), &["d_model"]);
    check(&config(width, "\"d_model\": 25"), &["does not divide"]);
    check(
        &config("\"vocab_size\": 264", "\"vocab_size\": 265"),
        &["embed_tokens", "264"],
    );
    check(
        &config("\"decoder_layers\": 2", "\"decoder_layers\": 3"),
        &["layers.2."],
    );
    check(&config("\"gelu\"", "\"relu\""), &["relu is not gelu"]);
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    for (file, tensor) in [
        (ENCODER_MODEL, "conv1.weight"),
        (DECODER_MODEL, "embed_tokens.weight"),
    ] {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (folder, source) = copy();
            let path = source.join(file);
            let opened = OnnxFile::open(&path).unwrap();
            let found = opened
                .graph
                .tensors
                .values()
                .find(|found| found.name.contains(tensor));
            let mut first = Vec::new();
            opened.read(found.unwrap(), 5..9, &mut first).unwrap();
            let first: Vec<u8> = first.iter().flat_map(|value| value.to_le_bytes()).collect();
            rewrite(&path, |bytes| {
                let at = bytes
                    .windows(first.len())
                    .position(|window| window == first);
                bytes[at.unwrap()..][..4].copy_from_slice(&value.to_le_bytes());
            });
            let error = error(&folder, &source);
            assert!(error.contains(tensor) && error.contains("NaN"), "{error}");
        }
    }
}

#[test]
fn truncated_files_are_refused_at_any_length() {
    let (folder, source) = copy();
    for file in [ENCODER_MODEL, DECODER_MODEL] {
        let path = source.join(file);
        let whole = fs::read(&path).unwrap();
        let step = whole.len() / 97;
        for length in (0..64)
            .chain((64..whole.len()).step_by(step))
            .chain([whole.len() - 1])
        {
            fs::write(&path, &whole[..length]).unwrap();
            let error = error(&folder, &source);
            assert!(error.contains(file), "{length}: {error}");
        }
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn damaged_files_are_refused_or_read_but_never_break_anything() {
    let (folder, source) = copy();
    let target = folder.path().join("target");
    let mut state = 7_u32;
    let mut refused = 0;
    for file in [ENCODER_MODEL, DECODER_MODEL] {
        let path = source.join(file);
        let whole = fs::read(&path).unwrap();
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..20 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = usize::try_from(state >> 8).unwrap() % bytes.len();
                bytes[at] = state.to_le_bytes()[3];
            }
            fs::write(&path, bytes).unwrap();
            match make(&source, &target, &fp32()) {
                Ok(_) => fs::remove_dir_all(&target).unwrap(),
                Err(PrepareError::Source(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        fs::write(&path, whole).unwrap();
    }
    assert!(0 < refused);
}

/// Makes an ONNX file of one matrix whose data lies in another file.
fn with_data_outside(folder: &Path, location: &str, length: usize) -> PathBuf {
    let mut tensor = Message::default();
    tensor
        .number(1, 2)
        .number(1, 3)
        .number(2, 1)
        .text(8, "matrix");
    for (key, value) in [("location", location), ("offset", "4"), ("length", "24")] {
        tensor.message(13, Message::default().text(1, key).text(2, value));
    }
    tensor.number(14, 1);
    let mut graph = Message::default();
    graph
        .message(1, Message::default().text(4, "Identity"))
        .message(5, &tensor);
    let mut model = Message::default();
    model.number(1, 8).message(7, &graph);
    let file = folder.join("model.onnx");
    fs::write(&file, model.bytes()).unwrap();
    let values = (0_u8..7).flat_map(|value| f32::from(value).to_le_bytes());
    let bytes: Vec<u8> = values.take(length).collect();
    fs::write(folder.join("model.onnx_data"), bytes).unwrap();
    file
}

#[test]
fn data_outside_of_the_file_is_read_but_not_outside_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let read = |location: &str, length: usize| -> Result<Vec<f32>, LoadError> {
        let file = OnnxFile::open(&with_data_outside(folder.path(), location, length))?;
        assert!(2 == file.files()?.len());
        let mut values = Vec::new();
        file.read(&file.graph.tensors["matrix"], 1..6, &mut values)?;
        Ok(values)
    };
    assert_eq!(
        read("model.onnx_data", 28).unwrap(),
        [2.0, 3.0, 4.0, 5.0, 6.0]
    );
    let refused = |location: &str, length: usize, words: &str| {
        let error = read(location, length).unwrap_err().to_string();
        assert!(error.contains("matrix") && error.contains(words), "{error}");
    };
    refused("model.onnx_data", 27, "is cut off");
    refused("other", 28, "cannot be read");
    refused("../model.onnx_data", 28, "outside of the folder");
    refused("/etc/passwd", 28, "outside of the folder");
    refused("", 28, "outside of the folder");
}

#[test]
fn tensors_that_lie_about_their_size_are_refused() {
    let check = |dims: &[u64], bytes: usize, expected: &str| {
        let mut tensor = Message::default();
        for &dim in dims {
            tensor.number(1, dim);
        }
        tensor
            .number(2, 1)
            .text(8, "liar")
            .raw_bytes(9, &vec![0; bytes]);
        let mut graph = Message::default();
        graph
            .message(1, Message::default().text(4, "Identity"))
            .message(5, &tensor);
        let mut model = Message::default();
        model.number(1, 8).message(7, &graph);
        let error = onnx::read(&model.bytes()).unwrap_err();
        assert!(
            error.contains("liar") && error.contains(expected),
            "{error}"
        );
    };
    check(&[2, 2], 15, "15 of 16 bytes");
    check(&[1 << 40, 1 << 40], 16, "cannot be");
    check(&[u64::MAX], 16, "cannot be");
    check(&[1 << 61], 16, "cannot be");
    check(&[1; 9], 4, "cannot be");
    check(&[], 0, "0 of 4 bytes");
}

#[test]
fn exports_without_names_of_nodes_or_of_tensors_give_the_same_graphs() {
    let (folder, source) = copy();
    let expected = folder.path().join("expected");
    make(&source, &expected, &Options::default()).unwrap();
    let check = |name: &str, encoder: [&str; 2], decoder: [&str; 2]| {
        let (folder, source) = copy();
        rewrite(&source.join(ENCODER_MODEL), |bytes| {
            replace(bytes, encoder[0], encoder[1])
        });
        rewrite(&source.join(DECODER_MODEL), |bytes| {
            replace(bytes, decoder[0], decoder[1])
        });
        let target = folder.path().join("target");
        make(&source, &target, &Options::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        for file in ["encoder.data", "decoder.data", EMBEDDING_FILE] {
            let [found, expected] = [&target, &expected].map(|at| fs::read(at.join(file)).unwrap());
            assert!(found == expected, "{name}: {file} differs");
        }
    };
    let nodes = ["/model/decoder/layers.", "/model/decoder/lxxxxx."];
    check("no names of nodes", ["/layers.", "/lxxxxx."], nodes);
    let tensors = ["model.decoder.layers.", "model.decoder.lxxxxx."];
    check("no names of tensors", ["layers.0.", "lxxxxx.0."], tensors);
}

#[test]
fn matrices_in_the_wrong_places_are_noticed() {
    let Some(runtime) = testing::runtime() else {
        return;
    };
    let (folder, source) = copy();
    rewrite(&source.join(DECODER_MODEL), |bytes| {
        let name = |part| format!("/layers.0/self_attn/{part}_proj/");
        for [from, to] in [["q", "x"], ["v", "q"], ["x", "v"]] {
            replace(bytes, &name(from), &name(to));
        }
    });
    let target = folder.path().join("target");
    let error = prepare(&source, &target, &fp32(), Some(&runtime), &mut silent()).unwrap_err();
    assert!(matches!(error, PrepareError::Disagrees { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
