//! `cargo xtask pictures`: draws the wiring of the boards and the lights anew.
//!
//! In: board files and the code of the lights. Out: `boards/pictures/*.svg`. The drawing is that of
//! the test which fails when one of them is not what would be drawn.

use crate::{Fallible, console, packages, process};

/// Asks that test to write the files first.
const DRAW: &str = "PRESSEL_PICTURES";

/// Draws all pictures.
///
/// # Errors
/// The test did not build or fails otherwise: its own words are on the terminal.
pub(crate) fn run() -> Fallible<()> {
    packages::require(packages::FOR_BUILD)?;
    // The whole workspace, so that nothing is built again with other features.
    let words = ["test", "--workspace", "--lib", "--", "pictures::"];
    process::run(process::cargo().args(words).env(DRAW, "1"))?;
    console::say("boards/pictures is drawn: look at what `git diff` says");
    Ok(())
}
