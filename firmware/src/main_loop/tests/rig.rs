//! A main loop in memory: the test plays microphone, fingers, listen, worker, keeper and host.
//!
//! Time is a number that the test moves; `poll(2)` never sleeps. Every turn runs sealed: one that
//! allocates fails its test.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use heapless::spsc::Consumer;
use pressel_hal::sim::{MemoryLink, MemoryPeer, ScriptedMicrophone};
use pressel_hal::{MicError, Microphone, PollFd};
use pressel_pipeline::lights::{Light, Patterns};
use pressel_pipeline::limits::DELIVERIES_MAX;
use pressel_pipeline::utterance::CloseReason;
use pressel_pipeline::waiting::SpeechSpan;
use pressel_wire::limits::FRAME_BYTES_MAX;
use pressel_wire::{Decoder, DeviceMessage, HostMessage, Outcome, OutcomeResult, encode_host};

use super::Wire;
use crate::alloc_guard;
use crate::bell::Bell;
use crate::config::LinkMode;
use crate::jobs::doors::{JobNews, JobsInside};
use crate::keeper::{Delivery, Doors, Errand, Record};
use crate::main_loop::*;
use crate::rings::{self, Listening};
use crate::stream::{ClosedUtterance, ListenEvent};
use crate::window::Heard;
use crate::worker::socket::Received;
use crate::worker::{Answer, Request, WorkerSocket};

/// The clock of the test.
#[derive(Default)]
pub(crate) struct Time {
    pub(crate) now_ms: AtomicU64,
    /// A wait passes as long as it may last, as on an idle machine.
    flows: AtomicBool,
}

impl Time {
    /// Lets waits pass time, or not.
    pub(crate) fn flow(&self, flows: bool) {
        self.flows.store(flows, Ordering::Relaxed);
    }
    /// Takes time back that a test only measured.
    pub(super) fn back(&self, ms: u64) {
        self.now_ms.fetch_sub(ms, Ordering::Relaxed);
    }
}

pub(crate) struct TestClock(pub(crate) Arc<Time>);

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        self.0.now_ms.load(Ordering::Relaxed)
    }
    fn real_ms(&self, wait_ms: u64) -> u64 {
        if self.0.flows.load(Ordering::Relaxed) {
            self.0.now_ms.fetch_add(wait_ms, Ordering::Relaxed);
        }
        0
    }
}

/// A scripted microphone that gives its blocks when the test lets it.
struct PacedMicrophone {
    inner: ScriptedMicrophone,
    due: Arc<AtomicUsize>,
    errno: Arc<AtomicI32>,
}

impl Microphone for PacedMicrophone {
    fn poll_fds(&self, fds: &mut [PollFd]) -> usize {
        self.inner.poll_fds(fds)
    }
    fn read(&mut self, block: &mut [i16]) -> Result<bool, MicError> {
        match self.errno.swap(0, Ordering::Relaxed) {
            0 => {}
            errno => return Err(MicError::Lost { errno }),
        }
        if self.due.load(Ordering::Relaxed) == 0 {
            return Ok(false);
        }
        self.due.fetch_sub(1, Ordering::Relaxed);
        self.inner.read(block)
    }
    fn name(&self) -> &str {
        "paced"
    }
}

