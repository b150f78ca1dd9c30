//! Words for records: one log line, or one JSON object.
//!
//! Log lines never hold what was said; JSON objects, which the owner asks for, do.

use log::Level;
use pressel_pipeline::time::{SAMPLES_PER_MS, SampleTime};
use pressel_wire::{Counters, Outcome, OutcomeResult};
use serde_json::{Value, json};

use super::Record;
use crate::stream::ListenEvent;

/// Returns the level and words of a record's log line.
#[must_use]
pub fn log_line(record: &Record) -> (Level, String) {
    match record {
        Record::State(state) => (
            Level::Info,
            format!(
                "state {} provider={} microphone={} worker={} waiting={}",
                state.state, state.provider, state.microphone_ok, state.worker_ok, state.waiting
            ),
        ),
        Record::Listen(event) => listen_line(event),
        Record::Outcome { outcome, start, .. } => outcome_line(outcome, *start),
        Record::Microphone(error) => (Level::Warn, format!("microphone {error}")),
        Record::Link(error) => (Level::Warn, format!("link {error}")),
        Record::WorkerReady { cuda, load_ms } => {
            let provider = if *cuda { "cuda" } else { "cpu" };
            (
                Level::Info,
                format!("worker ready provider={provider} load_ms={load_ms}"),
            )
        }
        Record::ChunkYielded { after_ms } => {
            (Level::Debug, format!("chunk yielded after_ms={after_ms}"))
        }
        Record::Guess {
            utterance,
            audio_ms,
            adopted,
        } => {
            let fate = if *adopted { "adopted" } else { "made" };
            let line = format!("guess {fate} id={utterance} audio_ms={audio_ms}");
            (Level::Debug, line)
        }
        Record::WakeRefused { utterance, word } => {
            let line = format!("wake refused id={utterance} word=\"{}\"", word.as_str());
            (Level::Info, line)
        }
        Record::WorkerCannotLoad(reason) => (Level::Error, format!("worker cannot load: {reason}")),
        Record::WorkerLost(why) => (Level::Error, format!("worker lost: {why}")),
        Record::WorkerLeftOff { ms } => (
            Level::Error,
            format!("worker failed too often, left off wait_ms={ms}"),
        ),
        Record::WorkerFellBack => (
            Level::Error,
            "worker failed too often on cuda, the processor takes over".to_owned(),
        ),
        Record::FilesHeld { ms } => (
            Level::Error,
            format!("worker failed too often over files, files wait wait_ms={ms}"),
        ),
        Record::Pin { role, errno } => {
            (Level::Warn, format!("pin failed role={role} errno={errno}"))
        }
        Record::PixelsWork { failures } => (
            Level::Info,
            format!("pin works again role=pixels failures={failures}"),
        ),
        Record::Panic { thread, count } => (
            Level::Error,
            format!("thread panicked and was rebuilt name={thread} total={count}"),
        ),
        Record::Missing(count) => (Level::Warn, format!("records missing count={count}")),
        Record::Gap { from, to } => (
            Level::Warn,
            format!(
                "link gap from_boot={} from_next={} to_boot={} to_next={}",
                from.boot, from.next, to.boot, to.next
            ),
        ),
        Record::Counters(counters) => (Level::Info, format!("counters {counters:?}")),
    }
}

