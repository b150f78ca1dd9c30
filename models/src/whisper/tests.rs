//! Tests of the recogniser: the golden tokens of transformers, odd inputs, cancelling, bad folders.
//!
//! They run the tiny model of fixtures/; without ONNX Runtime they print one line and return.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::Language;
use crate::onnx::{finite::damage, tensor::Tensor};
use crate::testing::{fixtures, golden, number, runtime, signal};

const CONFIG: WhisperConfig = WhisperConfig {
    threads: 1,
    spin: false,
    provider: Provider::Cpu,
};

/// One pass without thresholds, English.
fn options() -> DecodeOptions {
    DecodeOptions {
        language: Some(Language::ENGLISH),
        temperature: vec![0.0],
        no_speech_threshold: f32::INFINITY,
        logprob_threshold: f32::NEG_INFINITY,
        compression_ratio_threshold: f32::INFINITY,
        tokens_per_second_max: 99,
        ..DecodeOptions::default()
    }
}

/// A copy of the tiny model, to be changed by a test.
fn copy_of_tiny() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures().join("tiny")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn tiny() -> Option<Whisper> {
    Some(Whisper::load(&runtime()?, &fixtures().join("tiny"), &CONFIG).unwrap())
}

/// Transcribes the audio of `case` and compares the tokens.
fn check_tokens(whisper: &mut Whisper, case: &Value, prompt: &Value) {
    let listed = case["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token.as_u64().unwrap());
    let expected: Vec<u32> = listed
        .skip(prompt.as_array().unwrap().len())
        .map(|token| u32::try_from(token).unwrap())
        .filter(|&token| !whisper.rules.is_end(token))
        .collect();
    let mut heard = Transcript::default();
    let cancel = AtomicBool::new(false);
    let result = whisper
        .transcribe(&signal(case), &options(), "", &cancel, &mut heard)
        .unwrap();
    assert_eq!(
        serde_json::to_value(&whisper.beginning.tokens).unwrap(),
        *prompt
    );
    assert_eq!(whisper.tokens, expected);
    assert_eq!(result.token_count as usize, expected.len());
    assert!(result.mean_logprob.is_finite() && result.mean_logprob < 0.0);
    if let Some(expected) = case["text"].as_str() {
        assert_eq!(heard.text, expected);
    }
}

#[test]
fn greedy_tokens_are_those_of_transformers() {
    let Some(mut whisper) = tiny() else { return };
    let golden = golden();
    for case in golden["decode"]["cases"].as_array().unwrap() {
        check_tokens(&mut whisper, case, &golden["decode"]["prefix"]);
    }
}

#[test]
fn a_short_window_gives_the_tokens_of_the_short_window() {
    let Some(runtime) = runtime() else { return };
    let golden = golden();
    for case in golden["decode"]["dynamic"].as_array().unwrap() {
        let folder = copy_of_tiny();
        let encoder = folder.path().join("encoder_model.onnx");
        fs::rename(folder.path().join("encoder_dynamic.onnx"), encoder).unwrap();
        let floor = number(case, "frames");
        // A network of short clips: no second try in the full window.
        let policy = format!(
            r#"{{"window_floor_frames": {floor}, "window_margin_frames": 0,
                "speech_frames_max": 999}}"#
        );
        fs::write(folder.path().join("pressel.json"), policy).unwrap();
        let mut whisper = Whisper::load(&runtime, folder.path(), &CONFIG).unwrap();
        check_tokens(&mut whisper, case, &golden["decode"]["prefix"]);
    }
}

/// Loads the tiny model with the encoder of any window and this `pressel.json`, and counts passes
/// over the first golden audio. Returns whether the result is that of the full window.
fn check_window(policy: &str, change: impl Fn(&mut DecodeOptions), passes: u32, is_full: bool) {
    let Some(runtime) = runtime() else { return };
    let folder = copy_of_tiny();
    let encoder = folder.path().join("encoder_model.onnx");
    fs::rename(folder.path().join("encoder_dynamic.onnx"), encoder).unwrap();
    fs::write(folder.path().join("pressel.json"), policy).unwrap();
    let mut whisper = Whisper::load(&runtime, folder.path(), &CONFIG).unwrap();
    let mut options = options();
    change(&mut options);
    let case = &golden()["decode"]["cases"][0];
    let cancel = AtomicBool::new(false);
    let result = whisper.transcribe(
        &signal(case),
        &options,
        "",
        &cancel,
        &mut Transcript::default(),
    );
    assert_eq!(result.unwrap().pass_count, passes);
    let full: Vec<u32> = serde_json::from_value(case["tokens"].clone()).unwrap();
    let full = &full[whisper.beginning.tokens.len()..];
    assert_eq!(full.starts_with(&whisper.tokens), is_full, "{policy}");
}

