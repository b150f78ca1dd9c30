//! One clear line for a mistake in a TOML file, with the nearest known key.
//!
//! Used for board files here and for the configuration in `firmware`. Text in, value or error out.

use core::fmt;

use serde::de::DeserializeOwned;

/// A data file is not usable: where, why, and the remedy. Prints as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataError {
    /// The file, as the user wrote it.
    pub file: String,
    /// Line in the file, from 1; 0 when the mistake has no line of its own.
    pub line: usize,
    /// What is wrong.
    pub cause: String,
    /// What the user can do; may be empty.
    pub remedy: String,
}

impl DataError {
    /// Makes an error about the file as a whole.
    pub fn new(file: &str, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            cause: cause.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Plain(&self.file))?;
        if 0 < self.line {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", Plain(&self.cause))?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", Plain(&self.remedy))?;
        }
        Ok(())
    }
}

/// Text of a file in which nothing can end the line or talk to the terminal.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        self.0.chars().try_for_each(|c| match c {
            c if c.is_control() => write!(f, "{}", c.escape_default()),
            c => f.write_char(c),
        })
    }
}
impl core::error::Error for DataError {}

/// Reads `text` as TOML into a `T` whose structs deny unknown fields.
///
/// # Errors
/// [`DataError`] with the line; for an unknown key or value also the nearest known one.
pub fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, DataError> {
    toml::from_str(text).map_err(|error| explain(file, text, &error))
}

/// Turns an error of `toml` into one line with file, line, key and nearest known key.
pub fn explain(file: &str, text: &str, error: &toml::de::Error) -> DataError {
    let line = error.span().map_or(0, |span| {
        text.as_bytes()
            .iter()
            .take(span.start)
            .filter(|byte| **byte == b'\n')
            .count()
            + 1
    });
    let (mut cause, remedy) = reword(error.message());
    // A wrong value: the message alone does not say whose.
    let row = line
        .checked_sub(1)
        .and_then(|index| text.lines().nth(index));
    if cause.starts_with("invalid ")
        && let Some((key, _)) = row.and_then(|row| row.split_once('='))
    {
        cause = format!("{}: {cause}", key.trim());
    }
    DataError {
        file: file.to_owned(),
        line,
        cause,
        remedy,
    }
}

/// Returns the known word that is most like `wrong`, when one is like it at all.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this, two words have little in common (0 is nothing, 1 is all).
    const LIKENESS_MIN: f64 = 0.7;
    let likeness = |word: &str| strsim::jaro_winkler(&wrong.to_lowercase(), word);
    known
        .into_iter()
        .map(|word| (likeness(word), word))
        .filter(|(likeness, _)| LIKENESS_MIN <= *likeness)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// Takes serde's message apart: ``unknown field `x`, expected one of `a`, `b` ``.
fn reword(message: &str) -> (String, String) {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (kind, wrong, known) = match words.as_slice() {
        [wrong, known @ ..] if message.starts_with("unknown field") => ("key", wrong, known),
        [wrong, known @ ..] if message.starts_with("unknown variant") => ("value", wrong, known),
        [missing] if message.starts_with("missing field") => {
            return (format!("the key `{missing}` is missing"), String::new());
        }
        _ => return (message.replace('\n', ", "), String::new()),
    };
    let remedy = match (nearest(wrong, known.iter().copied()), known) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "no key is known here".to_owned(),
        (None, known) => format!("known here: {}", known.join(", ")),
    };
    (format!("unknown {kind} `{wrong}`"), remedy)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only the errors are looked at")]
    struct File {
        pre_roll_ms: u32,
        trigger: Option<Trigger>,
        uart: Option<Section>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only the errors are looked at")]
    struct Section {
        baud: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Trigger {
        Voice,
        Button,
    }

    fn check(text: &str, expected: &str) {
        let error = parse::<File>("a.toml", text).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }

    #[test]
    fn a_mistake_is_one_line_with_its_place_and_the_nearest_key() {
        check(
            "\npreroll_ms = 3",
            "a.toml:2: unknown key `preroll_ms`; did you mean `pre_roll_ms`?",
        );
        check(
            "pre_roll_ms = 3\n[uart]\nbuad = 9600",
            "a.toml:3: unknown key `buad`; did you mean `baud`?",
        );
        check(
            "pre_roll_ms = 3\nxyzzy = 1",
            "a.toml:2: unknown key `xyzzy`; known here: pre_roll_ms, trigger, uart",
        );
        check(
            "pre_roll_ms = 3\ntrigger = \"Buton\"",
            "a.toml:2: unknown value `Buton`; did you mean `button`?",
        );
        check(
            "[uart]\nbaud = 1\n",
            "a.toml:1: the key `pre_roll_ms` is missing",
        );
        check(
            "pre_roll_ms = \"3\"",
            "a.toml:1: pre_roll_ms: invalid type: string \"3\", expected u32",
        );
    }

    #[test]
    fn what_the_file_says_cannot_talk_to_the_terminal() {
        check(
            "pre_roll_ms = 3\n\"a\\u001b[2J\\nb\" = 1",
            "a.toml:2: unknown key `a\\u{1b}[2J\\nb`; known here: pre_roll_ms, trigger, uart",
        );
    }

    #[test]
    fn text_that_is_no_toml_gives_its_line() {
        for text in [
            "a = ",
            "[uart",
            "pre_roll_ms = 3\n= 4",
            "\0",
            "a = \"x\ny\"",
        ] {
            let error = parse::<File>("a.toml", text).unwrap_err();
            assert!(
                0 < error.line && !error.to_string().contains('\n'),
                "{text:?}: {error}"
            );
        }
    }
}