fn listen_line(event: &ListenEvent) -> (Level, String) {
    match event {
        ListenEvent::SpeechStart(at) => (Level::Debug, format!("speech start at_ms={}", ms(*at))),
        ListenEvent::SpeechEnd(at) => (Level::Debug, format!("speech end at_ms={}", ms(*at))),
        ListenEvent::Wake { word, score, at } => (
            Level::Info,
            format!(
                "wake word=\"{}\" score={score:.2} at_ms={}",
                word.as_str(),
                ms(*at)
            ),
        ),
        ListenEvent::Opened { id, trigger, start } => (
            Level::Info,
            format!(
                "utterance open id={id} trigger={trigger} at_ms={}",
                ms(*start)
            ),
        ),
        ListenEvent::Ahead(ahead) => (
            Level::Trace,
            format!(
                "utterance goes on id={} audio_ms={}",
                ahead.utterance,
                ms(u64::from(ahead.look.samples))
            ),
        ),
        ListenEvent::Closed(closed) => (
            Level::Info,
            format!(
                "utterance closed id={} audio_ms={} reason={:?}",
                closed.id,
                ms(u64::from(closed.samples)),
                closed.reason
            ),
        ),
        ListenEvent::Lost(lost) => (
            Level::Debug,
            format!(
                "utterance lost id={} trigger={} reason={}",
                lost.id, lost.trigger, lost.reason
            ),
        ),
        ListenEvent::Gap(samples) => (Level::Warn, format!("audio gap lost_ms={}", ms(*samples))),
        ListenEvent::ThreadPanicked { .. } => (Level::Debug, "listen panicked".to_owned()),
        ListenEvent::VadFellBack => (
            Level::Error,
            "voice activity model failed, the level decides now".to_owned(),
        ),
        ListenEvent::WakeFailed => (
            Level::Error,
            "wake word model failed, no wake word is heard until the next start".to_owned(),
        ),
    }
}

fn outcome_line(outcome: &Outcome, start: SampleTime) -> (Level, String) {
    let timing = outcome.timing;
    let level = match outcome.result {
        OutcomeResult::Failed(_) | OutcomeResult::Dropped(_) => Level::Warn,
        _ => Level::Info,
    };
    let line = format!(
        "outcome {} id={} at_ms={} audio_ms={} capture_ms={} queue_ms={} encode_ms={} \
         decode_ms={} link_ms={}",
        result_name(&outcome.result),
        outcome.utterance,
        ms(start),
        outcome.audio_ms,
        timing.capture_ms,
        timing.queue_ms,
        timing.encode_ms,
        timing.decode_ms,
        timing.link_ms
    );
    (level, line)
}

/// Returns the result and its reason in one word, as in `dropped/busy`.
#[must_use]
pub fn result_name(result: &OutcomeResult) -> String {
    match result {
        OutcomeResult::Text { .. } => "text".to_owned(),
        OutcomeResult::NoSpeech => "nospeech".to_owned(),
        OutcomeResult::Dropped(reason) => format!("dropped/{reason}"),
        OutcomeResult::Failed(code) => format!("failed/{code}"),
        OutcomeResult::Command { command } => format!("command/{command}"),
        OutcomeResult::Unknown => "unknown".to_owned(),
    }
}

