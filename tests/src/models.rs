//! `models fetch`, `list`, `verify` and `remove`, with a hub on 127.0.0.1.
//!
//! In: a repository, kills and signals. Out: model folders, and what is said. The real hub was
//! never asked: this one answers as it does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pressel_models::places;
use rustix::process::Signal;
use serde_json::Value;

use crate::hub::{COMMIT, Change, Held, REPO, Repository};
use crate::process::signal;
use crate::program::{PATIENCE, Ran, command, need_models, recordings, root, run, until};

/// Where the large files of a repository are, of which tests speak.
const ENCODER: &str = "onnx/encoder_model.onnx";
const DECODER: &str = "onnx/decoder_model_merged.onnx";

/// Keeps the hub's own files.
const RAW: &[&str] = &["--raw"];

/// A user with an empty home of models.
struct User(tempfile::TempDir);

impl User {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Returns the folder of the model of this name.
    fn model(&self, name: &str) -> PathBuf {
        self.0.path().join("pressel/models").join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command
            .env("XDG_DATA_HOME", self.0.path())
            .env("NO_PROXY", "127.0.0.1")
            .env_remove("HF_TOKEN")
            .env_remove("SSL_CERT_FILE")
            .env_remove("PRESSEL_HUB");
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        run(&mut self.command(arguments))
    }

    /// Returns the command that fetches the repository as `name`; root would fetch for the system.
    fn fetch(&self, repository: &Repository, name: &str, more: &[&str]) -> Command {
        let mut command = self.command(&["models", "fetch", name, "--json"]);
        command.args(more);
        command.args(["--from", REPO, "--hub", &repository.hub.address]);
        command.arg("--to").arg(self.model(name));
        command
    }
}

fn as_is() -> Change {
    Box::new(|_, honest| honest)
}

/// Checks how a run ended, and that it said one line with these words.
fn check(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.status.code(), Some(code), "{ran:?}");
    let lines: Vec<_> = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with("pressel:"))
        .collect();
    assert_eq!(lines.len(), usize::from(code != 0), "{ran:?}");
    for word in words {
        assert!(
            ran.stderr.contains(word) || ran.stdout.contains(word),
            "{word}: {ran:?}"
        );
    }
}

fn json(ran: &Ran) -> Value {
    assert!(ran.status.success(), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Returns the files of a model's folder as a repository.
fn files_of(folder: &Path) -> BTreeMap<String, Held> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let body = fs::read(entry.path()).unwrap();
        if name.ends_with(".onnx") {
            files.insert(format!("onnx/{name}"), Held::large(&body));
        } else {
            files.insert(name, Held::small(&body));
        }
    }
    files
}

