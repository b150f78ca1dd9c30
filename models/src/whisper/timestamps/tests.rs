//! Tests of the rules and of the slices, on a vocabulary of ten tokens of text (the tenth is the
//! end) and timestamps from token 12 on.

#![allow(
    clippy::single_range_in_vec_init,
    reason = "a list of ranges may have one"
)]

use proptest::prelude::*;

use super::*;
use crate::testing::golden_timed;

const TIMES: Timestamps = Timestamps { first: 12, end: 9 };
const VOCABULARY: usize = 24;
/// One minute: more than any timestamp here.
const LONG: usize = 960_000;

/// Strikes, and compares what is left with ranges of tokens.
fn check_left(logits: [f32; VOCABULARY], tokens: &[u32], left: &[(usize, usize)]) {
    let mut logits = logits;
    TIMES.strike(&mut logits, tokens, 0.06);
    let found: Vec<usize> = (0..VOCABULARY)
        .filter(|&token| logits[token].is_finite())
        .collect();
    let left: Vec<usize> = left.iter().flat_map(|&(from, to)| from..to).collect();
    assert_eq!(found, left, "behind {tokens:?}");
}

/// Logits by which a word and the end are likelier than all timestamps together.
fn wordy() -> [f32; VOCABULARY] {
    let mut logits = [0.0; VOCABULARY];
    logits[3] = 9.0;
    logits[TIMES.end] = 9.0;
    logits
}

#[test]
fn timestamps_come_in_pairs_and_never_go_back() {
    check_left(wordy(), &[], &[(12, 16)]);
    check_left(wordy(), &[13], &[(0, 11)]);
    check_left(wordy(), &[13, 1], &[(0, 11), (14, 24)]);
    check_left(wordy(), &[13, 1, 16], &[(9, 11), (16, 24)]);
    check_left(wordy(), &[13, 1, 16, 16], &[(0, 11)]);
    check_left(wordy(), &[13, 1, 16, 17, 2], &[(0, 11), (18, 24)]);
    check_left(wordy(), &[13, 1, 23], &[(9, 11), (23, 24)]);
    check_left(wordy(), &[13, 1, 23, 23, 1], &[(0, 11)]);
}

#[test]
fn a_timestamp_is_taken_when_all_of_them_are_likelier_than_any_word() {
    // Ten timestamps are left: their sum is ln 10 above each.
    let mut logits = [0.0; VOCABULARY];
    logits[3] = 2.2;
    check_left(logits, &[13, 1], &[(14, 24)]);
    logits[3] = 2.4;
    check_left(logits, &[13, 1], &[(0, 11), (14, 24)]);
    logits[20] = f32::NAN;
    let mut broken = logits;
    TIMES.strike(&mut broken, &[13, 1], 1.0);
    assert!(broken[3].is_finite() && broken[20].is_nan());
}

#[test]
fn rules_leave_what_those_of_transformers_leave() {
    for row in golden_timed()["struck"].as_array().unwrap() {
        let tokens: Vec<u32> = serde_json::from_value(row[0].clone()).unwrap();
        let logits: [f32; VOCABULARY] = serde_json::from_value(row[1].clone()).unwrap();
        let left: Vec<usize> = serde_json::from_value(row[2].clone()).unwrap();
        let left: Vec<_> = left.into_iter().map(|token| (token, token + 1)).collect();
        check_left(logits, &tokens, &left);
    }
}

#[test]
fn a_vocabulary_without_timestamps_has_none() {
    assert_eq!(Timestamps::new(11, 9, 24), Some(TIMES));
    assert_eq!(Timestamps::new(11, 9, 12), None);
    assert_eq!(Timestamps::new(11, 12, 24), None);
    assert_eq!(Timestamps::new(-1, 9, 24), None);
}

/// Cuts tokens, and compares tokens and times of the stretches, and the samples heard.
fn check_cut(tokens: &[u32], audio: usize, expected: &[(Range<usize>, u32, u32)], heard: usize) {
    let mut stretches = Vec::new();
    assert_eq!(
        TIMES.cut(tokens, audio, &mut stretches),
        heard,
        "{tokens:?}"
    );
    let found = stretches
        .iter()
        .map(|stretch| (stretch.tokens.clone(), stretch.start_ms, stretch.end_ms));
    assert_eq!(found.collect::<Vec<_>>(), expected, "{tokens:?}");
}

