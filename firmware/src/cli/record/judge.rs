//! Whether a take is worth keeping; if not, why, in words and by a name.
//!
//! In: what the studio heard, and the phrase that was to be said. Out: its level, or a fault. Pure.

use core::fmt;

use pressel_pipeline::limits::{HANDS_FREE_SECONDS_MAX, RATE_HZ};
use pressel_pipeline::time::millis;

use super::studio::Take;
use crate::levels::loud_level;

/// A sample this far from zero has reached the end of the converter's range.
const CLIPPED: u16 = 32_700;
/// Clipped samples of a take that are let pass: a click of the lips is not the speech.
const CLIPPED_COUNT_MAX: usize = 8;
/// The loud part of a take below which it is too quiet: 33 dB below full scale, what the recogniser
/// can just bring up ([`crate::levels::gain`]). Below, it hears less than it would of others.
const QUIET: u32 = 734;
/// A microphone that gives no more than this gives nothing: the last bit of the converter.
const DEAD: u16 = 1;
/// Samples that the shortest phrase takes: 0.15 s.
const SHORTEST: u64 = 15 * RATE_HZ as u64 / 100;
/// Samples that a letter takes at least: 25 ms, twice as fast as the fastest speakers.
const LETTER_MIN: u64 = 25 * RATE_HZ as u64 / 1_000;
/// Samples that a phrase may take: 1.5 s, and 0.25 s for each letter, as who spells it does.
const LONGEST: u64 = 3 * RATE_HZ as u64 / 2;
const LETTER_MAX: u64 = RATE_HZ as u64 / 4;

/// Why a take is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody spoke.
    Nothing {
        /// There was not even noise: the microphone is muted, or not connected.
        dead: bool,
    },
    /// It had begun before it was asked for.
    Early,
    /// Samples are missing in it, or around it.
    Lost {
        /// How much is missing.
        lost_ms: u64,
    },
    /// Too short for the phrase.
    Short {
        /// How long it was.
        ms: u64,
    },
    /// Too long for the phrase.
    Long {
        /// How long it was.
        ms: u64,
    },
    /// Louder than the converter can tell.
    Clipped,
    /// Quieter than the recogniser can bring up.
    Quiet {
        /// The level of its loud part.
        level_db: i32,
    },
    /// Somebody spoke where the room was wanted.
    Speech,
}

impl Fault {
    /// Returns its name, for scripts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing { dead: false } => "nothing-heard",
            Self::Nothing { dead: true } => "microphone-silent",
            Self::Early => "too-early",
            Self::Lost { .. } => "samples-lost",
            Self::Short { .. } => "too-short",
            Self::Long { .. } => "too-long",
            Self::Clipped => "clipped",
            Self::Quiet { .. } => "too-quiet",
            Self::Speech => "speech-heard",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        match *self {
            Self::Nothing { dead: false } => f.write_str("nothing was heard for 10 s: speak up"),
            Self::Nothing { dead: true } => f.write_str(
                "the microphone gives silence: is it muted? `alsamixer` (F4) shows its switch",
            ),
            Self::Early => f.write_str("it began before it was asked for: wait for the line"),
            Self::Lost { lost_ms } => {
                write!(f, "{lost_ms} ms were lost: end what else this machine does")
            }
            Self::Short { ms } => write!(f, "too short ({:.2} s) for this", seconds(ms)),
            Self::Long { ms } => {
                write!(f, "too long ({:.1} s) for this: say it alone", seconds(ms))
            }
            Self::Clipped => f.write_str(
                "too loud, it clips: go further away, or turn the microphone down (`alsamixer`)",
            ),
            Self::Quiet { level_db } => write!(
                f,
                "too quiet ({level_db} dB): come nearer, or turn the microphone up (`alsamixer`)"
            ),
            Self::Speech => f.write_str("speech was heard in it: be quiet for this"),
        }
    }
}

/// What is known of a take that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The level of its loud part. Units: dB of full scale.
    pub(super) level_db: i32,
}

/// Judges a take of a phrase.
///
/// # Errors
/// [`Fault`]: it is to be said again.
pub(super) fn phrase(take: &Take, phrase: &str) -> Result<Kept, Fault> {
    whole(take)?;
    if take.is_early {
        return Err(Fault::Early);
    }
    let samples = u64::from(take.speech.map_or(0, |span| span.end - span.start));
    let ms = millis(samples);
    let letters = phrase.chars().filter(|letter| letter.is_alphanumeric());
    let letters = letters.count() as u64;
    if samples < SHORTEST.max(letters * LETTER_MIN) {
        return Err(Fault::Short { ms });
    }
    if take.is_full || LONGEST + letters * LETTER_MAX < samples {
        return Err(Fault::Long { ms });
    }
    let clipped = |sample: &&i16| CLIPPED <= sample.unsigned_abs();
    if CLIPPED_COUNT_MAX < take.samples.iter().filter(clipped).count() {
        return Err(Fault::Clipped);
    }
    let speech = take.speech.and_then(|span| {
        let span = span.start as usize..span.end as usize;
        take.samples.get(span)
    });
    let level = loud_level(speech.unwrap_or(&take.samples));
    if level < QUIET {
        let level_db = decibels(level);
        return Err(Fault::Quiet { level_db });
    }
    Ok(Kept {
        level_db: decibels(level),
    })
}

