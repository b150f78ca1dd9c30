//! Every capacity of the appliance, in one place.
//!
//! Nothing else in the workspace contains a bare capacity. Each limit states its meaning, unit,
//! memory cost, the reason for the number, and what happens when it is hit.

/// Samples per second of all audio inside Pressel: mono `i16`.
///
/// Why 16,000: Whisper, Silero and the wake-word networks all hear at this rate.
pub const RATE_HZ: usize = 16_000;

/// Samples in one audio block, the unit that moves through the block ring.
///
/// Units: samples; 256 = 16 ms. Memory: 512 bytes.
/// Why 256: it divides the frame of the VAD (512), of the wake word (1,280) and the Whisper window.
pub const BLOCK_SAMPLES: usize = 256;
const _: () = assert!(UTTERANCE_SAMPLES_MAX.is_multiple_of(BLOCK_SAMPLES));

/// Blocks in the ring from the main loop to listen.
///
/// Units: blocks; 128 = 2.05 s. Memory: 66 KiB, static.
/// Why 128: listen may be late by one slow model call or one page fault storm, never by seconds.
/// When full: the newest block is dropped, its samples are counted, and the next block that fits
/// carries its true sample time, so that listen fills the gap with silence.
pub const BLOCK_RING_BLOCKS: usize = 128;
const _: () = assert!(BLOCK_RING_BLOCKS.is_power_of_two());

/// Button, host and mute commands in the ring from the main loop to listen.
///
/// Units: commands. Why 32: 20 ms of debounce allows 50 edges a second, listen is late by 0.6 s
/// then. When full: the main loop keeps the command and tries again at its next turn.
pub const CONTROL_RING_COMMANDS: usize = 32;

/// Events in the ring from listen to the main loop.
///
/// Units: events. Why 64: one open and one close for each slot, and speech and wake marks
/// coalesced. When full: listen keeps utterance events and tries again before the next block; marks
/// are dropped and counted. Of what is told of an utterance that is being recorded, one is in it at
/// most; the next waits in listen until that is gone, and a newer one takes its place.
pub const EVENT_RING_EVENTS: usize = 64;

/// Seconds in the longest utterance: what Whisper hears in one window.
pub const UTTERANCE_SECONDS_MAX: usize = 30;

/// Samples in the longest utterance. Memory: 960,000 bytes for each slot.
///
/// When hit: the utterance is closed with reason `full`, and the next sample opens another one.
pub const UTTERANCE_SAMPLES_MAX: usize = UTTERANCE_SECONDS_MAX * RATE_HZ;

/// Seconds in the longest utterance that nobody holds a button for.
///
/// Why 15: longer than any command; so a radio in the room makes no utterance of 30 s.
pub const HANDS_FREE_SECONDS_MAX: usize = 15;

/// Samples in the longest utterance that voice or a wake word opened.
///
/// When hit: it is closed with reason `full`. That of voice goes on in another one with the next
/// sample; after a wake word nothing more is recorded until the next one.
pub const HANDS_FREE_SAMPLES_MAX: usize = HANDS_FREE_SECONDS_MAX * RATE_HZ;
const _: () = assert!(HANDS_FREE_SAMPLES_MAX <= UTTERANCE_SAMPLES_MAX); // it fits into a slot

/// Utterance slots in the memory that listen and the worker process share.
///
/// Memory: 6 x 960,000 bytes = 5.8 MB.
/// Why 6: one at the worker, three waiting, one just closed and not yet seen by the main loop, and
/// one being recorded.
/// When all are taken: the utterance is not recorded and ends as `Dropped{busy}`.
pub const SLOT_COUNT: usize = 6;

/// Utterances that wait for the worker.
///
/// When full: the waiting utterance of the lowest priority, the oldest among equals, ends as
/// `Dropped{busy}` and its slot is free again.
pub const WAITING_UTTERANCES_MAX: usize = 3;
const _: () = assert!(SLOT_COUNT == WAITING_UTTERANCES_MAX + 3); // at the worker, closed, open

/// The slot behind those of utterances: it holds the chunk of a file job.
///
/// Memory: 960,000 bytes more.
/// One, because one job runs, and one chunk of it is at the worker.
pub const FILE_SLOT: u8 = SLOT_COUNT as u8;
const _: () = assert!(SLOT_COUNT < u8::MAX as usize);

