//! Weights in huge pages.
//!
//! Flow: what the variable holds -> what it must hold for a process that keeps weights. Whoever
//! starts such a process asks here; no memory is touched in this file.
//!
//! A token reads all weights of the decoder once, and in pages of 4 KiB looking up their addresses
//! is part of the work. ONNX Runtime takes memory from the C library, and glibc asks the kernel for
//! huge pages when it is told to, by a variable that it reads once, when a program starts. Seen on
//! x86-64 with tiny.en's shape, 4 s and 24 tokens, one thread: 25.4 ms, and 27.3 without. Other C
//! libraries do not know the variable, and a kernel without huge pages does not obey: then all is
//! as before.
//!
//! Source: glibc manual, "Memory Allocation Tunables"; the kernel's `admin-guide/mm/transhuge`.

use std::ffi::{OsStr, OsString};

/// The variable that glibc reads.
pub const VARIABLE: &str = "GLIBC_TUNABLES";

/// What it is told, by name and value.
///
/// `hugetlb=1` is `madvise` for what `malloc` maps. The threshold is glibc's own to begin with, but
/// fixed: it would grow with each matrix that is freed while the graphs load, and from then on
/// freed memory would stay, 25 MiB of it (seen; with 32 MiB and 3 % less time).
const TUNABLES: [(&str, &str); 2] = [
    ("glibc.malloc.hugetlb", "1"),
    ("glibc.malloc.mmap_threshold", "131072"),
];

/// Returns what [`VARIABLE`] must hold, where it holds `set` now. What the owner of the machine has
/// set stays as it is.
#[must_use]
pub fn tunables(set: Option<&OsStr>) -> OsString {
    let mut text = set.map(OsStr::to_os_string).unwrap_or_default();
    for (name, value) in TUNABLES {
        let known = text.to_string_lossy();
        let mut names = known.split(':').filter_map(|one| one.split('=').next());
        if names.any(|one| one == name) {
            continue;
        }
        if !text.is_empty() {
            text.push(":");
        }
        text.push(format!("{name}={value}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(set: Option<&str>, expected: &str) {
        assert_eq!(tunables(set.map(OsStr::new)), expected, "{set:?}");
    }

    #[test]
    fn what_is_missing_is_added_and_what_is_set_stays() {
        let all = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=131072";
        check(None, all);
        check(Some(""), all);
        check(Some(all), all);
        check(
            Some("glibc.malloc.hugetlb=0"),
            "glibc.malloc.hugetlb=0:glibc.malloc.mmap_threshold=131072",
        );
        check(
            Some("glibc.malloc.check=3"),
            &format!("glibc.malloc.check=3:{all}"),
        );
    }
}
