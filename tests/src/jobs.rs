//! `pressel jobs`: recordings that are added, shown, cancelled and tried again by hand.
//!
//! In: the command line, against the running appliance. Out: exit codes, tables, results.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::bad_start::check;
use crate::control::{ask, socket, status};
use crate::files::talk;
use crate::program::{PATIENCE, Ran, command, need_models, run, until};
use crate::rig::{Rig, Setting};
use crate::voice::{babble, silence, wav, word};

fn jobs(rig: &Rig, arguments: &[&str]) -> Ran {
    ask(&socket(rig), &[&["jobs"], arguments].concat())
}

/// Returns the jobs that a command printed with `--json`.
fn told(ran: &Ran) -> Vec<Value> {
    let mut object: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    serde_json::from_value(object["jobs"].take()).unwrap()
}

fn number_of(job: &Value) -> String {
    job["number"].to_string()
}

#[test]
fn jobs_are_added_and_waited_for_shown_cancelled_and_tried_again() {
    need_models!();
    let rig = Rig::ready(&Setting::default());
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let good = write(
        "good.wav",
        &wav(&[silence(0.5), word(), silence(0.5)].concat()),
    );
    let bad = write("bad.wav", b"this is no recording");
    let long = write("long.wav", &wav(&babble(1_800.0)));

    // By a path from where the user is, which is not where the appliance is.
    let ran = run(command(&["jobs", "add", "--wait", "good.wav", "--socket"])
        .arg(socket(&rig))
        .current_dir(folder.path()));
    assert_eq!(ran.status.code(), Some(0), "{ran:?}\n{}", rig.log());
    assert!(
        ran.stdout.contains("done") && ran.stdout.contains(&good),
        "{ran:?}"
    );
    for ending in ["json", "txt", "srt"] {
        assert!(Path::new(&format!("{good}.{ending}")).is_file(), "{ending}");
    }

    let ran = jobs(&rig, &["add", "--wait", "--json", &bad]);
    check(&ran, 1, &["bad.wav", "failed"]);
    let number = number_of(&told(&ran)[0]);
    let ran = jobs(&rig, &["retry", &number, "--json"]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert_eq!(number_of(&told(&ran)[0]), number);

    let ran = jobs(&rig, &["add", "--json", &long]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    let number = number_of(&told(&ran)[0]);
    let has_begun = || {
        let all = told(&jobs(&rig, &["list", "--json"]));
        let job = all.iter().find(|job| number_of(job) == number);
        job.is_some_and(|job| job["percent"] != 0).then_some(())
    };
    assert!(until(PATIENCE, has_begun).is_some(), "{}", rig.log());
    assert_eq!(status(&rig)["jobs"]["running"], 1);
    let ran = jobs(&rig, &["cancel", &number]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert!(ran.stdout.contains("cancelled"), "{ran:?}");
    // What is done is not cancelled any more.
    check(&jobs(&rig, &["cancel", "1"]), 1, &["job 1", "done"]);
    check(&jobs(&rig, &["cancel", "99"]), 1, &["there is no job 99"]);

    let table = jobs(&rig, &["list"]).stdout;
    for words in [
        "done        100%",
        "good.wav",
        "failed",
        "cancelled",
        "long.wav",
    ] {
        assert!(table.contains(words), "`{words}` is not in:\n{table}");
    }
    println!("{table}");
    rig.finish(0);
}

/// More than the socket has places for, all at once.
#[test]
fn sixteen_who_wait_for_one_recording_all_see_its_end() {
    need_models!();
    let rig = Rig::ready(&Setting::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.wav");
    fs::write(&path, wav(&talk(2))).unwrap();
    let path = path.to_str().unwrap();
    std::thread::scope(|scope| {
        let wait = || jobs(&rig, &["add", "--wait", path]);
        let all: Vec<_> = (0..16).map(|_| scope.spawn(wait)).collect();
        for waits in all {
            let ran = waits.join().unwrap();
            assert_eq!(ran.status.code(), Some(0), "{ran:?}\n{}", rig.log());
            assert!(ran.stdout.contains("done"), "{ran:?}");
        }
    });
    rig.finish(0);
}