/// Samples that a window of a recording goes on at least, whatever the model says: 1 s. So an hour
/// has 3,600 windows at most.
pub const WINDOW_ADVANCE_MIN: usize = RATE_HZ;
/// Samples at the end of a recording that are not worth a window: 100 ms hold no word. Fewer are
/// not heard.
pub const WINDOW_TAIL_MIN: usize = RATE_HZ / 10;
const _: () = assert!(WINDOW_TAIL_MIN <= WINDOW_ADVANCE_MIN);
const _: () = assert!(WINDOW_ADVANCE_MIN < UTTERANCE_SAMPLES_MAX);

/// Segments of one window: stretches of speech with their times.
///
/// Memory: 12 bytes each in an outcome. Why 32: one a second, faster than sentences come.
/// When more: neighbours are joined.
pub const SEGMENTS_MAX: usize = 32;
// In the shortest tail each segment can have a millisecond of its own.
const _: () = assert!(SEGMENTS_MAX < WINDOW_TAIL_MIN * 1_000 / RATE_HZ);
/// Bytes of one segment on its way: two times of at most five bytes, and a place in the text.
pub const SEGMENT_BYTES_MAX: usize = 5 + 5 + 3;

/// Bytes of what was said before a window, its last words, that go with it to the worker.
///
/// Why 2,048: Whisper takes 223 tokens of it, of 4 bytes in most languages. A longer one loses its
/// first words.
pub const CONTEXT_BYTES_MAX: usize = 2_048;

/// Samples of history that listen keeps of audio which belongs to no utterance yet.
///
/// Units: samples; 32,000 = 2 s. Memory: 64,000 bytes.
/// Why 2 s: the longest pre-roll that the configuration allows (1 s) plus the latency of the gate
/// and of the wake word.
pub const HISTORY_SAMPLES: usize = 2 * RATE_HZ;
const _: () = assert!(HISTORY_SAMPLES.is_multiple_of(BLOCK_SAMPLES));

/// Bytes of UTF-8 text in one transcript. A longer text is cut at a character boundary, and the
/// outcome says so.
pub use pressel_wire::limits::TEXT_BYTES_MAX;

/// The newest outcomes that the main loop keeps: those that wait for room in the link's buffer, and
/// those that an acknowledging host has not acknowledged.
///
/// Memory: 16 x 2.1 KB = 34 KB, and one more that was fetched from the journal.
/// Why 16: a burst of answers, while the keeper is late by some seconds.
/// When full: the oldest leaves. If the host does not acknowledge and it was never sent, it is
/// counted in `link_dropped`; for a host that acknowledges it is read again from the journal.
pub const OUTCOMES_KEPT_MAX: usize = 16;

/// Outcomes on their way to an acknowledging host at most. Part of firmware/wire/SPEC.md.
///
/// Memory: 8 bytes each. Why 16: 16 short texts take 0.2 s at 115,200 baud, more than a host needs
/// to answer. When hit: the next outcome waits for an acknowledgement.
pub const DELIVERY_IN_FLIGHT_MAX: usize = 16;

/// Waits without an acknowledgement before the first, second... repeat, in milliseconds from the
/// last byte sent. Part of firmware/wire/SPEC.md.
///
/// When all are over: the appliance talks as in version 1 until the next acknowledgement.
pub const DELIVERY_RETRY_MS: [u64; 4] = [3_000, 6_000, 12_000, 24_000];

/// Milliseconds between two repeats that a host asks for.
pub const DELIVERY_REPEAT_MS: u64 = 1_000;

/// Outcomes in one file of the journal; there are two, so that at least the last 1,000 outcomes are
/// kept. Disk: about 100 bytes for a short text, 1.7 KB at most. Memory: 32 bytes each.
///
/// When hit: a new file is begun and the older of the two is removed. What was in it and not
/// acknowledged becomes a gap.
pub const JOURNAL_OUTCOMES_MAX: usize = 1_000;

/// Bytes in one file of the journal; then a new one is begun, as above.
///
/// Why 2 MiB: 1,000 of the longest texts fit, with their acknowledgements.
pub const JOURNAL_BYTES_MAX: usize = 2 * 1024 * 1024;
const _: () = assert!(JOURNAL_OUTCOMES_MAX * (TEXT_BYTES_MAX + 300) <= JOURNAL_BYTES_MAX);

/// Journal records that wait in memory while the disk fails. Memory: 64 x 1.7 KB, once it fails.
///
/// When full: the oldest outcome leaves, is counted, and is missing in the journal.
pub const JOURNAL_WAITING_MAX: usize = 64;

/// Milliseconds between two tries to write a journal whose disk failed.
pub const JOURNAL_RETRY_MS: u64 = 10_000;

