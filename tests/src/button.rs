//! The button: taps, bounces, presses at any moment, and what is kept around them.
//!
//! In: edges at exact samples. Out: utterances with exact starts and ends.

use crate::events::{Said, said};
use crate::program::{PATIENCE, need_models, until};
use crate::rig::{Rig, Setting};
use crate::voice::{RATE, silence, word};

/// Every press that is let go is a tap.
const TAPS: &str = "[button]\ntap_ms = 60000\n";

/// Checks trigger, start and end in seconds of each utterance; returns them.
fn check_times(rig: Rig, expected: &[(f64, f64)]) -> Vec<Said> {
    let ended = rig.finish(expected.len());
    let said = said(&ended.events);
    let times: Vec<(f64, f64)> = said.iter().map(|said| (said.start, said.end)).collect();
    assert_eq!(times, expected, "{}", ended.log);
    assert!(said.iter().all(|said| said.trigger == "ptt"));
    said
}

/// Checks also that each has a text.
fn check(rig: Rig, expected: &[(f64, f64)]) {
    let said = check_times(rig, expected);
    let has_text = |said: &Said| said.result == "text" && !said.text.is_empty();
    assert!(said.iter().all(has_text), "{said:?}");
}

fn seconds(samples: usize) -> f64 {
    let blocks = samples.div_ceil(256);
    f64::from(u32::try_from(blocks * 16).unwrap()) / 1_000.0
}

#[test]
fn half_a_second_before_a_press_and_a_fifth_after_the_release_are_kept() {
    need_models!();
    let mut rig = Rig::ready(&Setting::default());
    let word = word();
    rig.play(&silence(0.96));
    rig.say(&word);
    let end = 0.96 + seconds(word.len()) + 0.2;
    check(rig, &[(0.46, end)]);
}

#[test]
fn a_tap_starts_and_the_next_tap_ends() {
    need_models!();
    let mut rig = Rig::ready(&Setting {
        config: TAPS,
        ..Setting::default()
    });
    let word = word();
    for _ in 0..2 {
        rig.play(&silence(0.96));
        rig.press(true);
        rig.press(false);
        rig.play(&word);
        rig.press(true);
        rig.press(false);
        rig.play(&silence(0.32));
    }
    let said = seconds(word.len());
    let again = 0.96 + said + 0.32 + 0.96;
    let expected = [(0.46, 0.96 + said + 0.2), (again - 0.5, again + said + 0.2)];
    check(rig, &expected.map(rounded));
}

#[test]
fn bounces_of_the_button_are_one_press_and_one_release() {
    need_models!();
    let board = include_str!("../../boards/sim.toml");
    // As deaf as a board may be, so that no load of the machine comes between the bounces.
    let board = board.replace("debounce_ms = 20 ", "debounce_ms = 200 ");
    let mut rig = Rig::ready(&Setting {
        speed: 1,
        board: Some(&board),
        ..Setting::default()
    });
    let word = word();
    rig.play(&silence(0.96));
    rig.board.button(b"10101");
    rig.play(&word);
    // A release is seen at once, its bounces are not.
    rig.board.button(b"01010");
    rig.play(&silence(0.96));
    let end = 0.96 + seconds(word.len()) + 0.2;
    check(rig, &[rounded((0.46, end))]);
}

#[test]
fn a_hold_of_35_seconds_is_two_utterances_without_a_lost_sample() {
    need_models!();
    let mut rig = Rig::ready(&Setting {
        pace: 16,
        ..Setting::default()
    });
    rig.play(&silence(0.64));
    rig.press(true);
    rig.play(&crate::voice::babble(35.2)[..35 * RATE + RATE / 5]);
    rig.release();
    rig.play(&silence(0.5));
    // What a model makes of so long a babble is its own affair.
    check_times(rig, &[(0.14, 30.14), (30.14, 36.04)]);
}

#[test]
fn a_press_in_the_tail_of_another_shares_no_sample_with_it() {
    need_models!();
    let mut rig = Rig::ready(&Setting::default());
    let word = word();
    rig.play(&silence(0.64));
    rig.press(true);
    rig.play(&word);
    rig.release();
    rig.play(&silence(0.096));
    rig.press(true);
    rig.play(&word);
    rig.release();
    rig.play(&silence(0.5));
    let first = 0.64 + seconds(word.len()) + 0.096;
    let second = first + seconds(word.len()) + 0.2;
    check(rig, &[(0.14, first), (first, second)].map(rounded));
}

#[test]
fn lights_show_what_the_appliance_does() {
    need_models!();
    let mut rig = Rig::ready(&Setting::default());
    rig.wait_for_state("idle");
    rig.say(&word());
    rig.events.wait_for_outcomes(0);
    rig.wait_for_state("idle");
    // The light goes out again by itself.
    let mut lights = String::new();
    let all = until(PATIENCE, || {
        lights.push_str(&rig.board.lights());
        lights.contains("sent 1\nsent 0").then_some(())
    });
    assert!(all.is_some(), "{lights}");
    rig.finish(1);
    let order = [
        "listening 1",
        "listening 0",
        "thinking 0",
        "sent 1",
        "sent 0",
    ];
    let places = order.map(|line| lights.rfind(line));
    assert!(places.iter().all(Option::is_some), "{lights}");
    assert!(places.is_sorted(), "{lights}");
    assert!(!lights.contains("error 1"), "{lights}");
}

/// Rounds to milliseconds, as events do.
fn rounded((start, end): (f64, f64)) -> (f64, f64) {
    let round = |at: f64| (at * 1_000.0).round() / 1_000.0;
    (round(start), round(end))
}
