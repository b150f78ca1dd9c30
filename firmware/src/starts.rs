//! Starts: counts crashes, so that an appliance that cannot stay up comes up in safe mode.
//!
//! The file `starts` of the state folder in and out: when the last starts were, and which of them
//! ended in order. It holds the kernel's boot id and time since boot, because the clock of a small
//! board is wrong after a start. Used at the start and at the end, by the thread that runs the
//! appliance. A folder that cannot be written, or that another appliance uses, costs only this.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use pressel_pipeline::limits::{CRASH_WINDOW_MS, CRASHES_MAX};
use pressel_pipeline::time::Millis;
use serde::{Deserialize, Serialize};

/// Bytes read of the file at most: more is not of our making.
const FILE_BYTES_MAX: u64 = 4_096;

/// What is in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// The kernel's boot id: times of another one mean nothing.
    boot: String,
    /// The last starts that did not end in order, since the last one that did.
    starts_ms: Vec<Millis>,
}

/// The starts of one appliance.
#[derive(Debug)]
pub struct Starts {
    file: PathBuf,
    known: Known,
    /// Keeps other appliances out; without it nothing is counted.
    lock: Option<File>,
}

impl Starts {
    /// Notes a start. Returns with it whether it is to be in safe mode.
    #[must_use]
    pub fn begin(state_dir: &Path) -> (Self, bool) {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self::begin_at(state_dir, boot.trim(), since_boot_ms())
    }

    fn begin_at(state_dir: &Path, boot: &str, now: Millis) -> (Self, bool) {
        let file = state_dir.join("starts");
        let lock = match take_lock(state_dir) {
            Ok(lock) => lock,
            Err(error) => {
                let (known, lock) = (Known::default(), None);
                let starts = Self { file, known, lock };
                starts.warn(&error);
                return (starts, false);
            }
        };
        let mut known = read(&file).unwrap_or_default();
        if known.boot != boot {
            known = Known {
                boot: boot.to_owned(),
                starts_ms: Vec::new(),
            };
        }
        let is_safe = is_crash_loop(&known.starts_ms, now);
        // One more than crashes: the last may be forgotten again.
        let older = known.starts_ms.len().saturating_sub(CRASHES_MAX);
        known.starts_ms.drain(..older);
        known.starts_ms.push(now);
        let lock = Some(lock);
        let starts = Self { file, known, lock };
        if let Err(error) = starts.write() {
            starts.warn(&error);
        }
        (starts, is_safe)
    }

    fn warn(&self, error: &io::Error) {
        let file = self.file.display();
        log::warn!(
            "crashes are not counted, there will be no safe mode file={file} error={error}: name a \
             folder of its own that can be written with --state-dir"
        );
    }

    /// Forgets this start: what ended it was no crash, nor does it say that all is well.
    pub fn forget(mut self) {
        self.known.starts_ms.pop();
        // A folder that cannot be written has been named.
        self.write().ok();
    }

    /// Notes an end in order: no crash is remembered.
    pub fn end(mut self) {
        self.known.starts_ms.clear();
        self.write().ok();
    }

    /// Writes the file whole or not at all. No `fsync`: a power cut makes another boot id.
    fn write(&self) -> io::Result<()> {
        if self.lock.is_none() {
            return Ok(());
        }
        let new = self.file.with_extension("new");
        fs::write(&new, serde_json::to_vec(&self.known)?)?;
        fs::rename(&new, &self.file)
    }
}

