//! The studio: the appliance's own capture and ears, for one take after the other.
//!
//! In: blocks of the microphone, through [`Capture`] and the same ring as in the appliance, but on
//! one thread. Out: an utterance as hands-free speech opens and closes it, or a stretch of the room
//! as a held button does. Waits in `poll(2)` only, and looks at the signals after each wait. Time
//! is counted in samples; only a microphone that gives none at all is known by the clock.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heapless::spsc::{Consumer, Producer};
use pressel_boards::Board;
use pressel_hal::linux::{MonotonicClock, poll};
use pressel_hal::{Clock as _, MicError, Microphone, OpenError, PollFd};
use pressel_pipeline::limits::{DEVICE_FDS_MAX, RATE_HZ, UTTERANCE_SAMPLES_MAX};
use pressel_pipeline::time::{Millis, SampleTime, samples};
use pressel_pipeline::utterance::CloseReason;
use pressel_pipeline::waiting::SpeechSpan;
use pressel_wire::Trigger;

use crate::appliance::{BoardOpener, Place, load_ears};
use crate::config::{Config, Trigger as ConfiguredTrigger};
use crate::failure::{Failure, Kind};
use crate::keeper::Opener as _;
use crate::listen::listener::{Events, Tuning};
use crate::listen::{Ears, Listener};
use crate::main_loop::Capture;
use crate::rings::{self, ListenEnds, MainEnds};
use crate::slots::{OfflineSlots, SharedMemory, Slots as _};
use crate::stream::{Block, ClosedUtterance, Command, Control, ListenEvent};

/// Audio that is kept around speech at least, whatever the configuration says: the networks learn
/// from what is before and behind a word, too.
const MARGIN_MS: u64 = 300;
/// Longest wait for somebody to speak.
const NOTHING_SAMPLES: u64 = 10 * RATE_HZ as u64;
/// Longest wait for the microphone to give anything.
const NO_BLOCK_MS: Millis = 10_000;
/// Longest sleep: a signal that came just before it is seen after it.
const SLEEP_MS: i32 = 100;
/// Longest stretch of the room. What was open before a press began may be in the slot as well.
pub(super) const ROOM_SECONDS_MAX: u64 = 10;
const _: () = assert!((ROOM_SECONDS_MAX as usize + 15) * RATE_HZ < UTTERANCE_SAMPLES_MAX);

/// One utterance, or a stretch of the room.
#[derive(Clone, Debug, Default)]
pub(super) struct Take {
    pub(super) samples: Vec<i16>,
    /// Where in it speech was heard.
    pub(super) speech: Option<SpeechSpan>,
    /// Speech had begun before it was asked for.
    pub(super) is_early: bool,
    /// It was cut, because it did not end.
    pub(super) is_full: bool,
    /// Samples that are missing in it.
    pub(super) lost_samples: u64,
}

/// What a wait gave.
#[derive(Debug)]
pub(super) enum Heard {
    /// This.
    Take(Take),
    /// Nobody spoke; the loudest sample of that time.
    Nothing(i16),
    /// A signal came.
    Stopped,
}

/// Microphone and ears.
pub(super) struct Studio {
    capture: Capture,
    blocks_in: Producer<'static, Block>,
    blocks: Consumer<'static, Block>,
    listener: Listener<OfflineSlots>,
    events: VecDeque<ListenEvent>,
    clock: MonotonicClock,
    /// When the last block came, and how long none may come.
    block_at: Millis,
    no_block_ms: Millis,
    /// Where a stretch of the room ends.
    release_at: Option<SampleTime>,
    /// An utterance is being recorded.
    is_open: bool,
    /// The gate is open.
    is_speech: bool,
    /// Where speech began last.
    speech_at: SampleTime,
    /// The last gap: where it ended, and its samples.
    gap: (SampleTime, u64),
    device: String,
    asked: Arc<AtomicBool>,
}

impl Studio {
    /// Opens the microphone and loads the ears. Whoever sets `asked` ends every wait.
    ///
    /// # Errors
    /// [`Kind::Device`] with the microphone and the remedy.
    pub(super) fn open(
        mut config: Config,
        board: &Board,
        place: Place,
        asked: &Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        config.trigger = ConfiguredTrigger::Voice;
        let mut tuning = config.tuning();
        let utterance = &mut tuning.utterance;
        let margin = samples(MARGIN_MS);
        utterance.start_padding = utterance.start_padding.max(margin);
        utterance.end_padding = utterance.end_padding.max(margin);
        let ears = ears(); // first: the microphone begins when it is opened
        let opened = BoardOpener::new(board, &config, place).microphone();
        let microphone = opened.map_err(|why| Failure::new(Kind::Device, why))?;
        let Some(ends) = rings::claim() else {
            return Err(Failure::new(Kind::Usage, "one process has one microphone"));
        };
        Self::of(microphone, ears, tuning, ends, asked)
            .map_err(|error| Failure::new(Kind::Device, format!("cannot start: {error}")))
    }

