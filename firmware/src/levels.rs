//! Brings quiet recordings up, one utterance at a time.
//!
//! Samples in, a factor out. Pure: no state, no allocation. Runs in the worker, on each utterance
//! that it recognises, live or from a file.
//!
//! A whole recording cannot be measured while it streams, so the unit is the chunk that goes to the
//! recogniser: one utterance of at most 30 s.

/// Level that the loud part of a chunk is brought to: -3 dB below full scale.
const TARGET: f32 = 23_198.0;

/// Largest gain: 30 dB. More would only bring up the noise of the converter.
const GAIN_MAX: f32 = 31.62;

/// One sample in this many may be louder than the level that counts: a click does not decide.
const LOUDER_ONE_IN: usize = 1_000;

/// Steps in one doubling of the level in the histogram: 0.27 dB each.
const STEPS_PER_DOUBLING: u32 = 32;
const STEPS: usize = 16 * STEPS_PER_DOUBLING as usize;

/// Returns the factor that brings `chunk` up, 1 to 31.62 (0 to 30 dB).
///
/// It brings the level that 99.9 % of the samples stay below to -3 dBFS, and is never less than 1:
/// what clipped in the recorder stays clipped, and silence stays silence. The samples stay as they
/// are: the spectrogram is made louder, see
/// [`Whisper::set_gain`](pressel_models::Whisper::set_gain).
///
/// Time: one pass over the chunk. Memory: 2 KB on the stack.
#[must_use]
pub fn gain(chunk: &[i16]) -> f32 {
    match loud_level(chunk) {
        0 => 1.0,
        level => (TARGET / level as f32).clamp(1.0, GAIN_MAX),
    }
}

/// Returns the level that all but one sample in a thousand stay at or below, rounded up.
#[must_use]
pub fn loud_level(chunk: &[i16]) -> u32 {
    let mut counts = [0_u32; STEPS];
    for sample in chunk {
        counts[step_of(u32::from(sample.unsigned_abs()))] += 1;
    }
    let mut louder = chunk.len() / LOUDER_ONE_IN;
    for (step, count) in counts.iter().enumerate().rev() {
        let count = *count as usize;
        if count > louder {
            return top_of(step as u32);
        }
        louder -= count;
    }
    0
}

/// Returns the histogram step of a level: linear below 32, then 32 steps to each doubling.
fn step_of(level: u32) -> usize {
    if level < STEPS_PER_DOUBLING {
        return level as usize;
    }
    let doublings = level.ilog2() - STEPS_PER_DOUBLING.ilog2();
    let step = (level >> doublings) - STEPS_PER_DOUBLING;
    ((doublings + 1) * STEPS_PER_DOUBLING + step) as usize
}

/// Returns the highest level of a step.
fn top_of(step: u32) -> u32 {
    if step < STEPS_PER_DOUBLING {
        return step;
    }
    let doublings = step / STEPS_PER_DOUBLING - 1;
    ((step % STEPS_PER_DOUBLING + STEPS_PER_DOUBLING + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tone(peak: f32, count: usize) -> Vec<i16> {
        (0..count)
            .map(|n| ((n as f32 * 0.3).sin() * peak).round() as i16)
            .collect()
    }

    fn check(peak: f32, expected_gain: f32) {
        let gain = gain(&tone(peak, 16_000));
        let error_db = 20.0 * (gain / expected_gain).log10();
        assert!(
            error_db.abs() < 0.3,
            "peak {peak}: gain {gain}, expected {expected_gain}"
        );
    }

    #[test]
    fn gain_brings_the_peak_to_three_decibels_below_full_scale() {
        check(23_198.0, 1.0);
        check(11_599.0, 2.0);
        check(2_319.8, 10.0);
        check(100.0, GAIN_MAX);
        check(32_767.0, 1.0);
    }

    #[test]
    fn a_click_does_not_decide_the_gain() {
        let mut chunk = tone(2_319.8, 16_000);
        chunk[5_000] = i16::MIN;
        chunk[5_001] = i16::MAX;
        let gain = gain(&chunk);
        assert!(gain > 9.0, "{gain}");
    }

    #[test]
    fn silence_and_nothing_stay_as_they_are() {
        assert_eq!(gain(&[0; 100]), 1.0);
        assert_eq!(gain(&[]), 1.0);
    }

    proptest! {
        #[test]
        fn gain_is_bounded(chunk in prop::collection::vec(any::<i16>(), 0..4_000)) {
            prop_assert!((1.0..=GAIN_MAX).contains(&gain(&chunk)));
        }

        #[test]
        fn every_level_lies_in_its_step(level in 0_u32..=32_768) {
            let step = step_of(level);
            prop_assert!(step < STEPS);
            prop_assert!(level <= top_of(step as u32));
            prop_assert!(step == 0 || top_of(step as u32 - 1) < level);
        }
    }
}
