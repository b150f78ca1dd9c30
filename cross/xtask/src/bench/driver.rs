//! One engine as a process that is spoken to in JSON lines.
//!
//! In: a command, requests. Out: what it says, in time or not at all. A thread hands its lines on,
//! so that an engine which hangs ends with a named reason. Dropping it ends the process.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::settings::Start;
use crate::process;

/// Longest wait for one answer: 30 s of audio several times on a slow board.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// A running engine.
pub(crate) struct Driver {
    child: Child,
    requests: Option<ChildStdin>,
    answers: Receiver<String>,
    /// What it says it is.
    pub(crate) about: String,
    /// Seconds that loading the model took.
    pub(crate) load_s: f64,
    /// Peak memory before the model was loaded, in KiB.
    pub(crate) before_kib: f64,
}

/// What one request gave.
pub(crate) struct Heard {
    /// Seconds of each run.
    pub(crate) seconds: Vec<f64>,
    pub(crate) text: String,
}

impl Driver {
    /// Starts an engine on `cores`, waits until its model is loaded. What it prints goes to `log`.
    pub(crate) fn start(start: &Start, cores: &str, log: &Path) -> Result<Self, String> {
        let log = File::create(log).map_err(|error| super::cannot_write(log, &error))?;
        let mut command = Command::new("taskset");
        command
            .args(["-c", cores])
            .arg(&start.program)
            .args(&start.arguments);
        command.envs(start.environment.iter().map(|(key, value)| (key, value)));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let spawned = command.spawn();
        let mut child = spawned.map_err(|error| process::cannot_start(&command, &error))?;
        let (sender, answers) = sync_channel(1);
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                let lines = BufReader::new(out).lines().map_while(Result::ok);
                for line in lines {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let mut driver = Self {
            requests: child.stdin.take(),
            child,
            answers,
            about: String::new(),
            load_s: 0.0,
            before_kib: 0.0,
        };
        let hello = driver.answer()?;
        driver.about = hello["about"].as_str().unwrap_or_default().to_owned();
        driver.load_s = hello["load_s"].as_f64().unwrap_or_default();
        driver.before_kib = hello["before_kib"].as_f64().unwrap_or_default();
        Ok(driver)
    }

    /// Transcribes `wav` as often as `runs` says.
    pub(crate) fn run(&mut self, wav: &Path, runs: usize) -> Result<Heard, String> {
        let request = json!({ "wav": wav, "runs": runs });
        let requests = self.requests.as_mut().ok_or("it has ended")?;
        writeln!(requests, "{request}").map_err(|error| format!("it has ended ({error})"))?;
        let answer = self.answer()?;
        let seconds = answer["seconds"].as_array().into_iter().flatten();
        Ok(Heard {
            seconds: seconds.filter_map(Value::as_f64).collect(),
            text: answer["text"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// The most memory that the process ever had, in KiB.
    pub(crate) fn peak_kib(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Waits for one answer.
    fn answer(&mut self) -> Result<Value, String> {
        let line = match self.answers.recv_timeout(ANSWER_TIMEOUT) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("no answer in {} s", ANSWER_TIMEOUT.as_secs()));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait().map(|status| status.to_string());
                return Err(format!(
                    "it ended ({}); see its log",
                    status.unwrap_or_default()
                ));
            }
        };
        let answer: Value =
            serde_json::from_str(&line).map_err(|error| format!("said `{line}`: {error}"))?;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Most end at the end of their input; one that hangs must go all the same.
        drop(self.requests.take());
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(script: &str, expected: Result<(&str, &str), &str>) {
        let folder = std::env::temp_dir().join(format!("pressel-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let start = Start {
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: Vec::new(),
        };
        let heard = Driver::start(&start, "0", &folder.join("log")).and_then(|mut driver| {
            let heard = driver.run(Path::new("a.wav"), 1)?;
            Ok((driver.about.clone(), heard.text))
        });
        match (heard, expected) {
            (Ok((about, text)), Ok(wanted)) => assert_eq!((about.as_str(), text.as_str()), wanted),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (heard, expected) => panic!("{script}: {heard:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn an_engine_answers_or_its_reason_is_known() {
        if !process::succeeds(&["taskset", "--version"]) {
            println!("skipped: there is no taskset here");
            return;
        }
        let hello = r#"echo '{"about": "it", "load_s": 1}'; read -r line; "#;
        let answer = r#"echo '{"seconds": [1], "text": "hello"}'; cat"#;
        check(&format!("{hello}{answer}"), Ok(("it", "hello")));
        check(r#"echo '{"error": "no such model"}'"#, Err("no such model"));
        check("exit 3", Err("exit status: 3"));
        check(&format!("{hello}exit 4"), Err("exit status: 4"));
        check("echo nonsense; cat", Err("said `nonsense`"));
    }
}
