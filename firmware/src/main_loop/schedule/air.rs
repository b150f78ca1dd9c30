//! What can be heard: dice, a microphone whose samples all differ, and ears that know its patterns.
//!
//! A seed and the time in; samples out. Every sample is a function of its place in time, so that an
//! utterance with a sample of another one has another text. Compiled for tests only.

use std::sync::{Arc, Mutex, MutexGuard};

use pressel_hal::{MicError, Microphone, PollFd};
use pressel_models::{ModelError, Vad, WakeWord, vad, wake_word};
use pressel_pipeline::limits::BLOCK_SAMPLES;

/// One block of audio.
pub(super) type Samples = [i16; BLOCK_SAMPLES];

/// Samples in a millisecond.
pub(super) const PER_MS: u64 = 16;
/// Blocks that the microphone gives between two looks of the test at most.
const GIVEN_MAX: usize = 64;
/// Louder than this is speech.
const LOUD: i16 = 2_000;
/// Louder than this is the wake word.
const WAKE: i16 = 20_000;

/// Mixes a number, so that neighbours have nothing in common.
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Random numbers of a seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Returns a number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Returns a number from `low` on, below `high`.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low)
    }

    /// Returns true so often in a thousand.
    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }
}

#[derive(Clone, Copy)]
struct Sound {
    from: u64,
    until: u64,
    is_wake: bool,
}

struct Inside {
    /// Samples that have sounded until now.
    now: u64,
    sounds: Vec<Sound>,
    is_there: bool,
    overrun: u32,
    given: Vec<Samples>,
}

/// The air around the appliance; clones are the same one.
#[derive(Clone)]
pub(super) struct Air(Arc<Mutex<Inside>>);

impl Air {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Inside {
            now: 0,
            sounds: Vec::new(),
            is_there: true,
            overrun: 0,
            given: Vec::with_capacity(GIVEN_MAX),
        })))
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    pub(super) fn go_to(&self, now_ms: u64) {
        self.inside().now = now_ms * PER_MS;
    }

    /// Somebody speaks, or says the wake word, from now on.
    pub(super) fn sound(&self, ms: u64, is_wake: bool) {
        let mut inside = self.inside();
        let from = inside.now;
        inside.sounds.retain(|sound| from < sound.until + 1_000_000);
        inside.sounds.push(Sound {
            from,
            until: from + ms * PER_MS,
            is_wake,
        });
    }

    /// The microphone is plugged in, or not.
    pub(super) fn plug(&self, is_there: bool) {
        self.inside().is_there = is_there;
    }

    pub(super) fn is_there(&self) -> bool {
        self.inside().is_there
    }

    /// So many samples will be lost at the next read.
    pub(super) fn overrun(&self, samples: u32) {
        self.inside().overrun = samples;
    }

    /// Takes the blocks that the microphone gave since the last look.
    pub(super) fn take_given(&self, mut take: impl FnMut(&Samples)) -> usize {
        let mut inside = self.inside();
        inside.given.iter().for_each(&mut take);
        let count = inside.given.len();
        inside.given.clear();
        count
    }

    /// Opens the microphone, if it is there.
    pub(super) fn open(&self) -> Option<Box<dyn Microphone>> {
        let position = self.inside().now;
        let air = self.clone();
        self.is_there()
            .then(|| Box::new(Ear { air, position }) as Box<dyn Microphone>)
    }
}

fn sample(sounds: &[Sound], at: u64) -> i16 {
    let here = |sound: &&Sound| (sound.from..sound.until).contains(&at);
    let mixed = mix(at);
    let part = |count: u64| i16::try_from(mixed % count).unwrap();
    let is_wake = sounds.iter().filter(here).map(|sound| sound.is_wake).max();
    let loud = match is_wake {
        None => return part(101) - 50,
        Some(false) => 2 * LOUD + part(4_000),
        Some(true) => WAKE + part(8_000),
    };
    if mixed >> 63 == 0 { loud } else { -loud }
}

struct Ear {
    air: Air,
    position: u64,
}

impl Microphone for Ear {
    fn poll_fds(&self, _fds: &mut [PollFd]) -> usize {
        0
    }

    fn read(&mut self, block: &mut [i16]) -> Result<bool, MicError> {
        let mut inside = self.air.inside();
        if !inside.is_there {
            let errno = libc::ENODEV;
            return Err(MicError::Lost { errno });
        }
        let lost_samples = std::mem::take(&mut inside.overrun);
        if 0 < lost_samples {
            self.position += u64::from(lost_samples);
            return Err(MicError::Overrun { lost_samples });
        }
        let end = self.position + block.len() as u64;
        if inside.now < end {
            return Ok(false);
        }
        for (at, place) in (self.position..end).zip(block.iter_mut()) {
            *place = sample(&inside.sounds, at);
        }
        self.position = end;
        assert!(inside.given.len() < GIVEN_MAX);
        inside.given.push((&*block).try_into().unwrap());
        Ok(true)
    }

    fn name(&self) -> &str {
        "air"
    }
}

/// Hears speech and the wake word where most samples are as loud as that.
pub(super) struct Level;

fn share(frame: &[i16], loud: i16) -> f32 {
    let count = frame
        .iter()
        .filter(|sample| loud <= sample.saturating_abs());
    count.count() as f32 / frame.len() as f32
}

impl Vad for Level {
    fn hear(&mut self, frame: &[i16; vad::FRAME_SAMPLES]) -> Result<f32, ModelError> {
        Ok(share(frame, LOUD))
    }
    fn reset(&mut self) {}
}

impl WakeWord for Level {
    fn word_count(&self) -> usize {
        1
    }
    fn hear(
        &mut self,
        frame: &[i16; wake_word::FRAME_SAMPLES],
        scores: &mut [f32],
    ) -> Result<(), ModelError> {
        scores[0] = share(frame, WAKE);
        Ok(())
    }
    fn reset(&mut self) {}
}

/// Returns what the recogniser says about samples: how many, and which. Silence has no text.
pub(super) fn text_of(samples: &[i16]) -> String {
    if samples.iter().all(|sample| *sample == 0) {
        return String::new();
    }
    let hash = samples.iter().fold(samples.len() as u64, |hash, sample| {
        (hash ^ (*sample as u16 as u64)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{} samples {hash:016x}", samples.len())
}
