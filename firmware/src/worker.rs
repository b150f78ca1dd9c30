//! The worker: a child process that holds the Whisper sessions and answers one request at a time.
//!
//! Requests and answers of fixed maximal size travel over a socket pair that keeps message borders;
//! audio stays in the shared slots. It is a process because a fault in a model's runtime must not
//! take the microphone down, and a hung inference must be killable.
//!
//! [`message`] is what is said, [`socket`] carries it, [`process`] starts and ends the child,
//! [`serve`] is the child itself, [`ahead`] what it does before it is asked. Before it is ready it
//! hears the clip of [`canary`]. For proofs it really does what [`faults`] lists.

mod ahead;
mod canary;
pub mod faults;
pub mod message;
pub mod process;
pub mod serve;
pub mod socket;

pub use message::{Answer, Request, Setup};
pub use process::WorkerProcess;
pub use socket::WorkerSocket;
