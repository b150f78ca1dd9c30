//! Whether tokenizer.json belongs to the other files.
//!
//! At start-up only, nothing is changed. A tokenizer of another model reads numbers as other words:
//! every text would be invented. So the tokens that both sides name must have one number, and the
//! tokenizer must know as many tokens as those of exports do.

use super::{Folder, OneOrMany};
use crate::LoadError;

/// Timestamps of Whisper, 0.00 to 30.00 s: all that older exports leave out of tokenizer.json.
const TIMESTAMPS: usize = 1_501;

/// Checks the vocabulary of `folder` against its configuration.
pub(super) fn check(folder: &Folder) -> Result<(), LoadError> {
    let generation = &folder.generation;
    let ends = generation.eos_token_id.as_ref();
    let ends = ends.or(folder.config.eos_token_id.as_ref());
    if let Some(ends) = ends {
        let ends = match ends {
            OneOrMany::One(end) => core::slice::from_ref(end),
            OneOrMany::Many(ends) => ends,
        };
        let own = folder.id("<|endoftext|>");
        if let (Some(own), Some(&end)) = (own, ends.first())
            && !ends.contains(&own)
        {
            return Err(differs(folder, "<|endoftext|>", own, "eos_token_id", end));
        }
    }
    let start = generation.decoder_start_token_id;
    let start = start.or(folder.config.decoder_start_token_id);
    for (token, key, id) in [
        ("<|startoftranscript|>", "decoder_start_token_id", start),
        (
            "<|notimestamps|>",
            "no_timestamps_token_id",
            generation.no_timestamps_token_id,
        ),
        (
            "<|startofprev|>",
            "prev_sot_token_id",
            generation.prev_sot_token_id,
        ),
    ] {
        agree(folder, token, key, id)?;
    }
    for (task, &id) in generation.task_to_id.iter().flatten() {
        agree(folder, &format!("<|{task}|>"), "task_to_id", Some(id))?;
    }
    for (language, &id) in generation.lang_to_id.iter().flatten() {
        agree(folder, language, "lang_to_id", Some(id))?;
    }
    check_count(folder)
}

/// Checks that `token` has the number `id`, if both sides know it.
fn agree(
    folder: &Folder,
    token: &str,
    key: &'static str,
    id: Option<i64>,
) -> Result<(), LoadError> {
    match (folder.id(token), id) {
        (Some(own), Some(id)) if own != id => Err(differs(folder, token, own, key, id)),
        _ => Ok(()),
    }
}

fn differs(folder: &Folder, token: &str, own: i64, key: &str, id: i64) -> LoadError {
    let problem = format!("of {token} is {own} here, but {id} by {key} of the other files");
    wrong(folder, "the number", problem)
}

/// Only timestamps may be missing, and no more than Whisper has.
fn check_count(folder: &Folder) -> Result<(), LoadError> {
    let vocab_size = folder.config.vocab_size;
    let quiet = folder.generation.no_timestamps_token_id;
    let quiet = quiet.and_then(|quiet| usize::try_from(quiet).ok());
    let text = quiet.filter(|&quiet| quiet < vocab_size);
    let text = text.map_or(0, |quiet| quiet + 1);
    let least = text.max(vocab_size.saturating_sub(TIMESTAMPS));
    let count = folder.vocabulary.count();
    if least <= count {
        return Ok(());
    }
    let problem =
        format!("has {count} tokens, config.json has {vocab_size}: at least {least} are wanted");
    Err(wrong(folder, "vocabulary", problem))
}

fn wrong(folder: &Folder, key: &'static str, problem: String) -> LoadError {
    LoadError::Config {
        file: folder.path.join("tokenizer.json"),
        key,
        problem,
    }
}
