//! The lines of `--json`, as they come.
//!
//! In: the appliance's standard output, on a thread of its own. Out: all events so far, and a wait
//! for one.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::PATIENCE;

/// All events so far.
pub(crate) struct Events {
    heard: Arc<(Mutex<Heard>, Condvar)>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Heard {
    events: Vec<Value>,
    /// When each came.
    times: Vec<Instant>,
    /// Utterances that have their end and not yet their outcome.
    pending: BTreeSet<u64>,
}

impl Heard {
    fn take(&mut self, event: Value) {
        let utterance = event["utterance"].as_u64();
        match (event["event"].as_str(), utterance) {
            (Some("utterance_end"), Some(id)) => _ = self.pending.insert(id),
            (Some("outcome"), Some(id)) => _ = self.pending.remove(&id),
            _ => {}
        }
        self.events.push(event);
        self.times.push(Instant::now());
    }
}

impl Events {
    pub(crate) fn of(output: impl Read + Send + 'static) -> Self {
        let heard = Arc::<(Mutex<Heard>, Condvar)>::default();
        let heard_in = Arc::clone(&heard);
        let thread = std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let event = serde_json::from_str(&line.unwrap()).unwrap();
                heard_in.0.lock().unwrap().take(event);
                heard_in.1.notify_all();
            }
        });
        Self { heard, thread }
    }

    /// Looks at all events.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&[Value]) -> T) -> T {
        look(&self.heard.0.lock().unwrap().events)
    }

    /// Returns for each outcome how long after the end of its utterance it came.
    pub(crate) fn waits(&self) -> Vec<Duration> {
        let heard = self.heard.0.lock().unwrap();
        let times = || heard.events.iter().zip(&heard.times);
        let outcomes = times().filter(|(event, _)| event["event"] == "outcome");
        let wait = |(outcome, came): (&Value, &Instant)| {
            let is_end = |event: &Value| {
                event["event"] == "utterance_end" && event["utterance"] == outcome["utterance"]
            };
            let (_, ended) = times().find(|(event, _)| is_end(event))?;
            Some(came.duration_since(*ended))
        };
        outcomes.filter_map(wait).collect()
    }

    /// Waits until at most `count` utterances wait for their outcome.
    pub(crate) fn wait_for_outcomes(&self, count: usize) {
        let heard = self.heard.0.lock().unwrap();
        let lacks = |heard: &mut Heard| count < heard.pending.len();
        let (heard, late) = self
            .heard
            .1
            .wait_timeout_while(heard, PATIENCE, lacks)
            .unwrap();
        assert!(!late.timed_out(), "no outcome of {:?}", heard.pending);
    }

    /// Waits until `found` finds something in all events.
    pub(crate) fn wait<T>(&self, found: impl Fn(&[Value]) -> Option<T>) -> Option<T> {
        let heard = self.heard.0.lock().unwrap();
        let lacks = |heard: &mut Heard| found(&heard.events).is_none();
        let (heard, _) = self
            .heard
            .1
            .wait_timeout_while(heard, PATIENCE, lacks)
            .unwrap();
        found(&heard.events)
    }

    /// Returns all events, once the output has ended.
    pub(crate) fn finish(self) -> Vec<Value> {
        self.thread.join().unwrap();
        std::mem::take(&mut self.heard.0.lock().unwrap().events)
    }
}

/// Returns the events of one name.
pub(crate) fn of_name<'a>(events: &'a [Value], name: &str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["event"] == name)
}

/// What an event says about one utterance, as far as it does not depend on time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) trigger: String,
    pub(crate) result: String,
    pub(crate) text: String,
}

/// Returns the utterances that ended with an outcome, in the order in which they were opened.
pub(crate) fn said(events: &[Value]) -> Vec<Said> {
    let word = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
    let opened = of_name(events, "utterance_start").map(|opened| {
        let id = &opened["utterance"];
        let about = |name| of_name(events, name).find(|event| &event["utterance"] == id);
        let (end, outcome) = (about("utterance_end")?, about("outcome")?);
        Some(Said {
            start: opened["at"].as_f64()?,
            end: end["at"].as_f64()?,
            trigger: word(outcome, "trigger"),
            result: word(outcome, "result"),
            text: word(outcome, "text"),
        })
    });
    opened.flatten().collect()
}
