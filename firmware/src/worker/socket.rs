//! The socket pair between the appliance and its worker.
//!
//! `SOCK_SEQPACKET`: one send is one message. The appliance's end never blocks.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use pressel_pipeline::limits::WORKER_FRAME_BYTES;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};
use serde::{Deserialize, Serialize};

use super::message::{FrameBuffer, decode, encode};

/// One end of the socket pair. Memory: one frame.
pub struct WorkerSocket {
    fd: OwnedFd,
    buffer: FrameBuffer,
}

/// What one look at the socket gave.
#[derive(Debug, PartialEq)]
pub enum Received<M> {
    /// A message.
    Message(M),
    /// Nothing has come.
    Nothing,
    /// Bytes that are no message: the other end is broken.
    Garbage,
    /// The other end is gone.
    Closed,
}

impl WorkerSocket {
    /// Makes a pair: the appliance's end, non-blocking, and the worker's end, blocking.
    ///
    /// # Errors
    /// The error of `socketpair(2)`.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        Ok((Self::new(ours), theirs))
    }

    /// Wraps one end.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            buffer: [0; WORKER_FRAME_BYTES],
        }
    }

    /// Returns the descriptor to wait for.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Sends one message.
    ///
    /// # Errors
    /// `EAGAIN` when the other end does not read, `EPIPE` when it is gone.
    pub fn send<M: Serialize>(&mut self, message: &M) -> Result<(), Errno> {
        let bytes = encode(message, &mut self.buffer).ok_or(Errno::MSGSIZE)?;
        send(&self.fd, bytes, SendFlags::NOSIGNAL).map(|_| ())
    }

    /// Receives one message; blocks only on a blocking end.
    pub fn receive<M: for<'b> Deserialize<'b>>(&mut self) -> Received<M> {
        match recv(&self.fd, &mut self.buffer[..], RecvFlags::empty()) {
            Ok((0, _)) => Received::Closed,
            Ok((count, _)) => match self.buffer.get(..count).and_then(decode) {
                Some(message) => Received::Message(message),
                None => Received::Garbage,
            },
            Err(Errno::AGAIN | Errno::INTR) => Received::Nothing,
            Err(_) => Received::Closed,
        }
    }
}

impl AsFd for WorkerSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::message::{Excerpt, Request};

    #[test]
    fn messages_arrive_whole_and_in_order() {
        let (mut ours, theirs) = WorkerSocket::pair().unwrap();
        let mut theirs = WorkerSocket::new(theirs);
        let part = Excerpt {
            utterance: 5,
            slot: 2,
            start: 3,
            samples: 4,
        };
        let first = Request::Recognise { id: 1, part };
        ours.send(&first).unwrap();
        ours.send(&Request::Cancel { id: 1 }).unwrap();
        assert_eq!(theirs.receive(), Received::Message(first));
        assert_eq!(
            theirs.receive(),
            Received::Message(Request::Cancel { id: 1 })
        );
        assert_eq!(ours.receive::<Request>(), Received::Nothing);
        drop(theirs);
        assert_eq!(ours.receive::<Request>(), Received::Closed);
    }

    #[test]
    fn end_that_does_not_read_makes_send_fail_and_not_wait() {
        let (mut ours, _theirs) = WorkerSocket::pair().unwrap();
        let full = (0..100_000).find_map(|id| ours.send(&Request::Cancel { id }).err());
        assert_eq!(full, Some(Errno::AGAIN));
    }
}
