//! The canary: a clip whose words are known, heard before any real work.
//!
//! A loaded model in, a number for what it heard out; on the worker's main thread, before it is
//! ready. It shows that the device computes right, and the first utterance finds a warm model.

use std::sync::atomic::AtomicBool;

use crc::{CRC_32_ISO_HDLC, Crc};
use pressel_models::whisper::Whisper;
use pressel_models::{DecodeOptions, Language, ModelError, Transcriber as _, Transcript};

use crate::levels;

/// A voice says "turn on the kitchen light"; `canary` in a model's `pressel.json` is what the model
/// hears in it.
const CLIP: &[u8] = include_bytes!("../../demo/turn_on_the_kitchen_light.wav");
/// Bytes of the clip's header.
const HEADER_BYTES: usize = 44;
const _: () = assert!(CLIP[36] == b'd' && CLIP[HEADER_BYTES - 5] == b'a'); // of `data`

/// Recognises the clip. Returns the CRC-32 of its words, never 0, or `None` when they are not those
/// that the model's folder promises.
///
/// # Errors
/// Those of [`Transcriber::transcribe`](pressel_models::Transcriber::transcribe).
pub(super) fn hear(whisper: &mut Whisper, is_broken: bool) -> Result<Option<u32>, ModelError> {
    let samples = CLIP[HEADER_BYTES..].as_chunks::<2>().0;
    let audio: Vec<i16> = samples.iter().copied().map(i16::from_le_bytes).collect();
    whisper.set_gain(levels::gain(&audio));
    let options = DecodeOptions {
        language: Some(Language::ENGLISH),
        // The likeliest words, and no others: the number is to be the same at every start.
        temperature: vec![0.0],
        ..DecodeOptions::default()
    };
    let mut heard = Transcript::default();
    let cancel = AtomicBool::new(false);
    match whisper.transcribe(&audio, &options, "", &cancel, &mut heard) {
        Err(ModelError::Transient) => {
            whisper.transcribe(&audio, &options, "", &cancel, &mut heard)?;
        }
        result => drop(result?),
    }
    if is_broken {
        heard.text.push_str(" garbled");
    }
    Ok(judge(&heard.text, whisper.canary()))
}

/// Returns the number of the heard words, if they are the expected ones.
fn judge(heard: &str, expected: Option<&str>) -> Option<u32> {
    let heard = words(heard);
    if expected.is_some_and(|expected| words(expected) != heard) {
        return None;
    }
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(heard.as_bytes());
    Some(crc.max(1))
}

/// Returns letters and digits in lower case: how a model sets commas is its own affair.
fn words(text: &str) -> String {
    let kept = text.chars().filter(|symbol| symbol.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(heard: &str, expected: Option<&str>, is_right: bool) {
        assert_eq!(judge(heard, expected).is_some(), is_right, "{heard}");
    }

    #[test]
    fn words_count_and_not_how_they_are_written() {
        let known = Some("turn on the kitchen light");
        check("turn on the kitchen light", known, true);
        check(" Turn on the kitchen light.", known, true);
        check("turn on the kitchen lights", known, false);
        check("", known, false);
        check("", Some(""), true);
    }

    #[test]
    fn model_that_promises_nothing_is_known_by_what_it_gives() {
        check("anything", None, true);
        assert_eq!(judge("One", None), judge(" one!", None));
        assert_ne!(judge("one", None), judge("two", None));
        assert_ne!(judge("", None), Some(0));
    }

    #[test]
    fn clip_has_the_length_of_a_command() {
        let samples = (CLIP.len() - HEADER_BYTES) / 2;
        assert!((16_000..48_000).contains(&samples));
    }
}
