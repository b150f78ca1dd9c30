//! Rules about text, sizes, links and configuration.
//!
//! In: the tree. Out: findings. Each rule stands alone; a file that is absent breaks no rule here
//! unless the rule says so.

use std::collections::BTreeMap;

use super::Finding;
use super::tree::{Source, Tree};
use crate::toolchain;

/// Longest line of code.
const LINE_LETTERS_MAX: usize = 100;
/// Files that people edit.
const EDITED: [&str; 9] = [
    ".rs", ".py", ".toml", ".md", ".sh", ".yml", ".service", ".rules", ".ci/run",
];
/// Largest file in the repository.
const FILE_BYTES_MAX: u64 = 9 * 1024 * 1024;
/// Largest sum of the built-in models: they are in every clone and every package.
const BUILTIN_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Lines of code fit on a screen.
pub(super) fn line_lengths(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.ending(&[".rs", ".py"]) {
        for (index, line) in file.text.lines().enumerate() {
            let count = line.chars().count();
            if count > LINE_LETTERS_MAX {
                let text = format!("{count} letters in a line: break it at {LINE_LETTERS_MAX}");
                findings.push(file.fault(index, text));
            }
        }
    }
}

/// No space at the end of a line, and a line break at the end of a file.
pub(super) fn trailing_space(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.ending(&EDITED) {
        for (index, line) in file.text.lines().enumerate() {
            if line.ends_with(char::is_whitespace) {
                findings.push(file.fault(index, "white space at the end: remove it"));
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            findings.push(file.whole_fault("no line break at the end of the file: add one"));
        }
    }
}

/// No large file.
pub(super) fn file_sizes(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files.iter().filter(|file| file.bytes > FILE_BYTES_MAX) {
        let text = format!(
            "{} bytes, the limit is {FILE_BYTES_MAX}: fetch or make it",
            file.bytes
        );
        findings.push(file.whole_fault(text));
    }
}

/// The built-in models stay small together.
pub(super) fn builtin_size(tree: &Tree, findings: &mut Vec<Finding>) {
    let builtin = || {
        tree.files
            .iter()
            .filter(|file| file.path.starts_with("models/builtin/"))
    };
    let sum: u64 = builtin().map(|file| file.bytes).sum();
    if let Some(largest) = builtin().max_by_key(|file| file.bytes)
        && sum > BUILTIN_BYTES_MAX
    {
        findings.push(largest.whole_fault(format!(
            "models/builtin holds {sum} bytes, the limit is {BUILTIN_BYTES_MAX}: make the largest \
             model smaller"
        )));
    }
}

/// No folder of one person's machine, and no host of a package registry.
pub(super) fn machine_names(tree: &Tree, findings: &mut Vec<Finding>) {
    // Put together here, so that this file does not break its own rule.
    let folders = ["home", "root", "Users", "work"].map(|name| format!("/{name}/"));
    let hosts = [
        ["pypi", "org"],
        ["pythonhosted", "org"],
        ["crates", "io"],
        ["deb.debian", "org"],
        ["archive.ubuntu", "com"],
        ["registry.npmjs", "org"],
    ]
    .map(|parts| parts.join("."));
    for file in tree
        .files
        .iter()
        .filter(|file| !file.path.ends_with("Cargo.lock"))
    {
        for (index, line) in file.text.lines().enumerate() {
            for folder in folders.iter().filter(|folder| begins_a_path(line, folder)) {
                let text = format!("`{folder}`: a folder of one machine: use a relative path");
                findings.push(file.fault(index, text));
            }
            for host in hosts.iter().filter(|host| line.contains(host.as_str())) {
                let text = format!("`{host}`: a registry host: name the package, not the host");
                findings.push(file.fault(index, text));
            }
        }
    }
}

/// Whether an absolute path begins with `folder` somewhere in the line.
fn begins_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "_-./*}~".contains(letter))
    })
}

/// Each link of a Markdown file to a file of the repository leads somewhere.
pub(super) fn links(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.ending(&[".md"]) {
        let mut in_code = false;
        for (index, line) in file.text.lines().enumerate() {
            in_code ^= line.trim_start().starts_with("```");
            for target in link_targets(line).into_iter().filter(|_| !in_code) {
                let path = resolve(&file.path, target);
                if path.is_none_or(|path| !tree.has(&path)) {
                    let text = format!("a link to `{target}`, which is not here: correct it");
                    findings.push(file.fault(index, text));
                }
            }
        }
    }
}

/// Targets `t` of `[text](t)` that are paths: no scheme, no place in the same page.
fn link_targets(line: &str) -> Vec<&str> {
    let ends = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'));
    let paths = ends.map(|(target, _)| target.split(['#', ' ']).next().unwrap_or_default());
    paths
        .filter(|path| !path.is_empty() && !path.contains(':'))
        .collect()
}

/// The path of a link, from the root; none when it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let start = if target.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = start.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Each dependency of the workspace has a comment above it that says why it is here.
pub(super) fn dependency_comments(tree: &Tree, findings: &mut Vec<Finding>) {
    let Some(file) = tree.file("Cargo.toml") else {
        return;
    };
    let mut in_section = false;
    let mut above = "";
    for (index, line) in file.text.lines().enumerate() {
        if line.starts_with('[') {
            in_section = line == "[workspace.dependencies]";
        } else if in_section && line.starts_with(|letter: char| letter.is_ascii_alphanumeric()) {
            let is_ours = line.contains("path = ");
            if !is_ours && !above.starts_with("# ") {
                let text = "a dependency without a reason: say why it is here in a line above it";
                findings.push(file.fault(index, text));
            }
        }
        above = line;
    }
}

/// The toolchain is pinned to an exact version.
pub(super) fn toolchain(tree: &Tree, findings: &mut Vec<Finding>) {
    let path = "rust-toolchain.toml";
    let absent = Source {
        path: path.to_owned(),
        bytes: 0,
        text: String::new(),
    };
    let file = tree.file(path).unwrap_or(&absent);
    if let Err(error) = toolchain::pinned_version(&file.text) {
        findings.push(file.whole_fault(error));
    }
}

/// The table below the heading "Boards" of the README names the files of `boards/`.
pub(super) fn boards_table(tree: &Tree, findings: &mut Vec<Finding>) {
    let Some(readme) = tree.file("README.md") else {
        return;
    };
    let rows = board_rows(&readme.text);
    for file in tree.ending(&[".toml"]) {
        let name = file
            .path
            .strip_prefix("boards/")
            .and_then(|name| name.strip_suffix(".toml"));
        let Some(name) = name.filter(|name| !name.contains('/') && *name != "Cargo") else {
            continue;
        };
        if !rows.contains_key(name) {
            let text = format!("a board that README.md does not list: add a row `{name}`");
            findings.push(file.whole_fault(text));
        }
    }
    for (name, index) in rows {
        if !tree.has(&format!("boards/{name}.toml")) {
            let text = format!("a row `{name}` without boards/{name}.toml: correct the name");
            findings.push(readme.fault(index, text));
        }
    }
}

/// Names in the first column of the table of boards, with their lines: `` | `pi-5` | ... ``.
fn board_rows(readme: &str) -> BTreeMap<&str, usize> {
    let mut in_section = false;
    let mut rows = BTreeMap::new();
    for (index, line) in readme.lines().enumerate() {
        if line.starts_with('#') {
            in_section = line.trim_start_matches('#').trim() == "Boards";
        }
        let name = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split_once('`'));
        if let (true, Some((name, _))) = (in_section, name) {
            rows.insert(name, index);
        }
    }
    rows
}
