//! Tests of languages, prompts, timestamps and long recordings against transformers' own `generate`
//! on the fixture `timed`, and of what is done about bad results.
//!
//! Without ONNX Runtime they print one line and return.

use std::{ops::ControlFlow, sync::atomic::AtomicBool};

use serde_json::Value;

use super::*;
use crate::{
    Language, Task, prepare,
    testing::{fixtures, golden_timed, runtime, signal},
};

/// Samples of a window.
const WINDOW: usize = 480_000;
/// Sizes of the fixture, and its start token.
const WIDTH: usize = 16;
const VOCABULARY: usize = 1_770;
const START: usize = 257;

fn timed() -> Option<Whisper> {
    let config = WhisperConfig {
        threads: 1,
        spin: false,
        provider: Provider::Cpu,
    };
    Some(Whisper::load(&runtime()?, &fixtures().join("timed"), &config).unwrap())
}

/// One pass without thresholds, with timestamps, in the full window.
fn options() -> DecodeOptions {
    DecodeOptions {
        language: Some(Language::ENGLISH),
        temperature: vec![0.0],
        without_timestamps: false,
        no_speech_threshold: f32::INFINITY,
        logprob_threshold: f32::NEG_INFINITY,
        compression_ratio_threshold: f32::INFINITY,
        tokens_per_second_max: 10_000,
        ..DecodeOptions::default()
    }
}

fn hear(
    whisper: &mut Whisper,
    audio: &[i16],
    options: &DecodeOptions,
    context: &str,
) -> (Transcription, Transcript) {
    let (cancel, mut heard) = (AtomicBool::new(false), Transcript::default());
    let result = whisper.transcribe(audio, options, context, &cancel, &mut heard);
    (result.unwrap(), heard)
}

fn check_transcript(transcript: &Transcript, audio: usize) {
    let (mut from, mut time) = (0, 0);
    for segment in &transcript.segments {
        assert!(time <= segment.start_ms && segment.start_ms < segment.end_ms);
        assert!(segment.end_ms as usize * 16 <= audio);
        assert!(from < segment.text_end && transcript.text.is_char_boundary(segment.text_end));
        (from, time) = (segment.text_end, segment.end_ms);
    }
    assert_eq!(from, transcript.text.len());
}

#[test]
fn languages_are_those_that_transformers_detects() {
    let Some(mut whisper) = timed() else { return };
    let asked = DecodeOptions {
        language: None,
        ..options()
    };
    for case in golden_timed()["languages"].as_array().unwrap() {
        let (result, _) = hear(&mut whisper, &signal(case), &asked, "");
        assert_eq!(result.language.unwrap().code(), case["language"]);
        let expected = case["probability"].as_f64().unwrap();
        let found = f64::from(result.language_probability);
        assert!((found - expected).abs() < 1e-3, "{found} {expected}");
    }
}

/// Goes through a long recording by `heard_samples`, and compares each segment's times and tokens
/// with those of transformers. What was said before is told in tokens, timestamps included, as it
/// does.
fn check_long_form(whisper: &mut Whisper, case: &Value, prompt_text: &str) {
    let audio = signal(case);
    let options = DecodeOptions {
        language: Language::of_code(case["language"].as_str().unwrap()),
        task: if case["task"] == "translate" {
            Task::Translate
        } else {
            Task::Transcribe
        },
        ..options()
    };
    let mut prompt = Vec::new();
    if case["prompt"].is_array() {
        whisper
            .prompt
            .encode(&whisper.vocabulary, prompt_text, &mut prompt);
        assert_eq!(serde_json::to_value(&prompt).unwrap(), case["prompt"]);
    }
    let (mut said, mut from, mut found) = (prompt.clone(), 0, Vec::new());
    let cancel = AtomicBool::new(false);
    while from < audio.len() {
        let window = &audio[from..audio.len().min(from + WINDOW)];
        let mut heard = Transcript::default();
        let mut job = whisper.begin(window, &options, &cancel).unwrap();
        whisper.previous.clone_from(if case["condition"] == true {
            &said
        } else {
            &prompt
        });
        let result = whisper
            .transcribe_pieces(window, &mut job, &mut heard)
            .unwrap();
        check_transcript(&heard, window.len());
        for stretch in &whisper.stretches {
            let tokens = &whisper.tokens[stretch.tokens.clone()];
            said.extend(tokens.iter().copied().map(i64::from));
            let seconds = |ms: u32| (from / 16 + ms as usize) as f64 / 1_000.0;
            found.push((
                seconds(stretch.start_ms),
                seconds(stretch.end_ms),
                tokens.to_vec(),
            ));
        }
        assert!(0 < result.heard_samples);
        from += result.heard_samples as usize;
    }
    // What transformers hears in the silence behind the recording is left out here, and ends are
    // cut off there.
    let end = audio.len() as f64 / 16_000.0;
    let time = |segment: &Value, key: &str| segment[key].as_f64().unwrap();
    let listed = case["segments"].as_array().unwrap().iter();
    let expected: Vec<&Value> = listed
        .filter(|segment| time(segment, "start") < end)
        .collect();
    for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
        // transformers keeps both timestamps where two segments meet, in the last one of a window.
        let tokens: Vec<u32> = serde_json::from_value(expected["tokens"].clone()).unwrap();
        assert_eq!(found.2[..], tokens[..found.2.len()], "segment {place}");
        assert!(tokens.len() <= found.2.len() + 1);
        let (start, last) = (time(expected, "start"), time(expected, "end").min(end));
        assert!((found.0 - start).abs() < 1e-3, "segment {place}: {found:?}");
        assert!((found.1 - last).abs() < 1e-3, "segment {place}: {found:?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:?}");
}

