//! Tests of the folder of recordings.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::cli::evaluate::manifest;

fn label(text: &str) -> Label {
    Label {
        category: Label::category(text, false),
        text: text.to_owned(),
        speaker: "Ann B.".to_owned(),
        licence: "mine, \"not\" yours".to_owned(),
        note: "level -12 dB".to_owned(),
    }
}

fn room() -> Label {
    Label {
        category: "noise",
        text: String::new(),
        speaker: String::new(),
        ..label("")
    }
}

fn list(folder: &Path) -> String {
    fs::read_to_string(folder.join(MANIFEST)).unwrap()
}

#[test]
fn takes_are_counted_over_runs_and_named_one_after_the_other() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a/mine");
    let mut folder = Folder::open(&path).unwrap();
    let samples = vec![100; 16_000];
    assert_eq!(folder.takes(&label("go left")), 0);
    let first = folder.keep(&label("go left"), &samples).unwrap();
    assert_eq!(first, "words/ann-b/go-left-01.wav");
    drop(folder);
    let mut folder = Folder::open(&path).unwrap();
    assert_eq!(folder.takes(&label("Go left!")), 1);
    assert_eq!(folder.takes(&label("left")), 0);
    let other = Label {
        speaker: "bob".to_owned(),
        ..label("go left")
    };
    assert_eq!(folder.takes(&other), 0);
    let second = folder.keep(&label("go left"), &samples).unwrap();
    assert_eq!(second, "words/ann-b/go-left-02.wav");
    assert_eq!(folder.takes(&label("go left")), 2);
    let lines = list(&path);
    assert_eq!(lines.lines().count(), 3, "{lines}");
    let row = lines.lines().nth(1).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "words/ann-b/go-left-01.wav,command,1.000,16000,1,go left,Ann B.,yes,\
         \"mine, \"\"not\"\" yours\",pressel record {version},level -12 dB"
    );
    assert_eq!(row, expected);
}

#[test]
fn evaluate_reads_what_was_kept() {
    let place = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(place.path()).unwrap();
    let samples: Vec<i16> = (0..5_000).collect();
    folder.keep(&label("stop"), &samples).unwrap();
    folder.keep(&room(), &samples).unwrap();
    let rows = manifest::read(&folder.manifest()).unwrap();
    assert_eq!(rows[0].category, "word");
    assert_eq!((&*rows[0].text, &*rows[0].human), ("stop", "yes"));
    assert_eq!(rows[1].category, "noise");
    assert_eq!(rows[1].human, "n/a");
    assert_eq!(rows[1].file, place.path().join("noise/room-01.wav"));
    let heard = crate::cli::evaluate::clip::read(&rows[0].file).unwrap();
    assert_eq!(heard, samples);
}

#[test]
fn wake_words_and_words_lie_apart_and_count_apart() {
    let place = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(place.path()).unwrap();
    let wake = Label {
        category: Label::category("stop", true),
        ..label("stop")
    };
    assert_eq!(
        folder.keep(&wake, &[1; 16]).unwrap(),
        "wake/ann-b/stop-01.wav"
    );
    assert_eq!((folder.takes(&wake), folder.takes(&label("stop"))), (1, 0));
}

#[test]
fn a_take_whose_file_was_taken_away_is_missing_and_its_row_is_replaced() {
    let place = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(place.path()).unwrap();
    for _ in 0..2 {
        folder.keep(&label("stop"), &[1; 16]).unwrap();
    }
    fs::remove_file(place.path().join("words/ann-b/stop-01.wav")).unwrap();
    assert_eq!(folder.takes(&label("stop")), 1);
    let again = folder.keep(&label("stop"), &[1; 16]).unwrap();
    assert_eq!(again, "words/ann-b/stop-01.wav");
    assert_eq!(list(place.path()).lines().count(), 3);
}

#[test]
fn what_is_there_without_a_row_is_not_written_over() {
    let place = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(place.path()).unwrap();
    let there = place.path().join("noise/room-01.wav");
    fs::create_dir(place.path().join("noise")).unwrap();
    fs::write(&there, "mine").unwrap();
    assert_eq!(
        folder.keep(&room(), &[1; 32_000]).unwrap(),
        "noise/room-02.wav"
    );
    assert_eq!(fs::read_to_string(there).unwrap(), "mine");
    assert_eq!(folder.room_seconds(), 2.0);
}

