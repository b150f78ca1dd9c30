//! `cargo xtask nightly`: what is too long for a check.
//!
//! In: the repository, a nightly Rust with Miri, cargo-fuzz, QEMU; for the training, a Python with
//! torch. Out: each step with its time and a summary. What is missing on this machine is one line
//! with the command that installs it; the steps that can run do. Not part of `check`.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::{Fallible, console, cross, package, process, prove, vm};

/// Where the fuzz targets are, from the root.
const FUZZ: &str = "tests/fuzz";

/// Longest time for one input in seconds, and most memory in MiB.
const FUZZ_LIMITS: [&str; 3] = ["-timeout=60", "-rss_limit_mb=1024", "-malloc_limit_mb=256"];

/// How the result of a step begins that had nothing to run.
const SKIPPED: &str = "skipped: ";

/// A tool that a step needs.
struct Tool {
    name: &'static str,
    /// A command that ends with 0 when the tool is there.
    probe: &'static [&'static str],
    install: &'static str,
}

const NIGHTLY: Tool = Tool {
    name: "a nightly Rust",
    probe: &["rustup", "run", "nightly", "rustc", "--version"],
    install: "rustup toolchain install nightly",
};
const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    probe: &["rustup", "run", "nightly", "cargo", "fuzz", "--version"],
    install: "cargo install cargo-fuzz --locked",
};
const MIRI: Tool = Tool {
    name: "Miri",
    probe: &["rustup", "run", "nightly", "cargo", "miri", "--version"],
    install: "rustup component add miri rust-src --toolchain nightly",
};

/// What became of each step.
#[derive(Default)]
struct Summary {
    lines: Vec<String>,
    failed_count: usize,
}

/// Runs everything; goes on after a step that failed.
///
/// # Errors
/// The number of steps that failed or could not run; the summary has them.
pub(crate) fn run(fuzz_s: u32) -> Fallible<()> {
    let mut summary = Summary::default();
    summary.step("proofs", || {
        prove::run(prove::Name::All, None, false).map(|()| "all hold".to_owned())
    });
    for (name, machine) in [("vm", vm::Machine::Pc), ("vm raspi3b", vm::Machine::Raspi)] {
        summary.step(name, || {
            vm::run(&vm::Options::nightly(machine)).map(|()| "all steps hold".to_owned())
        });
    }
    summary.step("arm64", cross::as_step_of_nightly);
    summary.step("package", package::as_step_of_nightly);
    for target in targets()? {
        let tools = [&NIGHTLY, &CARGO_FUZZ];
        summary.step_with(&tools, &format!("fuzz {target}"), || fuzz(&target, fuzz_s));
    }
    summary.step_with(&[&NIGHTLY, &MIRI], "miri", miri);
    summary.step("training", training);
    console::say("nightly:");
    summary.lines.iter().for_each(|line| console::pass_on(line));
    if summary.failed_count == 0 {
        return Ok(());
    }
    Err(format!(
        "{} of {} steps failed or could not run; each has its line above",
        summary.failed_count,
        summary.lines.len()
    ))
}

impl Summary {
    fn step(&mut self, name: &str, work: impl FnOnce() -> Fallible<String>) {
        console::say(&format!("nightly {name} ..."));
        let start = Instant::now();
        let done = work();
        let time = console::time(start.elapsed());
        let (mark, text) = match done {
            Ok(text) if text.starts_with(SKIPPED) => ("-", text),
            Ok(text) => ("ok", text),
            Err(text) => {
                self.failed_count += 1;
                ("FAILED", text)
            }
        };
        let line = format!("  {name:<18} {mark:<7} {time:>12}  {text}");
        console::pass_on(&line);
        self.lines.push(line);
    }

    /// A step that needs tools; without them it is one line that says how to get them.
    fn step_with(&mut self, tools: &[&Tool], name: &str, work: impl FnOnce() -> Fallible<String>) {
        let missing = tools.iter().find(|tool| !process::succeeds(tool.probe));
        self.step(name, || match missing {
            Some(Tool { name, install, .. }) => Err(format!("{name} is missing: `{install}`")),
            None => work(),
        });
    }
}

/// Names of the fuzz targets.
fn targets() -> Fallible<Vec<String>> {
    let folder = crate::root().join(FUZZ).join("fuzz_targets");
    let files = std::fs::read_dir(&folder)
        .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let name = |path: &Path| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<_> = files.filter_map(|file| name(&file.ok()?.path())).collect();
    names.sort();
    Ok(names)
}

