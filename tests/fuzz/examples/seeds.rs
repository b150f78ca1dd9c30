//! Writes the first corpus: `cargo +nightly run --example seeds -- FOLDER`.
//!
//! In: a folder. Out: a folder for each fuzz target in it.

use std::path::Path;
use std::{env, io};

fn main() -> io::Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let into = env::args().nth(1).unwrap_or_else(|| "corpus".to_owned());
    pressel_fuzz::seeds::write(Path::new(&into), &repository)
}
