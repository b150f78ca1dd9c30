//! Tests of the utterance machine.
//!
//! A test is a list of events and the actions that it must give; one property covers any list.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const TUNING: Tuning = Tuning {
    pre_roll: 500,
    post_roll: 200,
    start_padding: 300,
    end_padding: 150,
    wake_patience: 5_000,
    wake_speech_min: 400,
    voice_opens: true,
};

fn play(events: &[Event]) -> Vec<Action> {
    let mut state = State::Closed { since: 0 };
    let mut actions = Vec::new();
    for &event in events {
        let step = step(&state, event, &TUNING);
        state = step.next;
        actions.extend(step.actions);
    }
    actions
}

fn check(events: &[Event], expected: &[Action]) {
    assert_eq!(play(events), expected);
}

const fn open(trigger: Trigger, start: u64) -> Action {
    Action::Open { trigger, start }
}
const fn close(trigger: Trigger, end: u64, reason: CloseReason) -> Action {
    Action::Close {
        trigger,
        end,
        reason,
    }
}

#[test]
fn press_keeps_the_pre_roll_and_release_the_post_roll() {
    check(
        &[
            Event::TalkStart(1_000),
            Event::TalkStop(3_000),
            Event::Heard(3_199),
            Event::Heard(3_200),
        ],
        &[
            open(Trigger::Ptt, 500),
            close(Trigger::Ptt, 3_200, CloseReason::Released),
        ],
    );
}

#[test]
fn pre_roll_never_takes_samples_of_the_utterance_before() {
    check(
        &[
            Event::TalkStart(1_000),
            Event::TalkStop(2_000),
            Event::Heard(2_200),
            Event::TalkStart(2_300),
        ],
        &[
            open(Trigger::Ptt, 500),
            close(Trigger::Ptt, 2_200, CloseReason::Released),
            open(Trigger::Ptt, 2_200),
        ],
    );
}

#[test]
fn press_in_the_tail_starts_the_next_utterance_at_that_sample() {
    check(
        &[
            Event::TalkStart(1_000),
            Event::TalkStop(2_000),
            Event::TalkStart(2_100),
        ],
        &[
            open(Trigger::Ptt, 500),
            close(Trigger::Ptt, 2_100, CloseReason::Pressed),
            open(Trigger::Ptt, 2_100),
        ],
    );
}

#[test]
fn full_utterance_goes_on_in_the_next_one() {
    let full = 500 + UTTERANCE_SAMPLES_MAX as u64;
    check(
        &[
            Event::TalkStart(1_000),
            Event::Heard(full),
            Event::TalkStop(full + 10),
            Event::Heard(full + 300),
        ],
        &[
            open(Trigger::Ptt, 500),
            close(Trigger::Ptt, full, CloseReason::Full),
            open(Trigger::Ptt, full),
            close(Trigger::Ptt, full + 210, CloseReason::Released),
        ],
    );
}

#[test]
fn voice_without_a_pause_goes_on_in_the_next_utterance() {
    let full = 700 + HANDS_FREE_SAMPLES_MAX as u64;
    check(
        &[
            Event::SpeechStart(1_000),
            Event::Heard(full),
            Event::SpeechEnd(full + 100),
            Event::Heard(full + 300),
        ],
        &[
            open(Trigger::Voice, 700),
            close(Trigger::Voice, full, CloseReason::Full),
            open(Trigger::Voice, full),
            close(Trigger::Voice, full + 250, CloseReason::Endpoint),
        ],
    );
}

#[test]
fn speech_without_a_pause_after_a_wake_word_ends_at_its_limit() {
    let full = 1_000 + HANDS_FREE_SAMPLES_MAX as u64;
    check(
        &[
            Event::WakeHeard(1_000),
            Event::SpeechStart(1_200),
            Event::Heard(full - 1),
            Event::Heard(full),
            Event::SpeechEnd(full + 100),
            Event::Heard(full + 300),
            Event::WakeHeard(full + 400),
        ],
        &[
            open(Trigger::Wake, 1_000),
            close(Trigger::Wake, full, CloseReason::Full),
            open(Trigger::Wake, full + 400),
        ],
    );
}

