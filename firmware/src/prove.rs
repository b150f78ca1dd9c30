//! Proofs: tests with a short edition for every check, and a full one for `cargo xtask prove`.
//!
//! The environment chooses: `PRESSEL_PROVE=full` and `PRESSEL_SEED=NUMBER`. Each proof prints one
//! line with its seed and its counts.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns whether the full edition was asked for.
pub(crate) fn is_full() -> bool {
    env::var_os("PRESSEL_PROVE").is_some_and(|value| value == "full")
}

/// Returns the seed that was asked for, or one of the clock.
pub(crate) fn seed() -> u64 {
    let asked = env::var("PRESSEL_SEED").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(1, |since| u64::from(since.subsec_nanos()) + since.as_secs())
    })
}

/// Prints the seed of a proof before it begins, for the case that it does not hold.
#[allow(
    clippy::print_stdout,
    reason = "without the seed it cannot be repeated"
)]
pub(crate) fn begin(name: &str, seed: u64) {
    println!("{name} begins with PRESSEL_SEED={seed}");
}

/// Prints the line of a proof: its seed and what it counted.
#[allow(clippy::print_stdout, reason = "the counts of a proof are its result")]
pub(crate) fn say(name: &str, seed: u64, counts: &str) {
    let edition = if is_full() { "full" } else { "short" };
    println!("proof {name}: {edition} seed={seed} {counts}");
}
