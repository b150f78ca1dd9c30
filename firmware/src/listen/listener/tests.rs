//! Tests of the listener with a scripted ear: loud frames are speech.
//!
//! A test is a list of blocks and commands, and the events that they must give.

use pressel_models::fake::ScriptedWakeWord;
use pressel_models::{ModelError, Vad, WakeWord, vad};
use pressel_pipeline::limits::HANDS_FREE_SAMPLES_MAX;
use pressel_pipeline::trim;
use pressel_pipeline::utterance::CloseReason;

use std::slice;
use std::vec::Vec;

use super::super::words::one_word;
use super::*;
use crate::config::{Config, Endpoint, Trigger as Opens};
use crate::outcome;

/// Hears speech in frames that hold a sample above 1,000.
struct LoudVad;

impl Vad for LoudVad {
    fn hear(&mut self, frame: &[i16; vad::FRAME_SAMPLES]) -> Result<f32, ModelError> {
        Ok(if frame.iter().any(|&sample| 1_000 < sample) {
            0.9
        } else {
            0.0
        })
    }
    fn reset(&mut self) {}
}

/// Slots in plain memory.
struct TestSlots {
    memory: Vec<Vec<i16>>,
    free: Vec<u8>,
}

impl TestSlots {
    fn new(count: u8) -> Self {
        let memory = vec![vec![0; UTTERANCE_SAMPLES_MAX]; usize::from(count)];
        Self {
            memory,
            free: (0..count).collect(),
        }
    }
}

impl Slots for TestSlots {
    fn take(&mut self) -> Option<u8> {
        self.free.pop()
    }
    fn give_back(&mut self, slot: u8) {
        self.free.push(slot);
    }
    fn memory(&mut self, slot: u8) -> &mut [i16] {
        &mut self.memory[usize::from(slot)]
    }
    fn wipe_free(&mut self) {
        for &slot in &self.free {
            self.memory[usize::from(slot)].fill(0);
        }
    }
}

fn listener(opens: Opens, slots: u8) -> Listener<TestSlots> {
    let config = Config {
        trigger: opens,
        ..Config::default()
    };
    let ears = Ears::new(Box::new(LoudVad), None);
    Listener::new(config.tuning(), ears, TestSlots::new(slots))
}

/// A block whose samples tell their own time (modulo 1,000), louder where `loud`.
fn block(start: SampleTime, loud: bool) -> Block {
    let samples = core::array::from_fn(|offset| {
        let value = i16::try_from((start + offset as u64) % 1_000).unwrap();
        if loud { 2_000 + value } else { value }
    });
    Block { start, samples }
}

/// Plays blocks `from..to`, loud inside `speech`, and returns all events.
fn play(
    listener: &mut Listener<TestSlots>,
    to: SampleTime,
    speech: core::ops::Range<SampleTime>,
) -> Vec<ListenEvent> {
    let mut all = Vec::new();
    while listener.heard() < to {
        let mut events = Events::new();
        let start = listener.heard();
        listener.hear(&block(start, speech.contains(&start)), &mut events);
        all.extend(events);
    }
    all
}

fn obey(listener: &mut Listener<TestSlots>, control: Control) -> Vec<ListenEvent> {
    let mut events = Events::new();
    listener.obey(
        Command {
            at: listener.heard(),
            control,
        },
        &mut events,
    );
    events.into_iter().collect()
}

fn closed(events: &[ListenEvent]) -> Vec<ClosedUtterance> {
    let closed = |event: &ListenEvent| match event {
        ListenEvent::Closed(closed) => Some(*closed),
        _ => None,
    };
    events.iter().filter_map(closed).collect()
}

