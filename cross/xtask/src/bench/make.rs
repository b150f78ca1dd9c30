//! Makes the models: one checkpoint of random weights, and from it what each engine loads.
//!
//! In: the Pythons, the settings that are wanted. Out: a folder of models; what could not be made,
//! with the reason. A folder belongs to its number of tokens and to the programs that made it: when
//! one of them changes, another folder is filled.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::install::{Pythons, brief};
use super::settings::{Engine, Setting, Window};
use super::{Folders, Options, Refusals, cannot_write};
use crate::{Fallible, console, process};

/// Bytes of the hash that are in the folder's name.
const HASH_BYTES: usize = 4;
/// The speech that the recordings are made of.
const SPEECH: &str = "firmware/demo";

/// What was made.
pub(crate) struct Models {
    /// Folder of all models.
    pub(crate) folder: PathBuf,
    /// The driver of this recogniser; `None` when it does not build.
    pub(crate) pressel: Option<PathBuf>,
    /// What every engine must say.
    pub(crate) text: String,
}

impl Models {
    /// The recording of `seconds`.
    pub(crate) fn recording(&self, seconds: u32) -> PathBuf {
        self.folder.join(format!("{seconds}.wav"))
    }
}

/// Makes what `chosen` needs and is not there.
///
/// # Errors
/// There is no checkpoint: nothing can be compared then.
pub(crate) fn run(
    folders: &Folders,
    pythons: &Pythons,
    options: &Options,
    chosen: &[Setting],
    refusals: &mut Refusals,
) -> Fallible<Models> {
    let folder = folders
        .work
        .join(format!("models-{}-{}", options.tokens, hash(folders)?));
    fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, &error))?;
    let maker = Maker {
        folders,
        pythons,
        folder: &folder,
    };
    maker.checkpoint(options)?;
    let mut attempt = |what: &str, outcome: Fallible<()>| {
        if let Err(why) = outcome {
            refusals.push((what.into(), brief(&why)));
        }
    };
    for path in maker.missing(chosen, &[Engine::WhisperCpp, Engine::WhisperCppWheel]) {
        attempt(&name(&path), maker.ggml(&path));
    }
    for path in maker.missing(chosen, &[Engine::CTranslate2]) {
        attempt("model of ctranslate2", maker.ctranslate2(&path));
    }
    for path in maker.missing(chosen, &[Engine::Sherpa]) {
        attempt(
            "model of sherpa-onnx",
            maker.export("sherpa_model.py", &path),
        );
    }
    let stock = [Engine::Stock, Engine::Pressel];
    if !maker.missing(chosen, &stock).is_empty() && !folder.join("stock").is_dir() {
        attempt(
            "stock exports",
            maker.export("stock.py", &folder.join("stock")),
        );
    }
    let ours = chosen.iter().any(|one| stock.contains(&one.engine));
    let pressel = ours.then(driver).transpose();
    let pressel = pressel.unwrap_or_else(|why| {
        attempt("pressel's driver", Err(why));
        None
    });
    // Ours are made anew by the program that was just built: it takes seconds, and what an older
    // one prepared would be measured in its place.
    for old in ["prepared", "pressel"].map(|name| folder.join(name)) {
        fs::remove_dir_all(old).ok();
    }
    for setting in chosen.iter().filter(|one| one.engine == Engine::Pressel) {
        if let Some(driver) = &pressel {
            attempt(&setting.name(), maker.pressel(driver, setting));
        }
    }
    let text = fs::read_to_string(folder.join("checkpoint/text.txt"));
    Ok(Models {
        text: text
            .map_err(|error| format!("no text.txt: {error}"))?
            .trim()
            .into(),
        pressel,
        folder,
    })
}

/// Makes one model after the other.
struct Maker<'a> {
    folders: &'a Folders,
    pythons: &'a Pythons,
    folder: &'a Path,
}

