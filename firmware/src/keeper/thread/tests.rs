//! Tests of the keeper's thread with devices that the test holds.
//!
//! The test waits for deliveries, never for time to pass.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pressel_hal::sim::{MemoryLink, ScriptedMicrophone};
use pressel_hal::{Link, Microphone};

use super::*;
use crate::journal::Limits;
use crate::main_loop::AnyPin;

/// Opens devices as the script says, one answer after the other; then none.
#[derive(Default)]
struct Script {
    microphones: Vec<Result<Box<dyn Microphone>, String>>,
    links: Vec<Result<Option<Box<dyn Link>>, String>>,
    pins: Vec<Result<AnyPin, String>>,
}

impl Opener for Script {
    fn microphone(&mut self) -> Result<Box<dyn Microphone>, String> {
        self.microphones.remove(0)
    }
    fn link(&mut self) -> Result<Option<Box<dyn Link>>, String> {
        self.links.remove(0)
    }
    fn pin(&mut self, _: PinName) -> Result<AnyPin, String> {
        self.pins.remove(0)
    }
}

/// Opens nothing: it panics.
struct Brittle;

impl Opener for Brittle {
    fn microphone(&mut self) -> Result<Box<dyn Microphone>, String> {
        // Without the panic hook: no noise in the tests' output.
        std::panic::resume_unwind(Box::new("brittle"));
    }
    fn link(&mut self) -> Result<Option<Box<dyn Link>>, String> {
        std::panic::resume_unwind(Box::new("brittle"));
    }
    fn pin(&mut self, _: PinName) -> Result<AnyPin, String> {
        std::panic::resume_unwind(Box::new("brittle"));
    }
}

/// A microphone that counts how often it was closed.
struct Counted(ScriptedMicrophone, Arc<AtomicUsize>);

