//! The appliance, put together: devices, threads and rings, from a board and a configuration.
//!
//! The only module that knows every other one. It opens what the board names, starts the threads,
//! runs the main loop on the calling thread, and ends everything in order.

mod devices;
mod file_jobs;
pub mod lights;
mod safe;
mod signals;
mod wake;

pub use devices::{BoardOpener, Place};
pub use file_jobs::file_cut;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pressel_boards::{Board, Provider};
use pressel_hal::linux::serial::is_console;
use pressel_hal::linux::{MonotonicClock, cpu};
use pressel_hal::sim::SimClock;
use pressel_hal::{Clock, Microphone};
use pressel_models::runtime::Runtime;
use pressel_models::whisper::is_prepared;
use pressel_models::{places, vad};

use crate::alloc_guard;
use crate::bell::Bell;
use crate::config::{Config, LinkMode, Trigger};
use crate::control::{self, Control, Facts};
use crate::failure::{Failure, Kind};
use crate::journal::{self, Folder, Journal, Limits};
use crate::keeper::thread::Tools;
use crate::keeper::{Keeper, Opener as _};
use crate::listen::thread::{Bells, ListenThread};
use crate::listen::{Ears, Listener};
use crate::main_loop::{Capture, End, Fixed, MainLoop, Neighbours, Pins, Serial};
use crate::rings;
use crate::slots::{LiveSlots, SharedMemory};
use crate::starts::Starts;
use crate::vitals::{Vitals, Watched};
use crate::worker::{Setup, faults};
use signals::Signals;

/// Threads and rings could not be made: the machine is out of memory or descriptors.
const OUT_OF_RESOURCES: &str = "close other programs or raise `ulimit -n`";

/// What to run.
pub struct Plan {
    /// The board.
    pub board: Board,
    /// The configuration.
    pub config: Config,
    /// Where the devices are.
    pub place: Place,
    /// Folder of the journal and of jobs' checkpoints.
    pub state_dir: PathBuf,
    /// Folder whose recordings become jobs, if there is one.
    pub spool: Option<PathBuf>,
    /// Print one JSON object a line.
    pub json: bool,
    /// Abort on any allocation after start-up.
    pub strict_memory: bool,
    /// The control socket; empty is none.
    pub control_socket: PathBuf,
    /// Start as configured, however often that has crashed.
    pub no_safe_mode: bool,
    /// Jobs are only kept, none is begun.
    pub jobs_paused: bool,
    /// A thread that is to hang, for tests of the watchdog.
    pub hang: Option<Watched>,
    /// What workers are to do wrong, for proofs.
    pub worker_fault: Option<faults::Plan>,
}

/// Runs the appliance until SIGINT or SIGTERM.
///
/// # Errors
/// [`Failure`] of kind `Device` or `Model` when something is missing at the start, or when listen
/// could not be kept alive.
pub fn run(mut plan: Plan) -> Result<(), Failure> {
    // First: a signal that comes while models are loaded ends the appliance in order, too.
    let signals = Signals::take()?;
    report_panics();
    let (starts, is_crash_loop) = Starts::begin(&plan.state_dir);
    let safe_mode = (is_crash_loop && !plan.no_safe_mode).then(|| safe::make_safe(&mut plan));
    let ended = run_planned(&plan, signals, safe_mode);
    match &ended {
        Ok(End::Asked) => starts.end(),
        // A device or an option that was wrong before it began says nothing about crashes.
        Err(failure) if failure.kind != Kind::Model => starts.forget(),
        Ok(_) | Err(_) => drop(starts),
    }
    judge(ended?)
}

