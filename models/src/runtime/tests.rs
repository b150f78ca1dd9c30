//! Tests of loading ONNX Runtime: order of the paths, wrong files, and the text of the error.
//!
//! Those that need the library print one line and return when it is not fetched.

use super::*;
use crate::testing;

fn check_open(bytes: &[u8], expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    std::fs::write(&path, bytes).unwrap();
    let problem = open(&path).unwrap_err();
    assert!(problem.contains(expected), "{problem}");
}

#[test]
fn the_environment_variable_alone_decides_when_it_is_set() {
    let candidates = [PathBuf::from("/a.so"), PathBuf::from("/b.so")];
    assert_eq!(
        paths(Some("/own.so".into()), &candidates),
        [PathBuf::from("/own.so")]
    );
    let all = [
        PathBuf::from("/a.so"),
        PathBuf::from("/b.so"),
        PathBuf::from(SYSTEM_LIBRARY),
    ];
    assert_eq!(paths(None, &candidates), all);
    assert_eq!(paths(Some("".into()), &candidates), all);
}

#[test]
fn wrong_files_are_errors_and_no_panic() {
    check_open(b"plain text", "is not a shared library");
    // A real library, but not ONNX Runtime: this test program itself has no such entry.
    let program = std::fs::read(env::current_exe().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    std::fs::write(&path, program).unwrap();
    assert!(open(&path).is_err());
}

#[test]
fn the_error_names_each_path_and_the_remedy() {
    let tried = vec![(PathBuf::from("/a.so"), "is not there".to_string())];
    let text = RuntimeError { tried }.to_string();
    assert!(
        text.contains("/a.so is not there; run `cargo xtask fetch`"),
        "{text}"
    );
    assert!(text.contains("ORT_DYLIB_PATH"), "{text}");
}

#[test]
fn a_second_load_returns_the_first_runtime() {
    let Some(runtime) = testing::runtime() else {
        return;
    };
    let again = Runtime::load(&[PathBuf::from("/nowhere.so")]).unwrap();
    assert_eq!(runtime.library(), again.library());
}

#[test]
fn a_provider_that_is_not_there_is_an_error_not_a_fall_back() {
    let Some(runtime) = testing::runtime() else {
        return;
    };
    let Some(file) = testing::silero() else {
        return;
    };
    let settings = SessionSettings {
        threads: 1,
        spin: false,
        provider: Provider::Cuda,
    };
    match runtime.session(&file, settings) {
        Err(LoadError::Provider { name: "cuda", .. }) => {}
        Ok(_) => println!("skipped: this machine has CUDA"),
        Err(other) => panic!("{other}"),
    }
}
