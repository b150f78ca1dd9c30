//! What a recording gives when nothing disturbs it: the measure of every disturbed run.
//!
//! A tape and an ear in; the files beside the recording out. Compiled for tests only.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pressel_pipeline::limits::UTTERANCE_SAMPLES_MAX;
use pressel_pipeline::trim;
use pressel_wire::OutcomeResult;

use super::sim::{Life, SimSlot, Tape, World};

/// Transcribes a tape in a world of its own; `recognise` hears what the worker would.
pub(crate) fn results(
    name: &str,
    tape: &Tape,
    recognise: impl Fn(&[i16]) -> String,
) -> BTreeMap<PathBuf, Vec<u8>> {
    let world = World::new();
    let path = world.put(name, tape);
    let mut life = Life::begin(&world);
    life.core.parts.slot = Box::new(SimSlot::new(UTTERANCE_SAMPLES_MAX));
    let is_done = |life: &Life| life.list().iter().any(|info| info.state == "done");
    for _ in 0..10_000 {
        if is_done(&life) {
            let mut files = world.files();
            files.retain(|file, _| *file != path);
            return files;
        }
        if let Some(chunk) = life.turn() {
            let (start, samples) = trim::speech(&chunk);
            let slot = life.core.parts.slot.samples();
            let text = recognise(&slot[start as usize..(start + samples) as usize]);
            let result = if text.is_empty() {
                OutcomeResult::NoSpeech
            } else {
                OutcomeResult::Text {
                    bytes: u16::try_from(text.len()).unwrap(),
                    truncated: false,
                }
            };
            life.answer(&chunk, result, &text);
        }
    }
    panic!("an undisturbed job does not end: {:?}", life.list());
}
