//! One line, or one JSON object, for each message.
//!
//! What the session reads in; lines out, each flushed, because scripts wait for them.

use std::io;

use pressel_wire::{DecodeError, DeviceMessage, Job, LEFT_UNKNOWN, Mark, Outcome, OutcomeResult};
use serde_json::json;

use super::courier::Show;
use crate::keeper::Record;
use crate::keeper::report::{json_object, result_name};
use crate::plain::plain;

/// Prints messages.
pub(super) struct Lines<W> {
    pub(super) out: W,
    json: bool,
    outcomes: u32,
}

impl<W: io::Write> Lines<W> {
    pub(super) fn new(json: bool, out: W) -> Self {
        Self {
            out,
            json,
            outcomes: 0,
        }
    }

    fn print(&mut self, object: &serde_json::Value, words: &str) -> io::Result<()> {
        if self.json {
            writeln!(self.out, "{object}")?
        } else {
            // Texts and names are the other side's.
            writeln!(self.out, "{}", plain(words))?
        }
        self.out.flush()
    }

    fn job(&mut self, job: Job) -> io::Result<()> {
        let left_s = (job.left_s != LEFT_UNKNOWN).then_some(job.left_s);
        let object = json!({
            "event": "job", "job": job.number, "state": job.state.name(),
            "percent": job.percent, "left_s": left_s,
        });
        let left = left_s.map_or(String::new(), |left_s| format!(", {left_s} s left"));
        let (number, state, percent) = (job.number, job.state, job.percent);
        let words = format!("-  job {number} {state} {percent} %{left}");
        self.print(&object, &words)
    }
}

impl<W: io::Write> Show for Lines<W> {
    fn message(&mut self, message: &DeviceMessage) -> io::Result<()> {
        match message {
            DeviceMessage::Hello(hello) => {
                let [major, minor, patch] = hello.version;
                let object = json!({
                    "event": "hello", "protocol": hello.protocol,
                    "version": format!("{major}.{minor}.{patch}"),
                    "board": hello.board.as_str(), "boot": hello.boot,
                    "model": hello.model.as_str(),
                });
                let words = format!(
                    "-  pressel {major}.{minor}.{patch} board={} model={}",
                    hello.board, hello.model
                );
                self.print(&object, &words)
            }
            DeviceMessage::State(state) => {
                let object = json_object(&Record::State(*state), true).unwrap_or_default();
                self.print(&object, &format!("-  {} ({})", state.state, state.provider))
            }
            DeviceMessage::Counters(counters) => {
                let object = json_object(&Record::Counters(*counters), true).unwrap_or_default();
                self.print(&object, &format!("-  {counters:?}"))
            }
            DeviceMessage::Pong { nonce } => self.print(
                &json!({"event": "pong", "nonce": nonce}),
                &format!("-  pong {nonce}"),
            ),
            DeviceMessage::Job(job) => self.job(*job),
            DeviceMessage::Alert { alert, on } => self.print(
                &json!({"event": "alert", "alert": alert.name(), "on": on}),
                &format!(
                    "{}  alert {alert} {}",
                    if *on { "!" } else { "-" },
                    if *on { "begins" } else { "is over" }
                ),
            ),
            _ => Ok(()), // A newer appliance says more than this monitor knows.
        }
    }

    fn outcome(&mut self, outcome: &Outcome, text: &str, complete: bool) -> io::Result<()> {
        self.outcomes += 1;
        let timing = outcome.timing;
        let object = json!({
            "event": "outcome", "sequence": outcome.sequence, "utterance": outcome.utterance,
            "trigger": outcome.trigger.name(), "result": result_name(&outcome.result),
            "text": text, "complete": complete, "confidence": outcome.confidence,
            "audio_ms": outcome.audio_ms,
            "timing_ms": {
                "capture": timing.capture_ms, "queue": timing.queue_ms,
                "encode": timing.encode_ms, "decode": timing.decode_ms, "link": timing.link_ms,
            },
        });
        let said = match outcome.result {
            OutcomeResult::Text { .. } if complete => text.to_owned(),
            OutcomeResult::Text { .. } => format!("{text} [part of the text was lost on the line]"),
            _ => format!("[{}]", result_name(&outcome.result)),
        };
        self.print(&object, &format!("{}  {said}", outcome.utterance))
    }

    fn gap(&mut self, from: Mark, to: Mark) -> io::Result<()> {
        let object = json!({
            "event": "link_gap", "from": [from.boot, from.next], "to": [to.boot, to.next],
        });
        self.print(
            &object,
            "-  what was said in between is lost or was told to others",
        )
    }

    fn bad(&mut self, error: DecodeError) -> io::Result<()> {
        self.print(
            &json!({"event": "bad_frame", "why": error.to_string()}),
            &format!("?  a frame could not be read: {error}"),
        )
    }

    fn port(&mut self, lost: Option<&str>) -> io::Result<()> {
        let words = match lost {
            Some(why) => format!("!  the port is {why}, it is opened again when it comes back"),
            None => "-  the port is open again".to_owned(),
        };
        let object = json!({"event": "port", "open": lost.is_none(), "why": lost});
        self.print(&object, &words)
    }

    fn outcomes(&self) -> u32 {
        self.outcomes
    }
}

#[cfg(test)]
mod tests;
