//! The list of recordings that are judged with: a CSV file, one line a recording.
//!
//! In: the file. Out: its rows, with paths that can be opened. Columns that are needed: `file`
//! (relative to the list), `category`, `text`; used when there: `speaker`, `human`, `note`. Others
//! are left alone.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::{Failure, Kind};

/// One recording.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(in crate::cli) struct Row {
    /// The recording.
    pub(in crate::cli) file: PathBuf,
    /// What kind of recording: `word`, `sentence`, `wake`, `noise`, ...
    pub(in crate::cli) category: String,
    /// What is said.
    pub(in crate::cli) text: String,
    /// Who says it.
    #[serde(default)]
    pub(in crate::cli) speaker: String,
    /// Whether a person says it: `yes`, `no`, or what else is known.
    #[serde(default)]
    pub(in crate::cli) human: String,
    /// What else is known; for `vad` the times of speech.
    #[serde(default)]
    pub(in crate::cli) note: String,
}

/// Reads the list.
///
/// # Errors
/// [`Kind::Usage`] with the file, and the line or column that is wrong.
pub(in crate::cli) fn read(path: &Path) -> Result<Vec<Row>, Failure> {
    let wrong = |why: String| Failure::new(Kind::Usage, format!("{}: {why}", path.display()));
    let mut reader = csv::Reader::from_path(path)
        .map_err(|error| wrong(format!("{error}: check the path of --manifest")))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut rows = Vec::new();
    for row in reader.deserialize() {
        let mut row: Row = row.map_err(|error| {
            wrong(format!(
                "{error}: the columns file, category and text are needed in every line"
            ))
        })?;
        row.file = folder.join(&row.file);
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(wrong("it lists no recording".to_owned()));
    }
    Ok(rows)
}

/// The times of speech that a note tells, in seconds: `speech: 0.36-1.43, 2.02-5.1`. `None` when it
/// tells none.
pub(super) fn speech_times(note: &str) -> Option<Vec<(f64, f64)>> {
    let (_, times) = note.split_once("speech:")?;
    let time = |part: &str| {
        let (start, end) = part.trim().split_once('-')?;
        let (start, end): (f64, f64) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
        (0.0 <= start && start < end).then_some((start, end))
    };
    times.split(',').map(time).collect()
}

/// Words in small letters, without punctuation: what is compared.
pub(in crate::cli) fn words(text: &str) -> Vec<String> {
    let kept = |letter: char| letter.is_alphanumeric() || letter == '\'';
    let parts = text
        .split(|letter| !kept(letter))
        .filter(|word| !word.is_empty());
    parts.map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn rows_are_read_with_and_without_the_columns_that_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        fs::write(
            &path,
            "text,file,category,seconds\n\"go, left\",a/b.wav,word,1.5\n",
        )
        .unwrap();
        let rows = read(&path).unwrap();
        assert_eq!(rows[0].file, folder.path().join("a/b.wav"));
        assert_eq!(rows[0].text, "go, left");
        assert_eq!(rows[0].note, "");
    }

    #[test]
    fn lists_that_are_none_are_named_with_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        for (text, expected) in [
            ("file,text\na.wav,go\n", "category"),
            ("file,category,text\na.wav\n", "line"),
            ("file,category,text\n", "no recording"),
        ] {
            fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.message.contains(expected), "{}", error.message);
            assert!(error.message.contains("list.csv"), "{}", error.message);
        }
        let error = read(Path::new("/no/such.csv")).unwrap_err();
        assert!(error.message.contains("--manifest"), "{}", error.message);
    }

    #[test]
    fn times_of_speech_are_read_out_of_a_note() {
        let found = speech_times("room 2; speech: 0.36-1.43, 2-5.1");
        assert_eq!(found, Some(vec![(0.36, 1.43), (2.0, 5.1)]));
        for none in ["", "speech: ", "speech: 2-1", "speech: 1-2, x"] {
            assert_eq!(speech_times(none), None, "{none}");
        }
    }

    #[test]
    fn words_are_compared_without_capitals_and_punctuation() {
        assert_eq!(
            words("What's the WEATHER like?"),
            ["what's", "the", "weather", "like"]
        );
    }
}
