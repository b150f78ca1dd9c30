//! What an utterance is: what is kept around speech, and which silence ends it.
//!
//! Flow: the table `[speech]` -> [`Speech`] -> the numbers of gate and utterance. Plain data.

use serde::Deserialize;

/// What an utterance is.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Speech {
    /// Audio kept from before a press, in milliseconds. At most 1,000.
    pub pre_roll_ms: u64,
    /// Audio kept after a release, in milliseconds.
    pub post_roll_ms: u64,
    /// Audio kept from before speech, in milliseconds. At most 1,000.
    pub start_padding_ms: u64,
    /// Audio kept after speech, in milliseconds.
    pub end_padding_ms: u64,
    /// How long a silence ends hands-free speech: `quick`, `normal` or `patient`.
    pub endpoint: Endpoint,
    /// Speech that opens the gate, in milliseconds.
    pub minimum_ms: u64,
    /// Probability from which on a frame is speech, 0 to 1.
    pub threshold: f32,
    /// Whether recognition begins at a pause, before it is known that nothing more is said.
    pub guess: bool,
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            pre_roll_ms: 500,
            post_roll_ms: 200,
            start_padding_ms: 300,
            end_padding_ms: 300,
            endpoint: Endpoint::default(),
            minimum_ms: 96,
            threshold: 0.35,
            guess: true,
        }
    }
}

/// How long a silence ends hands-free speech.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endpoint {
    /// A quarter of a second: single words and short commands.
    Quick,
    /// 0.7 s: commands and sentences.
    #[default]
    Normal,
    /// 1.25 s: who thinks while speaking, or spells.
    Patient,
}

impl Endpoint {
    /// Returns the silence, in milliseconds.
    #[must_use]
    pub const fn silence_ms(self) -> u64 {
        match self {
            Self::Quick => 250,
            Self::Normal => 700,
            Self::Patient => 1_250,
        }
    }
}

impl Speech {
    /// Checks what no type says; the reason why not in words.
    pub(super) fn check(&self) -> Result<(), String> {
        if 1_000 < self.pre_roll_ms.max(self.start_padding_ms) {
            return Err("speech.pre_roll_ms and speech.start_padding_ms are at most 1000".into());
        }
        if !(0.05..=0.95).contains(&self.threshold) {
            return Err("speech.threshold is between 0.05 and 0.95".into());
        }
        if 5_000 < self.post_roll_ms.max(self.end_padding_ms) {
            return Err("speech.post_roll_ms and speech.end_padding_ms are at most 5000".into());
        }
        // Speech must still be in the history when it opens an utterance.
        if 1_000 < self.minimum_ms {
            return Err("speech.minimum_ms is at most 1000".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::tests::check;

    #[test]
    fn values_out_of_range_are_refused() {
        check("[speech]\npre_roll_ms = 2000", "at most 1000");
        check("[speech]\nstart_padding_ms = 1001", "at most 1000");
        check("[speech]\npost_roll_ms = 5001", "at most 5000");
        check("[speech]\nminimum_ms = 1001", "at most 1000");
        check("[speech]\nthreshold = 1.5", "between 0.05 and 0.95");
    }

    #[test]
    fn silence_that_ends_speech_has_three_names() {
        for (name, silence_ms) in [("quick", 250), ("normal", 700), ("patient", 1_250)] {
            let text = format!("[speech]\nendpoint = \"{name}\"\n");
            let config = Config::parse("pressel.toml", &text).unwrap();
            assert_eq!(config.speech.endpoint.silence_ms(), silence_ms);
            assert_eq!(config.tuning().gate.hangover, silence_ms * 16);
        }
        check(
            "[speech]\nendpoint = \"quik\"",
            "pressel.toml:2: unknown value `quik`; did you mean `quick`?",
        );
        check("[speech]\nendpoint_ms = 700", "did you mean `endpoint`?");
    }
}
