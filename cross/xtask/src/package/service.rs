//! How far the service is shut in, as systemd itself counts.
//!
//! In: a unit file. Out: `systemd-analyze security`'s number, 0 to 10. The unit is not loaded.

use std::path::Path;
use std::process::Command;

use crate::{Fallible, process};

/// The service.
pub(super) const UNIT: &str = "cross/package/pressel.service";
/// The most that is allowed.
pub(super) const LEVEL_MAX: f32 = 2.0;

/// Returns the number, when it is not above [`LEVEL_MAX`].
///
/// # Errors
/// It is above, or systemd cannot say: it takes version 250.
pub(super) fn check(unit: &Path) -> Fallible<f32> {
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=yes", "--no-pager"]);
    let said = process::output(command.arg(unit))?;
    let level = level(&said)
        .ok_or_else(|| format!("systemd-analyze does not tell a level: {}", said.trim()))?;
    if level <= LEVEL_MAX {
        return Ok(level);
    }
    let open: Vec<&str> = said.lines().filter(|line| line.starts_with('✗')).collect();
    Err(format!(
        "{UNIT} is open to {level}, and {LEVEL_MAX} is allowed:\n{}",
        open.join("\n")
    ))
}

/// The number in what systemd-analyze says.
fn level(said: &str) -> Option<f32> {
    let line = said
        .lines()
        .find(|line| line.contains("Overall exposure"))?;
    let number = line.rsplit_once(": ")?.1.split_whitespace().next()?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_read() {
        let said = "✗ PrivateUsers= x 0.2\n\n→ Overall exposure level for a.service: 1.2 OK 🙂\n";
        assert_eq!(level(said), Some(1.2));
        assert_eq!(level("Failed to load unit"), None);
    }

    #[test]
    fn the_service_is_shut_in() {
        if !process::succeeds(&["systemd-analyze", "security", "--offline=yes", "--help"]) {
            println!("skipped: there is no systemd-analyze of version 250 or later");
            return;
        }
        check(&crate::root().join(UNIT)).unwrap();
    }

    #[test]
    fn the_service_waits_longer_than_a_model_takes() {
        let unit = std::fs::read_to_string(crate::root().join(UNIT)).unwrap();
        let value = |key: &str| {
            let line = unit.lines().find(|line| line.starts_with(key));
            line.and_then(|line| line.split_once('='))
                .map(|(_, value)| value)
        };
        assert!(value("TimeoutStartSec").unwrap().parse::<u32>().unwrap() > 180);
        assert_eq!(value("Type"), Some("notify"));
        assert_eq!(value("NotifyAccess"), Some("main"));
        assert_eq!(value("WatchdogSec"), Some("60"));
        assert_eq!(value("Restart"), Some("always"));
        assert_eq!(value("PrivateNetwork"), Some("yes"));
        // It has no limit of starts, and its own end is in order.
        assert_eq!(value("StartLimitIntervalSec"), Some("0"));
        assert_eq!(value("KillMode"), Some("mixed"));
    }

    /// What holds of a key when the files are read one after the other; an empty value forgets.
    fn values<'a>(key: &str, files: &[&'a str]) -> Vec<&'a str> {
        let mut found = Vec::new();
        for line in files.iter().flat_map(|file| file.lines()) {
            match line.split_once('=') {
                Some((name, "")) if name == key => found.clear(),
                Some((name, value)) if name == key => found.push(value),
                _ => {}
            }
        }
        found
    }

    #[test]
    fn the_drop_in_for_cuda_opens_all_devices() {
        let read = |path: &str| std::fs::read_to_string(crate::root().join(path)).unwrap();
        let (unit, cuda) = (read(UNIT), read("cross/package/cuda.conf"));
        let both = [unit.as_str(), cuda.as_str()];
        // Any DeviceAllow that is left makes `auto` a closed policy.
        assert!(!values("DeviceAllow", &[&unit]).is_empty());
        assert_eq!(values("DeviceAllow", &both), [""; 0]);
        assert_eq!(values("DevicePolicy", &both).last(), Some(&"auto"));
        assert_eq!(values("ProtectClock", &both).last(), Some(&"no"));
        assert_eq!(values("MemoryDenyWriteExecute", &both).last(), Some(&"no"));
    }
}