#[test]
fn press_keeps_half_a_second_from_before_it_sample_by_sample() {
    let mut listener = listener(Opens::Ptt, 2);
    play(&mut listener, 32_000, 0..0);
    let opened = obey(&mut listener, Control::TalkStart);
    assert!(matches!(
        opened[..],
        [ListenEvent::Opened {
            id: 1,
            start: 24_000,
            ..
        }]
    ));
    play(&mut listener, 48_128, 36_864..40_960);
    let mut events = obey(&mut listener, Control::TalkStop);
    events.extend(play(&mut listener, 64_000, 0..0));
    let [utterance] = closed(&events)[..] else {
        panic!("one utterance: {events:?}")
    };
    assert_eq!(
        (utterance.start, utterance.samples),
        (24_000, 48_128 + 3_200 - 24_000)
    );
    assert_eq!(utterance.reason, CloseReason::Released);
    let speech = utterance.speech.expect("speech was heard");
    assert_eq!(
        (speech.start, speech.end),
        (36_864 - 24_000, 40_960 - 24_000)
    );
    let memory = listener.slots().memory(utterance.slot);
    for (offset, &sample) in memory[..utterance.samples as usize].iter().enumerate() {
        let time = 24_000 + offset as u64;
        let value = i16::try_from(time % 1_000).unwrap();
        let loud = (36_864..40_960).contains(&(time / 256 * 256));
        assert_eq!(
            sample,
            if loud { 2_000 + value } else { value },
            "sample {time}"
        );
    }
}

#[test]
fn silence_while_the_button_is_held_is_an_utterance_without_speech() {
    let mut listener = listener(Opens::Ptt, 2);
    play(&mut listener, 16_384, 0..0);
    obey(&mut listener, Control::TalkStart);
    play(&mut listener, 32_768, 0..0);
    obey(&mut listener, Control::TalkStop);
    let events = play(&mut listener, 49_152, 0..0);
    let [utterance] = closed(&events)[..] else {
        panic!("one utterance: {events:?}")
    };
    assert_eq!(utterance.speech, None);
}

#[test]
fn voice_opens_before_the_speech_and_closes_after_it() {
    let mut listener = listener(Opens::Voice, 2);
    let events = play(&mut listener, 64_000, 20_480..32_768);
    let [utterance] = closed(&events)[..] else {
        panic!("one utterance: {events:?}")
    };
    assert_eq!(utterance.start, 20_480 - 4_800);
    assert_eq!(
        utterance.start + u64::from(utterance.samples),
        32_768 + 4_800
    );
    assert_eq!(utterance.reason, CloseReason::Endpoint);
    assert!(events.contains(&ListenEvent::SpeechStart(20_480)));
    assert!(events.contains(&ListenEvent::SpeechEnd(32_768)));
}

#[test]
fn voice_longer_than_its_limit_and_a_press_longer_than_a_slot_lose_no_sample() {
    check_goes_on(Opens::Voice, 20, HANDS_FREE_SAMPLES_MAX);
    check_goes_on(Opens::Ptt, 40, UTTERANCE_SAMPLES_MAX);
}

/// Speech of so many seconds must give two utterances without a gap; the first is full.
fn check_goes_on(opens: Opens, seconds: u64, samples_max: usize) {
    let mut listener = listener(opens, 3);
    if opens == Opens::Ptt {
        obey(&mut listener, Control::TalkStart);
    }
    let all = seconds * 16_000;
    let mut events = play(&mut listener, all, 16_384..all);
    let mut last = Events::new();
    listener.finish(&mut last);
    events.extend(last);
    let utterances = closed(&events);
    let [first, second] = utterances[..] else {
        panic!("two utterances: {events:?}")
    };
    assert_eq!(first.reason, CloseReason::Full);
    assert_eq!(first.samples as usize, samples_max);
    assert_eq!(second.start, first.start + u64::from(first.samples));
    assert_eq!(second.start + u64::from(second.samples), listener.heard());
}

#[test]
fn without_a_free_slot_the_utterance_is_lost_as_busy() {
    let mut listener = listener(Opens::Voice, 1);
    let first = play(&mut listener, 64_000, 20_480..32_768);
    assert_eq!(closed(&first).len(), 1);
    let second = play(&mut listener, 160_000, 79_872..100_352);
    let lost = ListenEvent::Lost(LostUtterance {
        id: 2,
        trigger: Trigger::Voice,
        start: 79_872 - 4_800,
        samples: 100_352 + 4_800 - 79_872 + 4_800,
        reason: DropReason::Busy,
    });
    assert!(second.contains(&lost), "{second:?}");
}

