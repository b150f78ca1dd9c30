//! Drives this recogniser in `cargo xtask bench peers`: JSON lines on stdin and stdout.
//!
//! In: a model folder and threads as arguments (or `prepare SOURCE TARGET 8bit|4bit`, which makes
//! the folder as `pressel models prepare` does); then `{"wav": PATH, "runs": N}`, one line each
//! request. Out: `{"about", "load_s", "before_kib"}`, then `{"seconds", "text"}` for each request,
//! or `{"error"}`. The same conversation as that of the peers' drivers in `cross/bench/talk.py`.
//! One thread; each run is the whole way from samples to text, the spectrogram included.

use std::{
    env, fs,
    io::{BufRead, Write, stderr, stdin, stdout},
    ops::ControlFlow,
    path::Path,
    process::exit,
    sync::atomic::AtomicBool,
    time::Instant,
};

use pressel_models::{
    DecodeOptions, Provider, Runtime, Transcriber, Transcript, Whisper, WhisperConfig, pages,
    places,
    prepare::{Head, Options, prepare},
};
use serde_json::{Value, json};

/// Tokens a second that may be said: more than any bench plants, so that no guard ends a text.
const TOKENS_PER_SECOND_MAX: u32 = 100;
/// Bytes of the header that the bench's own recordings have.
const WAV_HEADER_BYTES: usize = 44;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["prepare", source, target, head] => make(source, target, head),
        [folder, threads] => match threads.parse() {
            Ok(threads) => serve(Path::new(folder), threads),
            Err(_) => Err(format!("not a number of threads: {threads}")),
        },
        _ => Err("usage: bench MODEL_FOLDER THREADS".into()),
    };
    if let Err(error) = outcome {
        say(&json!({ "error": error }));
        writeln!(stderr(), "{error}").ok();
        exit(1);
    }
}

/// Prepares a stock export, and compares the result with it.
fn make(source: &str, target: &str, head: &str) -> Result<(), String> {
    let options = Options {
        head: match head {
            "4bit" => Head::FourBit,
            _ => Head::EightBit,
        },
        ..Options::default()
    };
    let runtime = Runtime::load(&places::onnx_runtime_candidates());
    let runtime = runtime.map_err(|error| error.to_string())?;
    let (source, target) = (Path::new(source), Path::new(target));
    prepare(source, target, &options, Some(&runtime), &mut |_| {
        ControlFlow::Continue(())
    })
    .map_err(|error| error.to_string())?;
    Ok(())
}

/// Loads the model and answers until stdin ends.
fn serve(folder: &Path, threads: usize) -> Result<(), String> {
    let candidates = places::onnx_runtime_candidates();
    let before_kib = peak_kib();
    let start = Instant::now();
    let runtime = Runtime::load(&candidates).map_err(|error| error.to_string())?;
    let config = WhisperConfig {
        threads,
        spin: 1 < threads,
        provider: Provider::Cpu,
    };
    let mut whisper =
        Whisper::load(&runtime, folder, &config).map_err(|error| error.to_string())?;
    let load_s = start.elapsed().as_secs_f64();
    let about = format!("pressel {}, ONNX Runtime", env!("CARGO_PKG_VERSION"));
    say(&json!({ "about": about, "load_s": load_s, "before_kib": before_kib }));
    for line in stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        say(&answer(&mut whisper, &line)?);
    }
    Ok(())
}

/// Transcribes one recording as often as the request asks for.
fn answer(whisper: &mut Whisper, line: &str) -> Result<Value, String> {
    let request: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let (Some(wav), Some(runs)) = (request["wav"].as_str(), request["runs"].as_u64()) else {
        return Err(format!("not a request: {line}"));
    };
    let audio = read_wav(wav)?;
    let options = DecodeOptions {
        without_timestamps: true,
        tokens_per_second_max: TOKENS_PER_SECOND_MAX,
        ..DecodeOptions::default()
    };
    let (mut seconds, mut transcript) = (Vec::new(), Transcript::default());
    for _ in 0..runs {
        // The spectrogram of the run before is kept for whoever asks for the same audio again.
        whisper.forget_ahead();
        let start = Instant::now();
        let goes_on = AtomicBool::new(false);
        whisper
            .transcribe(&audio, &options, "", &goes_on, &mut transcript)
            .map_err(|error| error.to_string())?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(json!({ "seconds": seconds, "text": transcript.text.trim() }))
}

/// Reads a recording that the bench has made: mono 16 kHz, 16 bits, a plain header.
fn read_wav(path: &str) -> Result<Vec<i16>, String> {
    let bytes = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let samples = bytes.get(WAV_HEADER_BYTES..).unwrap_or_default();
    let pairs = samples.chunks_exact(2);
    Ok(pairs
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect())
}

/// The most memory that this process ever had, in KiB; `None` where there is no /proc.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Says one line. Whoever asked may have gone: then there is nobody to tell.
fn say(message: &Value) {
    let mut out = stdout().lock();
    writeln!(out, "{message}").and_then(|()| out.flush()).ok();
}
