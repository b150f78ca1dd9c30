//! `pressel status`: how the running appliance is.
//!
//! The control socket's answer in, a page for people or one JSON object out.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pressel_wire::Provider;

use super::args::{ControlArguments, StatusArguments};
use super::history::time;
use crate::config::Config;
use crate::control::client::AskError;
use crate::control::status::Guesses;
use crate::control::{Answer, Request, Status, ask};
use crate::failure::{Failure, Kind};
use crate::plain::plain;

/// Pause before an appliance that was busy or late is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Asks the running appliance how it is, and prints it.
///
/// # Errors
/// [`Kind::Device`] when no appliance answers.
pub fn status(arguments: &StatusArguments) -> Result<(), Failure> {
    let Answer::Status(status) = arguments.control.ask(&Request::Status {})? else {
        return Err(another_version());
    };
    let text = if arguments.control.json {
        let line = serde_json::to_string(&status);
        line.map_err(|_| another_version())? + "\n"
    } else {
        Page(&status).to_string()
    };
    print(&text)
}

/// Prints the answer of a command.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let written = io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|error| super::output_failed(&error))
}

/// Returns the failure of an answer that does not fit its request.
pub(super) fn another_version() -> Failure {
    let why = "the appliance is of another version: start it anew with this program";
    Failure::new(Kind::Device, why)
}

impl ControlArguments {
    /// Asks the appliance.
    ///
    /// # Errors
    /// [`Kind::Device`] when none answers, [`Kind::Result`] when it refuses.
    pub fn ask(&self, request: &Request) -> Result<Answer, Failure> {
        let path = self.socket()?;
        ask(&path, request).map_err(|error| failure(&path, &error))
    }

    /// Asks, and asks again for as long as the appliance is busy or late: for a request that may
    /// be carried out twice.
    ///
    /// # Errors
    /// As [`ControlArguments::ask`].
    pub fn ask_until_answered(&self, request: &Request) -> Result<Answer, Failure> {
        let path = self.socket()?;
        loop {
            match ask(&path, request) {
                Err(AskError::Busy(_) | AskError::Late(_)) => std::thread::sleep(ASK_AGAIN),
                asked => return asked.map_err(|error| failure(&path, &error)),
            }
        }
    }

    fn socket(&self) -> Result<PathBuf, Failure> {
        match &self.socket {
            Some(path) => Ok(path.clone()),
            None => Ok(Config::load(self.config.as_deref())?.control_socket),
        }
    }
}

/// Returns the failure of a question that has no answer.
fn failure(path: &Path, error: &AskError) -> Failure {
    let name = path.display();
    match error {
        AskError::NoAppliance(why) if why.kind() == io::ErrorKind::PermissionDenied => {
            let why = format!(
                "{name}: this user may not ask the appliance ({why}): become a member of its \
                 group, or use sudo"
            );
            Failure::new(Kind::Device, why)
        }
        AskError::NoAppliance(_) => {
            let why = format!(
                "{name}: {error}: start one with `pressel run`, or name its socket with --socket"
            );
            Failure::new(Kind::Device, why)
        }
        AskError::NoAnswer(_) | AskError::Garbled(_) => {
            Failure::new(Kind::Device, format!("{name}: {error}: see its log"))
        }
        AskError::Refused(why) | AskError::Busy(why) | AskError::Late(why) => {
            Failure::new(Kind::Result, why)
        }
    }
}

/// The page for people.
struct Page<'a>(&'a Status);

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.0;
        writeln!(
            f,
            "pressel   {} on {}, up {}, pid {}, boot {}",
            status.version,
            status.board,
            length(status.uptime_s),
            status.pid,
            status.boot
        )?;
        let microphone = match (status.muted, status.microphone) {
            (true, _) => "muted",
            (false, true) => "on",
            (false, false) => "gone",
        };
        writeln!(f, "state     {}, microphone {microphone}", status.state)?;
        let ready = if status.worker.ready {
            "ready"
        } else {
            "not ready"
        };
        let pid = status
            .worker
            .pid
            .map_or_else(|| "none".to_owned(), |pid| format!("pid {pid}"));
        let provider = match Provider::from_name(&status.provider) {
            Provider::None | Provider::Unknown => String::new(),
            provider => format!(" on {provider}"),
        };
        writeln!(
            f,
            "worker    {ready}, {pid}, model {}{provider}",
            status.model
        )?;
        for alert in &status.alerts {
            writeln!(f, "ALERT     {}: {}", alert.name, alert.what)?;
        }
        let jobs = match &status.jobs {
            None => "no answer".to_owned(),
            Some(jobs) if jobs.is_empty() => "none".to_owned(),
            Some(jobs) => list(jobs.iter().map(|(state, count)| format!("{count} {state}"))),
        };
        let chunk = if status.chunk { "; one is at work" } else { "" };
        writeln!(f, "jobs      {jobs}{chunk}")?;
        let queues = status.queues.iter();
        let queues = list(queues.map(|q| format!("{} {}/{}", q.name, q.length, q.capacity)));
        writeln!(f, "queues    {queues}")?;
        let counters = status.counters.fields();
        let counters = counters.iter().filter(|(name, _)| *name != "uptime_s");
        let counted = |(name, value): &(&str, u32)| format!("{name} {value}");
        let counters = list(counters.map(counted).chain([
            format!("panics {}", status.panics),
            format!("wakes_refused {}", status.wakes_refused),
        ]));
        writeln!(f, "counters  {counters}")?;
        let Guesses {
            made,
            adopted,
            dropped,
        } = status.guesses;
        writeln!(
            f,
            "guesses   made {made}, adopted {adopted}, dropped {dropped}"
        )?;
        let longest_ms = f64::from(status.longest_turn_us) / 1_000.0;
        writeln!(f, "turns     the main loop's longest {longest_ms:.1} ms")?;
        self.threads(f)?;
        self.last(f)
    }
}

