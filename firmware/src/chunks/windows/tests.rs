//! Tests of windows: recordings heard by models of any kind, from the start and from any window.

use proptest::prelude::*;

use super::super::tests::{Recording, compressed, fixture, loud, noise, wav};
use super::*;

const SECOND: usize = RATE_HZ;
const FULL: usize = UTTERANCE_SAMPLES_MAX;

/// What a model hears of a window: how many samples, out of its place and its samples.
type Model<'a> = &'a dyn Fn(u64, u32) -> u32;

/// Hears a recording from `from` on; checks what is true of all windows. Returns where each began
/// and the next one does.
fn hear(recording: &Recording, from: u64, model: Model<'_>) -> Vec<(u64, u64)> {
    let mut chunks = Chunks::open(&recording.path, from, Cut::Windows).unwrap();
    let mut slot = vec![-1; FULL];
    let mut windows = Vec::new();
    let mut begin = from;
    while let Some(chunk) = chunks.next(&mut loud(), &mut slot).unwrap() {
        let rest = recording.samples.len() as u64 - begin;
        let samples = rest.min(FULL as u64);
        assert_eq!((chunk.start, chunk.next), (begin, begin + samples));
        let mut next = chunk.next;
        if chunk.speech.is_some() {
            assert_eq!(u64::from(chunk.samples), samples);
            let (start, end) = (begin as usize, chunk.next as usize);
            assert!(slot[..end - start] == recording.samples[start..end]);
            next = chunks.heard(model(begin, chunk.samples));
        }
        assert!(next <= chunk.next && begin + samples.min(16_000) <= next);
        assert!(chunks.ahead.len() <= FULL && chunks.ahead.capacity() <= FULL);
        assert_eq!(chunks.position(), next);
        windows.push((begin, next));
        begin = next;
    }
    let all = recording.samples.len() as u64;
    assert_eq!(chunks.position(), all);
    assert!(all - begin < WINDOW_TAIL_MIN as u64);
    assert_eq!(chunks.next(&mut loud(), &mut slot), Ok(None));
    // Who begins anew at any window gives the rest.
    for (index, (_, next)) in windows.iter().enumerate().step_by(7) {
        if from == 0 {
            assert_eq!(hear(recording, *next, model), windows[index + 1..]);
        }
    }
    windows
}

fn check(samples: usize, model: Model<'_>, expected: &[(u64, u64)]) {
    let recording = Recording::new(noise(samples, 8_000, 3));
    let seconds = |at: u64| at * SECOND as u64;
    let expected = expected
        .iter()
        .map(|&(begin, next)| (seconds(begin), seconds(next)));
    let expected: Vec<_> = expected.collect();
    assert_eq!(hear(&recording, 0, model), expected);
}

/// A model that hears so many seconds of each window.
fn seconds(count: u32) -> impl Fn(u64, u32) -> u32 {
    move |_, _| count * SECOND as u32
}

#[test]
fn window_begins_where_the_words_of_the_last_one_ended() {
    let all: Model<'_> = &|_, samples| samples;
    check(0, all, &[]);
    check(30 * SECOND, all, &[(0, 30)]);
    check(70 * SECOND, all, &[(0, 30), (30, 60), (60, 70)]);
    let some = seconds(25);
    check(70 * SECOND, &some, &[(0, 25), (25, 50), (50, 70)]);
}

#[test]
fn recording_ends_whatever_the_model_says() {
    let least: Vec<_> = (0..35).map(|at| (at, at + 1)).collect();
    for heard in [0, 1, 15_999, 16_000] {
        check(35 * SECOND, &move |_, _| heard, &least);
    }
    check(35 * SECOND, &|_, _| u32::MAX, &[(0, 30), (30, 35)]);
}