/// Bytes in the buffer of whole frames towards the UART.
///
/// Why 8,192: three of the longest transcripts, framed. When full: outcomes wait (see above), state
/// messages are coalesced.
pub const LINK_BUFFER_BYTES: usize = 8_192;

/// Bytes taken from the UART in one turn of the main loop. More waits for the next turn.
pub const LINK_READ_BYTES: usize = 256;

/// Records and log lines from the main loop, listen and worker supervision to the keeper.
///
/// When full: the line is dropped and counted, and the log says how many are missing. The last 64
/// places are kept for outcomes.
pub const KEEPER_QUEUE_RECORDS: usize = 256;

/// Places in that queue that only outcomes, acknowledgements and errands may take.
///
/// Why 64: outcomes of a minute at one a second, while an SD card thinks.
pub const KEEPER_RESERVED_RECORDS: usize = 64;
const _: () = assert!(KEEPER_RESERVED_RECORDS < KEEPER_QUEUE_RECORDS);

/// File descriptors that one device may give to `poll(2)`.
pub const DEVICE_FDS_MAX: usize = 4;

/// LEDs of a board.
pub const LEDS_MAX: usize = 4;

/// Pins that may be lost and opened again: button, mute switch and LEDs.
pub const PINS_MAX: usize = LEDS_MAX + 2;

/// Times in the rhythm of a light: lit, dark, lit and so on.
///
/// Memory: 2 bytes each, 15 rhythms. Why 12: six flashes, the longest code that is still counted.
/// A board file with more is refused.
pub const RHYTHM_TIMES_MAX: usize = 12;

/// Milliseconds until a chain of LEDs whose bus failed is written to again, when no colour changes
/// before.
pub const PIXELS_RETRY_MS: u64 = 1_000;

/// Bytes in one request to or answer from the worker process, framing included.
pub const WORKER_FRAME_BYTES: usize = 2_048;
// The longest text with the most segments fits, and a few numbers.
const _: () = assert!(TEXT_BYTES_MAX + SEGMENTS_MAX * SEGMENT_BYTES_MAX + 64 <= WORKER_FRAME_BYTES);

/// Actions that one step of a state machine may return.
pub const ACTIONS_MAX: usize = 4;

/// Actions that one step of the arbiter may return: an end for each that waits, for the one at the
/// worker or to be tried again, and for a chunk. A test goes through all its states.
pub const ARBITER_ACTIONS_MAX: usize = WAITING_UTTERANCES_MAX + 2;

/// Worker restarts inside [`RESTART_WINDOW_MS`]. After the next loss, the processor takes over from
/// CUDA, once; without CUDA, the worker is left off for [`LEFT_OFF_MS`].
pub const RESTARTS_MAX: usize = 3;
/// Workers lost over chunks of files inside [`RESTART_WINDOW_MS`]; they are not among
/// [`RESTARTS_MAX`], so that a bad recording costs the voice nothing.
///
/// Why 6: three bad recordings, each with the two tries of its chunk. When hit: no chunk is given
/// to the worker for [`RESTART_WINDOW_MS`]; files wait, and the voice goes on.
pub const CHUNK_LOSSES_MAX: usize = 6;
/// Window in which worker restarts are counted: ten minutes.
pub const RESTART_WINDOW_MS: u64 = 600_000;

