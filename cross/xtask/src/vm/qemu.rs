//! One QEMU: started, talked to, and gone when its owner is gone.
//!
//! In: a board's arguments. Out: a running machine with its monitor (QMP). `timeout` bounds its
//! life, and the kernel ends both when xtask dies (`setpriv --pdeathsig`), so that neither Ctrl+C
//! nor a crash leaves an emulator behind.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::failed;
use crate::{Fallible, process};

/// Longest life of one machine.
const LIFE_S: u32 = 1_800;
/// Longest wait for a socket of QEMU, and for an answer of its monitor.
const SOCKET: Duration = Duration::from_secs(20);
/// Between two looks at what is not there yet.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// A running machine; dropped, it is cut off from its power.
pub(super) struct Qemu {
    child: Child,
    monitor: Monitor,
    folder: PathBuf,
}

impl Qemu {
    /// Starts `program` with these arguments; sockets and console go to `folder`.
    ///
    /// # Errors
    /// It cannot be started, or ends at once: its own words are in the message.
    pub(super) fn start(program: &str, arguments: &[OsString], folder: &Path) -> Fallible<Self> {
        let monitor = folder.join("monitor");
        std::fs::remove_file(&monitor).ok();
        let life = LIFE_S.to_string();
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "timeout",
            "--foreground",
            "-k",
            "5",
            &life,
        ]);
        command.args(["setpriv", "--pdeathsig", "KILL", program]);
        command.args(["-nodefaults", "-display", "none", "-no-reboot", "-qmp"]);
        command.arg(format!("unix:{},server=on,wait=off", monitor.display()));
        command.args(arguments);
        let said = folder.join("qemu.log");
        let log = std::fs::File::create(&said).map_err(|error| failed("write", &said, &error))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| process::cannot_start(&command, &error))?;
        let monitor = connect(&monitor, SOCKET).and_then(Monitor::greet);
        match monitor {
            Ok(monitor) => Ok(Self {
                child,
                monitor,
                folder: folder.to_owned(),
            }),
            Err(error) => {
                end(&mut child);
                let said = std::fs::read_to_string(&said).unwrap_or_default();
                Err(format!("{program} does not run ({error}): {}", said.trim()))
            }
        }
    }

    /// Asks the monitor.
    ///
    /// # Errors
    /// What it answered instead.
    pub(super) fn ask(&mut self, command: &str, arguments: &Value) -> Fallible<Value> {
        self.monitor.ask(command, arguments)
    }

    /// Paths of the pseudo-terminal behind a character device.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn terminal(&mut self, label: &str) -> Fallible<String> {
        let devices = self.ask("query-chardev", &json!({}))?;
        let device = devices.as_array().into_iter().flatten();
        let mut files = device
            .filter(|device| device["label"] == label)
            .filter_map(|device| device["filename"].as_str()?.strip_prefix("pty:"));
        let found = files.next().map(str::to_owned);
        found.ok_or_else(|| format!("QEMU has no pseudo-terminal {label}"))
    }

    /// A socket of a character device in the machine's folder.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(super) fn socket(&self, name: &str) -> Fallible<UnixStream> {
        connect(&self.folder.join(name), SOCKET)
    }

    /// Waits until the machine has switched itself off.
    ///
    /// # Errors
    /// It did not.
    pub(super) fn wait(&mut self, limit: Duration) -> Fallible<()> {
        let start = Instant::now();
        while start.elapsed() < limit {
            let ended = self.child.try_wait();
            if ended
                .map_err(|error| format!("cannot wait for QEMU: {error}"))?
                .is_some()
            {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        Err(format!(
            "the machine did not switch off in {} s",
            limit.as_secs()
        ))
    }

    /// The power is cut: nothing in the machine, and nothing of QEMU, does anything more.
    pub(super) fn cut(self) {
        drop(self);
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        end(&mut self.child);
        // QEMU dies a little later than `timeout`, and holds its disk until then.
        while self.monitor.read().is_ok() {}
    }
}

/// Kills `timeout`, and with it QEMU.
fn end(child: &mut Child) {
    child.kill().ok();
    child.wait().ok();
}

/// Connects to a socket that is made by and by.
fn connect(path: &Path, limit: Duration) -> Fallible<UnixStream> {
    let start = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) if limit < start.elapsed() => {
                return Err(failed("connect to", path, &error));
            }
            Err(_) => thread::sleep(LOOK),
        }
    }
}

/// QEMU's own monitor.
struct Monitor {
    reader: BufReader<UnixStream>,
}

impl Monitor {
    fn greet(stream: UnixStream) -> Fallible<Self> {
        let timeout = stream.set_read_timeout(Some(SOCKET));
        timeout.map_err(|error| format!("monitor of QEMU: {error}"))?;
        let mut monitor = Self {
            reader: BufReader::new(stream),
        };
        monitor.read()?;
        monitor.ask("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    fn ask(&mut self, command: &str, arguments: &Value) -> Fallible<Value> {
        let line = json!({"execute": command, "arguments": arguments});
        let written = writeln!(self.reader.get_mut(), "{line}");
        written.map_err(|error| format!("monitor of QEMU: {error}"))?;
        loop {
            let mut answer = self.read()?;
            if let Some(error) = answer.get("error") {
                return Err(format!("QEMU refuses {command}: {error}"));
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            // What else it says are events.
        }
    }

    fn read(&mut self) -> Fallible<Value> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Err("QEMU has ended".to_owned()),
            Ok(_) => serde_json::from_str(&line).map_err(|error| format!("QEMU says {error}")),
            Err(error) => Err(format!("monitor of QEMU: {error}")),
        }
    }
}
