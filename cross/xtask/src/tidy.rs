//! `cargo xtask tidy`: the rules of style that a machine can check.
//!
//! In: every file that git knows or would add. Out: one line for each fault, `file:line: what, and
//! the remedy`. Reads only. The same function is a test of xtask, so `cargo test` checks it too.

mod mask;
mod paper;
mod rust;
mod tree;

use std::path::Path;

use crate::{Fallible, console};
use tree::Tree;
pub(crate) use tree::files;

/// One thing that is wrong.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// Counted from 1; 0 means the whole file.
    line: usize,
    /// What is wrong, and the remedy.
    text: String,
    /// A warning does not fail the check.
    is_warning: bool,
}

/// Looks at all files and adds what is wrong.
type Rule = fn(&Tree, &mut Vec<Finding>);

const RULES: [Rule; 15] = [
    rust::headers,
    rust::lengths,
    rust::module_files,
    rust::banned_words,
    rust::silent_zones,
    rust::unsafe_files,
    paper::line_lengths,
    paper::trailing_space,
    paper::file_sizes,
    paper::builtin_size,
    paper::machine_names,
    paper::links,
    paper::dependency_comments,
    paper::toolchain,
    paper::boards_table,
];

/// Checks the rules.
///
/// # Errors
/// The number of faults; the faults themselves are printed.
pub(crate) fn run(root: &Path) -> Fallible<()> {
    let Some(tree) = Tree::read(root) else {
        console::warn("tidy skipped: it needs git and a clone, to know which files count");
        return Ok(());
    };
    let findings = look(&tree);
    for finding in &findings {
        let warning = if finding.is_warning { "warning: " } else { "" };
        let Finding {
            path, line, text, ..
        } = finding;
        console::pass_on(&format!("{path}:{line}: {warning}{text}"));
    }
    let fault_count = findings
        .iter()
        .filter(|finding| !finding.is_warning)
        .count();
    if fault_count == 0 {
        console::say(&format!("tidy: {} files are in order", tree.files.len()));
        return Ok(());
    }
    Err(format!(
        "faults: {fault_count}; each line above has its remedy"
    ))
}

fn look(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in RULES {
        rule(tree, &mut findings);
    }
    findings
}

#[cfg(test)]
mod tests;
