//! What is to be said: typed, or a file with one phrase a line.
//!
//! In: the arguments. Out: phrases, each once, in their order. `#` begins a remark, as in the files
//! that the training takes.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use pressel_pipeline::limits::{COMMAND_PHRASE_BYTES_MAX, COMMAND_PHRASES_MAX};

use crate::cli::args::RecordArguments;
use crate::cli::evaluate::manifest::words;
use crate::failure::{Failure, Kind};

/// Bytes of a file of phrases. Why so many: the most phrases of the most bytes, and remarks.
const FILE_BYTES_MAX: u64 = 2 * (COMMAND_PHRASES_MAX * COMMAND_PHRASE_BYTES_MAX) as u64;

/// Returns the phrases that were typed and those of the file.
///
/// # Errors
/// [`Kind::Usage`] with the phrase, or the file and its line, that cannot be said.
pub(super) fn gather(arguments: &RecordArguments) -> Result<Vec<String>, Failure> {
    let mut phrases = Vec::new();
    for phrase in &arguments.phrase {
        let wrong = |why| Failure::new(Kind::Usage, format!("--phrase \"{phrase}\": {why}"));
        add(&mut phrases, phrase).map_err(wrong)?;
    }
    if let Some(path) = &arguments.phrases {
        let name = path.display();
        let text = read(path)?;
        let before = phrases.len();
        for (index, line) in text.lines().enumerate() {
            let phrase = line.split('#').next().unwrap_or_default();
            if phrase.trim().is_empty() {
                continue;
            }
            add(&mut phrases, phrase).map_err(|why| {
                let why = format!("{name}:{}: `{}`: {why}", index + 1, phrase.trim());
                Failure::new(Kind::Usage, why)
            })?;
        }
        if before == phrases.len() && arguments.phrase.is_empty() {
            let why = format!("{name}: there is no phrase in it: write one a line");
            return Err(Failure::new(Kind::Usage, why));
        }
    }
    if COMMAND_PHRASES_MAX < phrases.len() {
        let (count, most) = (phrases.len(), COMMAND_PHRASES_MAX);
        let why = format!("{count} phrases; at most {most} at once: record them in parts");
        return Err(Failure::new(Kind::Usage, why));
    }
    Ok(phrases)
}

fn read(path: &Path) -> Result<String, Failure> {
    let name = path.display();
    let wrong = |why: String| Failure::new(Kind::Usage, format!("{name}: {why}"));
    let mut text = String::new();
    let read = File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| wrong(format!("{error}: check the path of --phrases")))?;
    if FILE_BYTES_MAX <= read as u64 {
        return Err(wrong("is too long for a file of phrases".to_owned()));
    }
    Ok(text)
}

/// Adds a phrase that is not there yet.
fn add(phrases: &mut Vec<String>, phrase: &str) -> Result<(), &'static str> {
    let phrase = phrase.split_whitespace().collect::<Vec<_>>().join(" ");
    if words(&phrase).is_empty() {
        return Err("there is nothing in it to say");
    }
    if phrase.chars().any(char::is_control) {
        return Err("has control characters");
    }
    if COMMAND_PHRASE_BYTES_MAX < phrase.len() {
        return Err("is too long: at most 200 bytes");
    }
    if !phrases.iter().any(|known| words(known) == words(&phrase)) {
        phrases.push(phrase);
    }
    Ok(())
}

const _: () = assert!(COMMAND_PHRASE_BYTES_MAX == 200); // said in words above

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Arguments, Command};

    fn gathered(line: &[&str]) -> Result<Vec<String>, Failure> {
        let line = ["pressel", "record", "--out", "mine"].iter().chain(line);
        match Arguments::try_parse_from(line).unwrap().command {
            Command::Record(arguments) => gather(&arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn phrases_are_typed_and_read_and_each_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.txt");
        fs::write(&path, "# lights\n\nlights on  # both\n  STOP\ngo  left\n").unwrap();
        let path = path.to_str().unwrap();
        let found = gathered(&["--phrase", "stop", "--phrase", "yes", "--phrases", path]);
        assert_eq!(found.unwrap(), ["stop", "yes", "lights on", "go left"]);
    }

    #[test]
    fn what_cannot_be_said_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.txt");
        let file = path.to_str().unwrap();
        let check = |line: &[&str], expected: &str| {
            let error = gathered(line).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.message.contains(expected), "{}", error.message);
        };
        check(&["--phrase", "?!"], "\"?!\": there is nothing");
        check(&["--phrase", &"a".repeat(201)], "200 bytes");
        check(&["--phrases", file], "check the path of --phrases");
        fs::write(&path, "# nothing\n").unwrap();
        check(&["--phrases", file], "no phrase in it");
        fs::write(&path, "go\nb\u{7}c\n").unwrap();
        check(&["--phrases", file], "my.txt:2: ");
        let many: String = (0..=500)
            .map(|number| format!("number {number}\n"))
            .collect();
        fs::write(&path, many).unwrap();
        check(&["--phrases", file], "501 phrases");
        let long = "a\n".repeat(usize::try_from(FILE_BYTES_MAX).unwrap());
        fs::write(&path, long).unwrap();
        check(&["--phrases", file], "too long");
    }

    #[test]
    fn a_command_line_without_anything_to_record_is_refused() {
        let parsed = Arguments::try_parse_from(["pressel", "record", "--out", "mine"]);
        let error = parsed.unwrap_err().to_string();
        assert!(error.contains("--noise"), "{error}");
    }
}