fn run_planned(plan: &Plan, signals: Signals, safe_mode: Option<String>) -> Result<End, Failure> {
    let Plan { board, config, .. } = plan;
    // What begins after this is ended by the main loop, which reads the signal.
    let Some(opened) = Opened::open(plan, &signals)? else {
        return Ok(End::Asked);
    };
    let Opened {
        setup,
        ears,
        opener,
        devices,
        journal,
    } = opened;
    let memory = SharedMemory::create().map_err(out_of_resources)?;
    let slots = memory.writer().map_err(out_of_resources)?;
    let file_slot = memory.file_writer().map_err(out_of_resources)?;
    let Some((ends, listen_ends)) = rings::claim() else {
        return Err(Failure::new(Kind::Usage, "one process runs one appliance"));
    };
    let bells = Bells {
        listen: Bell::new().map_err(out_of_resources)?,
        events: Bell::new().map_err(out_of_resources)?,
    };
    let vitals = Arc::new(Vitals::new());
    let mut fixed = fixed(plan, &journal, safe_mode.is_some());
    fixed.hears_by_level = ears.has_fallen_back();
    let keeper = Keeper::start(Tools {
        opener: Box::new(opener),
        setup,
        memory,
        json: plan.json,
        journal,
        vitals: Arc::clone(&vitals),
    });
    let keeper = keeper.map_err(out_of_resources)?;
    let slots = LiveSlots::new(slots, listen_ends.free);
    let listener = Listener::new(config.tuning(), ears, slots);
    let cores = board.cores.listen.clone();
    let (listening, watch) = (listen_ends.listening, Arc::clone(&vitals));
    let listen = ListenThread::start(listener, listening, bells.clone(), cores, watch)
        .map_err(out_of_resources)?;
    let (file_jobs, jobs, job_client) =
        file_jobs::start(plan, file_slot, &keeper.bell, &vitals).map_err(out_of_resources)?;
    let recent = Arc::clone(&keeper.recent);
    let control = control::Tools {
        facts: facts(plan, fixed.boot, safe_mode),
        vitals: Arc::clone(&vitals),
        last: Box::new(move || recent.list()),
        jobs: job_client,
        hang: plan.hang,
    };
    let control = Control::start(&plan.control_socket, control).map_err(out_of_resources)?;
    let neighbours = Neighbours {
        ends,
        listen_bell: bells.listen,
        event_bell: bells.events,
        keeper: keeper.doors.clone(),
        deliveries: keeper.deliveries.clone(),
        delivery_bell: keeper.bell.clone(),
        jobs,
        vitals,
        signals: signals.readable.into(),
    };
    pin_main_loop(&board.cores.main);
    let end = run_main_loop(fixed, neighbours, devices);
    control.finish();
    file_jobs.finish();
    listen.finish();
    keeper.finish();
    report_allocations();
    Ok(end)
}

/// Pins this thread, on which the main loop runs, where the board has these cores.
fn pin_main_loop(cores: &[usize]) {
    if !cores.is_empty() && cpu::pin_thread_to(cores).is_err() {
        log::warn!("main loop is not pinned: this machine has none of cores={cores:?}");
    }
}

fn report_allocations() {
    match alloc_guard::violations() {
        0 => log::info!("memory allocations_after_start=0"),
        count => log::warn!("memory allocations_after_start={count}"),
    }
}

/// What may take its time, before any thread begins.
struct Opened {
    setup: Setup,
    ears: Ears,
    opener: BoardOpener,
    devices: Devices,
    journal: Journal<Folder>,
}

impl Opened {
    /// Opens all of it, step by step; none when a signal came meanwhile.
    fn open(plan: &Plan, signals: &Signals) -> Result<Option<Self>, Failure> {
        let Plan { board, config, .. } = plan;
        let mut setup = worker_setup(board, config)?;
        setup.fault = plan.worker_fault;
        let ears = load_listening_ears(config)?;
        if signals.is_asked() {
            return Ok(None);
        }
        if plan.strict_memory {
            alloc_guard::abort_on_allocation();
        }
        let mut opener = BoardOpener::new(board, config, plan.place.clone());
        let devices = Devices::open(board, config, &plan.place, &mut opener)?;
        if signals.is_asked() {
            return Ok(None);
        }
        let journal = start_journal(&plan.state_dir);
        let opened = Self {
            setup,
            ears,
            opener,
            devices,
            journal,
        };
        Ok((!signals.is_asked()).then_some(opened))
    }
}