#[test]
fn rows_of_others_stay_and_a_list_without_its_last_line_break_is_gone_on_with() {
    let place = tempfile::tempdir().unwrap();
    let row = "b.flac,talk,2,8000,2,\"one, two\",x,no,CC0,web,";
    let text = format!("{}\n{row}", COLUMNS.join(","));
    fs::write(place.path().join(MANIFEST), text).unwrap();
    let mut folder = Folder::open(place.path()).unwrap();
    folder.keep(&label("stop"), &[1; 16]).unwrap();
    assert_eq!(list(place.path()).lines().nth(1), Some(row));
    assert_eq!(list(place.path()).lines().count(), 3);
}

#[test]
fn a_list_of_another_kind_is_refused_with_a_remedy() {
    let place = tempfile::tempdir().unwrap();
    let check = |text: &str, expected: &str| {
        fs::write(place.path().join(MANIFEST), text).unwrap();
        let error = Folder::open(place.path()).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        for expected in [expected, "manifest.csv", "--out"] {
            assert!(error.message.contains(expected), "{}", error.message);
        }
        assert_eq!(list(place.path()), text);
    };
    check("file,category,text\na,b,c\n", "file,category,seconds");
    check("", "another list");
    check(&format!("{}\na,b\n", COLUMNS.join(",")), "line");
}

#[test]
fn two_at_once_in_one_folder_are_one_too_many() {
    let place = tempfile::tempdir().unwrap();
    let first = Folder::open(place.path()).unwrap();
    let error = Folder::open(place.path()).err().unwrap();
    assert!(
        error.message.contains("another `pressel record`"),
        "{error}"
    );
    drop(first);
    assert!(Folder::open(place.path()).is_ok());
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("file"), "").unwrap();
    let error = Folder::open(&place.path().join("file/mine")).err().unwrap();
    assert_eq!(error.exit_code(), 5);
    assert!(error.message.contains("file/mine"), "{error}");
    let mut folder = Folder::open(&place.path().join("mine")).unwrap();
    // A file where the folder of the words would be.
    fs::write(place.path().join("mine/words"), "").unwrap();
    let error = folder.keep(&label("stop"), &[1; 16]).unwrap_err();
    assert!(error.message.contains("mine/words/ann-b"), "{error}");
    assert!(!folder.manifest().exists());
    if !rustix::process::getuid().is_root() {
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o500)).unwrap();
        let error = Folder::open(&place.path().join("other")).err().unwrap();
        assert!(error.message.contains("right to it"), "{error}");
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn a_file_that_cannot_get_its_name_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(place.path()).unwrap();
    // A folder where the list would be.
    fs::create_dir(folder.manifest()).unwrap();
    let error = folder.keep(&label("stop"), &[1; 16]).unwrap_err();
    assert!(error.message.contains("manifest.csv"), "{error}");
    let names = fs::read_dir(place.path()).unwrap().count();
    assert_eq!(names, 2, "the folders of the words and of the list");
    let words = place.path().join("words/ann-b");
    assert_eq!(fs::read_dir(words).unwrap().count(), 0);
    assert_eq!(folder.takes(&label("stop")), 0);
}

#[test]
fn what_a_disk_says_has_its_remedy() {
    for (kind, remedy) in [
        (io::ErrorKind::StorageFull, "make room"),
        (io::ErrorKind::ReadOnlyFilesystem, "read-only"),
        (io::ErrorKind::PermissionDenied, "the right to it"),
        (io::ErrorKind::NotADirectory, "--out"),
    ] {
        let failure = cannot_write(Path::new("mine/a.wav"), &io::Error::from(kind));
        assert_eq!(failure.exit_code(), 5);
        for words in ["mine/a.wav", remedy] {
            assert!(failure.message.contains(words), "{failure}");
        }
    }
}

#[test]
fn names_of_files_have_nothing_that_leads_elsewhere() {
    for (text, expected) in [
        ("What's up?", "whats-up"),
        ("../../etc/passwd", "etc-passwd"),
        ("Größe 7", "größe-7"),
        ("..", "x"),
    ] {
        assert_eq!(safe(text), expected);
    }
    let long = safe(&"ö".repeat(100));
    assert_eq!(long, "ö".repeat(30));
}