#[test]
fn circles_in_a_short_window_are_heard_once_more_in_the_full_one() {
    let always = |options: &mut DecodeOptions| options.compression_ratio_threshold = -1.0;
    check_window("{}", always, 2, true);
    let short = r#"{"window_floor_frames": 200, "window_margin_frames": 0}"#;
    check_window(short, always, 2, true);
    check_window(short, |options| options.tokens_per_second_max = 1, 2, true);
    // A full window is not heard twice.
    check_window(r#"{"window_floor_frames": 3000}"#, always, 1, true);
}

#[test]
fn a_hopeless_result_costs_seven_passes_and_no_more() {
    let hopeless = |options: &mut DecodeOptions| {
        options.compression_ratio_threshold = -1.0;
        options.temperature = DecodeOptions::default().temperature;
    };
    check_window("{}", hopeless, 7, false);
    // A network of short clips knows no other window, and its likeliest text is its only good one.
    check_window(r#"{"speech_frames_max": 999}"#, hopeless, 1, false);
}

fn check_audio(whisper: &mut Whisper, audio: &[i16], expected: Result<(), ModelError>) {
    let mut heard = Transcript {
        text: "old".into(),
        segments: Vec::new(),
    };
    let cancel = AtomicBool::new(false);
    let result = whisper.transcribe(audio, &options(), "", &cancel, &mut heard);
    assert_eq!(result.map(drop), expected, "{} samples", audio.len());
    assert_ne!(heard.text, "old");
    if let Ok(result) = result {
        assert!(result.mean_logprob.is_finite());
        assert_eq!(result.no_speech, heard.text.is_empty());
    }
}

#[test]
fn every_length_and_loudness_has_an_answer() {
    let Some(mut whisper) = tiny() else { return };
    check_audio(&mut whisper, &[], Ok(()));
    check_audio(&mut whisper, &[100], Ok(()));
    check_audio(&mut whisper, &[0; 800], Ok(()));
    check_audio(&mut whisper, &[0; 16_000], Ok(()));
    check_audio(&mut whisper, &[i16::MIN; 16_000], Ok(()));
    check_audio(&mut whisper, &vec![5; 480_000], Ok(()));
    check_audio(&mut whisper, &vec![5; 480_001], Err(ModelError::BadInput));
    check_audio(&mut whisper, &[0; 800], Ok(()));
    assert_eq!(whisper.provider(), "cpu");
}

#[test]
fn nothing_heard_is_no_speech_without_text() {
    let Some(mut whisper) = tiny() else { return };
    let mut heard = Transcript::default();
    let cancel = AtomicBool::new(false);
    let never = DecodeOptions {
        no_speech_threshold: -1.0,
        logprob_threshold: 1.0,
        ..options()
    };
    let result = whisper
        .transcribe(&[9; 16_000], &never, "", &cancel, &mut heard)
        .unwrap();
    assert!(result.no_speech && heard.text.is_empty() && 0 < result.token_count);
    let result = whisper
        .transcribe(&[], &options(), "", &cancel, &mut heard)
        .unwrap();
    assert!(result.no_speech && result.token_count == 0);
    let result = whisper
        .transcribe(&[0; 16_000], &options(), "", &cancel, &mut heard)
        .unwrap();
    assert!(result.no_speech && result.pass_count == 0);
}

/// Transcribes with one token a second, and returns how many came.
fn tokens_of_endless_speech(whisper: &mut Whisper) -> usize {
    let mut heard = Transcript::default();
    let options = DecodeOptions {
        tokens_per_second_max: 1,
        ..options()
    };
    let audio = signal(&golden()["decode"]["cases"][0]);
    let cancel = AtomicBool::new(false);
    let result = whisper
        .transcribe(&audio, &options, "", &cancel, &mut heard)
        .unwrap();
    result.token_count as usize
}

#[test]
fn endless_speech_is_cut_by_the_length_of_the_audio() {
    let Some(runtime) = runtime() else { return };
    let folder = copy_of_tiny();
    let policy = r#"{"speech_frames_max": 999}"#;
    fs::write(folder.path().join("pressel.json"), policy).unwrap();
    let mut short = Whisper::load(&runtime, folder.path(), &CONFIG).unwrap();
    assert_eq!(tokens_of_endless_speech(&mut short), decode::TOKENS_FLOOR);
    // In the full window of a model of windows the budget is wider, as far as the context goes.
    let mut full = tiny().unwrap();
    let most = decode::TOKENS_FLOOR * decode::FULL_WINDOW_BUDGET;
    let context = full.rules.length_max - golden()["decode"]["prefix"].as_array().unwrap().len();
    assert_eq!(tokens_of_endless_speech(&mut full), most.min(context));
}

#[test]
fn a_cancelled_flag_ends_the_call() {
    let Some(mut whisper) = tiny() else { return };
    let mut heard = Transcript::default();
    let cancel = AtomicBool::new(true);
    let result = whisper.transcribe(&[9; 16_000], &options(), "", &cancel, &mut heard);
    assert_eq!(result, Err(ModelError::Cancelled));
    cancel.store(false, Ordering::SeqCst);
    assert!(
        whisper
            .transcribe(&[0; 16_000], &options(), "", &cancel, &mut heard)
            .is_ok()
    );
}

#[test]
fn another_thread_ends_a_running_graph_and_the_next_call_runs() {
    let Some(mut whisper) = tiny() else { return };
    let mut heard = Transcript::default();
    let (cancel, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let canceller = whisper.canceller();
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                assert!(canceller.cancel());
                thread::yield_now();
            }
        });
        let result = whisper.transcribe(&[9; 480_000], &options(), "", &cancel, &mut heard);
        done.store(true, Ordering::SeqCst);
        result
    });
    assert_eq!(result, Err(ModelError::Cancelled));
    assert!(
        whisper
            .transcribe(&[9; 16_000], &options(), "", &cancel, &mut heard)
            .is_ok()
    );
}

