//! The choice of one token.
//!
//! Flow: logits, what may not be said struck out -> a token and its log-probability. In place, no
//! allocation. A number that is none (NaN, infinite) anywhere is a bad output.

use crate::ModelError;

/// Logits that are looked at side by side.
const LANES: usize = 32;

/// A chosen token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) token: u32,
    /// Natural logarithm of its probability among what may be said, at temperature 1.
    pub(super) logprob: f32,
}

/// Chooses the likeliest token at temperature 0, and draws one by its probability above it.
pub(super) fn choose(
    logits: &[f32],
    temperature: f32,
    random: &mut Random,
) -> Result<Choice, ModelError> {
    let (best, top) = highest(logits);
    let sum = sum_of_exponents(logits, top)?;
    let token = if temperature <= 0.0 {
        best
    } else {
        draw(logits, top, temperature, random.unit()).unwrap_or(best)
    };
    Ok(Choice {
        token: token as u32,
        logprob: logits[token] - top - sum.ln(),
    })
}

/// Returns the first of the highest logits, and its place; 0 and negative infinity when all are
/// struck out.
pub(super) fn highest(logits: &[f32]) -> (usize, f32) {
    // Two simple passes are quicker than one that keeps the place.
    let top = maximum(logits);
    let place = logits.iter().position(|&logit| logit == top);
    (place.unwrap_or(0), top)
}

/// Returns the highest of `logits`, of those that are numbers; negative infinity when there is
/// none.
#[inline]
pub(super) fn maximum(logits: &[f32]) -> f32 {
    let above = |top: f32, &logit: &f32| if top < logit { logit } else { top };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, logit) in lanes.iter_mut().zip(chunk) {
            *lane = above(*lane, logit);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, above)
}

/// Sum of `exp(logit - top)`, where `top` is the highest logit. A NaN anywhere, or nothing finite,
/// is a bad output.
pub(super) fn sum_of_exponents(logits: &[f32], top: f32) -> Result<f32, ModelError> {
    // With the widest vectors of the processor that runs this, not of the oldest one.
    let sum = pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut lanes = [0.0; LANES];
            let (chunks, rest) = logits.as_chunks::<LANES>();
            for chunk in chunks {
                for (lane, &logit) in lanes.iter_mut().zip(chunk) {
                    *lane += exp(logit - top);
                }
            }
            let rest: f32 = rest.iter().map(|logit| exp(logit - top)).sum();
            lanes.iter().sum::<f32>() + rest
        },
    );
    if sum.is_finite() && top.is_finite() {
        Ok(sum)
    } else {
        Err(ModelError::BadOutput)
    }
}

/// The exponential of a number that is not above 0, to 3e-7 of itself; 0 below -87. A NaN stays
/// one.
///
/// Without a branch or a loop, so that the compiler does several at once: a vocabulary has 51,865
/// of them. Time: 40 us for these on x86-64, where the library's own takes 165.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding this, and taking it away, rounds to a whole number: 1.5 * 2^23.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, so that a product with a small whole number is exact.
    const LN2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
    // The comparison is false for a NaN, which goes on.
    let clamped = if x < -87.0 { -87.0 } else { x };
    let shifted = clamped * core::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = clamped - whole * LN2.0 - whole * LN2.1;
    // Taylor's row: the rest is at most ln 2 / 2, its seventh power over 7! is 1.2e-7.
    let row = rest * (1.0 / 720.0) + 1.0 / 120.0;
    let row = row * rest + 1.0 / 24.0;
    let row = row * rest + 1.0 / 6.0;
    let row = (row * rest + 0.5) * rest + 1.0;
    let row = row * rest + 1.0;
    // Two to the whole number, put together from its exponent bits.
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    let power = f32::from_bits(exponent.wrapping_add(127) << 23);
    // All bits or none, a NaN's too: a choice by branch would end doing several at once.
    let keep = u32::from(x < -87.0).wrapping_sub(1);
    f32::from_bits((row * power).to_bits() & keep)
}

/// Returns the token at the place `unit` (0 to 1) of all probabilities one after the other.
fn draw(logits: &[f32], top: f32, temperature: f32, unit: f32) -> Option<usize> {
    let weight = |logit: f32| f64::from(exp((logit - top) / temperature));
    let all: f64 = logits.iter().map(|&logit| weight(logit)).sum();
    let mut left = f64::from(unit) * all;
    logits.iter().position(|&logit| {
        let weight = weight(logit);
        left -= weight;
        left < 0.0 && 0.0 < weight
    })
}

