//! What can be typed. Help texts are part of the product: each command has an example.
//!
//! The command line in, typed arguments out. Nothing is opened or run here.

mod control;
mod models;
mod record;

pub use control::{ControlArguments, JobsArguments, JobsCommand, StatusArguments};
#[cfg(feature = "fetch")]
pub use models::FetchArguments;
pub use models::{ModelsArguments, ModelsCommand};
pub use record::RecordArguments;

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, RangedI64ValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use pressel_models::Language;

use crate::config::{Commands, FileCut, Recognition, TaskName, Trigger, language};
use crate::transcript::Format;
use crate::vitals::Watched;
use crate::worker::Setup;
use crate::worker::faults::Plan;

/// Press a button or speak, and the text comes out on a UART. Offline.
#[derive(Debug, Parser)]
#[command(
    name = "pressel",
    version,
    after_help = "Examples:\n  \
                  pressel demo                      watch it work, without hardware\n  \
                  pressel devices                   microphones, pins and serial ports here\n  \
                  pressel run --board rpi-5         the appliance\n  \
                  pressel transcribe note.wav       a recording as text\n  \
                  pressel monitor /dev/ttyUSB0      the other end of the serial line\n  \
                  pressel history --since 2h        what was said\n  \
                  pressel status                    how the running appliance is\n  \
                  pressel jobs add talk.mp3         a recording, in the background\n  \
                  pressel models list               the speech models here\n  \
                  pressel record --out mine --phrase stop   your voice, to train with\n\n\
                  Exit codes: 0 done, 1 not the expected result, 2 usage or configuration,\n\
                  3 device, 4 model, 5 disk."
)]
pub struct Arguments {
    /// Print more; twice prints more still
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the appliance on this board.
    Run(RunArguments),
    /// Watch the appliance work on a simulated board, without hardware.
    Demo(DemoArguments),
    /// Turn recordings into text.
    Transcribe(TranscribeArguments),
    /// Play recordings through the appliance's own ears and print every event.
    Replay(ReplayArguments),
    /// Judge words, texts, wake words or voice activity with a list of recordings.
    Evaluate(EvaluateArguments),
    /// Record phrases and the room, to train and judge with.
    Record(RecordArguments),
    /// List the microphones, GPIO chips, serial ports and SPI devices of this machine.
    Devices(DevicesArguments),
    /// Read a Pressel's serial line on another computer and print what it says.
    Monitor(MonitorArguments),
    /// Print past transcripts.
    History(HistoryArguments),
    /// Tell how the running appliance is.
    Status(StatusArguments),
    /// Let the running appliance transcribe recordings, while nobody speaks to it.
    Jobs(JobsArguments),
    /// Show, check and remove speech models, and fetch others from a hub.
    Models(ModelsArguments),
    /// The worker process; started by the appliance itself.
    #[command(hide = true)]
    Worker(WorkerArguments),
}

/// Options of commands that recognise speech.
#[derive(Clone, Debug, Default, Args)]
pub struct CommonArguments {
    /// Configuration file [default: /etc/pressel/pressel.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Speech model: a built-in or fetched name, or a folder (with a / in it)
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Threads of one recognition
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: Option<u16>,
    /// Language that is spoken: a code, an English name, or auto
    #[arg(long, value_name = "LANGUAGE", value_parser = language_or_auto)]
    pub language: Option<LanguageArgument>,
    /// What becomes of the speech
    #[arg(long)]
    pub task: Option<TaskName>,
    /// Names and jargon to expect
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
}

/// What `--language` was given; inside, `None` is auto.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanguageArgument(pub Option<Language>);

/// Returns the language of a code, of a name, or of auto.
fn language_or_auto(text: &str) -> Result<LanguageArgument, String> {
    language(text).map(LanguageArgument)
}

/// Which board's microphone is listened to, or which other one.
#[derive(Clone, Debug, Default, Args)]
pub struct BoardArguments {
    /// Built-in board (see boards/README.md) [default: the configuration's board, else found from
    /// the device tree]
    #[arg(long, value_name = "NAME", conflicts_with = "board_file")]
    pub board: Option<String>,
    /// A board's file of your own
    #[arg(long, value_name = "FILE")]
    pub board_file: Option<PathBuf>,
    /// ALSA capture device instead of the board's
    #[arg(long, value_name = "DEVICE")]
    pub mic: Option<String>,
    /// Folder of the simulated board's pipes
    #[arg(long, value_name = "DIR")]
    pub sim_dir: Option<PathBuf>,
}

