//! Tests of the network with the built-in words, against the trainer's own sums.

use super::*;
use crate::{places, testing};

/// Loads the built-in network to hear all its words.
fn load(runtime: &Runtime) -> (Network, NetworkFile) {
    let file = places::wake_words();
    let known = NetworkFile::read(&file).unwrap();
    let all = (0..known.words.len()).collect();
    (Network::load(runtime, &file, &known, all).unwrap(), known)
}

/// Returns the scores of each frame.
fn hear(network: &mut Network, samples: &[i16]) -> Vec<Vec<f32>> {
    let mut scores = vec![0.0; network.word_count()];
    let frames = samples.as_chunks::<FRAME_SAMPLES>().0;
    let hear = |frame| {
        network.hear(frame, &mut scores).unwrap();
        scores.clone()
    };
    frames.iter().map(hear).collect()
}

#[test]
fn scores_are_those_of_the_trainer() {
    let Some(runtime) = testing::runtime() else {
        return;
    };
    let (mut network, known) = load(&runtime);
    let at = known.find("computer").unwrap();
    let first = hear(&mut network, &testing::computer());
    // Source: `OnnxStepper` of models/train/pressel_train/wake/export.py on the same samples.
    assert_eq!(first.len(), EXPECTED.len());
    for (n, (found, expected)) in first.iter().zip(EXPECTED).enumerate() {
        assert!(
            (found[at] - expected).abs() < 0.02,
            "{n}: {} {expected}",
            found[at]
        );
    }
    network.reset();
    assert_eq!(
        hear(&mut network, &testing::computer()),
        first,
        "a reset forgets everything"
    );
}

#[test]
fn only_the_chosen_words_are_scored() {
    let Some(runtime) = testing::runtime() else {
        return;
    };
    let (mut all, known) = load(&runtime);
    let at = known.find("hey pressel").unwrap();
    let file = places::wake_words();
    let mut one = Network::load(&runtime, &file, &known, vec![at]).unwrap();
    assert_eq!(one.word_count(), 1);
    let (all, one) = (
        hear(&mut all, &testing::computer()),
        hear(&mut one, &testing::computer()),
    );
    for (all, one) in all.iter().zip(&one) {
        assert_eq!(all[at], one[0]);
    }
}

#[test]
fn clipping_noise_and_silence_stay_scores() {
    let Some(runtime) = testing::runtime() else {
        return;
    };
    let (mut network, _) = load(&runtime);
    let mut scores = vec![0.0; network.word_count()];
    for n in 0..50_i32 {
        let loud = |i| {
            if (i as i32 * n) % 7 < 3 {
                i16::MAX
            } else {
                i16::MIN
            }
        };
        let frame = core::array::from_fn(|i| if n % 5 == 0 { 0 } else { loud(i) });
        network.hear(&frame, &mut scores).unwrap();
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
    }
}

#[test]
fn files_that_are_missing_or_do_not_fit_are_named() {
    let Some(runtime) = testing::runtime() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("words.onnx");
    let read = |expected: &str| {
        let text = NetworkFile::read(&file).unwrap_err().to_string();
        assert!(
            text.contains("words.json") && text.contains(expected),
            "{text}"
        );
    };
    read("is missing");
    std::fs::write(NetworkFile::beside(&file), "{").unwrap();
    read("is not usable");
    let json = |bins: usize, floor: f32| {
        format!(
            "{{\"mel_bins\": {bins}, \"log_floor\": {floor}, \"words\": [{{\"name\": \"box\", \
             \"threshold\": 0.5, \"smoothing\": 1, \"refractory_ms\": 1000, \"lag_ms\": 0}}]}}"
        )
    };
    std::fs::write(NetworkFile::beside(&file), json(0, -7.0)).unwrap();
    read("is out of range");
    std::fs::write(NetworkFile::beside(&file), json(40, 1.0)).unwrap();
    read("is out of range");
    let first = json(40, -7.0).replace("\"log_floor\": -7, ", "");
    std::fs::write(NetworkFile::beside(&file), first).unwrap();
    assert_eq!(NetworkFile::read(&file).unwrap().log_floor, -5.0);
    std::fs::write(NetworkFile::beside(&file), json(40, -7.0)).unwrap();
    let known = NetworkFile::read(&file).unwrap();
    let check = |expected: &str| {
        let loaded = Network::load(&runtime, &file, &known, vec![0]);
        let text = loaded.err().unwrap().to_string();
        assert!(
            text.contains("words.onnx") && text.contains(expected),
            "{text}"
        );
    };
    check("is missing");
    std::fs::write(&file, "no model").unwrap();
    check("is damaged or no ONNX model");
    std::fs::copy(testing::fixtures().join("tiny/encoder_model.onnx"), &file).unwrap();
    check("no network of wake words");
    std::fs::copy(places::wake_words(), &file).unwrap();
    check("does not fit the JSON file");
}

/// See `scores_are_those_of_the_trainer`.
const EXPECTED: [f32; 25] = [
    0.0005, 0.0005, 0.0005, 0.0005, 0.0005, 0.0005, 0.0002, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0018,
    0.8678, 0.9961, 0.999, 0.9935, 0.9808, 0.8093, 0.0029, 0.0, 0.0, 0.0, 0.0, 0.0,
];
