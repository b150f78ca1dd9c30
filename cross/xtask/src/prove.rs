//! `cargo xtask prove`: one proof, or all of them, with seed and counts.
//!
//! In: the name of a proof. Out: what its tests print, and at the end its lines again as a table
//! with times. A proof is all tests whose names begin with `prove_NAME`; it fails when one of them
//! fails or skips itself, and when there is none.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

use crate::check::count_before;
use crate::{Fallible, console, fetch, packages, process};

/// The proofs, each with what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// All of them, one after the other
    All,
    /// 10,000 presses at a worker that never answers: nothing grows, each has its outcome
    Storm,
    /// 100,000 random steps of everything at once: nothing stuck, nothing lost, texts the same
    Schedule,
    /// A fault at every write, fsync and rename: nothing lost, nothing twice, no torn file
    Crash,
    /// A worker that hangs, dies, lies or comes late: the next utterance is answered all the same
    Worker,
    /// 10,000 faults of the microphone: the sample time is true at the end
    Microphone,
    /// The whole appliance killed at 200 moments of a file job: the text is the undisturbed one
    Power,
    /// Every state of the arbiter; rings and slots between threads
    Model,
    /// A press during a file job: how soon the job has given way
    Yield,
    /// An hour of audio costs sixty times a minute, and no more memory
    Long,
    /// The text is there when the end of speech is certain, and the same as without guesses
    Endpoint,
    /// One clip 500 times through libasound: heard as `replay` hears it
    Live,
    /// Receivers in C and Python against ours: a million random and damaged frames
    Receivers,
}

/// Where proofs are. The whole workspace, so that nothing is built again with other features.
const LIBRARY_TESTS: [&str; 3] = ["test", "--workspace", "--lib"];

/// What the tests of one proof said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    /// Lines `proof NAME: ...` without that beginning, each with the time that it took.
    lines: Vec<(Duration, String)>,
    /// Why tests skipped themselves.
    skipped: Vec<String>,
    run_count: u64,
    failed_count: u64,
}

/// Runs a proof, or all.
///
/// # Errors
/// Names the proofs that do not hold.
pub(crate) fn run(name: Name, seed: Option<u64>, short: bool) -> Fallible<()> {
    packages::require(packages::FOR_BUILD)?;
    fetch::run(fetch::Arch::of_this_machine()?, &crate::fetched_folder())?;
    let seed = seed.unwrap_or_else(clock_seed);
    let edition = if short { "short" } else { "full" };
    let asked = |proof: &Name| *proof != Name::All && (name == Name::All || name == *proof);
    // Built before, so that the times are those of the proofs.
    process::run(process::cargo().args(LIBRARY_TESTS).arg("--no-run"))?;
    let (mut table, mut failed) = (Vec::new(), Vec::new());
    for proof in Name::value_variants().iter().filter(|proof| asked(proof)) {
        let word = word(*proof);
        console::say(&format!("prove {word}, {edition}, seed={seed} ..."));
        let start = Instant::now();
        let (heard, verdict) = prove(&word, seed, edition)?;
        let time = console::time(start.elapsed());
        for (time, line) in &heard.lines {
            table.push(format!("  {word:<10} {:>10}  {line}", console::time(*time)));
        }
        match verdict {
            Ok(()) => table.push(format!("  {word:<10} {time:>10}  HOLDS")),
            Err(why) => {
                table.push(format!("  {word:<10} {time:>10}  FAILED: {why}"));
                failed.push(word);
            }
        }
    }
    console::say("proofs:");
    table.iter().for_each(|line| console::pass_on(line));
    if failed.is_empty() {
        return Ok(());
    }
    let again = format!("`cargo xtask prove {} --seed {seed}` repeats it", failed[0]);
    Err(format!("does not hold: {}. {again}", failed.join(", ")))
}

