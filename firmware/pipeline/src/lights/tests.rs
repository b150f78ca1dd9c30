//! Tests of the lights: what is shown, what goes first, and how long it stays.
//!
//! Views and times in, colours out.

use std::vec::Vec;

use super::*;

/// The moments in the first `ms` at which `light` changes, with what it shows from then on.
fn changes(light: Light, view: &View, patterns: &Patterns, ms: u64) -> Vec<(u64, bool)> {
    let mut changes: Vec<(u64, bool)> = Vec::new();
    for now in 0..ms {
        let lit = lights(view, patterns, now).is_lit(light);
        if changes.last().is_none_or(|(_, before)| *before != lit) {
            changes.push((now, lit));
        }
    }
    changes
}

fn lit_ms(light: Light, view: &View, ms: u64) -> usize {
    let usual = Patterns::usual();
    let lit = |now: &u64| lights(view, &usual, *now).is_lit(light);
    (0..ms).filter(lit).count()
}

/// Goes through 20 s in steps of `steady_ms`: nothing changes within a step.
fn check_steady(view: &View, patterns: &Patterns) {
    let mut now = 0;
    while now < 20_000 {
        let shown = lights(view, patterns, now);
        let wait = steady_ms(view, patterns, now).unwrap_or(20_000);
        assert!(0 < wait, "at {now}: {view:?}");
        for between in now..(now + wait).min(20_000) {
            assert_eq!(lights(view, patterns, between), shown, "at {between}");
        }
        now += wait;
    }
}

#[test]
fn lights_follow_the_view() {
    let view = View {
        recording: true,
        text_at: Some(100),
        ..View::default()
    };
    let at = |now| {
        let shown = lights(&view, &Patterns::usual(), now);
        Light::ALL.map(|light| shown.is_lit(light))
    };
    assert_eq!(at(699), [true, false, true, false]);
    assert_eq!(at(700), [true, false, false, false]);
}

#[test]
fn lights_stay_steady_for_as_long_as_promised() {
    let usual = Patterns::usual();
    let busy = View {
        muted: true,
        microphone_lost: true,
        worker_down: true,
        text_at: Some(1_000),
        failed_at: Some(700),
        dropped_at: Some(2_100),
        ..View::default()
    };
    check_steady(&busy, &usual);
    let codes: [fn(&mut View); 6] = [
        |view| view.safe_mode = true,
        |view| view.link_lost = true,
        |view| view.journal_down = true,
        |view| view.on_processor = true,
        |view| view.by_level = true,
        |view| view.wake_down = true,
    ];
    for code in codes {
        let mut view = View::default();
        code(&mut view);
        check_steady(&view, &usual);
    }
    // Everything on one light.
    let mut one = usual;
    for sign in Sign::ALL {
        let pattern = one.of(sign);
        let light = Light::Listening;
        one.set(sign, Pattern { light, ..pattern });
    }
    check_steady(&busy, &one);
}

#[test]
fn the_error_light_counts_what_is_wrong() {
    let usual = Patterns::usual();
    let flashes = |view: &View| {
        let changes = changes(Light::Error, view, &usual, 4_000);
        changes.iter().filter(|(_, lit)| *lit).count()
    };
    let view = View::default();
    assert_eq!(flashes(&view), 0);
    let with = |change: fn(&mut View)| {
        let mut view = View::default();
        change(&mut view);
        view
    };
    assert_eq!(flashes(&with(|view| view.safe_mode = true)), 1);
    assert_eq!(flashes(&with(|view| view.link_lost = true)), 2);
    assert_eq!(flashes(&with(|view| view.journal_down = true)), 3);
    assert_eq!(flashes(&with(|view| view.on_processor = true)), 4);
    assert_eq!(flashes(&with(|view| view.by_level = true)), 5);
    assert_eq!(flashes(&with(|view| view.wake_down = true)), 6);
}

#[test]
fn the_most_urgent_sign_has_its_light_alone() {
    let lost = View {
        microphone_lost: true,
        worker_down: true,
        safe_mode: true,
        ..View::default()
    };
    let changes = changes(Light::Error, &lost, &Patterns::usual(), 1_000);
    let expected: Vec<(u64, bool)> = (0..8).map(|turn| (turn * 125, turn % 2 == 0)).collect();
    assert_eq!(changes, expected);
    // A failure goes before that, for its time.
    let failed = View {
        failed_at: Some(0),
        ..lost
    };
    assert_eq!(lit_ms(Light::Error, &failed, 1_500), 1_500);
}

#[test]
fn failed_and_dropped_look_different() {
    let failed = View {
        failed_at: Some(0),
        ..View::default()
    };
    let dropped = View {
        dropped_at: Some(0),
        ..View::default()
    };
    assert_eq!(lit_ms(Light::Error, &failed, 4_000), 1_500);
    assert_eq!(lit_ms(Light::Error, &dropped, 4_000), 900);
}

#[test]
fn a_board_may_show_a_sign_elsewhere_in_another_rhythm_or_not_at_all() {
    let mut patterns = Patterns::usual();
    let rhythm = Rhythm::new(&[50, 50]).unwrap();
    let light = Light::Thinking;
    let colour = patterns.of(Sign::Idle).colour;
    let moved = Pattern {
        light,
        rhythm,
        colour,
    };
    patterns.set(Sign::Sent, moved);
    let view = View {
        text_at: Some(0),
        ..View::default()
    };
    let expected = [(0, true), (50, false)];
    assert_eq!(
        changes(Light::Thinking, &view, &patterns, 1_000),
        expected,
        "once is once"
    );
    let rhythm = Rhythm::new(&[]).unwrap();
    patterns.set(Sign::Sent, Pattern { rhythm, ..moved });
    assert_eq!(lights(&view, &patterns, 10), Lights::default());
    assert_eq!(steady_ms(&view, &patterns, 10), None);
}

#[test]
fn idle_appliance_never_wakes_for_its_lights() {
    let usual = Patterns::usual();
    assert_eq!(steady_ms(&View::default(), &usual, 123), None);
    // Nor for a light that is on.
    let view = View {
        recording: true,
        ..View::default()
    };
    assert_eq!(steady_ms(&view, &usual, 123), None);
}

#[test]
fn rhythms_are_bounded() {
    assert!(Rhythm::new(&[1; RHYTHM_TIMES_MAX]).is_some());
    assert!(Rhythm::new(&[1; RHYTHM_TIMES_MAX + 1]).is_none());
    assert!(Rhythm::new(&[100, 0]).is_none());
}

#[test]
fn signs_and_lights_stand_in_their_own_order() {
    for (index, sign) in Sign::ALL.into_iter().enumerate() {
        assert_eq!(sign as usize, index);
    }
    for (index, light) in Light::ALL.into_iter().enumerate() {
        assert_eq!(light as usize, index);
    }
}
