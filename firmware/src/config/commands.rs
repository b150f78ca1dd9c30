//! The closed list: what may be said, and the number that each phrase stands for.
//!
//! Flow: the table `[commands]` -> [`Commands`] -> the worker, as one argument of its command line.
//! Plain data.

use pressel_models::whisper::Phrase;
use pressel_pipeline::limits::{COMMAND_PHRASE_BYTES_MAX, COMMAND_PHRASES_MAX};
use serde::{Deserialize, Serialize};

/// The closed list. An empty one is none: then everything that is said comes as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Commands {
    /// How much less likely than what was heard a phrase may be, as the natural logarithm of the
    /// ratio: 0 takes only what was heard word by word.
    ///
    /// Why 2: with twenty single words as the list, the built-in model finds 383 of 401 from 2
    /// on, and takes two of 127 read sentences for a command at 2, five at 5, eleven at 8 (`train
    /// closed`). Longer phrases and other models spread more: not less.
    pub margin: f32,
    /// The commands.
    pub list: Vec<Command>,
}

impl Default for Commands {
    fn default() -> Self {
        Self {
            margin: 2.0,
            list: Vec::new(),
        }
    }
}

/// One command and all that may be said for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The number that the serial line carries.
    pub id: u16,
    /// The phrases.
    pub say: Vec<String>,
}

impl Commands {
    /// Returns every phrase with its number.
    #[must_use]
    pub fn phrases(&self) -> Vec<Phrase> {
        let phrases = self.list.iter().flat_map(|command| {
            command.say.iter().map(|text| Phrase {
                command: command.id,
                text: text.clone(),
            })
        });
        phrases.collect()
    }

    /// Checks what no type says; the reason why not in words.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(0.0..=15.0).contains(&self.margin) {
            return Err("commands.margin is between 0 and 15".into());
        }
        let phrases = self.phrases();
        if COMMAND_PHRASES_MAX < phrases.len() {
            let count = phrases.len();
            let why = format!("commands.list has {count} phrases, {COMMAND_PHRASES_MAX} fit");
            return Err(why);
        }
        for command in &self.list {
            if command.say.is_empty() {
                let id = command.id;
                return Err(format!("commands.list: id {id} has nothing in `say`"));
            }
        }
        for (at, Phrase { command, text }) in phrases.iter().enumerate() {
            if !text.chars().any(char::is_alphanumeric) || text.chars().any(char::is_control) {
                let why = "has a phrase without words, or of more than one line";
                return Err(format!("commands.list: id {command} {why}"));
            }
            if COMMAND_PHRASE_BYTES_MAX < text.len() {
                let why = format!("has more than {COMMAND_PHRASE_BYTES_MAX} bytes");
                return Err(format!("commands.list: `{text}` {why}"));
            }
            if let Some(other) = phrases[..at].iter().find(|other| sounds(&other.text, text)) {
                let ids = match other.command {
                    first if first == *command => format!("both times for id {first}"),
                    first => format!("for the ids {first} and {command}"),
                };
                return Err(format!("commands.list: `{text}` is there twice, {ids}"));
            }
        }
        Ok(())
    }
}

/// Returns true for phrases that sound the same: nobody says spaces, capitals or a full stop.
fn sounds(one: &str, other: &str) -> bool {
    let said = |text: &str| {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        words.join(" ").trim_end_matches(['.', ' ']).to_owned()
    };
    said(one) == said(other)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::tests::check;

    #[test]
    fn lists_that_cannot_be_meant_are_refused() {
        let entry = |id: u32, say: &str| format!("[[commands.list]]\nid = {id}\nsay = {say}\n");
        check("[commands]\nmargin = -1", "between 0 and 15");
        check(&entry(1, "[]"), "id 1 has nothing in `say`");
        check(&entry(1, "['  ']"), "id 1 has a phrase without words");
        check(&entry(70_000, "['go']"), "u16");
        check("[[commands.list]]\nid = 1\nsays = ['go']", "`says`");
        let twice = entry(1, "['lights on']") + &entry(2, "['lights  on']");
        check(&twice, "`lights  on` is there twice, for the ids 1 and 2");
        let capitals = entry(1, "['Lights on.']") + &entry(2, "['lights on']");
        check(&capitals, "`lights on` is there twice, for the ids 1 and 2");
        let again = entry(5, "['stop', 'Stop']");
        check(&again, "`Stop` is there twice, both times for id 5");
        check(&entry(1, "['...']"), "id 1 has a phrase without words");
        check(
            &entry(1, &format!("['{}']", "x".repeat(300))),
            "has more than 200 bytes",
        );
        let many: String = (0..300)
            .map(|n| entry(n, &format!("['a {n}', 'b {n}']")))
            .collect();
        check(&many, "600 phrases, 500 fit");
    }

    #[test]
    fn phrases_keep_their_numbers() {
        let text = "[[commands.list]]\nid = 7\nsay = ['lights on', 'turn on the lights']\n\
                    [[commands.list]]\nid = 8\nsay = ['stop']\n";
        let config = Config::parse("pressel.toml", text).unwrap();
        let phrases = config.commands.phrases();
        let numbers: Vec<u16> = phrases.iter().map(|phrase| phrase.command).collect();
        assert_eq!(numbers, [7, 7, 8]);
        assert_eq!(phrases[1].text, "turn on the lights");
    }
}
