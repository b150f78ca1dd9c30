//! Tests of the microphone's errors and arithmetic.
//!
//! No sound card is needed. The data path is tested in `sim::microphone`.

use super::*;

fn config(device: &str) -> MicrophoneConfig {
    MicrophoneConfig {
        device: device.to_owned(),
        rate_hz: 16_000,
        block_samples: 256,
        buffer_ms: 1_000,
    }
}

fn check_refused(device: &str, cause: &str, remedy: &str) {
    let error = AlsaMicrophone::open(&config(device))
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.name, device);
    assert!(error.cause.contains(cause), "{error}");
    assert!(error.remedy.contains(remedy), "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
}

#[test]
fn a_device_that_does_not_exist_is_named_with_the_remedy() {
    check_refused("no_such_microphone", "no such", "pressel devices");
    check_refused("plughw:77,0", "", "pressel devices");
    check_refused("a\0b", "NUL", "pressel devices");
}

#[test]
fn lost_samples_are_the_time_that_passed_less_what_was_read() {
    let at = Instant::now();
    let check = |passed_ms: u64, read_samples: u64, expected: u32| {
        let caught_up = CaughtUp { at, read_samples };
        let now = at + Duration::from_millis(passed_ms);
        assert_eq!(caught_up.lost_samples(now, 16_000), expected);
    };
    check(0, 0, 0);
    check(1_000, 0, 16_000);
    check(1_000, 4_096, 11_904);
    // Read more than passed: the clocks differ by a period at most, and nothing was lost.
    check(100, 1_601, 0);
    check(3_600_000_000, 0, u32::MAX);
}