/// Changes a file, removes one, and adds one.
fn damage(folder: &Path) {
    let mut bytes = fs::read(folder.join(ENCODER)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(folder.join(ENCODER), bytes).unwrap();
    fs::remove_file(folder.join("tokenizer.json")).unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
}

#[test]
fn a_fetched_model_is_found_by_its_name_verified_mended_and_removed() {
    need_models!();
    let user = User::new();
    let files = files_of(&places::builtin("nano"));
    let repository = Repository::start(files, as_is(), as_is());
    let told = json(&run(&mut user.fetch(&repository, "other", RAW)));
    let folder = user.model("other");
    assert_eq!(told["folder"], folder.to_str().unwrap());
    assert_eq!(
        (&told["commit"], &told["prepared"], &told["already"]),
        (&COMMIT.into(), &false.into(), &false.into())
    );
    let told = json(&run(&mut user.fetch(&repository, "other", RAW)));
    assert_eq!(told["already"], true);

    let list = json(&user.run(&["models", "list", "--json"]));
    let models = list["models"].as_array().unwrap();
    let kind = |name: &str| {
        let model = models.iter().find(|model| model["name"] == name).unwrap();
        model["kind"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        (kind("nano"), kind("other")),
        ("builtin".into(), "fetched".into())
    );
    let clip = recordings().join("stop.wav");
    let clip = clip.to_str().unwrap();
    let by_name = user.run(&["transcribe", "--model", "other", clip]);
    assert!(by_name.status.success(), "{by_name:?}");
    // It has no pressel.json, so its window is another one: only the text's beginning is sure.
    assert!(
        by_name.stdout.to_lowercase().contains("stop"),
        "{by_name:?}"
    );

    check(&user.run(&["models", "verify"]), 0, &["other: whole"]);
    damage(&folder);
    let verified = user.run(&["models", "verify", "other"]);
    let words = [
        "encoder_model.onnx: changed",
        "tokenizer.json: missing",
        "notes.txt: extra",
    ];
    check(&verified, 4, &words);
    assert_eq!(verified.stdout.lines().count(), words.len());
    assert!(
        run(&mut user.fetch(&repository, "other", RAW))
            .status
            .success()
    );
    check(&user.run(&["models", "verify", "other"]), 0, &["whole"]);

    check(&user.run(&["models", "remove", "other"]), 2, &["--yes"]);
    check(
        &user.run(&["models", "remove", "nano", "--yes"]),
        2,
        &["built in"],
    );
    check(
        &user.run(&["models", "remove", "other", "--yes"]),
        0,
        &["removed"],
    );
    check(
        &user.run(&["models", "remove", "other", "--yes"]),
        2,
        &["other"],
    );
    assert_eq!(fs::read_dir(user.model("")).unwrap().count(), 0);
    let gone = user.run(&["transcribe", "--model", "other", clip]);
    check(&gone, 4, &["other", "models fetch"]);
}

#[test]
fn a_model_is_prepared_after_its_download() {
    need_models!();
    let user = User::new();
    let stock = root().join("models/fixtures/tiny");
    let repository = Repository::start(files_of(&stock), as_is(), as_is());
    let fetch = |more: &[&str]| {
        let mut fetch = user.fetch(&repository, "tiny", more);
        json(&run(&mut fetch))
    };
    let told = fetch(&[]);
    assert_eq!(
        (&told["prepared"], &told["head"]),
        (&true.into(), &"4bit".into())
    );
    assert!(0.9 < told["likeness"].as_f64().unwrap(), "{told}");
    let holds = |name: &str| user.model("tiny").join(name).is_file();
    assert!(holds("encoder.onnx") && holds("tokenizer.json"));
    assert!(!user.model("tiny").join("onnx").exists());
    check(&user.run(&["models", "verify"]), 0, &["tiny: whole"]);
    let list = json(&user.run(&["models", "list", "--json"]));
    let models = list["models"].as_array().unwrap();
    let tiny = models.iter().find(|model| model["name"] == "tiny").unwrap();
    assert_eq!(
        (&tiny["kind"], &tiny["prepared"]),
        (&"fetched".into(), &true.into())
    );
    assert_eq!(tiny["origin"][0], REPO);
    // What is there in this form is not fetched again; in another form it is.
    assert_eq!(fetch(&[])["already"], true);
    let told = fetch(&["--head", "8bit"]);
    assert_eq!(
        (&told["head"], &told["already"]),
        (&"8bit".into(), &false.into())
    );
}

/// Bytes after which the store falls silent, in each request.
const SILENT_AFTER: usize = 100_000;

/// Starts a fetch and waits until so many bytes of the encoder are on the disk.
fn begin(user: &User, repository: &Repository, bytes: u64) -> Child {
    let mut fetch = user.fetch(repository, "other", RAW);
    let child = fetch
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let part = part(user);
    let come = || {
        fs::metadata(&part)
            .is_ok_and(|found| found.len() == bytes)
            .then_some(())
    };
    assert!(
        until(PATIENCE, come).is_some(),
        "{} does not grow",
        part.display()
    );
    child
}

fn part(user: &User) -> PathBuf {
    let staging = user.model(".other.fetch/stock");
    staging.join(ENCODER).with_added_extension("part")
}

fn end(child: Child) -> Ran {
    let ended = child.wait_with_output().unwrap();
    Ran {
        status: ended.status,
        stdout: String::from_utf8(ended.stdout).unwrap(),
        stderr: String::from_utf8(ended.stderr).unwrap(),
    }
}

#[test]
fn a_fetch_that_is_killed_or_stopped_goes_on_where_it_was() {
    let user = User::new();
    let body = |seed: u32| {
        let words = (0..200_000_u32).flat_map(|word| (word * seed).to_le_bytes());
        Held::large(&words.collect::<Vec<_>>())
    };
    let files = BTreeMap::from([
        (
            "config.json".to_owned(),
            Held::small(br#"{"model_type": "whisper"}"#),
        ),
        ("generation_config.json".to_owned(), Held::small(b"{}")),
        ("tokenizer.json".to_owned(), Held::small(b"{ }")),
        (ENCODER.to_owned(), body(3)),
        (DECODER.to_owned(), body(5)),
    ]);
    // The first three answers about the encoder fall silent after a while and stay so.
    let silent: Change = Box::new(|request, mut honest| {
        if request.path.contains(ENCODER) && request.before < 3 {
            (honest.cut, honest.hold) = (Some(SILENT_AFTER), true);
        }
        honest
    });
    let repository = Repository::start(files.clone(), as_is(), silent);

    let mut child = begin(&user, &repository, SILENT_AFTER as u64);
    // Another one does not interfere.
    let second = run(&mut user.fetch(&repository, "other", RAW));
    check(&second, 1, &["another fetch is at work"]);
    child.kill().unwrap();
    child.wait().unwrap();
    for (number, with) in [(2, Signal::INT), (3, Signal::TERM)] {
        let child = begin(&user, &repository, number * SILENT_AFTER as u64);
        signal(child.id(), with);
        check(
            &end(child),
            1,
            &["stopped by a signal", "is kept", "goes on"],
        );
    }
    assert!(!user.model("other").exists());
    let list = user.run(&["models", "list"]);
    check(&list, 0, &["unfinished"]);
    // Nothing half-fetched is found by its name.
    let early = user.run(&["transcribe", "--model", "other", "x.wav"]);
    check(&early, 4, &["other"]);

    let ended = run(&mut user.fetch(&repository, "other", RAW));
    assert!(ended.status.success(), "{ended:?}");
    for (path, held) in &files {
        assert!(
            fs::read(user.model("other").join(path)).unwrap() == held.body,
            "{path}"
        );
    }
    let range = |request: &crate::hub::Request| request.headers.get("range").cloned();
    let stored = repository.store.requests();
    let encoder = stored
        .iter()
        .filter(|request| request.path.contains("encoder"));
    let ranges: Vec<_> = encoder.map(range).collect();
    let from = |at: usize| Some(format!("bytes={at}-"));
    assert_eq!(ranges, [None, from(100_000), from(200_000), from(300_000)]);
    check(&user.run(&["models", "verify"]), 0, &["whole"]);
    let left: Vec<_> = fs::read_dir(user.model("")).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_name_that_nobody_knows_is_one_line() {
    let user = User::new();
    let fetch = |arguments: &[&str], words: &[&str]| {
        let ran = user.run(&[&["models", "fetch"], arguments].concat());
        check(&ran, 2, words);
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    };
    fetch(&["whisper-tinny.en"], &["did you mean `whisper-tiny.en`?"]);
    fetch(&["../x"], &["owner/name"]);
    fetch(&["nano", "--from", "a/b"], &["built in"]);
    fetch(&["a/b", "--revision", ".."], &["no revision"]);
    fetch(&["a/b", "--hub", "ftp://x"], &["https://"]);
    assert!(!Path::new(&user.model("")).exists());
}
