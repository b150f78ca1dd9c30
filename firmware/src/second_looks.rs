//! Second looks: does the recogniser, too, hear the phrase that woke the appliance?
//!
//! Wake words and the utterances that they opened in; what the worker is asked first, and whether
//! its answer holds the phrase, out. Used by the main loop and by `offline` alike. Pure.
//!
//! Listen keeps what was heard last when a wake word opens an utterance at the end of its slot:
//! the utterance begins behind the word, and is what it would be without this. When it is closed,
//! the worker is asked for that clip before it is asked for the utterance. So nothing that is said
//! behind the word is lost or late for its recording; a refusal comes when the lights have shown
//! that the appliance listens.

use heapless::{Deque, Vec};
use pressel_pipeline::limits::{
    HANDS_FREE_SAMPLES_MAX, RATE_HZ, SLOT_COUNT, UTTERANCE_SAMPLES_MAX, WAKE_CLIP_SAMPLES,
    WAKE_WORDS_MAX,
};
use pressel_pipeline::waiting::Utterance;
use pressel_wire::Trigger;

use crate::stream::WordName;
use crate::worker::Answer;
use crate::worker::message::{Excerpt, Sense};

/// The first sample of the clip in its slot.
pub const CLIP_START: usize = UTTERANCE_SAMPLES_MAX - WAKE_CLIP_SAMPLES;

// Listen writes on behind an utterance until it knows that it was the end: the clip lies further
// back than that.
const _: () = assert!(HANDS_FREE_SAMPLES_MAX + 5 * RATE_HZ <= CLIP_START);

/// The words that the recogniser must hear, too.
pub type Confirmed = Vec<WordName, WAKE_WORDS_MAX>;

/// What is to be looked at twice.
#[derive(Debug, Default)]
pub struct SecondLooks {
    words: Confirmed,
    /// The last word that was heard.
    woken: Option<WordName>,
    /// Utterances that one of `words` opened; each has a slot, or ends at once.
    open: Deque<(u32, WordName), { SLOT_COUNT + 1 }>,
    refused: u32,
}

impl SecondLooks {
    /// Makes them for these words.
    #[must_use]
    pub fn new(words: Confirmed) -> Self {
        Self {
            words,
            ..Self::default()
        }
    }

    /// A wake word was heard.
    pub fn wake(&mut self, word: WordName) {
        self.woken = Some(word);
    }

    /// An utterance is being recorded.
    pub fn open(&mut self, utterance: u32, trigger: Trigger) {
        let woken = self.woken.take().filter(|word| self.words.contains(word));
        let Some(word) = woken.filter(|_| trigger == Trigger::Wake) else {
            return;
        };
        if self.open.is_full() {
            self.open.pop_front(); // It is believed.
        }
        let fits = self.open.push_back((utterance, word)).is_ok();
        debug_assert!(fits);
    }

    /// Returns the clip that is looked at before `utterance` is recognised. None is looked at when
    /// somebody pressed meanwhile.
    #[must_use]
    pub fn clip(&self, utterance: &Utterance) -> Option<Excerpt> {
        if utterance.trigger != Trigger::Wake {
            return None;
        }
        self.word(utterance.id)?;
        Some(Excerpt {
            utterance: utterance.id,
            slot: utterance.slot,
            start: u32::try_from(CLIP_START).ok()?,
            samples: u32::try_from(WAKE_CLIP_SAMPLES).ok()?,
        })
    }

    /// Takes what was heard in the clip of an utterance. Returns the word when it is not in it: the
    /// utterance is refused.
    fn judge(&mut self, utterance: u32, heard: &str) -> Option<WordName> {
        let word = self.word(utterance)?;
        self.end(utterance);
        let is_refused = !contains(heard, word.as_str());
        self.refused = self.refused.saturating_add(u32::from(is_refused));
        is_refused.then_some(word)
    }

    /// Takes the worker's answer to a clip. What could not be looked at is believed.
    pub fn refuses(&mut self, utterance: u32, answer: &Answer) -> Option<WordName> {
        if let Answer::Done { text, sense, .. } = answer {
            let heard = if *sense == Sense::Words { text } else { "" };
            return self.judge(utterance, heard);
        }
        self.end(utterance);
        None
    }

    /// The utterance has its outcome, or is believed: nothing more of it is looked at.
    pub fn end(&mut self, utterance: u32) {
        for _ in 0..self.open.len() {
            let Some(entry) = self.open.pop_front() else {
                return;
            };
            if entry.0 != utterance {
                let fits = self.open.push_back(entry).is_ok();
                debug_assert!(fits);
            }
        }
    }

    /// Returns how many wake words were refused since the start.
    #[must_use]
    pub fn refused(&self) -> u32 {
        self.refused
    }