    fn of(
        microphone: Box<dyn Microphone>,
        ears: Ears,
        tuning: Tuning,
        (main, listen): (MainEnds, ListenEnds),
        asked: &Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let slots = OfflineSlots::new(SharedMemory::create()?.writer()?);
        let clock = MonotonicClock::new();
        Ok(Self {
            device: microphone.name().to_owned(),
            capture: Capture::new(microphone),
            blocks_in: main.blocks,
            blocks: listen.listening.blocks,
            listener: Listener::new(tuning, ears, slots),
            events: VecDeque::new(),
            block_at: clock.now_ms(),
            no_block_ms: NO_BLOCK_MS,
            clock,
            release_at: None,
            is_open: false,
            is_speech: false,
            speech_at: 0,
            gap: (0, 0),
            asked: Arc::clone(asked),
        })
    }

    /// Returns the name of the microphone.
    pub(super) fn device(&self) -> &str {
        &self.device
    }

    /// Waits for the next utterance behind what was heard; `show` gets the loudest sample of each
    /// turn. All that is said counts from the last [`Studio::catch_up`] on.
    ///
    /// # Errors
    /// [`Kind::Device`] when the microphone is gone or gives nothing.
    pub(super) fn utterance(&mut self, show: &mut dyn FnMut(i16)) -> Result<Heard, Failure> {
        let from = self.listener.heard();
        let mut loudest = 0;
        self.block_at = self.clock.now_ms();
        loop {
            while let Some(event) = self.next_event() {
                match event {
                    ListenEvent::Closed(closed) => {
                        return Ok(Heard::Take(self.take(&closed, from)));
                    }
                    ListenEvent::Lost(_) => return Ok(Heard::Take(self.lost())),
                    _ => {}
                }
            }
            if !self.is_open && from + NOTHING_SAMPLES <= self.listener.heard() {
                return Ok(Heard::Nothing(loudest));
            }
            let Some(peak) = self.turn(SLEEP_MS)? else {
                return Ok(Heard::Stopped);
            };
            loudest = loudest.max(peak);
            show(peak);
        }
    }

    /// Records so many samples of the room, at most [`ROOM_SECONDS_MAX`], as a held button would.
    ///
    /// # Errors
    /// As [`Studio::utterance`].
    pub(super) fn room(&mut self, count: u64, show: &mut dyn FnMut(i16)) -> Result<Heard, Failure> {
        let from = self.listener.heard();
        self.block_at = self.clock.now_ms();
        self.obey(Control::TalkStart);
        self.release_at = Some(from + count);
        let mut spoke = self.is_speech;
        loop {
            while let Some(event) = self.next_event() {
                spoke |= self.is_speech;
                match event {
                    ListenEvent::Closed(closed) if closed.trigger == Trigger::Ptt => {
                        return Ok(Heard::Take(self.stretch(&closed, from, count, spoke)));
                    }
                    ListenEvent::Closed(closed) => self.listener.slots().give_back(closed.slot),
                    ListenEvent::Lost(_) => {
                        self.release_at = None;
                        return Ok(Heard::Take(self.lost()));
                    }
                    _ => {}
                }
            }
            let Some(peak) = self.turn(SLEEP_MS)? else {
                return Ok(Heard::Stopped);
            };
            show(peak);
        }
    }

    fn obey(&mut self, control: Control) {
        let at = self.listener.heard();
        let mut events = Events::new();
        self.listener.obey(Command { at, control }, &mut events);
        self.events.extend(events);
    }

    fn next_event(&mut self) -> Option<ListenEvent> {
        let event = self.events.pop_front()?;
        match event {
            ListenEvent::Opened { .. } => self.is_open = true,
            ListenEvent::Closed(_) | ListenEvent::Lost(_) => self.is_open = false,
            ListenEvent::SpeechStart(at) => {
                self.speech_at = at;
                self.is_speech = true;
            }
            ListenEvent::SpeechEnd(_) => self.is_speech = false,
            ListenEvent::VadFellBack => {
                log::warn!("the voice activity model failed; from here on the level decides");
            }
            _ => {}
        }
        Some(event)
    }

    /// Hears what came while the last take was written, to be called before the next one is asked
    /// for: that was not said for it. Returns false when a signal asks to end.
    ///
    /// # Errors
    /// As [`Studio::utterance`].
    pub(super) fn catch_up(&mut self) -> Result<bool, Failure> {
        let behind = self.clock.now_ms().saturating_sub(self.block_at);
        let until = self.listener.heard() + samples(behind);
        let mut before = None;
        while before != Some(self.listener.heard()) && self.listener.heard() < until {
            before = Some(self.listener.heard());
            if self.turn(0)?.is_none() {
                return Ok(false);
            }
        }
        while let Some(event) = self.next_event() {
            if let ListenEvent::Closed(closed) = event {
                self.listener.slots().give_back(closed.slot);
            }
        }
        Ok(true)
    }

