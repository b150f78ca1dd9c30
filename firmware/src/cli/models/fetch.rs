//! `pressel models fetch`: a model from a hub, rebuilt for this machine.
//!
//! A name in, a model's folder out. The hub's own files are downloaded, compared and rebuilt beside
//! the folder, which appears whole, in one step. The only command that opens a network connection.

use std::env;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pressel_models::prepare::{self, Options, PrepareError, Stage, Summary};
use pressel_models::{Runtime, places};
use serde_json::json;

use super::prepare::{Head, failure as prepare_failure};
use super::progress::Progress;
use crate::cli::args::FetchArguments;
use crate::cli::status::print;
use crate::cli::transcribe::take_signals;
use crate::failure::{Failure, Kind};
use crate::hub::{self, Client, Done, HubError, News, Order, Patience, Settings, megabytes, names};

/// Fetches the model.
///
/// # Errors
/// [`HubError`]'s, as a line and an exit code.
pub(super) fn fetch(arguments: &FetchArguments) -> Result<(), Failure> {
    let (name, repo) = names::resolve(&arguments.name, arguments.from.as_deref())?;
    names::check_revision(&arguments.revision)?;
    let order = Order {
        repo,
        revision: arguments.revision.clone(),
        target: target(arguments, &name)?,
        prepared: (!arguments.raw).then(|| form(arguments.head).to_owned()),
    };
    let asked = take_signals()?;
    let client = Client::new(settings(arguments)?, Arc::clone(&asked))?;
    let mut progress = Progress::new();
    let mut tell = |news| show(&mut progress, news);
    let mut summary = None;
    let mut rebuild = |stock: &Path, ready: &Path, tell: &mut dyn FnMut(News)| {
        summary = Some(rebuild(stock, ready, arguments.head, &asked, tell)?);
        Ok(())
    };
    let done = hub::fetch(&client, &order, &mut rebuild, &mut tell)?;
    progress.end();
    let text = if arguments.json {
        told_as_json(&order, &name, &done, summary.as_ref())
    } else {
        told(&order, &name, &done, summary.as_ref())
    };
    print(&text)
}

/// Returns the name of a form that the lock file tells.
fn form(head: Head) -> &'static str {
    match head {
        Head::EightBit => "8bit",
        Head::FourBit => "4bit",
    }
}

/// Rebuilds the hub's files of `stock` into `ready`, which is not there yet.
fn rebuild(
    stock: &Path,
    ready: &Path,
    head: Head,
    asked: &AtomicBool,
    tell: &mut dyn FnMut(News),
) -> Result<Summary, HubError> {
    let runtime = Runtime::load(&places::onnx_runtime_candidates());
    let runtime = runtime.map_err(|error| {
        let why = format!("{error}; what has come is kept, and --raw needs no ONNX Runtime");
        HubError::Rebuild(Failure::new(Kind::Model, why))
    })?;
    let options = Options {
        head: head.bits(),
        ..Options::default()
    };
    let mut progress = |at: prepare::Progress| {
        let percent = at.done.saturating_mul(100).checked_div(at.total);
        let percent = u8::try_from(percent.unwrap_or(0)).unwrap_or(100);
        tell(News::Rebuilds(stage(at.stage).to_owned(), percent));
        if asked.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let made = prepare::prepare(stock, ready, &options, Some(&runtime), &mut progress);
    made.map_err(|error| match error {
        PrepareError::Cancelled => HubError::Interrupted,
        error => {
            let mut failure = prepare_failure(&error);
            failure.message += "; what has come is kept: with --raw it is used as it is";
            HubError::Rebuild(failure)
        }
    })
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Reading => "reading",
        Stage::Encoder => "preparing the encoder",
        Stage::Decoder => "preparing the decoder",
        Stage::Checking => "comparing",
    }
}

