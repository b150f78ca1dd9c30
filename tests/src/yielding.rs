//! A press during a file job: the file yields at once, and goes on afterwards.
//!
//! In: a long recording in the spool, and presses at random moments. Out: the time from each press
//! until the worker is free of the file's chunk. The full edition wants a model of the shape of
//! tiny.en: its text is nonsense, its work is the real one.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::events::of_name;
use crate::files::Folders;
use crate::program::{PATIENCE, need_models, root, until};
use crate::prove;
use crate::rig::{Rig, Setting};
use crate::voice::{Random, babble, silence};

/// Longest time from press to yield, of [`PRESSES`] presses.
const LONGEST: Duration = Duration::from_millis(100);
/// Time of a press in which audio stands still, so that looks are many.
const CLOSE_LOOK: Duration = Duration::from_millis(250);
/// After this time there was no chunk at the worker; in the full edition so late that the slowest
/// yield is seen, too.
fn unmet() -> Duration {
    if prove::is_full() {
        Duration::from_secs(3)
    } else {
        CLOSE_LOOK
    }
}
/// Presses that met a chunk at the worker.
const PRESSES: usize = 200;

/// Folder of the model of tiny.en's shape, if it is there.
pub(crate) fn tiny_en() -> Option<PathBuf> {
    let named = std::env::var_os("PRESSEL_TINY_EN").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| root().join("models/fetched/tiny.en-shape"));
    folder.join("config.json").is_file().then_some(folder)
}

fn yields(rig: &Rig) -> usize {
    rig.events
        .look(|events| of_name(events, "chunk_yielded").count())
}

/// Presses, and returns how long it took until a chunk had yielded; `None` when there was none at
/// the worker.
fn press(rig: &mut Rig) -> Option<Duration> {
    let before = yields(rig);
    let began = Instant::now();
    rig.press(true);
    let mut took = None;
    while took.is_none() && began.elapsed() < unmet() {
        if before < yields(rig) {
            took = Some(began.elapsed());
        } else if began.elapsed() < CLOSE_LOOK {
            sleep(Duration::from_micros(200));
        } else {
            // A microphone that is silent for seconds is none.
            rig.play(&silence(0.016));
        }
    }
    rig.play(&silence(0.032));
    rig.press(false);
    rig.play(&silence(0.032));
    took
}

#[test]
fn prove_yield_of_a_file_to_a_press() {
    need_models!();
    let seed = prove::seed();
    prove::begin("yield", seed);
    let mut random = Random::of(seed);
    let model = prove::is_full().then(tiny_en);
    if let Some(None) = model {
        println!(
            "skipped: no model of tiny.en's shape: `python -m pressel_train shape --out \
             ../fetched/tiny.en-shape` in models/train makes one, PRESSEL_TINY_EN names another"
        );
        return;
    }
    let model = model.flatten();
    // The built-in model is quick: a press must come soon to meet a chunk.
    let (presses, rest_ms) = if model.is_some() {
        (PRESSES, 1_500)
    } else {
        (3, 300)
    };
    let mut folders = Folders::new();
    // More than is heard until there were enough presses, however quick the machine is.
    for number in 0..if model.is_some() { 6 } else { 1 } {
        folders.put(&format!("talk-{number}.wav"), &babble(1_200.0));
    }
    if let Some(model) = &model {
        folders.add("--model", model);
    }
    let mut rig = folders.ready(&Setting {
        speed: 1,
        pace: 4,
        config: "[button]\nmode = \"hold\"\n",
        ..Setting::default()
    });
    rig.ahead = usize::MAX;
    let begun = until(PATIENCE, || rig.log().contains("job begun").then_some(()));
    assert!(begun.is_some(), "{}", rig.log());
    let mut times = Vec::new();
    let mut pressed = 0;
    while times.len() < presses {
        pressed += 1;
        assert!(
            pressed < 100 + presses,
            "no chunk is ever met:\n{}",
            rig.log()
        );
        // Until the press before has its outcome nothing of the file runs.
        let opened = rig
            .events
            .look(|events| of_name(events, "utterance_start").count());
        rig.play(&silence(0.35));
        rig.wait_for("outcome", opened);
        sleep(Duration::from_millis(u64::from(random.below(rest_ms))));
        times.extend(press(&mut rig));
    }
    rig.play(&silence(1.0));
    let ended = rig.end(rustix::process::Signal::TERM);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    let name = model.map_or("nano".into(), |model| model.display().to_string());
    let name = name.rsplit('/').next().unwrap_or_default().to_owned();
    let counts = format!(
        "presses={pressed} yields={} unmet={} median={median:.1?} worst={worst:.1?} model={name}",
        times.len(),
        pressed - times.len()
    );
    prove::say("yield", seed, &counts);
    assert!(!prove::is_full() || worst <= LONGEST, "{counts}");
}
