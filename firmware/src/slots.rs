//! Utterance slots: the memory that listen writes and the worker process reads.
//!
//! One anonymous `memfd`, mapped by both processes, so that audio is written once and never sent. A
//! slot has one owner at a time: listen takes a free one and fills it, the main loop hands its
//! number to the worker and back to listen. Allocated and touched once at start-up; never on a
//! disk.

#![allow(
    unsafe_code,
    reason = "mapping shared memory is unsafe; both maps are made here"
)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use heapless::{Vec, spsc};
use memmap2::{MmapMut, MmapOptions, MmapRaw};
use pressel_pipeline::limits::{CONTEXT_BYTES_MAX, FILE_SLOT, SLOT_COUNT, UTTERANCE_SAMPLES_MAX};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use crate::window::Context;

/// Bytes of one slot.
const SLOT_BYTES: usize = UTTERANCE_SAMPLES_MAX * size_of::<i16>();
/// Bytes of the note behind the file's slot: what it is, language, bytes of the context; context.
const NOTE_BYTES: usize = NOTE_HEAD_BYTES + CONTEXT_BYTES_MAX;
const NOTE_HEAD_BYTES: usize = 6;
/// The first byte of a note that says that the chunk is a window.
const NOTE_OF_WINDOW: u8 = 1;
/// Bytes of all slots.
const ALL_BYTES: usize = SLOT_BYTES * (SLOT_COUNT + 1) + NOTE_BYTES;
// It is read as samples, too.
const _: () = assert!(ALL_BYTES.is_multiple_of(size_of::<i16>()));
const _: () = assert!(CONTEXT_BYTES_MAX <= u16::MAX as usize);

/// Where utterances are written. One slot holds [`UTTERANCE_SAMPLES_MAX`] samples.
pub trait Slots {
    /// Takes a free slot, if there is one.
    fn take(&mut self) -> Option<u8>;
    /// Gives a slot back that was taken and not handed over.
    fn give_back(&mut self, slot: u8);
    /// Returns a taken slot's memory.
    fn memory(&mut self, slot: u8) -> &mut [i16];
    /// Zeroes all slots that are free, so that nothing of earlier utterances is left in memory.
    fn wipe_free(&mut self);
}

/// The ring that carries free slot numbers back to listen. One place more than there are slots.
pub type FreeRing = spsc::Queue<u8, { SLOT_COUNT + 1 }>;

/// The memory of all slots, before it is given to listen and the worker.
pub struct SharedMemory {
    memfd: OwnedFd,
}

impl SharedMemory {
    /// Creates the memory, all zero, of fixed size.
    ///
    /// The descriptor is inheritable: the worker child opens it by its number.
    ///
    /// # Errors
    /// The error of `memfd_create(2)` or `ftruncate(2)`: there is not enough memory.
    pub fn create() -> io::Result<Self> {
        let memfd = memfd_create("pressel-slots", MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&memfd, ALL_BYTES as u64)?;
        // Fixed size for ever: a map of it can never fault.
        fcntl_add_seals(
            &memfd,
            SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
        )?;
        Ok(Self { memfd })
    }

    /// Returns the descriptor's number, which the worker child inherits.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.memfd.as_raw_fd()
    }

    /// Maps the memory for the one writer. Touches every page, so that none is missing later.
    ///
    /// # Errors
    /// The error of `mmap(2)`.
    pub fn writer(&self) -> io::Result<SlotMemory> {
        let file = File::from(self.memfd.as_fd().try_clone_to_owned()?);
        // SAFETY: the memory cannot shrink (sealed above), and no other map that is written holds
        // these bytes. The other maps are the worker's, which makes no reference to them and copies
        // what it reads: see `SlotReader::copy`. What it was asked for is not written meanwhile:
        // the main loop gives the slot back to the writer after the answer.
        let mut map = unsafe {
            MmapOptions::new()
                .len(SLOT_BYTES * SLOT_COUNT)
                .map_mut(&file)?
        };
        map.fill(0);
        Ok(SlotMemory { map })
    }

    /// Maps the slot of the file's chunk and its note for their one writer, and touches the pages.
    ///
    /// # Errors
    /// The error of `mmap(2)`.
    pub fn file_writer(&self) -> io::Result<FileSlot> {
        let file = File::from(self.memfd.as_fd().try_clone_to_owned()?);
        let offset = SLOT_BYTES as u64 * u64::from(FILE_SLOT);
        // SAFETY: as in `writer`: no other map that is written holds these bytes, and `jobs` leaves
        // them alone while a chunk is under way.
        let mut map = unsafe {
            MmapOptions::new()
                .offset(offset)
                .len(SLOT_BYTES + NOTE_BYTES)
                .map_mut(&file)?
        };
        map.fill(0);
        Ok(FileSlot { map })
    }
}