#[test]
fn press_in_a_gap_in_the_tail_of_another_loses_no_time() {
    let mut listener = listener(Opens::Ptt, 6);
    play(&mut listener, 16_384, 0..0);
    obey(&mut listener, Control::TalkStart);
    play(&mut listener, 24_576, 0..0);
    obey(&mut listener, Control::TalkStop);
    // Blocks are dropped here, and the next press comes before the next block.
    let mut events = Events::new();
    let press = Command {
        at: 24_576 + 2_048,
        control: Control::TalkStart,
    };
    listener.obey(press, &mut events);
    let events: Vec<ListenEvent> = events.into_iter().collect();
    assert_eq!(events[0], ListenEvent::Gap(2_048));
    let first = closed(&events)[0];
    assert_eq!(first.start + u64::from(first.samples), 24_576 + 2_048);
    assert_eq!(listener.heard(), 24_576 + 2_048);
}

#[test]
fn gap_is_silence_of_its_own_length() {
    let mut listener = listener(Opens::Ptt, 2);
    play(&mut listener, 16_128, 0..0);
    obey(&mut listener, Control::TalkStart);
    let mut events = Events::new();
    let after = 16_128 + 4_000;
    listener.hear(&block(after, false), &mut events);
    assert_eq!(events[0], ListenEvent::Gap(4_000));
    assert_eq!(listener.heard(), after + 256);
    obey(&mut listener, Control::TalkStop);
    let events = play(&mut listener, 40_000, 0..0);
    let [utterance] = closed(&events)[..] else {
        panic!("one utterance: {events:?}")
    };
    let offset = usize::try_from(16_128 - utterance.start).unwrap();
    let memory = listener.slots().memory(utterance.slot);
    assert!(
        memory[offset..offset + 4_000]
            .iter()
            .all(|&sample| sample == 0)
    );
    assert_ne!(memory[offset + 4_000..offset + 4_200], [0; 200]);
}

#[test]
fn mute_discards_the_utterance_and_leaves_no_sample() {
    let mut listener = listener(Opens::Ptt, 1);
    play(&mut listener, 16_384, 0..16_384);
    obey(&mut listener, Control::TalkStart);
    play(&mut listener, 24_576, 0..24_576);
    let events = obey(&mut listener, Control::Mute);
    let lost = ListenEvent::Lost(LostUtterance {
        id: 1,
        trigger: Trigger::Ptt,
        start: 16_384 - 8_000,
        samples: 24_576 - 16_384 + 8_000,
        reason: DropReason::Muted,
    });
    assert_eq!(events, [lost]);
    assert!(listener.slots().memory(0).iter().all(|&sample| sample == 0));
    let mut kept = [1; 256];
    listener.history.copy(listener.heard() - 256, &mut kept);
    assert_eq!(kept, [0; 256]);
}

#[test]
fn same_blocks_give_the_same_events() {
    let run = || play(&mut listener(Opens::Voice, 6), 320_000, 20_480..90_112);
    assert_eq!(run(), run());
}

#[test]
fn speech_that_began_before_the_history_starts_where_the_history_does() {
    let mut listener = listener(Opens::Voice, 2);
    listener.tuning.gate.speech_min = 48_000; // longer than the history
    let events = play(&mut listener, 160_000, 20_480..100_352);
    let [utterance] = closed(&events)[..] else {
        panic!("one utterance: {events:?}")
    };
    assert!(20_480 < utterance.start);
    assert_eq!(
        utterance.start + u64::from(utterance.samples),
        100_352 + 4_800
    );
}

/// Plays blocks up to `to`, loud inside `speech`, and returns what the worker may look at, each
/// with the time at which it was told.
fn play_ahead(
    listener: &mut Listener<TestSlots>,
    to: SampleTime,
    speech: &[core::ops::Range<SampleTime>],
) -> (Vec<ListenEvent>, Vec<(SampleTime, Ahead)>) {
    let (mut all, mut told) = (Vec::new(), Vec::new());
    while listener.heard() < to {
        let mut events = Events::new();
        let start = listener.heard();
        let loud = speech.iter().any(|speech| speech.contains(&start));
        listener.hear(&block(start, loud), &mut events);
        all.extend(events);
        told.extend(listener.ahead().map(|ahead| (listener.heard(), ahead)));
    }
    (all, told)
}