/// Options of `run`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  pressel run                              the board is found from \
                        the device tree\n  pressel run --board rpi-4b --trigger voice\n  \
                        pressel run --board-file my-board.toml --uart /dev/ttyUSB0 --json"
)]
pub struct RunArguments {
    /// What to recognise with.
    #[command(flatten)]
    pub common: CommonArguments,
    /// Where it runs.
    #[command(flatten)]
    pub place: BoardArguments,
    /// What opens an utterance besides the button
    #[arg(long)]
    pub trigger: Option<TriggerArgument>,
    /// Serial line instead of the board's
    #[arg(long, value_name = "PORT")]
    pub uart: Option<String>,
    /// Print one JSON object for each event on standard output
    #[arg(long)]
    pub json: bool,
    /// Folder of journal, checkpoints and crash count [default: the configuration's state_dir;
    /// SIM_DIR/state when simulated]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Folder whose recordings are transcribed in the background, or "" for none [default: the
    /// configuration's jobs.spool; SIM_DIR/spool when simulated]
    #[arg(long, value_name = "DIR", value_parser = path_or_none())]
    pub spool: Option<PathBuf>,
    /// Socket for `pressel status` and `pressel jobs`, or "" for none [default: the
    /// configuration's control_socket; SIM_DIR/control when simulated]
    #[arg(long, value_name = "SOCKET", value_parser = path_or_none())]
    pub control: Option<PathBuf>,
    /// Start as configured, also after three crashes in a minute
    #[arg(long)]
    pub no_safe_mode: bool,
    /// How many times faster than real time the simulated board runs
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = speeds())]
    pub sim_speed: u32,
    /// Abort on any allocation of the main loop or listen after start-up (for tests)
    #[arg(long, hide = true)]
    pub strict_memory: bool,
    /// Let this thread hang for ever, a second after the start (for tests of the watchdog)
    #[arg(long, hide = true, value_name = "NAME", value_parser = thread)]
    pub hang_thread: Option<Watched>,
    /// Let the worker fail in this way (for tests)
    #[arg(long, hide = true, value_name = "PLAN")]
    pub worker_fault: Option<Plan>,
}

/// Returns the thread of a name.
fn thread(name: &str) -> Result<Watched, String> {
    Watched::from_name(name).ok_or_else(|| "there is no such thread".to_owned())
}

/// Returns what an option takes that an empty path turns off.
fn path_or_none() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Returns what `--sim-speed` takes.
fn speeds() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=100)
}

/// What opens an utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TriggerArgument {
    /// The button only.
    Ptt,
    /// Speech itself, hands-free.
    Voice,
    /// The wake words of the configuration.
    Wake,
}

impl From<TriggerArgument> for Trigger {
    fn from(argument: TriggerArgument) -> Self {
        match argument {
            TriggerArgument::Ptt => Self::Ptt,
            TriggerArgument::Voice => Self::Voice,
            TriggerArgument::Wake => Self::Wake,
        }
    }
}

/// Options of `demo`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  pressel demo                 recorded commands, a scripted \
                        button\n  pressel demo --mic default   your microphone; the space bar is \
                        the button, q ends"
)]
pub struct DemoArguments {
    /// Use this ALSA capture device and the keyboard instead of the script
    #[arg(long, value_name = "DEVICE")]
    pub mic: Option<String>,
    /// What to recognise with.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// Options of `transcribe`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  pressel transcribe note.wav\n  \
                        pressel transcribe --format srt talk.mp3 > talk.srt\n  \
                        pressel transcribe --format json *.flac\n  \
                        pressel transcribe --model ./whisper-small --language german brief.ogg")]
pub struct TranscribeArguments {
    /// WAV, FLAC, MP3 or OGG files of any rate and channel count
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What to print
    #[arg(long, default_value = "txt")]
    pub format: Format,
    /// How to cut long recordings [default: what the configuration says, auto without one]
    #[arg(long)]
    pub cut: Option<FileCut>,
    /// What to recognise with.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// Options of `replay`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  pressel replay day.wav                    hands-free: speech \
                        opens and closes utterances\n  pressel replay --trigger ptt word.wav     \
                        the button is held for the whole file\n  \
                        pressel replay --trigger wake --json day.wav  each wake word with its \
                        score and time"
)]
pub struct ReplayArguments {
    /// WAV, FLAC, MP3 or OGG files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What opens an utterance
    #[arg(long, default_value = "voice")]
    pub trigger: ReplayTrigger,
    /// Print one JSON object for each event
    #[arg(long)]
    pub json: bool,
    /// What to recognise with.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// What opens an utterance in a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReplayTrigger {
    /// Speech itself.
    Voice,
    /// A button that is held for the whole file.
    Ptt,
    /// The wake words of the configuration.
    Wake,
}

