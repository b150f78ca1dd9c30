//! The corpus of the fuzzers, as an ordinary test.
//!
//! In: `tests/fuzz/corpus`, each input that reached something new or broke something once. Out: a
//! failed test when a property does not hold for one of them. Needs no nightly compiler.

#[path = "../fuzz/src/lib.rs"]
#[allow(
    unreachable_pub,
    reason = "the file is the root of another crate as well"
)]
mod fuzz;

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

fn entries(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn names(folder: &str) -> BTreeSet<String> {
    let name = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    entries(folder).iter().map(name).collect()
}

#[test]
fn every_input_of_the_corpus_keeps_its_property() {
    for (name, property) in fuzz::ALL {
        let inputs = entries(&format!("fuzz/corpus/{name}"));
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            let kept = catch_unwind(|| property(&bytes)).is_ok();
            assert!(kept, "{} breaks `{name}`", input.display());
        }
    }
}

#[test]
fn what_the_appliance_itself_writes_keeps_every_property() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fuzz::seeds::write(folder.path(), &repository).unwrap();
    for (name, property) in fuzz::ALL {
        let inputs: Vec<_> = fs::read_dir(folder.path().join(name)).unwrap().collect();
        assert!(!inputs.is_empty(), "{name} has no seed");
        for input in inputs {
            property(&fs::read(input.unwrap().path()).unwrap());
        }
    }
}

#[test]
fn each_property_is_a_fuzz_target() {
    let properties: BTreeSet<_> = fuzz::ALL
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(names("fuzz/fuzz_targets"), properties);
    assert_eq!(names("fuzz/corpus"), properties);
    let manifest = include_str!("../fuzz/Cargo.toml");
    let is_listed = |name: &String| manifest.contains(&format!("\"fuzz_targets/{name}.rs\""));
    assert!(properties.iter().all(is_listed), "{properties:?}");
}