#[test]
fn long_recordings_give_the_segments_of_transformers() {
    let Some(mut whisper) = timed() else { return };
    let golden = golden_timed();
    for case in golden["cases"].as_array().unwrap() {
        check_long_form(&mut whisper, case, golden["prompt_text"].as_str().unwrap());
    }
}

#[test]
fn context_and_prompt_stand_before_the_start_in_this_order() {
    let Some(mut whisper) = timed() else { return };
    let audio = signal(&golden_timed()["cases"][0]);
    let mut check = |prompt: &str, context: &str, told: bool, expected: &str| {
        let options = DecodeOptions {
            initial_prompt: prompt.into(),
            condition_on_previous_text: told,
            ..options()
        };
        hear(&mut whisper, &audio, &options, context);
        let tokens = &whisper.beginning.tokens[..whisper.beginning.start];
        let tokens: Vec<u32> = tokens.iter().map(|&token| token as u32).collect();
        let text = tokens
            .split_first()
            .map_or(String::new(), |(first, words)| {
                assert_eq!(whisper.vocabulary.id("<|startofprev|>"), Some(*first));
                format!("<|startofprev|>{}", whisper.vocabulary.decode(words))
            });
        assert_eq!(text, expected);
    };
    check("", "", true, "");
    check("Pi", "", true, "<|startofprev|> Pi");
    check(" Pi ", "go  on ", true, "<|startofprev|> Pi go  on");
    check("Pi", "go on", false, "<|startofprev|> Pi");
    check("<|endoftext|>Pi<|0.00|>", "", true, "<|startofprev|> Pi");
    // 96 positions: 47 tokens, and here one letter is one token.
    let long = "0123456789".repeat(600);
    check(
        "Pi",
        &long,
        true,
        &format!("<|startofprev|>{}", &long[long.len() - 47..]),
    );
}

#[test]
fn first_timestamps_keep_to_their_latest() {
    let Some(mut whisper) = timed() else { return };
    let audio = signal(&golden_timed()["cases"][0]);
    let first = whisper.rules.timestamps.unwrap().first;
    for (latest, steps) in [(0.0, 0), (0.1, 5), (1.0, 50)] {
        let options = DecodeOptions {
            max_initial_timestamp: latest,
            ..options()
        };
        hear(&mut whisper, &audio, &options, "");
        assert!(
            (first..=first + steps).contains(&whisper.tokens[0]),
            "{latest}"
        );
    }
}

/// Counts passes, and returns the temperature of the one that was taken.
fn check_passes(change: impl Fn(&mut DecodeOptions), passes: u32, temperature: f32) {
    let Some(mut whisper) = timed() else { return };
    let mut options = DecodeOptions {
        temperature: vec![0.0, 0.4, 1.0],
        ..options()
    };
    change(&mut options);
    let audio = signal(&golden_timed()["cases"][0]);
    let (result, transcript) = hear(&mut whisper, &audio, &options, "");
    assert_eq!(result.pass_count, passes);
    assert!((result.temperature - temperature).abs() < 1e-6);
    check_transcript(&transcript, audio.len());
    let (again, same) = hear(&mut whisper, &audio, &options, "");
    assert_eq!(
        (same, again.pass_count),
        (transcript, passes),
        "the same draws"
    );
}