/// Returns the JSON object of a record, or `None` for one that scripts do not need.
///
/// `start`, `end` and `at` are seconds of sample time. With `timing` the object also tells how long
/// each step took, which differs from run to run.
#[must_use]
pub fn json_object(record: &Record, timing: bool) -> Option<Value> {
    Some(match record {
        Record::State(state) => json!({
            "event": "state", "state": state.state.name(), "provider": state.provider.name(),
            "microphone": state.microphone_ok, "worker": state.worker_ok, "muted": state.muted,
        }),
        Record::Listen(event) => listen_object(event)?,
        Record::Outcome {
            outcome,
            start,
            text,
        } => {
            let mut object = json!({
                "event": "outcome", "utterance": outcome.utterance,
                "trigger": outcome.trigger.name(), "result": result_name(&outcome.result),
                "start": seconds(*start), "audio": f64::from(outcome.audio_ms) / 1_000.0,
                "text": text.as_str(), "confidence": outcome.confidence,
            });
            if timing && let Some(map) = object.as_object_mut() {
                let timing = outcome.timing;
                map.insert(
                    "timing_ms".to_owned(),
                    json!({
                        "capture": timing.capture_ms, "queue": timing.queue_ms,
                        "encode": timing.encode_ms, "decode": timing.decode_ms,
                        "link": timing.link_ms,
                    }),
                );
            }
            object
        }
        Record::Microphone(error) => {
            json!({"event": "microphone", "error": error.to_string()})
        }
        Record::Link(error) => json!({"event": "link", "error": error.to_string()}),
        Record::WorkerReady { cuda, load_ms } => {
            json!({"event": "worker_ready", "cuda": cuda, "load_ms": load_ms})
        }
        Record::ChunkYielded { after_ms } => {
            json!({"event": "chunk_yielded", "after_ms": after_ms})
        }
        Record::Guess {
            utterance,
            audio_ms,
            adopted,
        } => json!({
            "event": "guess", "utterance": utterance, "audio_ms": audio_ms, "adopted": adopted,
        }),
        Record::WakeRefused { utterance, word } => json!({
            "event": "wake_refused", "utterance": utterance, "word": word.as_str(),
        }),
        Record::WorkerCannotLoad(reason) => {
            json!({"event": "worker_lost", "reason": reason.as_str()})
        }
        Record::WorkerLost(why) => json!({"event": "worker_lost", "reason": why}),
        Record::Panic { thread, count } => {
            json!({"event": "panic", "thread": thread, "count": count})
        }
        Record::Counters(counters) => counters_object(counters)?,
        Record::Gap { from, to } => json!({
            "event": "link_gap", "from": [from.boot, from.next], "to": [to.boot, to.next],
        }),
        Record::WorkerFellBack => json!({"event": "worker_fell_back", "provider": "cpu"}),
        Record::WorkerLeftOff { .. }
        | Record::FilesHeld { .. }
        | Record::Pin { .. }
        | Record::PixelsWork { .. }
        | Record::Missing(_) => return None,
    })
}

fn counters_object(counters: &Counters) -> Option<Value> {
    let mut object = serde_json::to_value(counters).ok()?;
    object
        .as_object_mut()?
        .insert("event".to_owned(), json!("counters"));
    Some(object)
}

fn listen_object(event: &ListenEvent) -> Option<Value> {
    Some(match event {
        ListenEvent::SpeechStart(at) => timed(json!({"event": "speech_start"}), *at),
        ListenEvent::SpeechEnd(at) => timed(json!({"event": "speech_end"}), *at),
        ListenEvent::Wake { word, score, at } => {
            let wake = json!({"event": "wake", "word": word.as_str(), "score": score});
            timed(wake, *at)
        }
        ListenEvent::Opened { id, trigger, start } => {
            let trigger = trigger.name();
            let opened = json!({"event": "utterance_start", "utterance": id, "trigger": trigger});
            timed(opened, *start)
        }
        ListenEvent::Closed(closed) => {
            let object = json!({"event": "utterance_end", "utterance": closed.id});
            timed(object, closed.start + u64::from(closed.samples))
        }
        ListenEvent::Gap(samples) => json!({"event": "gap", "length": seconds(*samples)}),
        // The outcome or the record that follows says it.
        ListenEvent::Ahead(_) | ListenEvent::Lost(_) | ListenEvent::ThreadPanicked { .. } => {
            return None;
        }
        ListenEvent::VadFellBack => json!({"event": "vad_fell_back"}),
        ListenEvent::WakeFailed => json!({"event": "wake_failed"}),
    })
}

/// Adds when it was: in seconds, and the exact sample.
fn timed(mut object: Value, at: SampleTime) -> Value {
    object["at"] = seconds(at).into();
    object["sample"] = at.into();
    object
}

/// Returns sample time in seconds, exact to the millisecond.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds of centuries fit an f64 exactly"
)]
pub fn seconds(at: SampleTime) -> f64 {
    (at / SAMPLES_PER_MS) as f64 / 1_000.0
}

fn ms(at: SampleTime) -> u64 {
    at / SAMPLES_PER_MS
}

#[cfg(test)]
mod tests;
