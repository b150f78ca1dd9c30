//! What xtask says to the person in front of it.
//!
//! In: short lines. Out: progress on stdout, faults on stderr. Nothing else in xtask prints. A
//! reader that has gone (`cargo xtask check | head`) stops no work, so errors of writing are
//! dropped here.

use std::io::{Write, stderr, stdout};
use std::time::Duration;

/// Says what is being done or was done.
pub(crate) fn say(line: &str) {
    writeln!(stdout(), "xtask: {line}").ok();
}

/// Passes one line of another program on, as it is.
pub(crate) fn pass_on(line: &str) {
    writeln!(stdout(), "{line}").ok();
}

/// Says what is being done, on stderr: stdout is for results.
pub(crate) fn note(line: &str) {
    writeln!(stderr(), "xtask: {line}").ok();
}

/// Says what may be wrong, and goes on.
pub(crate) fn warn(line: &str) {
    writeln!(stderr(), "xtask: warning: {line}").ok();
}

/// Says why xtask stops.
pub(crate) fn fail(message: &str) {
    writeln!(stderr(), "xtask: error: {message}").ok();
}

/// Writes a time as a person reads it: `12.3 s`, `4 min 05 s`.
pub(crate) fn time(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds < 60 {
        format!("{:.1} s", elapsed.as_secs_f32())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// What was done, and what of it was left out: a success that was none must not read as one.
pub(crate) fn but_for(done: &str, skipped: Option<&str>) -> String {
    match skipped {
        None => done.to_owned(),
        Some(skipped) => format!("{done}; SKIPPED: {skipped}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_is_said_with_what_was_done() {
        assert_eq!(but_for("all holds", None), "all holds");
        let said = but_for("all holds", Some("no sound here"));
        assert_eq!(said, "all holds; SKIPPED: no sound here");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(time(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(time(Duration::from_secs(245)), "4 min 05 s");
    }
}