#[test]
fn tokens_are_cut_where_two_timestamps_meet() {
    // Words between two timestamps, and others that were cut off: these are heard again.
    check_cut(&[12, 1, 15, 16, 2, 3], LONG, &[(0..3, 0, 60)], 960);
    check_cut(
        &[12, 1, 15, 15, 2, 17, 17],
        LONG,
        &[(0..3, 0, 60), (3..6, 60, 100)],
        1_600,
    );
    // One timestamp at the end: nothing is said behind it.
    check_cut(
        &[12, 1, 15, 16, 2, 18],
        LONG,
        &[(0..3, 0, 60), (3..6, 80, 120)],
        LONG,
    );
}

#[test]
fn tokens_without_a_pair_are_one_stretch() {
    check_cut(&[13, 1, 15], LONG, &[(0..3, 0, 60)], LONG);
    check_cut(&[12, 1, 2], 16_000, &[(0..3, 0, 1_000)], 16_000);
    check_cut(&[], 16_000, &[(0..0, 0, 1_000)], 16_000);
    check_cut(&[12, 1], 0, &[], 0);
}

#[test]
fn tokens_are_cut_as_transformers_cuts_them() {
    for row in golden_timed()["cuts"].as_array().unwrap() {
        let tokens: Vec<u32> = serde_json::from_value(row[0].clone()).unwrap();
        let frames: usize = serde_json::from_value(row[1].clone()).unwrap();
        let segments: Vec<(usize, u32, u32)> = serde_json::from_value(row[2].clone()).unwrap();
        let seek: usize = serde_json::from_value(row[3].clone()).unwrap();
        // A frame is 10 ms, 160 samples. It cuts nothing off behind the audio, and keeps both
        // timestamps where two segments meet, in the last one of a window.
        let audio_ms = frames as u32 * 10;
        let (mut from, mut expected) = (0, Vec::new());
        for (count, start, end) in segments {
            let mut to = from + count;
            let is_time = |place: usize| TIMES.first <= tokens[place];
            if 2 < count && is_time(to - 1) && is_time(to - 2) {
                to -= 1;
            }
            let (start_ms, end_ms) = (start * 20, (end * 20).min(audio_ms));
            if start_ms < end_ms {
                expected.push((from..to, start_ms, end_ms));
            }
            from = to;
        }
        check_cut(
            &tokens,
            frames * 160,
            &expected,
            (seek * 160).min(frames * 160),
        );
    }
}

#[test]
fn what_lies_behind_the_audio_is_cut_off() {
    // 80 ms of audio.
    check_cut(
        &[12, 1, 14, 14, 2, 20],
        1_280,
        &[(0..3, 0, 40), (3..6, 40, 80)],
        1_280,
    );
    check_cut(&[12, 1, 14, 17, 2, 20], 1_280, &[(0..3, 0, 40)], 1_280);
    check_cut(&[12, 1, 20, 20, 2], 1_280, &[(0..3, 0, 80)], 1_280);
}

proptest! {
    #[test]
    fn stretches_are_in_order_within_the_audio_and_some_of_it_is_heard(
        tokens in prop::collection::vec(0_u32..24, 0..30),
        audio in 0_usize..6_000,
    ) {
        let mut stretches = Vec::new();
        let heard = TIMES.cut(&tokens, audio, &mut stretches);
        prop_assert!(heard <= audio && (0 < heard || audio == 0));
        for stretch in &stretches {
            prop_assert!(stretch.start_ms < stretch.end_ms);
            prop_assert!(stretch.end_ms as usize * 16 <= audio);
            prop_assert!(stretch.tokens.end <= tokens.len());
        }
        for pair in stretches.windows(2) {
            prop_assert!(pair[0].tokens.end <= pair[1].tokens.start);
        }
    }

    #[test]
    fn tokens_that_keep_the_rules_are_monotone_in_time(
        logits in prop::collection::vec(prop::array::uniform24(-9.0_f32..9.0), 1..20),
        audio in 1_usize..6_000,
    ) {
        let mut tokens = Vec::new();
        for mut row in logits {
            TIMES.strike(&mut row, &tokens, 0.06);
            let (best, top) = highest(&row);
            prop_assert!(top.is_finite());
            if best == TIMES.end {
                break;
            }
            tokens.push(u32::try_from(best).unwrap());
        }
        let mut stretches = Vec::new();
        let heard = TIMES.cut(&tokens, audio, &mut stretches);
        prop_assert!(0 < heard && heard <= audio);
        for pair in stretches.windows(2) {
            prop_assert!(pair[0].end_ms <= pair[1].start_ms);
        }
    }
}
