//! Random messages for the property tests.
//!
//! Strategies out, nothing in. Compiled for tests only.

use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;
use proptest::sample::select;

use crate::limits::{NAME_BYTES_MAX, PART_BYTES_MAX};
use crate::text::{cut, name};
use crate::{
    Alert, Counters, Delivered, DeviceMessage, DeviceState, DropReason, FailCode, Hello,
    HostMessage, Job, JobState, Mark, Outcome, OutcomeResult, Part, Provider, State, Timing,
    Transcript, Trigger,
};

/// Numbers of all sizes: small ones are the rule on a wire, and rare among random `u32`.
pub(crate) fn numbers() -> impl Strategy<Value = u32> {
    (any::<u32>(), 0..32_u32).prop_map(|(number, shift)| number >> shift)
}

/// Text of any characters, at most `bytes_max` bytes.
pub(crate) fn texts(bytes_max: usize) -> impl Strategy<Value = String> {
    let chars = prop_oneof![any::<char>(), proptest::char::range(' ', '~')];
    proptest::collection::vec(chars, 0..=bytes_max).prop_map(move |chars| {
        let text: String = chars.into_iter().collect();
        cut(&text, bytes_max).into()
    })
}

fn hellos() -> impl Strategy<Value = Hello> {
    let names = (texts(NAME_BYTES_MAX), texts(NAME_BYTES_MAX));
    (any::<u8>(), any::<[u16; 3]>(), names, numbers()).prop_map(
        |(protocol, version, (board, model), boot)| Hello {
            protocol,
            version,
            board: name(&board),
            boot,
            model: name(&model),
        },
    )
}

fn states() -> impl Strategy<Value = State> {
    let codes = (select(DeviceState::ALL), select(Provider::ALL));
    (codes, any::<[bool; 3]>(), any::<u8>()).prop_map(
        |((state, provider), [microphone_ok, worker_ok, muted], waiting)| State {
            state,
            provider,
            microphone_ok,
            worker_ok,
            muted,
            waiting,
        },
    )
}

fn transcripts() -> impl Strategy<Value = Transcript> {
    (numbers(), any::<[u8; 2]>(), texts(PART_BYTES_MAX)).prop_map(
        |(utterance, [part, parts], text)| {
            let text = heapless::String::try_from(text.as_str()).unwrap();
            Transcript {
                utterance,
                part,
                parts,
                text,
            }
        },
    )
}

fn results() -> impl Strategy<Value = OutcomeResult> {
    prop_oneof![
        (any::<u16>(), any::<bool>())
            .prop_map(|(bytes, truncated)| OutcomeResult::Text { bytes, truncated }),
        Just(OutcomeResult::NoSpeech),
        select(DropReason::ALL).prop_map(OutcomeResult::Dropped),
        select(FailCode::ALL).prop_map(OutcomeResult::Failed),
        any::<u16>().prop_map(|command| OutcomeResult::Command { command }),
        Just(OutcomeResult::Unknown),
    ]
}

fn timings() -> impl Strategy<Value = Timing> {
    (numbers(), numbers(), numbers(), numbers(), numbers()).prop_map(
        |(capture_ms, queue_ms, encode_ms, decode_ms, link_ms)| Timing {
            capture_ms,
            queue_ms,
            encode_ms,
            decode_ms,
            link_ms,
        },
    )
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let heads = (numbers(), numbers(), select(Trigger::ALL), results());
    (heads, any::<u8>(), numbers(), timings()).prop_map(
        |((sequence, utterance, trigger, result), confidence, audio_ms, timing)| Outcome {
            sequence,
            utterance,
            trigger,
            result,
            confidence,
            audio_ms,
            timing,
        },
    )
}

fn counters() -> impl Strategy<Value = Counters> {
    proptest::collection::vec(numbers(), 12).prop_map(|values| {
        let mut counters = Counters::default();
        for ((key, _), value) in Counters::default().fields().iter().zip(values) {
            *counters.field_mut(key).unwrap() = value;
        }
        counters
    })
}

fn marks() -> impl Strategy<Value = Mark> {
    (numbers(), numbers()).prop_map(|(boot, next)| Mark { boot, next })
}

fn parts() -> impl Strategy<Value = Part> {
    (marks(), any::<[u8; 2]>(), texts(PART_BYTES_MAX)).prop_map(|(mark, [part, parts], text)| {
        Part {
            boot: mark.boot,
            sequence: mark.next,
            part,
            parts,
            text: heapless::String::try_from(text.as_str()).unwrap(),
        }
    })
}

fn delivered() -> impl Strategy<Value = Delivered> {
    (marks(), numbers(), outcomes()).prop_map(|(after, boot, outcome)| Delivered {
        after,
        boot,
        outcome,
    })
}

fn jobs() -> impl Strategy<Value = Job> {
    (numbers(), select(JobState::ALL), any::<u8>(), numbers()).prop_map(
        |(number, state, percent, left_s)| Job {
            number,
            state,
            percent,
            left_s,
        },
    )
}

fn reports() -> impl Strategy<Value = DeviceMessage> {
    prop_oneof![
        jobs().prop_map(DeviceMessage::Job),
        (select(Alert::ALL), any::<bool>())
            .prop_map(|(alert, on)| DeviceMessage::Alert { alert, on }),
    ]
}

/// Any message to the host.
pub(crate) fn device_messages() -> impl Strategy<Value = DeviceMessage> {
    prop_oneof![
        hellos().prop_map(DeviceMessage::Hello),
        states().prop_map(DeviceMessage::State),
        transcripts().prop_map(DeviceMessage::Transcript),
        outcomes().prop_map(DeviceMessage::Outcome),
        counters().prop_map(DeviceMessage::Counters),
        numbers().prop_map(|nonce| DeviceMessage::Pong { nonce }),
        parts().prop_map(DeviceMessage::Part),
        delivered().prop_map(DeviceMessage::Delivered),
        (marks(), marks()).prop_map(|(from, to)| DeviceMessage::Gap { from, to }),
        reports(),
    ]
}

/// Any message to the appliance.
pub(crate) fn host_messages() -> impl Strategy<Value = HostMessage> {
    prop_oneof![6 => host_line_messages(), 1 => marks().prop_map(HostMessage::Acknowledge)]
}

/// Any message to the appliance that has a line.
pub(crate) fn host_line_messages() -> impl Strategy<Value = HostMessage> {
    prop_oneof![
        numbers().prop_map(|nonce| HostMessage::Ping { nonce }),
        Just(HostMessage::PttDown),
        Just(HostMessage::PttUp),
        Just(HostMessage::Cancel),
        any::<bool>().prop_map(HostMessage::Mute),
        Just(HostMessage::GetStatus),
    ]
}

/// Any bytes, with many 0x00 among them.
pub(crate) fn noise(bytes_max: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => any::<u8>(), 1 => Just(0), 1 => 0..4_u8];
    proptest::collection::vec(byte, 0..=bytes_max)
}
