//! What a repository holds, and which of its files make a Whisper model.
//!
//! The hub's JSON in, checked paths, sizes and object ids out. A path that leads out of its folder,
//! a file without a size or an id, and a repository without a model are errors here, before
//! anything is downloaded.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HubError;
use super::error::megabytes;
use crate::model_store::lock::is_plain;
use crate::plain::plain;

/// Files that a model cannot be without.
const NEEDED: [&str; 3] = ["config.json", "generation_config.json", "tokenizer.json"];
/// Files that are taken along when they are there.
const WELCOME: [&str; 1] = ["preprocessor_config.json"];
/// Folders in which the graphs may be.
const HOMES: [&str; 2] = ["onnx/", ""];
/// The graph of the encoder, and those of the decoder, the better one first.
const ENCODER: &str = "encoder_model.onnx";
const DECODERS: [&str; 2] = ["decoder_model_merged.onnx", "decoder_model.onnx"];
/// Largest file that is a JSON file: a tokenizer is a few megabytes.
const JSON_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Largest model: large-v3 in fp32 is 6.4 GB.
const MODEL_BYTES_MAX: u64 = 32_000_000_000;

/// The files of a repository that are fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Repository, `owner/name`.
    pub repo: String,
    /// Commit, 40 hexadecimal digits.
    pub commit: String,
    /// Small files first: what is wrong with them is found before the large ones come.
    pub files: Vec<RemoteFile>,
}

/// One file on the hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteFile {
    /// Path in the repository; it stays in its folder.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the content, or git's SHA-1 of it as a blob; hexadecimal digits.
    pub oid: String,
}

/// The hub's answer, as far as it matters.
#[derive(Deserialize)]
struct Answer {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Value>,
}

impl Listing {
    /// Reads the hub's answer and chooses the files. `raw`: they are to run as they are.
    ///
    /// # Errors
    /// [`HubError::Unusable`] names what is missing or not right.
    pub fn parse(repo: &str, json: &[u8], raw: bool) -> Result<Self, HubError> {
        let fail = |why: String| HubError::Unusable {
            repo: repo.to_owned(),
            why: plain(&why),
        };
        let answer: Answer = serde_json::from_slice(json)
            .map_err(|error| fail(format!("the hub's listing cannot be read ({error})")))?;
        let commit = answer.sha.to_ascii_lowercase();
        if !is_hex(&commit, 40) {
            return Err(fail(format!("the hub names no commit ({commit:?})")));
        }
        let mut files = Vec::new();
        for name in choose(&answer.siblings, raw).map_err(fail)? {
            files.push(remote(name).map_err(fail)?);
        }
        // A model in 2 files of 17 EB must not overflow.
        let sum = files
            .iter()
            .fold(0_u64, |sum, file| sum.saturating_add(file.size));
        if MODEL_BYTES_MAX < sum {
            return Err(fail(format!("its files have {}", megabytes(sum))));
        }
        let repo = repo.to_owned();
        Ok(Self {
            repo,
            commit,
            files,
        })
    }

