//! Hashes of files, written as hexadecimal digits.
//!
//! A file in, its hash out. A flag ends the work on a large file; who waits is told how far it is.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// Returns the SHA-256 of a file and its length in bytes.
///
/// # Errors
/// Those of reading; [`io::ErrorKind::Interrupted`] once `asked` is set.
pub fn sha256(
    path: &Path,
    asked: &AtomicBool,
    tell: &mut dyn FnMut(u64),
) -> io::Result<(String, u64)> {
    of_file(path, Sha256::new(), asked, tell)
}

/// Returns what `hasher` makes of a file, and its length in bytes. `tell` gets the bytes read so
/// far.
///
/// # Errors
/// As [`sha256`].
pub fn of_file(
    path: &Path,
    mut hasher: impl Digest,
    asked: &AtomicBool,
    tell: &mut dyn FnMut(u64),
) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    loop {
        if asked.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok((hex(&hasher.finalize()), bytes)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..count]);
        bytes += count as u64;
        tell(bytes);
    }
}

/// Returns bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_hash_that_sha256sum_prints() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let mut told = 0;
        let hash = sha256(&path, &AtomicBool::new(false), &mut |bytes| told = bytes).unwrap();
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((hash, told), ((expected.to_owned(), 3), 3));
        let ended = sha256(&path, &AtomicBool::new(true), &mut |_| ()).unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::Interrupted);
    }
}