/// The writer's map of all slots.
pub struct SlotMemory {
    map: MmapMut,
}

impl SlotMemory {
    /// Returns the samples of one slot. Shape: `[480_000] i16`.
    pub fn slot(&mut self, slot: u8) -> &mut [i16] {
        let start = usize::from(slot) * SLOT_BYTES;
        bytemuck::cast_slice_mut(&mut self.map[start..start + SLOT_BYTES])
    }
}

/// Where a file's chunk is put: its samples, and a note that says how they are heard.
pub trait ChunkSlot: Send {
    /// Returns the samples. Shape: `[480_000] i16`.
    fn samples(&mut self) -> &mut [i16];
    /// Notes what was said before a window; `None`: the chunk is speech that stands by itself.
    fn note(&mut self, window: Option<&Context>);
}

/// The writer's map of the slot of the file's chunk.
pub struct FileSlot {
    map: MmapMut,
}

impl ChunkSlot for FileSlot {
    fn samples(&mut self) -> &mut [i16] {
        bytemuck::cast_slice_mut(&mut self.map[..SLOT_BYTES])
    }

    fn note(&mut self, window: Option<&Context>) {
        let note = &mut self.map[SLOT_BYTES..];
        note.fill(0); // What was said is not kept.
        let Some(context) = window else { return };
        let text = context.text().as_bytes();
        // A context is never longer.
        let count = text.len().min(CONTEXT_BYTES_MAX);
        note[0] = NOTE_OF_WINDOW;
        note[1..3].copy_from_slice(&context.language());
        let bytes = u16::try_from(count).unwrap_or_default().to_le_bytes();
        note[3..5].copy_from_slice(&bytes);
        note[NOTE_HEAD_BYTES..NOTE_HEAD_BYTES + count].copy_from_slice(&text[..count]);
    }
}

/// The worker's map of all slots: read only.
pub struct SlotReader {
    map: MmapRaw,
}

impl SlotReader {
    /// Maps the memory whose descriptor was inherited as `raw_fd`.
    ///
    /// # Errors
    /// When the descriptor is not there or not as large as the slots of this program.
    pub fn inherit(raw_fd: RawFd) -> io::Result<Self> {
        let file = File::open(format!("/proc/self/fd/{raw_fd}"))?;
        if file.metadata()?.len() != ALL_BYTES as u64 {
            return Err(io::Error::other("slot memory has another size"));
        }
        let map = MmapOptions::new().len(ALL_BYTES).map_raw_read_only(&file)?;
        Ok(Self { map })
    }

    /// Copies `samples` samples of a slot from `start` on into `audio`, in place of what it held.
    /// Returns false, and leaves it empty, when that is not in a slot.
    ///
    /// What was asked for is whole, for its slot has no writer then. So is what was told of an
    /// utterance that is being recorded, for the writer goes on behind it; unless the utterance is
    /// discarded just now and the slot is wiped or written anew, and then nobody asks for it.
    #[must_use]
    pub fn copy(&self, slot: u8, start: u32, samples: u32, audio: &mut std::vec::Vec<i16>) -> bool {
        audio.clear();
        let (slot, start, count) = (usize::from(slot), start as usize, samples as usize);
        let end = start.saturating_add(count);
        if SLOT_COUNT < slot || UTTERANCE_SAMPLES_MAX < end {
            return false;
        }
        let base = self.map.as_ptr().cast::<i16>();
        let offset = slot * UTTERANCE_SAMPLES_MAX + start;
        // SAFETY: `slot` is at most `SLOT_COUNT` and `end` within one slot, so each place lies in
        // the map of `ALL_BYTES`, which begins at a page and so is aligned; the memory is sealed
        // against shrinking. The writer's process may change these bytes meanwhile (see above), so
        // no reference to them is made, and each is read once, as memory that others write.
        let read = |place| unsafe { base.add(offset + place).read_volatile() };
        audio.extend((0..count).map(read));
        true
    }

    /// Returns the same as a vector of its own.
    #[cfg(test)]
    pub(crate) fn audio(&self, slot: u8, start: u32, samples: u32) -> Option<std::vec::Vec<i16>> {
        let mut audio = std::vec::Vec::new();
        self.copy(slot, start, samples, &mut audio).then_some(audio)
    }

