//! Models on this machine: which there are, and whether they are what was once fetched.
//!
//! Flow: the folders of [`places`](pressel_models::places) -> [`shelf`] -> a list; a folder with
//! its [`lock`] file -> hashes ([`digest`]) -> what is wrong with it. Used by `pressel models`
//! only, on the thread of the command. Nothing here opens a network connection: that is `hub`.

pub mod digest;
pub mod lock;
pub mod shelf;
