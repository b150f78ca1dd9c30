//! The choice of the next token.
//!
//! Flow: logits -> suppressed ones struck out -> the most likely token and its log-probability. No
//! allocation after construction.

use super::folder::Folder;
use crate::{LoadError, ModelError};

/// What may be said when.
pub(super) struct Rules {
    /// Tokens that are never said.
    suppress: Vec<usize>,
    /// Tokens that are not said first.
    begin_suppress: Vec<usize>,
    end: Vec<i64>,
    no_speech: Option<usize>,
    /// The first token that is a timestamp and no text; they are the last of the vocabulary.
    timestamp_first: Option<u32>,
    /// Tokens in the longest transcript, its beginning included.
    pub(super) length_max: usize,
}

/// A chosen token.
#[derive(Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) token: u32,
    /// Natural logarithm of its probability among what may be said.
    pub(super) logprob: f32,
}

impl Rules {
    /// Derives the rules from the folder.
    pub(super) fn derive(folder: &Folder) -> Result<Self, LoadError> {
        let generation = &folder.generation;
        let list = |key, tokens: &Option<Vec<i64>>| -> Result<Vec<usize>, LoadError> {
            // Negative numbers are marks of other decoders, not tokens.
            let tokens = tokens.iter().flatten().filter(|&&token| 0 <= token);
            tokens
                .map(|&token| Ok(folder.known(key, Some(token))? as usize))
                .collect()
        };
        let no_speech = folder
            .id("<|nospeech|>")
            .or_else(|| folder.id("<|nocaptions|>"));
        let positions = folder.config.max_target_positions;
        Ok(Self {
            suppress: list("suppress_tokens", &generation.suppress_tokens)?,
            begin_suppress: list("begin_suppress_tokens", &generation.begin_suppress_tokens)?,
            end: folder.end_tokens()?,
            no_speech: no_speech.map(|token| token as usize),
            timestamp_first: folder.tokenizer.token_to_id("<|0.00|>"),
            length_max: generation.max_length.unwrap_or(positions).min(positions),
        })
    }

    /// Strikes out what may not be said and returns the most likely token.
    pub(super) fn choose(&self, logits: &mut [f32], first: bool) -> Result<Choice, ModelError> {
        let begin: &[usize] = if first { &self.begin_suppress } else { &[] };
        for &token in self.suppress.iter().chain(begin) {
            logits[token] = f32::NEG_INFINITY;
        }
        let (mut best, mut highest) = (0, f32::NEG_INFINITY);
        for (token, &logit) in logits.iter().enumerate() {
            if highest < logit {
                (best, highest) = (token, logit);
            }
        }
        let logprob = -sum_of_exponents(logits, highest)?.ln();
        Ok(Choice {
            token: best as u32,
            logprob,
        })
    }

    /// Returns the probability that nothing is said, if the model can say so.
    ///
    /// `logits` are those after the start token; none when the graph gives only the last ones.
    pub(super) fn no_speech(&self, logits: Option<&[f32]>) -> Result<Option<f32>, ModelError> {
        let (Some(token), Some(logits)) = (self.no_speech, logits) else {
            return Ok(None);
        };
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum = sum_of_exponents(logits, highest)?;
        Ok(Some((logits[token] - highest).exp() / sum))
    }

    /// Returns true when `token` ends the transcript.
    pub(super) fn is_end(&self, token: u32) -> bool {
        self.end.contains(&i64::from(token))
    }

    /// Returns true when `token` is a timestamp.
    pub(super) fn is_timestamp(&self, token: u32) -> bool {
        self.timestamp_first.is_some_and(|first| first <= token)
    }
}

/// Sum of `exp(logit - highest)`. A NaN anywhere, or nothing finite, is a bad output.
fn sum_of_exponents(logits: &[f32], highest: f32) -> Result<f32, ModelError> {
    let sum: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
    if sum.is_finite() && highest.is_finite() {
        Ok(sum)
    } else {
        Err(ModelError::BadOutput)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            suppress: vec![3],
            begin_suppress: vec![0],
            end: vec![0],
            no_speech: Some(1),
            timestamp_first: Some(5),
            length_max: 10,
        }
    }

    fn check(logits: &[f32], first: bool, expected: Result<u32, ModelError>) {
        let choice = rules().choose(&mut logits.to_vec(), first);
        assert_eq!(choice.map(|choice| choice.token), expected, "{logits:?}");
    }

    #[test]
    fn the_likeliest_allowed_token_is_chosen() {
        check(&[1.0, 2.0, 0.0, 9.0], false, Ok(1));
        check(&[5.0, 2.0, 0.0, 9.0], false, Ok(0));
        check(&[5.0, 2.0, 0.0, 9.0], true, Ok(1));
        check(&[2.0, 2.0, 2.0, 2.0], false, Ok(0));
    }

    #[test]
    fn logits_that_are_no_numbers_are_a_bad_output() {
        check(
            &[1.0, f32::NAN, 0.0, 0.0],
            false,
            Err(ModelError::BadOutput),
        );
        check(&[f32::NAN; 4], false, Err(ModelError::BadOutput));
        check(
            &[1.0, f32::INFINITY, 0.0, 0.0],
            false,
            Err(ModelError::BadOutput),
        );
        check(&[f32::NEG_INFINITY; 4], false, Err(ModelError::BadOutput));
    }

    #[test]
    fn probabilities_are_those_of_what_may_be_said() {
        let choice = rules().choose(&mut [0.0, 0.0, 0.0, 50.0], true).unwrap();
        assert!((choice.logprob - 0.5_f32.ln()).abs() < 1e-6);
        let silent = rules()
            .no_speech(Some(&[0.0, 0.0, 0.0, 0.0]))
            .unwrap()
            .unwrap();
        assert!((silent - 0.25).abs() < 1e-6);
        assert_eq!(rules().no_speech(None), Ok(None));
    }

    #[test]
    fn ends_and_timestamps_are_known() {
        let rules = rules();
        assert!(rules.is_end(0) && !rules.is_end(1));
        assert!(rules.is_timestamp(5) && !rules.is_timestamp(4));
    }
}
