//! `pressel jobs`: recordings that the running appliance transcribes in the background.
//!
//! Names and numbers in; the jobs that the control socket tells of out, as a table or as JSON.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pressel_wire::JobState;

use super::args::{ControlArguments, JobsArguments, JobsCommand};
use super::status::{another_version, length, print};
use crate::control::{Answer, Request};
use crate::failure::{Failure, Kind};
use crate::jobs::{JobInfo, JobRequest};
use crate::plain::plain;

/// Time between two looks at a job that is waited for: many who wait share few places.
const LOOK: Duration = Duration::from_secs(1);

/// Adds, shows or changes jobs.
///
/// # Errors
/// [`Kind::Device`] when no appliance answers, [`Kind::Disk`] for a recording that is not there,
/// [`Kind::Result`] for a job that failed or was refused.
pub fn jobs(arguments: &JobsArguments) -> Result<(), Failure> {
    let control = &arguments.control;
    let each = |numbers: &[u32], request: fn(u32) -> JobRequest| {
        let requests = numbers.iter().map(|&number| request(number)).collect();
        ask_each(control, requests).1
    };
    match &arguments.command {
        JobsCommand::List => show(control, &ask(control, JobRequest::List)?),
        JobsCommand::Cancel { numbers } => each(numbers, |number| JobRequest::Cancel { number }),
        JobsCommand::Retry { numbers } => each(numbers, |number| JobRequest::Retry { number }),
        JobsCommand::Add { files, wait } => add(control, files, *wait),
    }
}

fn ask(control: &ControlArguments, request: JobRequest) -> Result<Vec<JobInfo>, Failure> {
    jobs_of(control.ask(&Request::Jobs(request))?)
}

/// Asks for as long as the appliance is busy or late: only for what may be done twice.
fn ask_until_answered(
    control: &ControlArguments,
    request: JobRequest,
) -> Result<Vec<JobInfo>, Failure> {
    jobs_of(control.ask_until_answered(&Request::Jobs(request))?)
}

fn jobs_of(answer: Answer) -> Result<Vec<JobInfo>, Failure> {
    match answer {
        Answer::Jobs(jobs) => Ok(jobs),
        _ => Err(another_version()),
    }
}

/// Asks one after the other, shows what became of them, and goes on after a refusal.
fn ask_each(
    control: &ControlArguments,
    requests: Vec<JobRequest>,
) -> (Vec<JobInfo>, Result<(), Failure>) {
    let (mut jobs, mut first) = (Vec::new(), Ok(()));
    for request in requests {
        let asked = ask(control, request).map(|answer| jobs.extend(answer));
        first = super::keep_first(first, asked);
    }
    let shown = if jobs.is_empty() {
        Ok(())
    } else {
        show(control, &jobs)
    };
    (jobs, super::keep_first(first, shown))
}

fn add(control: &ControlArguments, files: &[PathBuf], wait: bool) -> Result<(), Failure> {
    let paths = files.iter().map(|file| absolute(file));
    let paths = paths.collect::<Result<Vec<_>, _>>()?;
    let requests = paths.into_iter().map(|path| JobRequest::Add { path });
    if !wait {
        return ask_each(control, requests.collect()).1;
    }
    let (mut numbers, mut first) = (Vec::new(), Ok(()));
    for request in requests {
        // A recording that was added already stays the same job.
        let asked = ask_until_answered(control, request);
        let asked = asked.map(|jobs| numbers.extend(jobs.iter().map(|job| job.number)));
        first = super::keep_first(first, asked);
    }
    let mut done = Vec::new();
    for number in numbers {
        let ended = wait_for(control, number).and_then(|job| {
            let judged = judge(&job);
            done.push(job);
            judged
        });
        first = super::keep_first(first, ended);
    }
    super::keep_first(first, show(control, &done))
}

/// Returns the path of a recording for the appliance, which has another folder than this process.
/// A link stays a link: the results are to be beside it.
fn absolute(file: &Path) -> Result<PathBuf, Failure> {
    let cannot = |why: &dyn std::fmt::Display| {
        let why = format!(
            "{}: cannot be read ({why}): nothing was added",
            file.display()
        );
        Failure::new(Kind::Disk, why)
    };
    File::open(file).map_err(|error| cannot(&error))?;
    let found = fs::metadata(file).map_err(|error| cannot(&error))?;
    let (Some(name), true) = (file.file_name(), found.is_file()) else {
        return Err(cannot(&"it is no file"));
    };
    if file.to_str().is_none() {
        return Err(cannot(&"its name is not UTF-8"));
    }
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")));
    Ok(folder.map_err(|error| cannot(&error))?.join(name))
}

