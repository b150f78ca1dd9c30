//! What must hold for any bytes that come from outside: one property for each door.
//!
//! Bytes in; a panic out when the property does not hold. The fuzz targets feed them with what
//! libFuzzer makes up, `tests/src/corpus.rs` with the committed corpus, so that each input that
//! was ever interesting stays a test. Nothing here needs a device, a model or a nightly compiler.

pub mod checkpoints;
pub mod control;
pub mod frames;
pub mod journal;
pub mod lines;
pub mod messages;
pub mod onnx;
pub mod receiver;
pub mod recordings;
pub mod seeds;
pub mod settings;
pub mod sums;
pub mod worker;

mod memory;

/// A property over any bytes.
pub type Property = fn(&[u8]);

/// Every property with the name of its fuzz target and of its folder in `corpus`.
pub const ALL: [(&str, Property); 12] = [
    ("checkpoints", checkpoints::check),
    ("control", control::check),
    ("frames", frames::check),
    ("journal", journal::check),
    ("lines", lines::check),
    ("messages", messages::check),
    ("onnx", onnx::check),
    ("receiver", receiver::check),
    ("recordings", recordings::check),
    ("settings", settings::check),
    ("wav", recordings::check_wav),
    ("worker", worker::check),
];
