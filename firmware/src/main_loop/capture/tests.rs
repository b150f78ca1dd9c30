//! Tests of capture: the sample time stays true, whatever the microphone and the ring do.
//!
//! Each sample of a scripted microphone tells its own place, modulo 1,000.

mod faults;

use heapless::spsc::Consumer;
use pressel_hal::linux::poll;
use pressel_hal::sim::{FaultRates, FaultyMicrophone, ScriptedMicrophone};
use proptest::prelude::*;

use super::*;

type Ends = (Producer<'static, Block>, Consumer<'static, Block>);

fn ring() -> Ends {
    let (main, listen) = crate::rings::fresh();
    (main.blocks, listen.listening.blocks)
}

fn place(at: usize) -> i16 {
    i16::try_from(at % 1_000).unwrap()
}

fn scripted(blocks: usize) -> ScriptedMicrophone {
    let samples = (0..blocks * BLOCK_SAMPLES).map(place).collect();
    ScriptedMicrophone::new(samples).unwrap()
}

/// Reads turn by turn until there is no news, and empties the ring after each turn.
fn read_all(capture: &mut Capture, ends: &mut Ends) -> (Vec<Block>, Vec<MicError>) {
    let (mut blocks, mut errors) = (Vec::new(), Vec::new());
    loop {
        let (news, error) = capture.read(&mut ends.0, 0);
        blocks.extend(core::iter::from_fn(|| ends.1.dequeue()));
        errors.extend(error);
        if !news && error.is_none() || matches!(error, Some(MicError::Lost { .. })) {
            return (blocks, errors);
        }
    }
}

#[test]
fn blocks_follow_each_other_and_one_turn_is_bounded() {
    let mut ends = ring();
    let mut capture = Capture::new(Box::new(scripted(40)));
    assert_eq!(capture.read(&mut ends.0, 0), (true, None));
    assert_eq!(ends.1.len(), BLOCKS_PER_TURN_MAX);
    let (blocks, errors) = read_all(&mut capture, &mut ends);
    assert_eq!((blocks.len(), errors.len()), (40, 0));
    for (index, block) in blocks.iter().enumerate() {
        assert_eq!(block.start, (index * BLOCK_SAMPLES) as u64);
        assert_eq!(block.samples[7], place(index * BLOCK_SAMPLES + 7));
    }
    assert_eq!(capture.sample_time(), 40 * 256);
    assert_eq!(capture.read(&mut ends.0, 0), (false, None));
}

#[test]
fn full_ring_drops_the_newest_block_and_the_next_one_has_its_true_time() {
    let mut ends = ring();
    let mut capture = Capture::new(Box::new(scripted(BLOCK_RING_BLOCKS + 20)));
    for _ in 0..10 {
        capture.read(&mut ends.0, 0);
    }
    assert_eq!(capture.dropped_blocks(), 20);
    assert_eq!(capture.sample_time(), 148 * 256);
    let kept: Vec<Block> = core::iter::from_fn(|| ends.1.dequeue()).collect();
    assert_eq!(kept.len(), BLOCK_RING_BLOCKS);
    assert_eq!(kept[127].start, 127 * 256);

    capture.take(0);
    capture.resume(Box::new(scripted(1)), 0);
    capture.read(&mut ends.0, 0);
    assert_eq!(ends.1.dequeue().unwrap().start, 148 * 256);
}

#[test]
fn time_without_a_microphone_is_a_gap() {
    let mut ends = ring();
    let mut capture = Capture::new(Box::new(scripted(2)));
    read_all(&mut capture, &mut ends);
    // What came after the last block, up to the loss, was heard by nobody.
    assert!(capture.take(10).is_some());
    assert!(!capture.is_open());
    assert!(capture.take(110).is_none());
    assert_eq!(capture.read(&mut ends.0, 200), (false, None));
    assert_eq!(capture.poll_fds(&mut []), 0);
    capture.resume(Box::new(scripted(1)), 500);
    let (blocks, _) = read_all(&mut capture, &mut ends);
    assert_eq!(blocks[0].start, 2 * 256 + 500 * 16);
    // A clock that stands still gives no gap, and a gap is counted once.
    capture.take(0);
    capture.resume(Box::new(scripted(1)), 0);
    let (blocks, _) = read_all(&mut capture, &mut ends);
    assert_eq!(blocks[0].start, 3 * 256 + 500 * 16);
}

