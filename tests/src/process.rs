//! What the kernel knows of a process: its threads, children, files and memory.
//!
//! In: a process number. Out: what `/proc` says about it now.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal; a process that has ended already is fine.
pub(crate) fn signal(id: u32, signal: Signal) {
    let pid = Pid::from_raw(id.cast_signed()).unwrap();
    kill_process(pid, signal).ok();
}

/// Returns the state letter and the parent of a process, `None` when there is none.
fn stat(id: u32) -> Option<(char, u32)> {
    parse_stat(Path::new(&format!("/proc/{id}/stat")))
}

fn parse_stat(file: &Path) -> Option<(char, u32)> {
    let stat = fs::read_to_string(file).ok()?;
    // The name stands in parentheses and may hold anything.
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    let state = words.next()?.chars().next()?;
    Some((state, words.next()?.parse().ok()?))
}

/// Returns whether a process runs. One that nobody has waited for has ended too.
pub(crate) fn runs(id: u32) -> bool {
    stat(id).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// Returns the time that all threads of a process have computed.
pub(crate) fn computed(id: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{id}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let of_task = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(of_task).sum())
}

/// Returns the children of a process.
pub(crate) fn children(id: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|&child| stat(child).is_some_and(|(_, parent)| parent == id))
        .collect()
}

/// Returns the names of a process's threads, in the order of their making.
pub(crate) fn threads(id: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let mut tasks: Vec<_> = tasks.map(|task| task.path()).collect();
    tasks.sort();
    let name = |task: &PathBuf| fs::read_to_string(task.join("comm")).ok();
    tasks
        .iter()
        .filter_map(name)
        .map(|name| name.trim().to_owned())
        .collect()
}

/// Returns whether all threads of a process sleep: it has nothing to do.
pub(crate) fn sleeps(id: u32) -> bool {
    let Ok(mut tasks) = fs::read_dir(format!("/proc/{id}/task")) else {
        return true;
    };
    tasks.all(|task| {
        let stat = task
            .ok()
            .and_then(|task| parse_stat(&task.path().join("stat")));
        stat.is_none_or(|(state, _)| state == 'S')
    })
}

/// Returns how many files a process has open.
pub(crate) fn files(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

/// Returns how many bytes a process has read, from files and pipes.
pub(crate) fn read_bytes(id: u32) -> Option<u64> {
    number_after(&format!("/proc/{id}/io"), "rchar:")
}

/// Returns the most memory that a process has ever held, in KiB.
pub(crate) fn peak_kib(id: u32) -> Option<u64> {
    number_after(&format!("/proc/{id}/status"), "VmHWM:")
}

/// Returns the memory that a process holds, in KiB.
pub(crate) fn memory_kib(id: u32) -> Option<u64> {
    number_after(&format!("/proc/{id}/status"), "VmRSS:")
}

fn number_after(file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Returns how many descriptors of a process have this file open.
pub(crate) fn open_count(id: u32, path: &Path) -> usize {
    let Ok(entries) = fs::read_dir(format!("/proc/{id}/fd")) else {
        return 0;
    };
    let links = entries.flatten().map(|fd| fs::read_link(fd.path()));
    links
        .filter(|link| link.as_ref().is_ok_and(|to| to == path))
        .count()
}
