//! Medians, quartiles and ratios.
//!
//! Pure functions over slices of numbers that are finite.

/// How values spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Least, quartiles and most of `values`; `None` when there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            least: *sorted.first()?,
            low: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            high: quantile(&sorted, 0.75),
            most: *sorted.last()?,
        })
    }
}

/// The median of `values`; `None` when there are none.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    Spread::of(values).map(|spread| spread.median)
}

/// The value below which the share `part` of the sorted values lies, between neighbours in
/// proportion.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

/// The median of the ratios of two engines within the same round. What disturbs a whole round
/// disturbs both, so it says more than the ratio of the medians on a busy machine.
pub(crate) fn paired_ratio(values: &[f64], base: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = values
        .iter()
        .zip(base)
        .map(|(one, base)| one / base)
        .collect();
    median(&ratios)
}

/// A shuffler with a seed: xorshift, after Marsaglia.
pub(crate) struct Shuffler(u64);

impl Shuffler {
    /// Any seed gives an order.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Shuffles in place, after Fisher and Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            let place = self.0 % (last as u64 + 1);
            items.swap(last, usize::try_from(place).unwrap_or(last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], expected: [f64; 5]) {
        let spread = Spread::of(values).unwrap();
        let Spread {
            least,
            low,
            median,
            high,
            most,
        } = spread;
        assert_eq!([least, low, median, high, most], expected, "{values:?}");
    }

    #[test]
    fn quartiles_lie_between_neighbours() {
        check(&[7.0], [7.0; 5]);
        check(&[4.0, 1.0], [1.0, 1.75, 2.5, 3.25, 4.0]);
        check(&[5.0, 1.0, 4.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn paired_ratios_forgive_a_round_that_was_disturbed() {
        assert_eq!(
            paired_ratio(&[2.0, 20.0, 2.2], &[1.0, 10.0, 1.1]),
            Some(2.0)
        );
        assert_eq!(paired_ratio(&[], &[]), None);
    }

    #[test]
    fn a_seed_gives_one_order_and_loses_nothing() {
        let order = |seed| {
            let mut items: Vec<u32> = (0..20).collect();
            Shuffler::new(seed).shuffle(&mut items);
            items
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut sorted = order(3);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
    }
}
