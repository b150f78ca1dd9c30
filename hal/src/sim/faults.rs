//! A microphone that fails by a seed, around any other.
//!
//! For tests: overruns, suspends and a device that goes away, without a mock. Same seed, same
//! faults.

use crate::{MicError, Microphone, PollFd};

/// How often each fault comes, in reads of a thousand that would have given a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultRates {
    /// A block is swallowed and reported as an overrun of its length.
    pub overrun_per_mille: u32,
    /// A block is swallowed and reported as a suspend of its length.
    pub suspend_per_mille: u32,
    /// The device goes away; every read after it says so too.
    pub lost_per_mille: u32,
}

/// A microphone that fails now and then.
pub struct FaultyMicrophone<M> {
    inner: M,
    rates: FaultRates,
    random: u32,
    gone: bool,
}

impl<M: Microphone> FaultyMicrophone<M> {
    /// Wraps a microphone. Every seed but 0 gives another run; 0 is taken as 1.
    pub fn new(inner: M, rates: FaultRates, seed: u32) -> Self {
        let sum = rates.overrun_per_mille + rates.suspend_per_mille + rates.lost_per_mille;
        assert!(sum <= 1_000, "rates are shares of a thousand");
        Self {
            inner,
            rates,
            random: seed.max(1),
            gone: false,
        }
    }

    /// Returns the microphone inside.
    pub fn inner(&self) -> &M {
        &self.inner
    }

    /// Draws one of a thousand. Source: Marsaglia, "Xorshift RNGs", 2003, shifts 13, 17, 5.
    fn draw_per_mille(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random % 1_000
    }
}

impl<M: Microphone> Microphone for FaultyMicrophone<M> {
    fn poll_fds(&self, fds: &mut [PollFd]) -> usize {
        self.inner.poll_fds(fds)
    }

    fn read(&mut self, block: &mut [i16]) -> Result<bool, MicError> {
        if self.gone {
            return Err(MicError::Lost {
                errno: libc::ENODEV,
            });
        }
        if !self.inner.read(block)? {
            return Ok(false);
        }
        let FaultRates {
            overrun_per_mille,
            suspend_per_mille,
            lost_per_mille,
        } = self.rates;
        let drawn = self.draw_per_mille();
        if drawn < overrun_per_mille {
            let lost_samples = u32::try_from(block.len()).unwrap_or(u32::MAX);
            return Err(MicError::Overrun { lost_samples });
        }
        if drawn < overrun_per_mille + suspend_per_mille {
            let lost_samples = u32::try_from(block.len()).unwrap_or(u32::MAX);
            return Err(MicError::Suspended { lost_samples });
        }
        if drawn < overrun_per_mille + suspend_per_mille + lost_per_mille {
            self.gone = true;
            return Err(MicError::Lost {
                errno: libc::ENODEV,
            });
        }
        Ok(true)
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::ScriptedMicrophone;

    /// Plays 4,000 blocks; returns overruns, suspends, blocks that came, and the fault at the end.
    fn play(rates: FaultRates, seed: u32) -> (u32, u32, u32, Option<MicError>) {
        let scripted = ScriptedMicrophone::new(vec![1; 4_000 * 16]).unwrap();
        let mut microphone = FaultyMicrophone::new(scripted, rates, seed);
        let mut block = [0; 16];
        let (mut overruns, mut suspends, mut blocks) = (0, 0, 0);
        loop {
            match microphone.read(&mut block) {
                Ok(true) => blocks += 1,
                Ok(false) => return (overruns, suspends, blocks, None),
                Err(MicError::Overrun { lost_samples }) => {
                    assert_eq!(lost_samples, 16);
                    overruns += 1;
                }
                Err(MicError::Suspended { .. }) => suspends += 1,
                Err(lost) => {
                    assert_eq!(microphone.read(&mut block), Err(lost));
                    return (overruns, suspends, blocks, Some(lost));
                }
            }
        }
    }

    #[test]
    fn every_block_comes_or_is_reported_and_a_seed_repeats() {
        let rates = FaultRates {
            overrun_per_mille: 50,
            suspend_per_mille: 20,
            lost_per_mille: 0,
        };
        let (overruns, suspends, blocks, end) = play(rates, 7);
        assert_eq!(overruns + suspends + blocks, 4_000);
        assert!((100..300).contains(&overruns) && (40..120).contains(&suspends));
        assert_eq!(end, None);
        assert_eq!(play(rates, 7), (overruns, suspends, blocks, end));
        assert_ne!(play(rates, 8), (overruns, suspends, blocks, end));
    }

    #[test]
    fn a_device_that_is_gone_stays_gone() {
        let rates = FaultRates {
            lost_per_mille: 10,
            ..FaultRates::default()
        };
        let (_, _, blocks, end) = play(rates, 3);
        assert!(blocks < 4_000);
        assert_eq!(
            end,
            Some(MicError::Lost {
                errno: libc::ENODEV
            })
        );
        assert_eq!(play(FaultRates::default(), 3), (0, 0, 4_000, None));
    }
}
