//! Control: the thread that answers the owner, and that watches the other threads.
//!
//! Requests of `pressel status` and `pressel jobs` in, over a Unix socket; answers out. Beats of
//! all threads in; a log line for a stuck one, and `sd_notify` messages out. The thread `control`
//! sleeps in `poll(2)` only: no client, no slow disk and no stuck thread can hold it up.
//!
//! [`protocol`] is what goes over the socket, [`socket`] how it is made, [`server`] who is served
//! when; [`status`] what is told, [`watchdog`] what is stuck, [`systemd`] what systemd hears.

pub mod client;
pub mod protocol;
pub mod server;
pub mod socket;
pub mod status;
pub mod systemd;
pub mod thread;
pub mod watchdog;

pub use client::ask;
pub use protocol::{Answer, Request};
pub use status::{Facts, Status};
pub use thread::{Control, Tools};
