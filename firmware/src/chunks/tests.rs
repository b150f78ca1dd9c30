//! Tests of chunks: scenes of silence and speech, cut from the start and from every place between.

use std::path::{Path, PathBuf};

use pressel_models::{ModelError, Vad};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::appliance::load_ears;
use crate::config::{Config, Trigger};

const SECOND: usize = RATE_HZ;
const FULL: usize = UTTERANCE_SAMPLES_MAX;

/// A detector without memory: a loud frame is speech.
struct Loud;
impl Vad for Loud {
    fn hear(&mut self, frame: &[i16; FRAME_SAMPLES]) -> Result<f32, ModelError> {
        let loud = frame.iter().filter(|sample| 1_000 < sample.unsigned_abs());
        Ok(if FRAME_SAMPLES / 4 < loud.count() {
            0.9
        } else {
            0.1
        })
    }
    fn reset(&mut self) {}
}

pub(super) fn loud() -> Ears {
    Ears::new(Box::new(Loud), None)
}

fn speech() -> Cut {
    let config = Config {
        trigger: Trigger::Voice,
        ..Config::default()
    };
    Cut::Speech(config.tuning())
}

/// Noise from -`peak` to `peak`, of which every second has its own seed.
pub(super) fn noise(samples: usize, peak: i16, seed: u32) -> Vec<i16> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let unit = f32::from((state >> 16) as u16 as i16) / 32_768.0;
        (unit * f32::from(peak)) as i16
    };
    std::iter::repeat_with(next).take(samples).collect()
}

/// Parts in turn: silence, speech, silence, ...; in samples.
fn scene(parts: &[usize]) -> Vec<i16> {
    let parts = parts.iter().enumerate().map(|(index, &samples)| {
        let peak = if index % 2 == 0 { 40 } else { 8_000 };
        noise(samples, peak, index as u32)
    });
    parts.flatten().collect()
}

pub(super) fn wav(samples: &[i16]) -> Vec<u8> {
    let bytes = (samples.len() * 2) as u32;
    let mut wav =
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data"
            .to_vec();
    wav.extend(bytes.to_le_bytes());
    wav.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    wav
}

/// A recording in a folder that lives as long as it.
pub(super) struct Recording {
    pub(super) path: PathBuf,
    pub(super) samples: Vec<i16>,
    _folder: TempDir,
}

impl Recording {
    pub(super) fn new(samples: Vec<i16>) -> Self {
        Self::of_bytes(&wav(&samples), samples)
    }

    pub(super) fn of_bytes(bytes: &[u8], samples: Vec<i16>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a recording");
        std::fs::write(&path, bytes).unwrap();
        Self {
            path,
            samples,
            _folder: folder,
        }
    }

    /// Cuts from `from` on and checks what is true of all chunks.
    fn cut(&self, from: u64, ears: &mut Ears) -> Vec<Chunk> {
        let mut chunks = Chunks::open(&self.path, from, speech()).unwrap();
        let mut slot = vec![-1; FULL];
        let mut cut = Vec::new();
        let mut begin = from;
        assert_eq!(chunks.position(), begin);
        while let Some(chunk) = chunks.next(ears, &mut slot).unwrap() {
            let samples = chunk.samples as usize;
            assert!(begin <= chunk.start && begin < chunk.next, "{chunk:?}");
            assert!(chunk.next <= self.samples.len() as u64, "{chunk:?}");
            assert_eq!(chunk.speech.is_some(), 0 < samples, "{chunk:?}");
            if let Some(speech) = chunk.speech {
                assert_eq!(chunk.start + samples as u64, chunk.next);
                assert!(speech.start < speech.end && speech.end <= chunk.samples);
            }
            let start = chunk.start as usize;
            assert!(slot[..samples] == self.samples[start..start + samples]);
            assert!(chunks.ahead.len() <= CUT_FROM);
            begin = chunk.next;
            assert_eq!(chunks.position(), begin);
            cut.push(chunk);
        }
        assert_eq!(begin, self.samples.len() as u64);
        assert_eq!(chunks.next(ears, &mut slot), Ok(None));
        cut
    }

    /// Checks that beginning anew at any chunk gives the rest of `cut`, with fresh and used ears.
    fn check_resumed(&self, cut: &[Chunk], make: impl Fn() -> Ears) {
        let mut used = make();
        for (index, chunk) in cut.iter().enumerate() {
            assert_eq!(self.cut(chunk.next, &mut make()), cut[index + 1..]);
            assert_eq!(self.cut(chunk.next, &mut used), cut[index + 1..]);
        }
    }
}

fn check(parts: &[usize], expected: &[(usize, usize)]) {
    let recording = Recording::new(scene(parts));
    let cut = recording.cut(0, &mut loud());
    let found = cut
        .iter()
        .map(|chunk| (chunk.start as usize, chunk.next as usize));
    assert_eq!(found.collect::<Vec<_>>(), expected);
    recording.check_resumed(&cut, loud);
}

