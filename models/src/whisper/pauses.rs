//! Cutting speech where it is quietest.
//!
//! Flow: samples -> pieces. Whisper itself hears 30 s and is not cut here; a small network that
//! learnt on short commands is. Whoever cuts longer recordings asks [`quietest`] too.

use crate::mel::RATE_HZ;

/// Samples of one level measurement: 20 ms.
const STEP: usize = RATE_HZ / 50;
/// Steps that are averaged, so that a cut falls into a pause and not into a closed consonant: 160
/// ms.
const SPAN: usize = 8;

/// Returns the pieces of `audio`, each of at most `samples_max` samples, none for empty audio.
///
/// Each cut lies in the second half of what may still be one piece, at the quietest 160 ms.
pub(super) fn cut(audio: &[i16], samples_max: usize) -> impl Iterator<Item = &[i16]> {
    assert!(2 * SPAN * STEP <= samples_max);
    let mut rest = audio;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(first_length(rest, samples_max));
        rest = after;
        Some(piece)
    })
}

fn first_length(audio: &[i16], samples_max: usize) -> usize {
    if audio.len() <= samples_max {
        return audio.len();
    }
    let from = samples_max / 2;
    from + quietest(&audio[from..samples_max])
}

/// Returns the middle of the quietest 160 ms of `audio`, the first of several; the middle of audio
/// that is shorter than that.
///
/// Units: samples at 16 kHz.
#[must_use]
pub fn quietest(audio: &[i16]) -> usize {
    let Some(last) = audio.len().checked_sub(SPAN * STEP) else {
        return audio.len() / 2;
    };
    let energy = |start: usize| -> u64 {
        let part = &audio[start..start + SPAN * STEP];
        part.iter()
            .map(|&sample| u64::from(sample.unsigned_abs()).pow(2))
            .sum()
    };
    let starts = (0..=last).step_by(STEP);
    starts.min_by_key(|&start| energy(start)).unwrap_or(0) + SPAN * STEP / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts audio that is loud but for the pauses (in samples), and returns the lengths.
    fn check(samples: usize, pauses: &[(usize, usize)], expected: &[usize]) {
        let audio: Vec<i16> = (0..samples)
            .map(|at| {
                if pauses.iter().any(|&(from, to)| from <= at && at < to) {
                    1
                } else {
                    1_000
                }
            })
            .collect();
        let lengths: Vec<usize> = cut(&audio, 64_000).map(<[i16]>::len).collect();
        assert_eq!(lengths, expected);
        assert_eq!(lengths.iter().sum::<usize>(), samples);
    }

    #[test]
    fn short_audio_is_one_piece_and_none_is_none() {
        check(0, &[], &[]);
        check(64_000, &[], &[64_000]);
    }

    #[test]
    fn cut_falls_into_the_middle_of_the_pause() {
        check(100_000, &[(40_000, 42_560)], &[41_280, 58_720]);
    }

    #[test]
    fn quietest_place_of_very_short_audio_is_its_middle() {
        assert_eq!(quietest(&[]), 0);
        assert_eq!(quietest(&[5; 100]), 50);
        assert_eq!(quietest(&[5; SPAN * STEP]), SPAN * STEP / 2);
    }

    #[test]
    fn pause_too_early_to_be_worth_it_is_passed_over() {
        check(
            100_000,
            &[(10_000, 20_000), (49_920, 52_480)],
            &[51_200, 48_800],
        );
    }

    #[test]
    fn audio_without_a_pause_is_cut_all_the_same() {
        check(100_000, &[], &[33_280, 33_280, 33_440]);
    }
}
