//! Tests of a session: a port that goes away and comes back.
//!
//! The port is a pseudo-terminal behind a link in the file system, as a USB adapter is.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;

use pressel_wire::encode_device;
use pressel_wire::limits::FRAME_BYTES_MAX;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::*;
use crate::cli::monitor::lines::Lines;

/// Plugs a new adapter in; returns its far end.
fn plug(path: &Path) -> File {
    let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&far).unwrap();
    unlockpt(&far).unwrap();
    let name = ptsname(&far, Vec::new()).unwrap();
    symlink(name.to_str().unwrap(), path).unwrap();
    File::from(far)
}

/// Everything that the monitor has sent.
fn heard(far: &mut File) -> Vec<HostMessage> {
    let mut bytes = [0; 512];
    let count = far.read(&mut bytes).unwrap_or(0);
    Decoder::new().push(&bytes[..count]).flatten().collect()
}

fn pong(far: &mut File, nonce: u32) {
    let mut frame = [0; FRAME_BYTES_MAX];
    let count = encode_device(&DeviceMessage::Pong { nonce }, &mut frame).unwrap();
    far.write_all(&frame[..count]).unwrap();
}

#[test]
fn port_that_comes_back_is_opened_again_and_told_the_mark() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ttyUSB0");
    let mut far = plug(&path);
    let port = Port::open(path.to_str().unwrap(), 115_200).unwrap();
    let mut session = Session::new(port, true, Lines::new(false, Vec::new()));
    let mut now = Instant::now();
    session.answer(now).unwrap();
    let mark = HostMessage::Acknowledge(pressel_wire::Mark::default());
    assert_eq!(heard(&mut far), [mark]);
    pong(&mut far, 1);
    session.read(None).unwrap();

    // Unplugged: nothing is there to open, however often it is tried.
    drop(far);
    std::fs::remove_file(&path).unwrap();
    session.read(None).unwrap();
    for _ in 0..10 {
        now += Duration::from_secs(2);
        session.answer(now).unwrap();
        assert!(!session.port.is_open());
        assert!(session.wait(now) <= Duration::from_secs(2));
    }
    let mut far = plug(&path);
    now += Duration::from_secs(2);
    session.answer(now).unwrap();
    assert_eq!(heard(&mut far), [mark]);
    pong(&mut far, 2);
    session.read(None).unwrap();
    let printed = String::from_utf8(session.show.out).unwrap();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(
        lines,
        [
            "-  pong 1",
            "!  the port is lost errno=5, it is opened again when it comes back",
            "-  the port is open again",
            "-  pong 2",
        ]
    );
}
