//! The worker does everything wrong that a worker can: no sample is lost, and the next is answered.
//!
//! In: `--worker-fault`, and three utterances of which the second meets the fault. Out: each has
//! its one outcome, begins and ends at the samples at which it was spoken, and the third is
//! recognised as the first was.

use pressel_wire::HostMessage;

use crate::board::BLOCK;
use crate::events::{Said, of_name, said};
use crate::program::need_models;
use crate::prove;
use crate::rig::{Ended, Rig, Setting};
use crate::voice::{around, clips, silence, word};

/// The audio of `poison` and not of `word`, as the worker gets it.
const POISON: &str = "/1-1600";

/// Faults that end a worker, and what the log says of it.
const DEADLY: [(&str, &str); 10] = [
    ("panic", "worker ended by itself: exit status: 1"),
    ("abort", "worker ended by itself: signal: 6"),
    ("segv", "worker ended by itself: signal: 11"),
    ("oom", "memory allocation of 1048576 bytes failed"),
    ("exit", "worker ended by itself: exit status: 0"),
    ("wrong", "worker lost: it answers what was not asked"),
    ("short", "worker lost: it answers garbage"),
    ("garbage", "worker lost: it answers garbage"),
    ("sticky", "worker lost: its device context is broken"),
    (
        "reload",
        "worker lost: its sessions are not to be trusted any more",
    ),
];

/// An utterance that is much shorter than `word`: "stop".
fn poison() -> Vec<i16> {
    around(&clips()[2].samples, 0.6)
}

/// What was spoken, and where.
struct Story {
    rig: Rig,
    /// Samples that were played.
    at: usize,
    /// Start and end of each utterance, in milliseconds.
    spoken: Vec<(usize, usize)>,
}

impl Story {
    fn begin(plan: &str) -> Self {
        let mut rig = Rig::ready(&Setting {
            arguments: &["--worker-fault", plan],
            ..Setting::default()
        });
        // The world talks on while a worker dies.
        rig.ahead = 3;
        let lead = silence(0.96);
        rig.play(&lead);
        let (at, spoken) = (lead.len(), Vec::new());
        Self { rig, at, spoken }
    }

    fn say(&mut self, samples: &[i16]) {
        let ms = |samples: usize| samples / 16;
        let tail = self.spoken.last().map_or(0, |&(_, end)| end);
        let start = tail.max(ms(self.at) - 500);
        self.rig.say(samples);
        self.at += samples.len().next_multiple_of(BLOCK);
        self.spoken.push((start, ms(self.at) + 200));
        self.at += 5_120;
    }

    /// Ends it and looks at the books, the times and the samples.
    fn end(self, expected: &[&str]) -> (Ended, Vec<Said>) {
        self.rig.wait_for("outcome", expected.len());
        let ended = self.rig.end(rustix::process::Signal::TERM);
        ended.check_books_of_faults();
        assert_eq!(ended.results(), expected, "{}", ended.log);
        assert_eq!(ended.counters()("lost_samples"), 0, "{}", ended.log);
        let said = said(&ended.events);
        let ms = |seconds: f64| (seconds * 1_000.0).round();
        let times = said.iter().map(|said| (ms(said.start), ms(said.end)));
        let exact = |ms: usize| f64::from(u32::try_from(ms).unwrap());
        let spoken = self.spoken.iter();
        let spoken = spoken.map(|&(start, end)| (exact(start), exact(end)));
        assert!(times.eq(spoken), "{said:?} {:?}", self.spoken);
        let lengths = ended.heard.outcomes.iter().map(|(told, _)| told.audio_ms);
        let expected = self.spoken.iter();
        let expected = expected.map(|&(start, end)| u32::try_from(end - start).unwrap());
        assert!(lengths.eq(expected), "{}", ended.log);
        (ended, said)
    }
}

/// A fault that meets the second utterance with every worker: it is tried twice and given up. A
/// guess at it may have cost a worker before that, which is not one of its tries.
fn check_poison(kind: &str, why: &str) {
    let mut story = Story::begin(&format!("{kind}{POISON}"));
    story.say(&word());
    story.say(&poison());
    story.say(&word());
    let (ended, said) = story.end(&["text", "failed/workerdied", "text"]);
    assert_eq!(said[0].text, said[2].text);
    let restarts = ended.counters()("worker_restarts");
    assert!((2..=3).contains(&restarts), "{}", ended.log);
    assert!(2 <= ended.log.matches(why).count(), "{}", ended.log);
}

/// A fault of one worker: the next one recognises the same utterance.
fn check_passing(kind: &str) {
    let mut story = Story::begin(&format!("{kind}@2"));
    for _ in 0..3 {
        story.say(&word());
    }
    // The third is again the second of its worker; so may a guess be that was wrong.
    let (ended, said) = story.end(&["text"; 3]);
    assert!(said.iter().all(|each| each.text == said[0].text));
    let restarts = ended.counters()("worker_restarts");
    assert!((2..=3).contains(&restarts), "{}", ended.log);
}

/// What is said with a pause in it, so that a guess is wrong.
fn paused() -> Vec<i16> {
    let both = [&clips()[0].samples[..], &silence(0.4), &clips()[2].samples];
    around(&both.concat(), 0.6)
}

