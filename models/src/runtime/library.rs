//! A look at a shared library before it is loaded.
//!
//! The dynamic linker says little about a wrong file, and a truncated one may end the process with
//! a bus error. So the header is read first: magic, word size, machine, and that all segments and
//! the table of sections, which linkers put last, lie inside the file. At start-up only; nothing
//! is mapped or run here. Source: the ELF-64 object file format, version 1.5, and elf(5).

use std::{
    env::consts::ARCH,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// Bytes of the ELF-64 header.
const HEADER_BYTES: usize = 64;
/// Bytes of one ELF-64 program header.
const SEGMENT_BYTES: usize = 56;
/// Segments that a library may have; real ones have about ten.
const SEGMENTS_MAX: u16 = 64;

/// Checks that `path` is a whole shared library for this machine.
///
/// # Errors
/// What is wrong, as words that follow the path in a sentence.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err("is not there".into()),
        Err(error) => return Err(format!("cannot be read ({error})")),
    };
    let bytes = file
        .metadata()
        .map_err(|error| format!("cannot be read ({error})"))?
        .len();
    let mut header = [0; HEADER_BYTES];
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"\x7fELF") {
        return Err("is not a shared library".into());
    }
    // Byte 4 is the word size (2: 64 bits), byte 5 the byte order (1: little-endian).
    if header[4] != 2 || header[5] != 1 {
        return Err("is for another kind of machine (not 64-bit little-endian)".into());
    }
    let machine = u16_at(&header, 18);
    if expected_machine().is_some_and(|expected| expected != machine) {
        return Err(format!(
            "is for {}, this machine is {ARCH}",
            machine_name(machine)
        ));
    }
    tables_inside(&mut file, &header, bytes)
}

fn tables_inside(file: &mut File, header: &[u8], bytes: u64) -> Result<(), String> {
    let truncated = || "is truncated: fetch it again".to_string();
    let count = u16_at(header, 56);
    if u16_at(header, 54) as usize != SEGMENT_BYTES || SEGMENTS_MAX < count {
        return Err("is not a shared library".into());
    }
    let sections = u64::from(u16_at(header, 58)) * u64::from(u16_at(header, 60));
    if u64_at(header, 40)
        .checked_add(sections)
        .is_none_or(|end| bytes < end)
    {
        return Err(truncated());
    }
    file.seek(SeekFrom::Start(u64_at(header, 32)))
        .map_err(|_| truncated())?;
    for _ in 0..count {
        let mut segment = [0; SEGMENT_BYTES];
        file.read_exact(&mut segment).map_err(|_| truncated())?;
        let end = u64_at(&segment, 8).checked_add(u64_at(&segment, 32));
        if end.is_none_or(|end| bytes < end) {
            return Err(truncated());
        }
    }
    Ok(())
}

/// ELF machine number of the machine that this was built for, if known here.
fn expected_machine() -> Option<u16> {
    match ARCH {
        "x86_64" => Some(62),
        "aarch64" => Some(183),
        _ => None,
    }
}

fn machine_name(machine: u16) -> &'static str {
    match machine {
        3 => "x86",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv64",
        _ => "another machine",
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn check_bytes(bytes: &[u8], expected: Result<(), &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lib.so");
        fs::write(&path, bytes).unwrap();
        assert_eq!(check(&path), expected.map_err(str::to_string));
    }

    fn this_program() -> Vec<u8> {
        fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn a_whole_library_passes() {
        check_bytes(&this_program(), Ok(()));
    }

    #[test]
    fn a_file_that_is_not_there_is_named_so() {
        assert_eq!(
            check(Path::new("/nowhere/lib.so")),
            Err("is not there".into())
        );
    }

    #[test]
    fn text_and_empty_files_are_no_library() {
        check_bytes(b"<html>not found</html>", Err("is not a shared library"));
        check_bytes(b"", Err("is not a shared library"));
    }

    #[test]
    fn a_truncated_library_is_found_before_it_is_mapped() {
        let program = this_program();
        check_bytes(
            &program[..program.len() / 2],
            Err("is truncated: fetch it again"),
        );
        check_bytes(
            &program[..HEADER_BYTES],
            Err("is truncated: fetch it again"),
        );
    }

    #[test]
    fn a_library_for_another_machine_is_named_so() {
        let mut program = this_program();
        program[18..20].copy_from_slice(&40_u16.to_le_bytes());
        let expected = format!("is for arm, this machine is {ARCH}");
        check_bytes(&program, Err(&expected));
        program[4] = 1;
        check_bytes(
            &program,
            Err("is for another kind of machine (not 64-bit little-endian)"),
        );
    }
}
