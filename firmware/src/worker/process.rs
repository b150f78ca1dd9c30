//! Starting and ending the worker process.
//!
//! Runs on the keeper's thread, or in `replay`'s: it allocates and waits.

use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::{Setup, WorkerSocket};
use serde_json::json;

use crate::config::{Recognition, TaskName};

/// A worker process that was started and not yet waited for.
pub struct WorkerProcess {
    child: Child,
}

impl WorkerProcess {
    /// Starts the same program as a worker. Returns the process and the appliance's end.
    ///
    /// The child gets its end of the socket as standard input, and the slots by their descriptor's
    /// number. It has its own process group: Ctrl+C in a terminal reaches the appliance only. So
    /// the appliance ends it (`Keeper::finish`), and should that be killed, the child ends by
    /// itself: see `serve`.
    ///
    /// # Errors
    /// The error of `socketpair(2)` or of starting the program.
    pub fn start(setup: &Setup, slots: RawFd) -> io::Result<(Self, WorkerSocket)> {
        let (ours, theirs) = WorkerSocket::pair()?;
        let child = Command::new("/proc/self/exe")
            .arg0("pressel-worker")
            .args(arguments(setup, slots))
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok((Self { child }, ours))
    }

    /// Returns the process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process, if it still runs, and waits for its end. Takes milliseconds.
    ///
    /// Returns how it had ended by itself, if it had.
    pub fn end(mut self) -> Option<ExitStatus> {
        // An error here means that it is gone already.
        self.child.kill().ok();
        let status = self.child.wait().ok()?;
        (status.signal() != Some(libc::SIGKILL)).then_some(status)
    }
}

/// Returns the command line of a worker: `WorkerArguments::setup` is the way back.
fn arguments(setup: &Setup, slots: RawFd) -> Vec<OsString> {
    let cores: Vec<String> = setup.cores.iter().map(usize::to_string).collect();
    let mut arguments: Vec<OsString> = ["worker", "--slots"].map(OsString::from).into();
    arguments.push(slots.to_string().into());
    arguments.push("--model".into());
    arguments.push(setup.model.clone().into());
    arguments.push("--threads".into());
    arguments.push(setup.threads.to_string().into());
    if !cores.is_empty() {
        arguments.push("--cores".into());
        arguments.push(cores.join(",").into());
    }
    if setup.cuda {
        arguments.push("--cuda".into());
    }
    let Recognition {
        language,
        task,
        prompt,
    } = &setup.recognition;
    if let Some(language) = language {
        arguments.push(format!("--language={language}").into());
    }
    if *task == TaskName::Translate {
        arguments.push("--task=translate".into());
    }
    if !prompt.is_empty() {
        arguments.push(format!("--prompt={prompt}").into());
    }
    if !setup.commands.list.is_empty() {
        arguments.push(format!("--commands={}", json!(setup.commands)).into());
    }
    if let Some(plan) = setup.fault {
        arguments.push("--fault".into());
        arguments.push(plan.to_string().into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use pressel_models::Language;

    use super::*;
    use crate::cli::args::{Arguments, Command as Subcommand};
    use crate::config::{Command, Commands};

    fn check(setup: &Setup) {
        let mut line = vec![OsString::from("pressel")];
        line.extend(arguments(setup, 7));
        match Arguments::try_parse_from(line).unwrap().command {
            Subcommand::Worker(worker) => assert_eq!((&worker.setup(), worker.slots), (setup, 7)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_worker_reads_what_it_was_told() {
        let plain = Setup {
            model: "/models/a b".into(),
            threads: 2,
            cores: vec![2, 3],
            cuda: false,
            recognition: Recognition::default(),
            commands: Commands::default(),
            fault: None,
        };
        check(&plain);
        check(&Setup {
            cores: Vec::new(),
            cuda: true,
            recognition: Recognition {
                language: Language::of_code("yue"),
                task: TaskName::Translate,
                prompt: "--slots 9, \"Grüße\"".to_owned(),
            },
            commands: Commands {
                margin: 1.5,
                list: vec![Command {
                    id: 7,
                    say: vec!["lights \"on\"".to_owned(), "--go".to_owned()],
                }],
            },
            ..plain
        });
    }
}
