//! The watchdog: systemd hears of an appliance that moves, and does not hear of one that is stuck.
//!
//! In: a datagram socket in systemd's place, and a thread that is made to hang. Out: READY, STATUS,
//! WATCHDOG and STOPPING, and the log line that names the thread.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::control::status;
use crate::program::{PATIENCE, need_models, until};
use crate::rig::{Rig, Setting};

/// Systemd's end of its socket.
struct Systemd {
    folder: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Systemd {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { folder, socket }
    }

    fn name(&self) -> String {
        let path = self.folder.path().join("notify");
        path.to_str().unwrap().to_owned()
    }

    /// Returns all lines that have come since the last look.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut bytes = [0; 4_096];
        while let Ok(count) = self.socket.recv(&mut bytes) {
            let text = std::str::from_utf8(&bytes[..count]).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
        lines
    }

    /// Waits until a line has come; returns all up to then.
    fn wait(&self, line: &str) -> Vec<String> {
        let mut all = Vec::new();
        let come = until(PATIENCE, || {
            all.extend(self.lines());
            all.iter().any(|one| one == line).then_some(())
        });
        assert!(come.is_some(), "{line} did not come: {all:?}");
        all
    }
}

#[test]
fn systemd_hears_when_it_is_ready_how_it_is_and_that_it_moves() {
    need_models!();
    let systemd = Systemd::new();
    let name = systemd.name();
    let rig = Rig::start(&Setting {
        variables: &[("NOTIFY_SOCKET", &name), ("WATCHDOG_USEC", "2000000")],
        ..Setting::default()
    });
    let before = systemd.wait("READY=1");
    assert!(before.contains(&"WATCHDOG=1".to_owned()), "{before:?}");
    rig.wait_for("worker_ready", 1);
    systemd.wait("STATUS=idle, cpu");
    // Within four quarters of the interval it comes at least twice.
    let mut fed = 0;
    let began = Instant::now();
    until(PATIENCE, || {
        fed += systemd
            .lines()
            .iter()
            .filter(|line| *line == "WATCHDOG=1")
            .count();
        (2 <= fed).then_some(())
    });
    assert!(2 <= fed, "{}", rig.log());
    println!("fed twice in {:?}", began.elapsed());
    let ended = rig.end(Signal::TERM);
    ended.check_books();
    let lines = systemd.lines();
    assert_eq!(lines.iter().filter(|line| *line == "STOPPING=1").count(), 1);
    assert!(!ended.log.contains("stuck"), "{}", ended.log);
}

#[test]
fn thread_that_hangs_is_named_and_systemd_hears_no_more() {
    need_models!();
    for thread in ["listen", "keeper", "jobs", "main-loop"] {
        let systemd = Systemd::new();
        let name = systemd.name();
        let rig = Rig::start(&Setting {
            variables: &[("NOTIFY_SOCKET", &name), ("WATCHDOG_USEC", "2000000")],
            arguments: &["--hang-thread", thread],
            ..Setting::default()
        });
        let line = format!("stuck thread={thread} for_s=2: it makes no progress");
        let named = until(PATIENCE, || rig.log().contains(&line).then_some(()));
        assert!(named.is_some(), "{thread}:\n{}", rig.log());
        let said = systemd.lines();
        assert!(said.contains(&"WATCHDOG=1".to_owned()), "{said:?}");
        // Status goes on to be told: control watches, and is not held up.
        let told = status(&rig);
        let is_told = |alert: &serde_json::Value| alert["name"] == "stuck";
        assert!(told["alerts"].as_array().unwrap().iter().any(is_told));
        std::thread::sleep(Duration::from_secs(1));
        let said = systemd.lines();
        let feeds = said.iter().any(|line| line == "WATCHDOG=1");
        assert!(!feeds, "{said:?}\n{}", rig.log());
        assert_eq!(
            rig.log().matches("stuck thread").count(),
            if thread == "main-loop" { 2 } else { 1 }
        );
        // Dropped here, and killed, as systemd does it.
    }
}
