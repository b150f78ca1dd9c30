//! The control socket: any bytes of a client.
//!
//! Bytes in, as a client sends them and then says no more. It gets one line of JSON, or nothing
//! when it sent nothing; the next client is served.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use pressel::control::protocol::{Answer, Request, parse};
use pressel::control::server::{Desk, Reply, Server};
use pressel_pipeline::limits::CONTROL_REQUEST_BYTES_MAX;

/// More than a request may have; less than the kernel takes at once.
const SENT_BYTES_MAX: usize = 2 * CONTROL_REQUEST_BYTES_MAX;

/// Checks any bytes as what a client sends.
pub fn check(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(SENT_BYTES_MAX)];
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let parsed = parse(line);
    if let Ok(request) = &parsed {
        let written = serde_json::to_vec(request).expect("a request was text");
        assert_eq!(parse(&written).as_ref(), Ok(request));
    }
    // Two tests of one process may be here at once.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("pressel-fuzz-{}-{number}", std::process::id());
    let address = SocketAddr::from_abstract_name(name).expect("the name is short");
    let listener = UnixListener::bind_addr(&address).expect("nobody else has the name");
    listener.set_nonblocking(true).expect("it can be set");
    let mut server = Server::new(listener);
    let mut desk = Known(None);
    let answer = ask(&mut server, &mut desk, &address, bytes);
    let is_short = line.len() <= CONTROL_REQUEST_BYTES_MAX;
    match answer {
        None => assert!(bytes.is_empty()),
        Some(Answer::Error(why)) => {
            assert!(!is_short || parsed.is_err(), "{why}");
            assert_eq!(desk.0, None);
        }
        Some(answer) => {
            assert_eq!(answer, Answer::Jobs(Vec::new()));
            assert_eq!(desk.0, parsed.ok());
        }
    }
    let next = ask(&mut server, &mut desk, &address, br#"{"jobs":"list"}"#);
    assert_eq!(
        next,
        Some(Answer::Jobs(Vec::new())),
        "the next client is served"
    );
}

/// One client, from its connection to its end; returns the one line that it got.
fn ask(
    server: &mut Server,
    desk: &mut Known,
    address: &SocketAddr,
    bytes: &[u8],
) -> Option<Answer> {
    let mut client = UnixStream::connect_addr(address).expect("somebody listens");
    // In two pieces: a line comes as it likes.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    client.write_all(first).expect("the kernel has room");
    server.turn(Instant::now(), desk);
    // A server that has heard enough has let go already.
    client.write_all(second).ok();
    client.shutdown(Shutdown::Write).ok();
    server.turn(Instant::now(), desk);
    let mut answer = Vec::new();
    client.set_nonblocking(true).expect("it can be set");
    // It was let go: there is an end, or the reset of a client that was not heard to its end.
    if let Err(error) = client.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    let (end, line) = answer.split_last()?;
    assert_eq!(*end, b'\n');
    let text = core::str::from_utf8(line).expect("JSON is text");
    assert!(!text.contains(char::is_control), "{text:?}");
    Some(serde_json::from_slice(line).expect("a line is an answer"))
}

/// A desk that remembers what it was asked.
struct Known(Option<Request>);

impl Desk for Known {
    fn reply(&mut self, request: Request) -> Reply {
        self.0 = Some(request);
        Reply::Now(Answer::Jobs(Vec::new()))
    }
}
