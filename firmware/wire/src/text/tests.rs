//! Cutting text into parts, and putting it together again.

use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::limits::PARTS_MAX;
use crate::strategies::texts;
use crate::{DropReason, Timing, Trigger};

fn outcome(utterance: u32, result: OutcomeResult) -> Outcome {
    let timing = Timing::default();
    let (trigger, confidence) = (Trigger::Ptt, 90);
    Outcome {
        sequence: 0,
        utterance,
        trigger,
        result,
        confidence,
        audio_ms: 1000,
        timing,
    }
}

fn outcome_of_text(utterance: u32, text: &str) -> Outcome {
    let bytes = u16::try_from(text.len()).unwrap();
    outcome(
        utterance,
        OutcomeResult::Text {
            bytes,
            truncated: false,
        },
    )
}

/// Pushes the parts with these indices and compares with what should come of them.
fn check(text: &str, pushed: &[usize], expected: &str, complete: bool) {
    let parts: Vec<_> = transcript_parts(5, text).collect();
    let mut assembler = Assembler::new();
    for &index in pushed {
        assembler.push(&parts[index]);
    }
    let expected = Assembled {
        text: expected,
        complete,
    };
    assert_eq!(
        assembler.finish(&outcome_of_text(5, text)),
        expected,
        "{pushed:?}"
    );
}

#[test]
fn parts_are_cut_where_characters_begin() {
    let text = "é€🎙".repeat(100); // 2, 3 and 4 bytes
    let parts: Vec<_> = transcript_parts(5, &text).collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.text.len()).collect();
    assert_eq!(lengths, [191, 192, 189, 189, 139]);
    assert!(
        parts
            .iter()
            .all(|part| part.parts == 5 && part.utterance == 5)
    );
    check(&text, &[0, 1, 2, 3, 4], &text, true);
}

#[test]
fn text_has_at_least_one_part_and_at_most_the_limit() {
    for (text, count) in [
        (String::new(), 1),
        ("a".repeat(PART_BYTES_MAX), 1),
        ("a".repeat(PART_BYTES_MAX + 1), 2),
        ("a".repeat(TEXT_BYTES_MAX), 8),
        ("a".repeat(TEXT_BYTES_MAX + 999), 8),
        (["a", &"🎙".repeat(47)].concat().repeat(9), 9),
    ] {
        assert_eq!(
            transcript_parts(1, &text).len(),
            count,
            "{} bytes",
            text.len()
        );
        assert!(count <= PARTS_MAX);
    }
}

#[test]
fn lost_part_makes_the_text_incomplete() {
    let text = "0123456789abcdef".repeat(36); // three parts
    let cut_at = |parts: usize| &text[..parts * PART_BYTES_MAX];
    check(&text, &[0, 1, 2], &text, true);
    check(&text, &[0, 1], cut_at(2), false);
    check(&text, &[0, 2], cut_at(1), false);
    check(&text, &[1, 2], "", false);
    check(&text, &[], "", false);
    check(&text, &[2, 1, 0], cut_at(1), false);
}

#[test]
fn part_that_comes_twice_counts_once() {
    let text = "0123456789abcdef".repeat(36);
    check(&text, &[0, 1, 1, 2, 2], &text, true);
    check(&text, &[0, 1, 0, 1, 2], &text, true); // sent again from the beginning
}

#[test]
fn parts_of_another_utterance_are_not_taken_for_this_one() {
    let mut assembler = Assembler::new();
    let part = |utterance, text| transcript_parts(utterance, text).next().unwrap();
    assembler.push(&part(1, "on"));
    let nothing = Assembled {
        text: "",
        complete: false,
    };
    assert_eq!(assembler.finish(&outcome_of_text(2, "on")), nothing);
    assembler.push(&part(3, "on"));
    assembler.push(&part(4, "off")); // the outcome of 3 was lost
    let off = Assembled {
        text: "off",
        complete: true,
    };
    assert_eq!(assembler.finish(&outcome_of_text(4, "off")), off);
    let repeated = Assembled {
        text: "off",
        complete: false,
    };
    assert_eq!(assembler.finish(&outcome_of_text(4, "off")), repeated);
}

#[test]
fn text_of_another_length_is_incomplete() {
    let mut assembler = Assembler::new();
    assembler.push(&transcript_parts(1, "on").next().unwrap());
    let incomplete = Assembled {
        text: "on",
        complete: false,
    };
    assert_eq!(assembler.finish(&outcome_of_text(1, "one")), incomplete);
}

#[test]
fn outcome_without_text_is_complete_without_parts() {
    let mut assembler = Assembler::new();
    assembler.push(&transcript_parts(1, "left over").next().unwrap());
    for result in [
        OutcomeResult::NoSpeech,
        OutcomeResult::Dropped(DropReason::Busy),
    ] {
        let expected = Assembled {
            text: "",
            complete: true,
        };
        assert_eq!(assembler.finish(&outcome(1, result)), expected);
    }
}

#[test]
fn more_parts_than_a_text_can_have_do_no_harm() {
    let mut assembler = Assembler::new();
    for _ in 0..3 {
        for (part, text) in (0..=u8::MAX).zip(["", "0123456789"].into_iter().cycle()) {
            let text = heapless::String::try_from(text.repeat(19).as_str()).unwrap();
            assembler.push(&Transcript {
                utterance: 1,
                part,
                parts: u8::MAX,
                text,
            });
        }
    }
    let assembled = assembler.finish(&outcome_of_text(1, ""));
    assert!(!assembled.complete && assembled.text.len() <= TEXT_BYTES_MAX);
}

#[test]
fn long_name_is_cut_where_a_character_begins() {
    assert_eq!(name("sim"), "sim");
    assert_eq!(name(&"€".repeat(9)), "€".repeat(8).as_str());
    assert_eq!(
        name(&["a", &"€".repeat(9)].concat()),
        ["a", &"€".repeat(7)].concat().as_str()
    );
}

proptest! {
    #[test]
    fn text_survives_being_cut(text in texts(TEXT_BYTES_MAX)) {
        let mut assembler = Assembler::new();
        for part in transcript_parts(9, &text) {
            assembler.push(&part);
        }
        let expected = Assembled { text: &text, complete: true };
        prop_assert_eq!(assembler.finish(&outcome_of_text(9, &text)), expected);
    }
}