    /// Copies what is noted beside a window into `context`, in place of what it held, and returns
    /// the language; zeros while nobody knows it. `None`, and nothing, for utterances and for
    /// chunks that stand by themselves.
    #[must_use]
    pub fn note(&self, slot: u8, context: &mut String) -> Option<[u8; 2]> {
        context.clear();
        if slot != FILE_SLOT {
            return None;
        }
        let base = self.map.as_ptr();
        // SAFETY: `place` is below `NOTE_BYTES`, so each byte lies in the map of `ALL_BYTES`, whose
        // last ones the note is; the memory is sealed against shrinking. No reference to memory of
        // another process is made, and each byte is read once: see `copy`.
        let read = |place| unsafe { base.add(ALL_BYTES - NOTE_BYTES + place).read_volatile() };
        let note: [u8; NOTE_BYTES] = core::array::from_fn(read);
        let (head, text) = note.split_at(NOTE_HEAD_BYTES);
        if head[0] != NOTE_OF_WINDOW {
            return None;
        }
        let count = usize::from(u16::from_le_bytes([head[3], head[4]]));
        let words = text.get(..count).map(str::from_utf8);
        context.push_str(words.and_then(Result::ok).unwrap_or_default());
        Some([head[1], head[2]])
    }
}

/// Slots as the live listen sees them: free numbers come back through a ring.
pub struct LiveSlots<'a> {
    memory: SlotMemory,
    free: spsc::Consumer<'a, u8>,
    kept: Vec<u8, SLOT_COUNT>,
}

impl<'a> LiveSlots<'a> {
    /// All slots are free at first.
    #[must_use]
    pub fn new(memory: SlotMemory, free: spsc::Consumer<'a, u8>) -> Self {
        Self {
            memory,
            free,
            kept: all_slots(),
        }
    }

    /// Returns the free slots that have left the ring.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> &[u8] {
        &self.kept
    }
}

/// Returns the numbers of all slots.
fn all_slots() -> Vec<u8, SLOT_COUNT> {
    (0..SLOT_COUNT)
        .filter_map(|slot| u8::try_from(slot).ok())
        .collect()
}

impl Slots for LiveSlots<'_> {
    fn take(&mut self) -> Option<u8> {
        self.kept.pop().or_else(|| self.free.dequeue())
    }
    fn give_back(&mut self, slot: u8) {
        let fits = self.kept.push(slot).is_ok();
        debug_assert!(fits);
    }
    fn memory(&mut self, slot: u8) -> &mut [i16] {
        self.memory.slot(slot)
    }
    fn wipe_free(&mut self) {
        while let Some(slot) = self.free.dequeue() {
            self.give_back(slot);
        }
        for &slot in &self.kept {
            self.memory.slot(slot).fill(0);
        }
    }
}

/// Slots of `replay` and `transcribe`: the caller gives a slot back when its answer is there.
pub struct OfflineSlots {
    memory: SlotMemory,
    free: Vec<u8, SLOT_COUNT>,
}

impl OfflineSlots {
    /// All slots are free at first.
    #[must_use]
    pub fn new(memory: SlotMemory) -> Self {
        Self {
            memory,
            free: all_slots(),
        }
    }
}