/// A fault at every guess and at nothing that is asked for: as if there were no guesses.
fn check_guesses(kind: &str, expected: &[Said]) {
    let mut story = Story::begin(&format!("{kind}?"));
    for _ in 0..2 {
        story.say(&paused());
    }
    let (ended, said) = story.end(&["text"; 2]);
    assert_eq!(said, expected, "{}", ended.log);
    // One at once, and none for a minute.
    let restarts = ended.counters()("worker_restarts");
    assert_eq!(restarts, u64::from(kind != "late"), "{}", ended.log);
}

#[test]
fn prove_worker_that_dies_lies_or_hangs_over_guesses_changes_no_outcome() {
    need_models!();
    // The plan meets nothing: guesses are right and wrong.
    let mut story = Story::begin("hang@1000");
    for _ in 0..2 {
        story.say(&paused());
    }
    let (ended, expected) = story.end(&["text"; 2]);
    let guesses = of_name(&ended.events, "guess").filter(|event| event["adopted"] == false);
    assert!(2 < guesses.count(), "{}", ended.log);
    let kinds: Vec<_> = DEADLY.iter().map(|(kind, _)| *kind).collect();
    let all = if prove::is_full() { kinds.len() } else { 3 };
    for kind in kinds.iter().take(all).chain(&["hang", "late"]) {
        check_guesses(kind, &expected);
    }
    let counts = format!("kinds={} utterances={} lost=0", all + 2, (all + 2) * 2);
    prove::say("worker guesses", 0, &counts);
}

#[test]
fn prove_worker_that_dies_or_lies_over_one_utterance_loses_nothing_else() {
    need_models!();
    for (kind, why) in DEADLY {
        check_poison(kind, why);
    }
    let counts = format!(
        "kinds={} utterances={} lost=0",
        DEADLY.len(),
        DEADLY.len() * 3
    );
    prove::say("worker poison", 0, &counts);
}

#[test]
fn prove_worker_that_dies_or_lies_once_loses_nothing() {
    need_models!();
    let all = if prove::is_full() { DEADLY.len() } else { 2 };
    for (kind, _) in DEADLY.iter().rev().take(all) {
        check_passing(kind);
    }
    let counts = format!("kinds={all} utterances={} lost=0", all * 3);
    prove::say("worker passing", 0, &counts);
}

/// The second utterance is cancelled by the host while the worker is stuck in it.
fn check_cancelled(kind: &str, restarts: u64) {
    let mut story = Story::begin(&format!("{kind}@2"));
    story.say(&word());
    story.rig.wait_for("outcome", 1);
    story.say(&poison());
    story.rig.wait_for_state("recognising");
    story.rig.host.send(HostMessage::Cancel);
    story.rig.wait_for("outcome", 2);
    story.say(&word());
    let (ended, said) = story.end(&["text", "dropped/cancelled", "text"]);
    assert_eq!(said[0].text, said[2].text);
    assert_eq!(ended.counters()("worker_restarts"), restarts);
}

/// Nobody cancels: the deadline does.
fn check_deadline(kind: &str, restarts: u64) {
    let mut story = Story::begin(&format!("{kind}@2"));
    story.say(&word());
    story.say(&poison());
    story.say(&word());
    let (ended, said) = story.end(&["text", "failed/timeout", "text"]);
    assert_eq!(said[0].text, said[2].text);
    assert_eq!(ended.counters()("worker_restarts"), restarts);
}

#[test]
fn prove_worker_that_hangs_or_is_late_is_cancelled_or_replaced() {
    need_models!();
    check_cancelled("late", 0);
    check_cancelled("hang", 1);
    // A deadline is 15 s and more.
    if prove::is_full() {
        check_deadline("late", 0);
        check_deadline("hang", 1);
    }
    let counts = if prove::is_full() { 4 } else { 2 };
    prove::say("worker late", 0, &format!("stories={counts} lost=0"));
}

#[test]
fn prove_worker_with_a_sticky_error_at_the_third_of_ten_gives_nine_texts() {
    need_models!();
    let mut story = Story::begin(&format!("sticky{POISON}"));
    for number in 1..=10 {
        let samples = if number == 3 { poison() } else { word() };
        story.say(&samples);
        // Faster than it is answered, but never more than wait.
        story.rig.events.wait_for_outcomes(1);
    }
    let mut expected = ["text"; 10];
    expected[2] = "failed/workerdied";
    let (_, said) = story.end(&expected);
    let texts = said.iter().filter(|each| each.text == said[0].text);
    assert_eq!(texts.count(), 9);
    prove::say("worker batch", 0, "utterances=10 texts=9 errors=1");
}

#[test]
fn a_worker_that_mishears_the_known_clip_is_never_used() {
    need_models!();
    let rig = Rig::start(&Setting {
        arguments: &["--worker-fault", "badcanary"],
        ..Setting::default()
    });
    let noticed = crate::program::until(crate::program::PATIENCE, || {
        rig.log().contains("clip").then_some(())
    });
    assert!(noticed.is_some(), "{}", rig.log());
    let ended = rig.end(rustix::process::Signal::TERM);
    let ready = crate::events::of_name(&ended.events, "worker_ready");
    assert_eq!(ready.count(), 0, "{}", ended.log);
    // It has never heard it right: the model is the wrong one.
    assert_eq!(ended.status.code(), Some(4), "{}", ended.log);
}
