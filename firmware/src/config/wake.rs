//! The words that wake the appliance, and when each counts as said.
//!
//! Flow: the table `[wake]` -> [`Wake`] -> the models of the words. Plain data.

use std::path::PathBuf;

use pressel_pipeline::limits::{HANDS_FREE_SECONDS_MAX, WAKE_SMOOTHING_MAX, WAKE_WORDS_MAX};
use serde::Deserialize;

use super::Commands;
use crate::second_looks::Confirmed;
use crate::stream::WordName;

/// The wake words. They are listened for when the trigger is `wake`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wake {
    /// Folder of openWakeWord's two shared files; `None` is the folder of the word's own file.
    pub features: Option<PathBuf>,
    /// How long the appliance waits for speech after a wake word, in milliseconds.
    pub patience_ms: u64,
    /// The words, at most [`WAKE_WORDS_MAX`].
    pub words: Vec<WakeWord>,
}

impl Default for Wake {
    fn default() -> Self {
        let computer = WakeWord {
            name: "computer".to_owned(),
            ..WakeWord::default()
        };
        Self {
            features: None,
            patience_ms: 5_000,
            words: vec![computer],
        }
    }
}

/// One wake word. What is not said is what its model was judged with.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WakeWord {
    /// The phrase of a network, or any name for a file of openWakeWord.
    pub name: String,
    /// A network with its JSON file beside it, or a head of openWakeWord; `None` is the built-in
    /// network.
    pub file: Option<PathBuf>,
    /// Score from which on it counts as said, 0 to 1.
    pub threshold: Option<f32>,
    /// Scores that are averaged, one every 80 ms.
    pub smoothing: Option<usize>,
    /// Milliseconds in which it counts only once.
    pub refractory_ms: Option<u64>,
    /// Milliseconds from the end of the word to its detection: what is said after it begins there.
    pub lag_ms: Option<u64>,
    /// The recogniser must hear the name in it, too; if not, the utterance is refused.
    pub confirm: bool,
}

impl Wake {
    /// Checks that the recogniser may hear these words: a closed list lets it hear nothing else.
    pub(super) fn check_beside(&self, commands: &Commands) -> Result<(), String> {
        let Some(word) = self.words.iter().find(|word| word.confirm) else {
            return Ok(());
        };
        if commands.list.is_empty() {
            return Ok(());
        }
        let name = &word.name;
        Err(format!(
            "wake.words: confirm of `{name}` needs free words; leave it or [commands] away"
        ))
    }

    /// Returns the words that the recogniser must hear, too.
    #[must_use]
    pub fn confirmed(&self) -> Confirmed {
        let words = self.words.iter().filter(|word| word.confirm);
        words.filter_map(|word| WordName::new(&word.name)).collect()
    }

    /// Checks what no type says; the reason why not in words.
    pub(super) fn check(&self) -> Result<(), String> {
        let longest = HANDS_FREE_SECONDS_MAX as u64 * 1_000;
        if !(500..=longest).contains(&self.patience_ms) {
            return Err(format!("wake.patience_ms is between 500 and {longest}"));
        }
        if !(1..=WAKE_WORDS_MAX).contains(&self.words.len()) {
            return Err(format!("wake.words has 1 to {WAKE_WORDS_MAX} entries"));
        }
        for (at, word) in self.words.iter().enumerate() {
            word.check()?;
            if self.words[..at].iter().any(|other| other.name == word.name) {
                return Err(format!("wake.words: `{}` is there twice", word.name));
            }
        }
        Ok(())
    }
}

impl WakeWord {
    fn check(&self) -> Result<(), String> {
        let WakeWord { name, .. } = self;
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err("wake.words: each entry has a name, on one line".into());
        }
        if WordName::new(name).is_none() {
            return Err(format!("wake.words: the name `{name}` is too long"));
        }
        if self
            .threshold
            .is_some_and(|threshold| !(0.01..=0.999).contains(&threshold))
        {
            return Err(format!(
                "wake.words: threshold of `{name}` is between 0.01 and 0.999"
            ));
        }
        if self
            .smoothing
            .is_some_and(|count| !(1..=WAKE_SMOOTHING_MAX).contains(&count))
        {
            let why = format!("wake.words: smoothing of `{name}` is 1 to {WAKE_SMOOTHING_MAX}");
            return Err(why);
        }
        if self
            .refractory_ms
            .is_some_and(|ms| !(100..=60_000).contains(&ms))
        {
            let why = format!("wake.words: refractory_ms of `{name}` is between 100 and 60000");
            return Err(why);
        }
        if self.lag_ms.is_some_and(|ms| 1_000 < ms) {
            return Err(format!("wake.words: lag_ms of `{name}` is at most 1000"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::tests::check;

    #[test]
    fn words_out_of_range_are_refused() {
        check("[wake]\npatience_ms = 1", "between 500 and 15000");
        check("[wake]\npatience_ms = 15001", "between 500 and 15000");
        check("[wake]\nwords = []", "1 to 4 entries");
        check("[[wake.words]]\nthreshold = 0.5", "each entry has a name");
        check(
            "[[wake.words]]\nname = 'a\\nb'\nthreshhold = 1",
            "threshold",
        );
        let word = |rest: &str| format!("[[wake.words]]\nname = 'computer'\n{rest}");
        check(&word("threshold = 1.5"), "threshold of `computer`");
        check(&word("smoothing = 9"), "1 to 8");
        check(&word("refractory_ms = 0"), "between 100 and 60000");
        check(&word("lag_ms = 2000"), "at most 1000");
        check(&word(&word("")), "`computer` is there twice");
        let closed = "[[commands.list]]\nid = 1\nsay = ['lights on']\n";
        check(
            &(closed.to_owned() + &word("confirm = true")),
            "needs free words",
        );
        let long = "x".repeat(40);
        check(&format!("[[wake.words]]\nname = '{long}'"), "is too long");
    }

    #[test]
    fn several_words_have_numbers_of_their_own() {
        let text = "trigger = 'wake'\n[[wake.words]]\nname = 'computer'\nthreshold = 0.9\n\
                    confirm = true\n\
                    [[wake.words]]\nname = 'alexa'\nfile = '/models/alexa.onnx'\n";
        let config = Config::parse("pressel.toml", text).unwrap();
        assert_eq!(config.wake.words.len(), 2);
        assert_eq!(config.wake.words[0].threshold, Some(0.9));
        assert_eq!(config.wake.words[1].threshold, None);
        let confirmed = config.wake.confirmed();
        assert_eq!(confirmed, [WordName::new("computer").unwrap()]);
    }
}
