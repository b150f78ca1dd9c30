//! Feeds `pressel_fuzz::messages` with bytes of libFuzzer.
//!
//! In: bytes. Out: a panic when the property does not hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pressel_fuzz::onnx::check(bytes));
