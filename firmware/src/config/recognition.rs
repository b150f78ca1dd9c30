//! How speech becomes text: language, task, and words to expect.
//!
//! Flow: the table `[recognition]`, or the command line -> [`Recognition`] -> the worker's command
//! line -> [`DecodeOptions`]. Plain data.

use pressel_boards::suggest;
use pressel_models::{DecodeOptions, Language, Task};
use serde::{Deserialize, Deserializer};

/// The word that asks for detection.
const AUTO: &str = "auto";
/// Bytes of a prompt. Why 1,000: more than the 223 tokens that Whisper is told.
const PROMPT_BYTES_MAX: usize = 1_000;

/// How speech becomes text. The built-in model knows English commands only and ignores it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recognition {
    /// The language that is spoken, by code or English name; `None` is `auto`: it is detected.
    #[serde(deserialize_with = "spoken")]
    pub language: Option<Language>,
    /// What becomes of the speech.
    pub task: TaskName,
    /// Names and jargon to expect, written as they are to come out.
    pub prompt: String,
}

/// What becomes of the speech.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum TaskName {
    /// Text in the language that is spoken.
    #[default]
    Transcribe,
    /// Text in English.
    Translate,
}

impl From<TaskName> for Task {
    fn from(name: TaskName) -> Self {
        match name {
            TaskName::Transcribe => Self::Transcribe,
            TaskName::Translate => Self::Translate,
        }
    }
}

impl Recognition {
    /// Returns how an utterance is decoded: Whisper's defaults with this on top.
    #[must_use]
    pub fn options(&self) -> DecodeOptions {
        DecodeOptions {
            language: self.language,
            task: self.task.into(),
            initial_prompt: self.prompt.clone(),
            ..DecodeOptions::default()
        }
    }

    /// Checks what no type says; the reason why not in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        if PROMPT_BYTES_MAX < self.prompt.len() {
            return Err("recognition.prompt is at most 1000 bytes".into());
        }
        if self.prompt.contains(char::is_control) {
            return Err("recognition.prompt is one line of text".into());
        }
        Ok(())
    }
}

/// Returns the language of a code or an English name; `None` is for `auto`.
///
/// # Errors
/// One line with the nearest known code or name.
pub fn language(text: &str) -> Result<Option<Language>, String> {
    if text.trim().eq_ignore_ascii_case(AUTO) {
        return Ok(None);
    }
    if let Some(language) = Language::parse(text) {
        return Ok(Some(language));
    }
    let known = Language::known().flat_map(|(code, name)| [code, name]);
    let remedy = match suggest::nearest(text, known.chain([AUTO])) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "known are Whisper's, as `en` or `german`, and `auto`".to_owned(),
    };
    Err(format!("unknown language `{text}`; {remedy}"))
}

fn spoken<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Language>, D::Error> {
    let text = String::deserialize(deserializer)?;
    language(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Option<&str>, &str>) {
        let found = language(text);
        match (found, expected) {
            (Ok(found), Ok(expected)) => {
                assert_eq!(found.as_ref().map(Language::code), expected, "{text}");
            }
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn languages_have_codes_and_names_and_typos_name_the_nearest() {
        check("auto", Ok(None));
        check("de", Ok(Some("de")));
        check("German", Ok(Some("de")));
        check("haw", Ok(Some("haw")));
        check(
            "germn",
            Err("unknown language `germn`; did you mean `german`?"),
        );
        check("eng", Err("did you mean `en`?"));
        check("atuo", Err("did you mean `auto`?"));
        check("qqq", Err("known are Whisper's"));
    }

    #[test]
    fn what_was_configured_is_what_is_decoded() {
        let recognition = Recognition {
            language: Language::of_code("de"),
            task: TaskName::Translate,
            prompt: "Pressel".to_owned(),
        };
        let options = recognition.options();
        assert_eq!(options.language, recognition.language);
        assert_eq!(options.task, Task::Translate);
        assert_eq!(options.initial_prompt, "Pressel");
        assert_eq!(Recognition::default().options(), DecodeOptions::default());
    }
}
