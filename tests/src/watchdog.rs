//! The watchdog: systemd hears of an appliance that moves, and does not hear of one that is stuck.
//!
//! In: a datagram socket in systemd's place, and a thread that is made to hang. Out: READY, STATUS,
//! WATCHDOG and STOPPING, and the log line that names the thread.

use std::cell::RefCell;
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
    /// All lines that have come.
    heard: RefCell<Vec<String>>,
}

impl Systemd {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        let heard = RefCell::default();
        Self {
            folder,
            socket,
            heard,
        }
    }

    fn name(&self) -> String {
        let path = self.folder.path().join("notify");
        path.to_str().unwrap().to_owned()
    }

    /// Returns how often a line has come.
    fn count(&self, line: &str) -> usize {
        let mut heard = self.heard.borrow_mut();
        let mut bytes = [0; 4_096];
        while let Ok(count) = self.socket.recv(&mut bytes) {
            let text = std::str::from_utf8(&bytes[..count]).unwrap();
            heard.extend(text.lines().map(str::to_owned));
        }
        heard.iter().filter(|one| *one == line).count()
    }

    /// Waits until a line has come so often.
    fn wait(&self, line: &str, count: usize) {
        let come = until(PATIENCE, || (count <= self.count(line)).then_some(()));
        assert!(come.is_some(), "no {line}: {:?}", self.heard);
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
    systemd.wait("READY=1", 1);
    rig.wait_for("worker_ready", 1);
    systemd.wait("STATUS=idle, cpu", 1);
    let fed = systemd.count("WATCHDOG=1");
    let began = Instant::now();
    systemd.wait("WATCHDOG=1", fed + 4);
    println!("fed four times in {:?}", began.elapsed());
    let ended = rig.end(Signal::TERM);
    ended.check_books();
    assert_eq!(systemd.count("STOPPING=1"), 1);
    assert_eq!(systemd.count("READY=1"), 1);
}

#[test]
fn thread_that_hangs_is_named_and_systemd_hears_no_more_of_a_vital_one() {
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
        let fed = systemd.count("WATCHDOG=1");
        assert!(0 < fed, "{:?}", systemd.heard);
        // Status goes on to be told: control watches, and is not held up.
        let told = status(&rig);
        let is_told = |alert: &serde_json::Value| alert["name"] == "stuck";
        assert!(told["alerts"].as_array().unwrap().iter().any(is_told));
        if thread == "jobs" {
            // A stick that hangs is no reason for a restart.
            systemd.wait("WATCHDOG=1", fed + 2);
        } else {
            // Nothing to wait for: it is to be seen that nothing comes.
            std::thread::sleep(Duration::from_millis(1_500));
            assert_eq!(systemd.count("WATCHDOG=1"), fed, "{}", rig.log());
        }
        // Once, and not at each look.
        let said = rig.log().matches(&format!("stuck thread={thread}")).count();
        assert_eq!(said, 1, "{thread}:\n{}", rig.log());
        // Dropped here, and killed, as systemd does it.
    }
}
