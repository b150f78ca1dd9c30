//! The arbiter, one story a test. `explorer` tries all of them.

mod explorer;

use std::string::String;
use std::vec::Vec;

use pressel_wire::Trigger;

use super::*;

const TEXT: OutcomeResult = OutcomeResult::Text {
    bytes: 4,
    truncated: false,
};
const LOST: Event = Event::Lost { left_off: false };
const GIVE: Event = Event::Give { files: true };
const GONE: Event = Event::Answered(CANCELLED);

fn press(id: u32) -> Event {
    Event::Offer(Utterance::of_test(id, Trigger::Ptt))
}

fn chunk(id: u32) -> Event {
    Event::Chunk(Utterance::of_test(id, Trigger::File))
}

/// Plays events at a worker that is ready, and compares the actions in words.
fn check(events: &[Event], expected: &[&str]) {
    let mut state = step(&State::default(), Event::Ready).next;
    let mut words: Vec<String> = Vec::new();
    for event in events {
        let step = step(&state, *event);
        state = step.next;
        words.extend(step.actions.iter().map(|action| match action {
            Action::Send(utterance) => std::format!("send {}", utterance.id),
            Action::Cancel => "cancel".into(),
            Action::End {
                utterance, result, ..
            } => match result {
                OutcomeResult::Text { .. } => std::format!("{} text", utterance.id),
                OutcomeResult::NoSpeech => std::format!("{} silence", utterance.id),
                OutcomeResult::Dropped(reason) => std::format!("{} {reason}", utterance.id),
                OutcomeResult::Failed(code) => std::format!("{} {code}", utterance.id),
                OutcomeResult::Command { command } => {
                    std::format!("{} command {command}", utterance.id)
                }
                OutcomeResult::Unknown => std::format!("{} unknown", utterance.id),
            },
        }));
    }
    assert_eq!(words, expected, "{events:?}");
}

#[test]
fn chunk_goes_to_an_idle_worker_and_ends_with_its_answer() {
    let events = [chunk(1), GIVE, Event::Answered(TEXT), GIVE];
    check(&events, &["send 1", "1 text"]);
}

#[test]
fn chunk_gives_way_to_talk_to_recording_and_to_what_waits_and_is_done_again() {
    for (begin, end) in [
        (Event::Talk(true), Event::Talk(false)),
        (Event::Open(true), Event::Open(false)),
    ] {
        let events = [chunk(1), GIVE, begin, GONE, GIVE, end, GIVE];
        check(&events, &["send 1", "cancel", "send 1"]);
    }
    let events = [chunk(1), GIVE, press(2), GONE, GIVE];
    check(&events, &["send 1", "cancel", "send 2"]);
}

#[test]
fn chunk_that_was_done_before_it_could_give_way_is_done() {
    let events = [chunk(1), GIVE, Event::Talk(true), Event::Answered(TEXT)];
    check(&events, &["send 1", "cancel", "1 text"]);
}

#[test]
fn chunk_is_tried_twice_and_giving_way_is_no_try() {
    let events = [
        chunk(1),
        GIVE,
        Event::Talk(true),
        GONE,
        Event::Talk(false),
        GIVE,
        LOST,
        Event::Ready,
        GIVE,
        Event::Talk(true),
        GONE,
        Event::Talk(false),
        GIVE,
        LOST,
    ];
    let expected = [
        "send 1",
        "cancel",
        "send 1",
        "send 1",
        "cancel",
        "send 1",
        "1 workerdied",
    ];
    check(&events, &expected);
}

#[test]
fn chunk_waits_while_the_worker_is_left_off_and_while_the_host_cancels() {
    let off = Event::Lost { left_off: true };
    let events = [
        chunk(1),
        GIVE,
        off,
        press(2),
        Event::Cancel,
        Event::NoModel,
        Event::Started,
        Event::Ready,
        GIVE,
        Event::Cancel,
        Event::Answered(TEXT),
    ];
    check(&events, &["send 1", "2 workerdown", "send 1", "1 text"]);
}

#[test]
fn chunk_that_is_held_back_waits_and_utterances_do_not() {
    let held = Event::Give { files: false };
    let done = Event::Answered(TEXT);
    let events = [chunk(1), held, press(2), held, done, held, GIVE];
    check(&events, &["send 2", "2 text", "send 1"]);
}

const OFF: Event = Event::Lost { left_off: true };

#[test]
fn what_was_there_before_a_pause_waits_and_what_comes_during_it_fails() {
    let done = Event::Answered(TEXT);
    let events = [
        press(1),
        GIVE,
        press(2),
        OFF,
        press(3),
        Event::Started,
        press(4),
        Event::Ready,
        GIVE,
        done,
        GIVE,
        done,
        GIVE,
        done,
    ];
    let expected = [
        "send 1",
        "3 workerdown",
        "send 1",
        "1 text",
        "send 2",
        "2 text",
        "send 4",
        "4 text",
    ];
    check(&events, &expected);
}

#[test]
fn second_try_that_a_pause_ends_has_failed() {
    let events = [press(1), GIVE, LOST, Event::Ready, GIVE, OFF];
    check(&events, &["send 1", "send 1", "1 workerdied"]);
}

#[test]
fn second_pause_without_a_ready_worker_ends_what_waits() {
    let events = [press(1), GIVE, press(2), OFF, Event::Started, LOST, OFF];
    check(&events, &["send 1", "1 workerdown", "2 workerdown"]);
    // A worker that was ready begins anew.
    let events = [press(1), OFF, Event::Ready, OFF, Event::Ready, GIVE];
    check(&events, &["send 1"]);
}

#[test]
fn chunk_that_takes_too_long_has_failed_whatever_comes_after() {
    for end in [Event::Answered(TEXT), GONE, LOST] {
        let events = [chunk(1), GIVE, Event::Late, Event::Talk(true), end];
        check(&events, &["send 1", "cancel", "1 timeout"]);
    }
}

#[test]
fn stop_ends_everything_that_is_inside() {
    let events = [
        chunk(1),
        press(1),
        GIVE,
        press(2),
        press(3),
        press(4),
        Event::Stop,
        press(5),
        chunk(2),
    ];
    let expected = [
        "send 1",
        "1 shutdown",
        "2 shutdown",
        "3 shutdown",
        "4 shutdown",
        "1 shutdown",
        "5 shutdown",
        "2 shutdown",
    ];
    check(&events, &expected);
}

#[test]
fn second_chunk_at_once_is_a_fault_of_its_giver() {
    check(&[chunk(1), chunk(2)], &["2 internal"]);
}
