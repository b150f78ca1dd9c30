//! A token costs no allocation in Rust.
//!
//! The tiny model of fixtures/ is prepared and recognises the same audio with a few tokens and with
//! many: both make the same number of allocations. The counter sees those of Rust on this thread;
//! what ONNX Runtime takes from the C library is not counted. A test binary of its own, for the
//! allocator is one for all of a program.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "GlobalAlloc is an unsafe trait, every call goes on to System; and this is a test"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fs,
    ops::ControlFlow,
    path::Path,
    sync::atomic::AtomicBool,
};

use pressel_models::{
    DecodeOptions, Language, Provider, Runtime, Transcriber as _, Transcript, Whisper,
    WhisperConfig, places,
    prepare::{Options, prepare},
};

/// The system's allocator, and a count.
struct Counting;

thread_local! {
    /// Allocations of this thread. `const`: counting never allocates.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    COUNT.with(|count| count.set(count.get() + 1));
}

// SAFETY: every method hands its arguments unchanged to `System`, which upholds the contract of
// `GlobalAlloc`; `count` touches no memory but its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The end token of the tiny model.
const END: i64 = 256;

/// Recognises a second of noise; returns the tokens and the allocations.
fn recognise(whisper: &mut Whisper, tokens_per_second_max: u32) -> (u32, u64) {
    let mut state = 1_u32;
    let audio: Vec<i16> = (0..16_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 18) as i16
        })
        .collect();
    let options = DecodeOptions {
        language: Some(Language::ENGLISH),
        temperature: vec![0.0],
        no_speech_threshold: f32::INFINITY,
        suppress_tokens: vec![END],
        tokens_per_second_max,
        ..DecodeOptions::default()
    };
    let mut transcript = Transcript {
        text: String::with_capacity(1_000),
        segments: Vec::new(),
    };
    let cancel = AtomicBool::new(false);
    let before = COUNT.get();
    let result = whisper.transcribe(&audio, &options, "", &cancel, &mut transcript);
    let after = COUNT.get();
    (result.unwrap().token_count, after - before)
}

#[test]
fn more_tokens_make_no_more_allocations() {
    let runtime = match Runtime::load(&places::onnx_runtime_candidates()) {
        Ok(runtime) => runtime,
        Err(error) => {
            println!("skipped: {error}");
            return;
        }
    };
    let home = tempfile::tempdir().unwrap();
    let (source, target) = (home.path().join("source"), home.path().join("target"));
    fs::create_dir(&source).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny");
    for entry in fs::read_dir(fixture).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), source.join(entry.file_name())).unwrap();
    }
    // One pass only, whatever it gives.
    fs::write(source.join("pressel.json"), r#"{"speech_frames_max": 200}"#).unwrap();
    let mut silent = |_| ControlFlow::Continue(());
    prepare(&source, &target, &Options::default(), None, &mut silent).unwrap();
    let config = WhisperConfig {
        threads: 1,
        spin: false,
        provider: Provider::Cpu,
    };
    let mut whisper = Whisper::load(&runtime, &target, &config).unwrap();
    assert!(whisper.is_prepared());
    recognise(&mut whisper, 20);
    let (few, allocations) = recognise(&mut whisper, 20);
    let (many, same) = recognise(&mut whisper, 35);
    assert_eq!((few, many), (20, 35));
    assert_eq!(same, allocations);
    println!("{allocations} allocations for {few} tokens and for {many}");
}
