//! The books of a run: every utterance has one outcome, and everyone tells the same.
//!
//! In: how the appliance ended. Out: nothing, or a failed test with the log.

use std::collections::BTreeSet;

use pressel::keeper::report::result_name;
use serde_json::Value;

use crate::events::of_name;
use crate::rig::Ended;

/// One outcome, as both sides tell it: utterance, trigger, result, text.
type Told = (u64, String, String, String);

impl Ended {
    /// Checks that the run ended as asked, without a loss, and that its books are right.
    pub(crate) fn check_books(&self) {
        let log = &self.log;
        assert!(!log.contains("panic"), "{log}");
        assert!(!log.contains("records missing"), "{log}");
        self.check_books_of_faults();
    }

    /// The same where something went wrong on purpose.
    pub(crate) fn check_books_of_faults(&self) {
        let log = &self.log;
        assert_eq!(self.status.code(), Some(0), "{log}");
        assert!(log.contains("memory allocations_after_start=0"), "{log}");
        assert_eq!(self.left, [0; 0], "children outlived it");
        self.check_outcomes();
        self.check_counters();
    }

    /// Checks that every utterance that was opened has exactly one outcome, in all tellings.
    pub(crate) fn check_outcomes(&self) {
        let log = &self.log;
        let opened: Vec<u64> = ids(&self.events, "utterance_start");
        let outcomes: Vec<u64> = ids(&self.events, "outcome");
        let once: BTreeSet<u64> = outcomes.iter().copied().collect();
        assert_eq!(
            once.len(),
            outcomes.len(),
            "one has two outcomes: {outcomes:?}\n{log}"
        );
        assert_eq!(
            once,
            opened.iter().copied().collect(),
            "opened and ended differ\n{log}"
        );
        assert_eq!(
            once.last().copied().unwrap_or(0),
            opened.len() as u64,
            "{opened:?}\n{log}"
        );
        if !self.heard.messages.is_empty() {
            assert_eq!(self.on_the_line(), self.in_the_events(), "{log}");
            assert_eq!(self.heard.bad, 0, "frames or texts came broken");
            let sequences = self
                .heard
                .outcomes
                .iter()
                .map(|(outcome, _)| outcome.sequence);
            assert!(
                sequences.eq(0..u32::try_from(outcomes.len()).unwrap()),
                "{log}"
            );
        }
    }

    fn check_counters(&self) {
        let counters = self.counters();
        let ends = ["texts", "no_speech", "dropped", "failed"];
        let sum: u64 = ends.map(&counters).iter().sum();
        assert_eq!(counters("utterances"), sum, "{}", self.log);
        assert_eq!(counters("dropped_blocks"), 0, "{}", self.log);
        assert_eq!(counters("overruns"), 0, "{}", self.log);
    }

    /// Returns the counters at the end, by name.
    pub(crate) fn counters(&self) -> impl Fn(&str) -> u64 {
        let counters = of_name(&self.events, "counters").last().cloned();
        let counters = counters.unwrap_or_else(|| panic!("no counters:\n{}", self.log));
        move |key| counters[key].as_u64().unwrap()
    }

    /// Returns the results in the order of their outcomes.
    pub(crate) fn results(&self) -> Vec<String> {
        let results = of_name(&self.events, "outcome").map(|event| event["result"].as_str());
        results.map(|result| result.unwrap().to_owned()).collect()
    }

    fn on_the_line(&self) -> Vec<Told> {
        let outcomes = self.heard.outcomes.iter();
        let told = outcomes.map(|(outcome, text)| {
            let trigger = outcome.trigger.name().to_owned();
            let result = result_name(&outcome.result);
            (u64::from(outcome.utterance), trigger, result, text.clone())
        });
        told.collect()
    }

    fn in_the_events(&self) -> Vec<Told> {
        let told = of_name(&self.events, "outcome").map(|event| {
            let word = |key: &str| event[key].as_str().unwrap().to_owned();
            let id = event["utterance"].as_u64().unwrap();
            (id, word("trigger"), word("result"), word("text"))
        });
        told.collect()
    }
}

fn ids(events: &[Value], name: &str) -> Vec<u64> {
    of_name(events, name)
        .map(|event| event["utterance"].as_u64().unwrap())
        .collect()
}
