//! How soon after the end of an utterance its text is there, with guesses and without.
//!
//! In: the demo's recordings, and people's when `PRESSEL_SPEECH` names a folder with `words` and
//! `sentences`; played in real time, hands-free and by the button. `PRESSEL_TINY_EN` names a model
//! of the shape of tiny.en, whose text may be nonsense. Out: the share of texts within 50 ms, what
//! wrong guesses cost, and the proof that guesses change no utterance and no text.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::events::{Said, of_name, said};
use crate::process;
use crate::program::need_models;
use crate::prove;
use crate::rig::{Rig, Setting};
use crate::voice::{Random, clips, read, silence};

/// A text within this time after the end is there at once.
const AT_ONCE: Duration = Duration::from_millis(50);
/// Recordings of people, of each folder.
const PEOPLE: usize = 8;
/// People's recordings that are longer are left out, in samples: 8 s.
const SAMPLES_MAX: usize = 128_000;

/// Who says where an utterance begins and ends.
#[derive(Clone, Copy, Debug)]
enum Hands {
    /// Nobody: a silence of this name ends it.
    Free { endpoint: &'static str },
    /// The button, let go between 0 and 0.4 s after the recording.
    Button,
}

/// What one run gave.
struct Run {
    said: Vec<Said>,
    waits: Vec<Duration>,
    /// Time that the worker has computed.
    computed: Duration,
    made: usize,
    adopted: usize,
}

fn recordings(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(recordings(&path));
        } else if path
            .extension()
            .is_some_and(|end| end == "flac" || end == "wav")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Returns what is played: few recordings in the short edition.
fn spoken() -> Vec<Vec<i16>> {
    let demo = clips().iter().map(|clip| clip.samples.clone());
    let Some(folder) = std::env::var_os("PRESSEL_SPEECH").filter(|_| prove::is_full()) else {
        return demo.take(if prove::is_full() { 6 } else { 2 }).collect();
    };
    let mut all: Vec<Vec<i16>> = demo.collect();
    for kind in ["words", "sentences"] {
        let files = recordings(&Path::new(&folder).join(kind));
        let every = (files.len() / PEOPLE).max(1);
        let picked = files.iter().step_by(every).map(|file| read(file));
        all.extend(picked.filter(|samples| samples.len() <= SAMPLES_MAX));
    }
    all
}

/// Plays everything and waits for the texts.
fn play(hands: Hands, guess: bool, spoken: &[Vec<i16>]) -> Run {
    let endpoint = match hands {
        Hands::Free { endpoint } => endpoint,
        Hands::Button => "normal",
    };
    let config = format!("[speech]\nguess = {guess}\nendpoint = \"{endpoint}\"\n");
    let trigger = match hands {
        Hands::Free { .. } => "voice",
        Hands::Button => "ptt",
    };
    let (speed, pace) = if prove::is_full() { (1, 1) } else { (4, 8) };
    let mut arguments = vec!["--trigger", trigger];
    let model = std::env::var("PRESSEL_TINY_EN").ok();
    if let Some(model) = model.as_deref().filter(|_| prove::is_full()) {
        arguments.extend(["--model", model]);
    }
    let mut rig = Rig::ready(&Setting {
        speed,
        pace,
        config: &config,
        arguments: &arguments,
        ..Setting::default()
    });
    let worker = rig.worker();
    let before = process::computed(worker);
    let mut random = Random::of(7);
    rig.play(&silence(0.7));
    for samples in spoken {
        // Each alone: nobody's text waits for the one before.
        rig.events.wait_for_outcomes(0);
        if let Hands::Button = hands {
            rig.press(true);
            rig.play(&silence(0.2));
            rig.play(samples);
            let blocks = usize::try_from(random.below(26)).unwrap();
            rig.play(&vec![0; blocks * 256]);
            rig.release();
            rig.play(&silence(0.4));
        } else {
            rig.play(samples);
            rig.play(&silence(1.2));
        }
    }
    rig.play(&silence(0.5));
    rig.events.wait_for_outcomes(0);
    let computed = process::computed(worker).saturating_sub(before);
    let waits = rig.events.waits();
    let ended = rig.finish(0);
    let adopted = |adopted: bool| {
        let guesses = of_name(&ended.events, "guess");
        guesses.filter(|event| event["adopted"] == adopted).count()
    };
    Run {
        said: said(&ended.events),
        waits,
        computed,
        made: adopted(false),
        adopted: adopted(true),
    }
}

impl Run {
    /// Returns the waits for answers, the shortest first.
    fn sorted(&self) -> Vec<Duration> {
        let both = self.waits.iter().zip(&self.said);
        let mut waits: Vec<_> = both
            .filter(|(_, said)| said.result == "text")
            .map(|(wait, _)| *wait)
            .collect();
        waits.sort_unstable();
        waits
    }

    fn words(&self) -> String {
        let waits = self.sorted();
        let at_once = waits.iter().filter(|wait| **wait <= AT_ONCE).count();
        let ms = |wait: Option<&Duration>| wait.map_or(0.0, |wait| wait.as_secs_f64() * 1_000.0);
        format!(
            "answers={} at_once={at_once} median_ms={:.1} worst_ms={:.1}",
            waits.len(),
            ms(waits.get(waits.len() / 2)),
            ms(waits.last())
        )
    }
}

fn check(name: &str, hands: Hands, spoken: &[Vec<i16>]) {
    let with = play(hands, true, spoken);
    let without = play(hands, false, spoken);
    assert_eq!(with.said, without.said, "{name}");
    assert!(0 < with.adopted && with.adopted <= with.made, "{name}");
    assert_eq!((without.made, without.adopted), (0, 0), "{name}");
    let ms = |time: Duration| time.as_millis();
    let counts = format!(
        "utterances={} guesses={} adopted={} on: {} off: {} worker_ms={} without={}",
        with.said.len(),
        with.made,
        with.adopted,
        with.words(),
        without.words(),
        ms(with.computed),
        ms(without.computed)
    );
    prove::say(&format!("endpoint {name}"), 0, &counts);
}

#[test]
fn prove_endpoint_finds_the_text_ready_and_the_same() {
    need_models!();
    let spoken = spoken();
    for endpoint in ["quick", "normal"] {
        let name = format!("voice {endpoint}");
        check(&name, Hands::Free { endpoint }, &spoken);
    }
    check("button", Hands::Button, &spoken);
}
