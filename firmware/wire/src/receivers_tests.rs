//! The receivers for other machines against the receiver of this crate.
//!
//! In: the C header, the MicroPython file and the Arduino sketch of `receivers/`, the table
//! `receivers/vectors.txt`, and random traffic. Out: the words of each receiver, which must be the
//! words of ours, byte for byte. What wants a compiler or an interpreter that is absent says
//! `skipped: WHY`. Compiled for tests only.

mod programs;
mod reference;
mod traffic;
mod vectors;

use std::env;
use std::format;
use std::println;
use std::string::String;
use std::time::{SystemTime, UNIX_EPOCH};

use programs::{
    C, CPLUSPLUS, Program, SANITIZED, arduino, cortex_m, micropython, python, python_example,
    valgrind,
};
use reference::dump;
use traffic::{Counts, Traffic};

/// Frames in one run of a program.
const BATCH_FRAMES: usize = 2_000;

/// Compares what two receivers said; names the first line that differs.
fn compare(who: &str, case: &str, said: &str, expected: &str) {
    if said == expected {
        return;
    }
    let pairs = said.lines().zip(expected.lines());
    let at = pairs
        .take_while(|(said, expected)| said == expected)
        .count();
    panic!(
        "{who}, {case}: line {}: says {:?}, ours says {:?}",
        at + 1,
        said.lines().nth(at),
        expected.lines().nth(at)
    );
}

/// Runs a program on the whole table.
fn check_vectors(who: &str, program: &Program) {
    for case in vectors::read() {
        let said = program.run(case.mode, &case.bytes);
        compare(who, &case.name, &said, &case.said);
    }
}

/// Whether the full edition of a proof was asked for.
fn is_full() -> bool {
    env::var_os("PRESSEL_PROVE").is_some_and(|value| value == "full")
}

/// The seed that was asked for, or one of the clock; printed, so that it can be repeated.
fn seed() -> u64 {
    let asked = env::var("PRESSEL_SEED").ok();
    let seed = asked.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(1, |since| since.as_secs() ^ u64::from(since.subsec_nanos()))
    });
    println!("receivers begin with PRESSEL_SEED={seed}");
    seed
}

/// Plays random and damaged frames to a program and to ours, in runs of both modes.
fn check_traffic(
    who: &str,
    program: &Program,
    seed: u64,
    frames: usize,
    text_max: usize,
) -> Counts {
    let mut traffic = Traffic::new(seed);
    let mut left = frames;
    while 0 < left {
        let count = left.min(BATCH_FRAMES);
        left -= count;
        let mode = traffic.mode();
        let bytes = traffic.bytes(mode, count);
        let expected = dump(mode, &bytes, text_max);
        let case = format!(
            "PRESSEL_SEED={seed}, {} frames before its end",
            left + count
        );
        compare(who, &case, &program.run(mode, &bytes), &expected);
        traffic.counts.hear(&expected);
    }
    traffic.counts
}

/// Prints the line of a proof.
fn say(what: &str, seed: u64, counts: &Counts) {
    let edition = if is_full() { "full" } else { "short" };
    println!("proof receivers {what}: {edition} seed={seed} {counts}");
}

/// As many frames as this edition has.
fn frames(short: usize, full: usize) -> usize {
    if is_full() { full } else { short }
}

#[test]
fn table_is_what_the_encoder_and_the_receiver_make() {
    vectors::guard();
}

#[test]
fn c_receiver_says_what_the_table_says() {
    for (who, compiler) in [
        ("gcc", C),
        ("g++", CPLUSPLUS),
        ("gcc with sanitizers", SANITIZED),
    ] {
        if let Some(program) = compiler.build(&[]) {
            check_vectors(who, &program);
        }
    }
}

#[test]
fn c_receiver_is_clean_under_valgrind() {
    if let Some(program) = C.build(&[]).and_then(valgrind) {
        check_vectors("valgrind", &program);
        check_traffic("valgrind", &program, seed(), 500, reference::ALL);
    }
}

