//! Signals: SIGINT and SIGTERM end the appliance in order, whatever it is at.
//!
//! Signals in; a readable socket for the main loop and a flag for the steps before it out.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::{Failure, Kind};

/// The wish that the appliance ends.
pub(super) struct Signals {
    /// Readable once it is there, for the main loop.
    pub(super) readable: UnixStream,
    /// Set once it is there.
    asked: Arc<AtomicBool>,
}

impl Signals {
    /// Makes SIGINT and SIGTERM readable. A second one ends the process at once.
    ///
    /// # Errors
    /// [`Kind::Device`] when the machine is out of descriptors.
    pub(super) fn take() -> Result<Self, Failure> {
        let take = || -> io::Result<Self> {
            let (readable, write) = UnixStream::pair()?;
            readable.set_nonblocking(true)?;
            let asked = Arc::new(AtomicBool::new(false));
            for signal in [SIGINT, SIGTERM] {
                let again = Arc::clone(&asked);
                signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, again)?;
                signal_hook::flag::register(signal, Arc::clone(&asked))?;
                signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
            }
            Ok(Self { readable, asked })
        };
        take().map_err(|error| Failure::new(Kind::Device, format!("cannot take signals ({error})")))
    }

    /// Returns whether the appliance is to end, for the steps before the main loop, each of which
    /// may be slow.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}
