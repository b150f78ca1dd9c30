//! Listen: finds speech and wake words in the stream and cuts utterances out of it.
//!
//! Blocks and commands in, utterances in slots and events out. [`listener`] is the logic, shared by
//! the live path and `replay`; [`thread`] runs it on its own core. No allocation in our code after
//! start-up; the models' calls are in permit scopes.

pub mod ears;
pub mod listener;
pub mod thread;
pub mod words;

pub use ears::Ears;
pub use listener::Listener;
pub use words::{Word, Words};