/// Milliseconds that one recognition may take: this, and [`RECOGNISE_FACTOR`] times the audio.
///
/// When hit: the recognition is cancelled and ends as `Failed{timeout}`.
pub const RECOGNISE_BASE_MS: u64 = 15_000;
/// See [`RECOGNISE_BASE_MS`]. Why 4: the slowest board with a model that fits it stays below 2.
pub const RECOGNISE_FACTOR: u64 = 4;
/// Milliseconds from a cancel to the worker's answer, before it is killed.
pub const CANCEL_MS_MAX: u64 = 2_000;
/// Milliseconds that a worker may take to load its model, before it is killed.
pub const LOAD_MS_MAX: u64 = 180_000;
/// Waits before the first, second and third restart of a worker, in milliseconds.
pub const RESTART_WAIT_MS: [u64; RESTARTS_MAX] = [0, 500, 2_000];
/// Wait before a restart after [`RESTARTS_MAX`] others inside [`RESTART_WINDOW_MS`]. What was
/// recorded before waits; what comes until then ends as `Failed{workerdown}`, and so does all that
/// waits when a second such wait follows without a worker that was ready.
pub const LEFT_OFF_MS: u64 = 60_000;
/// Milliseconds by which the worker may be later than its deadline before the watchdog sees it as
/// stuck: by then the main loop should have ended it.
pub const WORKER_OVERDUE_MS: u64 = 5_000;
/// Milliseconds of audio that the worker gets before the speech that was heard.
pub const SPEECH_PADDING_MS: u64 = 300;
/// Milliseconds of audio that the worker gets after it.
///
/// Why 200: not more than [`GUESS_PAUSE_MS`], so that all that the worker will get is there when
/// the pause is so long; and less, so that it is there before the end of an utterance whose button
/// was let go with the last word. From 100 to 300 the built-in model hears people equally well.
pub const SPEECH_TAIL_MS: u64 = 200;
/// Milliseconds of silence in an utterance after which the worker begins with what was said so far,
/// as a guess that no more is said.
///
/// Why 250: the quickest end of hands-free speech that the configuration recommends. A pause
/// between two words is mostly shorter.
pub const GUESS_PAUSE_MS: u64 = 250;
const _: () = assert!(SPEECH_TAIL_MS <= GUESS_PAUSE_MS); // what is guessed is recorded already
/// Milliseconds of speech between two looks of the worker at an utterance that is being recorded.
pub const AHEAD_EVERY_MS: u64 = 500;
/// Milliseconds without work ahead after a worker was lost over it.
///
/// Why a minute: what kills the worker ahead of time kills it again when it is asked, and that
/// counts; so guesses cost one start of a worker a minute at most.
pub const AHEAD_REST_MS: u64 = 60_000;
/// Milliseconds between two counter messages on the link.
pub const COUNTERS_EVERY_MS: u64 = 60_000;
/// Milliseconds that the main loop sleeps at most: the watchdog wants to see it turn.
pub const BEAT_MS: u64 = 1_000;
/// Milliseconds that the last messages get to leave on the link at the end.
pub const FAREWELL_MS: u64 = 200;

/// Errands that wait in the main loop for room in the keeper's queue: one for each device, pin and
/// worker that may change hands at once. More cannot be; one more would be counted as a missing
/// record.
pub const ERRANDS_WAITING_MAX: usize = 8 + PINS_MAX;
/// Commands that wait in the main loop for room in listen's ring. When full: a press ends as
/// `Dropped{busy}`; so do the presses that wait when a discard or a mute comes.
pub const COMMANDS_WAITING_MAX: usize = 4;
/// Deliveries of the keeper on their way. Each answers one errand but for one alert, which waits
/// until no other delivery is on its way; so there is always room.
pub const DELIVERIES_MAX: usize = ERRANDS_WAITING_MAX + 1;
/// The last outcomes that `pressel status` shows. Memory: 16 x 1.7 KB.
pub const RECENT_OUTCOMES_MAX: usize = 16;
/// Events that one block gives at most: marks of one frame, closes and opens, two commands.
pub const EVENTS_PER_BLOCK_MAX: usize = 16;
const _: () = assert!(EVENTS_PER_BLOCK_MAX <= EVENT_RING_EVENTS); // one block's fit into the ring
/// Phrases in the closed list of commands. Each costs the search a few bytes and no time.
pub const COMMAND_PHRASES_MAX: usize = 500;
/// Bytes in one of them.
pub const COMMAND_PHRASE_BYTES_MAX: usize = 200;
/// Wake words that are listened for at once.
pub const WAKE_WORDS_MAX: usize = 4;
/// Scores of a wake word that are averaged at most, 80 ms each. More would find it too late.
pub const WAKE_SMOOTHING_MAX: usize = 8;
/// Bytes in the name of a wake word; it travels with each event. A longer one is an error.
pub const WAKE_NAME_BYTES_MAX: usize = 32;
/// Samples that are kept of a wake word, for a second look at it: 1.5 s, up to where it was found.
pub const WAKE_CLIP_SAMPLES: usize = RATE_HZ * 3 / 2;
const _: () = assert!(WAKE_CLIP_SAMPLES <= HISTORY_SAMPLES);
/// Blocks that the main loop reads in one turn, 256 ms of audio; the rest waits for the next turn.
pub const BLOCKS_PER_TURN_MAX: usize = 16;
/// Answers that the main loop takes from the worker in one turn.
pub const ANSWERS_PER_TURN_MAX: usize = 4;
/// Milliseconds that listen gets at the end. Why 300: one call of its models, on the slowest board.
pub const LISTEN_END_MS: u64 = 300;
/// Panics of listen after which the program ends and is restarted from outside.
pub const LISTEN_PANICS_MAX: u32 = 8;
/// Panics of the main loop after which the program ends and is restarted from outside.
pub const MAIN_LOOP_PANICS_MAX: u32 = 8;
/// Bytes of the worker's reason why a model cannot be loaded; a longer one is cut.
pub const REASON_BYTES_MAX: usize = 512;
const _: () = assert!(REASON_BYTES_MAX + 16 <= WORKER_FRAME_BYTES);
/// First and longest wait before a lost microphone is opened again; it doubles from try to try.
pub const MICROPHONE_RETRY_MS: (u64, u64) = (250, 5_000);
/// First and longest wait before a lost pin is opened again; it doubles from try to try.
pub const PIN_RETRY_MS: (u64, u64) = (250, 5_000);
/// First and longest wait before a lost serial line is opened again; it doubles from try to try.
pub const LINK_RETRY_MS: (u64, u64) = (500, 5_000);