/// Start and end of speech at whole frames, with the padding of the default configuration.
fn padded(start: usize, end: usize) -> (usize, usize) {
    (start - 4_800, end + 4_800)
}

#[test]
fn nothing_gives_no_chunk() {
    check(&[], &[]);
}

#[test]
fn stretch_of_speech_is_a_chunk_and_the_silence_behind_it_an_empty_one() {
    let (start, end) = padded(51_200, 102_400);
    check(&[51_200, 51_200, 51_200], &[(start, end), (end, 153_600)]);
}

#[test]
fn speech_at_both_ends_is_whole() {
    check(&[0, 51_200], &[(0, 51_200)]);
    check(&[0, 51_300], &[(0, 51_300)]);
}

#[test]
fn silence_gives_an_empty_chunk_every_half_minute() {
    let step = FULL - SECOND;
    let all = 70 * SECOND;
    check(&[all], &[(0, step), (step, 2 * step), (2 * step, all)]);
    check(&[FULL], &[(0, step), (step, FULL)]);
    check(&[100], &[(0, 100)]);
}

#[test]
fn word_at_the_border_of_a_silence_is_heard_from_its_start() {
    for late in [-16_000, -1_600, -512, 0, 512, 1_600] {
        let onset = (FULL as i64 + late) as usize;
        let recording = Recording::new(scene(&[onset, 2 * SECOND, 2 * SECOND]));
        let cut = recording.cut(0, &mut loud());
        let spoken: Vec<_> = cut.iter().filter(|chunk| chunk.speech.is_some()).collect();
        let [chunk] = spoken[..] else {
            panic!("{late}: {cut:?}");
        };
        assert!(chunk.start as usize + 4_000 <= onset, "{late}: {chunk:?}");
        recording.check_resumed(&cut, loud);
    }
}

#[test]
fn speech_without_an_end_is_cut_where_it_is_quietest() {
    let mut samples = noise(45 * SECOND, 8_000, 7);
    let pause = 23 * SECOND;
    samples[pause..pause + 2_560].fill(0);
    let recording = Recording::new(samples);
    let cut = recording.cut(0, &mut loud());
    assert_eq!(cut.len(), 2, "{cut:?}");
    assert_eq!(cut[0].next as usize, pause + 1_280);
    recording.check_resumed(&cut, loud);
    // Without a pause too, nothing is lost or doubled.
    let recording = Recording::new(noise(100 * SECOND, 8_000, 8));
    let cut = recording.cut(0, &mut loud());
    assert!(
        cut.iter()
            .all(|chunk| CUT_FROM < chunk.samples as usize || chunk == &cut[cut.len() - 1])
    );
    assert_eq!(cut[0].start, 0);
    assert!(cut.windows(2).all(|pair| pair[0].next == pair[1].start));
}

#[test]
fn speech_that_ends_soon_after_a_full_slot_keeps_its_end() {
    for late in (-12_000..=12_000).step_by(1_500) {
        let end = (FULL as i64 + late) as usize;
        let recording = Recording::new(scene(&[0, end, 3 * SECOND]));
        let cut = recording.cut(0, &mut loud());
        let mut spoken = cut.iter().filter(|chunk| chunk.speech.is_some());
        let last = spoken.next_back().unwrap();
        assert!(end <= last.next as usize, "{late}: {cut:?}");
        recording.check_resumed(&cut, loud);
    }
}

#[test]
fn recording_that_ends_early_gives_what_it_has() {
    let samples = scene(&[16_384, 51_200, 16_384]);
    let bytes = wav(&samples);
    let there = samples[..60_000].to_vec();
    let recording = Recording::of_bytes(&bytes[..44 + 120_001], there);
    let cut = recording.cut(0, &mut loud());
    assert_eq!(cut.len(), 1);
    assert_eq!(cut[0].next, 60_000);
    let chunks = Chunks::open(&recording.path, 0, speech()).unwrap();
    assert!(chunks.damage().truncated);
    recording.check_resumed(&cut, loud);
    // Beyond its end there is nothing.
    let mut chunks = Chunks::open(&recording.path, 1 << 40, speech()).unwrap();
    assert_eq!(chunks.position(), 60_000);
    assert_eq!(chunks.next(&mut loud(), &mut vec![0; FULL]), Ok(None));
}

pub(super) fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/audio");
    std::fs::read(folder.join(name)).unwrap()
}

/// The recording of these bytes, and what can be read of it.
pub(super) fn compressed(bytes: &[u8]) -> (Recording, Result<usize, AudioFileError>) {
    let recording = Recording::of_bytes(bytes, Vec::new());
    let mut file = AudioFile::open(&recording.path).unwrap();
    let mut samples = vec![0; 100 * SECOND];
    let count = file.read(&mut samples).unwrap();
    samples.truncate(count);
    let end = file.read(&mut [0; 1]);
    (
        Recording {
            samples,
            ..recording
        },
        end,
    )
}

