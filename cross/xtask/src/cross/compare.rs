//! Whether an arm64 program hears what this machine's hears.
//!
//! In: both programs and the demo's clips. Out: one line for each question and processor; an error
//! with the first difference. Both are asked the same by the same words, and what they print must
//! be the same, byte for byte: texts, borders of speech in samples, times of segments.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::emulator::{Emulator, PROCESSORS};
use crate::{Fallible, console, process};

/// Something that both are asked about all clips.
struct Question {
    what: &'static str,
    words: &'static [&'static str],
}

const QUESTIONS: [Question; 3] = [
    Question {
        what: "whole transcription",
        words: &["transcribe", "--format", "json"],
    },
    Question {
        what: "speech told from silence, and its texts",
        words: &["replay"],
    },
    Question {
        what: "button held for the whole clip",
        words: &["replay", "--trigger", "ptt"],
    },
];
/// The same for wake words, when their model is there; of the clips, the first has one.
const WAKE: Question = Question {
    what: "wake words",
    words: &[
        "replay",
        "--trigger",
        "wake",
        "models/fixtures/computer.wav",
    ],
};
const WAKE_MODEL: &str = "models/wake/wake.onnx";

/// Asks everything. Returns what was skipped, and why.
///
/// # Errors
/// The first difference, or a program that failed.
pub(super) fn run(native: &Path, emulator: &Emulator, foreign: &Path) -> Fallible<Option<String>> {
    let clips = clips()?;
    console::say(&format!(
        "{} clips of firmware/demo, here and under qemu-user. Emulation shows what is computed; it \
         says nothing about speed",
        clips.len()
    ));
    let ask_here = |words: &[&str]| {
        let mut command = Command::new(native);
        command.current_dir(crate::root());
        process::output(command.args(words).args(&clips))
    };
    let (questions, skipped) = questions(crate::root().join(WAKE_MODEL).exists());
    let mut asked: Vec<(&str, &[&str], String)> = Vec::new();
    for question in questions {
        asked.push((question.what, question.words, ask_here(question.words)?));
    }
    for processor in PROCESSORS {
        emulator.dress(processor)?;
        for (what, words, expected) in &asked {
            let start = Instant::now();
            let mut command = emulator.command(foreign, processor);
            command.current_dir(crate::root()).args(*words).args(&clips);
            let found = process::output(&mut command)?;
            let name = processor.name;
            same(expected, &found).map_err(|why| format!("{what}, {name}: {why}"))?;
            console::say(&format!(
                "{what}: the same {} lines on {name} ({}), emulated in {}",
                expected.lines().count(),
                processor.of,
                console::time(start.elapsed())
            ));
        }
    }
    for line in texts(&asked) {
        console::pass_on(&format!("  {line}"));
    }
    Ok(skipped)
}

/// What is asked, and what is not, and why.
fn questions(has_wake_model: bool) -> (Vec<&'static Question>, Option<String>) {
    let mut questions: Vec<&Question> = QUESTIONS.iter().collect();
    if has_wake_model {
        questions.push(&WAKE);
        return (questions, None);
    }
    let skipped = format!("{} (there is no {WAKE_MODEL})", WAKE.what);
    (questions, Some(skipped))
}

/// The demo's recordings, from the root.
fn clips() -> Fallible<Vec<PathBuf>> {
    let folder = Path::new("firmware/demo");
    let files = std::fs::read_dir(crate::root().join(folder))
        .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let names = files.filter_map(|file| Some(file.ok()?.file_name()));
    let mut clips: Vec<PathBuf> = names
        .map(|name| folder.join(name))
        .filter(|path| path.extension().is_some_and(|end| end == "wav"))
        .collect();
    clips.sort();
    if clips.is_empty() {
        return Err("there are no clips in firmware/demo".to_owned());
    }
    Ok(clips)
}

/// Whether two answers are the same and say something.
fn same(expected: &str, found: &str) -> Fallible<()> {
    if expected.trim().is_empty() {
        return Err("this machine says nothing: there is nothing to compare".to_owned());
    }
    let (mut here, mut there) = (expected.lines(), found.lines());
    loop {
        match (here.next(), there.next()) {
            (None, None) => return Ok(()),
            (ours, theirs) if ours == theirs => {}
            (ours, theirs) => {
                return Err(format!(
                    "this machine says `{}`, arm64 says `{}`",
                    ours.unwrap_or("nothing more"),
                    theirs.unwrap_or("nothing more")
                ));
            }
        }
    }
}

/// What was heard, as the live path told it.
fn texts<'a>(asked: &'a [(&str, &[&str], String)]) -> impl Iterator<Item = &'a str> {
    let replayed = asked.iter().filter(|(_, words, _)| *words == ["replay"]);
    replayed
        .flat_map(|(_, _, answer)| answer.lines())
        .filter(|line| line.contains("text: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_told() {
        let check = |found, expected: &str| match same("a\nb\n", found) {
            Ok(()) => assert_eq!(expected, ""),
            Err(why) => assert!(why.contains(expected), "{why}"),
        };
        check("a\nb\n", "");
        check("a\nc\n", "`b`, arm64 says `c`");
        check("a\n", "`b`, arm64 says `nothing more`");
        check("a\nb\nc\n", "`nothing more`, arm64 says `c`");
    }

    #[test]
    fn wake_words_are_skipped_only_when_they_have_no_model() {
        let (asked, skipped) = questions(false);
        assert_eq!(asked.len(), QUESTIONS.len());
        assert!(skipped.unwrap().contains(WAKE_MODEL));
        let (asked, skipped) = questions(true);
        assert_eq!((asked.len(), skipped), (QUESTIONS.len() + 1, None));
    }

    #[test]
    fn silence_on_both_sides_is_no_proof() {
        assert!(same("", "").is_err());
    }

    #[test]
    fn every_clip_of_the_demo_is_compared() {
        let list = std::fs::read_to_string(crate::root().join("firmware/demo/demo.csv")).unwrap();
        assert_eq!(clips().unwrap().len(), list.lines().count() - 1);
    }
}