/// Waits for the end of a job, with a bar on a terminal.
fn wait_for(control: &ControlArguments, number: u32) -> Result<JobInfo, Failure> {
    let bar = if io::stderr().is_terminal() {
        ProgressBar::new(100)
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos:>3}% {msg}") {
        bar.set_style(style);
    }
    let ended = loop {
        let jobs = ask_until_answered(control, JobRequest::List);
        let job = jobs.map(|jobs| jobs.into_iter().find(|job| job.number == number));
        match job {
            Err(failure) => break Err(failure),
            Ok(None) => {
                let why = format!("job {number} is not in the list any more");
                break Err(Failure::new(Kind::Result, why));
            }
            Ok(Some(job)) if job.code().has_ended() => break Ok(job),
            Ok(Some(job)) => {
                let name = job.path.file_name().unwrap_or_default().to_string_lossy();
                bar.set_prefix(plain(&name));
                bar.set_position(job.percent.into());
                bar.set_message(match (&job.why, job.left_s) {
                    (Some(why), _) => plain(why),
                    (None, Some(left)) => format!("{} left", length(left.into())),
                    (None, None) => job.state,
                });
            }
        }
        std::thread::sleep(LOOK);
    };
    bar.finish_and_clear();
    ended
}

fn judge(job: &JobInfo) -> Result<(), Failure> {
    if job.code() == JobState::Done {
        return Ok(());
    }
    let (path, why) = (job.path.display(), reason(job));
    let why = why.unwrap_or("try again with `pressel jobs retry`");
    Err(Failure::new(
        Kind::Result,
        format!("{path}: {}: {why}", job.state),
    ))
}

/// Returns why a job is as it is, without the path, which stands before it.
fn reason(job: &JobInfo) -> Option<&str> {
    let why = job.why.as_deref()?;
    let rest = why.strip_prefix(&*job.path.to_string_lossy());
    let rest = rest.and_then(|rest| rest.strip_prefix(": "));
    Some(rest.unwrap_or(why))
}

fn show(control: &ControlArguments, jobs: &[JobInfo]) -> Result<(), Failure> {
    if control.json {
        let line = serde_json::json!({ "jobs": jobs });
        return print(&format!("{line}\n"));
    }
    print(&table(jobs))
}

fn table(jobs: &[JobInfo]) -> String {
    if jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    let mut table = format!(
        "{:>5}  {:<11} {:>4}  {:<8}  file\n",
        "job", "state", "done", "left"
    );
    for job in jobs {
        let left = job.left_s.filter(|_| !job.code().has_ended());
        let left = left.map_or_else(|| "-".to_owned(), |left| length(left.into()));
        let path = plain(&job.path.to_string_lossy());
        let why = reason(job).map(|why| format!("  ({})", plain(why)));
        let why = why.unwrap_or_default();
        let (number, state, percent) = (job.number, &job.state, job.percent);
        // Writing into a string cannot fail.
        writeln!(
            table,
            "{number:>5}  {state:<11} {percent:>3}%  {left:<8}  {path}{why}"
        )
        .ok();
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: u32, state: JobState, left_s: Option<u32>, why: Option<&str>) -> JobInfo {
        JobInfo {
            number,
            path: PathBuf::from("/spool/a\u{1b}.wav"),
            state: state.name().to_owned(),
            percent: 40,
            left_s,
            duration_s: None,
            why: why.map(str::to_owned),
        }
    }

    #[test]
    fn table_has_one_line_for_each_job() {
        assert_eq!(table(&[]), "no jobs\n");
        let jobs = [
            job(1, JobState::Running, Some(65), None),
            job(12, JobState::Quarantined, Some(65), Some("it\nkills")),
        ];
        let expected = "  job  state       done  left      file\n    \
                        1  running      40%  1m 5s     /spool/a .wav\n   \
                        12  quarantined  40%  -         /spool/a .wav  (it kills)\n";
        assert_eq!(table(&jobs), expected);
    }

    #[test]
    fn recordings_get_the_path_by_which_the_appliance_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(folder.path()).unwrap();
        fs::write(real.join("a.wav"), "").unwrap();
        std::os::unix::fs::symlink(real.join("a.wav"), real.join("b.wav")).unwrap();
        fs::create_dir(real.join("sub")).unwrap();
        for name in ["a.wav", "b.wav"] {
            let way = real.join("sub/..").join(name);
            assert_eq!(absolute(&way).unwrap(), real.join(name));
        }
        for (name, word) in [("none.wav", "none.wav"), ("sub", "no file")] {
            let failure = absolute(&real.join(name)).unwrap_err();
            assert_eq!(failure.exit_code(), 5);
            assert!(failure.message.contains(word), "{failure}");
        }
    }

    #[test]
    fn wait_goes_on_while_the_appliance_is_busy_or_late() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let control = ControlArguments {
            socket: Some(path),
            ..ControlArguments::default()
        };
        let busy = || Answer::Busy("too many clients".to_owned());
        let answers = [
            busy(),
            Answer::Late("a slow disk".to_owned()),
            busy(),
            Answer::Jobs(vec![job(1, JobState::Done, None, None)]),
        ];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for answer in answers {
                    let (mut client, _) = listener.accept().unwrap();
                    io::Write::write_all(&mut client, &answer.line()).unwrap();
                }
            });
            assert_eq!(wait_for(&control, 1).unwrap().code(), JobState::Done);
        });
    }

    #[test]
    fn only_done_is_a_success() {
        assert_eq!(judge(&job(1, JobState::Done, None, None)), Ok(()));
        let why = "/spool/a\u{1b}.wav: why";
        let failed = judge(&job(1, JobState::Failed, None, Some(why))).unwrap_err();
        assert_eq!(failed.exit_code(), 1);
        assert!(failed.message.ends_with(".wav: failed: why"));
    }
}
