//! The tokens that a transcript begins with.
//!
//! Flow: generation_config.json and tokenizer.json -> [`Prompt`], at start-up; what was said
//! before, language and task -> [`Beginning`], for each utterance. As openai-whisper's
//! `_get_initial_tokens` and transformers' `generate`: `<|startofprev|>` and the last of what was
//! said, start, language, task, no timestamps.

use super::{folder::Folder, languages::Spoken, vocabulary::Vocabulary};
use crate::{LoadError, Task};

/// Bytes of what was said before that are looked at: the last of them. Why 4,096: more than 223
/// tokens, which is all that Whisper is told.
const CONTEXT_BYTES_MAX: usize = 4_096;

/// What a transcript may begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    /// The start token.
    pub(super) start: i64,
    /// What follows it in an English-only model.
    english: Vec<i64>,
    transcribe: Option<i64>,
    translate: Option<i64>,
    /// "No timestamps", if the model has it.
    quiet: Option<i64>,
    /// What stands before that which was said before; without it nothing is told.
    previous: Option<i64>,
    /// Tokens at most of what was said before.
    previous_max: usize,
    /// Tokens that no text may bring in.
    special: Vec<u32>,
}

/// The beginning of one transcript.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Beginning {
    /// Not empty once written.
    pub(super) tokens: Vec<i64>,
    /// Place of the start token.
    pub(super) start: usize,
}

impl Prompt {
    /// Derives what is fixed from the folder. `length_max` is the longest transcript, the beginning
    /// included.
    pub(super) fn derive(
        folder: &Folder,
        length_max: usize,
        multilingual: bool,
    ) -> Result<Self, LoadError> {
        let generation = &folder.generation;
        let quiet = generation
            .no_timestamps_token_id
            .or_else(|| folder.id("<|notimestamps|>"))
            .map(|quiet| folder.known("no_timestamps_token_id", Some(quiet)))
            .transpose()?;
        let mut english = Vec::new();
        if !multilingual {
            // English-only exports list what follows the start token by its place.
            for (place, token) in generation.forced_decoder_ids.iter().flatten() {
                if let Some(token) = token.filter(|_| *place == english.len() + 1) {
                    english.push(folder.known("forced_decoder_ids", Some(token))?);
                }
            }
            english.pop_if(|last| Some(*last) == quiet);
        }
        let task = |task: Task| -> Result<Option<i64>, LoadError> {
            let tasks = generation.task_to_id.as_ref();
            let token = tasks.and_then(|ids| ids.get(task.name()).copied());
            let token = token.or_else(|| folder.id(&format!("<|{}|>", task.name())));
            token
                .map(|token| folder.known("task_to_id", Some(token)))
                .transpose()
        };
        let transcribe = task(Task::Transcribe)?;
        if multilingual && transcribe.is_none() {
            return Err(folder.wrong("task_to_id", "has no transcribe".into()));
        }
        // Start, language, task, no timestamps; and one token of the transcript.
        let fixed = 1 + english.len().max(2) + 1;
        let Some(room) = length_max.checked_sub(fixed + 1) else {
            return Err(folder.wrong("forced_decoder_ids", "fill the whole transcript".into()));
        };
        let previous = generation
            .prev_sot_token_id
            .or_else(|| folder.id("<|startofprev|>"));
        Ok(Self {
            start: folder.start_token()?,
            english,
            transcribe,
            translate: task(Task::Translate)?,
            quiet,
            previous: previous
                .map(|token| folder.known("prev_sot_token_id", Some(token)))
                .transpose()?,
            previous_max: (folder.config.max_target_positions / 2)
                .min(room)
                .saturating_sub(1),
            special: folder.vocabulary.added().iter().copied().collect(),
        })
    }

    /// Returns whether the model knows the task; English-only models need not.
    pub(super) fn knows(&self, task: Task) -> bool {
        task == Task::Transcribe || self.translate.is_some()
    }

