//! The power goes, again and again, while files are transcribed and somebody presses the button.
//!
//! In: `SIGKILL` of the whole appliance at random moments, from before it is ready on. Out: results
//! that are byte for byte those of an undisturbed run, and a journal in which nothing is twice and
//! nothing but what was said.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use crate::files::{Folders, check, talk, wait_for_results};
use crate::process::runs;
use crate::program::{PATIENCE, command, need_models, run, until};
use crate::prove;
use crate::rig::{Rig, Setting};
use crate::voice::{Random, clips, silence, word};

/// How long a life lasts at most, in milliseconds, from its start or from when it is ready.
const LIFE_MS: u32 = 1_500;
/// How often the recordings of the demo are repeated in one recording.
const REPEATS: usize = 12;

/// What happened in all lives.
#[derive(Debug, Default)]
struct Counts {
    kills: usize,
    before_ready: usize,
    presses: usize,
    released: usize,
    resumed: usize,
    begun: usize,
}

impl Counts {
    /// One life of the appliance.
    fn live(&mut self, mut rig: Rig, random: &mut Random) {
        rig.ahead = usize::MAX;
        let rest = |random: &mut Random| {
            sleep(Duration::from_millis(u64::from(random.below(LIFE_MS))));
        };
        if random.below(8) == 0 {
            self.before_ready += 1;
            sleep(Duration::from_millis(u64::from(random.below(400))));
        } else {
            rig.wait_for("worker_ready", 1);
            rest(random);
            if random.below(2) == 0 {
                self.presses += 1;
                rig.press(true);
                rig.play(&word());
                // The power may go before the button is let go.
                if random.below(2) == 0 {
                    rig.release();
                    rig.play(&silence(0.5));
                    self.released += 1;
                    rest(random);
                }
            }
        }
        self.kills += 1;
        let ended = rig.end(Signal::KILL);
        let begun = ended.log.lines().filter(|line| line.contains("job begun"));
        for line in begun {
            self.begun += 1;
            self.resumed += usize::from(!line.ends_with("at=0.0"));
        }
        assert!(!ended.log.contains("panic"), "{}", ended.log);
        // A worker that has just been started may end a moment later, by itself.
        let gone = until(PATIENCE, || {
            (!ended.left.iter().any(|&child| runs(child))).then_some(())
        });
        assert!(gone.is_some(), "a child outlives it");
    }
}

#[test]
fn prove_power_cuts_during_file_jobs() {
    need_models!();
    let seed = prove::seed();
    prove::begin("power", seed);
    let mut random = Random::of(seed);
    let kills = if prove::is_full() { 200 } else { 4 };
    let folders = Folders::new();
    // Jobs wait in safe mode, which three crashes in a minute would bring.
    let setting = Setting {
        arguments: &["--no-safe-mode"],
        ..Setting::default()
    };
    let mut recordings: Vec<PathBuf> = Vec::new();
    let mut counts = Counts::default();
    let samples = talk(REPEATS);
    while counts.kills < kills {
        // There is always one that is not done yet.
        if counts.kills.is_multiple_of(4) {
            let name = format!("talk-{}.wav", recordings.len());
            recordings.push(folders.put(&name, &samples));
        }
        counts.live(folders.start(&setting), &mut random);
    }
    let rig = folders.ready(&setting);
    for recording in &recordings {
        wait_for_results(&rig, recording);
    }
    let ended = rig.end(Signal::TERM);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    check(&recordings[0]);
    // All are the same recording, so their texts are.
    let text = |path: &PathBuf| std::fs::read(format!("{}.srt", path.display())).unwrap();
    let first = text(&recordings[0]);
    assert!(recordings.iter().all(|recording| text(recording) == first));
    let heard = check_journal(&folders);
    // Some were killed before their outcome was durable; most were not.
    assert!(counts.released <= 2 * heard + 4, "{heard} of {counts:?}");
    let recordings = recordings.len();
    let counts = format!("{counts:?} recordings={recordings} journal={heard}");
    prove::say("power", seed, &counts);
}

/// Looks for outcomes that are twice in the journal or have another text than what was said, and
/// returns how many there are.
fn check_journal(folders: &Folders) -> usize {
    let state = folders.state();
    let ran = run(command(&["history", "--json", "--state-dir"]).arg(state));
    assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
    let mut marks: Vec<(u64, u64)> = ran
        .stdout
        .lines()
        .map(|line| {
            let outcome: serde_json::Value = serde_json::from_str(line).unwrap();
            let number = |name: &str| outcome[name].as_u64().unwrap();
            // What was pressed for is a whole word; without one there is no text.
            let expected = if outcome["result"] == "text" {
                &clips()[0].text
            } else {
                ""
            };
            assert_eq!(outcome["text"], expected, "{line}");
            (number("boot"), number("sequence"))
        })
        .collect();
    let count = marks.len();
    marks.sort_unstable();
    marks.dedup();
    assert_eq!(marks.len(), count, "an outcome is twice in the journal");
    count
}
