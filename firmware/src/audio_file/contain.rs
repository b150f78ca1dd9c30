//! Keeps a panic of a foreign decoder inside it.
//!
//! Found with the tests in `tests/hostile.rs`: symphonia 0.6.1 panics on some damaged headers (for
//! one, `u32::pow` overflows in the Vorbis set-up of the OGG reader, where overflow is checked).
//! A damaged file must not end the program, nor print anything but one clear line.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` and returns its result; None when it panicked, of which nothing is printed.
///
/// What `work` changed must not be used after a None.
pub(super) fn contain<T>(work: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    QUIET.set(false);
    result.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_none() {
        assert_eq!(contain(|| 5), Some(5));
        assert_eq!(contain(|| -> u8 { panic!("as a decoder does") }), None);
        assert!(!QUIET.get());
    }
}