impl Maker<'_> {
    /// The models of these engines that are wanted and not there, each once.
    fn missing(&self, chosen: &[Setting], engines: &[Engine]) -> Vec<PathBuf> {
        let wanted = chosen.iter().filter(|one| engines.contains(&one.engine));
        let mut paths: Vec<PathBuf> = wanted.map(|one| one.model_path(self.folder)).collect();
        paths.sort();
        paths.dedup();
        paths.retain(|path| !path.exists());
        paths
    }

    /// A program of `cross/bench`, run by `python`.
    fn script(&self, python: &Path, script: &str) -> Command {
        let mut command = Command::new(python);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(self.folders.scripts.join(script));
        command
    }

    /// Runs a program that writes `path`; half a model is never left.
    fn write(&self, command: &mut Command, path: &Path) -> Fallible<()> {
        console::note(&format!("model {}", name(path)));
        process::output(command).map(|_| ()).inspect_err(|_| {
            fs::remove_dir_all(path)
                .or_else(|_| fs::remove_file(path))
                .ok();
        })
    }

    fn vocabulary(&self) -> PathBuf {
        self.pythons.assets.join("gpt2.tiktoken")
    }

    fn checkpoint(&self, options: &Options) -> Fallible<()> {
        let checkpoint = self.folder.join("checkpoint");
        if !checkpoint.is_dir() {
            let mut command = self.script(&self.pythons.peers, "checkpoint.py");
            command
                .arg(self.vocabulary())
                .arg(options.tokens.to_string())
                .arg(&checkpoint);
            self.write(&mut command, &checkpoint)?;
        }
        let mut command = self.script(&self.pythons.peers, "recordings.py");
        command.arg(crate::root().join(SPEECH)).arg(self.folder);
        command.args(options.seconds.iter().map(ToString::to_string));
        process::output(&mut command).map(|_| ())
    }

    fn ggml(&self, path: &Path) -> Fallible<()> {
        let folder = self.folder.join("ggml");
        fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, &error))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let kind = stem.trim_start_matches("ggml-").to_owned();
        let mut command = self.script(&self.pythons.peers, "ggml.py");
        command
            .arg(self.folder.join("checkpoint"))
            .arg(self.vocabulary());
        command
            .arg(self.pythons.assets.join("mel_filters.npz"))
            .arg(folder)
            .arg(kind);
        self.write(&mut command, path)
    }

    fn ctranslate2(&self, path: &Path) -> Fallible<()> {
        let mut command = self.script(&self.pythons.peers, "ctranslate.py");
        command.arg(self.folder.join("checkpoint")).arg(path);
        if path.ends_with("int8") {
            command.arg("int8");
        }
        self.write(&mut command, path)
    }

    /// Runs one of the programs that need torch.
    fn export(&self, script: &str, path: &Path) -> Fallible<()> {
        let python = self.pythons.export.as_deref();
        let python = python.ok_or("there is no Python with torch and optimum")?;
        let mut command = self.script(python, script);
        command.arg(self.folder.join("checkpoint"));
        if script.starts_with("sherpa") {
            command.arg(self.vocabulary());
        }
        self.write(command.arg(path), path)
    }

    /// Prepares this recogniser's own graphs, and says in `pressel.json` which window they get.
    fn pressel(&self, driver: &Path, setting: &Setting) -> Fallible<()> {
        let prepared = self.folder.join("prepared").join(setting.model);
        if !prepared.is_dir() {
            let stock = self.folder.join("stock/fp32");
            if !stock.is_dir() {
                return Err("there is no stock export to prepare".into());
            }
            fs::create_dir_all(self.folder.join("prepared"))
                .map_err(|error| cannot_write(&prepared, &error))?;
            let head = if setting.model == "4bit-head" {
                "4bit"
            } else {
                "8bit"
            };
            let mut command = Command::new(driver);
            command.arg("prepare").arg(stock).arg(&prepared).arg(head);
            self.write(&mut command, &prepared)?;
        }
        let folder = setting.model_path(self.folder);
        with_window(&prepared, &folder, setting.window).inspect_err(|_| {
            fs::remove_dir_all(&folder).ok();
        })
    }
}

/// Makes `folder` with links to all files of `prepared`, and a `pressel.json` with `window`.
fn with_window(prepared: &Path, folder: &Path, window: Window) -> Fallible<()> {
    let cannot = |error: std::io::Error| cannot_write(folder, &error);
    fs::create_dir_all(folder).map_err(cannot)?;
    let mut own = json!({});
    for entry in fs::read_dir(prepared).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.ends_with("pressel.json") {
            let text = fs::read_to_string(&path).map_err(cannot)?;
            own = serde_json::from_str(&text).map_err(|error| format!("pressel.json: {error}"))?;
        } else {
            symlink(&path, folder.join(path.file_name().unwrap_or_default())).map_err(cannot)?;
        }
    }
    if let (Some((floor, margin)), Value::Object(keys)) = (window.of_pressel(), &mut own) {
        keys.insert("window_floor_frames".into(), floor.into());
        keys.insert("window_margin_frames".into(), margin.into());
    }
    fs::write(folder.join("pressel.json"), own.to_string()).map_err(cannot)
}

/// Builds the driver of this recogniser; returns its program.
fn driver() -> Fallible<PathBuf> {
    console::note("building this recogniser, release profile");
    let mut command = process::cargo();
    command.args([
        "build",
        "--release",
        "-q",
        "-p",
        "pressel-models",
        "--example",
        "bench",
    ]);
    process::output(&mut command)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| crate::root().join("target"));
    Ok(target.join("release/examples/bench"))
}

/// The last part of a path.
fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The hash of the programs that make models.
fn hash(folders: &Folders) -> Fallible<String> {
    let mut sum = Sha256::new();
    let programs = [
        "vocabulary.py",
        "weights.py",
        "checkpoint.py",
        "ggml.py",
        "ctranslate.py",
        "stock.py",
        "sherpa_model.py",
    ];
    for name in programs {
        let path = folders.scripts.join(name);
        let text = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        sum.update(text);
    }
    let sum = sum.finalize();
    Ok(sum
        .iter()
        .take(HASH_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_written_beside_what_was_there() {
        let base = std::env::temp_dir().join(format!("pressel-window-{}", std::process::id()));
        let (prepared, folder) = (base.join("prepared"), base.join("exact"));
        fs::create_dir_all(&prepared).unwrap();
        fs::write(prepared.join("encoder.onnx"), "graph").unwrap();
        fs::write(prepared.join("pressel.json"), r#"{"canary": "stop"}"#).unwrap();
        with_window(&prepared, &folder, Window::Exact).unwrap();
        let own: Value =
            serde_json::from_slice(&fs::read(folder.join("pressel.json")).unwrap()).unwrap();
        let expected =
            json!({ "canary": "stop", "window_floor_frames": 2, "window_margin_frames": 0 });
        assert_eq!(own, expected);
        assert_eq!(
            fs::read_to_string(folder.join("encoder.onnx")).unwrap(),
            "graph"
        );
        fs::remove_dir_all(&base).unwrap();
    }
}
