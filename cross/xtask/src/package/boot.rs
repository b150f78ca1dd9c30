//! The service itself, under a real systemd.
//!
//! In: a clean Debian with the package. Out: one line for each thing that holds. The Debian boots
//! in a container of `systemd-nspawn`, asks itself the questions of `cross/trial/boot.sh`, and
//! powers off. Where no container can boot, that is said, and the service counts as not run.

use std::fs;
use std::time::Instant;

use super::prison::Prison;
use crate::{Fallible, console, packages, process};

/// Longest time of one boot with all questions, in seconds.
const LIMIT_S: &str = "300";
/// Where the answers are, in the Debian.
const ANSWERS: &str = "trial/answers";
/// The unit that asks, and switches off at the end.
const ASKING: &str = "[Unit]
Description=Questions about pressel.service
[Service]
Type=oneshot
TimeoutStartSec=240
ExecStart=/bin/sh /trial/boot.sh
StandardOutput=file:/trial/answers
StandardError=inherit
ExecStopPost=/bin/systemctl --no-block poweroff
[Install]
WantedBy=multi-user.target
";

/// Boots, and hears the answers. Returns why it was skipped, if it was.
///
/// # Errors
/// An answer that is not `ok`, or none at all although it booted.
pub(super) fn run(prison: &Prison) -> Fallible<Option<String>> {
    let start = Instant::now();
    let trial = crate::root().join("cross/trial");
    for name in ["boot.sh", "world.pl"] {
        prison.bring(&trial.join(name), &format!("trial/{name}"))?;
    }
    let unit = super::folder().join("asking.service");
    fs::write(&unit, ASKING).map_err(|error| super::disk("write", &unit, &error))?;
    prison.bring(&unit, "etc/systemd/system/asking.service")?;
    let network = super::prison::Network::None;
    prison.root_runs(
        network,
        "systemctl --quiet enable asking.service; touch /trial/answers",
    )?;

    let mut command = packages::as_root("setpriv")?;
    command.args([
        "--pdeathsig",
        "TERM",
        "timeout",
        "-k",
        "5",
        LIMIT_S,
        "systemd-nspawn",
        "--quiet",
        "--register=no",
    ]);
    command.args([
        "--keep-unit",
        "--private-network",
        "--console=pipe",
        "--boot",
        "--directory",
    ]);
    let booted = process::output(command.arg(prison.root()));
    let mut read = packages::as_root("cat")?;
    let answers = process::output(read.arg(prison.root().join(ANSWERS)))?;
    // What the trial has put there is not the package's.
    let tidy = "systemctl --quiet disable asking.service
        rm -rf /etc/systemd/system/asking.service /etc/systemd/system/pressel.service.d \
        /etc/pressel/sim.toml /var/lib/pressel/sim /var/lib/systemd/*/pressel* /var/log/journal";
    prison.root_runs(network, tidy)?;
    if answers.trim().is_empty() {
        let why = booted.err().unwrap_or_else(|| "no answer came".to_owned());
        let skipped =
            format!("the service was not run under systemd, no container boots here: {why}");
        console::warn(&format!("skipped: {skipped}"));
        return Ok(Some(skipped));
    }
    judge(&answers)?;
    console::say(&format!(
        "  the service under systemd: ok, {}",
        console::time(start.elapsed())
    ));
    Ok(None)
}

/// Passes the answers on; one that failed, or an end that did not come, is an error.
fn judge(answers: &str) -> Fallible<()> {
    for line in answers.lines().filter(|line| line.starts_with("ok ")) {
        console::say(&format!("    {}", &line[3..]));
    }
    let failed = answers.lines().position(|line| line.starts_with("FAILED "));
    if let Some(first) = failed {
        let lines: Vec<&str> = answers.lines().skip(first).collect();
        return Err(format!("the service under systemd:\n{}", lines.join("\n")));
    }
    match answers.lines().next_back() {
        Some("end") => Ok(()),
        _ => Err(format!(
            "the service under systemd: no end came:\n{answers}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_and_good_answers_count() {
        assert!(judge("ok a\nok b\nend\n").is_ok());
        let failed = judge("ok a\nFAILED b\n  why\nend\n").unwrap_err();
        assert!(failed.contains("FAILED b\n  why"), "{failed}");
        assert!(judge("ok a\n").is_err());
    }
}
