//! Whole models from a hub of our own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::failure::{Failure, Kind};
use crate::hub::server::{COMMIT, Change, Held, REPO, Reply, Repository};
use crate::hub::testing::{client, model, tree};
use crate::model_store::lock::LOCK_FILE;

fn as_is() -> Change {
    Box::new(|_, honest| honest)
}

fn order(target: PathBuf, prepared: Option<&str>) -> Order {
    Order {
        repo: REPO.to_owned(),
        revision: "main".to_owned(),
        target,
        prepared: prepared.map(str::to_owned),
    }
}

fn raw(repository: &Repository, order: &Order) -> Result<Done, HubError> {
    let client = client(&repository.hub.address);
    let mut rebuild = |_: &Path, _: &Path, _: &mut dyn FnMut(News)| panic!("nothing to rebuild");
    fetch(&client, order, &mut rebuild, &mut |_| ())
}

const STOCK: [&str; 5] = [
    "config.json",
    "generation_config.json",
    "onnx/decoder_model_merged.onnx",
    "onnx/encoder_model.onnx",
    "tokenizer.json",
];

#[test]
fn a_model_comes_whole_with_its_lock() {
    let home = tempfile::tempdir().unwrap();
    let files = model();
    let repository = Repository::start(files.clone(), as_is(), as_is());
    // The home is made, too.
    let target = home.path().join("a/b/m");
    let order = order(target.clone(), None);
    let mut news = Vec::new();
    let client = client(&repository.hub.address);
    let mut rebuild = |_: &Path, _: &Path, _: &mut dyn FnMut(News)| Ok(());
    let done = fetch(&client, &order, &mut rebuild, &mut |event| news.push(event)).unwrap();
    assert!(!done.already);
    assert_eq!(tree(&target), STOCK);
    let home_holds = fs::read_dir(target.parent().unwrap()).unwrap().count();
    assert_eq!(home_holds, 1);
    let lock = Lock::read(&target).unwrap().unwrap();
    assert_eq!(lock, done.lock);
    assert_eq!((lock.repo.as_str(), lock.commit.as_str()), (REPO, COMMIT));
    for entry in &lock.files {
        let held = &files[&entry.path];
        assert_eq!(fs::read(target.join(&entry.path)).unwrap(), held.body);
        assert_eq!(entry.oid.as_ref(), Some(&held.oid), "{}", entry.path);
        assert_eq!(entry.size, held.body.len() as u64);
    }
    let bytes = lock.bytes();
    let listed = News::Listed {
        commit: COMMIT.to_owned(),
        files: 5,
        bytes,
    };
    assert_eq!(news[0], listed);
    assert!(news.contains(&News::At(bytes)));
    let requests = repository.hub.requests();
    let path = format!("/api/models/{REPO}/revision/main?blobs=true");
    assert_eq!(requests[0].path, path);

    // It is there: only the listing is asked for, and with a commit nothing.
    let before = requests.len();
    assert!(raw(&repository, &order).unwrap().already);
    let pinned = Order {
        revision: COMMIT.to_owned(),
        ..order.clone()
    };
    assert!(raw(&repository, &pinned).unwrap().already);
    assert_eq!(repository.hub.requests().len(), before + 1);

    // What is damaged is fetched again.
    fs::write(target.join(STOCK[3]), "").unwrap();
    assert!(!raw(&repository, &order).unwrap().already);
    assert_eq!(
        fs::read(target.join(STOCK[3])).unwrap(),
        files[STOCK[3]].body
    );
}