/// Judges a piece of the room.
///
/// # Errors
/// [`Fault`]: it is to be recorded again.
pub(super) fn room(take: &Take) -> Result<Kept, Fault> {
    whole(take)?;
    if take.is_full || take.speech.is_some() {
        return Err(Fault::Speech);
    }
    if take.samples.iter().all(|&sample| is_dead(sample)) {
        return Err(Fault::Nothing { dead: true });
    }
    Ok(Kept {
        level_db: decibels(loud_level(&take.samples)),
    })
}

fn whole(take: &Take) -> Result<(), Fault> {
    match take.lost_samples {
        0 => Ok(()),
        lost => Err(Fault::Lost {
            lost_ms: millis(lost).max(1),
        }),
    }
}

/// Returns whether a microphone that gives no more than this gives nothing.
pub(super) fn is_dead(loudest: i16) -> bool {
    loudest.unsigned_abs() <= DEAD
}

/// Returns a level in dB of full scale, at least -96.
#[allow(clippy::cast_possible_truncation, reason = "-96 to 0")]
pub(super) fn decibels(level: u32) -> i32 {
    let share = level.max(1) as f32 / 32_768.0;
    (20.0 * share.log10()).round().clamp(-96.0, 0.0) as i32
}

// No phrase is let be longer than an utterance gets.
const _: () = assert!(LONGEST < (HANDS_FREE_SECONDS_MAX * RATE_HZ) as u64);

#[cfg(test)]
mod tests {
    use pressel_pipeline::waiting::SpeechSpan;

    use super::*;

    /// A tone of so many milliseconds with 300 ms of faint noise on both sides.
    fn take(ms: u32, peak: i16) -> Take {
        let margin = 300 * 16;
        let speech = SpeechSpan {
            start: margin,
            end: margin + ms * 16,
        };
        let sample = |at: u32| {
            let is_speech = (speech.start..speech.end).contains(&at);
            let height = if is_speech { peak } else { 3 };
            if at % 50 < 25 { height } else { -height }
        };
        Take {
            samples: (0..speech.end + margin).map(sample).collect(),
            speech: Some(speech),
            ..Take::default()
        }
    }

    #[test]
    fn a_take_that_is_whole_and_of_the_right_length_and_level_is_kept() {
        for (ms, text) in [
            (200, "go"),
            (900, "hey pressel"),
            (5_000, "alpha bravo charlie"),
        ] {
            let kept = phrase(&take(ms, 8_192), text).unwrap();
            assert_eq!(kept, Kept { level_db: -12 }, "{text}");
        }
    }

    #[test]
    fn each_fault_has_its_name_and_says_what_to_do() {
        let check = |take: &Take, name: &str, words: &str| {
            let fault = phrase(take, "hey pressel").unwrap_err();
            assert_eq!(fault.name(), name);
            let said = fault.to_string();
            assert!(said.contains(words) && !said.contains('\n'), "{said}");
        };
        let good = take(900, 8_192);
        check(&take(120, 8_192), "too-short", "0.12 s");
        check(&take(6_000, 8_192), "too-long", "6.0 s");
        check(&take(900, i16::MAX), "clipped", "alsamixer");
        check(&take(900, i16::MIN + 1), "clipped", "alsamixer");
        check(&take(900, 200), "too-quiet", "-44 dB");
        let early = Take {
            is_early: true,
            ..good.clone()
        };
        check(&early, "too-early", "before it was asked");
        let full = Take {
            is_full: true,
            ..good.clone()
        };
        check(&full, "too-long", "alone");
        let lost = Take {
            lost_samples: 256,
            ..good.clone()
        };
        check(&lost, "samples-lost", "16 ms");
        let none = Take {
            speech: None,
            ..good
        };
        check(&none, "too-short", "0.00 s");
    }

    #[test]
    fn a_click_is_not_clipping() {
        let mut clicked = take(900, 8_192);
        clicked.samples[9_000..9_000 + CLIPPED_COUNT_MAX].fill(i16::MAX);
        assert!(phrase(&clicked, "stop").is_ok());
        clicked.samples[9_100] = i16::MIN;
        assert_eq!(phrase(&clicked, "stop"), Err(Fault::Clipped));
    }

    #[test]
    fn the_room_is_kept_without_speech_and_with_a_microphone_that_lives() {
        let mut quiet = take(0, 0);
        assert_eq!(room(&quiet), Err(Fault::Speech));
        quiet.speech = None;
        assert_eq!(room(&quiet), Ok(Kept { level_db: -81 }));
        quiet.samples.fill(-1);
        assert_eq!(room(&quiet), Err(Fault::Nothing { dead: true }));
        quiet.lost_samples = 1;
        assert_eq!(room(&quiet), Err(Fault::Lost { lost_ms: 1 }));
    }

    #[test]
    fn decibels_are_bounded() {
        for (level, expected) in [(0, -90), (1, -90), (3_277, -20), (32_768, 0), (40_000, 0)] {
            assert_eq!(decibels(level), expected, "{level}");
        }
    }
}