#[test]
fn broken_frames_do_not_shift_what_comes_after() {
    for name in ["long.mp3", "long_vorbis.ogg", "long_opus.ogg", "long.flac"] {
        let mut bytes = fixture(name);
        let middle = bytes.len() / 2;
        bytes[middle..middle + 600].fill(0x55);
        let (recording, end) = compressed(&bytes);
        assert_eq!(end, Ok(0));
        let cut = recording.cut(0, &mut Ears::by_level());
        assert!(!cut.is_empty());
        recording.check_resumed(&cut, Ears::by_level);
        let mut chunks = Chunks::open(&recording.path, 0, speech()).unwrap();
        let mut slot = vec![0; FULL];
        while chunks.next(&mut loud(), &mut slot).unwrap().is_some() {}
        assert!(0 < chunks.damage().broken_frames, "{name}");
    }
}

#[test]
fn recording_that_changes_its_rate_gives_all_before_and_then_says_so() {
    let glued = [fixture("tone_vorbis.ogg"), fixture("long_vorbis.ogg")].concat();
    let (recording, end) = compressed(&glued);
    assert_eq!(recording.samples.len(), 24_000);
    let fault = end.unwrap_err();
    let mut chunks = Chunks::open(&recording.path, 0, speech()).unwrap();
    let mut slot = vec![0; FULL];
    let mut spoken = 0;
    loop {
        match chunks.next(&mut loud(), &mut slot) {
            Ok(Some(chunk)) => spoken += chunk.samples,
            ended => {
                assert_eq!(ended, Err(fault.clone()));
                break;
            }
        }
    }
    assert_eq!(chunks.position(), 24_000);
    assert!(8_000 < spoken, "{spoken}");
    let again = Chunks::open(&recording.path, 24_000, speech());
    assert_eq!(again.unwrap().next(&mut loud(), &mut slot), Err(fault));
}

#[test]
fn model_that_fails_is_told_and_the_level_decides() {
    use pressel_models::fake::ScriptedVad;
    let recording = Recording::new(scene(&[51_200, 51_200, 51_200]));
    let script = vec![Ok(0.1), Err(ModelError::Reload)];
    let mut ears = Ears::new(Box::new(ScriptedVad::new(script)), None);
    let mut chunks = Chunks::open(&recording.path, 0, speech()).unwrap();
    assert!(!chunks.fell_back());
    let chunk = chunks.next(&mut ears, &mut vec![0; FULL]).unwrap().unwrap();
    assert!(chunks.fell_back() && chunk.speech.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_sample_of_speech_is_in_one_chunk_wherever_it_began(
        parts in prop::collection::vec(
            prop_oneof![4 => 6_000_usize..60_000, 1 => 400_000_usize..1_100_000], 1..9),
    ) {
        let recording = Recording::new(scene(&parts));
        let cut = recording.cut(0, &mut loud());
        let mut at = 0;
        for (index, part) in parts.iter().enumerate() {
            let (start, end) = (at, at + part);
            at = end;
            if index % 2 == 1 {
                let inside = cut.iter().map(|chunk| {
                    let (from, to) = (chunk.start as usize, chunk.next as usize);
                    let spoken = to.min(end).saturating_sub(from.max(start));
                    if chunk.speech.is_none() { 0 } else { spoken }
                });
                prop_assert_eq!(inside.sum::<usize>(), *part, "{}..{} in {:?}", start, end, cut);
            }
        }
        recording.check_resumed(&cut, loud);
        let by_level = recording.cut(0, &mut Ears::by_level());
        recording.check_resumed(&by_level, Ears::by_level);
    }
}

/// The recordings of the demo one after the other, `rounds` times, with pauses of all lengths.
fn talk(rounds: usize) -> Vec<i16> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|end| end == "wav"))
        .collect();
    files.sort();
    let mut talk = noise(SECOND, 30, 0);
    for round in 0..rounds {
        for (index, file) in files.iter().enumerate() {
            let mut clip = vec![0; 10 * SECOND];
            let count = AudioFile::open(file).unwrap().read(&mut clip).unwrap();
            talk.extend_from_slice(&clip[..count]);
            let pause = (round * files.len() + index * 7) % 23 * SECOND / 10;
            talk.extend(noise(pause, 30, index as u32));
        }
    }
    talk
}

#[test]
fn silero_gives_the_same_rest_from_any_place() {
    let Ok(mut ears) = load_ears() else {
        println!("skipped: no ONNX Runtime or no Silero; cargo xtask fetch gets them");
        return;
    };
    let recording = Recording::new(talk(3));
    let cut = recording.cut(0, &mut ears);
    assert!(
        6 <= cut.iter().filter(|chunk| chunk.speech.is_some()).count(),
        "{cut:?}"
    );
    for (index, chunk) in cut.iter().enumerate().step_by(3) {
        assert_eq!(recording.cut(chunk.next, &mut ears), cut[index + 1..]);
    }
}
