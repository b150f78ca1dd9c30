//! Where model files are: the one documented look-up.
//!
//! The folder of models is, in this order:
//! 1. `PRESSEL_MODELS_DIR`, when it is set (then nothing else is looked at);
//! 2. `/usr/share/pressel/models`, when it is there (the Debian package);
//! 3. `models/` of the source tree that this binary was built from.
//!
//! Inside it: `fetched/onnxruntime/libonnxruntime.so`, `fetched/silero/silero_vad_16k_op15.onnx`
//! and `builtin/<name>/`. The ONNX Runtime library is also looked for beside the binary and in
//! `/usr/lib/pressel`. Called at start-up only; nothing here opens a file.

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
    }
}
