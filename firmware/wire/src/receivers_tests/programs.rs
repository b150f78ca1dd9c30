//! The other receivers as programs: built here, fed through a pipe.
//!
//! In: sources of `receivers/`. Out: a [`Program`], or nothing and a line `skipped: WHY` when a
//! compiler or an interpreter is absent.

use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::string::{String, ToString};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;
use std::vec::Vec;
use std::{format, println, vec};

use tempfile::TempDir;

use super::reference::Mode;

/// A receiver that reads bytes and prints lines.
pub(super) struct Program {
    words: Vec<String>,
    /// Where it was built; gone with it.
    _folder: Option<TempDir>,
}

impl Program {
    /// Feeds the bytes; returns what it printed. It must end with 0 and complain of nothing.
    pub(super) fn run(&self, mode: Mode, bytes: &[u8]) -> String {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).args(mode.words());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let bytes = bytes.to_vec();
        // Beside the reading, so that no pipe is ever full on both sides.
        let writer = thread::spawn(move || input.write_all(&bytes));
        let output = child.wait_with_output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {complaints}", self.words);
        assert!(complaints.is_empty(), "{:?}: {complaints}", self.words);
        writer.join().unwrap().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The folder of the receivers.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("receivers")
}

/// Whether a program is here; says so when it is not.
fn is_here(program: &str, why: &str) -> bool {
    let is_here = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success());
    if !is_here {
        println!("skipped: no {program}, {why}");
    }
    is_here
}

/// A compiler and how it is called.
pub(super) struct Compiler {
    program: &'static str,
    words: &'static [&'static str],
}

pub(super) const C: Compiler = Compiler {
    program: "gcc",
    words: &[
        "-std=c99",
        "-pedantic",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wconversion",
        "-Wshadow",
        "-g",
    ],
};
pub(super) const CPLUSPLUS: Compiler = Compiler {
    program: "g++",
    words: &[
        "-std=c++11",
        "-pedantic",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-x",
        "c++",
    ],
};
pub(super) const SANITIZED: Compiler = Compiler {
    program: "gcc",
    words: &[
        "-std=c99",
        "-pedantic",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-g",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ],
};

impl Compiler {
    /// Builds `c/dump.c`.
    pub(super) fn build(&self, more: &[&str]) -> Option<Program> {
        self.build_source(&folder().join("c/dump.c"), more)
    }

    fn build_source(&self, source: &Path, more: &[&str]) -> Option<Program> {
        if !is_here(self.program, "it compiles the receiver in C") {
            return None;
        }
        let folder = TempDir::new().unwrap();
        let program = folder.path().join("receiver");
        let mut command = Command::new(self.program);
        command.args(self.words).args(more).arg(source);
        command.arg("-o").arg(&program);
        let output = command.output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        if complaints.contains("cannot find -lasan") || complaints.contains("libasan") {
            println!("skipped: {} has no sanitizers here", self.program);
            return None;
        }
        assert!(output.status.success(), "{command:?}: {complaints}");
        Some(Program {
            words: [text(&program)].into(),
            _folder: Some(folder),
        })
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_string()
}

/// The same program under valgrind: any fault or leak is an error.
pub(super) fn valgrind(program: Program) -> Option<Program> {
    if !is_here(
        "valgrind",
        "it looks for faults of memory in the receiver in C",
    ) {
        return None;
    }
    let mut words: Vec<String> = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full"]
        .map(String::from)
        .into();
    words.extend(program.words);
    Some(Program {
        words,
        _folder: program._folder,
    })
}

/// The receiver in Python under Python 3.
pub(super) fn python() -> Option<Program> {
    python_script("dump.py")
}

/// The example in the head of the receiver in Python, with a port of few lines around it.
pub(super) fn python_example() -> Option<Program> {
    python_script("example.py")
}

fn python_script(name: &str) -> Option<Program> {
    let script = text(&folder().join("micropython").join(name));
    // Nothing is written beside the sources.
    is_here("python3", "it runs the receiver in Python").then(|| Program {
        words: ["python3".into(), "-B".into(), script].into(),
        _folder: None,
    })
}

/// The receiver in Python under MicroPython: a `micropython` in PATH, or the one that
/// `PRESSEL_MICROPYTHON` names, which may be the `micropython.mjs` of its build for Node.
pub(super) fn micropython() -> Option<Program> {
    let asked = env::var("PRESSEL_MICROPYTHON").unwrap_or_else(|_| "micropython".into());
    let script = |name: &str| text(&folder().join("micropython").join(name));
    let words: Vec<String> = if asked.ends_with(".mjs") {
        ["node".into(), script("dump_node.mjs"), asked.clone()].into()
    } else {
        [asked.clone(), script("dump.py")].into()
    };
    let mut probe = Command::new(&words[0]);
    if asked.ends_with(".mjs") {
        probe.arg("--version");
    } else {
        probe.args(["-c", "import sys"]);
    }
    let is_here = probe.output().is_ok_and(|output| output.status.success());
    if !is_here || (asked.ends_with(".mjs") && fs::metadata(&asked).is_err()) {
        println!(
            "skipped: no {asked}: PRESSEL_MICROPYTHON names one, or the micropython.mjs of \
             `npm install @micropython/micropython-webassembly-pyscript`"
        );
        return None;
    }
    Some(Program {
        words,
        _folder: None,
    })
}

/// The Arduino sketch with a board of few lines around it.
pub(super) fn arduino() -> Option<Program> {
    let arduino = folder().join("arduino");
    let board = format!("-I{}", text(&arduino.join("test")));
    let header = format!("-I{}", text(&folder().join("c")));
    let sketch = format!(
        "-DSKETCH=\"{}\"",
        text(&arduino.join("pressel_led/pressel_led.ino"))
    );
    CPLUSPLUS.build_source(&arduino.join("test/board.cpp"), &[&board, &header, &sketch])
}

/// Longest wait for an emulated machine.
const MACHINE_MAX: Duration = Duration::from_secs(60);

/// Feeds the bytes to the program for a Cortex-M in QEMU; returns the first bytes that it answers.
/// `PRESSEL_CORTEX_M` names the program: building it wants a target that is not always here.
pub(super) fn cortex_m(bytes: &[u8], answer_bytes: usize) -> Option<Vec<u8>> {
    let Some(program) = env::var_os("PRESSEL_CORTEX_M") else {
        println!(
            "skipped: no PRESSEL_CORTEX_M: it names what `cargo build --release` makes in \
             receivers/cortex-m"
        );
        return None;
    };
    if !is_here("qemu-system-arm", "it emulates a Cortex-M4") {
        return None;
    }
    let mut command = Command::new("qemu-system-arm");
    command.args(["-M", "mps2-an386", "-nographic", "-monitor", "none"]);
    command.args(["-serial", "stdio", "-kernel"]).arg(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (said, heard) = channel();
    let reader = thread::spawn(move || {
        let mut answer = vec![0; answer_bytes];
        said.send(output.read_exact(&mut answer).map(|()| answer))
            .ok();
    });
    input.write_all(bytes).unwrap();
    let answer = heard.recv_timeout(MACHINE_MAX);
    // It runs for ever; its end ends the reader.
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    Some(answer.expect("no answer of the machine").unwrap())
}