#[test]
fn patience_is_left_when_all_that_was_heard_was_the_end_of_the_wake_word() {
    check(
        &[
            Event::WakeHeard(1_000),
            Event::SpeechStart(1_100),
            Event::SpeechEnd(1_300),
            Event::Heard(5_999),
            Event::Heard(6_000),
        ],
        &[
            open(Trigger::Wake, 1_000),
            close(Trigger::Wake, 6_000, CloseReason::NothingSaid),
        ],
    );
}

#[test]
fn press_that_takes_over_may_be_as_long_as_any_press() {
    let full = 700 + UTTERANCE_SAMPLES_MAX as u64;
    check(
        &[
            Event::SpeechStart(1_000),
            Event::TalkStart(2_000),
            Event::Heard(full - 1),
            Event::Heard(full),
        ],
        &[
            open(Trigger::Voice, 700),
            close(Trigger::Ptt, full, CloseReason::Full),
            open(Trigger::Ptt, full),
        ],
    );
}

#[test]
fn voice_opens_and_closes_an_utterance() {
    check(
        &[
            Event::SpeechStart(1_000),
            Event::SpeechEnd(2_000),
            Event::Heard(2_700),
        ],
        &[
            open(Trigger::Voice, 700),
            close(Trigger::Voice, 2_150, CloseReason::Endpoint),
        ],
    );
}

#[test]
fn press_takes_over_an_utterance_that_voice_opened() {
    check(
        &[
            Event::SpeechStart(1_000),
            Event::TalkStart(1_500),
            Event::SpeechEnd(2_000),
            Event::Heard(2_500),
            Event::TalkStop(3_000),
            Event::Heard(3_200),
        ],
        &[
            open(Trigger::Voice, 700),
            close(Trigger::Ptt, 3_200, CloseReason::Released),
        ],
    );
}

#[test]
fn speech_after_the_wake_word_is_one_utterance() {
    check(
        &[
            Event::WakeHeard(1_000),
            Event::SpeechEnd(1_050),
            Event::SpeechStart(2_000),
            Event::SpeechEnd(3_000),
            Event::Heard(4_000),
        ],
        &[
            open(Trigger::Wake, 1_000),
            close(Trigger::Wake, 3_150, CloseReason::Endpoint),
        ],
    );
}

#[test]
fn silence_after_the_wake_word_ends_it() {
    check(
        &[Event::WakeHeard(1_000), Event::Heard(6_000)],
        &[
            open(Trigger::Wake, 1_000),
            close(Trigger::Wake, 6_000, CloseReason::NothingSaid),
        ],
    );
}

#[test]
fn discarded_utterance_is_not_closed() {
    check(
        &[
            Event::TalkStart(1_000),
            Event::Discard(1_200),
            Event::TalkStop(1_300),
        ],
        &[
            open(Trigger::Ptt, 500),
            Action::Discard {
                trigger: Trigger::Ptt,
            },
        ],
    );
}

proptest! {
    /// Whatever happens, utterances follow each other: each is closed or discarded before the next
    /// opens, none is longer than the limit, and no sample is in two of them.
    #[test]
    fn utterances_never_overlap(
        kinds in proptest::collection::vec((0_u8..7, 1_u64..40_000), 1..300),
    ) {
        let mut now = 0;
        let mut state = State::Closed { since: 0 };
        let (mut opened, mut last_end) = (None, 0);
        for (kind, pass) in kinds {
            now += pass;
            let event = match kind {
                0 => Event::TalkStart(now),
                1 => Event::TalkStop(now),
                2 => Event::Discard(now),
                3 => Event::SpeechStart(now.saturating_sub(100)),
                4 => Event::SpeechEnd(now.saturating_sub(300)),
                5 => Event::WakeHeard(now),
                _ => Event::Heard(now),
            };
            // As in listen: every event is followed by the news of how far the stream has come.
            for event in [event, Event::Heard(now)] {
                let step = step(&state, event, &TUNING);
                state = step.next;
                for action in step.actions {
                    match action {
                        Action::Open { start, .. } => {
                            prop_assert!(opened.is_none());
                            prop_assert!(last_end <= start);
                            opened = Some(start);
                        }
                        Action::Close { end, .. } => {
                            let start = opened.take().expect("close without open");
                            prop_assert!(start <= end && end <= now);
                            prop_assert!(end - start <= UTTERANCE_SAMPLES_MAX as u64);
                            last_end = end;
                        }
                        Action::Discard { .. } => prop_assert!(opened.take().is_some()),
                    }
                }
            }
        }
    }
}
