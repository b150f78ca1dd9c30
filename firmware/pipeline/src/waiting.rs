//! Closed utterances that wait for the worker, the most urgent first.
//!
//! Closed utterances in, the next one for the worker out. Runs on the main loop, as a part of the
//! arbiter. Push-to-talk goes before wake and voice, these before files; among equals the older one
//! first.

use heapless::Vec;
use pressel_wire::Trigger;

use crate::limits::WAITING_UTTERANCES_MAX;
use crate::time::{Millis, SampleTime};

/// A closed utterance in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// Counts up from 1 since start-up.
    pub id: u32,
    /// Slot that holds its audio.
    pub slot: u8,
    /// Who opened it.
    pub trigger: Trigger,
    /// Sample time of its first sample.
    pub start: SampleTime,
    /// Samples in the slot.
    pub samples: u32,
    /// Samples of the slot in which the gate heard speech, as a range; `None` is silence.
    pub speech: Option<SpeechSpan>,
    /// When it was closed.
    pub closed_at: Millis,
    /// From the end of speech or the release until it was closed, in milliseconds.
    pub capture_ms: u32,
}

#[cfg(test)]
impl Utterance {
    /// Makes one of which only number and trigger matter.
    pub(crate) const fn of_test(id: u32, trigger: Trigger) -> Self {
        Self {
            id,
            slot: 0,
            trigger,
            start: 0,
            samples: 1,
            speech: None,
            closed_at: 0,
            capture_ms: 0,
        }
    }
}

/// Where in a slot the speech is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeechSpan {
    /// First sample of speech, counted from the utterance's start.
    pub start: u32,
    /// Just after the last sample of speech.
    pub end: u32,
}

/// Returns how urgent an utterance is; less is more urgent.
const fn rank(trigger: Trigger) -> u8 {
    match trigger {
        Trigger::Ptt => 0,
        Trigger::Wake | Trigger::Voice => 1,
        Trigger::File | Trigger::Unknown => 2,
    }
}

/// The bounded list of waiting utterances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    items: Vec<Utterance, WAITING_UTTERANCES_MAX>,
}

impl Waiting {
    /// Makes an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: Vec::new() }
    }

    /// Returns how many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds an utterance. When there is no room, the least urgent one, the oldest among equals, is
    /// returned and must end as dropped; this can be the new one.
    #[must_use]
    pub fn offer(&mut self, utterance: Utterance) -> Option<Utterance> {
        let Err(utterance) = self.items.push(utterance) else {
            return None;
        };
        // The first of the largest rank is the oldest, because the list is in order of arrival.
        let worst = self
            .items
            .iter()
            .enumerate()
            .max_by_key(|(index, item)| (rank(item.trigger), usize::MAX - index))
            .map(|(index, item)| (index, rank(item.trigger)));
        match worst {
            Some((index, worst)) if rank(utterance.trigger) <= worst => {
                let dropped = self.items.remove(index);
                // There is room now.
                self.items.push(utterance).ok();
                Some(dropped)
            }
            _ => Some(utterance),
        }
    }

    /// Takes the most urgent utterance, the oldest among equals.
    pub fn take(&mut self) -> Option<Utterance> {
        let (index, _) = self
            .items
            .iter()
            .enumerate()
            .min_by_key(|(index, item)| (rank(item.trigger), *index))?;
        Some(self.items.remove(index))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Offers utterances and returns (dropped ids, ids in the order in which they are taken).
    fn check(offers: &[(u32, Trigger)], dropped: &[u32], taken: &[u32]) {
        let mut waiting = Waiting::new();
        let mut lost = Vec::new();
        for &(id, trigger) in offers {
            lost.extend(waiting.offer(Utterance::of_test(id, trigger)).map(|u| u.id));
        }
        let order: Vec<u32> = core::iter::from_fn(|| waiting.take())
            .map(|u| u.id)
            .collect();
        assert_eq!((lost.as_slice(), order.as_slice()), (dropped, taken));
    }

    #[test]
    fn press_goes_before_voice_and_voice_before_file() {
        use Trigger::{File, Ptt, Voice};
        check(&[(1, File), (2, Voice), (3, Ptt)], &[], &[3, 2, 1]);
    }

    #[test]
    fn equals_go_in_order_of_arrival() {
        use Trigger::{Voice, Wake};
        check(&[(1, Voice), (2, Wake), (3, Voice)], &[], &[1, 2, 3]);
    }

    #[test]
    fn full_list_drops_the_oldest_of_the_least_urgent() {
        use Trigger::{Ptt, Voice};
        check(
            &[(1, Voice), (2, Ptt), (3, Voice), (4, Ptt)],
            &[1],
            &[2, 4, 3],
        );
    }

    #[test]
    fn newcomer_less_urgent_than_all_is_dropped_itself() {
        use Trigger::{Ptt, Wake};
        check(&[(1, Ptt), (2, Ptt), (3, Ptt), (4, Wake)], &[4], &[1, 2, 3]);
    }
}