/// A cargo of the nightly toolchain; `rustup run` keeps the pinned one from coming between.
fn nightly_cargo() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]);
    command.current_dir(crate::root());
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command
}

/// Runs one target. What it finds that is new goes to `target`, not into the corpus of the
/// repository; an input that breaks something stays in `tests/fuzz/artifacts`.
fn fuzz(target: &str, seconds: u32) -> Fallible<String> {
    let found = crate::root().join("target/fuzz").join(target);
    std::fs::create_dir_all(&found)
        .map_err(|error| format!("cannot make {}: {error}", found.display()))?;
    let mut command = nightly_cargo();
    command.args(["fuzz", "run", "--fuzz-dir", FUZZ, target]);
    command.args([
        &found,
        &crate::root().join(FUZZ).join("corpus").join(target),
    ]);
    command.arg("--").arg(format!("-max_total_time={seconds}"));
    command.args(FUZZ_LIMITS);
    let (mut last, mut done) = (Vec::new(), String::new());
    let status = process::lines(&mut command, process::Stream::Error, &mut |line| {
        if let Some(count) = line.strip_prefix("Done ") {
            done = count.to_owned();
        }
        if 40 <= last.len() {
            last.remove(0);
        }
        last.push(line.to_owned());
    })?;
    if status.success() {
        return Ok(done);
    }
    last.iter().for_each(|line| console::pass_on(line));
    Err(format!(
        "`{}` ended with {status}; the input is in {FUZZ}/artifacts/{target}: mend the code and \
         copy it to {FUZZ}/corpus/{target}",
        process::text(&command)
    ))
}

/// The rings and the slots' way between threads, under Miri.
fn miri() -> Fallible<String> {
    let mut command = nightly_cargo();
    command.args(["miri", "test", "--package", "pressel", "--lib", "--"]);
    // Not all of the proof: Miri knows no sockets.
    command.args(["rings::tests::prove_model", "slots::tests::prove_model"]);
    // The rings of a test live for as long as the process; a seed comes from the clock.
    command.env("MIRIFLAGS", "-Zmiri-ignore-leaks -Zmiri-disable-isolation");
    let mut result = String::new();
    let status = process::lines(&mut command, process::Stream::Out, &mut |line| {
        console::pass_on(line);
        if let Some(text) = line.strip_prefix("test result: ") {
            result = text.to_owned();
        }
    })?;
    if status.success() && !result.contains(" 0 passed") {
        return Ok(result);
    }
    Err(format!(
        "`{}` ended with {status}: {result}",
        process::text(&command)
    ))
}

/// The rehearsal of the training, with the Python of `models/train/venv` or of the system.
///
/// Torch is heavy: a machine that does not train needs none, so that its absence fails nothing.
fn training() -> Fallible<String> {
    let folder = crate::root().join("models/train");
    let own = folder.join("venv/bin/python");
    let python = if own.is_file() {
        own.display().to_string()
    } else {
        "python3".to_owned()
    };
    let imports = "import torch, transformers, onnxruntime, optimum, soundfile";
    if !process::succeeds(&[&python, "-c", imports]) {
        return Ok(format!(
            "{SKIPPED}no torch: `{python} -m pip install -r models/train/requirements.txt`"
        ));
    }
    let mut command = Command::new(python);
    command
        .current_dir(folder)
        .args(["-m", "pressel_train", "smoke"]);
    let said = process::output(&mut command)?;
    Ok(said.lines().last().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzz_targets_are_found() {
        assert!(6 <= targets().unwrap().len());
    }

    #[test]
    fn a_missing_tool_fails_its_step_with_the_command_that_installs_it() {
        let tool = Tool {
            name: "x",
            probe: &["no-such-program-of-pressel"],
            install: "get x",
        };
        let mut summary = Summary::default();
        summary.step_with(&[&tool], "y", || Ok(String::new()));
        summary.step("z", || Ok("fine".to_owned()));
        summary.step("w", || Ok(format!("{SKIPPED}no torch")));
        assert_eq!(summary.failed_count, 1);
        assert!(summary.lines[2].contains("-") && !summary.lines[2].contains("ok"));
        assert!(summary.lines[0].contains("x is missing: `get x`"));
    }
}
