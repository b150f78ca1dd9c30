//! What the tests of this folder share: a client without patience, and files with their ids.
//!
//! Bytes and addresses in; nothing here waits longer than it must.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::server::Held;
use super::{Client, Patience, Settings};
use crate::model_store::lock::paths;

/// Long where a slow machine must not fail a test, and without pauses.
pub(super) const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(30),
    silence: Duration::from_secs(30),
    pace: Duration::from_secs(30),
    pace_bytes: 0,
    tries: 3,
    pause: Duration::ZERO,
    pause_max: Duration::ZERO,
};

pub(super) fn settings(hub: &str) -> Settings {
    Settings {
        hub: hub.to_owned(),
        token: Some("secret".to_owned()),
        certificates: None,
        proxy: false,
        patience: PATIENCE,
    }
}

pub(super) fn client(hub: &str) -> Client {
    Client::new(settings(hub), Arc::new(AtomicBool::new(false))).unwrap()
}

/// Returns bytes of which no two stretches are the same.
pub(super) fn bytes(count: usize) -> Vec<u8> {
    let words = (0_u32..).flat_map(|word| word.wrapping_mul(2_654_435_761).to_be_bytes());
    words.take(count).collect()
}

/// Returns the files of a repository that holds a model.
pub(super) fn model() -> BTreeMap<String, Held> {
    let files: [(&str, Held); 7] = [
        ("README.md", Held::small(b"# A model")),
        ("config.json", Held::small(br#"{"model_type": "whisper"}"#)),
        ("generation_config.json", Held::small(b"{}")),
        ("tokenizer.json", Held::small(b"{\"a\": 1}")),
        ("onnx/encoder_model.onnx", Held::large(&bytes(150_000))),
        (
            "onnx/decoder_model_merged.onnx",
            Held::large(&bytes(200_000)),
        ),
        ("onnx/decoder_model_merged_q4.onnx", Held::large(&bytes(7))),
    ];
    files.map(|(path, held)| (path.to_owned(), held)).into()
}

/// Returns the paths in a folder and below it, hidden ones included.
pub(super) fn tree(folder: &Path) -> Vec<String> {
    paths(folder).unwrap()
}
