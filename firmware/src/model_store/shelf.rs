//! Which models are on this machine: built in, fetched, half fetched.
//!
//! The folders of [`places`] in, one [`Model`] for each out. Only small JSON files are read;
//! nothing is loaded or hashed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use pressel_models::places;
use serde::Serialize;
use serde_json::Value;

use super::lock::{self, LOCK_FILE, Lock};

/// What the folder of a fetch at work is called: a dot, the model's name, and this.
const STAGING: &str = ".fetch";

/// A model on this machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// Its name in the configuration.
    pub name: String,
    /// Where it is.
    pub folder: PathBuf,
    /// How it came there.
    pub kind: Kind,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Whether the graphs are Pressel's own, or a built-in model's.
    pub prepared: bool,
    /// How they were rebuilt, for example `8bit`.
    pub head: Option<String>,
    /// Languages that it hears; empty when its files do not say.
    pub languages: Vec<String>,
    /// The encoder's window, when the model has one of its own.
    pub window: Option<Window>,
    /// Repository and commit that it was fetched from.
    pub origin: Option<(String, String)>,
}

/// How a model came to this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// With Pressel.
    Builtin,
    /// By `pressel models fetch`.
    Fetched,
    /// By hand: there is no lock file.
    Foreign,
    /// A fetch of it has not ended yet.
    Unfinished,
}

/// The encoder's window of a model, in frames of 10 ms; see `pressel.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The shortest.
    pub floor_frames: u64,
    /// Silence behind the utterance.
    pub margin_frames: u64,
}

/// Returns the folder in which a fetch of `target` works, beside it.
#[must_use]
pub fn staging_of(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}{STAGING}"))
}

/// Returns all models, in the order in which a name is looked for.
#[must_use]
pub fn all() -> Vec<Model> {
    let mut models = in_home(&places::builtin("."), true);
    for home in places::homes() {
        models.extend(in_home(&home, false));
    }
    models
}

/// Returns the models of one home, by name.
fn in_home(home: &Path, builtin: bool) -> Vec<Model> {
    let entries = fs::read_dir(home).into_iter().flatten().flatten();
    let folders = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir());
    let mut models: Vec<_> = folders.filter_map(|path| look(&path, builtin)).collect();
    models.sort_by(|a, b| a.name.cmp(&b.name));
    models
}

/// Looks at the folder of a model; `None` when it is none.
fn look(folder: &Path, builtin: bool) -> Option<Model> {
    let name = folder.file_name().and_then(OsStr::to_str)?;
    let unfinished = name
        .strip_prefix('.')
        .and_then(|name| name.strip_suffix(STAGING));
    if let Some(name) = unfinished {
        return Some(Model::new(name, folder, Kind::Unfinished));
    }
    if name.starts_with('.') || !folder.join("config.json").is_file() {
        return None;
    }
    let kind = match (builtin, folder.join(LOCK_FILE).is_file()) {
        (true, _) => Kind::Builtin,
        (false, true) => Kind::Fetched,
        (false, false) => Kind::Foreign,
    };
    let mut model = Model::new(name, folder, kind);
    if let Ok(Some(lock)) = Lock::read(folder) {
        model.origin = Some((lock.repo, lock.commit));
    }
    model.languages = languages(&json(&folder.join("generation_config.json")));
    let own = json(&folder.join("pressel.json"));
    model.window = window(&own);
    model.prepared = builtin || own["prepared"].is_object();
    let bits = own["prepared"]["head_bits"].as_u64();
    model.head = bits.map(|bits| format!("{bits}bit"));
    Some(model)
}

impl Model {
    fn new(name: &str, folder: &Path, kind: Kind) -> Self {
        let paths = lock::paths(folder).unwrap_or_default();
        let size = |path: &String| fs::metadata(folder.join(path)).map_or(0, |found| found.len());
        Self {
            name: name.to_owned(),
            // `builtin/./nano` is how it was found.
            folder: folder.components().collect(),
            kind,
            bytes: paths.iter().map(size).sum(),
            prepared: false,
            head: None,
            languages: Vec::new(),
            window: None,
            origin: None,
        }
    }
}

fn json(file: &Path) -> Value {
    let text = fs::read(file).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Returns the languages that `generation_config.json` tells of, in order.
fn languages(generation: &Value) -> Vec<String> {
    if generation["is_multilingual"] == Value::Bool(false) {
        return vec!["en".to_owned()];
    }
    let tokens = generation["lang_to_id"].as_object();
    let token = |token: &String| token.trim_matches(['<', '|', '>']).to_owned();
    let mut languages: Vec<_> = tokens
        .map(|tokens| tokens.keys().map(token).collect())
        .unwrap_or_default();
    languages.sort();
    languages
}

/// Returns the window that `pressel.json` tells of.
fn window(own: &Value) -> Option<Window> {
    Some(Window {
        floor_frames: own["window_floor_frames"].as_u64()?,
        margin_frames: own["window_margin_frames"].as_u64()?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn languages_come_from_the_generation_config() {
        let many = json!({"is_multilingual": true, "lang_to_id": {"<|fr|>": 2, "<|de|>": 1}});
        let none: [&str; 0] = [];
        assert_eq!(languages(&many), ["de", "fr"]);
        assert_eq!(languages(&json!({"is_multilingual": false})), ["en"]);
        assert_eq!(languages(&json!({})), none);
        assert_eq!(languages(&Value::Null), none);
    }

    #[test]
    fn a_home_holds_fetched_foreign_and_unfinished_models() {
        let home = tempfile::tempdir().unwrap();
        let at = |path: &str| home.path().join(path);
        for folder in ["a", "b", "empty", ".c.fetch"] {
            fs::create_dir(at(folder)).unwrap();
        }
        for (file, text) in [
            ("a/config.json", "{}"),
            (
                "a/pressel.json",
                r#"{"window_floor_frames": 9, "window_margin_frames": 3}"#,
            ),
            ("b/config.json", "{}"),
            ("b/pressel-lock.json", "damaged"),
            (".c.fetch/config.json.part", "12345"),
        ] {
            fs::write(at(file), text).unwrap();
        }
        let found = in_home(home.path(), false);
        let found: Vec<_> = found
            .iter()
            .map(|model| (model.name.as_str(), model.kind, model.bytes))
            .collect();
        let expected = [
            ("a", Kind::Foreign, 55),
            ("b", Kind::Fetched, 2),
            ("c", Kind::Unfinished, 5),
        ];
        assert_eq!(found, expected);
        let window = look(&at("a"), false).unwrap().window;
        let expected = Window {
            floor_frames: 9,
            margin_frames: 3,
        };
        assert_eq!(window, Some(expected));
        assert_eq!(staging_of(&at("c")), at(".c.fetch"));
        assert!(in_home(&at("none"), false).is_empty());
    }
}
