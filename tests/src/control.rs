//! The control socket: the running appliance tells how it is, and no client harms it.
//!
//! In: `pressel status` and `pressel jobs`, and clients that hang, flood and go away. Out: what is
//! told, descriptors as before, utterances recognised all the while.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::bad_start::check;
use crate::process;
use crate::program::{PATIENCE, Ran, command, need_models, run, until};
use crate::rig::{Rig, Setting};
use crate::voice::word;

/// Returns the appliance's socket.
pub(crate) fn socket(rig: &Rig) -> PathBuf {
    rig.board.path().join("control")
}

/// Runs a command that reaches the appliance behind a socket.
pub(crate) fn ask(socket: &Path, arguments: &[&str]) -> Ran {
    run(command(arguments).arg("--socket").arg(socket))
}

/// Returns what `pressel status --json` tells.
pub(crate) fn status(rig: &Rig) -> Value {
    let ran = ask(&socket(rig), &["status", "--json"]);
    assert_eq!(ran.status.code(), Some(0), "{}\n{}", ran.stderr, rig.log());
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn status_tells_how_the_appliance_is() {
    need_models!();
    let mut rig = Rig::ready(&Setting::default());
    rig.say(&word());
    rig.wait_for("outcome", 1);
    rig.wait_for_state("idle");
    let told = until(PATIENCE, || {
        let told = status(&rig);
        let has_last = told["last"].as_array().is_some_and(|last| !last.is_empty());
        (has_last && told["state"] == "idle").then_some(told)
    });
    let told = told.unwrap_or_else(|| panic!("{}\n{}", status(&rig), rig.log()));
    assert_eq!(told["board"], "sim");
    assert_eq!(told["model"], "nano");
    assert_eq!(told["provider"], "cpu");
    assert_eq!(told["pid"], rig.id());
    assert_eq!(told["worker"]["pid"], rig.worker());
    assert_eq!(told["worker"]["ready"], true);
    assert_eq!(told["counters"]["utterances"], 1);
    assert_eq!(told["alerts"], Value::Array(Vec::new()));
    let last = &told["last"][0];
    assert_eq!(last["trigger"], "ptt");
    assert!(last["timing"]["encode_ms"].is_u64(), "{last}");
    // Nobody waited for the encoder: it began at the pause before the release.
    assert_eq!(told["guesses"]["made"], 1);
    assert_eq!(told["guesses"]["adopted"], 1);
    for thread in told["threads"].as_array().unwrap() {
        assert_eq!(thread["stuck"], false, "{thread}");
        assert!(0 < thread["turns"].as_u64().unwrap(), "{thread}");
    }
    let mode = fs::metadata(socket(&rig)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o660);
    let page = ask(&socket(&rig), &["status"]).stdout;
    for words in [
        "on sim, up ",
        "state     idle, microphone on",
        "worker    ready, pid ",
        "outbox 0/16",
        "main-loop",
    ] {
        assert!(page.contains(words), "`{words}` is not in:\n{page}");
    }
    println!("{page}");
    let path = socket(&rig);
    rig.finish(1);
    assert!(!path.exists());
}

#[test]
fn without_an_appliance_each_command_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("control");
    let name = none.to_str().unwrap();
    let file = folder.path().join("a.wav");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    for arguments in [
        ["status"].as_slice(),
        &["status", "--json"],
        &["jobs", "list"],
        &["jobs", "add", file],
        &["jobs", "cancel", "1"],
    ] {
        check(
            &ask(&none, arguments),
            3,
            &[name, "pressel run", "--socket"],
        );
    }
    // What a dead one left behind.
    drop(std::os::unix::net::UnixListener::bind(&none).unwrap());
    check(&ask(&none, &["status"]), 3, &[name, "pressel run"]);
    // A recording that is not there is found out before anybody is asked.
    let missing = folder.path().join("none.wav");
    let missing = missing.to_str().unwrap();
    check(&ask(&none, &["jobs", "add", file, missing]), 5, &[missing]);
    check(&ask(&none, &["jobs", "add", name]), 5, &[name]);
}

