//! File jobs: recordings that are transcribed in the background, chunk by chunk.
//!
//! A watched spool folder and `pressel jobs add` in; results beside each recording out. The thread
//! `jobs` reads and cuts recordings, keeps the checkpoints and writes the results, so that a slow
//! stick holds up nobody else. It gives one chunk at a time to the main loop, whose arbiter decides
//! when the worker hears it; the voice path always goes first.
//!
//! [`doors`] is how others reach it. [`spool`] finds recordings; [`record`] and [`job`] are what is
//! kept of one, [`checkpoints`] keeps it; [`turn`] is a turn of the [`thread`], [`desk`] answers
//! requests in it, [`in_hand`] goes on with the job in hand, [`answers`] takes what became of its
//! chunk, [`endings`] are its ends;
//! [`recordings`] and [`results`] are the files.

pub mod doors;

pub mod spool;

pub mod checkpoints;
pub mod job;
pub mod record;

pub mod recordings;
pub mod results;

mod answers;
mod desk;
mod in_hand;
pub mod turn;

mod endings;

pub mod thread;

pub use doors::{JobAnswer, JobClient, JobInfo, JobNews, JobRequest, JobsEnds};
pub use thread::{JobTools, JobsThread};

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
pub(crate) mod sim;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod undisturbed;