#[test]
fn a_rebuilt_model_has_its_own_files_and_the_stock_is_gone() {
    let home = tempfile::tempdir().unwrap();
    let repository = Repository::start(model(), as_is(), as_is());
    let client = client(&repository.hub.address);
    let target = home.path().join("m");
    let order = order(target.clone(), Some("8bit"));
    // A rebuilding that fails, and leaves something, costs no second download.
    let mut fails = |_: &Path, ready: &Path, _: &mut dyn FnMut(News)| {
        fs::create_dir(ready).unwrap();
        fs::write(ready.join("half"), "").unwrap();
        let failure = Failure::new(Kind::Model, "encoder_model.onnx: no Conv");
        Err(HubError::Rebuild(failure))
    };
    let error = fetch(&client, &order, &mut fails, &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("no Conv"));
    assert!(!target.exists());
    let before = repository.store.requests().len();
    let mut rebuild = |stock: &Path, ready: &Path, tell: &mut dyn FnMut(News)| {
        assert_eq!(tree(stock), STOCK);
        assert!(!ready.exists());
        fs::create_dir(ready).unwrap();
        fs::write(ready.join("encoder_model.onnx"), "small").unwrap();
        fs::copy(stock.join("config.json"), ready.join("config.json")).unwrap();
        tell(News::Rebuilds("encoder".into(), 50));
        Ok(())
    };
    let done = fetch(&client, &order, &mut rebuild, &mut |_| ()).unwrap();
    assert_eq!(repository.store.requests().len(), before);
    assert_eq!(tree(&target), ["config.json", "encoder_model.onnx"]);
    assert_eq!(done.lock.prepared.as_deref(), Some("8bit"));
    assert_eq!(done.lock.sources.len(), 5);
    let oids: Vec<_> = done
        .lock
        .files
        .iter()
        .map(|file| file.oid.is_some())
        .collect();
    assert_eq!(oids, [true, false]);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);

    // Another form takes its place.
    let order = Order {
        prepared: None,
        ..order
    };
    assert!(!raw(&repository, &order).unwrap().already);
    assert_eq!(tree(&target), STOCK);
}

#[test]
fn a_name_that_is_taken_stays_what_it_is() {
    let home = tempfile::tempdir().unwrap();
    let repository = Repository::start(model(), as_is(), as_is());
    let target = home.path().join("m");
    let check = |word: &str| {
        let before = tree(home.path());
        let error = raw(&repository, &order(target.clone(), None)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(word) && text.contains("--to"), "{text}");
        assert_eq!(tree(home.path()), before);
    };
    fs::write(&target, "a file").unwrap();
    check("cannot be used as a folder");
    fs::remove_file(&target).unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(target.join("config.json"), "{}").unwrap();
    check("was not fetched");
    fs::write(target.join(LOCK_FILE), "{").unwrap();
    check("EOF");
    fs::remove_file(target.join(LOCK_FILE)).unwrap();
    fs::remove_file(target.join("config.json")).unwrap();
    // An empty folder is free.
    let done = raw(&repository, &order(target.clone(), None)).unwrap();
    let other = Lock {
        repo: "another/one".into(),
        ..done.lock
    };
    other.write(&target).unwrap();
    check("another/one");
    assert!(repository.hub.requests().len() < 20);
}

