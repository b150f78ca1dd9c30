//! What the virtual board boots: the shipped program, what it needs, and the scripts of cross/vm.
//!
//! In: the built program, fetched models, prepared kernel files. Out: an initial file system, and a
//! recording for the job that the power cut interrupts. Made anew each time; nothing is fetched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::archive::Archive;
use super::debs::Prepared;
use super::failed;
use crate::{Fallible, process};

/// Where the program finds its models, as in a package.
const MODELS: &str = "usr/share/pressel/models";
/// Scripts and sources of the rig.
pub(super) const SCRIPTS: &str = "cross/vm";
/// Sentences and what they say.
const SENTENCES: &str = "firmware/demo";

/// One sentence of the demo.
#[derive(Clone, Debug)]
pub(super) struct Sentence {
    pub(super) file: String,
    pub(super) text: String,
}

/// The sentences that demo.csv lists.
///
/// # Errors
/// There are none.
pub(super) fn sentences() -> Fallible<Vec<Sentence>> {
    let path = crate::root().join(SENTENCES).join("demo.csv");
    let list = fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
    let sentence = |line: &str| {
        let (file, text) = line.split_once(',')?;
        Some(Sentence {
            file: file.to_owned(),
            text: text.to_owned(),
        })
    };
    let found: Vec<_> = list.lines().skip(1).filter_map(sentence).collect();
    if found.is_empty() {
        return Err(format!("{} lists no sentence", path.display()));
    }
    Ok(found)
}

/// A file of this machine, and where it lies in the board.
pub(super) type Placed = (String, PathBuf);

/// What of the program goes into an image.
pub(super) struct Contents<'a> {
    /// The program, without what debuggers want.
    pub(super) program: &'a Path,
    /// ONNX Runtime and the voice activity model for the board's processor.
    pub(super) fetched: &'a Path,
    /// The shared libraries that programs and runtime are loaded with.
    pub(super) libraries: Vec<Placed>,
    /// What else.
    pub(super) others: Vec<Placed>,
}

/// Writes the initial file system.
///
/// # Errors
/// Names the file that is missing.
pub(super) fn write(contents: &Contents, prepared: &Prepared, to: &Path) -> Fallible<()> {
    let mut archive = Archive::new();
    let root = crate::root();
    let scripts = root.join(SCRIPTS);
    archive.copy("init", &scripts.join("init.sh"))?;
    for name in ["agent.sh", "board.sh"] {
        archive.copy(&format!("lib/vm/{name}"), &scripts.join(name))?;
    }
    archive.copy("bin/busybox", &prepared.file("busybox"))?;
    let mut order = String::new();
    for driver in prepared.drivers()? {
        let name = driver.file_name().unwrap_or_default().to_string_lossy();
        archive.copy(&format!("modules/{name}"), &driver)?;
        order += &format!("{name}\n");
    }
    archive.text("modules/order", &order);
    archive.copy("usr/bin/pressel", contents.program)?;
    archive.copy("usr/bin/aplay", &prepared.file("aplay"))?;
    archive.copy("usr/share/alsa", Path::new("/usr/share/alsa"))?;
    archive.copy(
        &format!("{MODELS}/builtin/nano"),
        &root.join("models/builtin/nano"),
    )?;
    archive.copy(&format!("{MODELS}/wake"), &root.join("models/wake"))?;
    for folder in ["onnxruntime", "silero"] {
        let from = contents.fetched.join(folder);
        archive.copy(&format!("{MODELS}/fetched/{folder}"), &from)?;
    }
    archive.copy("demo", &root.join(SENTENCES))?;
    for (path, from) in contents.libraries.iter().chain(&contents.others) {
        archive.copy(path, from)?;
    }
    for folder in ["proc", "sys", "tmp", "run", "mnt"] {
        archive.folder(folder);
    }
    archive.write(to)
}

/// Builds what counts allocations.
///
/// # Errors
/// What the compiler said.
pub(super) fn counter(work: &Path) -> Fallible<PathBuf> {
    let path = work.join("count.so");
    let source = crate::root().join(SCRIPTS).join("count.c");
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]);
    process::output(command.arg("-o").arg(&path).arg(source))?;
    Ok(path)
}

/// The shared libraries that programs are loaded with, on this machine.
///
/// # Errors
/// One of them is not here.
pub(super) fn libraries(programs: &[&Path]) -> Fallible<Vec<Placed>> {
    let mut files = BTreeSet::new();
    for program in programs {
        let text = process::output(Command::new("ldd").arg(program))?;
        if let Some(line) = text.lines().find(|line| line.contains("not found")) {
            return Err(format!("{} needs {}", program.display(), line.trim()));
        }
        let words = text.split_whitespace().filter(|word| word.starts_with('/'));
        files.extend(words.map(str::to_owned));
    }
    Ok(files
        .into_iter()
        .map(|file| (file.clone(), file.into()))
        .collect())
}

/// Samples a second, and bytes of a WAV header, of the demo's recordings and of ours.
const RATE_HZ: u32 = 16_000;
const HEADER_BYTES: usize = 44;
/// Bytes of a second.
const SECOND_BYTES: usize = 2 * RATE_HZ as usize;

/// Writes a recording of all sentences, again and again, with pauses of so many seconds; returns
/// its length in seconds.
///
/// # Errors
/// A sentence cannot be read, or the recording not written.
pub(super) fn record(
    sentences: &[Sentence],
    rounds: usize,
    pause_s: usize,
    path: &Path,
) -> Fallible<usize> {
    let folder = crate::root().join(SENTENCES);
    let mut audio = Vec::new();
    for sentence in sentences.iter().cycle().take(sentences.len() * rounds) {
        let file = folder.join(&sentence.file);
        let bytes = fs::read(&file).map_err(|error| failed("read", &file, &error))?;
        audio.extend(bytes.get(HEADER_BYTES..).unwrap_or_default());
        audio.resize(audio.len() + pause_s * SECOND_BYTES, 0);
    }
    let seconds = audio.len() / SECOND_BYTES;
    let mut bytes = header(audio.len());
    bytes.extend(audio);
    fs::write(path, bytes).map_err(|error| failed("write", path, &error))?;
    Ok(seconds)
}

/// The header of a WAV file: mono, 16 bits.
fn header(audio_bytes: usize) -> Vec<u8> {
    let size = u32::try_from(audio_bytes).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend(b"RIFF");
    bytes.extend((size + 36).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    for field in [16, 0x0001_0001, RATE_HZ, 2 * RATE_HZ, 0x0010_0002] {
        bytes.extend(u32::to_le_bytes(field));
    }
    bytes.extend(b"data");
    bytes.extend(size.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_has_sentences_and_their_texts() {
        let found = sentences().unwrap();
        assert!(
            found.iter().any(|sentence| sentence.text == "stop"),
            "{found:?}"
        );
    }

    #[test]
    fn headers_are_those_of_the_demo() {
        let file = crate::root().join(SENTENCES).join("stop.wav");
        let bytes = fs::read(file).unwrap();
        assert_eq!(header(bytes.len() - HEADER_BYTES), bytes[..HEADER_BYTES]);
    }
}
