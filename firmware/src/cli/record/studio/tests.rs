//! Tests of the studio: a scripted microphone, and an ear that takes loud frames for speech.

use std::time::Duration;

use pressel_hal::sim::ScriptedMicrophone;
use pressel_models::{ModelError, Vad, vad};

use super::*;
use crate::cli::record::judge::{self, Fault};

/// Hears speech in frames that hold a sample above 1,000.
struct LoudVad;

impl Vad for LoudVad {
    fn hear(&mut self, frame: &[i16; vad::FRAME_SAMPLES]) -> Result<f32, ModelError> {
        let is_loud = frame.iter().any(|&sample| 1_000 < sample);
        Ok(if is_loud { 0.9 } else { 0.0 })
    }
    fn reset(&mut self) {}
}

/// A microphone with an error in place of a block.
struct Faulty {
    inner: ScriptedMicrophone,
    /// Blocks until then, and the error.
    fault: Option<(usize, MicError)>,
}

impl Microphone for Faulty {
    fn poll_fds(&self, fds: &mut [PollFd]) -> usize {
        self.inner.poll_fds(fds)
    }
    fn read(&mut self, block: &mut [i16]) -> Result<bool, MicError> {
        match &mut self.fault {
            Some((0, error)) => {
                let error = *error;
                self.fault = None;
                Err(error)
            }
            fault => {
                if let Some((left, _)) = fault {
                    *left -= 1;
                }
                self.inner.read(block)
            }
        }
    }
    fn name(&self) -> &str {
        self.inner.name()
    }
}

/// Silence where the number is even, else speech, of so many tenths of a second each.
fn sound(tenths: &[usize]) -> Vec<i16> {
    let part = |(index, &tenths): (usize, &usize)| {
        let peak = if index % 2 == 0 { 5 } else { 8_000 };
        let sample = move |at: usize| if at % 40 < 20 { peak } else { -peak };
        (0..tenths * RATE_HZ / 10).map(sample)
    };
    tenths.iter().enumerate().flat_map(part).collect()
}

fn studio(tenths: &[usize], fault: Option<(usize, MicError)>) -> Studio {
    let inner = ScriptedMicrophone::new(sound(tenths)).unwrap();
    let config = Config {
        trigger: ConfiguredTrigger::Voice,
        ..Config::default()
    };
    let microphone = Box::new(Faulty { inner, fault });
    let ears = Ears::new(Box::new(LoudVad), None);
    let asked = Arc::default();
    Studio::of(microphone, ears, config.tuning(), rings::fresh(), &asked).unwrap()
}

fn taken(heard: Heard) -> Take {
    match heard {
        Heard::Take(take) => take,
        Heard::Nothing(loudest) => panic!("nothing was heard, at most {loudest}"),
        Heard::Stopped => panic!("it was stopped"),
    }
}

fn utterance(studio: &mut Studio) -> Take {
    taken(studio.utterance(&mut |_| ()).unwrap())
}

#[test]
fn one_utterance_comes_after_the_other_with_its_margins() {
    let mut studio = studio(&[10, 8, 15, 5, 15], None);
    for (tenths, start) in [(8, 10), (5, 33)] {
        let take = utterance(&mut studio);
        let span = take.speech.unwrap();
        let speech = u64::from(span.end - span.start);
        let wanted = samples(tenths * 100);
        // The ear's frames lie over the borders.
        assert!((wanted..wanted + 1_024).contains(&speech), "{speech}");
        assert!(samples(MARGIN_MS) <= u64::from(span.start));
        let behind = take.samples.len() as u64 - u64::from(span.end);
        assert_eq!(behind, samples(MARGIN_MS));
        assert!(judge::phrase(&take, "go").is_ok(), "{start}");
    }
}

#[test]
fn what_had_begun_before_is_early_and_what_does_not_end_is_cut() {
    let mut early = studio(&[5, 30, 15], None);
    while !early.is_open {
        early.turn(SLEEP_MS).unwrap();
        while early.next_event().is_some() {}
    }
    assert!(utterance(&mut early).is_early);
    let mut long = studio(&[5, 200, 15], None);
    let first = utterance(&mut long);
    assert!(first.is_full && !first.is_early);
    // Its rest is no answer to what is asked next.
    assert_eq!(
        judge::phrase(&utterance(&mut long), "go"),
        Err(Fault::Early)
    );
}