/// File jobs that are known, ended ones included. Memory: about 300 bytes each.
///
/// When full: the oldest ended one is forgotten, or else the oldest whose recording is away. When
/// there is neither, new recordings stay in the spool until there is room, and `pressel jobs add`
/// is refused.
pub const JOBS_MAX: usize = 1_000;
/// Bytes of a recording's path. A longer one is refused.
pub const JOB_PATH_BYTES_MAX: usize = 1_024;
/// Bytes of a recording's name: so many that the longest name of a result is a file's name as well.
pub const JOB_NAME_BYTES_MAX: usize = 255 - ".error.txt".len();
/// Bytes of a model's name in a checkpoint; a longer one is cut.
pub const JOB_MODEL_BYTES_MAX: usize = 128;
/// Bytes of the reason why a job failed; a longer one is cut.
pub const JOB_WHY_BYTES_MAX: usize = TEXT_BYTES_MAX;
/// Bytes of one job's checkpoints; with more, the job fails as too long.
///
/// Why 32 MiB: at 100 bytes a chunk, weeks of speech.
pub const JOB_FILE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Milliseconds between two looks into the spool, and at a recording that is away. A recording is
/// taken when it is the same in two looks.
pub const SPOOL_EVERY_MS: u64 = 2_000;
/// Unfinished recordings in the spool that are looked at; newer ones wait until there is room.
pub const SPOOL_FILES_MAX: usize = 10_000;
/// Milliseconds between two tries to write results or checkpoints where that failed, or to read on
/// where a disk failed.
pub const JOB_RETRY_MS: u64 = 10_000;
/// Tries to read a recording whose disk fails, before the job fails.
pub const JOB_READ_TRIES_MAX: u8 = 6;
/// Milliseconds before a chunk that was dropped is given to the main loop again.
pub const CHUNK_AGAIN_MS: u64 = 100;
/// Panics of the thread at one job after which the job is quarantined.
pub const JOB_PANICS_MAX: u8 = 2;

/// Clients that the control socket serves at once. Memory: 8 KiB each, and their answers.
///
/// When full: one more is told so and closed at once.
pub const CONTROL_CLIENTS_MAX: usize = 4;
/// Bytes in a request on the control socket.
///
/// Why 8 KiB: the longest path, escaped, fits. When hit: the request is refused.
pub const CONTROL_REQUEST_BYTES_MAX: usize = 8_192;
/// Milliseconds that a client of the control socket has for sending and reading together.
pub const CONTROL_CLIENT_MS: u64 = 2_000;
/// Milliseconds that jobs get to answer what a client of the control socket asked of them.
pub const CONTROL_JOBS_MS: u64 = 5_000;
/// Milliseconds that a status waits for the count of jobs; then it goes without.
pub const CONTROL_COUNT_MS: u64 = 300;
/// Milliseconds that the thread `control` gets at the end.
pub const CONTROL_END_MS: u64 = 300;
/// Panics of the thread `control` after which it stays away, so that systemd starts all anew.
pub const CONTROL_PANICS_MAX: u32 = 8;
/// A thread is stuck that has not beaten for half of systemd's watchdog interval, in milliseconds;
/// at most this.
pub const STUCK_MS_MAX: u64 = 5_000;
/// At least this: a thread that is well beats once a second.
pub const STUCK_MS_MIN: u64 = 2_000;
/// A thread is stuck that has not begun to beat after so many milliseconds.
pub const FIRST_BEAT_MS_MAX: u64 = 30_000;
/// Crashes inside [`CRASH_WINDOW_MS`] after which the next start is in safe mode.
pub const CRASHES_MAX: usize = 3;
/// Window in which crashes are counted, and after which a start is a usual one again: a minute.
pub const CRASH_WINDOW_MS: u64 = 60_000;