#[test]
fn waits_before_opening_again_double_and_a_block_resets_them() {
    let mut ends = ring();
    let mut capture = Capture::new(Box::new(scripted(0)));
    let waits: Vec<u64> = (0..7).map(|_| capture.next_retry_ms()).collect();
    assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    capture.resume(Box::new(scripted(0)), 0);
    assert_eq!(capture.next_retry_ms(), 5_000);
    capture.resume(Box::new(scripted(1)), 0);
    read_all(&mut capture, &mut ends);
    assert_eq!(capture.next_retry_ms(), 250);
}

#[test]
fn wipe_overwrites_every_place_of_the_ring_over_as_many_turns_as_it_takes() {
    let mut ends = ring();
    let mut capture = Capture::new(Box::new(scripted(100)));
    for _ in 0..10 {
        capture.read(&mut ends.0, 0);
    }
    capture.wipe_ring();
    capture.take(0);
    // Listen has not emptied the ring yet: there is room for a part only.
    assert_eq!(capture.read(&mut ends.0, 0), (true, None));
    assert!(capture.is_wiping());
    assert_eq!(capture.read(&mut ends.0, 0), (false, None));
    for index in 0..100 {
        assert_eq!(ends.1.dequeue().map(|block| block.start), Some(index * 256));
    }
    let mut wiped = Vec::new();
    while capture.is_wiping() {
        assert_eq!(capture.read(&mut ends.0, 0), (true, None));
        wiped.extend(core::iter::from_fn(|| ends.1.dequeue()));
    }
    // One more than the ring holds: a ring has a place that is always empty.
    assert_eq!(wiped.len(), BLOCK_RING_BLOCKS + 1);
    assert!(
        wiped
            .iter()
            .all(|block| *block == Block::WIPE && block.is_wipe())
    );
    assert_eq!(capture.read(&mut ends.0, 0), (false, None));
}

#[test]
fn descriptor_is_the_microphones() {
    let capture = Capture::new(Box::new(scripted(1)));
    let mut fds = [PollFd {
        fd: -1,
        events: 0,
        revents: 0,
    }];
    assert_eq!(capture.poll_fds(&mut fds), 1);
    assert_eq!(poll::wait(&mut fds, 0), Ok(1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sample_time_is_true_over_overruns_suspends_and_full_rings(
        seed in 1..u32::MAX,
        overrun_per_mille in 0..200_u32,
        suspend_per_mille in 0..200_u32,
        emptied_every in 1..12_usize,
    ) {
        const BLOCKS: usize = 300;
        let rates = FaultRates { overrun_per_mille, suspend_per_mille, lost_per_mille: 0 };
        let microphone = FaultyMicrophone::new(scripted(BLOCKS), rates, seed);
        let mut capture = Capture::new(Box::new(microphone));
        let mut ends = ring();
        let (mut heard, mut overruns) = (Vec::new(), 0);
        for turn in 0..BLOCKS * 2 {
            let (_, error) = capture.read(&mut ends.0, 0);
            overruns += u32::from(matches!(error, Some(MicError::Overrun { .. })));
            if turn % emptied_every == 0 {
                heard.extend(core::iter::from_fn(|| ends.1.dequeue()));
            }
        }
        heard.extend(core::iter::from_fn(|| ends.1.dequeue()));
        // What a block says about its time is where its sound was in the world.
        for block in &heard {
            let at = usize::try_from(block.start).unwrap();
            prop_assert_eq!(block.samples[0], place(at));
        }
        prop_assert!(heard.windows(2).all(|pair| pair[0].start < pair[1].start));
        prop_assert_eq!(capture.sample_time(), (BLOCKS * BLOCK_SAMPLES) as u64);
        prop_assert_eq!(capture.overruns(), overruns);
        let lost = capture.lost_samples() as usize / BLOCK_SAMPLES;
        prop_assert_eq!(heard.len() + lost + capture.dropped_blocks() as usize, BLOCKS);
    }
}
