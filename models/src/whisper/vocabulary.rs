//! The vocabulary: what each token is in bytes of text.
//!
//! Flow: tokenizer.json -> bytes of each token, at start-up; tokens -> text, in the worker.
//! Whisper's tokenizers are byte-level: each letter of a token stands for one byte, so reading
//! tokens needs no more than a table. The crate `tokenizers` would take as long to load as both
//! graphs, and 17 MB; it is loaded when a text has to become tokens, which few do.

use core::{fmt, ops::Range};
use std::{
    cell::OnceCell,
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use tokenizers::Tokenizer;

use crate::LoadError;

/// Most bytes of a tokenizer.json: those of the largest models have 4 MB.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The tokens of a model.
pub(super) struct Vocabulary {
    file: PathBuf,
    /// The bytes of all tokens.
    bytes: Vec<u8>,
    /// Where in `bytes` each token is; empty for numbers that are no token.
    places: Vec<Place>,
    /// Numbers that are tokens.
    count: usize,
    /// Tokens that were added to the vocabulary.
    added: HashSet<u32>,
    /// Those of them that are never text.
    special: HashSet<u32>,
    /// Loaded when it is first wanted. `None` inside: it cannot be.
    tokenizer: OnceCell<Option<Box<Tokenizer>>>,
}

/// A stretch of the bytes of all tokens.
#[derive(Clone, Copy, Default)]
struct Place {
    start: u32,
    end: u32,
}

impl Vocabulary {
    /// Reads `file`, whose tokens must be less than `vocab_size`.
    pub(super) fn read(file: &Path, vocab_size: usize) -> Result<Self, LoadError> {
        let broken = |problem: String| LoadError::Json {
            file: file.into(),
            problem,
        };
        let length = fs::metadata(file).map_err(|error| broken(error.to_string()))?;
        if FILE_BYTES_MAX < length.len() {
            return Err(broken(format!("is {} bytes long", length.len())));
        }
        let bytes = fs::read(file).map_err(|error| broken(error.to_string()))?;
        let parsed: TokenizerFile =
            serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        let kinds = [&parsed.model.kind, &parsed.decoder.kind].map(Option::as_deref);
        if kinds != [Some("BPE"), Some("ByteLevel")] && kinds != [None, Some("ByteLevel")] {
            return Err(broken("is no byte-level BPE, which Whisper's are".into()));
        }
        let (words, added) = (parsed.model.vocab, parsed.added_tokens);
        let ids = words.places.iter().map(|&(id, _)| id);
        let highest = ids.chain(added.iter().map(|token| token.id)).max();
        let highest = highest.unwrap_or(0);
        if vocab_size <= highest as usize {
            return Err(LoadError::Config {
                file: file.into(),
                key: "vocabulary",
                problem: format!("goes up to token {highest}, config.json has {vocab_size} tokens"),
            });
        }
        let mut is_token = vec![false; highest as usize + 1];
        let ids = words.places.iter().map(|&(id, _)| id);
        for id in ids.chain(added.iter().map(|token| token.id)) {
            is_token[id as usize] = true;
        }
        let mut vocabulary = Self {
            file: file.into(),
            bytes: words.bytes,
            places: vec![Place::default(); highest as usize + 1],
            count: is_token.iter().filter(|&&is_token| is_token).count(),
            added: added.iter().map(|token| token.id).collect(),
            special: HashSet::new(),
            tokenizer: OnceCell::new(),
        };
        for (id, place) in words.places {
            vocabulary.places[id as usize] = place;
        }
        for token in added {
            vocabulary.places[token.id as usize] =
                append(&mut vocabulary.bytes, &token.content).ok_or_else(|| broken(LONG.into()))?;
            if token.special {
                vocabulary.special.insert(token.id);
            }
        }
        Ok(vocabulary)
    }

    /// Returns the number of the token that reads `text`, if there is one.
    pub(super) fn id(&self, text: &str) -> Option<u32> {
        let reads = |id: &u32| self.bytes_of(*id) == text.as_bytes();
        let added = self.added.iter().copied().find(reads);
        added.or_else(|| (0..self.places.len() as u32).find(|id| reads(id) && !text.is_empty()))
    }

    /// Returns how many tokens there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Returns the tokens that were added to the vocabulary: those that steer, and timestamps.
    pub(super) fn added(&self) -> &HashSet<u32> {
        &self.added
    }

    /// Returns the text of `tokens`, without special tokens. What is no text is a replacement
    /// character, and a number that is no token is nothing.
    pub(super) fn decode(&self, tokens: &[u32]) -> String {
        let words = || {
            let words = tokens.iter().filter(|token| !self.special.contains(token));
            words.map(|&token| self.bytes_of(token))
        };
        let mut bytes = Vec::with_capacity(words().map(<[u8]>::len).sum());
        words().for_each(|word| bytes.extend_from_slice(word));
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }

    /// Returns the tokens of `text`; `None` when the file cannot do that.
    ///
    /// The first call loads what it needs: a tenth of a second, and 17 MB for OpenAI's vocabulary.
    pub(super) fn encode(&self, text: &str) -> Option<Vec<u32>> {
        let load = || Tokenizer::from_file(&self.file).ok().map(Box::new);
        let tokenizer = self.tokenizer.get_or_init(load).as_deref()?;
        let encoded = tokenizer.encode_fast(text, false).ok()?;
        Some(encoded.get_ids().to_vec())
    }

    /// Gives back what [`Vocabulary::encode`] loaded.
    pub(super) fn forget_tokenizer(&mut self) {
        self.tokenizer.take();
    }

    fn bytes_of(&self, token: u32) -> &[u8] {
        let place = self.places.get(token as usize).copied().unwrap_or_default();
        let place: Range<usize> = place.start as usize..place.end as usize;
        self.bytes.get(place).unwrap_or_default()
    }
}

const LONG: &str = "holds more than 4 GB of tokens";

/// Appends the bytes that `token` stands for and returns where they are.
fn append(bytes: &mut Vec<u8>, token: &str) -> Option<Place> {
    let start = u32::try_from(bytes.len()).ok()?;
    if token.chars().all(|letter| byte_of(letter).is_some()) {
        bytes.extend(token.chars().filter_map(byte_of));
    } else {
        // A letter stands for no byte: the token is what it reads.
        bytes.extend_from_slice(token.as_bytes());
    }
    let end = u32::try_from(bytes.len()).ok()?;
    Some(Place { start, end })
}

/// Returns the byte that a letter of a token stands for.
///
/// The visible letters of Latin-1 stand for themselves; the other 68 bytes, in order, for the
/// letters from U+0100 on. Source: `bytes_to_unicode` of GPT-2's encoder.py.
fn byte_of(letter: char) -> Option<u8> {
    match u32::from(letter) {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(code as u8),
        code @ 0x100..=0x120 => Some((code - 0x100) as u8),
        code @ 0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// The keys of tokenizer.json that matter here.
#[derive(Deserialize)]
struct TokenizerFile {
    #[serde(default)]
    added_tokens: Vec<Added>,
    model: Model,
    decoder: Kind,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: Words,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// The vocabulary as it is read: the bytes of all tokens, and where which is.
struct Words {
    bytes: Vec<u8>,
    places: Vec<(u32, Place)>,
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Words;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of tokens and their numbers")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Words, M::Error> {
                let mut words = Words {
                    bytes: Vec::new(),
                    places: Vec::new(),
                };
                while let Some((Letters(token), id)) = map.next_entry()? {
                    let place = append(&mut words.bytes, &token);
                    let place = place.ok_or_else(|| serde::de::Error::custom(LONG))?;
                    words.places.push((id, place));
                }
                Ok(words)
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// A string that is not copied out of the file unless it has to be.
#[derive(Deserialize)]
#[serde(transparent)]
struct Letters<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{places, testing::fixtures};

    fn files() -> [(PathBuf, usize); 2] {
        [fixtures().join("tiny"), places::builtin("nano")].map(|folder| {
            let config = std::fs::read(folder.join("config.json")).unwrap();
            let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
            let vocab_size = config["vocab_size"].as_u64().unwrap();
            (
                folder.join("tokenizer.json"),
                usize::try_from(vocab_size).unwrap(),
            )
        })
    }

    #[test]
    fn tokens_read_as_the_crate_reads_them() {
        for (file, vocab_size) in files() {
            let own = Vocabulary::read(&file, vocab_size).unwrap();
            let crates = Tokenizer::from_file(&file).unwrap();
            let mut state = 1_u32;
            for length in 0..400 {
                let next = |_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // A few are beyond the vocabulary.
                    (state >> 8) % (vocab_size as u32 + 9)
                };
                let tokens: Vec<u32> = (0..length % 40).map(next).collect();
                assert_eq!(own.decode(&tokens), crates.decode(&tokens, true).unwrap());
            }
            for id in 0..vocab_size as u32 {
                let text = crates.id_to_token(id).unwrap();
                if text.starts_with("<|") {
                    assert_eq!(own.id(&text), Some(id), "{text}");
                }
            }
            assert_eq!(own.id("<|nothing|>"), None);
            assert_eq!(own.id(""), None);
            let added: HashSet<u32> = crates.get_added_tokens_decoder().into_keys().collect();
            assert_eq!(*own.added(), added);
        }
    }

    #[test]
    fn text_becomes_the_tokens_of_the_crate() {
        for (file, vocab_size) in files() {
            let own = Vocabulary::read(&file, vocab_size).unwrap();
            assert!(own.tokenizer.get().is_none());
            for text in ["", " turn on the light", "Größe 一"] {
                let tokens = own.encode(text).unwrap();
                let crates = Tokenizer::from_file(&file).unwrap();
                assert_eq!(tokens, crates.encode_fast(text, false).unwrap().get_ids());
                assert_eq!(own.decode(&tokens), text);
            }
        }
    }

    #[test]
    fn each_byte_has_one_letter() {
        let bytes: HashSet<u8> = (0..0x200)
            .filter_map(|code| byte_of(char::from_u32(code)?))
            .collect();
        let letters = (0..0x200).filter(|&code| char::from_u32(code).and_then(byte_of).is_some());
        assert_eq!((bytes.len(), letters.count()), (256, 256));
    }

    fn check(json: &str, expected: Result<(), &str>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokenizer.json");
        fs::write(&file, json).unwrap();
        let result = Vocabulary::read(&file, 10).map(drop);
        match (result, expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(part)) => {
                let text = error.to_string();
                assert!(
                    text.contains(part) && text.contains("tokenizer.json"),
                    "{text}"
                );
            }
            (result, _) => panic!("{json}: {result:?}"),
        }
    }

    #[test]
    fn files_of_another_kind_are_named() {
        let decoder = r#""decoder": {"type": "ByteLevel"}"#;
        let model = |vocab: &str| format!(r#""model": {{"type": "BPE", "vocab": {vocab}}}"#);
        check(&format!("{{{}, {decoder}}}", model(r#"{"a": 0}"#)), Ok(()));
        check(&format!("{{{}, {decoder}}}", model("{}")), Ok(()));
        check("{ no", Err("line 1"));
        check("{}", Err("missing field"));
        check(&format!("{{{decoder}}}"), Err("missing field `model`"));
        check(
            &format!("{{{}, {decoder}}}", model("[]")),
            Err("invalid type"),
        );
        check(
            &format!("{{{}, {decoder}}}", model(r#"{"a": -1}"#)),
            Err("invalid value"),
        );
        let high = model(r#"{"a": 4000000000}"#);
        check(
            &format!("{{{high}, {decoder}}}"),
            Err("goes up to token 4000000000"),
        );
        let other = r#""decoder": {"type": "Metaspace"}"#;
        check(
            &format!("{{{}, {other}}}", model(r#"{"a": 0}"#)),
            Err("no byte-level BPE"),
        );
    }
}