    /// Waits so long for the microphone and hears what came. Returns the loudest sample, or none
    /// when a signal asks to end.
    fn turn(&mut self, sleep_ms: i32) -> Result<Option<i16>, Failure> {
        if self.asked.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut fds = [PollFd {
            fd: -1,
            events: 0,
            revents: 0,
        }; DEVICE_FDS_MAX];
        let count = self.capture.poll_fds(&mut fds);
        poll::wait(&mut fds[..count], sleep_ms).map_err(|errno| self.gone(errno))?;
        let now = self.clock.now_ms();
        let (news, error) = self.capture.read(&mut self.blocks_in, now);
        if news {
            self.block_at = now;
        } else if self.block_at + self.no_block_ms < now {
            let cause = format!("gave no sound for {} s", NO_BLOCK_MS / 1_000);
            let remedy = "pull it out and in again; the same command goes on";
            let error = OpenError::new("microphone", &self.device, cause, remedy);
            return Err(Failure::new(Kind::Device, error));
        }
        let mut loudest = 0;
        while let Some(block) = self.blocks.dequeue() {
            let peak = block.samples.iter().map(|sample| sample.saturating_abs());
            loudest = peak.fold(loudest, i16::max);
            let heard = self.listener.heard();
            if heard < block.start {
                self.gap = (block.start, block.start - heard);
            }
            let mut events = Events::new();
            self.listener.hear(&block, &mut events);
            self.events.extend(events);
            if self
                .release_at
                .is_some_and(|at| at <= self.listener.heard())
            {
                self.release_at = None;
                self.obey(Control::TalkStop);
            }
        }
        if let Some(MicError::Lost { errno }) = error {
            return Err(self.gone(errno));
        }
        if let Some(error) = error {
            log::info!("microphone {error}");
        }
        Ok(Some(loudest))
    }

    fn gone(&self, errno: i32) -> Failure {
        let remedy = "plug it in again; the same command goes on";
        let error = OpenError::from_errno("microphone", &self.device, errno, remedy);
        Failure::new(Kind::Device, error)
    }

    /// Returns a closed utterance, and gives its slot back.
    fn take(&mut self, closed: &ClosedUtterance, from: SampleTime) -> Take {
        // The listener counts the padding of an utterance that voice opened as speech, too.
        let speech_at = self.speech_at.max(closed.start);
        let offset = u32::try_from(speech_at - closed.start).unwrap_or(u32::MAX);
        let tight = |span: SpeechSpan| SpeechSpan {
            start: span.start.max(offset).min(span.end),
            end: span.end,
        };
        Take {
            samples: self.samples(closed),
            speech: closed.speech.map(tight),
            is_early: speech_at < from,
            is_full: closed.reason == CloseReason::Full,
            lost_samples: self.lost_since(closed.start),
        }
    }

    /// Returns what of a press came after it began; speech in it only where the gate opened, too:
    /// a click is none.
    fn stretch(
        &mut self,
        closed: &ClosedUtterance,
        from: SampleTime,
        count: u64,
        spoke: bool,
    ) -> Take {
        let mut samples = self.samples(closed);
        let before = from.saturating_sub(closed.start);
        let before = usize::try_from(before).map_or(samples.len(), |n| n.min(samples.len()));
        samples.drain(..before);
        let is_full = (samples.len() as u64) < count;
        samples.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        let wanted = before..before + samples.len();
        let is_in = |span: &SpeechSpan| {
            (span.start as usize) < wanted.end && wanted.start < span.end as usize
        };
        let speech = closed.speech.filter(|span| spoke && is_in(span));
        Take {
            samples,
            speech,
            is_early: false,
            is_full,
            lost_samples: self.lost_since(from),
        }
    }

    /// Returns what stands for an utterance that was lost in a long gap.
    fn lost(&self) -> Take {
        Take {
            lost_samples: self.gap.1.max(1),
            ..Take::default()
        }
    }

    fn samples(&mut self, closed: &ClosedUtterance) -> Vec<i16> {
        let slots = self.listener.slots();
        let samples = slots.memory(closed.slot)[..closed.samples as usize].to_vec();
        slots.give_back(closed.slot);
        samples
    }

    fn lost_since(&self, start: SampleTime) -> u64 {
        let (end, samples) = self.gap;
        if start < end { samples } else { 0 }
    }
}

/// Returns the appliance's ears; without ONNX Runtime the level tells speech from silence.
fn ears() -> Ears {
    load_ears().unwrap_or_else(|failure| {
        log::warn!("{failure}; speech is told from silence by its level until then");
        Ears::by_level()
    })
}

#[cfg(test)]
mod tests;
