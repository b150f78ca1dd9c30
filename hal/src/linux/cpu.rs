//! Which core a thread runs on.
//!
//! Called by each thread once, at its start.

use core::fmt;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A thread could not be pinned. Recovery: log it and let the thread run anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuError {
    /// None of the cores exists, or the process may use none of them.
    NoSuchCore,
    /// The kernel refused.
    Refused {
        /// Positive errno of the call that failed.
        errno: i32,
    },
}

impl fmt::Display for CpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchCore => f.write_str("none of the cores exists on this machine"),
            Self::Refused { errno } => write!(f, "pinning refused errno={errno}"),
        }
    }
}
impl core::error::Error for CpuError {}

/// What became of the cores that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// Cores that the thread now may use.
    pub cores: usize,
    /// Cores of the list that this machine does not have, or that the process may not use.
    pub absent: usize,
}

/// Lets the calling thread run on `cores` only. Cores that do not exist are left out and counted.
///
/// Threads and processes started afterwards inherit the choice, so they must pin themselves too.
///
/// # Errors
/// [`CpuError::NoSuchCore`] when nothing is left; the thread then runs where it ran before.
pub fn pin_thread_to(cores: &[usize]) -> Result<Pinned, CpuError> {
    let mut wanted = CpuSet::new();
    // `CpuSet::set` panics beyond its size.
    cores
        .iter()
        .filter(|core| **core < CpuSet::MAX_CPU)
        .for_each(|core| wanted.set(*core));
    if wanted.count() == 0 {
        return Err(CpuError::NoSuchCore);
    }
    sched_setaffinity(None, &wanted).map_err(|errno| match errno.raw_os_error() {
        libc::EINVAL => CpuError::NoSuchCore,
        errno => CpuError::Refused { errno },
    })?;
    let applied = sched_getaffinity(None).map_err(|errno| CpuError::Refused {
        errno: errno.raw_os_error(),
    })?;
    let absent = cores
        .iter()
        .filter(|core| CpuSet::MAX_CPU <= **core || !applied.is_set(**core));
    Ok(Pinned {
        cores: applied.count() as usize,
        absent: absent.count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_that_do_not_exist_are_left_out_and_counted() {
        // A thread of its own, so that the test runner's threads are not pinned.
        std::thread::spawn(|| {
            let allowed = sched_getaffinity(None).unwrap();
            let first = (0..CpuSet::MAX_CPU)
                .find(|core| allowed.is_set(*core))
                .unwrap();
            let pinned = pin_thread_to(&[first, 1_000, 5_000_000]).unwrap();
            assert_eq!(
                pinned,
                Pinned {
                    cores: 1,
                    absent: 2
                }
            );
            assert_eq!(pin_thread_to(&[1_000]), Err(CpuError::NoSuchCore));
            assert_eq!(pin_thread_to(&[]), Err(CpuError::NoSuchCore));
            assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        })
        .join()
        .unwrap();
    }
}