#[test]
fn python_receiver_says_what_the_table_says() {
    if let Some(program) = python() {
        check_vectors("python3", &program);
    }
}

#[test]
fn micropython_receiver_says_what_the_table_says() {
    if let Some(program) = micropython() {
        check_vectors("micropython", &program);
        check_traffic("micropython", &program, seed(), 500, reference::ALL);
    }
}

#[test]
fn python_example_keeps_a_mark_when_it_moves_and_before_it_is_acknowledged() {
    let Some(program) = python_example() else {
        return;
    };
    let (mut outcomes, mut gaps) = (0, 0);
    for case in vectors::read() {
        if case.mode == reference::Mode::Listen {
            continue;
        }
        let mut expected = String::new();
        for line in case.said.lines() {
            match line.split(' ').next() {
                Some("outcome") => outcomes += 1,
                Some("gap") => gaps += 1,
                Some("send") => {
                    expected += &format!("{line}\n");
                    continue;
                }
                _ => continue,
            }
            expected += "save\n";
        }
        let said = program.run(case.mode, &case.bytes);
        // Which mark it is, the acknowledgement behind it says.
        let plain = |line| {
            if str::starts_with(line, "save ") {
                "save"
            } else {
                line
            }
        };
        let said: String = said
            .lines()
            .map(plain)
            .map(|line| format!("{line}\n"))
            .collect();
        compare("the example", &case.name, &said, &expected);
    }
    assert!(
        0 < outcomes && 0 < gaps,
        "the table has neither: it proves nothing"
    );
}

#[test]
fn c_receiver_with_little_memory_cuts_between_characters() {
    if let Some(program) = SANITIZED.build(&["-DPRESSEL_TEXT_BYTES_MAX=61"]) {
        let counts = check_traffic("gcc with 61 bytes", &program, seed(), 5_000, 61);
        assert!(0 < counts.outcomes, "{counts}");
    }
}

#[test]
fn arduino_sketch_lights_its_led_and_acknowledges() {
    let Some(program) = arduino() else {
        return;
    };
    let (mode, bytes) = vectors::commands();
    let ours = dump(mode, &bytes, reference::ALL);
    let mut expected = String::from("led 0\n");
    for line in ours.lines() {
        match line {
            line if line.contains("\"turn on the light\"") => expected += "led 1\n",
            line if line.contains("\"stop\"") => expected += "led 0\n",
            line if line.contains(" command 1 ") => expected += "led 1\n",
            line if line.contains(" command 2 ") => expected += "led 0\n",
            line if line.starts_with("send ") => expected += &format!("{line}\n"),
            _ => {}
        }
    }
    assert_eq!(expected.matches("led").count(), 5);
    compare(
        "the sketch",
        "commands",
        &program.run(mode, &bytes),
        &expected,
    );
}

#[test]
fn cortex_m_program_acknowledges() {
    let (mode, bytes) = vectors::commands();
    let said = dump(mode, &bytes, reference::ALL);
    let sends = said.lines().filter_map(|line| line.strip_prefix("send "));
    let expected: String = sends.collect();
    if let Some(answer) = cortex_m(&bytes, expected.len() / 2) {
        assert_eq!(reference::hex(&answer), expected);
    }
}

#[test]
fn prove_receivers_c() {
    let seed = seed();
    let (Some(plain), Some(sanitized)) = (C.build(&["-O2"]), SANITIZED.build(&["-O1"])) else {
        return;
    };
    let all = frames(10_000, 1_000_000);
    let counts = check_traffic("gcc", &plain, seed, all, reference::ALL);
    counts.expect_variety();
    say("c", seed, &counts);
    let counts = check_traffic("sanitizers", &sanitized, seed + 1, all / 10, reference::ALL);
    say("c with sanitizers", seed + 1, &counts);
}

#[test]
fn prove_receivers_python() {
    let seed = seed();
    let Some(program) = python() else {
        return;
    };
    let counts = check_traffic(
        "python3",
        &program,
        seed,
        frames(2_000, 50_000),
        reference::ALL,
    );
    say("python", seed, &counts);
}
