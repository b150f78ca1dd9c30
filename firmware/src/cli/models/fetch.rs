//! `pressel models fetch`: a model from a hub, rebuilt for this machine.
//!
//! A name in, a model's folder out. The hub's own files are downloaded, compared and rebuilt beside
//! the folder, which appears whole, in one step. The only command that opens a network connection.

use std::env;
use std::fs;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pressel_models::places;
use serde_json::json;

use super::progress::Progress;
use crate::cli::args::{FetchArguments, Head};
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
        prepared: (!arguments.raw).then(|| arguments.head.name().to_owned()),
    };
    let asked = take_signals()?;
    let client = Client::new(settings(arguments)?, Arc::clone(&asked))?;
    let mut progress = Progress::new();
    let mut tell = |news| show(&mut progress, news);
    let mut rebuild = |stock: &Path, ready: &Path, tell: &mut dyn FnMut(News)| {
        rebuild(stock, ready, arguments.head, &asked, tell)
    };
    let done = hub::fetch(&client, &order, &mut rebuild, &mut tell)?;
    progress.end();
    print(&report(&order, &name, &done, arguments.json))
}

impl Head {
    /// Returns the name that the lock file tells.
    fn name(self) -> &'static str {
        match self {
            Self::EightBit => "8bit",
            Self::FourBit => "4bit",
        }
    }
}

/// Rebuilds the hub's files of `stock` into `ready`. The seam to the part that rebuilds: until it is
/// there, models can be fetched as they are only.
fn rebuild(
    _stock: &Path,
    _ready: &Path,
    _head: Head,
    asked: &AtomicBool,
    tell: &mut dyn FnMut(News),
) -> Result<(), HubError> {
    tell(News::Rebuilds("rebuilding".to_owned(), 0));
    if asked.load(Ordering::Relaxed) {
        return Err(HubError::Interrupted);
    }
    let why =
        "this program cannot rebuild models: fetch it with --raw, nothing is downloaded twice";
    Err(HubError::Rebuild(why.to_owned()))
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

/// Returns what is printed at the end.
fn report(order: &Order, name: &str, done: &Done, json: bool) -> String {
    let (lock, folder) = (&done.lock, order.target.display());
    if json {
        let line = json!({
            "name": name,
            "folder": order.target,
            "repo": lock.repo,
            "commit": lock.commit,
            "prepared": lock.prepared.is_some(),
            "head": lock.prepared,
            "files": lock.files.len(),
            "bytes": lock.bytes(),
            "already": done.already,
        });
        return format!("{line}\n");
    }
    let (size, commit) = (megabytes(lock.bytes()), &lock.commit);
    let what = if done.already {
        "is there already, whole"
    } else {
        "is there"
    };
    let mut text = format!(
        "{folder}: {what}: {} at commit {commit}, {size}\n",
        lock.repo
    );
    if lock.prepared.is_none() {
        text += "It runs as it is, slower than rebuilt: without --raw it is rebuilt.\n";
    }
    let found = places::model(name).is_some_and(|found| found == order.target);
    let called = if found {
        name.to_owned()
    } else {
        folder.to_string()
    };
    text + &format!("Use it with `--model {called}`, or as model.name in the configuration.\n")
}