    /// Appends the tokens of a text that was said before, as Whisper does: trimmed, with one space
    /// before it. Special tokens in it are left out.
    pub(super) fn encode(&self, vocabulary: &Vocabulary, text: &str, tokens: &mut Vec<i64>) {
        let text = last_bytes(text.trim(), CONTEXT_BYTES_MAX).trim();
        if text.is_empty() || self.previous.is_none() {
            return;
        }
        // A text that the tokenizer cannot take is not told.
        if let Some(ids) = vocabulary.encode(&format!(" {text}")) {
            let ids = ids.into_iter();
            tokens.extend(ids.filter(|id| !self.special.contains(id)).map(i64::from));
        }
    }

    /// Writes the beginning of a transcript. `previous` are the tokens of what was said before, the
    /// last of which are told; `timed` asks for timestamps.
    pub(super) fn begin(
        &self,
        previous: &[i64],
        spoken: Spoken,
        task: Task,
        timed: bool,
        beginning: &mut Beginning,
    ) {
        let tokens = &mut beginning.tokens;
        tokens.clear();
        let told = previous.len().min(self.previous_max);
        if let Some(mark) = self.previous.filter(|_| 0 < told) {
            tokens.push(mark);
            tokens.extend_from_slice(&previous[previous.len() - told..]);
        }
        beginning.start = tokens.len();
        tokens.push(self.start);
        if let Some(language) = spoken.token {
            tokens.push(language);
            let task = match task {
                Task::Transcribe => self.transcribe,
                Task::Translate => self.translate,
            };
            tokens.extend(task);
        } else {
            tokens.extend_from_slice(&self.english);
        }
        tokens.extend(self.quiet.filter(|_| !timed));
    }
}

/// Returns the last of `text`, at most `bytes` of it, from the begin of a word on if there is one.
fn last_bytes(text: &str, bytes: usize) -> &str {
    let from = text.len().saturating_sub(bytes);
    if from == 0 {
        return text;
    }
    let tail = &text[text.ceil_char_boundary(from)..];
    tail.find(char::is_whitespace)
        .map_or(tail, |at| &tail[at..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;

    fn prompt() -> Prompt {
        Prompt {
            start: 10,
            english: Vec::new(),
            transcribe: Some(12),
            translate: Some(13),
            quiet: Some(14),
            previous: Some(15),
            previous_max: 3,
            special: Vec::new(),
        }
    }

    fn check(prompt: &Prompt, previous: &[i64], token: Option<i64>, timed: bool, expected: &[i64]) {
        let spoken = Spoken {
            language: Language::ENGLISH,
            token,
            probability: 1.0,
        };
        let mut beginning = Beginning::default();
        prompt.begin(previous, spoken, Task::Translate, timed, &mut beginning);
        assert_eq!(beginning.tokens, expected);
        assert_eq!(beginning.tokens[beginning.start], prompt.start);
    }

    #[test]
    fn a_beginning_has_its_parts_in_order() {
        let multilingual = prompt();
        check(&multilingual, &[], Some(11), false, &[10, 11, 13, 14]);
        check(&multilingual, &[], Some(11), true, &[10, 11, 13]);
        let told = [15, 2, 3, 4, 10, 11, 13];
        check(&multilingual, &[1, 2, 3, 4], Some(11), true, &told);
        let english = Prompt {
            english: vec![9],
            ..prompt()
        };
        check(&english, &[1], None, false, &[15, 1, 10, 9, 14]);
        let deaf = Prompt {
            previous: None,
            ..prompt()
        };
        check(&deaf, &[1, 2], None, true, &[10]);
    }

    #[test]
    fn long_context_is_cut_before_a_word() {
        assert_eq!(last_bytes("one two three", 13), "one two three");
        assert_eq!(last_bytes("one two three", 8), " three");
        assert_eq!(last_bytes("äöü", 3), "ü");
    }
}