#[test]
fn a_take_with_lost_samples_in_it_is_said_again_and_one_behind_them_is_kept() {
    let overrun = MicError::Overrun { lost_samples: 800 };
    let blocks = RATE_HZ * 12 / 10 / 256;
    let mut studio = studio(&[10, 8, 15, 8, 15], Some((blocks, overrun)));
    let broken = utterance(&mut studio);
    assert_eq!(
        judge::phrase(&broken, "go"),
        Err(Fault::Lost { lost_ms: 50 })
    );
    assert!(judge::phrase(&utterance(&mut studio), "go").is_ok());
}

#[test]
fn an_utterance_that_a_long_gap_took_away_is_said_again() {
    let suspended = MicError::Suspended {
        lost_samples: 80_000,
    };
    let blocks = RATE_HZ * 12 / 10 / 256;
    let mut studio = studio(&[10, 8, 15], Some((blocks, suspended)));
    let lost = utterance(&mut studio);
    assert_eq!(
        judge::phrase(&lost, "go"),
        Err(Fault::Lost { lost_ms: 5_000 })
    );
}

#[test]
fn ten_seconds_without_speech_are_nothing_and_tell_the_loudest_sample() {
    let mut studio = studio(&[105, 8, 15], None);
    let heard = studio.utterance(&mut |_| ()).unwrap();
    assert!(matches!(heard, Heard::Nothing(5)));
    assert!(judge::phrase(&utterance(&mut studio), "go").is_ok());
}

#[test]
fn the_room_has_exactly_its_length_and_tells_of_speech_in_it() {
    let count = samples(2_000);
    for (tenths, expected) in [
        (&[30, 5, 15][..], None),
        (&[10, 5, 25], Some(Fault::Speech)),
    ] {
        let mut studio = studio(tenths, None);
        let room = taken(studio.room(count, &mut |_| ()).unwrap());
        assert_eq!(room.samples.len() as u64, count);
        assert_eq!(judge::room(&room).err(), expected);
    }
    let overrun = MicError::Overrun { lost_samples: 16 };
    let mut broken = studio(&[40], Some((20, overrun)));
    let room = taken(broken.room(count, &mut |_| ()).unwrap());
    assert_eq!(judge::room(&room), Err(Fault::Lost { lost_ms: 1 }));
}

#[test]
fn what_came_before_is_not_counted_and_what_came_since_is_however_late_it_is_read() {
    let late = || std::thread::sleep(Duration::from_millis(400));
    let mut studio = studio(&[40], None);
    late();
    assert!(studio.catch_up().unwrap(), "no signal came");
    let before = studio.listener.heard();
    assert!(samples(400) <= before);
    late();
    // What is held behind it, as with a button, and a block.
    let left = samples(4_000 - 220).saturating_sub(before);
    let room = taken(studio.room(left, &mut |_| ()).unwrap());
    assert_eq!(room.samples.len() as u64, left);
}

#[test]
fn what_was_said_before_it_was_asked_for_is_heard_and_forgotten() {
    let mut studio = studio(&[2, 3, 80, 5, 15], None);
    std::thread::sleep(Duration::from_millis(2_000));
    assert!(studio.catch_up().unwrap());
    assert!(!studio.is_open && studio.events.is_empty());
    let take = utterance(&mut studio);
    assert!(!take.is_early && judge::phrase(&take, "go").is_ok());
    studio.asked.store(true, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(20));
    assert!(!studio.catch_up().unwrap(), "a signal came");
}

#[test]
fn a_microphone_that_is_gone_or_dumb_is_named_and_a_signal_ends_the_wait() {
    let lost = MicError::Lost {
        errno: libc::ENODEV,
    };
    let mut gone = studio(&[50], Some((20, lost)));
    let failure = gone.utterance(&mut |_| ()).unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    for words in ["scripted", "plug it in again", "the same command goes on"] {
        assert!(failure.message.contains(words), "{failure}");
    }
    let mut dumb = studio(&[], None);
    dumb.no_block_ms = 0;
    let failure = dumb.utterance(&mut |_| ()).unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    assert!(failure.message.contains("gave no sound"), "{failure}");
    let mut studio = studio(&[50], None);
    let asked = Arc::clone(&studio.asked);
    let heard = studio.utterance(&mut |_| asked.store(true, Ordering::Relaxed));
    assert!(matches!(heard, Ok(Heard::Stopped)));
}