/// Keeps other appliances out of a folder's `starts`, which is made where it is not there.
fn take_lock(folder: &Path) -> io::Result<File> {
    // Its last folder only: a name that is wrong makes no tree.
    if !folder.is_dir() {
        DirBuilder::new().mode(0o700).create(folder)?;
    }
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    // Not the file itself, for that one is replaced.
    let lock = options.open(folder.join("starts.lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another pressel uses this folder")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Returns whether the last starts that did not end in order are as many as crashes in a minute,
/// the last of them less than a minute ago.
fn is_crash_loop(starts_ms: &[Millis], now: Millis) -> bool {
    let Some(first) = starts_ms.len().checked_sub(CRASHES_MAX) else {
        return false;
    };
    let crashes = &starts_ms[first..];
    let (Some(first), Some(last)) = (crashes.first(), crashes.last()) else {
        return false;
    };
    let within = |from: Millis, to: Millis| to.saturating_sub(from) <= CRASH_WINDOW_MS;
    within(*first, *last) && within(*last, now)
}

fn read(file: &Path) -> Option<Known> {
    let mut bytes = Vec::new();
    let opened = File::open(file).ok()?;
    opened.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Returns the time since the machine's start, sleep included.
fn since_boot_ms() -> Millis {
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = uptime.split_whitespace().next().map(str::parse::<f64>);
    // A float as a number of milliseconds: the conversion cuts, and never fails.
    seconds
        .and_then(Result::ok)
        .map_or(0, |s| (s * 1_000.0) as Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a start ends.
    enum End {
        Crash,
        Order,
        NoCrash,
    }
    use End::{Crash, NoCrash, Order};

    /// Checks which of these starts, at these seconds, are in safe mode.
    fn check(starts: &[(u64, End)], expected: &[u64]) {
        let folder = tempfile::tempdir().unwrap();
        let mut safe = Vec::new();
        for (at_s, end) in starts {
            let (starts, is_safe) = Starts::begin_at(folder.path(), "boot", at_s * 1_000);
            if is_safe {
                safe.push(*at_s);
            }
            match end {
                Crash => drop(starts),
                Order => starts.end(),
                NoCrash => starts.forget(),
            }
        }
        assert_eq!(safe, expected);
    }

    #[test]
    fn three_crashes_in_a_minute_are_followed_by_safe_mode() {
        check(&[(1, Crash), (2, Crash), (3, Order)], &[]);
        check(&[(1, Crash), (2, Crash), (3, Crash), (4, Order)], &[4]);
        check(
            &[(1, Crash), (31, Crash), (61, Crash), (121, Order)],
            &[121],
        );
    }

    #[test]
    fn crashes_that_are_rarer_are_not() {
        check(&[(1, Crash), (31, Crash), (62, Crash), (63, Order)], &[]);
        check(
            &[
                (1, Crash),
                (31, Crash),
                (62, Crash),
                (63, Crash),
                (64, Order),
            ],
            &[64],
        );
    }

    #[test]
    fn safe_mode_ends_after_an_end_in_order_or_a_minute_without_a_start() {
        let loops = || [(1, Crash), (2, Crash), (3, Crash)];
        let with = |more: Vec<(u64, End)>| loops().into_iter().chain(more).collect::<Vec<_>>();
        check(
            &with(vec![(4, Crash), (5, Crash), (6, Order), (7, Order)]),
            &[4, 5, 6],
        );
        check(&with(vec![(64, Order)]), &[]);
        // Hours in safe mode, and then killed once.
        check(&with(vec![(10, Crash), (9_000, Order)]), &[10]);
    }

    #[test]
    fn order_in_between_and_other_faults_are_no_crashes() {
        check(
            &[(1, Crash), (2, Crash), (3, Order), (4, Crash), (5, Order)],
            &[],
        );
        check(
            &[
                (1, Crash),
                (2, Crash),
                (3, NoCrash),
                (4, Crash),
                (5, NoCrash),
                (6, Order),
            ],
            &[5, 6],
        );
    }

    #[test]
    fn other_boots_damaged_files_and_closed_folders_count_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let crash = |boot, at| Starts::begin_at(folder.path(), boot, at).1;
        for at in 1..=3 {
            assert!(!crash("a", at));
        }
        assert!(!crash("b", 4));
        for at in 1..=3 {
            crash("c", at);
        }
        let file = folder.path().join("starts");
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        assert!(!crash("c", 4));
        // The folder is made, but no tree; and a file where the folder should be.
        let made = folder.path().join("state");
        assert!(!Starts::begin_at(&made, "c", 5).1);
        assert!(made.join("starts").is_file());
        assert!(!Starts::begin_at(&made.join("a/b"), "c", 5).1);
        assert!(!made.join("a").exists());
        let (starts, is_safe) = Starts::begin_at(&file, "c", 5);
        assert!(!is_safe);
        starts.end();
    }

    #[test]
    fn second_appliance_of_a_folder_counts_nothing_and_clears_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let begin = |at| Starts::begin_at(folder.path(), "boot", at);
        let (first, _) = begin(1);
        let before = fs::read(folder.path().join("starts")).unwrap();
        for end in [Starts::end, Starts::forget, drop] {
            let (second, is_safe) = begin(2);
            assert!(!is_safe);
            end(second);
        }
        assert_eq!(fs::read(folder.path().join("starts")).unwrap(), before);
        // The first one crashes, and twice more.
        drop(first);
        drop(begin(3));
        drop(begin(4));
        let (fourth, is_safe) = begin(5);
        assert!(is_safe);
        // Another one beside it is a usual one.
        assert!(!begin(6).1);
        fourth.end();
        assert!(!begin(7).1);
    }

    #[test]
    fn file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        for at in 0..1_000 {
            drop(Starts::begin_at(folder.path(), "boot", u64::MAX - at));
        }
        assert!(fs::metadata(folder.path().join("starts")).unwrap().len() < 200);
    }
}