/// Returns the folder that the model is to have.
fn target(arguments: &FetchArguments, name: &str) -> Result<PathBuf, Failure> {
    let usage = |why: String| Failure::new(Kind::Usage, why);
    if let Some(folder) = &arguments.to {
        let target = absolute(folder);
        let target = target.map_err(|error| {
            usage(format!(
                "{}: cannot be a folder ({error})",
                folder.display()
            ))
        })?;
        if target.file_name().is_none() {
            return Err(usage(format!(
                "{}: is no name of a folder",
                folder.display()
            )));
        }
        return Ok(target);
    }
    if places::builtin(name).is_dir() {
        let why =
            format!("`{name}` is built in: take another name with --from, or a folder with --to");
        return Err(usage(why));
    }
    let home = if rustix::process::geteuid().is_root() {
        Some(places::system_home())
    } else {
        places::user_home()
    };
    let home =
        home.ok_or_else(|| usage("this user has no home folder: name one with --to".into()))?;
    Ok(home.join(name))
}

fn settings(arguments: &FetchArguments) -> Result<Settings, Failure> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let certificates = set("SSL_CERT_FILE").map(|file| {
        fs::read(&file).map_err(|error| {
            let name = Path::new(&file).display();
            let why = format!("{name}: certificates cannot be read ({error}): see SSL_CERT_FILE");
            Failure::new(Kind::Usage, why)
        })
    });
    let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
    let hub = arguments.hub.clone().or_else(|| text("PRESSEL_HUB"));
    Ok(Settings {
        hub: hub.unwrap_or_else(|| hub::DEFAULT_HUB.to_owned()),
        token: text("HF_TOKEN"),
        certificates: certificates.transpose()?,
        proxy: true,
        patience: Patience::default(),
    })
}

fn show(progress: &mut Progress, news: News) {
    match news {
        News::Listed {
            commit,
            files,
            bytes,
        } => {
            let commit = commit.get(..12).unwrap_or_default();
            let what = format!("{files} files, {} at commit {commit}", megabytes(bytes));
            progress.begin(&what, bytes);
        }
        News::File(path) => progress.name(&path),
        News::At(bytes) => progress.at(bytes),
        // The hash of a file costs little beside its way here.
        News::Hashed(_) => (),
        News::Rebuilds(what, percent) => {
            if percent == 0 {
                progress.begin(&what, 100);
            }
            progress.name(&what);
            progress.at(percent.into());
        }
    }
}

fn told(order: &Order, name: &str, done: &Done, summary: Option<&Summary>) -> String {
    let (lock, folder) = (&done.lock, order.target.display());
    let what = if done.already {
        "is there already, whole"
    } else {
        "is there"
    };
    let (repo, commit, size) = (&lock.repo, &lock.commit, megabytes(lock.bytes()));
    let mut text = format!("{folder}: {what}: {repo} at commit {commit}, {size}\n");
    match summary.map(|made| (made.likeness, &made.not_compared)) {
        Some((Some(likeness), _)) => {
            text += &format!("Its likeness to the export is {likeness:.4}.\n");
        }
        Some((None, Some(why))) => {
            text += &format!("It was not compared with the export: {why}.\n")
        }
        _ => (),
    }
    if lock.prepared.is_none() {
        text += "It runs as it is, slower than prepared: without --raw it is prepared.\n";
    }
    let found = places::model(name).is_some_and(|found| found == order.target);
    let called = if found {
        name.to_owned()
    } else {
        folder.to_string()
    };
    text + &format!("Use it with `--model {called}`, or as model.name in the configuration.\n")
}

fn told_as_json(order: &Order, name: &str, done: &Done, summary: Option<&Summary>) -> String {
    let lock = &done.lock;
    let object = json!({
        "name": name,
        "folder": order.target,
        "repo": lock.repo,
        "commit": lock.commit,
        "prepared": lock.prepared.is_some(),
        "head": lock.prepared,
        "files": lock.files.len(),
        "bytes": lock.bytes(),
        "already": done.already,
        "likeness": summary.and_then(|made| made.likeness),
        "not_compared": summary.and_then(|made| made.not_compared.clone()),
    });
    format!("{object}\n")
}