/// The devices that the main loop owns from the start.
struct Devices {
    microphone: Box<dyn Microphone>,
    serial: Serial,
    pins: Pins,
}

impl Devices {
    /// Opens all of them: what is missing at the start ends the program with a remedy.
    fn open(
        board: &Board,
        config: &Config,
        place: &Place,
        opener: &mut BoardOpener,
    ) -> Result<Self, Failure> {
        let device = |why: String| Failure::new(Kind::Device, why);
        let microphone = opener.microphone().map_err(device)?;
        log::info!("microphone open device={}", microphone.name());
        let link = opener.link().map_err(device)?;
        if let Some(link) = &link {
            log::info!("link open port={}", link.name());
            warn_of_console(link.name());
        }
        let mode = if link.is_some() {
            config.link.mode
        } else {
            LinkMode::None
        };
        let pins = devices::open_pins(board, place)?;
        Ok(Self {
            microphone,
            serial: Serial::new(link, mode),
            pins,
        })
    }
}

/// Says when others write to the port as well: the usual state of a Raspberry Pi's.
fn warn_of_console(port: &str) {
    if is_console(port) {
        log::warn!(
            "{port} is the kernel's console, which will disturb the link: take its `console=` out \
             of the kernel's command line (cmdline.txt on a Raspberry Pi) and restart"
        );
    }
}

/// Runs the main loop on this thread, sealed against allocation, until it ends.
fn run_main_loop(fixed: Fixed, neighbours: Neighbours, devices: Devices) -> End {
    let Devices {
        microphone,
        serial,
        pins,
    } = devices;
    let mut main_loop = MainLoop::new(fixed, neighbours, Capture::new(microphone), pins, serial);
    main_loop.begin();
    main_loop.seal();
    let end = main_loop.run();
    alloc_guard::unseal();
    end
}

fn fixed(plan: &Plan, journal: &Journal<Folder>, safe_mode: bool) -> Fixed {
    let Plan { board, config, .. } = plan;
    Fixed {
        clock: clock(&plan.place),
        session: config.session(),
        post_roll: config.tuning().utterance.post_roll,
        confirmed: config.wake.confirmed(),
        boot: journal.epoch(),
        acknowledged: journal.acknowledged(),
        board: pressel_wire::text::name(&board.name),
        model: pressel_wire::text::name(&config.model.short_name()),
        cuda: board.worker.provider == Provider::Cuda,
        safe_mode,
        hears_by_level: false,
    }
}

fn facts(plan: &Plan, boot: u32, safe_mode: Option<String>) -> Facts {
    Facts {
        board: plan.board.name.clone(),
        model: plan.config.model.short_name(),
        boot,
        safe_mode,
    }
}

fn out_of_resources(error: io::Error) -> Failure {
    Failure::new(
        Kind::Device,
        format!("cannot start ({error}): {OUT_OF_RESOURCES}"),
    )
}

/// Turns the end of the main loop into the end of the program.
fn judge(end: End) -> Result<(), Failure> {
    match end {
        End::Asked => Ok(()),
        End::Model(why) => Err(Failure::new(Kind::Model, why)),
        End::ListenDied => {
            let why = "listen panicked too often and was given up: please report the log above";
            Err(Failure::new(Kind::Model, why))
        }
        End::Panicked => {
            let why = "the main loop panicked too often: please report the log above";
            Err(Failure::new(Kind::Device, why))
        }
        End::Poll(errno) => {
            let error = io::Error::from_raw_os_error(errno);
            Err(Failure::new(
                Kind::Device,
                format!("poll(2) failed ({error}): {OUT_OF_RESOURCES}"),
            ))
        }
    }
}

