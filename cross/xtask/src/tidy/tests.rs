//! Tests of the rules, on small trees in memory, and of this repository itself.
//!
//! Each test is a file with one fault and the same file without it.

use super::tree::Source;
use super::*;

/// Looks at files given as path and text; every rule but the named one must be content.
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let toolchain = ("rust-toolchain.toml", "[toolchain]\nchannel = \"1.95.0\"\n");
    let pinned = files.iter().any(|(path, _)| *path == toolchain.0);
    let files = files
        .iter()
        .chain((!pinned).then_some(&toolchain))
        .map(|(path, text)| Source {
            path: (*path).to_owned(),
            bytes: text.len() as u64,
            text: (*text).to_owned(),
        });
    let found: Vec<String> = look(&Tree {
        files: files.collect(),
    })
    .iter()
    .map(|finding| format!("{}:{}: {}", finding.path, finding.line, finding.text))
    .collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.starts_with(expected),
            "{found} begins with {expected}"
        );
    }
}

/// A Rust file with a good header.
fn rust(code: &str) -> String {
    format!("//! A file.\n//!\n//! In: nothing. Out: nothing.\n{code}")
}

#[test]
fn this_repository_is_tidy() {
    let Some(tree) = Tree::read(crate::root()) else {
        println!("skipped: git or the clone is missing");
        return;
    };
    let faults: Vec<_> = look(&tree)
        .into_iter()
        .filter(|found| !found.is_warning)
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn rust_files_have_a_header() {
    check(&[("a.rs", &rust(""))], &[]);
    check(
        &[("a.rs", "//! One line.\nfn f() {}\n")],
        &["a.rs:1: no file header"],
    );
    check(&[("a.rs", "")], &["a.rs:1: no file header"]);
}

#[test]
fn long_files_are_split() {
    let lines = |count: usize| rust(&"fn f() {}\n".repeat(count - 3));
    check(&[("a.rs", &lines(400))], &[]);
    check(&[("a.rs", &lines(401))], &["a.rs:0: 401 lines"]);
    check(&[("a.rs", &lines(701))], &["a.rs:0: 701 lines"]);
    check(&[("a/tests.rs", &lines(701))], &[]);
    let tested = format!(
        "{}#[cfg(test)]\nmod tests {{\n{}",
        lines(400),
        "\n".repeat(400)
    );
    check(&[("a.rs", &tested)], &[]);
}

#[test]
fn a_module_is_named_after_its_folder() {
    check(&[("a/mod.rs", &rust(""))], &["a/mod.rs:0: a mod.rs"]);
}

#[test]
fn banned_words_count_in_code_only() {
    check(
        &[("a.rs", &rust("#[ignore]\nfn f() {}\n"))],
        &["a.rs:4: `#[ignore`"],
    );
    check(
        &[(
            "a.rs",
            &rust("// todo! later\nconst A: &str = \"todo!\";\n"),
        )],
        &[],
    );
}

#[test]
fn the_main_loop_and_pure_code_stay_silent() {
    let log = rust("fn f() { log::info!(\"\"); }\n");
    check(&[("firmware/src/keeper.rs", &log)], &[]);
    check(
        &[("firmware/src/main_loop/turn.rs", &log)],
        &[
            "firmware/src/main_loop/turn.rs:4: `log::`",
            "firmware/src/main_loop/turn.rs:4: `info!`",
        ],
    );
    let alloc = rust("extern crate alloc;\n");
    check(
        &[("firmware/wire/src/lib.rs", &alloc)],
        &["firmware/wire/src/lib.rs:4: `alloc`"],
    );
    let tested = rust("#[cfg(test)]\nmod tests {\n    extern crate alloc;\n}\n");
    check(&[("firmware/wire/src/lib.rs", &tested)], &[]);
}

#[test]
fn unsafe_code_stands_in_its_files() {
    let code = rust("fn f() { unsafe { g() } }\n");
    check(&[("firmware/src/slots.rs", &code)], &[]);
    check(
        &[("firmware/src/listen.rs", &code)],
        &["firmware/src/listen.rs:4: `unsafe`"],
    );
}

#[test]
fn lines_are_short_and_end_cleanly() {
    check(&[("a.py", &format!("{}\n", "ä".repeat(100)))], &[]);
    check(
        &[("a.py", &format!("{}\n", "ä".repeat(101)))],
        &["a.py:1: 101 letters"],
    );
    check(&[("a.md", "a \n")], &["a.md:1: white space"]);
    check(&[("a.md", "a")], &["a.md:0: no line break"]);
}

#[test]
fn large_files_are_refused() {
    let large = |path: &str, mebibytes: u64| {
        let file = Source {
            path: path.to_owned(),
            bytes: mebibytes << 20,
            text: String::new(),
        };
        let mut findings = Vec::new();
        paper::file_sizes(&Tree { files: vec![file] }, &mut findings);
        findings.len()
    };
    assert_eq!(large("a.bin", 9), 0);
    assert_eq!(large("a.bin", 10), 1);
}

#[test]
fn machines_and_registries_are_not_named() {
    let folder = ["/home", "/ann/x"].concat();
    let host = ["crates", ".io"].concat();
    check(&[("a.md", &format!("see {folder}\n"))], &["a.md:1: `/home"]);
    check(
        &[("a.md", &format!("from {host}\n"))],
        &[&format!("a.md:1: `{host}`")],
    );
    check(&[("a.md", "see tests/home/x and ~/root/x\n")], &[]);
}

#[test]
fn links_lead_somewhere() {
    let b = (
        "b/c.md",
        "[up](../a.md) [here](c.md#x) [page](#x) [web](https://example.org)\n",
    );
    check(&[("a.md", "[b](b) [c](b/c.md)\n"), b], &[]);
    check(&[("a.md", "[b](b.md)\n")], &["a.md:1: a link to `b.md`"]);
    check(
        &[("a.md", "[b](../a.md)\n")],
        &["a.md:1: a link to `../a.md`"],
    );
    check(&[("a.md", "```\n[b](b.md)\n```\n")], &[]);
}

#[test]
fn dependencies_have_a_reason() {
    let section = "[workspace.dependencies]\n";
    check(
        &[("Cargo.toml", &format!("{section}# Why.\na = \"1\"\n"))],
        &[],
    );
    check(
        &[("Cargo.toml", &format!("{section}b = {{ path = \"b\" }}\n"))],
        &[],
    );
    check(
        &[(
            "Cargo.toml",
            &format!("{section}# Why.\na = \"1\"\nb = \"1\"\n"),
        )],
        &["Cargo.toml:4: a dependency without a reason"],
    );
}

#[test]
fn the_toolchain_is_pinned() {
    check(&[("rust-toolchain.toml", "")], &["rust-toolchain.toml:0: "]);
}

#[test]
fn the_readme_lists_the_boards() {
    let readme = "# Pressel\n\n## Boards\n\n| name |\n| --- |\n| `pi-5` |\n\n## Other\n\n| `x` |\n";
    let board = ("boards/pi-5.toml", "");
    check(
        &[("README.md", readme), board, ("boards/Cargo.toml", "")],
        &[],
    );
    check(&[("README.md", readme)], &["README.md:7: a row `pi-5`"]);
    check(
        &[("README.md", readme), board, ("boards/vm.toml", "")],
        &["boards/vm.toml:0: a board that README.md does not list"],
    );
}
