//! Tests of `fetch` that need no network.
//!
//! A folder of the system's temporary place stands for `models/fetched`; files of a few bytes stand
//! for the library. One test a folder, so that they run side by side.

use super::*;

/// A folder of its own for one test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove_folder(&self.0).unwrap();
    }
}

const PIN: Pin = Pin {
    name: "pinned",
    version: "1.0",
    why: "a test",
    platform: None,
    wheel_sha256: "00",
    folder: "folder",
    files: &[("member", "file.bin")],
};

#[test]
fn hash_is_sha256_in_hexadecimal() {
    let folder = Folder::new("hash");
    let path = folder.0.join("abc");
    fs::write(&path, "abc").unwrap();
    // Source: FIPS 180-2, appendix B.1.
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(hash_of(&path).unwrap(), expected);
}

#[test]
fn a_lock_comes_back_as_it_was_written() {
    let folder = Folder::new("lock");
    let path = folder.0.join("lock.toml");
    let mut lock = Lock::default();
    lock.insert("folder", Entry::new(&PIN));
    lock.write(&path).unwrap();
    assert_eq!(Lock::read(&path), lock);
}

#[test]
fn a_missing_or_broken_lock_vouches_for_nothing() {
    let folder = Folder::new("broken");
    let path = folder.0.join("lock.toml");
    assert_eq!(Lock::read(&path), Lock::default());
    fs::write(&path, "[folder]\nversion = 1").unwrap();
    assert_eq!(Lock::read(&path), Lock::default());
}

/// Puts `there` into the folder and asks whether it is what `entry` promises.
fn check(name: &str, there: Option<&str>, change: fn(&mut Entry), expected: bool) {
    let folder = Folder::new(name);
    let place = folder.0.join(PIN.folder);
    fs::create_dir_all(&place).unwrap();
    if let Some(bytes) = there {
        fs::write(place.join("file.bin"), bytes).unwrap();
    }
    let mut entry = Entry::new(&PIN);
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    entry.files.insert("file.bin".to_owned(), hash.to_owned());
    change(&mut entry);
    assert_eq!(is_whole(&PIN, &entry, &folder.0), expected, "{name}");
}

#[test]
fn only_the_pinned_files_count_as_whole() {
    check("right", Some("abc"), |_| {}, true);
    check("cut", Some("ab"), |_| {}, false);
    check("absent", None, |_| {}, false);
    check(
        "old-version",
        Some("abc"),
        |entry| entry.version = "0.9".to_owned(),
        false,
    );
    check(
        "old-wheel",
        Some("abc"),
        |entry| entry.wheel_sha256 = "ff".to_owned(),
        false,
    );
    check("unlisted", Some("abc"), |entry| entry.files.clear(), false);
}

#[test]
fn every_pin_has_a_whole_hash_and_its_own_folder() {
    for arch in Arch::value_variants() {
        let [runtime, silero] = pins::for_arch(*arch);
        assert_ne!(runtime.folder, silero.folder);
        for pin in [runtime, silero] {
            assert_eq!(pin.wheel_sha256.len(), 64, "{}", pin.name);
            assert!(
                pin.platform.is_none_or(|tag| tag.ends_with(arch.name())),
                "{}",
                pin.name
            );
        }
    }
}
