//! A storm: a hundred triggers a second at a worker that never answers.
//!
//! In: the host's push-to-talk, pressed and let go again and again while somebody speaks. Out: each
//! trigger has its outcome, nothing grows, and the end is as quick as ever.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pressel_pipeline::limits::CONTROL_RING_COMMANDS;
use pressel_wire::HostMessage;
use rustix::process::Signal;

use crate::board::BLOCK;
use crate::process;
use crate::program::{PATIENCE, need_models, until};
use crate::prove;
use crate::rig::{Rig, Setting};
use crate::stop::longest;
use crate::voice::{Random, babble};

/// Time from trigger to trigger.
const EVERY: Duration = Duration::from_millis(10);
/// Time of one block of audio.
const BLOCK_TIME: Duration = Duration::from_millis(16);
/// Triggers before memory is measured: buffers have their size then.
const WARM_UP: usize = 500;
/// Triggers without an outcome at most: on a machine that is too slow for the storm it slows down.
/// Presses and releases beyond that would fill listen's ring; of those only the newest counts.
const AHEAD: usize = CONTROL_RING_COMMANDS / 2;
/// Triggers a second that a storm has at least, where it is measured.
const RATE_MIN: f64 = 90.0;
/// A worker may be left off when the storm is over; it comes back after a minute.
const COMES_BACK: Duration = Duration::from_secs(100);

/// The world in a storm.
struct Storm {
    rig: Rig,
    speech: Vec<i16>,
    random: Random,
    began: Instant,
    blocks: usize,
    triggers: usize,
    /// Time that was waited because outcomes came late.
    held_up: Duration,
    /// Most triggers that were without an outcome at once.
    behind_max: usize,
}

impl Storm {
    /// Speaks up to now.
    fn speak(&mut self) {
        while BLOCK_TIME * u32::try_from(self.blocks).unwrap() < self.began.elapsed() {
            let count = self.speech.len() / BLOCK;
            let at = self.blocks % count * BLOCK;
            self.rig.board.speak(&self.speech[at..at + BLOCK]);
            self.blocks += 1;
        }
    }

    /// One trigger: down, perhaps a moment of speech, up.
    fn trigger(&mut self) {
        self.rig.host.send(HostMessage::PttDown);
        if self.random.below(4) == 0 {
            sleep(EVERY / 3);
        }
        self.rig.host.send(HostMessage::PttUp);
        self.triggers += 1;
    }

    fn outcomes(&self) -> usize {
        self.rig.host.look(|heard| heard.outcomes.len())
    }

    /// Triggers until there were so many.
    fn rage(&mut self, until: usize) {
        let mut due = Instant::now();
        while self.triggers < until {
            due += EVERY;
            self.speak();
            let early = due.saturating_duration_since(Instant::now());
            sleep(early);
            let waits = Instant::now();
            while self.outcomes() + AHEAD < self.triggers {
                assert!(waits.elapsed() < PATIENCE, "{}", self.rig.log());
                self.speak();
                sleep(Duration::from_millis(1));
            }
            self.held_up += waits.elapsed();
            let behind = self.triggers - self.outcomes().min(self.triggers);
            self.behind_max = self.behind_max.max(behind);
            due += waits.elapsed();
            self.trigger();
        }
    }

    /// Returns the threads of the appliance and how many processes it has, once a worker is there.
    fn count(&self) -> (Vec<String>, usize) {
        let children = until(COMES_BACK, || {
            let children = process::children(self.rig.id());
            (!children.is_empty()).then_some(children.len())
        });
        let mut threads = process::threads(self.rig.id());
        threads.sort_unstable();
        (threads, children.unwrap_or(0))
    }
}

#[test]
fn prove_storm_of_triggers_at_a_worker_that_never_answers() {
    need_models!();
    let seed = prove::seed();
    prove::begin("storm", seed);
    let triggers = if prove::is_full() { 10_000 } else { 300 };
    let warm_up = WARM_UP.min(triggers / 3);
    let rig = Rig::ready(&Setting {
        speed: 1,
        arguments: &["--worker-fault", "hang"],
        ..Setting::default()
    });
    let mut storm = Storm {
        rig,
        speech: babble(20.0),
        random: Random::of(seed),
        began: Instant::now(),
        blocks: 0,
        triggers: 0,
        held_up: Duration::ZERO,
        behind_max: 0,
    };
    storm.rage(warm_up);
    let before = (storm.count(), process::memory_kib(storm.rig.id()).unwrap());
    let began = Instant::now();
    storm.rage(warm_up + triggers);
    let rate = f64::from(u32::try_from(triggers).unwrap()) / began.elapsed().as_secs_f64();
    let after = (storm.count(), process::memory_kib(storm.rig.id()).unwrap());
    assert_eq!(after.0, before.0, "threads and processes");
    let grown = after.1.saturating_sub(before.1);
    assert!(grown * 50 <= before.1, "{} KiB, then {}", before.1, after.1);
    // Every press has been read; some are open or with the hanging worker when the end comes.
    storm.rig.wait_for("utterance_start", storm.triggers);
    let longest = longest();
    let (held_up, all, behind_max) = (storm.held_up, storm.triggers, storm.behind_max);
    let ended = storm.rig.end(Signal::INT);
    assert!(ended.took < longest, "{:?}\n{}", ended.took, ended.log);
    ended.check_books_of_faults();
    let (opened, outcomes) = (ended.counters()("utterances"), ended.heard.outcomes.len());
    assert_eq!((opened, outcomes), (all as u64, all), "{}", ended.log);
    let mut results = BTreeMap::new();
    for result in ended.results() {
        *results.entry(result).or_insert(0) += 1;
    }
    let restarts = ended.counters()("worker_restarts");
    let counts = format!(
        "triggers={all} outcomes={outcomes} rate={rate:.0}/s held_up={held_up:.1?} \
         behind_max={behind_max} {results:?} restarts={restarts} memory_kib={}..{} exit={:.0?}",
        before.1, after.1, ended.took
    );
    prove::say("storm", seed, &counts);
    assert!(!prove::is_full() || RATE_MIN <= rate, "{counts}");
}