/// Returns the folder of the configured model.
///
/// # Errors
/// [`Kind::Model`] when there is no such folder.
pub fn model_folder(config: &Config) -> Result<PathBuf, Failure> {
    let model = config.model.folder();
    if !model.is_dir() {
        let why = format!(
            "{}: there is no such model folder: `nano` is built in, `pressel models fetch` gets \
             others by name, and a folder of your own has a / in its path",
            model.display()
        );
        return Err(Failure::new(Kind::Model, why));
    }
    Ok(model)
}

/// Returns how a worker is started; a model that is not there is found out here already.
///
/// # Errors
/// [`Kind::Model`] when there is no such folder.
pub fn worker_setup(board: &Board, config: &Config) -> Result<Setup, Failure> {
    let model = model_folder(config)?;
    let threads = if config.model.threads == 0 {
        board.worker.threads
    } else {
        config.model.threads
    };
    let cuda = board.worker.provider == Provider::Cuda;
    // The built-in one is too small for it to matter.
    if !cuda && !is_prepared(&model) && model != places::builtin("nano") {
        log::warn!(
            "{0} runs unprepared, slower and in more memory: `pressel models prepare {0} FOLDER` \
             makes a faster one",
            model.display()
        );
    }
    Ok(Setup {
        model,
        threads,
        cores: board.cores.worker.clone(),
        cuda,
        recognition: config.recognition.clone(),
        commands: config.commands.clone(),
        fault: None,
    })
}

/// Loads the voice-activity model, or the level-based detector where it is missing.
///
/// # Errors
/// [`Kind::Model`] when ONNX Runtime itself is missing: then nothing could be recognised either.
pub fn load_ears() -> Result<Ears, Failure> {
    let runtime = Runtime::load(&places::onnx_runtime_candidates())
        .map_err(|error| Failure::new(Kind::Model, error))?;
    match vad::Silero::load(&runtime, &places::silero(), 1) {
        Ok(silero) => Ok(Ears::new(Box::new(silero), None)),
        Err(error) => {
            log::warn!("{error}; speech is told from silence by its level until then");
            Ok(Ears::by_level())
        }
    }
}

/// Loads the ears of the appliance: voice activity, and the wake words where they are the trigger.
///
/// # Errors
/// As [`load_ears`], and [`Kind::Model`] or [`Kind::Usage`] when a wake word cannot be listened
/// for.
pub fn load_listening_ears(config: &Config) -> Result<Ears, Failure> {
    let ears = load_ears()?;
    if config.trigger != Trigger::Wake {
        return Ok(ears);
    }
    let runtime = Runtime::load(&places::onnx_runtime_candidates())
        .map_err(|error| Failure::new(Kind::Model, error))?;
    Ok(ears.with_words(wake::load_words(&runtime, &config.wake)?))
}

fn clock(place: &Place) -> Box<dyn Clock> {
    match place {
        Place::Sim { speed, .. } if 1 < *speed => Box::new(SimClock::new(*speed)),
        Place::Sim { .. } | Place::Linux => Box::new(MonotonicClock::new()),
    }
}

/// Makes a panic one log line with its place, on any thread.
fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        // The words and the unwinding allocate; whoever catches the panic seals the thread again.
        alloc_guard::unseal();
        let thread = std::thread::current();
        log::error!("panic thread={} {info}", thread.name().unwrap_or("unnamed"));
    }));
}

/// Opens the journal and numbers this start. Without a disk the appliance goes on from memory.
fn start_journal(state_dir: &Path) -> Journal<Folder> {
    let mut journal = Journal::new(Folder::new(state_dir), Limits::default());
    if let Err(error) = journal.start(journal::wall_ms()) {
        log::warn!("{}", journal.failure(&error));
    }
    if 0 < journal.damaged() {
        let (folder, damaged) = (state_dir.display(), journal.damaged());
        log::warn!(
            "journal has damaged records, they are left out folder={folder} count={damaged}"
        );
    }
    journal
}
