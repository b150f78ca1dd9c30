//! Tests of the chain against openWakeWord's own Python, on files that are not in the repository.
//!
//! `PRESSEL_OPENWAKEWORD` names the folder of the files; otherwise it is looked for beside the
//! repository. `cross/bench/wake.py` compares score by score on as many recordings as one likes.

use std::{env, path::PathBuf};

use super::*;
use crate::testing;

/// See `embeddings_are_those_of_the_python_package`.
const EXPECTED: [f32; 8] = [
    -12.959_086,
    20.796_358,
    4.651_636,
    -8.650_847,
    6.085_77,
    14.200_044,
    -3.728_794,
    -9.775_603,
];
const EXPECTED_SCORE: f32 = 3.278e-7;

fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/openwakeword");
    let folder = env::var_os("PRESSEL_OPENWAKEWORD").map_or(beside, PathBuf::from);
    if folder.join(EMBEDDING_FILE).is_file() {
        return Some(folder);
    }
    println!("skipped: openWakeWord's files are absent, PRESSEL_OPENWAKEWORD names their folder");
    None
}

/// A chirp with bursts: what both sides can make without a file.
fn signal(frames: usize) -> Vec<i16> {
    let mut phase = 0_u32;
    (0..frames * FRAME_SAMPLES)
        .map(|n| {
            let n = u32::try_from(n).unwrap();
            phase = phase.wrapping_add(40_000_000 + (n % 16_000) * 20_000);
            let p = (phase >> 16) as i32;
            let tone = p.min(65_535 - p) - 16_384;
            i16::try_from(if (n / 3_000) % 3 == 2 { 0 } else { tone / 2 }).unwrap()
        })
        .collect()
}

#[test]
fn embeddings_are_those_of_the_python_package() {
    let (Some(runtime), Some(folder)) = (testing::runtime(), folder()) else {
        return;
    };
    let heads = [folder.join("alexa_v0.1.onnx")];
    let mut chain = OpenWakeWord::load(&runtime, &folder, &heads).unwrap();
    let audio = signal(20);
    let mut scores = [0.0];
    for _ in 0..2 {
        chain.reset();
        for frame in audio.as_chunks::<FRAME_SAMPLES>().0 {
            chain.hear(frame, &mut scores).unwrap();
        }
        // Source: openwakeword 0.6.0 with onnxruntime 1.31.1 on the same samples in steps of 80 ms:
        // the first eight numbers of `preprocessor.feature_buffer[-1]`, and the score.
        let at = chain.embeddings.len() - EMBEDDING;
        for (found, expected) in chain.embeddings[at..].iter().zip(EXPECTED) {
            assert!((found - expected).abs() < 2e-3, "{found} {expected}");
        }
        assert!((scores[0] - EXPECTED_SCORE).abs() < 1e-4, "{}", scores[0]);
    }
}

#[test]
fn two_heads_share_what_is_before_them() {
    let (Some(runtime), Some(folder)) = (testing::runtime(), folder()) else {
        return;
    };
    let heads = ["alexa_v0.1.onnx", "hey_jarvis_v0.1.onnx"].map(|name| folder.join(name));
    let mut both = OpenWakeWord::load(&runtime, &folder, &heads).unwrap();
    let mut alone = OpenWakeWord::load(&runtime, &folder, &heads[1..]).unwrap();
    let (mut two, mut one) = ([0.0; 2], [0.0]);
    for frame in signal(12).as_chunks::<FRAME_SAMPLES>().0 {
        both.hear(frame, &mut two).unwrap();
        alone.hear(frame, &mut one).unwrap();
        assert_eq!(two[1], one[0]);
    }
}

#[test]
fn files_that_are_missing_or_of_another_kind_are_named() {
    let Some(runtime) = testing::runtime() else {
        return;
    };
    let empty = tempfile::tempdir().unwrap();
    let check = |folder: &Path, head: PathBuf, expected: &str| {
        let found = OpenWakeWord::load(&runtime, folder, &[head]).err().unwrap();
        let text = found.to_string();
        assert!(text.contains(expected) && !text.contains('\n'), "{text}");
    };
    check(empty.path(), "word.onnx".into(), "[wake] features");
    let Some(folder) = folder() else { return };
    check(
        &folder,
        empty.path().join("word.onnx"),
        "word.onnx is missing",
    );
    check(
        &folder,
        folder.join(SPECTROGRAM_FILE),
        "does not take embeddings",
    );
    check(
        &folder,
        testing::fixtures().join("tiny/encoder_model.onnx"),
        "encoder_model.onnx",
    );
}
