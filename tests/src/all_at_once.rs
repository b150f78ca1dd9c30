//! All at once: ten minutes of speech, silence, noise, and all that a finger may do.
//!
//! In: a script by a seed, fast. Out: the books are right, and threads, processes and open files
//! are as many at the end as at the beginning. The longest test: its name makes it begin first.

use rustix::process::Signal;

use crate::process;
use crate::program::need_models;
use crate::rig::{Ended, Rig, Setting};
use crate::voice::{RATE, Random, babble, clips, noise, silence};

/// Samples of ten minutes.
const LENGTH: usize = 600 * RATE;
/// How many times faster than real time it goes.
const SPEED: u32 = 15;

/// What may happen.
const ACTS: [fn(&mut Rig, &mut Random) -> usize; 8] = [
    pause,
    hands_free,
    hold,
    tap,
    double_press,
    press_while_recognised,
    hiss,
    press_in_silence,
];

#[test]
fn ten_minutes_of_speech_silence_and_presses_leave_nothing_open_and_nothing_behind() {
    need_models!();
    let mut random = Random::new(20_261_121);
    let mut rig = Rig::ready(&Setting {
        speed: SPEED,
        pace: SPEED,
        arguments: &["--trigger", "voice"],
        ..Setting::default()
    });
    let id = rig.id();
    let mut played = pause(&mut rig, &mut random) + long_hold(&mut rig);
    rig.events.wait_for_outcomes(0);
    let count = |rig: &Rig| {
        let worker = rig.worker();
        (
            process::threads(id),
            process::threads(worker),
            process::files(id),
            worker,
        )
    };
    let before = count(&rig);
    while played < LENGTH {
        played += random.pick(&ACTS)(&mut rig, &mut random);
        let now = count(&rig);
        assert_eq!(
            (&now.0, &now.1, now.3),
            (&before.0, &before.1, before.3),
            "{}",
            rig.log()
        );
    }
    // Longer than a forgotten tap, in the appliance's time: whatever was open is closed.
    rig.press(true);
    rig.release();
    rig.play(&silence(3.0));
    rig.events.wait_for_outcomes(0);
    assert_eq!(count(&rig), before, "{}", rig.log());
    let ended = rig.end(Signal::TERM);
    ended.check_books();
    check_variety(&ended);
}

/// Looks whether the ten minutes were worth their time.
fn check_variety(ended: &Ended) {
    let results = ended.results();
    let count = |result: &str| results.iter().filter(|is| *is == result).count();
    let triggers = |name: &str| {
        ended
            .heard
            .outcomes
            .iter()
            .filter(|(outcome, _)| outcome.trigger.name() == name)
            .count()
    };
    let full = ended
        .heard
        .outcomes
        .iter()
        .any(|(outcome, _)| outcome.audio_ms == 30_000);
    println!(
        "{} utterances: {} texts, {} without speech, {} of the button, {} hands-free",
        results.len(),
        count("text"),
        count("nospeech"),
        triggers("ptt"),
        triggers("voice")
    );
    assert!(full, "no utterance was full: {}", ended.log);
    assert!(10 < count("text") && 0 < count("nospeech"), "{results:?}");
    assert!(
        10 < triggers("ptt") && 5 < triggers("voice"),
        "{}",
        ended.log
    );
    assert_eq!(ended.counters()("worker_restarts"), 0, "{}", ended.log);
    assert_eq!(ended.counters()("link_dropped"), 0, "{}", ended.log);
}

fn play(rig: &mut Rig, samples: &[i16]) -> usize {
    rig.play(samples);
    samples.len()
}

fn clip(random: &mut Random) -> Vec<i16> {
    random.pick(clips()).samples.clone()
}

fn pause(rig: &mut Rig, random: &mut Random) -> usize {
    let silences = [0.1, 0.5, 1.0, 3.0];
    play(rig, &silence(*random.pick(&silences)))
}

fn hands_free(rig: &mut Rig, random: &mut Random) -> usize {
    play(rig, &[clip(random), silence(1.5)].concat())
}

fn hold(rig: &mut Rig, random: &mut Random) -> usize {
    rig.press(true);
    let played = play(rig, &[clip(random), silence(0.2)].concat());
    rig.release();
    played + play(rig, &silence(0.5))
}

/// 35 s: longer than an utterance may be.
fn long_hold(rig: &mut Rig) -> usize {
    rig.press(true);
    let played = play(rig, &babble(35.0));
    rig.release();
    played + play(rig, &silence(1.0))
}

fn tap(rig: &mut Rig, random: &mut Random) -> usize {
    rig.press(true);
    rig.press(false);
    let played = play(rig, &clip(random));
    rig.press(true);
    rig.press(false);
    played + play(rig, &silence(0.5))
}

/// Two presses at once: the second falls into the tail of the first.
fn double_press(rig: &mut Rig, random: &mut Random) -> usize {
    let mut played = 0;
    for _ in 0..2 {
        rig.press(true);
        played += play(rig, &clip(random));
        rig.release();
        played += play(rig, &silence(0.05));
    }
    played + play(rig, &silence(0.5))
}

fn press_while_recognised(rig: &mut Rig, random: &mut Random) -> usize {
    let mut played = 0;
    for _ in 0..3 {
        rig.press(true);
        played += play(rig, &clip(random));
        rig.release();
        played += play(rig, &silence(0.25));
    }
    played
}

fn hiss(rig: &mut Rig, random: &mut Random) -> usize {
    let level = *random.pick(&[50, 1_000, 12_000]);
    let samples = noise(2.0, level, random);
    play(rig, &samples)
}

fn press_in_silence(rig: &mut Rig, _: &mut Random) -> usize {
    rig.press(true);
    let played = play(rig, &silence(1.0));
    rig.release();
    played + play(rig, &silence(0.5))
}