/// Options of `devices`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  pressel devices --json")]
pub struct DevicesArguments {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Options of `monitor`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  pressel monitor /dev/ttyUSB0\n  \
                        pressel monitor /dev/ttyUSB0 --plain\n  \
                        pressel monitor /dev/ttyUSB0 --json > events.jsonl\n  \
                        pressel monitor /dev/ttyUSB0 --send mute-on --count 1")]
pub struct MonitorArguments {
    /// Serial port
    #[arg(value_name = "PORT")]
    pub port: String,
    /// Speed
    #[arg(long, default_value_t = 115_200)]
    pub baud: u32,
    /// Print one JSON object for each message
    #[arg(long)]
    pub json: bool,
    /// Print one line for each message, and draw no screen
    #[arg(long)]
    pub plain: bool,
    /// Print lines, and end after this many outcomes
    #[arg(long, value_name = "OUTCOMES")]
    pub count: Option<u32>,
    /// Send this first
    #[arg(long, value_name = "WHAT")]
    pub send: Vec<HostCommand>,
    /// Only listen: nothing is acknowledged, and nothing comes again
    #[arg(long)]
    pub no_ack: bool,
}

/// Options of `evaluate`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The list is a CSV file: columns file (relative to it), category, text.\n  \
                  words    rows of the category word: one word each\n  \
                  text     rows of the category sentence or command\n  \
                  wake     every row: those whose text has the phrase, and all others\n  \
                  vad      rows whose note has `speech: 0.36-1.43, 2.02-5.1`, and noise\n\n\
                  Examples:\n  \
                  pressel evaluate words --manifest list.csv\n  \
                  pressel evaluate words --manifest list.csv --noise-db 10\n  \
                  pressel evaluate wake --manifest list.csv --svg det.svg --json"
)]
pub struct EvaluateArguments {
    /// What to judge
    pub what: Judged,
    /// The list of recordings
    #[arg(long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// Noise of the list under every recording, so many dB below the speech
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    pub noise_db: Option<f64>,
    /// Only this many recordings, evenly out of the list
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Only recordings of people (column human: yes)
    #[arg(long)]
    pub people: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Draw a picture: confusions, errors, or missed against false accepts (DET)
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// What to recognise with.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// What `evaluate` judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Judged {
    /// Single words: how many are right, and which are taken for which.
    Words,
    /// Sentences: the word error rate.
    Text,
    /// Wake words: missed sayings against false accepts.
    Wake,
    /// Voice activity: missed speech against false alarms.
    Vad,
}

/// Options of `history`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  pressel history --since 2h\n  \
                        pressel history --since 2026-11-21T08:00:00Z --json")]
pub struct HistoryArguments {
    /// Only what is newer: a time as 2026-11-21T08:00:00Z, or 10m, 2h, 3d before now
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Print one JSON object for each outcome
    #[arg(long)]
    pub json: bool,
    /// Folder of the journal [default: the configuration's state_dir]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Configuration file [default: /etc/pressel/pressel.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What `monitor` can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HostCommand {
    /// Ask for hello, state and counters.
    Status,
    /// Press the host's push-to-talk.
    PttDown,
    /// Release the host's push-to-talk.
    PttUp,
    /// Give up what is recorded and recognised.
    Cancel,
    /// Mute the microphone.
    MuteOn,
    /// Unmute the microphone.
    MuteOff,
}

/// Arguments of the worker process.
#[derive(Clone, Debug, Args)]
pub struct WorkerArguments {
    /// Descriptor of the slots.
    #[arg(long)]
    pub slots: i32,
    /// Folder of the speech model.
    #[arg(long)]
    pub model: PathBuf,
    /// Threads of one inference.
    #[arg(long)]
    pub threads: usize,
    /// Cores to run on.
    #[arg(long, value_delimiter = ',')]
    pub cores: Vec<usize>,
    /// Ask for CUDA.
    #[arg(long)]
    pub cuda: bool,
    /// Language that is spoken.
    #[arg(long, value_parser = language_or_auto)]
    pub language: Option<LanguageArgument>,
    /// What becomes of the speech.
    #[arg(long, default_value = "transcribe")]
    pub task: TaskName,
    /// Names and jargon to expect.
    #[arg(long, default_value = "")]
    pub prompt: String,
    /// The closed list of what may be said, as JSON.
    #[arg(long, value_parser = commands_of_json)]
    pub commands: Option<Commands>,
    /// Fail in this way.
    #[arg(long)]
    pub fault: Option<Plan>,
}

fn commands_of_json(text: &str) -> Result<Commands, serde_json::Error> {
    serde_json::from_str(text)
}

impl WorkerArguments {
    /// Returns them as the worker takes them.
    #[must_use]
    pub fn setup(&self) -> Setup {
        Setup {
            model: self.model.clone(),
            threads: self.threads,
            cores: self.cores.clone(),
            cuda: self.cuda,
            recognition: Recognition {
                language: self.language.and_then(|LanguageArgument(asked)| asked),
                task: self.task,
                prompt: self.prompt.clone(),
            },
            commands: self.commands.clone().unwrap_or_default(),
            fault: self.fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_paths_turn_spool_and_socket_off() {
        let run = |line: &[&str]| {
            let line = ["pressel", "run"].iter().chain(line);
            match Arguments::try_parse_from(line).unwrap().command {
                Command::Run(arguments) => (arguments.spool, arguments.control),
                other => panic!("{other:?}"),
            }
        };
        let some = |path: &str| Some(PathBuf::from(path));
        assert_eq!(run(&[]), (None, None));
        let none = ["--spool", "", "--control", ""];
        assert_eq!(run(&none), (some(""), some("")));
        assert_eq!(run(&["--spool=", "--control="]), (some(""), some("")));
        let named = ["--spool", "/a", "--control", "b"];
        assert_eq!(run(&named), (some("/a"), some("b")));
        assert!(Arguments::try_parse_from(["pressel", "run", "--spool"]).is_err());
    }
}
