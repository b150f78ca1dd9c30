//! What the main loop asks of the keeper, and what comes back.
//!
//! Plain values that cross the channel between the main loop and the keeper. Nothing happens here.

use pressel_hal::{LinkError, MicError, Microphone};
use pressel_pipeline::limits::{REASON_BYTES_MAX, TEXT_BYTES_MAX};
use pressel_pipeline::time::SampleTime;
use pressel_wire::{Alert, Counters, Mark, Outcome, State};

use crate::journal::Found;
use crate::main_loop::{AnyPin, PinName};
use crate::stream::{ListenEvent, WordName};
use crate::worker::{WorkerProcess, WorkerSocket};

/// One thing for the keeper to do. Order is kept.
#[allow(
    clippy::large_enum_variant,
    reason = "the queue is allocated once at start-up"
)]
pub enum Errand {
    /// Print this.
    Record(Record),
    /// Open the microphone by name after `wait_ms`.
    OpenMicrophone {
        /// Milliseconds to wait first.
        wait_ms: u64,
    },
    /// Close this microphone.
    CloseMicrophone(Box<dyn Microphone>),
    /// Open the serial line by name after `wait_ms`.
    OpenLink {
        /// Milliseconds to wait first.
        wait_ms: u64,
    },
    /// Close this serial line.
    CloseLink(Box<dyn pressel_hal::Link>),
    /// Let go of a pin, if it is there still, and open it again after `wait_ms`.
    MendPin {
        /// Which.
        name: PinName,
        /// The pin that failed.
        old: Option<AnyPin>,
        /// Milliseconds to wait first.
        wait_ms: u64,
    },
    /// Start a worker after `wait_ms`.
    StartWorker {
        /// Milliseconds to wait first.
        wait_ms: u64,
        /// On the processor, also where CUDA is configured.
        cpu: bool,
    },
    /// Close this end and kill the worker that was started last.
    EndWorker(Option<WorkerSocket>),
    /// The host has everything before this mark: keep that in the journal.
    Acknowledged(Mark),
    /// Deliver what the journal has from this mark on.
    Fetch(Mark),
    /// Print what is left and end the thread.
    Finish,
}

/// What the keeper opened, or that it could not. It tried once; the main loop decides on the next.
#[allow(
    clippy::large_enum_variant,
    reason = "the queue is allocated once at start-up"
)]
pub enum Delivery {
    /// The microphone runs.
    Microphone(Box<dyn Microphone>),
    /// The microphone cannot be opened now.
    NoMicrophone,
    /// The serial line is open.
    Link(Box<dyn pressel_hal::Link>),
    /// The serial line cannot be opened now.
    NoLink,
    /// A pin is open.
    Pin(AnyPin),
    /// This pin cannot be opened now.
    NoPin(PinName),
    /// A worker process runs and loads its model.
    Worker(WorkerSocket),
    /// No worker could be started now.
    NoWorker,
    /// What the journal has.
    Found {
        /// From this mark on.
        asked: Mark,
        /// The next outcome, or that there is none.
        found: Found,
    },
    /// The owner should know this. Answers no errand.
    Alert {
        /// What.
        alert: Alert,
        /// True when it has begun, false when it is over.
        on: bool,
    },
}

/// Something to print. No text is ever formatted outside the keeper.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "the queue is allocated once at start-up"
)]
pub enum Record {
    /// The appliance's state changed.
    State(State),
    /// Listen found something.
    Listen(ListenEvent),
    /// An utterance has its outcome.
    Outcome {
        /// What went out on the link.
        outcome: Outcome,
        /// Sample time of the utterance's start.
        start: SampleTime,
        /// The text, if any.
        text: heapless::String<TEXT_BYTES_MAX>,
    },
    /// The microphone had an error.
    Microphone(MicError),
    /// The serial line was lost.
    Link(LinkError),
    /// The worker is ready.
    WorkerReady {
        /// It runs on CUDA.
        cuda: bool,
        /// Milliseconds that loading took.
        load_ms: u32,
    },
    /// A file's chunk gave way to somebody who speaks.
    ChunkYielded {
        /// Milliseconds from the cancel to the worker's answer.
        after_ms: u32,
    },
    /// The worker was given an utterance before its end was known.
    Guess {
        /// Number of the utterance.
        utterance: u32,
        /// Milliseconds of it.
        audio_ms: u32,
        /// It was all that was said: the guess is the request now.
        adopted: bool,
    },
    /// The recogniser did not hear the wake word that opened an utterance.
    WakeRefused {
        /// Number of the utterance.
        utterance: u32,
        /// The word.
        word: WordName,
    },
    /// The worker cannot load its model.
    WorkerCannotLoad(heapless::String<REASON_BYTES_MAX>),
    /// The worker is gone or is ended because of this.
    WorkerLost(&'static str),
    /// Workers failed too often; none is started for a while.
    WorkerLeftOff {
        /// For so long.
        ms: u64,
    },
    /// CUDA failed too often: the next worker runs on the processor.
    WorkerFellBack,
    /// Too many workers were lost over chunks of files: none is given to the next ones.
    FilesHeld {
        /// For so long.
        ms: u64,
    },
    /// A pin cannot be read or set.
    Pin {
        /// Its role.
        role: &'static str,
        /// Positive errno.
        errno: i32,
    },
    /// The bus of a chain of LEDs takes writes again.
    PixelsWork {
        /// Writes that failed since start.
        failures: u32,
    },
    /// A thread panicked and was rebuilt.
    Panic {
        /// Its name.
        thread: &'static str,
        /// Panics since start.
        count: u32,
    },
    /// The queue to the keeper was full: so many records are missing here.
    Missing(u32),
    /// The host was told that these outcomes are lost.
    Gap {
        /// Where it was.
        from: Mark,
        /// Where it goes on.
        to: Mark,
    },
    /// Counters at the end.
    Counters(Counters),
}

/// What the keeper holds for the worker, apart from its socket.
pub type RunningWorker = Option<WorkerProcess>;
