//! The guards themselves: the allocation guard fires, and ONNX Runtime reports to nobody.
//!
//! In: an allocation on a sealed thread of this test; the appliance at rest. Out: a count, or an
//! end by SIGABRT; no thread that is not ours, and the variables that keep telemetry off.

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::thread::spawn;

use pressel::alloc_guard::{AllocGuard, abort_on_allocation, permit, seal, unseal, violations};

use crate::process::threads;
use crate::program::{need_models, run};
use crate::rig::{Rig, Setting};

#[global_allocator]
static GUARD: AllocGuard = AllocGuard;

/// The threads of the appliance; the main loop is the process's first, and named as it.
const APPLIANCE: [&str; 5] = ["pressel", "control", "listen", "keeper", "jobs"];

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

#[test]
fn telemetry_of_the_runtime_is_off_in_the_appliance_and_in_its_worker() {
    need_models!();
    let rig = Rig::ready(&Setting::default());
    for id in [rig.id(), rig.worker()] {
        let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap();
        let is_set = |entry: &[u8]| environment.split(|&byte| byte == 0).any(|is| is == entry);
        assert!(is_set(b"ORT_DISABLE_TELEMETRY=1") && is_set(b"ORT_TELEMETRY_DISABLED=1"));
    }
    // The uploader would be one more thread.
    check_threads(rig.id(), &APPLIANCE);
    rig.finish(0);
}

/// Checks that a process has these threads and no other; `ps -L` and `top -H` show the same names.
fn check_threads(id: u32, expected: &[&str]) {
    let (mut found, mut expected) = (threads(id), expected.to_vec());
    // The first one is the process's own name; the order of the others is nobody's promise.
    assert_eq!(found[0], expected[0]);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn processes_and_threads_show_their_names() {
    need_models!();
    let mut rig = Rig::ready(&Setting::default());
    // ONNX Runtime's own threads, of which there are some, take the name of their process.
    let own = |names: Vec<String>| {
        let mut names = names;
        names.sort_unstable();
        names.dedup();
        names
    };
    check_threads(rig.id(), &APPLIANCE);
    assert_eq!(threads(rig.worker())[0], "pressel-worker");
    rig.say(&crate::voice::word());
    rig.wait_for("outcome", 1);
    check_threads(rig.id(), &APPLIANCE);
    let ours = ["pressel-worker", "recognise"];
    assert_eq!(own(threads(rig.worker())), ours);
    rig.finish(1);
}
