//! Rules about Rust files.
//!
//! In: the tree. Out: findings. Words are looked for in code only (comments and literals are
//! masked), and the rules about logging and allocation stop where the tests of a file begin.

use super::Finding;
use super::mask::mask;
use super::tree::{Source, Tree};

/// Lines without tests above which a file is reported, and above which it fails.
const FILE_LINES_AIM: usize = 400;
const FILE_LINES_MAX: usize = 700;

/// Files that may hold unsafe code: the mapping of utterance slots that two processes share, the
/// memory that ONNX Runtime reads and writes in place, the allocators that guard and count, and the
/// registers of a microcontroller, which is not ours.
const UNSAFE_FILES: [&str; 5] = [
    "firmware/wire/receivers/cortex-m/src/main.rs",
    "firmware/src/slots.rs",
    "firmware/src/alloc_guard.rs",
    "models/src/whisper/prepared/binding.rs",
    "models/tests/allocations.rs",
];

/// Words that no Rust file may use, and what to do instead.
const BANNED_WORDS: [(&str, &str); 6] = [
    (
        "#[ignore",
        "an ignored test: print `skipped: WHY` and return instead",
    ),
    (
        "should_panic",
        "a test that wants a panic: return an error and compare it instead",
    ),
    (
        "todo!",
        "unfinished code: write it, or file an issue and remove it",
    ),
    (
        "unimplemented!",
        "unfinished code: write it, or file an issue and remove it",
    ),
    (
        "cfg(board",
        "a board as a build option: boards are data, see boards/*.toml",
    ),
    (
        "fn test_",
        "a test name with `test_`: make it a sentence, `gate_closes_after_hangover`",
    ),
];

/// Where code may not log or print: it runs on the main loop, or is pure.
const SILENT_ZONES: [&str; 4] = [
    "firmware/src/main_loop.rs",
    "firmware/src/main_loop/",
    "firmware/wire/src/",
    "firmware/pipeline/src/",
];
const LOG_WORDS: [&str; 10] = [
    "log::",
    "log!",
    "error!",
    "warn!",
    "info!",
    "debug!",
    "trace!",
    "println!",
    "eprintln!",
    "dbg!",
];

/// Where the word `alloc` itself may not stand, so that the compiler proves the code allocates not.
const PURE_ZONES: [&str; 2] = ["firmware/wire/src/", "firmware/pipeline/src/"];

/// Each file begins with a header of at least a subtitle and what flows in and out.
pub(super) fn headers(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.ending(&[".rs"]) {
        let count = file
            .text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .count();
        // A file of tests needs its subtitle only.
        let least = if is_test_file(&file.path) { 1 } else { 2 };
        if count < least {
            findings.push(file.fault(
                0,
                "no file header: begin with `//!` lines, a subtitle, a blank one, then what flows \
                 in and out, on which thread, and what may not happen here",
            ));
        }
    }
}

/// Files are short; their tests do not count.
pub(super) fn lengths(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree
        .ending(&[".rs"])
        .filter(|file| !is_test_file(&file.path))
    {
        let count = without_tests(&mask(&file.text)).lines().count();
        if count > FILE_LINES_AIM {
            let text = format!(
                "{count} lines without tests, the aim is {FILE_LINES_AIM} and the limit \
                 {FILE_LINES_MAX}: split the file by what flows through it"
            );
            let is_warning = count <= FILE_LINES_MAX;
            findings.push(Finding {
                is_warning,
                ..file.whole_fault(text)
            });
        }
    }
}

/// A module is `foo.rs` beside `foo/`.
pub(super) fn module_files(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.ending(&["/mod.rs"]) {
        findings.push(file.whole_fault("a mod.rs: name it after its folder, beside the folder"));
    }
}

/// Words that stand nowhere.
pub(super) fn banned_words(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.ending(&[".rs"]) {
        find_words(file, &mask(&file.text), &BANNED_WORDS, findings);
    }
}

/// Pure code and the main loop do not log, and pure code does not name the allocator.
pub(super) fn silent_zones(tree: &Tree, findings: &mut Vec<Finding>) {
    let log_words = LOG_WORDS.map(|word| {
        (
            word,
            "logging where it is forbidden: write a `Trace`, the keeper logs it later",
        )
    });
    let alloc_words = [(
        "alloc",
        "the allocator in pure code: use a fixed capacity of `limits.rs`",
    )];
    for file in tree
        .ending(&[".rs"])
        .filter(|file| !is_test_file(&file.path))
    {
        let masked = mask(&file.text);
        let code = without_tests(&masked);
        if SILENT_ZONES.iter().any(|zone| file.path.starts_with(zone)) {
            find_words(file, code, &log_words, findings);
        }
        if PURE_ZONES.iter().any(|zone| file.path.starts_with(zone)) {
            find_words(file, code, &alloc_words, findings);
        }
    }
}

/// Unsafe code stands in few files.
pub(super) fn unsafe_files(tree: &Tree, findings: &mut Vec<Finding>) {
    let word = [(
        "unsafe",
        "unsafe code outside the files listed in cross/xtask/src/tidy/rust.rs",
    )];
    for file in tree
        .ending(&[".rs"])
        .filter(|file| !UNSAFE_FILES.contains(&file.path.as_str()))
    {
        find_words(file, &mask(&file.text), &word, findings);
    }
}

fn find_words(file: &Source, code: &str, words: &[(&str, &str)], findings: &mut Vec<Finding>) {
    for (index, line) in code.lines().enumerate() {
        for (word, text) in words {
            if has_word(line, word) {
                findings.push(file.fault(index, format!("`{word}`: {text}")));
            }
        }
    }
}

/// Whether `word` stands in the line and is not a part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let in_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let joins_before = word.starts_with(in_name) && before.is_some_and(in_name);
        let joins_after = word.ends_with(char::is_alphanumeric) && after.is_some_and(in_name);
        !joins_before && !joins_after
    })
}

/// Whether the whole file is a test.
fn is_test_file(path: &str) -> bool {
    let is_folder = path.contains("/tests/") || path.contains("_tests/");
    let is_file = path.ends_with("/tests.rs") || path.ends_with("_tests.rs");
    is_file || is_folder || path.starts_with("tests/")
}

/// The masked text before the tests of the file: they come last.
fn without_tests(masked: &str) -> &str {
    let mut offset = 0;
    let mut lines = masked.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let opens_tests = lines.peek().is_some_and(|next| next.starts_with("mod "));
        if line.trim_end() == "#[cfg(test)]" && opens_tests {
            return &masked[..offset];
        }
        offset += line.len();
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, word: &str, expected: bool) {
        assert_eq!(has_word(line, word), expected, "{word} in {line}");
    }

    #[test]
    fn words_are_whole_words() {
        check("#![forbid(unsafe_code)]", "unsafe", false);
        check("    unsafe { x() }", "unsafe", true);
        check("debug_assert!(x)", "debug!", false);
        check("log::debug!(\"\")", "debug!", true);
        check("let dialog = 1;", "log::", false);
        check("fn test_of_gate() {", "fn test_", true);
        check("fn tests() {", "fn test_", false);
        check("#[ignore = \"\"]", "#[ignore", true);
        check("self.allocated", "alloc", false);
        check("extern crate alloc;", "alloc", true);
    }

    #[test]
    fn tests_at_the_end_do_not_count() {
        assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {\n}\n"), "a\n");
        assert_eq!(
            without_tests("#[cfg(test)]\nuse a;\nb\n"),
            "#[cfg(test)]\nuse a;\nb\n"
        );
    }
}
