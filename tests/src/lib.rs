//! Proof: the real `pressel`, end to end, on the simulated board.
//!
//! In: the built program, the fetched models and the demo's recordings. Out: one test binary. A
//! test waits for what the appliance says, never for time to pass; where a model or a recording is
//! not there it prints `skipped: WHY`.
//!
//! The rig, in the order in which a test meets it: `program` finds the binary, `board` makes the
//! pipes, `rig` starts the appliance, `voice` plays into it, `uart` and `events` hear it.

#[cfg(test)]
mod program;

#[cfg(test)]
mod board;

#[cfg(test)]
mod voice;

#[cfg(test)]
mod process;

#[cfg(test)]
mod events;
#[cfg(test)]
mod uart;

#[cfg(test)]
mod rig;

#[cfg(test)]
mod books;

#[cfg(test)]
mod all_at_once;

#[cfg(test)]
mod button;
#[cfg(test)]
mod microphone;
#[cfg(test)]
mod monitor;
#[cfg(test)]
mod pixels;
#[cfg(test)]
mod serial;

#[cfg(test)]
mod faults;
#[cfg(test)]
#[path = "../../firmware/src/prove.rs"]
mod prove;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod worker;

#[cfg(test)]
mod control;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod safe_mode;
#[cfg(test)]
mod watchdog;

#[cfg(test)]
mod record;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod stop;
#[cfg(test)]
mod transcribe;

#[cfg(test)]
mod commands;
#[cfg(test)]
mod endpoint;
#[cfg(test)]
mod evaluate;
#[cfg(test)]
mod files;
#[cfg(test)]
mod live;
#[cfg(test)]
mod long;
#[cfg(test)]
mod power;
#[cfg(test)]
mod windows;
#[cfg(test)]
mod yielding;

#[cfg(test)]
mod bad_file;
#[cfg(test)]
mod bad_start;

#[cfg(test)]
#[allow(dead_code, reason = "the tests of the hub itself use the rest")]
#[path = "../../firmware/src/hub/server.rs"]
mod hub;
#[cfg(test)]
mod models;

#[cfg(test)]
mod pictures;

#[cfg(test)]
mod guard;

#[cfg(test)]
mod corpus;
