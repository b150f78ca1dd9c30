//! The life of the package in a clean Debian: installed, run, upgraded, removed, purged.
//!
//! In: the package, and a newer one whose configuration file differs. Out: one line for each step
//! with its time, or the first step that failed. The Debian's folder is removed at the end; after a
//! failure it stays, to be looked into.

use std::path::Path;
use std::time::Instant;

use super::prison::{Network, Prison, remove};
use super::{boot, folder};
use crate::fetch::Arch;
use crate::{Fallible, console, packages};

/// Version of the newer package.
pub(super) const NEWER: &str = concat!(env!("CARGO_PKG_VERSION"), "+1");
/// Board of the newer package's configuration: so its file is another one than the older's.
pub(super) const NEWER_BOARD: &str = "rpi-5";

/// What apt is told: a configuration that the owner has changed stays.
const INSTALL: &str = "apt-get install --yes --quiet=2 --no-install-recommends \
                       -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold";

/// One step: a name, and shell that ends with 0 when it holds.
struct Step {
    name: &'static str,
    line: &'static str,
}

/// What an installed package is like.
const INSTALLED: [Step; 5] = [
    Step {
        name: "user, groups and folders",
        line: "test \"$(id -nG pressel | tr ' ' '\\n' | sort | tr '\\n' ' ')\" = \
               'audio dialout gpio pressel spi '
               test \"$(stat -c '%a %U %G' /var/lib/pressel)\" = '700 pressel pressel'
               test \"$(stat -c '%a %U %G' /var/spool/pressel)\" = '2770 pressel pressel'",
    },
    Step {
        name: "files as packed, libraries found",
        line: "test -z \"$(dpkg --verify pressel)\"
               ldd /usr/bin/pressel /usr/lib/pressel/libonnxruntime.so > /tmp/libraries
               test -z \"$(grep 'not found' /tmp/libraries)\"",
    },
    Step {
        name: "the service is well-formed and not enabled",
        line: "systemd-analyze verify --man=no /usr/lib/systemd/system/pressel.service
               test \"$(systemctl is-enabled pressel.service)\" = disabled",
    },
    Step {
        name: "man pages and completions",
        line: "zcat /usr/share/man/man1/pressel-run.1.gz | grep -q board
               bash -n /usr/share/bash-completion/completions/pressel",
    },
    Step {
        name: "runs, and finds its models",
        line: "pressel --version; pressel models list | grep nano",
    },
];

/// What must be gone at the end. The user is gone, its groups may be other programs'.
const PURGED: &str = "test -z \"$(getent passwd pressel)\"
    for place in /etc/pressel /var/lib/pressel /var/spool/pressel /usr/share/pressel; do
        test ! -e $place
    done
    left=$(find / -xdev -name '*pressel*' -not -path '/proc/*' -not -path '/trial/*')
    test -z \"$left\" || { echo left: $left >&2; false; }";

/// Runs everything. Returns what was skipped, and why.
///
/// # Errors
/// The step that failed, and the folder to look into.
pub(super) fn run(arch: Arch, deb: &Path, newer: &Path) -> Fallible<Option<String>> {
    packages::require(packages::FOR_TRIAL)?;
    let start = Instant::now();
    let prison = Prison::make(&folder(), arch)?;
    let place = prison.root().display().to_string();
    let life = || -> Fallible<Option<String>> {
        prison.bring(deb, "trial/pressel.deb")?;
        prison.bring(newer, "trial/newer.deb")?;
        installed(&prison)?;
        heard(&prison)?;
        let skipped = if prison.is_emulated() {
            let why = format!(
                "the package for {} was run under emulation, without systemd and the demo in real \
                 time",
                arch.debian()
            );
            console::warn(&why);
            Some(why)
        } else {
            in_real_time(&prison)?;
            boot::run(&prison)?
        };
        upgraded(&prison)?;
        ended(&prison)?;
        Ok(skipped)
    };
    let skipped = life().map_err(|error| format!("{error}. The Debian is in {place}"))?;
    remove(prison.root())?;
    let time = console::time(start.elapsed());
    console::say(&console::but_for(
        &format!("the package lives and dies as it should, {time}"),
        skipped.as_deref(),
    ));
    Ok(skipped)
}