/// Breaks a copy of the tiny model and checks the one line that loading it gives.
fn check_broken(breakage: impl Fn(&Path), expected: &[&str]) {
    let Some(runtime) = runtime() else { return };
    let folder = copy_of_tiny();
    breakage(folder.path());
    let text = Whisper::load(&runtime, folder.path(), &CONFIG)
        .err()
        .unwrap()
        .to_string();
    for part in expected {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
    assert!(!text.contains('\n'), "{text}");
}

/// Puts another value of `key` into a JSON file; none takes the key out.
fn set(file: PathBuf, key: &str, value: Option<Value>) {
    let mut json: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let object = json.as_object_mut().unwrap();
    match value {
        Some(value) => object.insert(key.into(), value),
        None => object.remove(key),
    };
    fs::write(file, json.to_string()).unwrap();
}

#[test]
fn a_missing_file_is_named_with_the_remedy() {
    for file in [
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "encoder_model.onnx",
    ] {
        check_broken(
            |folder| fs::remove_file(folder.join(file)).unwrap(),
            &[file, "is missing", "optimum export"],
        );
    }
    check_broken(
        |folder| {
            let merged = folder.join("decoder_model_merged.onnx");
            fs::rename(merged, folder.join("decoder_model.onnx")).unwrap();
        },
        &["decoder_model_merged.onnx", "is missing", "merged decoder"],
    );
    check_broken(
        |folder| fs::remove_dir_all(folder).unwrap(),
        &["is missing"],
    );
}

#[test]
fn broken_json_is_named_with_its_place() {
    for file in [
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "pressel.json",
    ] {
        check_broken(
            |folder| fs::write(folder.join(file), "{ no").unwrap(),
            &[file, "line 1"],
        );
    }
}

#[test]
fn values_that_do_not_fit_are_named() {
    let config = |folder: &Path| folder.join("config.json");
    let generation = |folder: &Path| folder.join("generation_config.json");
    check_broken(
        |folder| set(config(folder), "model_type", Some("bert".into())),
        &["config.json", "model_type is bert"],
    );
    check_broken(
        |folder| set(config(folder), "d_model", None),
        &["config.json", "d_model"],
    );
    check_broken(
        |folder| set(config(folder), "vocab_size", Some(100.into())),
        &["tokenizer.json", "goes up to token 263", "100 tokens"],
    );
    check_broken(
        |folder| set(config(folder), "decoder_layers", Some(1.into())),
        &[
            "decoder_model_merged.onnx",
            "past_key_values.1.decoder.key",
            "1 layers",
        ],
    );
    check_broken(
        |folder| set(config(folder), "decoder_layers", Some(3.into())),
        &[
            "decoder_model_merged.onnx",
            "past_key_values.2.decoder.key",
            "is missing",
        ],
    );
    check_broken(
        |folder| set(config(folder), "num_mel_bins", Some(128.into())),
        &["preprocessor_config.json", "feature_size is 80"],
    );
    check_broken(
        |folder| {
            set(
                generation(folder),
                "suppress_tokens",
                Some(vec![9_999].into()),
            )
        },
        &[
            "generation_config.json",
            "suppress_tokens",
            "9999 is outside",
        ],
    );
}

#[test]
fn sizes_that_no_whisper_has_are_refused_before_memory_is_made() {
    for (key, most) in [
        ("d_model", 5_120),
        ("decoder_layers", 128),
        ("decoder_attention_heads", 80),
        ("vocab_size", 207_464),
        ("max_target_positions", 1_792),
    ] {
        for size in [most + 8, 600_000_000_000_u64] {
            check_broken(
                |folder| {
                    let file = folder.join("config.json");
                    if key == "decoder_attention_heads" {
                        set(file.clone(), "d_model", Some(size.into()));
                    }
                    set(file, key, Some(size.into()));
                },
                &["config.json", "is more than"],
            );
        }
    }
    check_broken(
        |folder| {
            let dynamic = folder.join("encoder_dynamic.onnx");
            fs::rename(dynamic, folder.join("encoder_model.onnx")).unwrap();
            let config = folder.join("config.json");
            set(config, "max_source_positions", Some(750.into()));
        },
        &[
            "encoder_model.onnx",
            "has 1500 positions",
            "config.json has 750",
        ],
    );
}

#[test]
fn weights_that_are_no_numbers_are_named_when_the_model_is_loaded() {
    for file in ["encoder_model.onnx", "decoder_model_merged.onnx"] {
        check_broken(
            |folder| {
                let is_vector = |tensor: &Tensor| tensor.dims == [24];
                let names = damage(&folder.join(file), f32::NAN, &is_vector);
                assert!(!names.is_empty());
            },
            &[file, "tensor", "NaN or infinity", "fetch the model again"],
        );
    }
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let generation = |folder: &Path| folder.join("generation_config.json");
    let expected = ["tokenizer.json", "take all files from one export"];
    for (key, other, token) in [
        (
            "eos_token_id",
            Value::from(7),
            "<|endoftext|> is 256 here, but 7",
        ),
        (
            "eos_token_id",
            vec![7, 8].into(),
            "<|endoftext|> is 256 here, but 7",
        ),
        (
            "decoder_start_token_id",
            Value::from(7),
            "<|startoftranscript|> is 257 here, but 7",
        ),
        (
            "no_timestamps_token_id",
            Value::from(7),
            "<|notimestamps|> is 263 here, but 7",
        ),
        (
            "task_to_id",
            serde_json::json!({"transcribe": 7}),
            "<|transcribe|> is 261 here, but 7",
        ),
        (
            "lang_to_id",
            serde_json::json!({"<|en|>": 7}),
            "<|en|> is 258 here, but 7",
        ),
    ] {
        check_broken(
            |folder| set(generation(folder), key, Some(other.clone())),
            &[expected[0], expected[1], key, token],
        );
    }
    // More tokens are missing than Whisper has timestamps.
    check_broken(
        |folder| set(folder.join("config.json"), "vocab_size", Some(1_766.into())),
        &["tokenizer.json", "has 264 tokens", "at least 265"],
    );
    check_broken(
        |folder| {
            let mut tokenizer: Value =
                serde_json::from_slice(&fs::read(folder.join("tokenizer.json")).unwrap()).unwrap();
            let vocabulary = &mut tokenizer["model"]["vocab"];
            vocabulary
                .as_object_mut()
                .unwrap()
                .retain(|_, id| *id != 65);
            fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
        },
        &["tokenizer.json", "has 263 tokens", "at least 264"],
    );
}

#[test]
fn wrong_onnx_files_are_named() {
    for file in ["encoder_model.onnx", "decoder_model_merged.onnx"] {
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
    }
    check_broken(
        |folder| {
            let (encoder, decoder) = ("encoder_model.onnx", "decoder_model_merged.onnx");
            fs::copy(folder.join(decoder), folder.join(encoder)).unwrap();
        },
        &["encoder_model.onnx", "input_features is missing"],
    );
    check_broken(
        |folder| {
            let (encoder, decoder) = ("encoder_model.onnx", "decoder_model_merged.onnx");
            fs::copy(folder.join(encoder), folder.join(decoder)).unwrap();
        },
        &["decoder_model_merged.onnx", "input_ids is missing"],
    );
}

/// Checks options against the tiny model: the line that says what it lacks, and that a call with
/// them is refused.
fn check_refused(change: impl Fn(&mut DecodeOptions), expected: Option<&str>) {
    let Some(mut whisper) = tiny() else { return };
    let mut options = options();
    change(&mut options);
    let found = whisper.check(&options);
    match (found, expected) {
        (Err(error), Some(expected)) => {
            assert!(error.to_string().contains(expected), "{error}");
        }
        (found, _) => assert!(found.is_ok()),
    }
    let cancel = AtomicBool::new(false);
    let heard = whisper.transcribe(&[9; 800], &options, "", &cancel, &mut Transcript::default());
    assert_eq!(heard.map(drop), Err(ModelError::BadInput));
}

#[test]
fn what_the_model_cannot_do_is_named_and_refused() {
    check_refused(
        |options| options.language = Language::of_code("fi"),
        Some("it does not know the language fi; it knows en, de"),
    );
    check_refused(
        |options| options.suppress_tokens.push(264),
        Some("token 264 is none of its 264 tokens"),
    );
    check_refused(|options| options.temperature.clear(), None);
    check_refused(|options| options.temperature = vec![0.1; 9], None);
    check_refused(|options| options.temperature = vec![-0.1], None);
    check_refused(|options| options.temperature = vec![f32::NAN], None);
}

#[test]
fn a_quantized_pair_and_an_onnx_folder_are_found() {
    let Some(runtime) = runtime() else { return };
    let folder = copy_of_tiny();
    fs::create_dir(folder.path().join("onnx")).unwrap();
    for name in ["encoder_model", "decoder_model_merged"] {
        let from = folder.path().join(format!("{name}.onnx"));
        fs::rename(
            from,
            folder.path().join(format!("onnx/{name}_quantized.onnx")),
        )
        .unwrap();
    }
    assert!(Whisper::load(&runtime, folder.path(), &CONFIG).is_ok());
}

/// Samples of a 16-bit mono WAV file: all that follows the mark `data` and its length.
fn wav(file: &Path) -> Vec<i16> {
    let bytes = fs::read(file).unwrap();
    let mark = bytes.windows(4).position(|four| four == b"data").unwrap();
    let pairs = bytes[mark + 8..].chunks_exact(2);
    pairs
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

#[test]
fn the_built_in_model_understands_the_clips_of_the_demo() {
    let folder = crate::places::builtin("nano");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware/demo");
    let Ok(list) = fs::read_to_string(demo.join("demo.csv")) else {
        println!("skipped: firmware/demo has no demo.csv");
        return;
    };
    if !folder.join("config.json").is_file() {
        println!("skipped: {} is absent", folder.display());
        return;
    }
    let Some(runtime) = runtime() else { return };
    let mut whisper = Whisper::load(&runtime, &folder, &CONFIG).unwrap();
    for line in list.lines().skip(1) {
        let (file, expected) = line.split_once(',').unwrap();
        let mut heard = Transcript::default();
        let cancel = AtomicBool::new(false);
        let audio = wav(&demo.join(file));
        whisper
            .transcribe(&audio, &options(), "", &cancel, &mut heard)
            .unwrap();
        assert_eq!(heard.text, expected, "{file}");
    }
}