/// The main loop and all that is around it.
pub(super) struct Rig {
    pub(super) main_loop: Box<MainLoop>,
    pub(super) time: Arc<Time>,
    pub(super) listen: Listening,
    pub(super) free: Consumer<'static, u8>,
    pub(super) button: Wire,
    pub(super) mute: Wire,
    /// Listening, thinking, sent, error.
    pub(super) leds: [Wire; 4],
    pub(super) peer: Option<MemoryPeer>,
    pub(super) worker: Option<WorkerSocket>,
    /// What the thread `jobs` holds.
    pub(super) jobs: JobsInside,
    pub(super) vitals: Arc<Vitals>,
    /// What the link said and the test has not taken.
    pub(super) said: Vec<DeviceMessage>,
    /// Records that reached the keeper.
    pub(super) records: Vec<Record>,
    /// Other errands that reached the keeper.
    pub(super) errands: Vec<Errand>,
    /// The keeper takes what it is given.
    pub(super) keeper_works: bool,
    due: Arc<AtomicUsize>,
    errno: Arc<AtomicI32>,
    errands_out: Receiver<Errand>,
    deliveries: Sender<Delivery>,
    delivery_bell: Bell,
    event_bell: Bell,
    signals: UnixStream,
    decoder: Decoder<DeviceMessage>,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with_keeper_queue(64)
    }

    /// A rig whose keeper has room for so many errands.
    pub(super) fn with_keeper_queue(errands_max: usize) -> Self {
        Self::with(errands_max, false)
    }

    /// A rig of a board with CUDA, in safe mode.
    pub(super) fn with_cuda_in_safe_mode() -> Self {
        Self::with(64, true)
    }

    fn with(errands_max: usize, is_special: bool) -> Self {
        let (ends, listen) = rings::fresh();
        let (keeper, errands_out) = Doors::to_test(errands_max);
        let (deliveries, deliveries_out) = bounded(DELIVERIES_MAX);
        let bell = || Bell::new().unwrap();
        let (event_bell, delivery_bell) = (bell(), bell());
        let (signals, signals_out) = UnixStream::pair().unwrap();
        let (jobs_ends, jobs, _) = crate::jobs::doors::doors(&bell());
        let vitals: Arc<Vitals> = Arc::default();
        let neighbours = Neighbours {
            ends,
            listen_bell: bell(),
            event_bell: event_bell.clone(),
            keeper,
            deliveries: deliveries_out,
            delivery_bell: delivery_bell.clone(),
            jobs: jobs_ends,
            vitals: Arc::clone(&vitals),
            signals: signals_out.into(),
        };
        let time = Arc::new(Time::default());
        time.now_ms.store(10_000, Ordering::Relaxed);
        let fixed = Fixed {
            cuda: is_special,
            safe_mode: is_special,
            ..Fixed::of_test(Box::new(TestClock(Arc::clone(&time))))
        };
        let (button, mute): (Wire, Wire) = Default::default();
        let leds: [Wire; 4] = Default::default();
        let pins = pins(&button, &mute, &leds);
        let (link, peer) = MemoryLink::pair(16_384).unwrap();
        let (due, errno) = Default::default();
        let capture = Capture::new(microphone(&due, &errno));
        let serial = Serial::new(Some(Box::new(link)), LinkMode::Frames);
        Self {
            main_loop: MainLoop::new(fixed, neighbours, capture, pins, serial),
            time,
            listen: listen.listening,
            free: listen.free,
            button,
            mute,
            leds,
            peer: Some(peer),
            worker: None,
            jobs,
            vitals,
            said: Vec::new(),
            records: Vec::new(),
            errands: Vec::new(),
            keeper_works: true,
            due,
            errno,
            errands_out,
            deliveries,
            delivery_bell,
            event_bell,
            signals,
            decoder: Decoder::new(),
        }
    }

    /// A rig that has begun, with a worker that is ready; what was said until then is forgotten.
    pub(super) fn ready() -> Self {
        let mut rig = Self::new();
        rig.main_loop.begin();
        rig.start_worker();
        rig.answer(&READY);
        rig.said.clear();
        rig.records.clear();
        rig.errands.clear();
        rig
    }

    /// One turn, sealed.
    pub(super) fn turn(&mut self) -> Option<End> {
        let end = self.sealed(MainLoop::turn);
        self.collect();
        end
    }

    /// Turns until it ends, and winds up, as the endless loop does; time flows meanwhile.
    pub(super) fn run(&mut self) -> End {
        let end = (0..100).find_map(|_| self.turn());
        self.time.flow(true);
        self.sealed(MainLoop::wind_up);
        self.time.flow(false);
        self.collect();
        end.unwrap()
    }

    fn sealed<T>(&mut self, work: impl FnOnce(&mut MainLoop) -> T) -> T {
        let before = alloc_guard::violations_here();
        self.main_loop.seal();
        let done = work(&mut self.main_loop);
        alloc_guard::unseal();
        assert_eq!(alloc_guard::violations_here(), before, "a turn allocated");
        done
    }

    /// Takes what the host and the keeper were given.
    pub(super) fn collect(&mut self) {
        let mut bytes = [0; 4_096];
        if let Some(peer) = &mut self.peer {
            while let Ok(count @ 1..) = peer.stream.read(&mut bytes) {
                let messages = self.decoder.push(&bytes[..count]);
                self.said.extend(messages.map(|message| message.unwrap()));
            }
        }
        while self.keeper_works
            && let Ok(errand) = self.errands_out.try_recv()
        {
            match errand {
                Errand::Record(record) => self.records.push(record),
                errand => self.errands.push(errand),
            }
        }
    }

    pub(super) fn now(&self) -> u64 {
        self.time.now_ms.load(Ordering::Relaxed)
    }

    /// Lets time pass, then turns.
    pub(super) fn pass(&mut self, ms: u64) {
        self.time.now_ms.fetch_add(ms, Ordering::Relaxed);
        self.turn();
    }

    /// The microphone has so many blocks more; at most 16 are read in a turn.
    pub(super) fn hear(&mut self, blocks: usize) {
        self.due.store(blocks, Ordering::Relaxed);
        self.turn();
    }

    /// The microphone is unplugged.
    pub(super) fn unplug(&mut self) {
        self.errno.store(libc::ENODEV, Ordering::Relaxed);
        self.turn();
    }

    /// A microphone like the one at the start.
    pub(super) fn microphone(&self) -> Box<dyn Microphone> {
        microphone(&self.due, &self.errno)
    }

    /// The keeper delivers.
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        assert!(self.deliveries.try_send(delivery).is_ok());
        self.delivery_bell.ring();
        self.turn();
    }

    pub(super) fn start_worker(&mut self) {
        let (ours, theirs) = WorkerSocket::pair().unwrap();
        rustix::io::ioctl_fionbio(&theirs, true).unwrap();
        self.worker = Some(WorkerSocket::new(theirs));
        self.deliver(Delivery::Worker(ours));
    }

    pub(super) fn answer(&mut self, answer: &Answer) {
        self.worker.as_mut().unwrap().send(answer).unwrap();
        self.turn();
    }

    /// What the worker has been asked since the last look.
    pub(super) fn asked(&mut self) -> Vec<Request> {
        let worker = self.worker.as_mut().unwrap();
        core::iter::from_fn(|| match worker.receive() {
            Received::Message(request) => Some(request),
            _ => None,
        })
        .collect()
    }

    /// The finger goes down or up.
    pub(super) fn press(&mut self, down: bool) -> Option<End> {
        self.button.put(down);
        self.turn()
    }

    /// Listen tells something.
    pub(super) fn event(&mut self, event: ListenEvent) {
        self.listen.events.enqueue(event).unwrap();
        self.event_bell.ring();
        self.turn();
    }

    /// The thread `jobs` tells something.
    pub(super) fn job(&mut self, news: JobNews) {
        assert!(self.jobs.news.try_send(news).is_ok());
        self.delivery_bell.ring();
        self.turn();
    }

    /// Listen opens and closes an utterance with speech in this slot.
    pub(super) fn utter(&mut self, id: u32, slot: u8) {
        self.event(opened(id));
        self.event(ListenEvent::Closed(closed(id, slot)));
    }

    pub(super) fn say(&mut self, message: HostMessage) {
        let mut bytes = [0; FRAME_BYTES_MAX];
        let count = encode_host(&message, &mut bytes).unwrap();
        let peer = self.peer.as_mut().unwrap();
        peer.stream.write_all(&bytes[..count]).unwrap();
        self.turn();
    }

    /// SIGTERM arrives; nothing is done about it yet.
    pub(super) fn signal(&mut self) {
        self.signals.write_all(&[15]).unwrap();
    }

    /// The commands that listen has not taken.
    pub(super) fn commands(&mut self) -> Vec<Command> {
        core::iter::from_fn(|| self.listen.commands.dequeue()).collect()
    }

    /// The outcomes that the link told, in order.
    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        let outcome = |message: &DeviceMessage| match message {
            DeviceMessage::Outcome(outcome) => Some(*outcome),
            _ => None,
        };
        self.said.iter().filter_map(outcome).collect()
    }

    /// Number and result of each outcome that the keeper was told, in order.
    pub(super) fn recorded(&self) -> Vec<(u32, OutcomeResult)> {
        let outcome = |record: &Record| match record {
            Record::Outcome { outcome, .. } => Some((outcome.utterance, outcome.result)),
            _ => None,
        };
        self.records.iter().filter_map(outcome).collect()
    }

    /// The last state that the link told.
    pub(super) fn state(&self) -> Option<State> {
        self.said.iter().rev().find_map(|message| match message {
            DeviceMessage::State(state) => Some(*state),
            _ => None,
        })
    }

    /// Which LEDs are lit: listening, thinking, sent, error.
    pub(super) fn lit(&self) -> [bool; 4] {
        self.leds.each_ref().map(Wire::is_lit)
    }

    /// Lets four seconds pass and counts how often the error light goes on.
    pub(super) fn error_flashes(&mut self) -> usize {
        let look = |_| {
            self.pass(50);
            self.lit()[3]
        };
        let lit: Vec<bool> = (0..80).map(look).collect();
        // The four seconds repeat: the first look follows the last.
        let before = lit.iter().cycle().skip(79);
        lit.iter()
            .zip(before)
            .filter(|two| *two == (&true, &false))
            .count()
    }

    /// The names of the errands since the last look, with their waits.
    pub(super) fn errands(&mut self) -> Vec<(&'static str, u64)> {
        let name = |errand: Errand| match errand {
            Errand::Record(_) => ("record", 0),
            Errand::OpenMicrophone { wait_ms } => ("open microphone", wait_ms),
            Errand::CloseMicrophone(_) => ("close microphone", 0),
            Errand::OpenLink { wait_ms } => ("open link", wait_ms),
            Errand::CloseLink(_) => ("close link", 0),
            Errand::StartWorker {
                wait_ms,
                cpu: false,
            } => ("start worker", wait_ms),
            Errand::StartWorker { wait_ms, cpu: true } => ("start worker on cpu", wait_ms),
            Errand::MendPin { wait_ms, .. } => ("mend pin", wait_ms),
            Errand::EndWorker(_) => ("end worker", 0),
            Errand::Acknowledged(mark) => ("acknowledged", u64::from(mark.next)),
            Errand::Fetch(mark) => ("fetch", u64::from(mark.next)),
            Errand::Finish => ("finish", 0),
        };
        self.errands.drain(..).map(name).collect()
    }
}

