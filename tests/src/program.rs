//! The program under test: built once, run with what it says caught.
//!
//! Out: the path of `pressel` of the same profile as this test, and [`Ran`]. A run that does not
//! end within [`PATIENCE`] fails the test.

use std::env;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pressel_models::places;

/// Longest wait for anything. Only a test that fails waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks.
pub(crate) const LOOK: Duration = Duration::from_millis(2);

/// Returns the program. Cargo builds it for its own package's tests only, so it is built here,
/// once, unless `PRESSEL_BIN` names one.
pub(crate) fn pressel() -> &'static Path {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(build);
    &PROGRAM
}

fn build() -> PathBuf {
    if let Some(program) = env::var_os("PRESSEL_BIN") {
        return program.into();
    }
    // The test is target/<profile>/deps/pressel_tests-<hash>.
    let test = env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let profile = match folder.file_name().and_then(|name| name.to_str()).unwrap() {
        "debug" => "dev",
        profile => profile,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The whole workspace: the same features as the tests have, so that nothing is built twice.
    let built = Command::new(cargo)
        .args([
            "build",
            "--workspace",
            "--bin",
            "pressel",
            "--profile",
            profile,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    folder.join("pressel")
}

/// Returns the root of the repository.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Returns why tests that recognise speech cannot run here.
pub(crate) fn lacking() -> Option<String> {
    let silero = places::silero();
    let nano = places::builtin("nano").join("encoder_model.onnx");
    let recordings = recordings().join("demo.csv");
    for file in [&silero, &nano, &recordings] {
        if !file.is_file() {
            return Some(format!("{} is not there", file.display()));
        }
    }
    let mut libraries = places::onnx_runtime_candidates();
    libraries.extend(env::var_os("ORT_DYLIB_PATH").map(PathBuf::from));
    let found = libraries.iter().any(|library| library.is_file());
    (!found).then(|| "there is no ONNX Runtime".to_owned())
}

/// Returns from the test with one line where a model or the recordings are missing.
macro_rules! need_models {
    () => {
        if let Some(why) = crate::program::lacking() {
            println!("skipped: {why}");
            return;
        }
    };
}
pub(crate) use need_models;

/// Returns the folder of the demo's recordings.
pub(crate) fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware/demo")
}

/// Returns a command of the program, without the settings of whoever runs the tests.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(pressel());
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("RUST_BACKTRACE")
        .env_remove("ORT_DISABLE_TELEMETRY")
        .env_remove("ORT_TELEMETRY_DISABLED")
        .stdin(Stdio::null());
    command
}

/// How a run ended and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let stdout = child.stdout.take().map(collect).unwrap();
    let stderr = child.stderr.take().map(collect).unwrap();
    let status = wait(&mut child);
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let status = status.unwrap_or_else(|| panic!("{command:?} did not end: {stdout}{stderr}"));
    Ran {
        status,
        stdout,
        stderr,
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    })
}

/// Waits for the end of a process; one that does not end is killed.
pub(crate) fn wait(child: &mut Child) -> Option<ExitStatus> {
    let ended = until(PATIENCE, || child.try_wait().unwrap());
    if ended.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    ended
}

/// Looks again and again until there is something, at most so long.
pub(crate) fn until<T>(longest: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        let late = longest < began.elapsed();
        if let Some(found) = look() {
            return Some(found);
        }
        if late {
            return None;
        }
        sleep(LOOK);
    }
}
