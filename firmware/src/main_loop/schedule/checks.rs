//! What must be true of the appliance at any time and over all its lives.
//!
//! Records of the keeper and blocks of the microphone in; a panic where something does not hold.
//! Compiled for tests only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pressel_pipeline::limits::{BLOCK_SAMPLES, RATE_HZ};
use pressel_pipeline::trim;
use pressel_wire::{Mark, Outcome, OutcomeResult};

use super::air::{Samples, text_of};
use super::host::{Host, Spoken};
use super::life::OUTCOMES_MAX;
use crate::keeper::Record;
use crate::outcome;
use crate::stream::{ClosedUtterance, ListenEvent};

/// Samples that are remembered: the longest utterance, and as much again.
const KEPT_SAMPLES: u64 = 90 * RATE_HZ as u64;

/// What was seen.
#[derive(Default)]
pub(super) struct Checks {
    /// What the microphone gave, by sample time of this life.
    blocks: VecDeque<(u64, Samples)>,
    /// Sample times at which this life was muted.
    wiped: Vec<u64>,
    opened: BTreeSet<u32>,
    ended: BTreeSet<u32>,
    /// The text that an utterance of this life must have.
    texts: BTreeMap<u32, String>,
    /// All outcomes of all lives.
    pub(super) known: BTreeMap<Mark, Spoken>,
    /// Outcomes that the journal has, or will have when its disk is well.
    waiting: VecDeque<Mark>,
    durable: Vec<Mark>,
    lost: usize,
    /// Gaps that the host was told, and how many outcomes were durable then.
    gaps: Vec<(Mark, Mark, usize)>,
    /// Outcomes by the name of their result.
    pub(super) results: BTreeMap<&'static str, usize>,
}

fn end_of(mark: Mark) -> Mark {
    Mark {
        next: mark.next + 1,
        ..mark
    }
}

impl Checks {
    /// The appliance begins another life.
    pub(super) fn live_again(&mut self) {
        self.blocks.clear();
        self.wiped.clear();
        self.opened.clear();
        self.ended.clear();
        self.texts.clear();
        self.waiting.clear();
        self.lost = 0;
    }

    /// The microphone gave a block that has this sample time.
    pub(super) fn given(&mut self, at: u64, samples: &Samples) {
        self.blocks.push_back((at, *samples));
        while self.blocks[0].0 + KEPT_SAMPLES < at {
            self.blocks.pop_front();
        }
    }

    /// The newest blocks found no room.
    pub(super) fn dropped(&mut self, count: usize) {
        let left = self.blocks.len() - count;
        self.blocks.truncate(left);
    }

    /// Everything before this sample time was forgotten.
    pub(super) fn muted(&mut self, at: u64) {
        self.wiped.push(at);
    }

    /// A line reached the keeper. Returns an outcome, for the journal.
    pub(super) fn learn(&mut self, record: &Record, boot: u32) -> Option<Outcome> {
        match record {
            Record::Listen(ListenEvent::Opened { id, .. }) => {
                assert!(self.opened.insert(*id), "utterance {id} opened twice");
            }
            Record::Listen(ListenEvent::Closed(closed)) => self.close(closed),
            Record::Listen(ListenEvent::ThreadPanicked { .. }) | Record::Panic { .. } => {
                panic!("{record:?}");
            }
            Record::Missing(count) => panic!("{count} lines are missing"),
            Record::Outcome { outcome, text, .. } => {
                self.end(outcome, text, boot);
                return Some(*outcome);
            }
            _ => {}
        }
        None
    }

    fn close(&mut self, closed: &ClosedUtterance) {
        let text = closed.speech.map(|_| {
            let (start, samples) = trim::speech(&outcome::utterance(closed, 0, 0));
            text_of(&self.audio(closed, start, samples))
        });
        self.texts.insert(closed.id, text.unwrap_or_default());
    }

