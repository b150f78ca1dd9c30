//! File jobs: recordings that are transcribed in the background, chunk by chunk.
//!
//! A watched spool folder and `pressel jobs add` in; results beside each recording out. The thread
//! `jobs` reads and cuts recordings, keeps the checkpoints and writes the results, so that a slow
//! stick holds up nobody else. It gives one chunk at a time to the main loop, whose arbiter decides
//! when the worker hears it; the voice path always goes first.
//!
//! [`doors`] is how others reach it.

pub mod doors;

pub use doors::{JobAnswer, JobClient, JobInfo, JobNews, JobRequest, JobsEnds};