impl Page<'_> {
    fn threads(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "threads   {:<10} {:>7} {:>10}  last turn",
            "name", "tid", "turns"
        )?;
        for thread in &self.0.threads {
            let tid = thread
                .tid
                .map_or_else(|| "-".to_owned(), |tid| tid.to_string());
            let stuck = if thread.stuck { "  STUCK" } else { "" };
            writeln!(
                f,
                "          {:<10} {tid:>7} {:>10}  {:.1} s ago{stuck}",
                thread.name, thread.turns, thread.idle_s
            )?;
        }
        Ok(())
    }

    fn last(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for last in &self.0.last {
            let timing = last.timing;
            write!(
                f,
                "last      {}  {:<5} {:<8} {:>4.1} s  ms: capture {} queue {} encode {} decode {} \
                 link {}",
                time(last.at_ms),
                last.trigger,
                last.result,
                f64::from(last.audio_ms) / 1_000.0,
                timing.capture_ms,
                timing.queue_ms,
                timing.encode_ms,
                timing.decode_ms,
                timing.link_ms
            )?;
            match &last.text {
                Some(text) => writeln!(f, "  \"{}\"", plain(text))?,
                None => f.write_char('\n')?,
            }
        }
        Ok(())
    }
}

fn list(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// Returns a time in seconds as its two largest units.
pub(super) fn length(seconds: u64) -> String {
    match (
        seconds / 86_400,
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    ) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m {s}s"),
        (0, h, m, _) => format!("{h}h {m}m"),
        (d, h, ..) => format!("{d}d {h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::{Last, Notice, Queue, Thread, Worker};

    #[test]
    fn lengths_are_short() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m 1s"),
            (3_600, "1h 0m"),
            (90_061, "1d 1h"),
        ] {
            assert_eq!(length(seconds), expected);
        }
    }

    #[test]
    fn page_shows_what_matters_and_no_control_characters() {
        let thread = Thread {
            name: "listen".into(),
            tid: Some(7),
            turns: 9,
            idle_s: 6.0,
            stuck: true,
        };
        let last = Last {
            at_ms: 86_400_000,
            boot: 1,
            sequence: 2,
            utterance: 3,
            trigger: "ptt".into(),
            result: "text".into(),
            text: Some("s\u{1b}op".into()),
            audio_ms: 1_500,
            confidence: 90,
            timing: pressel_wire::Timing::default(),
        };
        let queue = Queue {
            name: "outbox".into(),
            length: 1,
            capacity: 16,
        };
        let alert = Notice {
            name: "safemode".into(),
            what: "why".into(),
        };
        let status = Status {
            version: "0.1.0".into(),
            board: "sim".into(),
            model: "nano".into(),
            state: "idle".into(),
            provider: "cpu".into(),
            worker: Worker {
                pid: Some(8),
                ready: true,
            },
            alerts: vec![alert],
            queues: vec![queue],
            threads: vec![thread],
            last: vec![last],
            longest_turn_us: 1_250,
            ..Status::default()
        };
        let page = Page(&status).to_string();
        for words in [
            "pressel   0.1.0 on sim, up 0s",
            "worker    ready, pid 8, model nano on cpu",
            "ALERT     safemode: why",
            "jobs      no answer",
            "outbox 1/16",
            "the main loop's longest 1.2 ms",
            "6.0 s ago  STUCK",
            "1970-01-02T00:00:00Z  ptt   text      1.5 s",
            "\"s op\"",
        ] {
            assert!(page.contains(words), "`{words}` is not in:\n{page}");
        }
        assert!(!page.chars().any(|c| c.is_control() && c != '\n'));
    }
}