impl Microphone for Counted {
    fn poll_fds(&self, fds: &mut [pressel_hal::PollFd]) -> usize {
        self.0.poll_fds(fds)
    }
    fn read(&mut self, block: &mut [i16]) -> Result<bool, pressel_hal::MicError> {
        self.0.read(block)
    }
    fn name(&self) -> &str {
        "counted"
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

fn microphone(closed: &Arc<AtomicUsize>) -> Box<dyn Microphone> {
    let inner = ScriptedMicrophone::new(Vec::new()).unwrap();
    Box::new(Counted(inner, Arc::clone(closed)))
}

fn start(opener: impl Opener + 'static) -> Keeper {
    let journal = Journal::new(Folder::new(Path::new("/dev/null/none")), Limits::default());
    start_with(opener, journal, Arc::default())
}

fn start_with(
    opener: impl Opener + 'static,
    journal: Journal<Folder>,
    vitals: Arc<Vitals>,
) -> Keeper {
    let setup = Setup {
        model: "no-model".into(),
        threads: 1,
        cores: Vec::new(),
        cuda: false,
        recognition: crate::config::Recognition::default(),
        commands: crate::config::Commands::default(),
        fault: None,
    };
    let tools = Tools {
        opener: Box::new(opener),
        setup,
        memory: SharedMemory::create().unwrap(),
        json: false,
        journal,
        vitals,
    };
    Keeper::start(tools).unwrap()
}

fn ask(keeper: &Keeper, errand: Errand) {
    assert!(keeper.doors.ask(errand).is_ok());
}

/// Waits for the next delivery and names it.
fn delivered(keeper: &Keeper) -> &'static str {
    match keeper.deliveries.recv_timeout(Duration::from_secs(30)) {
        Ok(Delivery::Microphone(_)) => "microphone",
        Ok(Delivery::NoMicrophone) => "no microphone",
        Ok(Delivery::Link(_)) => "link",
        Ok(Delivery::NoLink) => "no link",
        Ok(Delivery::Pin(AnyPin::Led(1, _))) => "led 1",
        Ok(Delivery::Pin(_)) => "pin",
        Ok(Delivery::NoPin(PinName::Led(1))) => "no led 1",
        Ok(Delivery::NoPin(_)) => "no pin",
        Ok(Delivery::Worker(_)) => "worker",
        Ok(Delivery::NoWorker) => "no worker",
        Ok(Delivery::Found { .. }) => "found",
        Ok(Delivery::Alert { on: true, .. }) => "alert",
        Ok(Delivery::Alert { on: false, .. }) => "no alert",
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn each_request_to_open_is_tried_once_and_answered() {
    let closed = Arc::default();
    let (link, _peer) = MemoryLink::pair(4_096).unwrap();
    let keeper = start(Script {
        microphones: vec![Err("none".into()), Ok(microphone(&closed))],
        links: vec![Err("none".into()), Ok(Some(Box::new(link)))],
        pins: Vec::new(),
    });
    for (errand, expected) in [
        (Errand::OpenMicrophone { wait_ms: 0 }, "no microphone"),
        (Errand::OpenMicrophone { wait_ms: 1 }, "microphone"),
        (Errand::OpenLink { wait_ms: 0 }, "no link"),
        (Errand::OpenLink { wait_ms: 1 }, "link"),
    ] {
        ask(&keeper, errand);
        assert_eq!(delivered(&keeper), expected);
        assert_eq!(poll::wait(&mut [keeper.bell.poll_fd()], 30_000), Ok(1));
        keeper.bell.hush();
    }
    keeper.finish();
}

#[test]
fn board_without_a_serial_line_gets_no_delivery() {
    let keeper = start(Script {
        microphones: vec![Err("none".into())],
        links: vec![Ok(None)],
        ..Script::default()
    });
    ask(&keeper, Errand::OpenLink { wait_ms: 0 });
    ask(&keeper, Errand::OpenMicrophone { wait_ms: 1 });
    assert_eq!(delivered(&keeper), "no microphone");
    let deliveries = keeper.deliveries.clone();
    keeper.finish();
    assert!(deliveries.try_recv().is_err());
}

#[test]
fn what_is_handed_back_is_closed_and_finish_does_all_that_was_asked_before() {
    let closed = Arc::default();
    let keeper = start(Script::default());
    for at in 0..50 {
        ask(&keeper, Errand::Record(Record::Missing(at)));
    }
    ask(&keeper, Errand::CloseMicrophone(microphone(&closed)));
    let (link, peer) = MemoryLink::pair(4_096).unwrap();
    ask(&keeper, Errand::CloseLink(Box::new(link)));
    // There is no worker: nothing happens.
    ask(&keeper, Errand::EndWorker(None));
    let doors = keeper.doors.clone();
    keeper.finish();
    assert_eq!(closed.load(Ordering::Relaxed), 1);
    let mut byte = [0];
    assert_eq!(rustix::io::read(&peer.stream, &mut byte), Ok(0));
    // Nobody is there any more: the errand comes back.
    let back = doors.ask(Errand::OpenLink { wait_ms: 5 });
    assert!(matches!(back, Err(Errand::OpenLink { wait_ms: 5 })));
}

fn mend(name: PinName, old: Option<AnyPin>) -> Errand {
    let wait_ms = 0;
    Errand::MendPin { name, old, wait_ms }
}

#[test]
fn lost_pin_is_let_go_before_it_is_opened_again() {
    let (closed, led) = (Arc::default(), PinName::Led(1));
    let pin = || AnyPin::Led(1, Box::new(Counting(Arc::clone(&closed))));
    let keeper = start(Script {
        pins: vec![Err("busy".into()), Ok(pin())],
        ..Script::default()
    });
    ask(&keeper, mend(led, Some(pin())));
    assert_eq!(delivered(&keeper), "no led 1");
    assert_eq!(closed.load(Ordering::Relaxed), 1);
    ask(&keeper, mend(led, None));
    assert_eq!(delivered(&keeper), "led 1");
    keeper.finish();
}

/// An LED that counts how often it was let go.
struct Counting(Arc<AtomicUsize>);

impl embedded_hal::digital::ErrorType for Counting {
    type Error = pressel_hal::PinError;
}

impl embedded_hal::digital::OutputPin for Counting {
    fn set_low(&mut self) -> Result<(), pressel_hal::PinError> {
        Ok(())
    }
    fn set_high(&mut self) -> Result<(), pressel_hal::PinError> {
        Ok(())
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn full_queue_gives_the_errand_back() {
    let (doors, errands) = Doors::to_test(2);
    assert!(doors.ask(Errand::OpenLink { wait_ms: 1 }).is_ok());
    assert!(doors.ask(Errand::OpenLink { wait_ms: 2 }).is_ok());
    let back = doors.ask(Errand::OpenLink { wait_ms: 3 });
    assert!(matches!(back, Err(Errand::OpenLink { wait_ms: 3 })));
    assert!(errands.try_recv().is_ok());
    assert!(doors.ask(Errand::OpenLink { wait_ms: 4 }).is_ok());
}

#[test]
fn panic_is_counted_and_answered_and_the_thread_goes_on() {
    let vitals = Arc::new(Vitals::new());
    let journal = Journal::new(Folder::new(Path::new("/dev/null/none")), Limits::default());
    let keeper = start_with(Brittle, journal, Arc::clone(&vitals));
    for (count, errand, expected) in [
        (1, Errand::OpenMicrophone { wait_ms: 0 }, "no microphone"),
        (2, Errand::OpenLink { wait_ms: 0 }, "no link"),
        (3, Errand::OpenMicrophone { wait_ms: 1 }, "no microphone"),
        (4, mend(PinName::Mute, None), "no pin"),
    ] {
        ask(&keeper, errand);
        assert_eq!(delivered(&keeper), expected);
        assert_eq!(vitals.panics(), count);
    }
    ask(&keeper, Errand::Fetch(Mark::default()));
    assert_eq!(delivered(&keeper), "found");
    keeper.finish();
    assert_eq!(vitals.panics(), 4);
}

#[test]
fn keeper_at_rest_shows_that_it_is_well() {
    let vitals = Arc::new(Vitals::new());
    let journal = Journal::new(Folder::new(Path::new("/dev/null/none")), Limits::default());
    let keeper = start_with(Brittle, journal, Arc::clone(&vitals));
    let deadline = Instant::now() + Duration::from_secs(30);
    // The first is the start's; nobody rings for the next ones.
    while vitals.beats(Watched::Keeper) < 3 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    keeper.finish();
}

#[test]
fn journal_that_cannot_be_written_is_told_once() {
    let mut journal = Journal::new(Folder::new(Path::new("/dev/null/none")), Limits::default());
    assert!(journal.start(0).is_err());
    let keeper = start_with(Brittle, journal, Arc::default());
    assert_eq!(delivered(&keeper), "alert");
    let spoken = Errand::Record(Record::Outcome {
        outcome: outcome(),
        start: 0,
        text: heapless::String::new(),
    });
    ask(&keeper, spoken);
    let (deliveries, recent) = (keeper.deliveries.clone(), Arc::clone(&keeper.recent));
    keeper.finish();
    assert!(deliveries.try_recv().is_err());
    // What the disk does not take can be seen all the same.
    assert_eq!(recent.list().len(), 1);
}

fn outcome() -> pressel_wire::Outcome {
    pressel_wire::Outcome {
        sequence: 0,
        utterance: 1,
        trigger: pressel_wire::Trigger::Ptt,
        result: pressel_wire::OutcomeResult::NoSpeech,
        confidence: 0,
        audio_ms: 1,
        timing: pressel_wire::Timing::default(),
    }
}