#[test]
fn a_bad_result_goes_down_the_ladder_of_temperatures_once() {
    check_passes(|_| (), 1, 0.0);
    check_passes(|options| options.logprob_threshold = 0.0, 3, 1.0);
    check_passes(|options| options.compression_ratio_threshold = 0.0, 3, 1.0);
    // Silence needs no other temperature.
    check_passes(
        |options| {
            options.logprob_threshold = 0.0;
            options.no_speech_threshold = -1.0;
        },
        1,
        0.0,
    );
}

#[test]
fn segments_join_to_the_text_whatever_is_drawn() {
    let Some(mut whisper) = timed() else { return };
    for seed in 0..6 {
        let case = serde_json::json!({"samples": 23_456 * (seed + 1), "seed": seed, "shift": 0});
        let audio = signal(&case);
        let options = DecodeOptions {
            temperature: vec![1.0],
            ..options()
        };
        let (result, transcript) = hear(&mut whisper, &audio, &options, "");
        check_transcript(&transcript, audio.len());
        let heard = result.heard_samples as usize;
        assert!(0 < heard && heard <= audio.len());
        assert_eq!(result.no_speech, transcript.segments.is_empty());
    }
}

#[test]
fn every_length_has_segments_within_it() {
    let Some(mut whisper) = timed() else { return };
    for samples in [1, 15, 16, 160, 800, 480_000] {
        let (result, transcript) = hear(&mut whisper, &vec![5; samples], &options(), "");
        check_transcript(&transcript, samples);
        assert!(0 < result.heard_samples && result.heard_samples as usize <= samples);
    }
    let (silence, transcript) = hear(&mut whisper, &[0; 16_000], &options(), "");
    assert!(silence.no_speech && transcript == Transcript::default());
    assert_eq!((silence.heard_samples, silence.pass_count), (16_000, 0));
}

#[test]
fn texts_are_packed_as_zlib_packs_them() {
    for row in golden_timed()["ratios"].as_array().unwrap() {
        let (text, zlib) = (row[0].as_str().unwrap(), row[1].as_f64().unwrap());
        let found = f64::from(fallback::compression_ratio(text));
        // What does not get shorter is stored as it is by one and coded by the other.
        let near = zlib < 1.0 && found < 1.0 || (found - zlib).abs() <= 0.02 * zlib;
        assert!(near, "{text}: {found} {zlib}");
        // The decision is the same; nothing in the list is nearer to it than that.
        assert_eq!(2.4 < found, 2.4 < zlib, "{text}: {found} {zlib}");
    }
}

#[test]
fn rows_that_are_no_numbers_are_a_bad_output_and_no_text() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let fp32 = prepare::Options {
        fp32: true,
        replace: true,
        ..prepare::Options::default()
    };
    let mut silent = |_| ControlFlow::Continue(());
    let source = fixtures().join("timed");
    prepare::prepare(&source, folder.path(), &fp32, None, &mut silent).unwrap();
    // Only the row of the start token is left, which is all that loading looks at: bytes of ones
    // are no numbers.
    let file = folder.path().join(prepare::EMBEDDING_FILE);
    let mut bytes = std::fs::read(&file).unwrap();
    let row = WIDTH * size_of::<f32>();
    bytes[..START * row].fill(0xff);
    bytes[(START + 1) * row..VOCABULARY * row].fill(0xff);
    std::fs::write(&file, bytes).unwrap();
    let config = WhisperConfig {
        threads: 1,
        spin: false,
        provider: Provider::Cpu,
    };
    let mut whisper = Whisper::load(&runtime, folder.path(), &config).unwrap();
    for (language, without_timestamps) in [(None, true), (Language::of_code("de"), false)] {
        let options = DecodeOptions {
            language,
            without_timestamps,
            ..options()
        };
        let (cancel, mut heard) = (AtomicBool::new(false), Transcript::default());
        let result = whisper.transcribe(&[9; 16_000], &options, "", &cancel, &mut heard);
        assert_eq!(result.map(drop), Err(ModelError::BadOutput));
        assert_eq!(heard, Transcript::default());
    }
}
