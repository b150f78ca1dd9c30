//! Where model files are: the one documented look-up.
//!
//! The folder of models is, in this order:
//! 1. `PRESSEL_MODELS_DIR`, when it is set (then nothing else is looked at);
//! 2. `/usr/share/pressel/models`, when it is there (the Debian package);
//! 3. `models/` of the source tree that this binary was built from.
//!
//! Inside it: `fetched/onnxruntime/libonnxruntime.so`, `fetched/silero/silero_vad_16k_op15.onnx`,
//! `builtin/<name>/` and `wake/wake.onnx`. The ONNX Runtime library is also looked for beside the
//! binary and in `/usr/lib/pressel`.
//!
//! A model that was fetched is `<name>/` in a home: the user's, `$XDG_DATA_HOME/pressel/models`
//! (`~/.local/share/pressel/models`), or the system's, `/var/lib/pressel/models`. A name means the
//! built-in model first, then the user's, then the system's. Called at start-up only; nothing here
//! opens a file.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Folder of the package's models.
const PACKAGE_MODELS: &str = "/usr/share/pressel/models";
/// Folder of the package's libraries.
const PACKAGE_LIBRARIES: &str = "/usr/lib/pressel";
/// Folder of models in the source tree.
const SOURCE_MODELS: &str = env!("CARGO_MANIFEST_DIR");
/// Home of models that were fetched for the whole system.
const SYSTEM_HOME: &str = "/var/lib/pressel/models";
/// File name of the ONNX Runtime library.
const LIBRARY: &str = "libonnxruntime.so";

/// Returns the folder of models. It may not exist.
#[must_use]
pub fn models_dir() -> PathBuf {
    if let Some(folder) = env::var_os("PRESSEL_MODELS_DIR").filter(|value| !value.is_empty()) {
        return folder.into();
    }
    let package = Path::new(PACKAGE_MODELS);
    if package.is_dir() {
        package.into()
    } else {
        SOURCE_MODELS.into()
    }
}

/// Returns the paths at which the ONNX Runtime library may lie, best first.
#[must_use]
pub fn onnx_runtime_candidates() -> Vec<PathBuf> {
    let mut candidates = vec![models_dir().join("fetched/onnxruntime").join(LIBRARY)];
    if let Some(folder) = env::current_exe().ok().as_deref().and_then(Path::parent) {
        candidates.push(folder.join(LIBRARY));
    }
    candidates.push(Path::new(PACKAGE_LIBRARIES).join(LIBRARY));
    candidates
}

/// Returns the path of the Silero VAD model.
#[must_use]
pub fn silero() -> PathBuf {
    models_dir().join("fetched/silero/silero_vad_16k_op15.onnx")
}

/// Returns the folder of a built-in Whisper model, for example `nano`.
#[must_use]
pub fn builtin(name: &str) -> PathBuf {
    models_dir().join("builtin").join(name)
}

/// Returns the built-in network of wake words.
#[must_use]
pub fn wake_words() -> PathBuf {
    models_dir().join("wake/wake.onnx")
}

/// Returns the user's home of fetched models, `None` for who has no home folder. It may not exist.
#[must_use]
pub fn user_home() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from);
    // The rules of XDG: a path that is not absolute does not count.
    let data = folder("XDG_DATA_HOME").filter(|path| path.is_absolute());
    let data = data.or_else(|| {
        let home = folder("HOME").filter(|path| path.is_absolute());
        home.map(|home| home.join(".local/share"))
    });
    data.map(|data| data.join("pressel/models"))
}

/// Returns the system's home of fetched models. It may not exist.
#[must_use]
pub fn system_home() -> PathBuf {
    SYSTEM_HOME.into()
}

/// Returns the homes of fetched models, in the order in which a name is looked for.
#[must_use]
pub fn homes() -> Vec<PathBuf> {
    user_home().into_iter().chain([system_home()]).collect()
}

/// Returns the folder of a model, built in or fetched; `None` when there is none of this name.
#[must_use]
pub fn model(name: &str) -> Option<PathBuf> {
    // What begins with a dot is a fetch at work.
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return None;
    }
    let fetched = homes().into_iter().map(|home| home.join(name));
    [builtin(name)]
        .into_iter()
        .chain(fetched)
        .find(|folder| folder.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_tree_finds_its_own_models() {
        if env::var_os("PRESSEL_MODELS_DIR").is_some() || Path::new(PACKAGE_MODELS).is_dir() {
            println!("skipped: this machine has models elsewhere");
            return;
        }
        assert_eq!(models_dir(), Path::new(env!("CARGO_MANIFEST_DIR")));
        assert!(builtin("nano").ends_with("builtin/nano"));
        assert!(silero().ends_with("fetched/silero/silero_vad_16k_op15.onnx"));
        assert!(onnx_runtime_candidates()[0].ends_with("fetched/onnxruntime/libonnxruntime.so"));
        assert_eq!(model("nano"), Some(builtin("nano")));
    }

    #[test]
    fn a_name_is_the_name_of_a_folder_and_nothing_else() {
        for name in [
            "",
            ".",
            "..",
            ".nano.fetch",
            "../builtin/nano",
            "no-such-model",
        ] {
            assert_eq!(model(name), None, "{name}");
        }
        assert_eq!(homes().last(), Some(&system_home()));
    }
}