    /// Returns what the microphone gave of an utterance; what it did not give is silence.
    fn audio(&self, closed: &ClosedUtterance, start: u32, samples: u32) -> Vec<i16> {
        let from = closed.start + u64::from(start);
        let until = from + u64::from(samples);
        let mut audio = vec![0; samples as usize];
        let first = self.blocks.partition_point(|(at, _)| at + 256 <= from);
        let wiped = self.wiped.iter().filter(|at| **at < closed.closed_at);
        let wiped = wiped.max().copied().unwrap_or(0);
        for (at, block) in self.blocks.range(first..) {
            if until <= *at {
                break;
            }
            let here = (*at).max(from).max(wiped)..(at + BLOCK_SAMPLES as u64).min(until);
            for time in here {
                audio[(time - from) as usize] = block[(time - at) as usize];
            }
        }
        audio
    }

    fn end(&mut self, outcome: &Outcome, text: &str, boot: u32) {
        let id = outcome.utterance;
        assert!(self.opened.contains(&id), "outcome of {id}, never opened");
        assert!(self.ended.insert(id), "utterance {id} has two outcomes");
        let expected = self.texts.get(&id).map_or("", String::as_str);
        let name = match outcome.result {
            OutcomeResult::Text { .. } => {
                assert_eq!(text, expected, "utterance {id}");
                "text"
            }
            OutcomeResult::Command { .. } | OutcomeResult::Unknown => "never asked for",
            OutcomeResult::NoSpeech => {
                assert_eq!((text, expected), ("", ""), "utterance {id}");
                "no_speech"
            }
            OutcomeResult::Dropped(reason) => reason.name(),
            OutcomeResult::Failed(code) => code.name(),
        };
        *self.results.entry(name).or_default() += 1;
        let mark = Mark {
            boot,
            next: outcome.sequence,
        };
        let spoken = Spoken {
            utterance: id,
            result: outcome.result,
            text: text.to_owned(),
        };
        assert!(self.known.insert(mark, spoken).is_none(), "{mark:?} twice");
    }

    /// The journal took an outcome; so many were lost until now because its disk fails.
    pub(super) fn journaled(&mut self, mark: Mark, lost: usize) {
        self.waiting.push_back(mark);
        while self.lost < lost {
            self.lost += 1;
            self.waiting.pop_front();
        }
    }

    /// All that the journal took is on its disk.
    pub(super) fn written(&mut self) {
        self.durable.extend(self.waiting.drain(..));
    }

    /// The host was told of gaps.
    pub(super) fn note_gaps(&mut self, host: &Host) {
        for (from, to) in &host.gaps[self.gaps.len()..] {
            self.gaps.push((*from, *to, self.durable.len()));
        }
    }

    /// Returns the mark where a host is that has everything.
    pub(super) fn end_mark(&self, boot: u32) -> Mark {
        let last = self.known.keys().next_back().copied();
        let last = last.filter(|mark| mark.boot == boot);
        let last = last.max(self.durable.last().copied());
        last.map_or(Mark::default(), end_of)
    }

    /// After all has come to rest: nothing is open, and each has its outcome.
    pub(super) fn at_rest(&self) {
        assert_eq!(self.opened, self.ended, "opened and ended");
    }

    /// What the host had is what was said: in order, once, and without a gap but by right.
    pub(super) fn delivery(&self, host: &Host) {
        let mut before = None;
        let mut heard = BTreeSet::new();
        for (mark, spoken) in &host.heard {
            assert!(before < Some(*mark), "{mark:?} after {before:?}");
            assert_eq!(self.known.get(mark), Some(spoken), "{mark:?}");
            before = Some(*mark);
            heard.insert(*mark);
        }
        for (index, mark) in self.durable.iter().enumerate() {
            let is_excused = |(from, to, durable): &(Mark, Mark, usize)| {
                (*from..*to).contains(mark) && index + OUTCOMES_MAX <= *durable
            };
            assert!(
                heard.contains(mark) || self.gaps.iter().any(is_excused),
                "{mark:?} never came: {:?}",
                self.gaps
            );
        }
    }
}
