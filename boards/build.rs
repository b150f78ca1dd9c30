//! Lists the board files: the mere existence of a file makes a board.
//!
//! The folder in, `builtin_texts.rs` with the name and text of each `*.toml` out. Runs while
//! building.

#![allow(
    clippy::print_stdout,
    reason = "cargo reads a build script's standard output"
)]

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") && !path.ends_with("Cargo.toml")
        {
            files.push(path);
        }
    }
    files.sort();
    let rows: String = files.iter().map(|path| row(path)).collect();
    let text = format!(
        "pub(crate) const TEXTS: [(&str, &str); {}] = [{rows}];\n",
        files.len()
    );
    fs::write(
        Path::new(&variable("OUT_DIR")?).join("builtin_texts.rs"),
        text,
    )
}

fn row(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    format!(
        "({name:?}, include_str!({:?})),",
        path.display().to_string()
    )
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}
