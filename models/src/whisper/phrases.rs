//! A closed list of phrases: which of them an utterance is nearest to.
//!
//! Flow: the owner's phrases -> a trie of their tokens, at start-up; the window that was heard and
//! the log-probability of what was heard freely -> the likeliest phrase, and how much less likely
//! it is. The encoder is not run again. On the recogniser's thread; allocates.
//!
//! The search takes the likeliest beginning of a phrase first and reads it through the decoder. A
//! longer beginning is never likelier, so the first whole phrase that comes up is the likeliest of
//! all; with one of a hundred phrases that was said, that is about as many steps as it has tokens.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::{
    Whisper,
    decode::Job,
    sampling::{highest, sum_of_exponents},
};
use crate::{LoadError, ModelError};

/// Steps of the decoder at most. Why 48: a phrase of twelve tokens, and three wrong beginnings.
const STEPS_MAX: usize = 48;
/// Tokens of a phrase that can be found in these steps: one step for its end, one for what it is.
const TOKENS_MAX: usize = STEPS_MAX - 2;

/// A phrase that is so many nats less likely than what was heard is not looked for: e^-20.
const MARGIN_MAX: f32 = 20.0;

/// A phrase of a closed list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// The number that it stands for; several phrases may stand for one.
    pub command: u16,
    /// The words.
    pub text: String,
}

/// The likeliest phrase of the list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// The number that it stands for.
    pub command: u16,
    /// How many nats less likely it is than what was heard freely; about 0 when it is that.
    pub margin: f32,
    /// Mean natural logarithm of the probability of its tokens.
    pub mean_logprob: f32,
}

/// The phrases, by their tokens. The first node is the beginning of all.
#[derive(Debug, Default)]
pub(super) struct Phrases {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Tokens that go on, and the nodes that they lead to.
    next: Vec<(u32, usize)>,
    /// The command of the phrase that may end here.
    command: Option<u16>,
}

impl Phrases {
    fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds one spelling of a phrase. One that another phrase has keeps that one's command.
    fn add(&mut self, tokens: &[u32], command: u16) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for &token in tokens {
            let found = self.nodes[at].next.iter().find(|next| next.0 == token);
            at = match found {
                Some(&(_, node)) => node,
                None => {
                    self.nodes.push(Node::default());
                    let node = self.nodes.len() - 1;
                    self.nodes[at].next.push((token, node));
                    node
                }
            };
        }
        self.nodes[at].command.get_or_insert(command);
    }
}

/// A beginning of a phrase, or a whole one.
struct Partial {
    logprob: f32,
    node: usize,
    tokens: Vec<u32>,
    is_whole: bool,
}

impl PartialEq for Partial {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Partial {}

impl PartialOrd for Partial {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Partial {
    fn cmp(&self, other: &Self) -> Ordering {
        self.logprob.total_cmp(&other.logprob)
    }
}

/// The ways in which models write a phrase: as it is, as a sentence, in small letters.
fn spellings(text: &str) -> Vec<String> {
    let words: Vec<&str> = text
        .trim_end_matches(['.', ' '])
        .split_whitespace()
        .collect();
    let text = &*words.join(" ");
    let mut letters = text.chars();
    let sentence: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect();
    let mut found = Vec::new();
    for words in [text, &sentence, &text.to_lowercase()] {
        for end in ["", "."] {
            let spelling = format!(" {words}{end}");
            if !found.contains(&spelling) {
                found.push(spelling);
            }
        }
    }
    found
}

impl Whisper {
    /// Takes the closed list of phrases for [`DecodeOptions::nearest`](crate::DecodeOptions).
    ///
    /// # Errors
    /// [`LoadError::Cannot`] with a phrase that this model cannot write: a model that knows a
    /// vocabulary only does not know every word.
    pub fn set_phrases(&mut self, phrases: &[Phrase]) -> Result<(), LoadError> {
        let cannot = |problem: String| LoadError::Cannot {
            model: self.folder.clone(),
            problem,
        };
        let mut found = Phrases::default();
        for Phrase { command, text } in phrases {
            let unwritten = || cannot(format!("it cannot write the phrase `{text}`"));
            if self.unknown_below.is_some() {
                // Such a model writes small letters and no full stops.
                for word in text.trim_end_matches(['.', ' ']).split_whitespace() {
                    let small = format!(" {}", word.to_lowercase());
                    let tokens = self.vocabulary.encode(&small);
                    if tokens.ok_or_else(unwritten)?.len() != 1 {
                        return Err(cannot(format!(
                            "it does not know the word `{word}` of the phrase `{text}`: see the \
                             vocabulary in its CARD.md, or take a model that knows all words"
                        )));
                    }
                }
            }
            let mut fewest = usize::MAX;
            for spelling in spellings(text) {
                let tokens = self.vocabulary.encode(&spelling).ok_or_else(unwritten)?;
                fewest = fewest.min(tokens.len());
                found.add(&tokens, *command);
            }
            if TOKENS_MAX < fewest {
                return Err(cannot(format!(
                    "the phrase `{text}` has {fewest} tokens, and {TOKENS_MAX} is the most: say it \
                     in fewer words"
                )));
            }
        }
        self.vocabulary.forget_tokenizer();
        self.phrases = found;
        Ok(())
    }

