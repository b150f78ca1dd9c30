//! Wake words: how many are missed, at how many false accepts.
//!
//! In: recordings through the appliance's own models of wake words. Out: for each threshold the
//! missed sayings of each word and the false accepts in all that is no saying of it. The wake
//! machine of every threshold runs beside the others, on the same scores.

use pressel_models::wake_word::FRAME_SAMPLES;
use pressel_pipeline::limits::{RATE_HZ, WAKE_WORDS_MAX};
use pressel_pipeline::wake::{self, State, Tuning};

use super::clip::Clip;
use super::score::{Share, count_interval, share};
use crate::listen::Ears;
use crate::listen::words::Word;
use crate::second_looks::contains;

/// Thresholds that are tried besides the configured one.
const THRESHOLDS: [f32; 16] = [
    0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.99,
];

/// What one threshold gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) threshold: f32,
    pub(super) missed: Share,
    pub(super) false_accepts: usize,
    /// False accepts an hour, at 95 %; nothing where only sayings of the word were played.
    pub(super) per_hour: Option<(f64, f64)>,
}

/// One word over all recordings.
pub(super) struct Curve {
    pub(super) name: String,
    tuning: Tuning,
    thresholds: Vec<f32>,
    sayings: usize,
    missed: Vec<usize>,
    accepted: Vec<usize>,
    /// Samples of all that is no saying of it.
    without: u64,
}

impl Curve {
    fn new(word: &Word) -> Self {
        let mut thresholds = THRESHOLDS.to_vec();
        thresholds.push(word.tuning.threshold);
        thresholds.sort_by(f32::total_cmp);
        thresholds.dedup();
        Self {
            name: word.name.as_str().to_owned(),
            tuning: word.tuning,
            missed: vec![0; thresholds.len()],
            accepted: vec![0; thresholds.len()],
            thresholds,
            sayings: 0,
            without: 0,
        }
    }

    /// Hours of all that is no saying of the word.
    pub(super) fn hours(&self) -> f64 {
        self.without as f64 / RATE_HZ as f64 / 3_600.0
    }

    /// The threshold that is configured.
    pub(super) fn configured(&self) -> f32 {
        self.tuning.threshold
    }

    /// What each threshold gives, from the lowest to the highest.
    pub(super) fn points(&self) -> Vec<Point> {
        let point = |(at, &threshold): (usize, &f32)| Point {
            threshold,
            missed: share(self.missed[at], self.sayings),
            false_accepts: self.accepted[at],
            per_hour: (0 < self.without).then(|| count_interval(self.accepted[at], self.hours())),
        };
        self.thresholds.iter().enumerate().map(point).collect()
    }

    /// Counts one recording. `found` is how often each threshold found the word in it.
    fn count(&mut self, found: &[usize], says_it: bool, samples: u64) {
        if says_it {
            self.sayings += 1;
            for (missed, &found) in self.missed.iter_mut().zip(found) {
                *missed += usize::from(found == 0);
            }
            return;
        }
        self.without += samples;
        for (accepted, found) in self.accepted.iter_mut().zip(found) {
            *accepted += found;
        }
    }
}

/// Starts a curve for each word that is listened for.
pub(super) fn curves(ears: &Ears) -> Vec<Curve> {
    ears.words().iter().map(Curve::new).collect()
}

/// Plays one recording in which `text` is said. False when the model has failed.
pub(super) fn hear(ears: &mut Ears, clip: &Clip, text: &str, curves: &mut [Curve]) -> bool {
    ears.reset();
    let mut states: Vec<Vec<State>> = curves
        .iter()
        .map(|curve| vec![State::ARMED; curve.thresholds.len()])
        .collect();
    let mut found: Vec<Vec<usize>> = states.iter().map(|states| vec![0; states.len()]).collect();
    let mut scores = [0.0; WAKE_WORDS_MAX];
    for (number, frame) in clip
        .samples
        .as_chunks::<FRAME_SAMPLES>()
        .0
        .iter()
        .enumerate()
    {
        if !ears.wake_scores(frame, &mut scores) {
            return false;
        }
        let at = ((number + 1) * FRAME_SAMPLES) as u64;
        for (word, curve) in curves.iter().enumerate() {
            for (place, &threshold) in curve.thresholds.iter().enumerate() {
                let tuning = Tuning {
                    threshold,
                    ..curve.tuning
                };
                let step = wake::step(&states[word][place], scores[word], at, &tuning);
                states[word][place] = step.next;
                found[word][place] += usize::from(step.heard.is_some());
            }
        }
    }
    for (curve, found) in curves.iter_mut().zip(&found) {
        let says_it = contains(text, &curve.name);
        curve.count(found, says_it, clip.sounding as u64);
    }
    true
}

#[cfg(test)]
mod tests {
    use pressel_models::fake::ScriptedWakeWord;

    use super::*;
    use crate::listen::words::one_word;

    #[test]
    fn what_is_found_counts_by_what_was_said() {
        // The model fires in the third frame of each recording, and never again.
        for (fires, text, expected) in [
            (vec![2], "a word", (1, 0, 0)),
            (vec![2], "another thing", (0, 0, 1)),
            (vec![], "word", (1, 1, 0)),
            (vec![], "", (0, 0, 0)),
        ] {
            let words = one_word(Box::new(ScriptedWakeWord::new(fires)));
            let mut ears = Ears::by_level().with_words(words);
            let mut found = curves(&ears);
            let clip = Clip::of(vec![0; 16_000], 8_000);
            assert!(hear(&mut ears, &clip, text, &mut found));
            let curve = &found[0];
            let hours = if expected.0 == 1 { 0.0 } else { 0.5 / 3_600.0 };
            assert!(
                (curve.hours() - hours).abs() < 1e-9,
                "silence around counts"
            );
            for point in curve.points() {
                let counted = (curve.sayings, point.missed.count, point.false_accepts);
                assert_eq!(counted, expected, "{text} at {}", point.threshold);
                assert_eq!(point.per_hour.is_none(), expected.0 == 1);
            }
        }
    }
}