/// What the last guess was about, and when it was made.
fn last_guess(told: &[(SampleTime, Ahead)]) -> (SampleTime, u32, u32) {
    let guess = told.iter().rfind(|(_, ahead)| ahead.look.is_guess);
    let (at, ahead) = guess.expect("a guess was made");
    (*at, ahead.look.start, ahead.look.samples)
}

#[test]
fn guess_is_what_is_asked_for_when_nothing_more_is_said() {
    for endpoint in [Endpoint::Quick, Endpoint::Normal] {
        let mut config = Config {
            trigger: Opens::Voice,
            ..Config::default()
        };
        config.speech.endpoint = endpoint;
        let ears = Ears::new(Box::new(LoudVad), None);
        let mut listener = Listener::new(config.tuning(), ears, TestSlots::new(2));
        let speech = [20_480..32_768, 35_840..49_152];
        let (events, told) = play_ahead(&mut listener, 80_000, &speech);
        let [utterance] = closed(&events)[..] else {
            panic!("one utterance: {events:?}")
        };
        let (at, start, samples) = last_guess(&told);
        let asked = outcome::utterance(&utterance, 0, 0);
        assert_eq!(trim::speech(&asked), (start, samples));
        // A quarter of a second after the speech, to the next frame; and before it is closed.
        assert_eq!(at, 49_152 + 4_096);
        assert!(at < utterance.closed_at);
        let ids = told.iter().map(|(_, ahead)| (ahead.utterance, ahead.slot));
        assert!(
            ids.into_iter()
                .all(|id| id == (utterance.id, utterance.slot))
        );
    }
}

#[test]
fn release_makes_no_other_guess_and_the_tail_is_guessed_once_it_is_there() {
    // The button is let go so long after the last speech, and the guess comes so long after it.
    for (release, guess) in [
        (8_192, Some(4_096)),
        (2_048, Some(3_584)),
        (512, Some(3_584)),
        (0, None),
    ] {
        let mut listener = listener(Opens::Ptt, 2);
        play(&mut listener, 16_384, 0..0);
        obey(&mut listener, Control::TalkStart);
        let speech = 20_480..32_768;
        let (_, mut told) = play_ahead(&mut listener, 32_768 + release, slice::from_ref(&speech));
        obey(&mut listener, Control::TalkStop);
        let (events, more) = play_ahead(&mut listener, 64_000, &[]);
        told.extend(more);
        let [utterance] = closed(&events)[..] else {
            panic!("one utterance: {events:?}")
        };
        let asked = trim::speech(&outcome::utterance(&utterance, 3_200, 0));
        let guesses: Vec<_> = told.iter().filter(|(_, told)| told.look.is_guess).collect();
        assert_eq!(guesses.len(), usize::from(guess.is_some()));
        if let Some(after) = guess {
            let (at, start, samples) = last_guess(&told);
            assert_eq!((at, (start, samples)), (32_768 + after, asked));
        }
    }
}

#[test]
fn nothing_is_told_ahead_where_that_is_off_or_there_is_no_speech_or_no_slot() {
    for (guess, slots, speech) in [
        (false, 2, 20_480..40_960),
        (true, 2, 0..0),
        (true, 0, 20_480..40_960),
    ] {
        let mut config = Config::default();
        config.speech.guess = guess;
        let ears = Ears::new(Box::new(LoudVad), None);
        let mut listener = Listener::new(config.tuning(), ears, TestSlots::new(slots));
        obey(&mut listener, Control::TalkStart);
        let (_, told) = play_ahead(&mut listener, 64_000, slice::from_ref(&speech));
        assert_eq!(told, []);
    }
}

/// A listener whose wake word is found in these frames of 80 ms, and ends with each.
fn waking(frames: &[u64]) -> Listener<TestSlots> {
    let config = Config {
        trigger: Opens::Wake,
        ..Config::default()
    };
    let words = one_word(Box::new(ScriptedWakeWord::new(frames.to_vec())));
    let ears = Ears::new(Box::new(LoudVad), Some(words));
    Listener::new(config.tuning(), ears, TestSlots::new(2))
}