/// The proof's name as a person types it.
fn word(name: Name) -> String {
    let value = name.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Runs the tests of one proof; returns what they said and whether it holds.
fn prove(word: &str, seed: u64, edition: &str) -> Fallible<(Heard, Result<(), String>)> {
    let mut command = process::cargo();
    command.args(LIBRARY_TESTS);
    command.args(["--no-fail-fast", &format!("prove_{word}")]);
    command.args(["--", "--nocapture", "--test-threads", "1"]);
    command.env("PRESSEL_PROVE", edition);
    command.env("PRESSEL_SEED", seed.to_string());
    let (mut heard, mut since) = (Heard::default(), Instant::now());
    let status = process::lines(&mut command, process::Stream::Out, &mut |line| {
        if heard.hear(word, line, since.elapsed()) {
            since = Instant::now();
        }
        if !is_empty_run(line) {
            console::pass_on(line);
        }
    })?;
    let verdict = heard.verdict(word, status.success());
    Ok((heard, verdict))
}

/// Whether the line is of a library without a test of this proof.
fn is_empty_run(line: &str) -> bool {
    line.is_empty() || line == "running 0 tests" || line.contains(" ok. 0 passed; 0 failed;")
}

impl Heard {
    /// Takes in one line; returns whether time is counted anew from here.
    fn hear(&mut self, word: &str, line: &str, elapsed: Duration) -> bool {
        // One test at a time: what it prints first stands behind its name.
        let said = match line.strip_prefix("test ") {
            Some(rest) => rest.split_once(" ... ").map_or(line, |(_, said)| said),
            None => line,
        };
        // A proof of several parts names them: `proof worker late: ...`.
        if let Some(counts) = said.strip_prefix(&format!("proof {word}"))
            && counts.starts_with([':', ' '])
        {
            let counts = counts.trim_start_matches([':', ' ']);
            self.lines.push((elapsed, counts.to_owned()));
            return true;
        }
        if let Some(why) = said.strip_prefix("skipped: ") {
            self.skipped.push(why.to_owned());
        } else if line.starts_with("test result: ") {
            self.run_count += count_before(line, " passed") + count_before(line, " failed");
            self.failed_count += count_before(line, " failed");
        }
        line.starts_with("running ")
    }

    fn verdict(&self, word: &str, succeeded: bool) -> Result<(), String> {
        if 0 < self.failed_count {
            return Err(format!("{} of its tests failed", self.failed_count));
        }
        if !succeeded {
            return Err("its tests did not build, or ended before their end".to_owned());
        }
        if let Some(why) = self.skipped.first() {
            return Err(format!("a test skipped itself: {why}"));
        }
        if self.run_count == 0 {
            return Err(format!("there is no test `prove_{word}` yet"));
        }
        if self.lines.is_empty() {
            return Err(format!(
                "no test printed `proof {word}: ...` with its counts"
            ));
        }
        Ok(())
    }
}

/// A seed that nobody chose.
fn clock_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(1, |since| since.as_secs() ^ u64::from(since.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, succeeded: bool, expected: Result<&[&str], &str>) {
        let mut heard = Heard::default();
        for line in output.lines() {
            heard.hear("storm", line, Duration::ZERO);
        }
        match (heard.verdict("storm", succeeded), expected) {
            (Ok(()), Ok(lines)) => {
                let heard: Vec<_> = heard.lines.iter().map(|(_, line)| line.as_str()).collect();
                assert_eq!(heard, lines);
            }
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{why}"),
            (verdict, expected) => panic!("{verdict:?}, expected {expected:?}"),
        }
    }

    const RESULT: &str = "test result: ok. 2 passed; 0 failed; 0 ignored; finished in 1s";

    #[test]
    fn lines_of_a_proof_are_found_beside_and_below_the_test() {
        let output = format!(
            "running 2 tests\ntest a::prove_storm_x ... proof storm: full seed=1 a=2\nok\n\
             test a::prove_storm_y ... other\nproof storm late: full seed=1 b=3\nok\n\
             proof stormy: x\n{RESULT}\n"
        );
        check(
            &output,
            true,
            Ok(&["full seed=1 a=2", "late: full seed=1 b=3"]),
        );
    }

    #[test]
    fn what_did_not_run_or_said_nothing_does_not_hold() {
        let none = "running 0 tests\ntest result: ok. 0 passed; 0 failed; 0 ignored\n";
        check(none, true, Err("no test `prove_storm` yet"));
        check(RESULT, true, Err("no test printed"));
        check("", false, Err("did not build"));
        let skipped = format!("test a ... skipped: no model\nok\n{RESULT}\nproof storm: x\n");
        check(&skipped, true, Err("no model"));
        let failed = "proof storm: x\ntest result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        check(failed, false, Err("2 of its tests failed"));
    }
}