    fn word(&self, utterance: u32) -> Option<WordName> {
        let mut open = self.open.iter();
        let (_, word) = open.find(|(id, _)| *id == utterance)?;
        Some(*word)
    }
}

/// Returns whether `text` has the words of `phrase` one behind the other, whatever their case and
/// what stands between them.
pub(crate) fn contains(text: &str, phrase: &str) -> bool {
    let mut rest = words(text);
    loop {
        let mut heard = rest.clone();
        if words(phrase).all(|word| heard.next().is_some_and(|heard| is_same(heard, word))) {
            return true;
        }
        if rest.next().is_none() {
            return false;
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> + Clone {
    let parts = text.split(|letter: char| !letter.is_alphanumeric());
    parts.filter(|word| !word.is_empty())
}

fn is_same(one: &str, other: &str) -> bool {
    let small = char::to_lowercase;
    let (one, other) = (one.chars().flat_map(small), other.chars().flat_map(small));
    one.eq(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utterance(id: u32, trigger: Trigger, samples: u32) -> Utterance {
        Utterance {
            id,
            slot: 2,
            trigger,
            start: 0,
            samples,
            speech: None,
            closed_at: 0,
            capture_ms: 0,
        }
    }

    fn looks(word: &str) -> SecondLooks {
        let mut looks = SecondLooks::new(Vec::from_array([WordName::new("computer").unwrap()]));
        looks.wake(WordName::new(word).unwrap());
        looks
    }

    #[test]
    fn phrase_is_found_as_whole_words_in_any_case() {
        for (text, phrase, expected) in [
            ("Computer.", "computer", true),
            ("okay, COMPUTER", "computer", true),
            ("hey, pressel!", "Hey Pressel", true),
            ("hey hey pressel", "hey pressel", true),
            ("hey you pressel", "hey pressel", false),
            ("computers", "computer", false),
            ("hey", "hey pressel", false),
            ("", "computer", false),
            ("ÄHM Ähre", "ähre", true),
        ] {
            assert_eq!(contains(text, phrase), expected, "{text}: {phrase}");
        }
    }

    #[test]
    fn clip_lies_behind_the_utterance_that_a_confirmed_word_opened() {
        let mut looks = looks("computer");
        looks.open(7, Trigger::Wake);
        let clip = looks.clip(&utterance(7, Trigger::Wake, 16_000)).unwrap();
        assert_eq!((clip.utterance, clip.slot), (7, 2));
        let end = (clip.start + clip.samples) as usize;
        assert_eq!(end, UTTERANCE_SAMPLES_MAX);
        for believed in [
            utterance(7, Trigger::Ptt, 16_000),
            utterance(8, Trigger::Wake, 16_000),
        ] {
            assert_eq!(looks.clip(&believed), None, "{believed:?}");
        }
    }

    #[test]
    fn other_words_and_other_triggers_are_not_looked_at() {
        let mut other = looks("alexa");
        other.open(1, Trigger::Wake);
        assert_eq!(other.clip(&utterance(1, Trigger::Wake, 1)), None);
        let mut pressed = looks("computer");
        pressed.open(1, Trigger::Ptt);
        // What goes on behind a full utterance has no word of its own.
        pressed.open(2, Trigger::Wake);
        for id in [1, 2] {
            assert_eq!(pressed.clip(&utterance(id, Trigger::Wake, 1)), None);
        }
    }

    #[test]
    fn each_utterance_is_judged_once_and_refusals_are_counted() {
        let mut looks = looks("computer");
        looks.open(1, Trigger::Wake);
        looks.wake(WordName::new("computer").unwrap());
        looks.open(2, Trigger::Wake);
        assert_eq!(looks.judge(1, "Hey, computer."), None);
        assert_eq!(looks.clip(&utterance(1, Trigger::Wake, 1)), None);
        let refused = looks.judge(2, "commuter");
        assert_eq!(refused, WordName::new("computer"));
        assert_eq!(looks.judge(2, ""), None, "it was judged");
        assert_eq!(looks.refused(), 1);
    }

    #[test]
    fn more_than_there_are_slots_push_the_oldest_out() {
        let mut looks = looks("computer");
        for id in 1..20 {
            looks.wake(WordName::new("computer").unwrap());
            looks.open(id, Trigger::Wake);
        }
        assert_eq!(looks.clip(&utterance(1, Trigger::Wake, 1)), None);
        assert!(looks.clip(&utterance(19, Trigger::Wake, 1)).is_some());
        looks.end(19);
        assert_eq!(looks.clip(&utterance(19, Trigger::Wake, 1)), None);
        assert!(looks.clip(&utterance(18, Trigger::Wake, 1)).is_some());
    }
}