/// Where the word of frame 12 ends.
const WORD_END: SampleTime = 13 * 1_280;

#[test]
fn what_is_said_behind_the_wake_word_without_a_pause_is_the_utterance() {
    let mut listener = waking(&[12]);
    let events = play(&mut listener, 96_000, 4_096..48_128);
    let [utterance] = closed(&events)[..] else {
        panic!("one utterance: {events:?}")
    };
    assert_eq!(utterance.trigger, Trigger::Wake);
    assert_eq!(utterance.start, WORD_END);
    assert_eq!(utterance.reason, CloseReason::Endpoint);
    let end = utterance.start + u64::from(utterance.samples);
    assert!((48_128..=48_128 + 2 * 4_800).contains(&end), "{end}");
    // Not a sample is missing, and none of the word is in it.
    let memory = listener.slots().memory(utterance.slot);
    for (offset, &sample) in memory[..4_096].iter().enumerate() {
        let time = WORD_END + offset as u64;
        assert_eq!(sample, 2_000 + i16::try_from(time % 1_000).unwrap());
    }
    // The word lies at the end of the slot for a second look, up to where it was found.
    let (silence, clip) = memory[CLIP_START..].split_at(WAKE_CLIP_SAMPLES - WORD_END as usize);
    assert!(silence.iter().all(|&sample| sample == 0));
    for (time, &sample) in clip.iter().enumerate() {
        assert_eq!(sample % 1_000, i16::try_from(time % 1_000).unwrap());
    }
}

#[test]
fn speech_behind_the_wake_word_may_last_longer_than_the_patience() {
    let mut listener = waking(&[12]);
    let events = play(&mut listener, 200_000, 4_096..150_016);
    let [utterance] = closed(&events)[..] else {
        panic!("one utterance: {events:?}")
    };
    assert_eq!(utterance.reason, CloseReason::Endpoint);
    assert!(150_016 <= utterance.start + u64::from(utterance.samples));
}

#[test]
fn a_wake_word_alone_ends_without_speech() {
    let mut listener = waking(&[12]);
    // The word goes on a little behind its end.
    let events = play(&mut listener, 128_000, 8_192..18_432);
    let [utterance] = closed(&events)[..] else {
        panic!("one utterance: {events:?}")
    };
    assert_eq!(utterance.reason, CloseReason::NothingSaid);
    assert_eq!(utterance.speech, None);
}

#[test]
fn a_wake_word_that_is_found_twice_in_its_refractory_time_counts_once() {
    let heard = |frames: &[u64]| {
        let events = play(&mut waking(frames), 160_000, 0..0);
        let wakes = events
            .iter()
            .filter(|event| matches!(event, ListenEvent::Wake { .. }));
        wakes.count()
    };
    assert_eq!(heard(&[12, 13, 20]), 1);
    assert_eq!(heard(&[12, 13, 60]), 2);
}

#[test]
fn a_wake_model_that_fails_is_told_once_and_the_rest_goes_on() {
    struct Broken;
    impl WakeWord for Broken {
        fn word_count(&self) -> usize {
            1
        }
        fn hear(
            &mut self,
            _: &[i16; wake_word::FRAME_SAMPLES],
            _: &mut [f32],
        ) -> Result<(), ModelError> {
            Err(ModelError::Reload)
        }
        fn reset(&mut self) {}
    }
    let config = Config::default();
    let ears = Ears::new(Box::new(LoudVad), Some(one_word(Box::new(Broken))));
    let mut listener = Listener::new(config.tuning(), ears, TestSlots::new(1));
    let events = play(&mut listener, 64_000, 8_192..32_768);
    let failed = events
        .iter()
        .filter(|event| **event == ListenEvent::WakeFailed);
    assert_eq!(failed.count(), 1);
    let speech = events
        .iter()
        .filter(|event| matches!(event, ListenEvent::SpeechStart(_)));
    assert_eq!(speech.count(), 1);
}
