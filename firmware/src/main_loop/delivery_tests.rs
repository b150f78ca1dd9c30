//! The main loop, the keeper and a real journal, with a receiver at the far end of a memory link.
//!
//! A main loop, a keeper and a real folder in; what a receiver got out. Compiled for tests only.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use pressel_hal::linux::MonotonicClock;
use pressel_hal::sim::{MemoryLink, MemoryPeer, ScriptedMicrophone};
use pressel_hal::{Link, Microphone};
use pressel_wire::limits::FRAME_BYTES_MAX;
use pressel_wire::{Decoder, DeviceMessage, OutcomeResult, Received, encode_host};

use super::*;
use crate::config::LinkMode;
use crate::journal::{Folder, Journal, Limits};
use crate::keeper::thread::Tools;
use crate::keeper::{Keeper, Opener};
use crate::outcome::Finished;
use crate::rings;
use crate::slots::SharedMemory;
use crate::worker::Setup;

/// Longest wait for anything here; it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

struct NoDevices;

impl Opener for NoDevices {
    fn microphone(&mut self) -> Result<Box<dyn Microphone>, String> {
        Err("none here".into())
    }
    fn link(&mut self) -> Result<Option<Box<dyn Link>>, String> {
        Ok(None)
    }
    fn pin(&mut self, _: PinName) -> Result<AnyPin, String> {
        Err("none here".into())
    }
}

/// One life of the appliance, as far as the link needs it.
struct Life {
    main_loop: Box<MainLoop>,
    keeper: Keeper,
    peer: MemoryPeer,
    frames: Decoder<DeviceMessage>,
    _signals: UnixStream,
}

impl Life {
    fn start(ends: MainEnds, state: &Path) -> Self {
        let mut journal = Journal::new(Folder::new(state), Limits::default());
        journal.start(0).unwrap();
        let fixed = Fixed {
            post_roll: 0,
            boot: journal.epoch(),
            acknowledged: journal.acknowledged(),
            ..Fixed::of_test(Box::new(MonotonicClock::new()))
        };
        let keeper = Keeper::start(Tools {
            opener: Box::new(NoDevices),
            setup: Setup {
                model: "nowhere".into(),
                threads: 1,
                cores: Vec::new(),
                cuda: false,
                recognition: crate::config::Recognition::default(),
                commands: crate::config::Commands::default(),
                fault: None,
            },
            memory: SharedMemory::create().unwrap(),
            json: false,
            journal,
            vitals: Arc::default(),
        });
        let keeper = keeper.unwrap();
        let (signals, held) = UnixStream::pair().unwrap();
        let neighbours = Neighbours {
            ends,
            listen_bell: Bell::new().unwrap(),
            event_bell: Bell::new().unwrap(),
            keeper: keeper.doors.clone(),
            deliveries: keeper.deliveries.clone(),
            delivery_bell: keeper.bell.clone(),
            jobs: crate::jobs::doors::doors(&Bell::new().unwrap()).0,
            vitals: std::sync::Arc::default(),
            signals: signals.into(),
        };
        let (link, peer) = MemoryLink::pair(4_096).unwrap();
        let microphone = ScriptedMicrophone::new(Vec::new()).unwrap();
        let pins = Pins {
            button: Input::new(None, 0),
            mute: Input::new(None, 0),
            leds: heapless::Vec::new(),
            chain: None,
            patterns: lights::Patterns::usual(),
        };
        let serial = Serial::new(Some(Box::new(link)), LinkMode::Frames);
        let capture = Capture::new(Box::new(microphone));
        let mut main_loop = MainLoop::new(fixed, neighbours, capture, pins, serial);
        main_loop.greet();
        Self {
            main_loop,
            keeper,
            peer,
            frames: Decoder::new(),
            _signals: held,
        }
    }

    fn speak(&mut self, text: &str) {
        let bytes = u16::try_from(text.len()).unwrap();
        let result = OutcomeResult::Text {
            bytes,
            truncated: false,
        };
        let mut finished = Finished::bare(0, Trigger::Ptt, result, 0);
        finished.text = heapless::String::try_from(text).unwrap();
        self.main_loop.finish(finished);
    }

    /// One turn, which finds something to do at once; returns what came out of the line.
    fn turn(&mut self) -> Vec<DeviceMessage> {
        self.main_loop.neighbours.event_bell.ring();
        assert_eq!(self.main_loop.turn(), None);
        let mut bytes = [0; 4_096];
        let count = self.peer.stream.read(&mut bytes).unwrap_or(0);
        self.frames
            .push(&bytes[..count])
            .map(Result::unwrap)
            .collect()
    }

    /// Lets a receiver listen until it has heard so much.
    fn listen(
        &mut self,
        receiver: &mut pressel_wire::Receiver,
        heard: &mut Vec<String>,
        count: usize,
    ) {
        let deadline = Instant::now() + PATIENCE;
        while heard.len() < count || receiver.mark() != self.main_loop.outbox.acknowledged() {
            assert!(
                Instant::now() < deadline,
                "heard {} of {count}",
                heard.len()
            );
            if let Some(message) = receiver.acknowledgement() {
                let mut frame = [0; FRAME_BYTES_MAX];
                let frame_bytes = encode_host(&message, &mut frame).unwrap();
                self.peer.stream.write_all(&frame[..frame_bytes]).unwrap();
            }
            for message in self.turn() {
                match receiver.push(&message) {
                    Some(Received::Outcome { text, .. }) => heard.push(text.into()),
                    Some(Received::Gap { from, to }) => panic!("gap {from:?} {to:?}"),
                    None => {}
                }
            }
        }
    }

    fn end(self) -> MainEnds {
        let MainLoop { neighbours, .. } = *self.main_loop;
        self.keeper.finish();
        neighbours.ends
    }
}

#[test]
fn receiver_hears_all_lives_of_the_appliance_once_and_in_order() {
    let state = tempfile::tempdir().unwrap();
    let (ends, _listen) = rings::fresh();
    let mut receiver = pressel_wire::Receiver::new();
    let mut heard = Vec::new();

    // A host that only listens gets them as in version 1.
    let mut life = Life::start(ends, state.path());
    for index in 0..3 {
        life.speak(&format!("text {index}"));
        let outcomes = life.turn().into_iter();
        let plain = outcomes.filter(|message| matches!(message, DeviceMessage::Outcome(_)));
        assert_eq!(plain.count(), 1);
    }

    // Nobody listens while more is said than memory keeps; then the power goes.
    life.peer.refuse(true);
    for index in 3..60 {
        life.speak(&format!("text {index}"));
        life.turn();
    }
    let ends = life.end();

    // The next life sends all of it to a host that acknowledges, and then what is new.
    let mut life = Life::start(ends, state.path());
    life.speak("text 60");
    life.listen(&mut receiver, &mut heard, 61);
    life.speak("text 61");
    life.listen(&mut receiver, &mut heard, 62);
    let ends = life.end();

    // And the third has nothing to say again.
    let mut life = Life::start(ends, state.path());
    life.speak("text 62");
    life.listen(&mut receiver, &mut heard, 63);
    life.end();
    let expected: Vec<_> = (0..63).map(|index| format!("text {index}")).collect();
    assert_eq!(heard, expected);
}
