//! The languages of one model, and which of them is spoken.
//!
//! Flow: generation_config.json and tokenizer.json -> [`Languages`]; logits behind the start token
//! -> the likeliest language and how likely it is. As Whisper's `detect_language`.

use super::{
    folder::Folder,
    sampling::{highest, sum_of_exponents},
};
use crate::{Language, LoadError, ModelError};

/// The languages that a model knows, with their tokens; English alone has none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Languages {
    listed: Vec<(Language, i64)>,
}

/// The language of an utterance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spoken {
    pub(super) language: Language,
    /// None in an English-only model.
    pub(super) token: Option<i64>,
    /// 0 to 1; 1 when it was not detected.
    pub(super) probability: f32,
}

impl Languages {
    /// Derives the languages from the folder: its list, else the tokens of those that Whisper
    /// knows.
    pub(super) fn derive(folder: &Folder) -> Result<Self, LoadError> {
        let ids = folder.generation.lang_to_id.as_ref();
        if !folder.generation.is_multilingual.unwrap_or(ids.is_some()) {
            return Ok(Self { listed: Vec::new() });
        }
        let mut listed = Vec::new();
        for (name, &token) in ids.into_iter().flatten() {
            let code = name
                .strip_prefix("<|")
                .and_then(|name| name.strip_suffix("|>"));
            let Some(language) = code.and_then(Language::of_code) else {
                return Err(folder.wrong("lang_to_id", format!("has the name {name}")));
            };
            listed.push((language, folder.known("lang_to_id", Some(token))?));
        }
        if ids.is_none() {
            let known = Language::known().filter_map(|(code, _)| {
                let token = folder.id(&format!("<|{code}|>"))?;
                Some((Language::of_code(code)?, token))
            });
            listed.extend(known);
        }
        if listed.is_empty() {
            return Err(folder.wrong("lang_to_id", "has no language".into()));
        }
        listed.sort_unstable_by_key(|&(_, token)| token);
        listed.dedup_by_key(|&mut (_, token)| token);
        Ok(Self { listed })
    }

    /// Returns whether the model knows more languages than English.
    pub(super) fn are_many(&self) -> bool {
        !self.listed.is_empty()
    }

    /// Returns what is known of the language before anything is heard: `None` when it is to be
    /// detected.
    ///
    /// # Errors
    /// [`ModelError::BadInput`] when the model does not know the asked one.
    pub(super) fn asked(&self, asked: Option<Language>) -> Result<Option<Spoken>, ModelError> {
        if !self.are_many() {
            return Ok(Some(Spoken {
                language: Language::ENGLISH,
                token: None,
                probability: 1.0,
            }));
        }
        let Some(asked) = asked else { return Ok(None) };
        let found = self.listed.iter().find(|&&(language, _)| language == asked);
        let &(language, token) = found.ok_or(ModelError::BadInput)?;
        Ok(Some(Spoken {
            language,
            token: Some(token),
            probability: 1.0,
        }))
    }

    /// Returns the likeliest language. `logits` are those behind the start token alone; they are
    /// changed.
    pub(super) fn detect(&self, logits: &mut [f32]) -> Result<Spoken, ModelError> {
        // The languages' own logits to the front: tokens are in order, so none is overwritten.
        for (place, &(_, token)) in self.listed.iter().enumerate() {
            logits[place] = logits[token as usize];
        }
        let logits = &logits[..self.listed.len()];
        let (place, top) = highest(logits);
        let (language, token) = self.listed[place];
        Ok(Spoken {
            language,
            token: Some(token),
            probability: 1.0 / sum_of_exponents(logits, top)?,
        })
    }

    /// Returns the codes of all of them, for a message.
    pub(super) fn codes(&self) -> String {
        let codes = self.listed.iter().map(|(language, _)| language.code());
        codes.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn languages() -> Languages {
        let listed = [("en", 2), ("de", 3), ("yue", 5)];
        let listed = listed.map(|(code, token)| (Language::of_code(code).unwrap(), token));
        Languages {
            listed: listed.into(),
        }
    }

    fn check(mut logits: [f32; 6], expected: Result<(&str, f32), ModelError>) {
        let spoken = languages().detect(&mut logits);
        let found = spoken
            .as_ref()
            .map(|spoken| (spoken.language.code(), spoken.probability));
        match (found, expected) {
            (Ok((code, found)), Ok((expected, probability))) => {
                assert_eq!(code, expected);
                assert!((found - probability).abs() < 1e-6, "{found}");
            }
            (found, expected) => assert_eq!(found.map_err(|error| *error), expected),
        }
    }

    #[test]
    fn the_likeliest_language_wins_whatever_other_tokens_say() {
        check([9.0, 9.0, 0.0, 3_f32.ln(), 9.0, 0.0], Ok(("de", 0.6)));
        check([9.0, 9.0, 0.0, 0.0, 9.0, 2_f32.ln()], Ok(("yue", 0.5)));
        check(
            [0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0],
            Err(ModelError::BadOutput),
        );
    }

    #[test]
    fn asked_languages_are_known_or_refused_and_english_alone_asks_nobody() {
        let asked = |code: &str| languages().asked(Language::of_code(code));
        assert_eq!(asked("de").unwrap().unwrap().token, Some(3));
        assert_eq!(asked("fi"), Err(ModelError::BadInput));
        assert_eq!(languages().asked(None), Ok(None));
        let english = Languages { listed: Vec::new() };
        let spoken = english.asked(Language::of_code("fi")).unwrap().unwrap();
        assert_eq!((spoken.language, spoken.token), (Language::ENGLISH, None));
    }
}