#[test]
fn tail_that_holds_no_word_is_not_heard_and_counts() {
    let all: Model<'_> = &|_, samples| samples;
    for (tail, windows) in [(0, 1), (1, 1), (1_599, 1), (1_600, 2), (1_601, 2)] {
        let recording = Recording::new(noise(FULL + tail, 8_000, 3));
        assert_eq!(hear(&recording, 0, all).len(), windows, "{tail}");
    }
    for samples in [0, 1, 800, 1_599] {
        let recording = Recording::new(noise(samples, 8_000, 3));
        assert_eq!(hear(&recording, 0, all), []);
    }
}

#[test]
fn model_is_not_asked_about_rest() {
    let mut samples = vec![8_i16; 65 * SECOND];
    samples[40 * SECOND] = 9;
    let recording = Recording::new(samples);
    let mut chunks = Chunks::open(&recording.path, 0, Cut::Windows).unwrap();
    let mut slot = vec![0; FULL];
    let mut spoken = Vec::new();
    while let Some(chunk) = chunks.next(&mut loud(), &mut slot).unwrap() {
        spoken.push((chunk.samples, chunk.speech.is_some()));
    }
    assert_eq!(spoken, [(0, false), (480_000, true), (0, false)]);
}

#[test]
fn recording_that_ends_early_or_is_damaged_gives_what_it_has() {
    let model: Model<'_> = &|begin, samples| samples.saturating_sub((begin % 90_000) as u32);
    let samples = noise(70 * SECOND, 8_000, 5);
    let there = samples[..60_000].to_vec();
    let recording = Recording::of_bytes(&wav(&samples)[..44 + 120_001], there);
    assert_eq!(hear(&recording, 0, model), [(0, 60_000)]);
    for name in ["long.mp3", "long_vorbis.ogg", "long_opus.ogg", "long.flac"] {
        let mut bytes = fixture(name);
        let middle = bytes.len() / 2;
        bytes[middle..middle + 600].fill(0x55);
        let (recording, end) = compressed(&bytes);
        assert_eq!(end, Ok(0));
        assert!(!hear(&recording, 0, model).is_empty());
    }
}

#[test]
fn recording_that_changes_its_rate_gives_all_before_and_then_says_so() {
    let glued = [fixture("tone_vorbis.ogg"), fixture("long_vorbis.ogg")].concat();
    let (recording, end) = compressed(&glued);
    let fault = end.unwrap_err();
    // Heard to its end, to its last second, and but for a tail.
    for heard in [24_000, 20_000, 23_000] {
        let mut chunks = Chunks::open(&recording.path, 0, Cut::Windows).unwrap();
        let mut slot = vec![0; FULL];
        let mut windows = 0;
        let ended = loop {
            match chunks.next(&mut loud(), &mut slot) {
                Ok(Some(_)) => chunks.heard(heard),
                ended => break ended,
            };
            windows += 1;
            assert!(windows < 9);
        };
        assert_eq!(ended, Err(fault.clone()), "{heard}");
        assert!(chunks.position() <= 24_000);
    }
}

#[test]
fn chunk_of_speech_is_never_heard_again() {
    let recording = Recording::new(noise(5 * SECOND, 8_000, 3));
    let tuning = crate::config::Config::default().tuning();
    let mut chunks = Chunks::open(&recording.path, 0, Cut::Speech(tuning)).unwrap();
    let chunk = chunks
        .next(&mut loud(), &mut vec![0; FULL])
        .unwrap()
        .unwrap();
    assert_eq!(chunks.heard(7), chunk.next);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_sample_is_in_a_window_whatever_the_model_hears(
        samples in 0_usize..2_000_000,
        seed in any::<u64>(),
    ) {
        let recording = Recording::new(noise(samples, 8_000, 3));
        let model = |begin: u64, samples: u32| {
            let random = (begin ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (random >> 40) as u32 % (samples + samples / 8 + 1)
        };
        let windows = hear(&recording, 0, &model);
        prop_assert!(windows.windows(2).all(|pair| pair[0].1 == pair[1].0));
    }
}
