//! Relations between the numbers of different rooms, checked while compiling.
//!
//! No code runs here. A room must not know another one's numbers; this one knows both.

use pressel_models::{vad, wake_word};
use pressel_pipeline::limits::{
    BLOCK_SAMPLES, HISTORY_SAMPLES, LEDS_MAX, RATE_HZ, RHYTHM_TIMES_MAX, UTTERANCE_SAMPLES_MAX,
};

// A board's LEDs all find a place in the main loop.
const _: () = assert!(pressel_boards::LEDS_MAX == LEDS_MAX);
// They may all be in one chain.
const _: () = assert!(LEDS_MAX <= pressel_hal::apa102::PIXELS_MAX);
// Each rhythm of a board's file is one of the pipeline's.
const _: () = assert!(pressel_boards::RHYTHM_TIMES_MAX == RHYTHM_TIMES_MAX);
// The listener cuts frames out of whole blocks, and finds them in the history.
const _: () = assert!(vad::FRAME_SAMPLES.is_multiple_of(BLOCK_SAMPLES));
const _: () = assert!(wake_word::FRAME_SAMPLES.is_multiple_of(BLOCK_SAMPLES));
const _: () = assert!(wake_word::FRAME_SAMPLES <= HISTORY_SAMPLES);
// What a slot holds fits Whisper's window.
const _: () = assert!(
    UTTERANCE_SAMPLES_MAX <= pressel_models::mel::FRAMES_MAX * pressel_models::mel::HOP_SAMPLES
);
const _: () = assert!(RATE_HZ == pressel_models::mel::RATE_HZ);
