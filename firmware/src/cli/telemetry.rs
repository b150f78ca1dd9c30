//! ONNX Runtime's telemetry is off, always: only `models fetch` opens a network connection.
//!
//! Since version 1.29 the official Linux builds report to their maker from the moment at which they
//! are loaded: a thread, a cache on the disk, a name look-up and an upload. The switch in the API
//! comes after the first report; only these variables come before it, and a process cannot safely
//! set a variable for itself. So the program starts itself anew with them, before it does anything
//! else. The process number stays, and the worker inherits them.
//! Source: onnxruntime pull requests 27379 and 29843.

use std::env;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Failure, Kind};

/// Full opt-out, as 1.29 and as later versions call it.
const VARIABLES: [&str; 2] = ["ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"];

/// Returns when the variables are set; starts the program anew with them when they are not.
///
/// # Errors
/// [`Kind::Usage`] when the program cannot be started anew: it must not go on with telemetry.
pub(super) fn switch_off() -> Result<(), Failure> {
    if VARIABLES
        .iter()
        .all(|name| env::var_os(name).is_some_and(|value| value == "1"))
    {
        return Ok(());
    }
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    // The first keeps the program's name in `ps`; the second works when its file was replaced.
    for program in [
        env::current_exe().unwrap_or_default(),
        PathBuf::from("/proc/self/exe"),
    ] {
        let mut words = env::args_os();
        let mut command = Command::new(program);
        if let Some(name) = words.next() {
            command.arg0(name);
        }
        // Returns only when it fails.
        last = command
            .args(words)
            .envs(VARIABLES.map(|name| (name, "1")))
            .exec();
    }
    let [first, second] = VARIABLES;
    let why = format!(
        "cannot start anew to switch ONNX Runtime's telemetry off ({last}): set {first}=1 and \
         {second}=1 yourself"
    );
    Err(Failure::new(Kind::Usage, why))
}