/// Random numbers that are the same wherever the same audio is heard (SplitMix64).
pub(super) struct Random(u64);

impl Random {
    /// Returns the numbers of one pass over `audio`. Time: half a millisecond for 30 s.
    pub(super) fn of(audio: &[i16], pass: u32) -> Self {
        // FNV-1a over samples.
        let mut seed = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(pass);
        for &sample in audio {
            seed = (seed ^ u64::from(sample as u16)).wrapping_mul(0x0100_0000_01b3);
        }
        Self(seed ^ audio.len() as u64)
    }

    /// Returns a number from 0 to below 1.
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 40) as f32 / (1_u32 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: f32 = f32::NEG_INFINITY;

    fn greedy(logits: &[f32]) -> Result<Choice, ModelError> {
        choose(logits, 0.0, &mut Random::of(&[], 0))
    }

    fn check(logits: &[f32], expected: Result<u32, ModelError>) {
        let choice = greedy(logits);
        assert_eq!(choice.map(|choice| choice.token), expected, "{logits:?}");
    }

    #[test]
    fn the_likeliest_token_is_chosen_and_of_equals_the_first() {
        check(&[1.0, 2.0, 0.0, NONE], Ok(1));
        check(&[2.0; 4], Ok(0));
        let mut long = [0.0; 19];
        long[17] = 1.0;
        check(&long, Ok(17));
    }

    #[test]
    fn logits_that_are_no_numbers_are_a_bad_output() {
        for (wrong, place) in [(f32::NAN, 0), (f32::NAN, 18), (f32::INFINITY, 9)] {
            let mut logits = [1.0; 19];
            logits[place] = wrong;
            check(&logits, Err(ModelError::BadOutput));
        }
        check(&[f32::NAN; 19], Err(ModelError::BadOutput));
        check(&[NONE; 19], Err(ModelError::BadOutput));
        check(&[], Err(ModelError::BadOutput));
    }

    #[test]
    fn probabilities_are_those_of_what_may_be_said() {
        let choice = greedy(&[0.0, 0.0, NONE, NONE]).unwrap();
        assert!((choice.logprob - 0.5_f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn exponential_is_exact_enough_everywhere() {
        for step in 0..=87_000 {
            let x = -(step as f32) / 1_000.0;
            let (found, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                (found - exact).abs() <= 3e-7 * exact,
                "{x}: {found} {exact}"
            );
        }
        assert_eq!(exp(-88.0), 0.0);
        assert_eq!(exp(NONE), 0.0);
        assert!(exp(f32::NAN).is_nan());
        assert!((exp(0.0) - 1.0).abs() < 1e-7);
    }

    #[test]
    fn draws_follow_the_probabilities_at_their_temperature() {
        // At 0.5 the odds of 1 to 2 are squared: 1 to 4.
        let logits = [0.0, 2_f32.ln(), NONE];
        let mut random = Random::of(&[7; 100], 1);
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            let choice = choose(&logits, 0.5, &mut random).unwrap();
            counts[choice.token as usize] += 1;
            let odds: f32 = if choice.token == 0 { 1.0 } else { 2.0 };
            assert!((choice.logprob - (odds / 3.0).ln()).abs() < 1e-6);
        }
        assert!((1_850..2_150).contains(&counts[0]), "{counts:?}");
        assert_eq!(counts[2], 0);
    }

    #[test]
    fn the_same_audio_gives_the_same_draws_and_another_pass_others() {
        let row = |audio: &[i16], pass| {
            let mut random = Random::of(audio, pass);
            [(); 4].map(|()| random.unit().to_bits())
        };
        assert_eq!(row(&[1, 2], 1), row(&[1, 2], 1));
        assert_ne!(row(&[1, 2], 1), row(&[1, 2], 2));
        assert_ne!(row(&[1, 2], 1), row(&[2, 1], 1));
        assert_ne!(row(&[0; 5], 1), row(&[0; 6], 1));
    }

    proptest! {
        #[test]
        fn what_is_struck_out_is_never_drawn(
            logits in prop::collection::vec(prop_oneof![Just(NONE), -30.0_f32..30.0], 1..40),
            temperature in 0.05_f32..2.0,
            pass in 0_u32..100,
        ) {
            let choice = choose(&logits, temperature, &mut Random::of(&[3], pass));
            match choice {
                Ok(choice) => prop_assert!(logits[choice.token as usize].is_finite()),
                Err(_) => prop_assert!(logits.iter().all(|&logit| logit == NONE)),
            }
        }
    }
}
