//! What the package is made of, laid out in `target/package/stage`.
//!
//! In: a built program. Out: a folder with all that is not in the repository as it is: the program
//! without its debug lines, ONNX Runtime and Silero as pinned, man pages and shell completions, the
//! boards, the configuration, and the licences of others. The folder is made anew each time.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Recipe, disk, folder, notices};
use crate::fetch::Arch;
use crate::{Fallible, cross, fetch, packages, process};

/// Lays everything out.
///
/// # Errors
/// A part is missing and cannot be had, or the disk fails.
pub(super) fn lay_out(recipe: &Recipe) -> Fallible<()> {
    let stage = folder().join("stage");
    match fs::remove_dir_all(&stage) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(disk("remove", &stage, &error));
        }
        _ => {}
    }
    for name in ["silero", "boards", "licences"] {
        let place = stage.join(name);
        fs::create_dir_all(&place).map_err(|error| disk("make", &place, &error))?;
    }
    let program = stage.join("pressel");
    copy(recipe.program, &program)?;
    process::output(cross::tool(recipe.arch, "strip")?.arg(&program))?;
    models(recipe.arch, &stage)?;
    boards(&stage.join("boards"))?;
    configuration(recipe.board, &stage.join("pressel.toml"))?;
    papers(&stage)?;
    notices::write(recipe.arch, &stage.join("licences/third-party.txt"))
}

/// ONNX Runtime, Silero, and what their authors want to go with them.
fn models(arch: Arch, stage: &Path) -> Fallible<()> {
    let fetched = if Arch::of_this_machine()? == arch {
        crate::fetched_folder()
    } else {
        crate::root().join("target/cross/fetched")
    };
    fetch::run(arch, &fetched)?;
    let licences = stage.join("licences");
    let nano = crate::root().join("models/builtin/nano");
    let files = [
        (
            "onnxruntime/libonnxruntime.so",
            stage.join("libonnxruntime.so"),
        ),
        (
            "silero/silero_vad_16k_op15.onnx",
            stage.join("silero/silero_vad_16k_op15.onnx"),
        ),
        ("onnxruntime/LICENSE", licences.join("onnxruntime.txt")),
        (
            "onnxruntime/ThirdPartyNotices.txt",
            licences.join("onnxruntime-third-party.txt"),
        ),
        ("silero/LICENSE", licences.join("silero.txt")),
    ];
    for (from, to) in files {
        copy(&fetched.join(from), &to)?;
    }
    copy(&nano.join("LICENSES.md"), &licences.join("nano.md"))
}

/// The boards' files, their paper and its pictures.
fn boards(into: &Path) -> Fallible<()> {
    let folder = crate::root().join("boards");
    let files = fs::read_dir(&folder).map_err(|error| disk("read", &folder, &error))?;
    let wanted = files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| {
            let is_board =
                path.extension().is_some_and(|end| end == "toml") && !path.ends_with("Cargo.toml");
            is_board || path.ends_with("README.md")
        });
    for path in wanted {
        copy(&path, &into.join(path.file_name().unwrap_or_default()))?;
    }
    let pictures = into.join("pictures");
    fs::create_dir(&pictures).map_err(|error| disk("make", &pictures, &error))?;
    let files = fs::read_dir(folder.join("pictures"));
    let files = files.map_err(|error| disk("read", &folder, &error))?;
    for path in files.filter_map(|file| Some(file.ok()?.path())) {
        copy(&path, &pictures.join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// The documented configuration, with the board in it.
fn configuration(board: Option<&str>, into: &Path) -> Fallible<()> {
    let path = crate::root().join("firmware/pressel.toml");
    let text = fs::read_to_string(&path).map_err(|error| disk("read", &path, &error))?;
    let text = with_board(&text, board)?;
    fs::write(into, text).map_err(|error| disk("write", into, &error))
}

/// The configuration's text with a board in the place of none.
fn with_board(text: &str, board: Option<&str>) -> Fallible<String> {
    let none = "\nboard = \"\"\n";
    match board {
        None => Ok(text.to_owned()),
        Some(name) if text.matches(none).count() == 1 => {
            Ok(text.replace(none, &format!("\nboard = \"{name}\"\n")))
        }
        Some(_) => Err("firmware/pressel.toml has no line `board = \"\"`".to_owned()),
    }
}

/// Man pages and shell completions, by the example that knows the command line. It is built for
/// this machine, whichever machine the package is for.
fn papers(stage: &Path) -> Fallible<()> {
    packages::require(packages::FOR_BUILD)?;
    let mut command = process::cargo();
    command.args([
        "run",
        "--quiet",
        "--package",
        "pressel",
        "--example",
        "papers",
        "--",
    ]);
    process::run(command.arg(stage))
}

fn copy(from: &Path, to: &PathBuf) -> Fallible<()> {
    fs::copy(from, to).map(|_| ()).map_err(|error| {
        format!(
            "cannot copy {} to {}: {error}",
            from.display(),
            to.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_of_a_board_names_it() {
        let path = crate::root().join("firmware/pressel.toml");
        let text = fs::read_to_string(path).unwrap();
        let named = with_board(&text, Some("rpi-5")).unwrap();
        assert!(named.contains("\nboard = \"rpi-5\"\n"));
        assert_eq!(with_board(&text, None).unwrap(), text);
        assert!(with_board("x = 1\n", Some("rpi-5")).is_err());
    }
}