pub(crate) fn pins(button: &Wire, mute: &Wire, leds: &[Wire; 4]) -> Pins {
    let led = |(light, wire): (Light, &Wire)| Led::new(light, Box::new(wire.clone()));
    let input = |wire: &Wire| Input::new(Some(Box::new(wire.clone())), 20);
    Pins {
        button: input(button),
        mute: input(mute),
        leds: Light::ALL.into_iter().zip(leds).map(led).collect(),
        chain: None,
        patterns: Patterns::usual(),
    }
}

fn microphone(due: &Arc<AtomicUsize>, errno: &Arc<AtomicI32>) -> Box<dyn Microphone> {
    Box::new(PacedMicrophone {
        inner: ScriptedMicrophone::new(vec![1; 64 * 256]).unwrap(),
        due: Arc::clone(due),
        errno: Arc::clone(errno),
    })
}

pub(crate) const READY: Answer = Answer::Ready {
    cuda: false,
    load_ms: 7,
    canary: 7,
};

pub(super) fn opened(id: u32) -> ListenEvent {
    ListenEvent::Opened {
        id,
        trigger: Trigger::Ptt,
        start: u64::from(id) * 48_000,
    }
}

/// Two seconds, one of them speech.
pub(super) fn closed(id: u32, slot: u8) -> ClosedUtterance {
    ClosedUtterance {
        id,
        slot,
        trigger: Trigger::Ptt,
        start: u64::from(id) * 48_000,
        samples: 32_000,
        speech: Some(SpeechSpan {
            start: 8_000,
            end: 24_000,
        }),
        closed_at: u64::from(id) * 48_000 + 32_160,
        reason: CloseReason::Released,
    }
}

pub(super) fn said(id: u32, text: &str) -> Answer {
    Answer::Done {
        id,
        text: heapless::String::try_from(text).unwrap(),
        truncated: false,
        sense: crate::worker::message::Sense::Words,
        language: *b"en",
        confidence: 90,
        encode_ms: 11,
        decode_ms: 22,
        heard: Heard::default(),
    }
}