#[test]
fn clients_that_hang_flood_or_go_harm_nothing() {
    need_models!();
    let mut rig = Rig::ready(&Setting::default());
    let path = socket(&rig);
    status(&rig);
    let threads = process::threads(rig.id());
    let files = process::files(rig.id());
    let connect = || UnixStream::connect(&path).unwrap();
    for number in 0..1_000 {
        let mut client = connect();
        // Whoever is told that there are too many has no one to write to.
        let sent = match number % 5 {
            0 => client.write_all(b"{\"status\":{}}\n"),
            1 => client.write_all(b"\x00garbage\xff\n"),
            2 => client.write_all(b"{\"status\""),
            3 => client.shutdown(Shutdown::Write),
            _ => Ok(()),
        };
        if number % 5 < 2 && sent.is_ok() {
            client.read_to_end(&mut Vec::new()).ok();
        }
    }
    // Four that hang, one that floods.
    let hanging: Vec<_> = (0..4).map(|_| connect()).collect();
    let mut flood = connect();
    flood
        .set_write_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    while flood.write_all(&[b'x'; 65_536]).is_ok() {}
    rig.say(&word());
    rig.wait_for("outcome", 1);
    // They are let go after two seconds; who asks meanwhile is served then.
    let served = ask(&path, &["status"]);
    assert_eq!(served.status.code(), Some(0), "{}", served.stderr);
    drop((hanging, flood));
    let as_before = || (process::files(rig.id()) == files).then_some(());
    assert!(until(PATIENCE, as_before).is_some(), "descriptors are left");
    assert_eq!(process::threads(rig.id()), threads);
    let half = {
        let mut client = connect();
        client.write_all(b"{\"status\":{}}").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut line = String::new();
        client.read_to_string(&mut line).unwrap();
        line
    };
    assert!(half.starts_with("{\"status\":{\"version\""), "{half}");
    let ended = rig.finish(1);
    assert!(!ended.log.contains("panic"), "{}", ended.log);
}

#[test]
fn appliance_without_a_socket_says_so_once_and_runs_on() {
    need_models!();
    let first = Rig::ready(&Setting::default());
    let taken = socket(&first);
    let no_folder = first.board.path().join("none/control");
    for (path, why) in [
        (taken.to_str().unwrap(), "another pressel answers there"),
        (no_folder.to_str().unwrap(), "RuntimeDirectory=pressel"),
    ] {
        let mut rig = Rig::ready(&Setting {
            arguments: &["--control", path],
            ..Setting::default()
        });
        let lines = |log: &str| log.lines().filter(|line| line.contains(path)).count();
        assert!(rig.log().contains(why), "{}", rig.log());
        rig.say(&word());
        let ended = rig.finish(1);
        assert_eq!(lines(&ended.log), 1, "{}", ended.log);
    }
    status(&first);
    // One that is to have none says nothing about it.
    let mut rig = Rig::ready(&Setting {
        arguments: &["--control", "", "--spool", ""],
        ..Setting::default()
    });
    assert!(!socket(&rig).exists());
    assert!(!rig.log().contains("WARN"), "{}", rig.log());
    rig.say(&word());
    rig.finish(1);
    // A killed one leaves its socket, and the next one takes it over.
    let path = taken.to_str().unwrap();
    let kept = tempfile::tempdir().unwrap();
    let path_kept = kept.path().join("control");
    let path_kept = path_kept.to_str().unwrap();
    let arguments = ["--control", path_kept];
    let setting = Setting {
        arguments: &arguments,
        ..Setting::default()
    };
    Rig::ready(&setting).end(Signal::KILL);
    assert!(Path::new(path_kept).exists());
    let next = Rig::ready(&setting);
    assert_eq!(
        ask(Path::new(path_kept), &["status"]).status.code(),
        Some(0)
    );
    next.finish(0);
    assert!(Path::new(path).exists());
    first.finish(0);
}