    /// Returns the bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

impl RemoteFile {
    /// Returns whether the object id is the SHA-256 of the content.
    #[must_use]
    pub fn is_sha256(&self) -> bool {
        self.oid.len() == 64
    }
}

/// Chooses the files of a model.
fn choose(siblings: &[Sibling], raw: bool) -> Result<Vec<&Sibling>, String> {
    let find = |path: &str| siblings.iter().find(|file| file.rfilename == path);
    let mut chosen = Vec::new();
    for name in NEEDED {
        chosen.push(find(name).ok_or(format!("it holds no {name}: it is no export of Whisper"))?);
    }
    chosen.extend(WELCOME.iter().filter_map(|name| find(name)));
    let home = HOMES
        .into_iter()
        .find(|home| find(&format!("{home}{ENCODER}")).is_some())
        .ok_or(format!(
            "it holds no {ENCODER} in fp32: it is no export for ONNX Runtime"
        ))?;
    // A decoder alone does not run: it is for rebuilding.
    let decoders = if raw { &DECODERS[..1] } else { &DECODERS[..] };
    let decoder = decoders
        .iter()
        .map(|name| format!("{home}{name}"))
        .find(|path| find(path).is_some())
        .ok_or_else(|| format!("it holds no {} in fp32", decoders.join(" and no ")))?;
    for graph in [format!("{home}{ENCODER}"), decoder] {
        chosen.extend(find(&graph));
        // Weights beside the graph: `x.onnx_data`, and `x.onnx_data_1` for what is over 2 GB.
        let data = format!("{graph}_data");
        let beside = siblings
            .iter()
            .filter(|file| file.rfilename.starts_with(&data));
        chosen.extend(beside);
    }
    Ok(chosen)
}

/// Checks what the hub says of a file.
fn remote(file: &Sibling) -> Result<RemoteFile, String> {
    let path = &file.rfilename;
    if !is_plain(path) {
        return Err(format!(
            "the hub names a file {path:?}, which is not a path inside it"
        ));
    }
    let large = file.lfs.as_ref().filter(|lfs| !lfs.is_null());
    let (oid, size, digits) = match large {
        Some(lfs) => (
            lfs["sha256"].as_str(),
            lfs["size"].as_u64().or(file.size),
            64,
        ),
        None => (file.blob_id.as_deref(), file.size, 40),
    };
    let oid = oid.map(str::to_ascii_lowercase);
    let oid = oid.filter(|oid| is_hex(oid, digits));
    let (Some(oid), Some(size)) = (oid, size) else {
        return Err(format!("the hub tells no size or no object id of {path}"));
    };
    if path.ends_with(".json") && JSON_BYTES_MAX < size {
        return Err(format!(
            "{path} has {}: it is not what it says",
            megabytes(size)
        ));
    }
    let path = path.clone();
    Ok(RemoteFile { path, size, oid })
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn small(path: &str) -> Value {
        json!({"rfilename": path, "size": 3, "blobId": "A".repeat(40)})
    }

    fn large(path: &str) -> Value {
        let lfs = json!({"sha256": "b".repeat(64), "size": 5, "pointerSize": 130});
        json!({"rfilename": path, "size": 5, "blobId": "a".repeat(40), "lfs": lfs})
    }

    fn stock() -> Vec<Value> {
        vec![
            small(".gitattributes"),
            small("config.json"),
            small("generation_config.json"),
            small("tokenizer.json"),
            large("onnx/decoder_model.onnx"),
            large("onnx/decoder_model_merged.onnx"),
            large("onnx/decoder_model_merged_q4.onnx"),
            large("onnx/encoder_model.onnx"),
            large("onnx/encoder_model.onnx_data"),
            large("onnx/encoder_model_fp16.onnx"),
        ]
    }

    fn parse(siblings: &[Value], raw: bool) -> Result<Listing, HubError> {
        let json = json!({"sha": "C".repeat(40), "siblings": siblings}).to_string();
        Listing::parse("a/b", json.as_bytes(), raw)
    }

    #[test]
    fn the_files_of_a_model_are_chosen_small_ones_first() {
        let check = |siblings: &[Value], raw, expected: &[&str]| {
            let listing = parse(siblings, raw).unwrap();
            let paths: Vec<_> = listing
                .files
                .iter()
                .map(|file| file.path.as_str())
                .collect();
            assert_eq!(paths, expected);
            assert_eq!(listing.commit, "c".repeat(40));
        };
        let json = ["config.json", "generation_config.json", "tokenizer.json"];
        let with = |graphs: &[&'static str]| [&json[..], graphs].concat();
        let encoder = "onnx/encoder_model.onnx";
        let data = "onnx/encoder_model.onnx_data";
        let expected = with(&[encoder, data, "onnx/decoder_model_merged.onnx"]);
        check(&stock(), false, &expected);
        check(&stock(), true, &expected);

        let mut plain = stock();
        plain.remove(5);
        check(
            &plain,
            false,
            &with(&[encoder, data, "onnx/decoder_model.onnx"]),
        );
        assert!(
            parse(&plain, true)
                .unwrap_err()
                .to_string()
                .contains("merged")
        );

        let flat: Vec<_> = stock()
            .into_iter()
            .map(|mut file| {
                let name = file["rfilename"].as_str().unwrap().replace("onnx/", "");
                file["rfilename"] = name.into();
                file
            })
            .collect();
        let graphs = [
            "encoder_model.onnx",
            "encoder_model.onnx_data",
            "decoder_model_merged.onnx",
        ];
        check(&flat, false, &with(&graphs));
    }

    #[test]
    fn object_ids_are_sha256_of_large_files_and_git_sha1_of_small_ones() {
        let listing = parse(&stock(), false).unwrap();
        let ids: Vec<_> = listing.files.iter().map(|file| file.is_sha256()).collect();
        assert_eq!(ids, [false, false, false, true, true, true]);
        assert_eq!(listing.files[0].oid, "a".repeat(40));
        assert_eq!(listing.bytes(), 3 * 3 + 3 * 5);
    }

    #[test]
    fn a_listing_that_lies_or_lacks_is_named() {
        let check = |change: &dyn Fn(&mut Vec<Value>), word: &str| {
            let mut siblings = stock();
            change(&mut siblings);
            let error = parse(&siblings, false).unwrap_err().to_string();
            assert!(
                error.starts_with("a/b: ") && error.contains(word),
                "{error}"
            );
            assert!(!error.contains(char::is_control), "{error}");
        };
        for path in ["_data/../../../x", "_data/../x\n", "_data\u{1b}[2J"] {
            let path = format!("onnx/encoder_model.onnx{path}");
            check(&|siblings| siblings.push(large(&path)), "not a path inside");
        }
        check(&|siblings| drop(siblings.remove(3)), "no tokenizer.json");
        check(
            &|siblings| drop(siblings.remove(7)),
            "no encoder_model.onnx in fp32",
        );
        check(&|siblings| siblings.truncate(4), "encoder_model.onnx");
        check(
            &|siblings| drop(siblings.drain(4..6)),
            "no decoder_model_merged.onnx",
        );
        check(
            &|siblings| siblings[1]["size"] = Value::Null,
            "of config.json",
        );
        check(
            &|siblings| siblings[1]["blobId"] = "zz".into(),
            "of config.json",
        );
        check(
            &|siblings| siblings[7]["lfs"]["sha256"] = "12".into(),
            "of onnx/encoder",
        );
        check(
            &|siblings| siblings[7]["lfs"]["size"] = u64::MAX.into(),
            "MB",
        );
        check(
            &|siblings| siblings[3]["size"] = 1_000_000_000.into(),
            "1000.0 MB",
        );
        for (json, word) in [
            ("", "cannot be read"),
            ("<html>", "cannot be read"),
            (r#"{"sha":"main","siblings":[]}"#, "no commit"),
        ] {
            let error = Listing::parse("a/b", json.as_bytes(), false).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
