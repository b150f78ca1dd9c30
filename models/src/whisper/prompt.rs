//! The tokens that a transcript begins with.
//!
//! Flow: generation_config.json and tokenizer.json -> start, language, task, no timestamps. At
//! start-up only. It repeats what transformers' `WhisperForConditionalGeneration.generate` does.

use super::folder::Folder;
use crate::LoadError;

/// The beginning of each transcript.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    /// Not empty.
    pub(super) tokens: Vec<i64>,
    /// Whether the model knows more languages than English.
    pub(super) multilingual: bool,
}

impl Prompt {
    /// Derives the beginning from the folder.
    pub(super) fn derive(folder: &Folder, language: [u8; 2]) -> Result<Self, LoadError> {
        let generation = &folder.generation;
        let mut tokens = vec![folder.start_token()?];
        let languages = generation.lang_to_id.as_ref();
        let multilingual = generation.is_multilingual.unwrap_or(languages.is_some());
        if multilingual {
            let name = format!("<|{}|>", String::from_utf8_lossy(&language));
            let listed = languages.and_then(|ids| ids.get(&name).copied());
            let token = listed.or_else(|| folder.id(&name));
            if token.is_none() {
                return Err(folder.wrong("lang_to_id", format!("has no {name}")));
            }
            tokens.push(folder.known("lang_to_id", token)?);
            let tasks = generation.task_to_id.as_ref();
            let task = tasks.and_then(|ids| ids.get("transcribe").copied());
            let task = task.or_else(|| folder.id("<|transcribe|>"));
            tokens.push(folder.known("task_to_id", task)?);
        } else {
            // English-only exports list what follows the start token by its place.
            for (place, token) in generation.forced_decoder_ids.iter().flatten() {
                if let Some(token) = token.filter(|_| *place == tokens.len()) {
                    tokens.push(folder.known("forced_decoder_ids", Some(token))?);
                }
            }
        }
        let quiet = generation
            .no_timestamps_token_id
            .or_else(|| folder.id("<|notimestamps|>"));
        if let Some(quiet) = quiet {
            let quiet = folder.known("no_timestamps_token_id", Some(quiet))?;
            if tokens.last() != Some(&quiet) {
                tokens.push(quiet);
            }
        }
        if folder.config.max_target_positions <= tokens.len() {
            return Err(folder.wrong("forced_decoder_ids", "fill the whole transcript".into()));
        }
        Ok(Self {
            tokens,
            multilingual,
        })
    }
}
