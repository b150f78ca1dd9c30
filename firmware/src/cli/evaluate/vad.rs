//! Voice activity: how much speech is missed, and how much else is taken for speech.
//!
//! In: recordings whose times of speech are known, through the appliance's gate. Out: what was
//! missed and what was false, in steps of 10 ms, and how well the borders fit.

use pressel_pipeline::limits::RATE_HZ;

/// Samples of a step: 10 ms.
const STEP: u64 = RATE_HZ as u64 / 100;

/// What all recordings gave, in steps of 10 ms.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// For each recording: steps that are wrong, and all.
    pub(super) clips: Vec<(usize, usize)>,
    /// For each with speech: steps of it that were missed, and all of it.
    pub(super) missed: Vec<(usize, usize)>,
    /// For each with anything else: steps of that which were taken for speech, and all of them.
    pub(super) false_alarms: Vec<(usize, usize)>,
}

impl Tally {
    /// Counts a recording of so many samples: times in seconds, `found` in samples of it.
    pub(super) fn count(&mut self, expected: &[(f64, f64)], found: &[(u64, u64)], samples: u64) {
        let steps = samples / STEP;
        let (mut speech, mut missed, mut false_alarms) = (0, 0, 0);
        for step in 0..steps {
            let middle = step * STEP + STEP / 2;
            let second = middle as f64 / RATE_HZ as f64;
            let is_speech = expected
                .iter()
                .any(|&(start, end)| start <= second && second < end);
            let is_found = found
                .iter()
                .any(|&(start, end)| start <= middle && middle < end);
            speech += usize::from(is_speech);
            missed += usize::from(is_speech && !is_found);
            false_alarms += usize::from(is_found && !is_speech);
        }
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        self.clips.push((missed + false_alarms, steps));
        for (list, wrong, of) in [
            (&mut self.missed, missed, speech),
            (&mut self.false_alarms, false_alarms, steps - speech),
        ] {
            if 0 < of {
                list.push((wrong, of));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_speech_and_false_alarms_are_counted_in_steps() {
        let mut tally = Tally::default();
        // A second; speech from 0.2 to 0.6 s, found from 0.3 to 0.7 s.
        tally.count(&[(0.2, 0.6)], &[(4_800, 11_200)], 16_000);
        // Nothing but noise.
        tally.count(&[], &[], 1_600);
        assert_eq!(tally.clips, [(20, 100), (0, 10)]);
        assert_eq!(tally.missed, [(10, 40)]);
        assert_eq!(tally.false_alarms, [(10, 60), (0, 10)]);
    }
}
