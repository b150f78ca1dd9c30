//! Gets the peers: a virtual environment, their packages, and whisper.cpp built for this machine.
//!
//! In: the settings that are wanted. Out: which Pythons there are; what could not be had, with the
//! reason. What is there is not fetched again. Everything lies under `target/bench`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::settings::{Engine, Setting};
use super::{Folders, Refusals};
use crate::{Fallible, console, process};

/// A Python that has torch, transformers and optimum already.
const PYTHON_KEY: &str = "PRESSEL_BENCH_PYTHON";
/// The package whose source is built with other flags, and its version.
const BUILT_PACKAGE: &str = "pywhispercpp==1.5.1";
/// Source of the vocabulary and the mel filters.
const ASSETS_PACKAGE: &str = "openai-whisper==20250625";
/// llamafile's kernels, all instructions of this machine, one file, ggml's own threads (the wheel
/// has OpenMP's).
const BUILD_FLAGS: &str = "-DGGML_LLAMAFILE=ON -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF \
                           -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DGGML_OPENMP=OFF";

/// What was installed.
pub(crate) struct Pythons {
    /// Has the peers.
    pub(crate) peers: PathBuf,
    /// Has torch and optimum; `None` when it could not be had or is not needed.
    pub(crate) export: Option<PathBuf>,
    /// Folder of pywhispercpp as built here; it may not be there.
    pub(crate) built: PathBuf,
    /// Folder of openai-whisper's `assets`.
    pub(crate) assets: PathBuf,
}

/// Installs what `chosen` needs.
///
/// # Errors
/// There is no virtual environment, or no vocabulary: nothing can be compared then.
pub(crate) fn run(
    folders: &Folders,
    chosen: &[Setting],
    refusals: &mut Refusals,
) -> Fallible<Pythons> {
    let peers = environment(&folders.work.join("venv"))?;
    install_each(&peers, &folders.scripts.join("requirements.txt"), refusals)?;
    let built = folders.work.join("pywhispercpp");
    let uses = |engine| chosen.iter().any(|one| one.engine == engine);
    if uses(Engine::WhisperCpp)
        && let Err(why) = build(&peers, &built)
    {
        refusals.push(("whisper.cpp built for this machine".into(), brief(&why)));
    }
    let needs_export = uses(Engine::Pressel) || uses(Engine::Stock) || uses(Engine::Sherpa);
    let export = if needs_export {
        let found = export_python(folders);
        found
            .map_err(|why| refusals.push(("exports".into(), brief(&why))))
            .ok()
    } else {
        None
    };
    Ok(Pythons {
        assets: assets(&peers, &folders.work)?,
        peers,
        export,
        built,
    })
}

/// Makes a virtual environment, or finds it; returns its Python.
fn environment(folder: &Path) -> Fallible<PathBuf> {
    let python = folder.join("bin/python");
    if !python.is_file() {
        let mut command = Command::new("python3");
        process::output(command.args(["-m", "venv"]).arg(folder))
            .map_err(|error| format!("{error} (on Debian it needs the package python3-venv)"))?;
    }
    Ok(python)
}

/// pip of `python`.
fn pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "--disable-pip-version-check", "-q"]);
    command
}

/// Installs the packages of a list, each alone.
fn install_each(python: &Path, list: &Path, refusals: &mut Refusals) -> Fallible<()> {
    for package in requirements(list)? {
        console::note(&format!("package {package}"));
        if let Err(why) = process::output(pip(python).args(["install", &package])) {
            refusals.push((package, brief(&why)));
        }
    }
    Ok(())
}

/// The lines of a list of packages, without its comments.
fn requirements(list: &Path) -> Fallible<Vec<String>> {
    let text = fs::read_to_string(list)
        .map_err(|error| format!("cannot read {}: {error}", list.display()))?;
    let lines = text.lines().map(str::trim);
    Ok(lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

/// Builds whisper.cpp from the source distribution of pywhispercpp into `folder`.
fn build(python: &Path, folder: &Path) -> Fallible<()> {
    if folder.join("pywhispercpp").is_dir() {
        return Ok(());
    }
    console::note("building whisper.cpp with llamafile's kernels: some minutes");
    let mut command = pip(python);
    command.args([
        "install",
        "--no-deps",
        "--no-binary",
        "pywhispercpp",
        BUILT_PACKAGE,
    ]);
    command
        .arg("--target")
        .arg(folder)
        .env("CMAKE_ARGS", BUILD_FLAGS);
    process::output(&mut command).map(|_| ())
}

/// The Python that can export: the one that is named, or one of our own.
fn export_python(folders: &Folders) -> Fallible<PathBuf> {
    if let Some(named) = std::env::var_os(PYTHON_KEY).filter(|value| !value.is_empty()) {
        return Ok(named.into());
    }
    let python = environment(&folders.work.join("venv-export"))?;
    let list = folders.scripts.join("requirements-export.txt");
    console::note(&format!(
        "torch, transformers, optimum (gigabytes; {PYTHON_KEY} spares it)"
    ));
    process::output(pip(&python).arg("install").arg("-r").arg(list))?;
    Ok(python)
}

/// Fetches and unpacks the source of openai-whisper; returns its folder `assets`.
fn assets(python: &Path, work: &Path) -> Fallible<PathBuf> {
    let (name, version) = ASSETS_PACKAGE.split_once("==").unwrap_or_default();
    let base = format!("{}-{version}", name.replace('-', "_"));
    let assets = work.join(&base).join("whisper/assets");
    if assets.join("gpt2.tiktoken").is_file() {
        return Ok(assets);
    }
    console::note(&format!("source of {name}: its vocabulary"));
    let mut fetch = pip(python);
    fetch.args([
        "download",
        "--no-deps",
        "--no-binary",
        name,
        ASSETS_PACKAGE,
        "-d",
    ]);
    process::output(fetch.arg(work))?;
    let mut unpack = Command::new(python);
    unpack.args(["-m", "tarfile", "-e"]);
    process::output(unpack.arg(work.join(format!("{base}.tar.gz"))).arg(work))?;
    Ok(assets)
}

/// The last line of an error that says something, for a table of reasons.
pub(crate) fn brief(error: &str) -> String {
    let says = |line: &&str| !line.is_empty() && !line.starts_with("hint:");
    let last = error.lines().map(str::trim).rfind(says).unwrap_or_default();
    let first = error.lines().next().unwrap_or_default().trim();
    if first == last {
        first.to_owned()
    } else {
        format!("{first} ... {last}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_errors_keep_their_two_ends() {
        let check = |error, expected| assert_eq!(brief(error), expected);
        check(
            "`pip` ended with 1: a\n b\n\nERROR: no such\nhint: x",
            "`pip` ended with 1: a ... ERROR: no such",
        );
        check("one line", "one line");
        check("", "");
    }

    #[test]
    fn the_lists_of_packages_are_read() {
        let folder = crate::root().join("cross/bench");
        for name in ["requirements.txt", "requirements-export.txt"] {
            let packages = requirements(&folder.join(name)).unwrap();
            assert!(
                packages.iter().all(|one| !one.contains(['#', ' '])),
                "{packages:?}"
            );
            assert!(3 < packages.len(), "{packages:?}");
        }
        let built = requirements(&folder.join("requirements.txt")).unwrap();
        assert!(built.iter().any(|one| one == BUILT_PACKAGE));
    }
}
