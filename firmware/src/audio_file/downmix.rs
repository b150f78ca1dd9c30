//! Many channels into one.
//!
//! In: interleaved `f32` samples. Out: one mono frame each, -1 to 1, never NaN.
//!
//! One or two channels: the plain average. More, with known places: the mono column of ITU-R
//! BS.775 (centre 1, front left and right 0.707, all others 0.5), divided by its sum so that
//! nothing clips; the low-frequency channel is left out. Places unknown: the plain average.

/// Bits of the WAVE channel mask. Symphonia uses the same numbers.
const MASK_CENTER: u64 = 1 << 2;
const MASK_FRONT: u64 = (1 << 0) | (1 << 1) | (1 << 6) | (1 << 7);
const MASK_LOW: u64 = (1 << 3) | (1 << 18);

/// Mask of 5.1 and 7.1 in WAVE order, for files that do not say where their channels are.
const MASK_5_1: u64 = 0x3f;
const MASK_7_1: u64 = 0x63f;

/// Weights of the channels of one file. Their sum is 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Downmix {
    weights: Vec<f32>,
}

impl Downmix {
    /// Makes the weights for `channels` channels, in the order of the bits in `mask`.
    ///
    /// Six and eight channels without a mask are taken for 5.1 and 7.1.
    pub(super) fn new(channels: usize, mask: u64) -> Self {
        let mask = match (mask, channels) {
            (0, 6) => MASK_5_1,
            (0, 8) => MASK_7_1,
            (mask, _) => mask,
        };
        let mut places = (0..64)
            .map(|bit| 1_u64 << bit)
            .filter(|bit| mask & bit != 0);
        let places: Vec<Option<u64>> = (0..channels).map(|_| places.next()).collect();
        Self::from_places(&places)
    }

    /// Makes the weights for channels in the order of Vorbis and Opus.
    ///
    /// Source: RFC 7845 section 5.1.1.2. Only 6 (left, centre, right, two rear, low) and more
    /// differ from the plain average in what matters here: the low channel is the last.
    pub(super) fn vorbis_order(channels: usize) -> Self {
        let (left, center, right, rear, low) =
            (Some(1), Some(1 << 2), Some(2), Some(1 << 4), Some(1 << 3));
        match channels {
            3 => Self::from_places(&[left, center, right]),
            5 => Self::from_places(&[left, center, right, rear, rear]),
            6 => Self::from_places(&[left, center, right, rear, rear, low]),
            7 => Self::from_places(&[left, center, right, rear, rear, rear, low]),
            8 => Self::from_places(&[left, center, right, rear, rear, rear, rear, low]),
            _ => Self::new(channels, 0),
        }
    }

    fn from_places(places: &[Option<u64>]) -> Self {
        let known = places.len() > 2 && places.iter().all(Option::is_some);
        let weight = |place: &Option<u64>| match place {
            Some(bit) if known && bit & MASK_LOW != 0 => 0.0,
            Some(bit) if known && bit & MASK_CENTER != 0 => 1.0,
            Some(bit) if known && bit & MASK_FRONT != 0 => std::f32::consts::FRAC_1_SQRT_2,
            Some(_) if known => 0.5,
            _ => 1.0,
        };
        let mut weights: Vec<f32> = places.iter().map(weight).collect();
        let sum: f32 = weights.iter().sum();
        for weight in &mut weights {
            *weight = if sum > 0.0 {
                *weight / sum
            } else {
                1.0 / places.len() as f32
            };
        }
        Self { weights }
    }

    pub(super) fn channels(&self) -> usize {
        self.weights.len()
    }

    /// Makes one frame. A NaN or an infinity counts as 0, all else is clamped to -1 to 1.
    pub(super) fn frame(&self, samples: impl Iterator<Item = f32>) -> f32 {
        let pairs = self.weights.iter().zip(samples);
        let sum: f32 = pairs.map(|(weight, sample)| weight * sane(sample)).sum();
        sum.clamp(-1.0, 1.0)
    }

    /// Appends a frame for each whole group of interleaved samples.
    pub(super) fn append(&self, interleaved: &[f32], mono: &mut Vec<f32>) {
        let frames = interleaved.chunks_exact(self.channels());
        mono.extend(frames.map(|frame| self.frame(frame.iter().copied())));
    }
}

fn sane(sample: f32) -> f32 {
    if sample.is_finite() {
        sample.clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(channels: usize, mask: u64, expected: &[f32]) {
        let weights = Downmix::new(channels, mask).weights;
        assert_eq!(weights.len(), expected.len());
        for (weight, expected) in weights.iter().zip(expected) {
            assert!((weight - expected).abs() < 1e-4, "{weights:?}");
        }
    }

    #[test]
    fn channels_are_weighted_by_their_place() {
        check(1, 0, &[1.0]);
        check(2, 0x3, &[0.5, 0.5]);
        check(3, 0, &[1.0 / 3.0; 3]);
        let (front, center, rear) = (0.2071, 0.2929, 0.1464);
        check(6, 0x3f, &[front, front, center, 0.0, rear, rear]);
        check(6, 0, &[front, front, center, 0.0, rear, rear]);
        check(6, 0x60f, &[front, front, center, 0.0, rear, rear]);
        // A mask that is shorter than the channels says nothing.
        check(4, 0x3, &[0.25; 4]);
        check(1, 0x8, &[1.0]);
    }

    #[test]
    fn wild_samples_are_tamed() {
        let downmix = Downmix::new(2, 0);
        let mut mono = Vec::new();
        downmix.append(
            &[f32::NAN, 0.5, f32::INFINITY, -9.0, 9.0, 9.0, 0.1],
            &mut mono,
        );
        assert_eq!(mono, [0.25, -0.5, 1.0]);
    }
}