    /// Returns the phrase of the list that is nearest to the window that was heard. `free` is the
    /// logarithm of the probability of all that was chosen freely, its end included.
    pub(super) fn nearest(
        &mut self,
        free: f32,
        job: &mut Job,
    ) -> Result<Option<Nearest>, ModelError> {
        if self.phrases.is_empty() || job.timed {
            return Ok(None);
        }
        let start = Instant::now();
        let found = self.search(free, job);
        job.decode_ms += start.elapsed().as_millis() as u32;
        found
    }

    fn search(&mut self, free: f32, job: &mut Job) -> Result<Option<Nearest>, ModelError> {
        let mut open = BinaryHeap::from([Partial {
            logprob: 0.0,
            node: 0,
            tokens: Vec::new(),
            is_whole: false,
        }]);
        // What the decoder has read behind the beginning; None before the first time.
        let mut read: Option<Vec<u32>> = None;
        for _ in 0..STEPS_MAX {
            let Some(best) = open.pop() else { break };
            let margin = free - best.logprob;
            if MARGIN_MAX < margin {
                break;
            }
            let node = &self.phrases.nodes[best.node];
            if let (true, Some(command)) = (best.is_whole, node.command) {
                // One more for the end.
                let count = best.tokens.len() + 1;
                return Ok(Some(Nearest {
                    command,
                    margin: margin.max(0.0),
                    mean_logprob: best.logprob / count as f32,
                }));
            }
            job.go_on()?;
            match (&read, best.tokens.split_last()) {
                (Some(read), Some((&last, before))) if read == before => {
                    self.graphs.feed(&[i64::from(last)], None, &self.run)?;
                }
                _ => {
                    self.graphs.rewind();
                    let mut all = self.beginning.tokens.clone();
                    all.extend(best.tokens.iter().map(|&token| i64::from(token)));
                    self.graphs.feed(&all, None, &self.run)?;
                }
            }
            let logits = self.graphs.logits_mut();
            self.rules.strike(logits, &best.tokens, false, job.options);
            self.graphs.sharpen()?;
            let logits = self.graphs.logits_mut();
            let (_, top) = highest(logits);
            let all = top + sum_of_exponents(logits, top)?.ln();
            let reach = |token: u32| best.logprob + logits[token as usize] - all;
            for &(token, node) in &node.next {
                let mut tokens = best.tokens.clone();
                tokens.push(token);
                open.push(Partial {
                    logprob: reach(token),
                    node,
                    tokens,
                    is_whole: false,
                });
            }
            if node.command.is_some() {
                open.push(Partial {
                    logprob: self
                        .rules
                        .ends()
                        .map(reach)
                        .fold(f32::NEG_INFINITY, f32::max),
                    node: best.node,
                    tokens: best.tokens.clone(),
                    is_whole: true,
                });
            }
            read = Some(best.tokens);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_that_begin_alike_share_their_beginning() {
        let mut phrases = Phrases::default();
        phrases.add(&[1, 2], 10);
        phrases.add(&[1, 3], 11);
        phrases.add(&[1], 12);
        phrases.add(&[1, 2], 13);
        let commands: Vec<_> = phrases.nodes.iter().map(|node| node.command).collect();
        assert_eq!(commands, [None, Some(12), Some(10), Some(11)]);
        assert_eq!(phrases.nodes[0].next, [(1, 1)]);
        assert_eq!(phrases.nodes[1].next, [(2, 2), (3, 3)]);
    }

    #[test]
    fn a_phrase_is_written_as_it_is_as_a_sentence_and_in_small_letters() {
        let expected = [" lights on", " lights on.", " Lights on", " Lights on."];
        for phrase in ["lights on ", "lights  on", " lights on. "] {
            assert_eq!(spellings(phrase), expected);
        }
        let expected = [" Öffnen", " Öffnen.", " öffnen", " öffnen."];
        assert_eq!(spellings("Öffnen"), expected);
    }

    #[test]
    fn the_likeliest_beginning_comes_first() {
        let partial = |logprob| Partial {
            logprob,
            node: 0,
            tokens: Vec::new(),
            is_whole: false,
        };
        let mut open: BinaryHeap<_> = [-2.0, -0.5, f32::NEG_INFINITY].map(partial).into();
        assert_eq!(open.pop().map(|best| best.logprob), Some(-0.5));
    }
}
