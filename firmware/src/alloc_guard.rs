//! The allocation guard: proves that the main loop and listen do not allocate after start-up.
//!
//! A thread seals itself with [`seal`]; from then on an allocation on it, outside a [`permit`]
//! scope, is counted, and aborts the process where [`abort_on_allocation`] was asked for (tests
//! do). The guard sees Rust's allocations only: `malloc` inside libasound or ONNX Runtime is not
//! counted.

#![allow(
    unsafe_code,
    reason = "GlobalAlloc is an unsafe trait; every call goes on to System"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The system's allocator behind the guard.
pub struct AllocGuard;

thread_local! {
    /// Whether this thread may not allocate now. `const`: reading it never allocates.
    static SEALED: Cell<bool> = const { Cell::new(false) };
}

#[cfg(test)]
thread_local! {
    /// Violations of this thread: tests run beside each other in one process.
    static HERE: Cell<u64> = const { Cell::new(0) };
}

static VIOLATIONS: AtomicU64 = AtomicU64::new(0);
static ABORT: AtomicBool = AtomicBool::new(false);

/// Seals the calling thread: from now on it allocates only inside [`permit`].
pub fn seal() {
    SEALED.set(true);
}

/// Lifts the seal of the calling thread, as at its end.
pub fn unseal() {
    SEALED.set(false);
}

/// Runs `work` on the calling thread with the seal lifted.
///
/// For calls into ONNX Runtime, whose own allocations are measured, not forbidden.
pub fn permit<T>(work: impl FnOnce() -> T) -> T {
    /// Puts the seal back, also when `work` panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            SEALED.set(self.0);
        }
    }
    let _restore = Restore(SEALED.replace(false));
    work()
}

/// Makes an allocation on a sealed thread abort the process with a message.
pub fn abort_on_allocation() {
    ABORT.store(true, Ordering::Relaxed);
}

/// Returns how many allocations sealed threads have made.
#[must_use]
pub fn violations() -> u64 {
    VIOLATIONS.load(Ordering::Relaxed)
}

/// Returns how many allocations the calling thread has made while it was sealed.
#[cfg(test)]
pub(crate) fn violations_here() -> u64 {
    HERE.get()
}

fn check() {
    if SEALED.try_with(Cell::get).unwrap_or(false) {
        VIOLATIONS.fetch_add(1, Ordering::Relaxed);
        #[cfg(test)]
        HERE.set(HERE.get() + 1);
        if ABORT.load(Ordering::Relaxed) {
            SEALED.set(false);
            let trace = std::backtrace::Backtrace::force_capture();
            log::error!("allocation on a sealed thread\n{trace}");
            log::logger().flush();
            std::process::abort();
        }
    }
}

// SAFETY: every method hands its arguments unchanged to `System`, which upholds the contract of
// `GlobalAlloc`; `check` neither touches the memory nor allocates while the seal is on.
unsafe impl GlobalAlloc for AllocGuard {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        check();
        // SAFETY: the caller upholds the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: the caller upholds the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check();
        // SAFETY: the caller upholds the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocation_is_counted_only_on_a_sealed_thread_and_outside_a_permit() {
        let before = violations_here();
        let kept = vec![1];
        seal();
        drop(vec![2]);
        unseal();
        assert_eq!(violations_here(), before + 2); // Made and freed.
        seal();
        permit(|| drop(vec![3]));
        drop(kept);
        unseal();
        drop(vec![4]);
        assert_eq!(violations_here(), before + 3);
        assert!(before + 3 <= violations());
    }

    #[test]
    fn permit_is_over_also_after_a_panic() {
        seal();
        let panicked =
            std::panic::catch_unwind(|| permit(|| std::panic::resume_unwind(Box::new(1))));
        let sealed = SEALED.get();
        unseal();
        assert!(panicked.is_err() && sealed);
        permit(|| ());
        assert!(!SEALED.get());
    }
}
