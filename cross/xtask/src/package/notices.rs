//! The licences of the Rust libraries that are in the program.
//!
//! In: what cargo knows of the dependencies for a machine. Out: one text: which libraries, and each
//! licence's text once, with those that have it. Most licences ask for no more than to be passed
//! on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::disk;
use crate::fetch::Arch;
use crate::{Fallible, process};

/// How the names of files with licences begin.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];
const HEAD: &str = "\
The program `pressel` contains the following Rust libraries. Behind the list stands each text that
their authors put beside them, once.

";

/// Writes the text.
///
/// # Errors
/// cargo does not tell, or the disk fails.
pub(super) fn write(arch: Arch, into: &Path) -> Fallible<()> {
    let target = format!("{}-unknown-linux-gnu", arch.name());
    let mut command = process::cargo();
    command.args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform",
        &target,
    ]);
    let said = process::output(&mut command)?;
    let metadata: Value =
        serde_json::from_str(&said).map_err(|error| format!("cargo metadata: {error}"))?;
    let text = text(&metadata, &in_program(&metadata))?;
    fs::write(into, text).map_err(|error| disk("write", into, &error))
}

/// Identities of all packages that the program is made of.
fn in_program(metadata: &Value) -> BTreeSet<&str> {
    let nodes = items(&metadata["resolve"], "nodes");
    let of = |id: &str| nodes.iter().find(|node| node["id"].as_str() == Some(id));
    let is_linked = |dependency: &Value| {
        items(dependency, "dep_kinds")
            .iter()
            .any(|kind| kind["kind"].is_null())
    };
    let mut found = BTreeSet::new();
    let packages = items(metadata, "packages");
    let first = packages.iter().find(|package| package["name"] == "pressel");
    let mut open: Vec<&str> = first
        .and_then(|package| package["id"].as_str())
        .into_iter()
        .collect();
    while let Some(id) = open.pop() {
        if !found.insert(id) {
            continue;
        }
        let dependencies = of(id).map(|node| items(node, "deps")).unwrap_or_default();
        let linked = dependencies
            .iter()
            .filter(|dependency| is_linked(dependency));
        open.extend(linked.filter_map(|dependency| dependency["pkg"].as_str()));
    }
    found
}

/// The list and the texts.
fn text(metadata: &Value, ids: &BTreeSet<&str>) -> Fallible<String> {
    let mut list = String::from(HEAD);
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in items(metadata, "packages") {
        // A package without a source is one of ours.
        let is_ours = package["source"].is_null();
        let word = |key: &str| package[key].as_str().unwrap_or_default();
        if is_ours || !ids.contains(word("id")) {
            continue;
        }
        let name = format!("{} {}", word("name"), word("version"));
        list += &format!("{name}: {}\n", word("license"));
        let folder = Path::new(word("manifest_path"))
            .parent()
            .unwrap_or(Path::new("."));
        for text in texts_of(folder)? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    for (text, names) in texts {
        let line = "-".repeat(72);
        list += &format!("\n{line}\n{}:\n\n{}\n", names.join(", "), text.trim_end());
    }
    Ok(list)
}

/// The texts of licences in a folder.
fn texts_of(folder: &Path) -> Fallible<Vec<String>> {
    let files = fs::read_dir(folder).map_err(|error| disk("read", folder, &error))?;
    let mut paths: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    paths.sort();
    let is_licence = |path: &&std::path::PathBuf| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_uppercase();
        path.is_file() && NAMES.iter().any(|start| name.starts_with(start))
    };
    let licences = paths.iter().filter(is_licence);
    licences
        .map(|path| {
            let bytes = fs::read(path).map_err(|error| disk("read", path, &error))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        })
        .collect()
}

/// The list below a key.
fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_linked_counts() {
        let node = |id: &str, deps: &[(&str, Value)]| {
            let deps: Vec<Value> = deps
                .iter()
                .map(|(pkg, kind)| json!({"pkg": pkg, "dep_kinds": [{"kind": kind}]}))
                .collect();
            json!({"id": id, "deps": deps})
        };
        let metadata = json!({
            "packages": [{"name": "pressel", "id": "p"}],
            "resolve": {"nodes": [
                node("p", &[("a", Value::Null), ("t", json!("dev"))]),
                node("a", &[("b", Value::Null), ("c", json!("build"))]),
                node("b", &[("a", Value::Null)]),
            ]},
        });
        assert_eq!(in_program(&metadata), BTreeSet::from(["a", "b", "p"]));
    }
}
