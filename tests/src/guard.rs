//! The allocation guard itself: does it fire?
//!
//! In: an allocation on a sealed thread of this test. Out: a count, or an end by SIGABRT with the
//! place in the log.

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::thread::spawn;

use pressel::alloc_guard::{AllocGuard, abort_on_allocation, permit, seal, unseal, violations};

use crate::program::run;

#[global_allocator]
static GUARD: AllocGuard = AllocGuard;

/// Tells the test below that it is the child.
const CHILD: &str = "PRESSEL_TESTS_ABORT";

/// Does `work` on a sealed thread; returns how many allocations the guard saw.
fn check(work: impl FnOnce() + Send + 'static) -> u64 {
    let sealed = spawn(move || {
        let before = violations();
        seal();
        work();
        unseal();
        violations() - before
    });
    sealed.join().unwrap()
}

#[test]
fn an_allocation_on_a_sealed_thread_is_seen_and_one_in_a_permit_is_not() {
    assert_eq!(check(|| ()), 0);
    // Taken and given back: two.
    assert_eq!(check(|| drop(black_box(Box::new(7)))), 2);
    assert_eq!(check(|| permit(|| drop(black_box(Box::new(7))))), 0);
    assert_eq!(check(|| drop(black_box(vec![0_u8; 64]))), 2);
}

#[test]
fn an_allocation_on_a_sealed_thread_aborts_where_that_is_asked_for() {
    if std::env::var_os(CHILD).is_some() {
        abort_on_allocation();
        check(|| drop(black_box(Box::new(7))));
        return;
    }
    let myself = std::env::current_exe().unwrap();
    let name = "guard::an_allocation_on_a_sealed_thread_aborts_where_that_is_asked_for";
    let ran = run(Command::new(myself).args(["--exact", name]).env(CHILD, "1"));
    assert_eq!(ran.status.signal(), Some(6), "{ran:?}");
}
