//! The keeper: does everything that may wait, so that nobody else has to.
//!
//! It opens and closes devices, starts and ends the worker process, writes the journal, and prints
//! log lines and, where asked, one JSON object a line. Errands come from the main loop through a
//! bounded channel and a bell; what it opened goes back the same way. It never asks anything of
//! anybody.

pub mod errand;
pub mod opener;
pub mod recent;
pub mod report;
pub mod thread;

pub use errand::{Delivery, Errand, Record};
pub use opener::Opener;
pub use recent::Recent;
pub use thread::{Doors, Keeper};
