//! `sd_notify`: how systemd hears that the appliance is ready, how it is, and that it still moves.
//!
//! Messages in, datagrams to `NOTIFY_SOCKET` out; without that variable nothing is sent. Never
//! waits: not even for a service manager that does not read. (That is why there is no crate for it:
//! the usual one, sd-notify, waits, and does not know abstract addresses.)

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager, if there is one.
#[derive(Debug)]
pub struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    failed: bool,
}

impl Notifier {
    /// Takes the service manager's socket from the environment.
    #[must_use]
    pub fn from_environment() -> Self {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let to = name.and_then(|name| {
            let opened = open(&name);
            if let Err(error) = &opened {
                let name = name.display();
                log::warn!("systemd cannot be told anything socket={name} error={error}");
            }
            opened.ok()
        });
        Self { to, failed: false }
    }

    /// Returns a notifier that sends to `name`.
    ///
    /// # Errors
    /// The name is no address, or there are no descriptors left.
    #[cfg(test)]
    pub(crate) fn to(name: &OsStr) -> io::Result<Self> {
        Ok(Self {
            to: Some(open(name)?),
            failed: false,
        })
    }

    /// Sends lines as `READY=1`, all in one message. Returns false when it is to be tried again.
    pub fn send(&mut self, lines: &[&str]) -> bool {
        let Some((socket, address)) = &self.to else {
            return true;
        };
        let sent = socket.send_to_addr(lines.join("\n").as_bytes(), address);
        if let Err(error) = &sent
            && !self.failed
        {
            log::warn!("systemd does not hear: {error}");
        }
        self.failed = sent.is_err();
        sent.is_ok()
    }
}

fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// Returns the time within which systemd wants to hear `WATCHDOG=1`; `None` when it does not.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let interval = Duration::from_micros(number("WATCHDOG_USEC")?);
    (is_ours && !interval.is_zero()).then_some(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_as_one_message_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("pressel-test-{}", std::process::id());
        let of_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (server, to) in [
            (UnixDatagram::bind(&path).unwrap(), path.as_os_str()),
            (
                UnixDatagram::bind_addr(&of_name).unwrap(),
                OsStr::new(&format!("@{name}")),
            ),
        ] {
            assert!(Notifier::to(to).unwrap().send(&["READY=1", "STATUS=idle"]));
            let mut bytes = [0; 99];
            let count = server.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..count], b"READY=1\nSTATUS=idle");
        }
    }

    #[test]
    fn service_manager_that_does_not_read_or_is_gone_costs_no_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut notifier = Notifier::to(path.as_os_str()).unwrap();
        let sent = (0..10_000)
            .take_while(|_| notifier.send(&["WATCHDOG=1"]))
            .count();
        assert!(sent < 10_000, "the queue has an end");
        server.recv(&mut [0; 9]).unwrap();
        assert!(notifier.send(&["WATCHDOG=1"]));
        drop(server);
        assert!(!notifier.send(&["WATCHDOG=1"]));
    }
}
