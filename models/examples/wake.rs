//! Scores of the wake words, and what they cost: for `cross/bench/wake.py`.
//!
//! In: `chain FOLDER HEAD...` or `network FILE`, with `vad` before it to hear voice activity as
//! well; then the names of raw recordings (s16le, mono, 16 kHz) on stdin, one a line. Out: one JSON
//! object a line, `{"scores": [[...], ...], "cpu_ms": N, "seconds": N}`, one score of each word for
//! every 80 ms. Each recording is heard afresh. One thread.

use std::{
    env, fs,
    io::{BufRead, Write, stderr, stdin, stdout},
    path::{Path, PathBuf},
    process::exit,
};

use pressel_models::{
    Network, OpenWakeWord, Runtime, Silero, Vad, WakeWord, places, vad,
    wake_word::{FRAME_SAMPLES, NetworkFile},
};
use serde_json::json;

fn main() {
    if let Err(error) = run() {
        writeln!(stderr(), "{error}").ok();
        exit(1);
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = Runtime::load(&places::onnx_runtime_candidates());
    let runtime = runtime.map_err(|error| error.to_string())?;
    let (mut voice, rest) = match words.split_first() {
        Some((&"vad", rest)) => {
            let silero = Silero::load(&runtime, &places::silero(), 1);
            (Some(silero.map_err(|error| error.to_string())?), rest)
        }
        _ => (None, &words[..]),
    };
    let mut detector: Box<dyn WakeWord> = match *rest {
        ["chain", folder, ref heads @ ..] => {
            let heads: Vec<PathBuf> = heads.iter().map(PathBuf::from).collect();
            let chain = OpenWakeWord::load(&runtime, Path::new(folder), &heads);
            Box::new(chain.map_err(|error| error.to_string())?)
        }
        ["network", file] => {
            let file = Path::new(file);
            let known = NetworkFile::read(file).map_err(|error| error.to_string())?;
            let all = (0..known.words.len()).collect();
            let network = Network::load(&runtime, file, &known, all);
            Box::new(network.map_err(|error| error.to_string())?)
        }
        _ => return Err("usage: wake [vad] chain FOLDER HEAD... | network FILE".into()),
    };
    for line in stdin().lock().lines() {
        let name = line.map_err(|error| error.to_string())?;
        let bytes = fs::read(&name).map_err(|error| format!("{name}: {error}"))?;
        let samples: Vec<i16> = bytes
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let answer = hear(&samples, detector.as_mut(), voice.as_mut())?;
        writeln!(stdout(), "{answer}").map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn hear(
    samples: &[i16],
    detector: &mut dyn WakeWord,
    mut voice: Option<&mut Silero>,
) -> Result<String, String> {
    detector.reset();
    let mut scores = vec![0.0; detector.word_count()];
    let mut all = Vec::new();
    let before = cpu_ms()?;
    if let Some(voice) = &mut voice {
        voice.reset();
        for frame in samples.as_chunks::<{ vad::FRAME_SAMPLES }>().0 {
            voice.hear(frame).map_err(|error| error.to_string())?;
        }
    }
    for frame in samples.as_chunks::<FRAME_SAMPLES>().0 {
        let heard = detector.hear(frame, &mut scores);
        heard.map_err(|error| error.to_string())?;
        all.push(scores.clone());
    }
    let seconds = samples.len() as f64 / 16_000.0;
    Ok(json!({ "scores": all, "cpu_ms": cpu_ms()? - before, "seconds": seconds }).to_string())
}

/// Returns the milliseconds that this thread has worked.
fn cpu_ms() -> Result<f64, String> {
    let text = fs::read_to_string("/proc/thread-self/schedstat");
    let text = text.map_err(|error| format!("/proc/thread-self/schedstat: {error}"))?;
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|word| word.parse::<f64>().ok());
    nanoseconds
        .map(|nanoseconds| nanoseconds / 1e6)
        .ok_or_else(|| "/proc/thread-self/schedstat: no number".into())
}