#[test]
fn a_repository_without_a_whisper_model_is_found_out_before_the_large_files_come() {
    let home = tempfile::tempdir().unwrap();
    let check = |config: Option<&str>, word: &str| {
        let mut files = model();
        match config {
            Some(text) => files.insert("config.json".into(), Held::small(text.as_bytes())),
            None => files.remove("config.json"),
        };
        let repository = Repository::start(files, as_is(), as_is());
        let error = raw(&repository, &order(home.path().join("m"), None)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(word) && text.starts_with(REPO), "{text}");
        assert!(repository.store.requests().is_empty());
    };
    check(None, "no config.json");
    check(
        Some(r#"{"model_type": "be\u0007rt"}"#),
        "be rt, not of whisper",
    );
    check(Some("nonsense"), "of nothing");
}

#[test]
fn a_listing_that_fails_is_one_line() {
    let home = tempfile::tempdir().unwrap();
    let check = |reply: Reply, words: &[&str], requests: usize| {
        let hub: Change = Box::new(move |_, _| reply.clone());
        let repository = Repository::start(model(), hub, as_is());
        let error = raw(&repository, &order(home.path().join("m"), None)).unwrap_err();
        for word in words {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
        assert_eq!(repository.hub.requests().len(), requests, "{error}");
        // No trace is left of a fetch that got nothing.
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    };
    check(Reply::new(401, b""), &[REPO, "main", "HF_TOKEN"], 1);
    check(Reply::new(404, b""), &[REPO, "--revision"], 1);
    check(Reply::new(500, b""), &["status 500"], 3);
    check(Reply::new(200, b"<html>"), &["cannot be read"], 1);
    let mut endless = Reply::new(200, &[b' '; 65_536]);
    (endless.length, endless.endless) = (None, true);
    check(endless, &["does not come to an end"], 1);
    let mut cut = Reply::new(200, b"{\"sha\": ");
    cut.length = Some(100);
    check(cut, &["127.0.0.1"], 3);
}

#[test]
fn what_moved_on_the_hub_is_fetched_and_what_stayed_is_not() {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("m");
    let breaks: Change = Box::new(|request, mut honest| {
        honest.cut = Some(honest.body.len() / 2).filter(|_| request.path.contains("decoder"));
        honest
    });
    let repository = Repository::start(model(), as_is(), breaks);
    raw(&repository, &order(target.clone(), None)).unwrap_err();
    let staging = home.path().join(".m.fetch/stock");
    let part = staging.join("onnx/decoder_model_merged.onnx.part");
    assert!(0 < fs::metadata(&part).unwrap().len());
    assert!(!target.exists());
    // The encoder is another one now; the decoder and its half are the same.
    let mut files = model();
    let encoder = "onnx/encoder_model.onnx";
    files.insert(encoder.into(), Held::large(b"another"));
    let repository = Repository::start(files, as_is(), as_is());
    raw(&repository, &order(target.clone(), None)).unwrap();
    assert_eq!(fs::read(target.join(encoder)).unwrap(), b"another");
    let stored = repository.store.requests();
    let ranges: Vec<_> = stored
        .iter()
        .map(|r| r.headers.contains_key("range"))
        .collect();
    assert_eq!(ranges, [false, true]);
}

#[test]
fn folders_that_cannot_be_made_and_disks_without_room_are_named() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    let repository = Repository::start(model(), as_is(), as_is());
    for folder in [home.path().join("file/m"), PathBuf::from("/proc/pressel/m")] {
        let error = raw(&repository, &order(folder, None)).unwrap_err();
        assert_eq!(error.kind(), Kind::Disk);
        assert!(error.to_string().contains("--to"), "{error}");
    }
    assert!(repository.hub.requests().is_empty());

    assert_eq!(needed_bytes(10, 100, false), 10 + RESERVE_BYTES);
    assert_eq!(needed_bytes(10, 100, true), 60 + RESERVE_BYTES);
    check_room(home.path(), 1).unwrap();
    let error = check_room(home.path(), u64::MAX).unwrap_err();
    assert!(matches!(error, HubError::NoRoom { .. }), "{error}");
}

#[test]
fn two_fetches_of_one_model_do_not_meet() {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("m");
    let began = Arc::new(AtomicUsize::new(0));
    let (place, inner) = (target.clone(), Arc::clone(&began));
    // While the first one is at work, the second one is told so.
    let hub: Change = Box::new(move |request, honest| {
        if request.path.contains("/api/") && inner.fetch_add(1, Ordering::Relaxed) == 0 {
            let other = Repository::start(model(), as_is(), as_is());
            let error = raw(&other, &order(place.clone(), None)).unwrap_err();
            assert!(matches!(error, HubError::Busy(_)), "{error}");
        }
        honest
    });
    let repository = Repository::start(model(), hub, as_is());
    raw(&repository, &order(target, None)).unwrap();
    assert_eq!(began.load(Ordering::Relaxed), 1);
}
