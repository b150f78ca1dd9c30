//! Models from a hub: the one part of Pressel that opens a network connection.
//!
//! Flow: a name -> [`names`] -> a repository -> its [`listing`] of files -> [`client`], which
//! follows redirects -> [`download`], file by file, into a folder beside the model's -> hashes
//! compared with the hub's own object ids -> [`fetch`]: lock file, rebuilding, one rename. Only
//! `pressel models fetch` comes here, on its own thread and one that waits for its end; the running
//! appliance never does.
//!
//! The protocol is that of Hugging Face's hub: `GET /api/models/REPO/revision/REVISION?blobs=true`
//! tells commit and files, `GET /REPO/resolve/COMMIT/PATH` gives a file, mostly by a redirect to
//! another host. The hub could not be reached where this was built: it was tested against a server
//! of our own with the same answers.

mod address;
mod client;
mod download;
mod error;
mod fetch;
mod listing;
pub mod names;
#[cfg(test)]
pub(crate) mod server;
mod staging;
#[cfg(test)]
mod testing;

pub use address::DEFAULT_HUB;
pub use client::{Client, Patience, Settings};
pub use error::{HubError, megabytes};
pub use fetch::{Done, News, Order, Rebuild, fetch};
pub use listing::{Listing, RemoteFile};
