//! What may be said when.
//!
//! Flow: logits behind the tokens so far -> those of what may not be said struck out. No allocation
//! after construction. The order is that of transformers: begin, lists, timestamps.

use super::{
    folder::Folder,
    sampling::{highest, sum_of_exponents},
    timestamps::Timestamps,
};
use crate::{DecodeOptions, LoadError, ModelError};

/// In [`DecodeOptions::suppress_tokens`], the model's own list.
const OWN_LIST: i64 = -1;

/// Tokens that steer the decoder and are never part of what was said.
const CONTROL: [&str; 7] = [
    "<|startoftranscript|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|nocaptions|>",
];

/// What may be said when.
pub(super) struct Rules {
    /// Tokens that are never said: the control tokens.
    control: Vec<usize>,
    /// The model's own list of tokens that are not said.
    suppress: Vec<usize>,
    /// Tokens that are not said first.
    begin_suppress: Vec<usize>,
    end: Vec<i64>,
    no_speech: Option<usize>,
    /// None when the model has no timestamps.
    pub(super) timestamps: Option<Timestamps>,
    /// Tokens in the longest transcript, its beginning included.
    pub(super) length_max: usize,
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
        let end = folder.end_tokens()?;
        let quiet = generation
            .no_timestamps_token_id
            .or_else(|| folder.id("<|notimestamps|>"));
        let timestamps = match (quiet, end.first()) {
            (Some(quiet), Some(&end)) => Timestamps::new(quiet, end, folder.config.vocab_size),
            _ => None,
        };
        let control = CONTROL.iter().filter_map(|token| folder.id(token));
        Ok(Self {
            control: control.map(|token| token as usize).collect(),
            suppress: list("suppress_tokens", &generation.suppress_tokens)?,
            begin_suppress: list("begin_suppress_tokens", &generation.begin_suppress_tokens)?,
            end,
            no_speech: no_speech.map(|token| token as usize),
            timestamps,
            length_max: generation.max_length.unwrap_or(positions).min(positions),
        })
    }

    /// Strikes out what may not follow `tokens`. `timed` asks for timestamps.
    pub(super) fn strike(
        &self,
        logits: &mut [f32],
        tokens: &[u32],
        timed: bool,
        options: &DecodeOptions,
    ) {
        let mut strike = |list: &[usize]| {
            for &token in list {
                logits[token] = f32::NEG_INFINITY;
            }
        };
        strike(&self.control);
        if tokens.is_empty() && options.suppress_blank {
            strike(&self.begin_suppress);
        }
        for &token in &options.suppress_tokens {
            if token == OWN_LIST {
                strike(&self.suppress);
            } else if let Ok(token) = usize::try_from(token) {
                strike(&[token]);
            }
        }
        if let Some(timestamps) = self.timestamps.filter(|_| timed) {
            timestamps.strike(logits, tokens, options.max_initial_timestamp);
        }
    }

    /// Returns the first token of `list` that the model does not have.
    pub(super) fn unknown(&self, list: &[i64], vocab_size: usize) -> Option<i64> {
        let known = |token: i64| {
            token == OWN_LIST || usize::try_from(token).is_ok_and(|token| token < vocab_size)
        };
        list.iter().copied().find(|&token| !known(token))
    }

    /// Returns the probability that nothing is said, if the model can say so.
    ///
    /// `logits` are those behind the start token, nothing struck out; none when the graph gives
    /// only the last ones.
    pub(super) fn no_speech(&self, logits: Option<&[f32]>) -> Result<Option<f32>, ModelError> {
        let (Some(token), Some(logits)) = (self.no_speech, logits) else {
            return Ok(None);
        };
        let (_, top) = highest(logits);
        let sum = sum_of_exponents(logits, top)?;
        Ok(Some((logits[token] - top).exp() / sum))
    }

    /// Returns the tokens that end the transcript.
    pub(super) fn ends(&self) -> impl Iterator<Item = u32> {
        self.end
            .iter()
            .filter_map(|&token| u32::try_from(token).ok())
    }

    /// Returns true when `token` ends the transcript.
    pub(super) fn is_end(&self, token: u32) -> bool {
        self.end.contains(&i64::from(token))
    }

    /// Returns true when `token` is a timestamp.
    pub(super) fn is_timestamp(&self, token: u32) -> bool {
        self.timestamps
            .is_some_and(|timestamps| timestamps.first <= token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            control: vec![2],
            suppress: vec![3],
            begin_suppress: vec![0],
            end: vec![0],
            no_speech: Some(1),
            timestamps: None,
            length_max: 10,
        }
    }

    /// Strikes with all logits 1 and compares the tokens that are left.
    fn check(tokens: &[u32], change: impl Fn(&mut DecodeOptions), left: &[usize]) {
        let mut options = DecodeOptions::default();
        change(&mut options);
        let mut logits = [1.0; 5];
        rules().strike(&mut logits, tokens, false, &options);
        let found: Vec<usize> = (0..5).filter(|&token| logits[token] == 1.0).collect();
        assert_eq!(found, left, "{tokens:?}");
    }

    #[test]
    fn lists_strike_out_what_they_name() {
        check(&[], |_| (), &[1, 4]);
        check(&[1], |_| (), &[0, 1, 4]);
        check(&[], |options| options.suppress_blank = false, &[0, 1, 4]);
        check(
            &[1],
            |options| options.suppress_tokens.clear(),
            &[0, 1, 3, 4],
        );
        check(
            &[1],
            |options| options.suppress_tokens = vec![1, -1],
            &[0, 4],
        );
    }

    #[test]
    fn a_token_that_the_model_does_not_have_is_found() {
        assert_eq!(rules().unknown(&[-1, 4], 5), None);
        assert_eq!(rules().unknown(&[-1, 5], 5), Some(5));
        assert_eq!(rules().unknown(&[-2], 5), Some(-2));
    }

    #[test]
    fn silence_has_its_probability_among_all_tokens() {
        let silent = rules().no_speech(Some(&[0.0; 4])).unwrap().unwrap();
        assert!((silent - 0.25).abs() < 1e-6);
        assert_eq!(rules().no_speech(None), Ok(None));
        let broken = rules().no_speech(Some(&[f32::NAN; 4]));
        assert_eq!(broken, Err(ModelError::BadOutput));
    }

    #[test]
    fn ends_are_known_and_without_timestamps_no_token_is_one() {
        let rules = rules();
        assert!(rules.is_end(0) && !rules.is_end(1));
        assert!(!rules.is_timestamp(4));
    }
}