impl Slots for OfflineSlots {
    fn take(&mut self) -> Option<u8> {
        self.free.pop()
    }
    fn give_back(&mut self, slot: u8) {
        let fits = self.free.push(slot).is_ok();
        debug_assert!(fits);
    }
    fn memory(&mut self, slot: u8) -> &mut [i16] {
        self.memory.slot(slot)
    }
    fn wipe_free(&mut self) {
        for &slot in &self.free {
            self.memory.slot(slot).fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::UnsafeCell;
    use std::sync::mpsc::sync_channel;
    use std::thread;

    use super::*;
    use crate::prove;
    use crate::rings;
    use crate::stream::ListenEvent;

    /// Memory of the proof, small enough for Miri, which sees two owners at once as a race.
    struct Cells([UnsafeCell<[i16; 32]>; SLOT_COUNT]);

    // SAFETY: a slot is touched by the owner of its number only; that is what the test proves.
    unsafe impl Sync for Cells {}

    impl Cells {
        fn write(&self, slot: u8, value: i16) {
            // SAFETY: the caller owns the slot's number.
            unsafe { (*self.0[usize::from(slot)].get()).fill(value) };
        }
        fn read(&self, slot: u8) -> [i16; 32] {
            // SAFETY: the caller owns the slot's number.
            unsafe { *self.0[usize::from(slot)].get() }
        }
    }

    /// Listen takes numbers, the main loop passes them on, a worker reads, and they come back: the
    /// way of a slot with the appliance's own rings. `ListenEvent::Gap` carries number and value.
    #[test]
    fn prove_model_slots_have_one_owner_at_a_time() {
        let rounds = match (cfg!(miri), prove::is_full()) {
            (true, _) => 300,
            (false, false) => 20_000,
            (false, true) => 1_000_000,
        };
        let cells = Cells(core::array::from_fn(|_| UnsafeCell::new([0; 32])));
        let (mut main, mut listen) = rings::fresh();
        let (requests, requests_out) = sync_channel::<(u8, i16)>(1);
        let (answers, answers_out) = sync_channel::<u8>(1);
        let value = |round: u64| i16::try_from(round % 32_768).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut kept = all_slots();
                for round in 0..rounds {
                    let slot = loop {
                        match kept.pop().or_else(|| listen.free.dequeue()) {
                            Some(slot) => break slot,
                            None => thread::yield_now(),
                        }
                    };
                    cells.write(slot, value(round));
                    let closed = ListenEvent::Gap(round << 8 | u64::from(slot));
                    while listen.listening.events.enqueue(closed).is_err() {
                        thread::yield_now();
                    }
                }
            });
            scope.spawn(|| {
                for (slot, value) in requests_out {
                    assert_eq!(cells.read(slot), [value; 32]);
                    answers.send(slot).unwrap();
                }
            });
            for round in 0..rounds {
                let closed = loop {
                    match main.events.dequeue() {
                        Some(ListenEvent::Gap(closed)) => break closed,
                        _ => thread::yield_now(),
                    }
                };
                assert_eq!(closed >> 8, round);
                let slot = u8::try_from(closed & 0xff).unwrap();
                requests.send((slot, value(round))).unwrap();
                main.free.enqueue(answers_out.recv().unwrap()).unwrap();
            }
            drop(requests);
        });
        prove::say("model", 0, &format!("slots handed_over={rounds}"));
    }

    #[test]
    fn what_the_writer_writes_the_reader_reads() {
        let shared = SharedMemory::create().unwrap();
        let mut writer = shared.writer().unwrap();
        let last = u8::try_from(SLOT_COUNT - 1).unwrap();
        writer.slot(last)[UTTERANCE_SAMPLES_MAX - 1] = 77;
        let reader = SlotReader::inherit(shared.raw_fd()).unwrap();
        let end = u32::try_from(UTTERANCE_SAMPLES_MAX).unwrap();
        assert_eq!(reader.audio(last, end - 1, 1), Some(vec![77]));
    }

    #[test]
    fn file_slot_is_behind_those_of_utterances() {
        let shared = SharedMemory::create().unwrap();
        let mut utterances = shared.writer().unwrap();
        let mut file = shared.file_writer().unwrap();
        let last = u8::try_from(SLOT_COUNT - 1).unwrap();
        utterances.slot(last).fill(1);
        file.samples().fill(2);
        let reader = SlotReader::inherit(shared.raw_fd()).unwrap();
        let count = u32::try_from(UTTERANCE_SAMPLES_MAX).unwrap();
        let all = |slot, value| {
            let audio = reader.audio(slot, 0, count).unwrap();
            audio.iter().all(|&sample| sample == value)
        };
        assert!(all(last, 1) && all(FILE_SLOT, 2));
    }

    #[test]
    fn note_lies_behind_the_file_slot_and_belongs_to_it_alone() {
        let shared = SharedMemory::create().unwrap();
        let mut file = shared.file_writer().unwrap();
        let reader = SlotReader::inherit(shared.raw_fd()).unwrap();
        let count = u32::try_from(UTTERANCE_SAMPLES_MAX).unwrap();
        let mut heard = "before".to_owned();
        assert_eq!((reader.note(FILE_SLOT, &mut heard), &*heard), (None, ""));
        let mut context = Context::default();
        for (text, language) in [("", [0; 2]), ("grün", *b"de")] {
            context.learn(text, language, false);
            file.samples().fill(-1);
            file.note(Some(&context));
            assert_eq!(reader.note(FILE_SLOT, &mut heard), Some(language));
            assert_eq!(heard, text);
            let audio = reader.audio(FILE_SLOT, 0, count).unwrap();
            assert!(audio.iter().all(|&sample| sample == -1));
            for other in [0, FILE_SLOT - 1, FILE_SLOT + 1, u8::MAX] {
                assert_eq!((reader.note(other, &mut heard), &*heard), (None, ""));
            }
        }
        context.learn(&"é".repeat(CONTEXT_BYTES_MAX), *b"de", false);
        file.note(Some(&context));
        assert_eq!(reader.note(FILE_SLOT, &mut heard), Some(*b"de"));
        assert_eq!(heard.len(), CONTEXT_BYTES_MAX);
        file.note(None);
        assert_eq!((reader.note(FILE_SLOT, &mut heard), &*heard), (None, ""));
    }

    #[test]
    fn ranges_outside_a_slot_are_refused() {
        let shared = SharedMemory::create().unwrap();
        let reader = SlotReader::inherit(shared.raw_fd()).unwrap();
        let end = u32::try_from(UTTERANCE_SAMPLES_MAX).unwrap();
        assert_eq!(reader.audio(0, end, 1), None);
        assert_eq!(reader.audio(FILE_SLOT + 1, 0, 1), None);
        assert_eq!(reader.audio(0, u32::MAX, u32::MAX), None);
    }
}
