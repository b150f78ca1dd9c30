//! Counting: word errors, shares, and how sure they are.
//!
//! Pure functions. All intervals are of 95 %.

/// Repetitions of the bootstrap.
const RESAMPLES: usize = 1_000;
/// The normal deviate of 95 %.
const Z: f64 = 1.959_964;

/// A share with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share {
    /// Cases that count.
    pub(super) count: usize,
    /// All cases.
    pub(super) of: usize,
    /// Ends of the interval, 0 to 1.
    pub(super) interval: (f64, f64),
}

impl Share {
    /// Returns the share, 0 to 1; 0 of none.
    pub(super) fn value(&self) -> f64 {
        ratio(self.count, self.of)
    }
}

fn ratio(count: usize, of: usize) -> f64 {
    if of == 0 {
        0.0
    } else {
        count as f64 / of as f64
    }
}

/// Returns a share with its interval after Wilson.
pub(super) fn share(count: usize, of: usize) -> Share {
    let interval = if of == 0 {
        (0.0, 1.0)
    } else {
        let (n, p) = (of as f64, ratio(count, of));
        let scale = 1.0 + Z * Z / n;
        let middle = (p + Z * Z / (2.0 * n)) / scale;
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
        ((middle - half).max(0.0), (middle + half).min(1.0))
    };
    Share {
        count,
        of,
        interval,
    }
}

/// Returns how many words must be changed, added or left out to make `expected` of `heard`.
pub(super) fn word_errors(expected: &[String], heard: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (at, word) in expected.iter().enumerate() {
        let mut before = row[0];
        row[0] = at + 1;
        for (place, other) in heard.iter().enumerate() {
            let changed = before + usize::from(word != other);
            before = row[place + 1];
            row[place + 1] = changed.min(before + 1).min(row[place] + 1);
        }
    }
    row[heard.len()]
}

/// Returns the interval of a rate of errors over clips, by drawing clips again and again
/// (bootstrap, always with the same seed). Each clip is (errors, words). Clips that are all alike
/// would give none: then it is that of the share of clips with an error.
pub(super) fn rate_interval(clips: &[(usize, usize)]) -> (f64, f64) {
    if clips.is_empty() {
        return (0.0, 1.0);
    }
    let mut random = Random(1);
    let mut rates: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = (0..clips.len()).map(|_| clips[random.below(clips.len())]);
            let (errors, words) = drawn.fold((0, 0), |sum, clip| (sum.0 + clip.0, sum.1 + clip.1));
            ratio(errors, words)
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    let (low, high) = (rates[RESAMPLES / 40], rates[RESAMPLES - 1 - RESAMPLES / 40]);
    if low < high {
        return (low, high);
    }
    let wrong = clips.iter().filter(|clip| 0 < clip.0).count();
    let alike = share(wrong, clips.len()).interval;
    (low.min(alike.0), high.max(alike.1))
}

/// Returns the highest rate a unit that so many cases in so much leave possible, at 95 %, and the
/// lowest. Source: the usual interval of a Poisson count, by the approximation of Byar.
pub(super) fn count_interval(count: usize, amount: f64) -> (f64, f64) {
    let bound = |n: f64, side: f64| {
        let root = 1.0 - 1.0 / (9.0 * n) + side * Z / (3.0 * n.sqrt());
        n * root.powi(3)
    };
    let low = if count == 0 {
        0.0
    } else {
        bound(count as f64, -1.0)
    };
    let high = bound(count as f64 + 1.0, 1.0);
    (low.max(0.0) / amount, high / amount)
}

/// Numbers that look random and are always the same (SplitMix64, by Sebastiano Vigna).
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `count`, which is not 0.
    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::evaluate::manifest::words;

    #[test]
    fn word_errors_are_the_fewest_changes() {
        for (expected, heard, errors) in [
            ("", "", 0),
            ("go left", "go left", 0),
            ("go left", "left", 1),
            ("go left", "", 2),
            ("", "go", 1),
            ("turn on the light", "turn off light now", 3),
        ] {
            let found = word_errors(&words(expected), &words(heard));
            assert_eq!(found, errors, "{expected} / {heard}");
        }
    }

    #[test]
    fn intervals_hold_the_share_and_shrink_with_the_cases() {
        let few = share(9, 10);
        let many = share(900, 1_000);
        assert!((few.interval.0 - 0.596).abs() < 0.001, "{few:?}");
        assert!((few.interval.1 - 0.982).abs() < 0.001, "{few:?}");
        assert!(few.interval.0 < many.interval.0 && many.interval.1 < few.interval.1);
        assert_eq!(share(0, 0).interval, (0.0, 1.0));
    }

    #[test]
    fn the_bootstrap_gives_the_same_every_time_and_holds_the_rate() {
        let clips: Vec<(usize, usize)> = (0..100).map(|n| (usize::from(n % 5 == 0), 2)).collect();
        let (low, high) = rate_interval(&clips);
        assert!(low < 0.1 && 0.1 < high && high < 0.2, "{low} {high}");
        assert_eq!(rate_interval(&clips), (low, high));
    }

    #[test]
    fn no_case_in_an_hour_leaves_less_than_four_an_hour_possible() {
        let (low, high) = count_interval(0, 1.0);
        assert!(low == 0.0 && (3.4..4.0).contains(&high), "{high}");
        let (low, high) = count_interval(10, 2.0);
        assert!(
            (2.3..2.5).contains(&low) && (9.0..9.3).contains(&high),
            "{low} {high}"
        );
    }
}