/// Does one thing and tells its time.
fn step<T>(name: &str, work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    let start = Instant::now();
    let done = work().map_err(|error| format!("{name}: {error}"))?;
    let time = console::time(start.elapsed());
    console::say(&format!("  {name}: ok, {time}"));
    Ok(done)
}

fn installed(prison: &Prison) -> Fallible<()> {
    step("installed by apt, with what it depends on", || {
        prison.root_runs(Network::Here, "apt-get update --quiet=2")?;
        prison.root_runs(Network::Here, &format!("{INSTALL} /trial/pressel.deb"))
    })?;
    for one in INSTALLED {
        step(one.name, || prison.root_runs(Network::None, one.line))?;
    }
    Ok(())
}

/// The demo's clips, as the package's user, without network: the texts must be those of the list.
fn heard(prison: &Prison) -> Fallible<()> {
    step(
        "every clip of the demo has its text, without network",
        || {
            let list = prison.root_runs(Network::None, "cat /usr/share/pressel/demo/demo.csv")?;
            for line in list.lines().skip(1).filter(|line| !line.trim().is_empty()) {
                let (file, text) = line.split_once(',').unwrap_or_default();
                let words = format!("cd /tmp && pressel transcribe /usr/share/pressel/demo/{file}");
                let said = prison.user_runs(&words)?;
                if said.trim() != text.trim() {
                    return Err(format!("{file}: `{}` and not `{text}`", said.trim()));
                }
            }
            Ok(())
        },
    )
}

/// What an emulated processor may be too slow for.
fn in_real_time(prison: &Prison) -> Fallible<()> {
    step("pressel demo on the simulated board", || {
        prison.user_runs("cd /tmp && pressel demo 2>&1 | grep 'transcripts are right'")
    })
    .map(|_| ())
}

/// A changed configuration and what was said survive a newer package.
fn upgraded(prison: &Prison) -> Fallible<()> {
    step("upgraded, with the owner's configuration", || {
        let change = "sed -i 's/^trigger = \"ptt\"/trigger = \"voice\"/' /etc/pressel/pressel.toml
                      echo mine >> /var/lib/pressel/kept; echo mine > /var/spool/pressel/kept";
        prison.root_runs(Network::None, change)?;
        prison.root_runs(Network::None, &format!("{INSTALL} /trial/newer.deb"))?;
        let line = format!(
            "test \"$(dpkg-query -W -f '${{Version}}' pressel)\" = '{NEWER}'
             grep -q '^trigger = \"voice\"' /etc/pressel/pressel.toml
             grep -q '^board = \"{NEWER_BOARD}\"' /etc/pressel/pressel.toml.dpkg-dist
             grep -q mine /var/lib/pressel/kept && grep -q mine /var/spool/pressel/kept
             pressel --version"
        );
        prison.root_runs(Network::None, &line)
    })
    .map(|_| ())
}

/// Removed, it leaves what is the owner's; purged, nothing.
fn ended(prison: &Prison) -> Fallible<()> {
    step("removed, configuration and data stay", || {
        let line = "apt-get remove --yes --quiet=2 pressel
            test ! -e /usr/bin/pressel && test ! -e /usr/lib/pressel && test ! -e /usr/share/pressel
            grep -q '^trigger = \"voice\"' /etc/pressel/pressel.toml
            grep -q mine /var/lib/pressel/kept && grep -q mine /var/spool/pressel/kept";
        prison.root_runs(Network::None, line)
    })?;
    step("purged, nothing stays", || {
        prison.root_runs(Network::None, "apt-get purge --yes --quiet=2 pressel")?;
        prison.root_runs(Network::None, PURGED)
    })
    .map(|_| ())
}
