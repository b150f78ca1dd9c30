//! What the tests of this crate share: the library, the fixtures and their audio.
//!
//! A test whose files are absent prints one line and returns. Test code only.

use std::path::{Path, PathBuf};

use crate::places;

/// Returns the folder of golden fixtures.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Returns fixtures/golden.json.
pub(crate) fn golden() -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(fixtures().join("golden.json")).unwrap()).unwrap()
}

/// Returns fixtures/golden_timed.json.
#[cfg(feature = "ort")]
pub(crate) fn golden_timed() -> serde_json::Value {
    let bytes = std::fs::read(fixtures().join("golden_timed.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// Returns the number under `key`.
pub(crate) fn number(case: &serde_json::Value, key: &str) -> usize {
    usize::try_from(case[key].as_u64().unwrap()).unwrap()
}

/// Repeats `signal` of fixtures/make.py: bursts of a rising triangle wave, and noise.
pub(crate) fn signal(case: &serde_json::Value) -> Vec<i16> {
    let (samples, shift) = (number(case, "samples"), number(case, "shift"));
    let mut state = u32::try_from(number(case, "seed")).unwrap();
    let mut phase = 0_u32;
    (0..samples)
        .map(|n| {
            let rising = u32::try_from(n % 48_000).unwrap() * 36_000;
            let base = 40_000_000 * (1 + u32::try_from(shift).unwrap());
            phase = phase.wrapping_add(rising).wrapping_add(base);
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let p = (phase >> 16) as i32;
            let tone = if (n / 4_000) % 4 == 3 {
                0
            } else {
                p.min(65_535 - p) - 16_384
            };
            let noise = (state >> 20) as i32 - 2_048;
            i16::try_from((tone + noise) >> shift).unwrap()
        })
        .collect()
}

/// Loads ONNX Runtime, or says that the test is skipped.
#[cfg(feature = "ort")]
pub(crate) fn runtime() -> Option<crate::Runtime> {
    match crate::Runtime::load(&places::onnx_runtime_candidates()) {
        Ok(runtime) => Some(runtime),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

/// Returns the path of Silero, or says that the test is skipped.
pub(crate) fn silero() -> Option<PathBuf> {
    let file = places::silero();
    if file.is_file() {
        return Some(file);
    }
    println!(
        "skipped: {} is absent, run `cargo xtask fetch`",
        file.display()
    );
    None
}

/// A rendered `computer`, with silence before and behind it.
pub(crate) fn computer() -> Vec<i16> {
    let bytes = std::fs::read(fixtures().join("computer.wav")).unwrap();
    let word = bytes[44..].as_chunks::<2>().0;
    let mut samples = vec![0; 8_000];
    samples.extend(word.iter().map(|pair| i16::from_le_bytes(*pair)));
    samples.extend(vec![0; 16_000]);
    samples
}
