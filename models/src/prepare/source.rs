//! The folder of a stock export: its files found, its JSON checked.
//!
//! Flow: a path -> [`Source`]; files -> their SHA-256. On the thread that prepares a model.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{PrepareError, Reporter};
use crate::LoadError;

/// Larger JSON files are no part of a Whisper: tokenizers take some 4 MB.
const JSON_BYTES_MAX: u64 = 64 << 20;
/// Bytes that are hashed at a time.
const PIECE_BYTES: usize = 1 << 20;

/// The files that come along, and whether a folder must have them.
const JSON_FILES: [(&str, bool); 4] = [
    ("config.json", true),
    ("generation_config.json", true),
    ("tokenizer.json", true),
    ("preprocessor_config.json", false),
];
/// The window of stock weights, in frames: see [`WindowPolicy`](crate::whisper::window).
const STOCK_WINDOW: [(&str, u64); 2] =
    [("window_floor_frames", 768), ("window_margin_frames", 256)];

/// What to do about a folder that is not whole.
const LAYOUT: &str = "a Whisper export holds config.json, generation_config.json, tokenizer.json, \
                      encoder_model.onnx and decoder_model_merged.onnx or decoder_model.onnx";

/// Endings of names of ONNX files that can be read, best first; and of others that there are.
const READABLE: [&str; 3] = ["", "_fp16", "_quantized"];
const OTHERS: [&str; 6] = ["_int8", "_uint8", "_q4", "_q4f16", "_bnb4", "_q8"];

/// The names of decoders, best first.
const DECODERS: [&str; 2] = ["decoder_model_merged", "decoder_model"];

/// A folder whose files are there.
pub(super) struct Source {
    pub(super) folder: PathBuf,
    pub(super) encoder: PathBuf,
    pub(super) decoder: PathBuf,
    /// `pressel.json`, with the stock window where it says nothing.
    pub(super) pressel: Map<String, Value>,
}

impl Source {
    /// Finds the files and checks that the JSON ones are JSON.
    pub(super) fn find(folder: &Path) -> Result<Self, PrepareError> {
        for (name, is_needed) in JSON_FILES {
            let file = folder.join(name);
            if is_needed || file.exists() {
                read_json(&file)?;
            }
        }
        let mut pressel = match folder.join("pressel.json") {
            file if file.exists() => match read_json(&file)? {
                Value::Object(keys) => keys,
                _ => return Err(json_error(&file, "is no object".into()).into()),
            },
            _ => Map::new(),
        };
        for (key, frames) in STOCK_WINDOW {
            pressel.entry(key).or_insert(frames.into());
        }
        let (encoder, decoder) = graphs(folder)?;
        Ok(Self {
            folder: folder.into(),
            encoder,
            decoder,
            pressel,
        })
    }

    /// Copies the JSON files.
    pub(super) fn copy_json(&self, target: &Path) -> Result<(), PrepareError> {
        for (name, _) in JSON_FILES {
            let (from, to) = (self.folder.join(name), target.join(name));
            if !from.exists() {
                continue;
            }
            let copied = fs::copy(&from, &to).and_then(|_| File::open(&to)?.sync_all());
            copied.map_err(|error| PrepareError::Write {
                file: to,
                problem: error.to_string(),
            })?;
        }
        Ok(())
    }
}

/// Finds both ONNX files: of one kind, in the folder or in `onnx/`.
fn graphs(folder: &Path) -> Result<(PathBuf, PathBuf), PrepareError> {
    let found = |name: &str, ending: &str| {
        let name = format!("{name}{ending}.onnx");
        let places = [folder.join(&name), folder.join("onnx").join(&name)];
        places.into_iter().find(|file| file.is_file())
    };
    for ending in READABLE {
        let decoder = || DECODERS.iter().find_map(|name| found(name, ending));
        if let (Some(encoder), Some(decoder)) = (found("encoder_model", ending), decoder()) {
            return Ok((encoder, decoder));
        }
    }
    for ending in OTHERS {
        if let Some(file) = found("encoder_model", ending) {
            return Err(PrepareError::Quantized { file });
        }
    }
    let has_encoder = READABLE
        .iter()
        .any(|ending| found("encoder_model", ending).is_some());
    let name = if has_encoder {
        DECODERS[0]
    } else {
        "encoder_model"
    };
    Err(PrepareError::Source(LoadError::Missing {
        file: folder.join(format!("{name}.onnx")),
        remedy: LAYOUT,
    }))
}

fn read_json(file: &Path) -> Result<Value, LoadError> {
    let Ok(about) = fs::metadata(file) else {
        return Err(LoadError::Missing {
            file: file.into(),
            remedy: LAYOUT,
        });
    };
    if JSON_BYTES_MAX < about.len() {
        return Err(json_error(file, format!("takes {} bytes", about.len())));
    }
    let bytes = fs::read(file).map_err(|error| json_error(file, error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| json_error(file, error.to_string()))
}

fn json_error(file: &Path, problem: String) -> LoadError {
    LoadError::Json {
        file: file.into(),
        problem,
    }
}

/// Returns the SHA-256 of a file, in hexadecimal digits.
pub(super) fn sha256(file: &Path, reporter: &mut Reporter<'_>) -> Result<String, PrepareError> {
    let unreadable = |error: std::io::Error| LoadError::Onnx {
        file: file.into(),
        problem: error.to_string(),
    };
    let mut open = File::open(file).map_err(unreadable)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = open.read(&mut piece).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        reporter.add(read as u64)?;
    }
    let mut digits = String::new();
    for byte in hash.finalize() {
        // Writing into a string cannot fail.
        write!(digits, "{byte:02x}").ok();
    }
    Ok(digits)
}
