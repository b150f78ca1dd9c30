//! `cargo xtask check`: every check of the project, the same for a person and for CI.
//!
//! In: the repository. Out: each step with its time, the output of the tools themselves, and at the
//! end the tests that said `skipped: WHY`. Stops at the first step that fails. Needs no terminal
//! and no standard input, and builds in the dev profile only, so one build serves all steps.

use std::process::Command;
use std::time::Instant;

use crate::{Fallible, console, fetch, packages, process, tidy, toolchain};

/// One step of the check. Its error holds the remedy.
struct Step {
    name: &'static str,
    run: fn(&mut Tests) -> Fallible<()>,
}

/// Builds a step.
const fn step(name: &'static str, run: fn(&mut Tests) -> Fallible<()>) -> Step {
    Step { name, run }
}

const STEPS: [Step; 8] = [
    step("packages", |_| packages::require(packages::FOR_BUILD)),
    step("fetch", |_| fetch()),
    step("format", |_| format()),
    step("tidy", |_| tidy::run(crate::root())),
    step("python", |_| python()),
    step("clippy", |_| clippy()),
    step("doc", |_| doc()),
    step("test", test),
];

/// What the tests said.
#[derive(Default, Debug, PartialEq, Eq)]
struct Tests {
    /// The test whose output is being read.
    current: String,
    /// `NAME: WHY` of each test that skipped itself.
    skipped: Vec<String>,
    passed_count: u64,
    failed_count: u64,
}

/// Runs all steps.
///
/// # Errors
/// Names the first step that failed, and the remedy.
pub(crate) fn run() -> Fallible<()> {
    let start = Instant::now();
    let mut tests = Tests::default();
    for step in &STEPS {
        console::say(&format!("check {} ...", step.name));
        let step_start = Instant::now();
        (step.run)(&mut tests).map_err(|error| {
            let time = console::time(step_start.elapsed());
            format!("check stops at `{}` after {time}: {error}", step.name)
        })?;
        console::say(&format!(
            "check {}: ok, {}",
            step.name,
            console::time(step_start.elapsed())
        ));
    }
    for line in &tests.skipped {
        console::say(&format!("skipped: {line}"));
    }
    console::say(&format!(
        "check passed in {}: {} tests passed, {} of them said that they skipped",
        console::time(start.elapsed()),
        tests.passed_count,
        tests.skipped.len()
    ));
    Ok(())
}

fn fetch() -> Fallible<()> {
    fetch::run(fetch::Arch::of_this_machine()?, &crate::fetched_folder())
}

fn format() -> Fallible<()> {
    toolchain::announce()?;
    toolchain::require_components()?;
    cargo(&["fmt", "--all", "--check"], "Run `cargo fmt --all`")
}

fn clippy() -> Fallible<()> {
    let strict = ["--all-targets", "--", "-D", "warnings"];
    let words = [["clippy", "--workspace"].as_slice(), &strict].concat();
    cargo(&words, "Mend what the lints name")?;
    // What is only there on demand: pins through rppal.
    let on_demand = ["clippy", "-p", "pressel", "-p", "pressel-hal"];
    let words = [
        &on_demand,
        ["--features", "pressel/rpi"].as_slice(),
        &strict,
    ]
    .concat();
    cargo(&words, "Mend what the lints name")
}

fn doc() -> Fallible<()> {
    cargo(
        &["doc", "--workspace", "--no-deps"],
        "Mend the comments that rustdoc names",
    )
}

/// Runs cargo; rustdoc's warnings count as errors.
fn cargo(words: &[&str], remedy: &str) -> Fallible<()> {
    process::run(
        process::cargo()
            .args(words)
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
    .map_err(|error| format!("{error}. {remedy}"))
}

/// Compiles each Python file in memory: finds slips of the keyboard, writes nothing.
const COMPILE: &str = "\
import sys, tokenize
for path in sys.argv[1:]:
    with tokenize.open(path) as source:
        compile(source.read(), path, 'exec')
";

fn python() -> Fallible<()> {
    let Some(files) = tidy::files(crate::root()) else {
        return Ok(());
    };
    let scripts = files.into_iter().filter(|path| path.ends_with(".py"));
    let mut command = Command::new("python3");
    command
        .current_dir(crate::root())
        .args(["-c", COMPILE])
        .args(scripts);
    process::output(&mut command).map(|_| ())
}

/// Runs all tests; then those of what is only there on demand.
fn test(tests: &mut Tests) -> Fallible<()> {
    run_tests(tests, &["--workspace"])?;
    run_tests(tests, &["-p", "pressel-hal", "--features", "rpi", "--lib"])
}

/// Runs tests, shows what they print, and keeps what they skipped.
fn run_tests(tests: &mut Tests, which: &[&str]) -> Fallible<()> {
    let mut command = process::cargo();
    command
        .arg("test")
        .args(which)
        .args(["--no-fail-fast", "--", "--show-output"]);
    let status = process::lines(&mut command, process::Stream::Out, &mut |line| {
        console::pass_on(line);
        tests.hear(line);
    })?;
    if status.success() {
        Ok(())
    } else {
        let what = match tests.failed_count {
            0 => "the tests did not build, or one did not end by itself".to_owned(),
            count => format!("{count} tests failed"),
        };
        let line = process::text(&command);
        Err(format!(
            "{what}: `{line}` ended with {status}. `cargo test NAME` repeats one test"
        ))
    }
}

impl Tests {
    /// Takes in one line of the output of libtest.
    fn hear(&mut self, line: &str) {
        if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|l| l.strip_suffix(" stdout ----"))
        {
            name.clone_into(&mut self.current);
        } else if let Some(why) = line.strip_prefix("skipped: ") {
            self.skipped.push(format!("{}: {why}", self.current));
        } else if line.starts_with("test result: ") {
            self.passed_count += count_before(line, " passed");
            self.failed_count += count_before(line, " failed");
        }
    }
}

/// The number that stands before a word.
pub(crate) fn count_before(line: &str, word: &str) -> u64 {
    let before = line.split(word).next().unwrap_or_default();
    let number = before.rsplit(' ').next().unwrap_or_default();
    number.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, expected: Tests) {
        let mut tests = Tests::default();
        output.lines().for_each(|line| tests.hear(line));
        assert_eq!(tests, expected);
    }

    #[test]
    fn output_of_libtest_is_understood() {
        let output = "\
test vad::silence ... ok

successes:

---- vad::golden stdout ----
skipped: no models/fetched

test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s
test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s
";
        let expected = Tests {
            current: "vad::golden".to_owned(),
            skipped: vec!["vad::golden: no models/fetched".to_owned()],
            passed_count: 14,
            failed_count: 3,
        };
        check(output, expected);
    }

    #[test]
    fn other_lines_count_nothing() {
        check("running 3 tests\nthis was skipped: no\n", Tests::default());
    }
}
