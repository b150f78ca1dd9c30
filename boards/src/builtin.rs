//! The boards that are compiled in.
//!
//! `build.rs` lists the files of the folder; a test reads and checks every board.

// Name and text of each built-in board, in the order of their names.
include!(concat!(env!("OUT_DIR"), "/builtin_texts.rs"));

/// Returns the names of the built-in boards.
pub fn names() -> impl Iterator<Item = &'static str> {
    TEXTS.iter().map(|(name, _)| *name)
}
