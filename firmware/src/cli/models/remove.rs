//! `pressel models remove`: a fetched model goes, after a question.
//!
//! A name in, its folder gone out. Built-in models and folders that were not fetched stay.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use pressel_models::places;

use super::no_model;
use crate::cli::status::print;
use crate::failure::{Failure, Kind};
use crate::model_store::lock::LOCK_FILE;
use crate::model_store::shelf::staging_of;

/// Removes a model, and what a fetch of it has left.
///
/// # Errors
/// [`Kind::Usage`] for a built-in model, a folder that was not fetched, a name that no model has,
/// and without `--yes` where nobody can be asked; [`Kind::Result`] for a no.
pub(super) fn remove(name: &str, yes: bool) -> Result<(), Failure> {
    let usage = |why: String| Failure::new(Kind::Usage, why);
    let targets = if name.contains('/') {
        let absolute = std::path::absolute(name);
        vec![absolute.map_err(|error| usage(format!("{name}: is no folder ({error})")))?]
    } else if name.is_empty() || name.starts_with('.') {
        return Err(no_model(name));
    } else {
        let homes = places::homes().into_iter();
        homes.map(|home| home.join(name)).collect()
    };
    let found = targets
        .into_iter()
        .flat_map(|target| [staging_of(&target), target]);
    let found: Vec<_> = found.filter(|folder| folder.is_dir()).collect();
    if found.is_empty() && places::model(name).is_some() {
        return Err(usage(format!("`{name}` is built in: it stays")));
    }
    if found.is_empty() {
        return Err(no_model(name));
    }
    for folder in &found {
        check(folder)?;
    }
    let list: Vec<_> = found
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    let list = list.join(" and ");
    if !yes && !agreed(&list)? {
        return Err(Failure::new(Kind::Result, "nothing was removed"));
    }
    for folder in &found {
        take_away(folder)?;
    }
    print(&format!("removed {list}\n"))
}

/// Checks that a folder is one that `fetch` made.
fn check(folder: &Path) -> Result<(), Failure> {
    let ours = folder.join(LOCK_FILE).is_file() || folder.join("stock").is_dir();
    if ours {
        return Ok(());
    }
    let why = format!(
        "{}: it was not fetched: remove it yourself, if it is to go",
        folder.display()
    );
    Err(Failure::new(Kind::Usage, why))
}

/// Asks on the terminal.
fn agreed(list: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        let why = format!("{list}: nobody can be asked here: say --yes");
        return Err(Failure::new(Kind::Usage, why));
    }
    let mut terminal = io::stderr();
    let mut answer = String::new();
    let asked = write!(terminal, "remove {list}? [y/N] ").and_then(|()| terminal.flush());
    let read = asked.and_then(|()| io::stdin().read_line(&mut answer));
    read.map_err(|error| Failure::new(Kind::Usage, format!("cannot ask ({error}): say --yes")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Removes a folder. It loses its name first, so that nobody loads half of it.
fn take_away(folder: &Path) -> Result<(), Failure> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let aside: PathBuf = folder.with_file_name(format!(".{name}.removed"));
    let gone = fs::rename(folder, &aside).and_then(|()| fs::remove_dir_all(&aside));
    gone.map_err(|error| {
        let why = format!(
            "{}: cannot be removed ({error}): try sudo",
            folder.display()
        );
        Failure::new(Kind::Disk, why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_fetched_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let check = |name: &str, word: &str| {
            let failure = remove(name, true).unwrap_err();
            assert!(failure.message.contains(word), "{failure}");
            assert_eq!(failure.exit_code(), 2);
        };
        check("nano", "built in");
        check("no-such-model", "no model");
        check("..", "no model");
        let model = home.path().join("m");
        let name = model.to_str().unwrap();
        check(name, "no model");
        fs::create_dir(&model).unwrap();
        fs::write(model.join("config.json"), "{}").unwrap();
        check(name, "not fetched");
        let left = home.path().join(".m.fetch/stock");
        fs::create_dir_all(left).unwrap();
        // One that is not ours keeps the other as well.
        check(name, "not fetched");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
        fs::write(model.join(LOCK_FILE), "damaged").unwrap();
        // Tests have no terminal on their standard input, or one where nobody types.
        if !io::stdin().is_terminal() {
            let failure = remove(name, false).unwrap_err();
            assert!(failure.message.contains("--yes"), "{failure}");
        }
        remove(name, true).unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
