//! The outbox: which outcome goes out next, in which form, and what is sent again.
//!
//! ```text
//!            Acknowledge                       no answer to the last repeat
//! LISTENER ───────────────▶ ACKNOWLEDGING HOST ───────────────────────────▶ LISTENER
//! each outcome once         from the cursor on, out of memory or the journal
//! ```
//!
//! Outcomes, acknowledgements and fetched ones in; the next thing to send out. Pure: no device, no
//! clock, no allocation. Runs on the main loop. SPEC.md, *Delivery*, is the contract.

use heapless::Deque;
use pressel_pipeline::limits::{
    DELIVERY_IN_FLIGHT_MAX, DELIVERY_REPEAT_MS, DELIVERY_RETRY_MS, OUTCOMES_KEPT_MAX,
};
use pressel_pipeline::time::Millis;
use pressel_wire::Mark;

use crate::journal::{Found, Spoken};
use crate::outcome::{Finished, short};

/// What is to be done next.
#[derive(Debug)]
pub enum Next<'a> {
    /// Nothing: all is sent, or something must come first.
    Nothing,
    /// Send this to a host that only listens, then call [`Outbox::sent_plain`].
    Plain(&'a Finished),
    /// Send this to a host that acknowledges, then call [`Outbox::sent_delivered`].
    Delivered {
        /// Nothing lies between this and the outcome.
        after: Mark,
        /// The start that heard it.
        boot: u32,
        /// The outcome.
        outcome: &'a pressel_wire::Outcome,
        /// Its text.
        text: &'a str,
    },
    /// Tell that these are lost, then call [`Outbox::sent_gap`].
    Gap {
        /// Where the host is.
        from: Mark,
        /// Where it goes on.
        to: Mark,
    },
    /// Ask the keeper for what the journal has from here on.
    Fetch(Mark),
}

/// The way from the cursor to the outcomes in memory, with nothing in the journal between them.
#[derive(Clone, Copy, Debug)]
struct Bridge {
    from: Mark,
    sequence: u32,
    gap: bool,
}

/// Memory: [`OUTCOMES_KEPT_MAX`] outcomes and one from the journal, 29 KB.
#[derive(Debug)]
pub struct Outbox {
    boot: u32,
    kept: Deque<Finished, OUTCOMES_KEPT_MAX>,
    sequence_next: u32,
    /// The next one for a host that only listens.
    plain_next: u32,
    acknowledges: bool,
    acknowledged: Mark,
    /// Where an acknowledging host will be when it has got all that was sent.
    cursor: Mark,
    in_flight: Deque<Mark, DELIVERY_IN_FLIGHT_MAX>,
    fetching: bool,
    fetched: Option<(Spoken, bool)>,
    bridge: Option<Bridge>,
    /// A gap for a host that is not where it could be.
    told: Option<(Mark, Mark)>,
    repeats: usize,
    waits_since: Millis,
    repeated_at: Option<Millis>,
}

impl Outbox {
    /// Makes an empty outbox. `acknowledged` is what the journal knows.
    #[must_use]
    pub fn new(boot: u32, acknowledged: Mark) -> Self {
        Self {
            boot,
            kept: Deque::new(),
            sequence_next: 0,
            plain_next: 0,
            acknowledges: false,
            acknowledged,
            cursor: acknowledged,
            in_flight: Deque::new(),
            fetching: false,
            fetched: None,
            bridge: None,
            told: None,
            repeats: 0,
            waits_since: 0,
            repeated_at: None,
        }
    }

    /// Takes an outcome and numbers it; the sequence is returned. The flag says that an older one
    /// was given up that no host was sent.
    pub fn enter(&mut self, mut finished: Finished) -> (u32, bool) {
        let sequence = self.sequence_next;
        finished.outcome.sequence = sequence;
        self.sequence_next = sequence.wrapping_add(1);
        let mut given_up = false;
        if self.kept.is_full()
            && let Some(oldest) = self.kept.pop_front()
        {
            let oldest = oldest.outcome.sequence;
            given_up = !self.acknowledges && self.plain_next <= oldest;
            self.plain_next = self.plain_next.max(oldest + 1);
        }
        // There is room now.
        self.kept.push_back(finished).ok();
        (sequence, given_up)
    }

    /// Returns what to do next. The same again, until it is told that it was done.
    pub fn next(&mut self, now: Millis) -> Next<'_> {
        let first = self.first_kept();
        if !self.acknowledges {
            let index = self.plain_next.saturating_sub(first) as usize;
            return self.kept_at(index, now).map_or(Next::Nothing, Next::Plain);
        }
        if let Some((from, to)) = self.told {
            return Next::Gap { from, to };
        }
        if self.in_flight.is_full() {
            return Next::Nothing;
        }
        let (after, boot) = (self.cursor, self.boot);
        if let Some(bridge) = self.bridge
            && bridge.gap
        {
            let to = Mark {
                boot,
                next: bridge.sequence,
            };
            return Next::Gap { from: after, to };
        }
        if let Some(index) = self.index_of_cursor(first) {
            return self
                .kept_at(index, now)
                .map_or(Next::Nothing, |finished| Next::Delivered {
                    after,
                    boot,
                    outcome: &finished.outcome,
                    text: &finished.text,
                });
        }
        match &self.fetched {
            Some((spoken, true)) => Next::Gap {
                from: after,
                to: spoken.mark(),
            },
            Some((spoken, false)) => Next::Delivered {
                after,
                boot: spoken.epoch,
                outcome: &spoken.outcome,
                text: &spoken.text,
            },
            None if self.fetching => Next::Nothing,
            None => Next::Fetch(after),
        }
    }

    /// The keeper was asked for [`Next::Fetch`].
    pub fn asked(&mut self) {
        self.fetching = true;
    }

    /// Takes the keeper's answer to [`Next::Fetch`].
    pub fn take_found(&mut self, asked: Mark, found: Found) {
        self.fetching = false;
        let first = self.first_kept();
        if asked != self.cursor || self.index_of_cursor(first).is_some() {
            return;
        }
        let in_memory =
            |spoken: &Spoken| self.boot == spoken.epoch && first <= spoken.outcome.sequence;
        match found.spoken {
            Some(spoken) if !in_memory(&spoken) => self.fetched = Some((spoken, found.gap)),
            in_memory => {
                // What memory has is whole; only what lies before it may be missing.
                let gap = if asked.boot == self.boot {
                    asked.next != first
                } else {
                    first != 0 || (in_memory.is_none() && found.gap)
                };
                self.bridge = Some(Bridge {
                    from: asked,
                    sequence: first,
                    gap,
                });
            }
        }
    }

    /// [`Next::Plain`] was sent.
    pub fn sent_plain(&mut self) {
        self.plain_next = self.plain_next.max(self.first_kept()) + 1;
    }

    /// [`Next::Delivered`] was sent. Returns whether it was new to the line.
    pub fn sent_delivered(&mut self, end: Mark, now: Millis) -> bool {
        self.go_to(end);
        self.in_flight.push_back(end).ok(); // It is full before that.
        self.waits_since = now;
        let is_new = end.boot == self.boot && self.plain_next < end.next;
        if is_new {
            self.plain_next = end.next;
        }
        is_new
    }

    /// [`Next::Gap`] was sent.
    pub fn sent_gap(&mut self, to: Mark, now: Millis) {
        self.waits_since = now;
        if self.told.take().is_none() {
            let fetched = self.fetched.take();
            self.go_to(to);
            self.fetched = fetched.map(|(spoken, _)| (spoken, false));
            self.in_flight.push_back(to).ok();
        }
    }

    /// Takes a host's mark. Returns it when it is news that the journal should keep.
    pub fn acknowledge(&mut self, mark: Mark, now: Millis) -> Option<Mark> {
        let is_first = !self.acknowledges;
        self.acknowledges = true;
        self.repeats = 0;
        self.waits_since = now;
        self.told = None;
        let end = Mark {
            boot: self.boot,
            next: self.sequence_next,
        };
        if mark < self.acknowledged || end < mark {
            self.told = Some((mark, self.acknowledged));
            self.rewind();
            return None;
        }
        if mark == self.acknowledged {
            let may_repeat = self
                .repeated_at
                .is_none_or(|at| at + DELIVERY_REPEAT_MS <= now);
            if is_first || (may_repeat && !self.in_flight.is_empty()) {
                self.repeated_at = Some(now);
                self.rewind();
            }
            return None;
        }
        self.acknowledged = mark;
        while self.in_flight.front().is_some_and(|end| *end <= mark) {
            self.in_flight.pop_front();
        }
        if is_first {
            self.rewind();
        } else if self.cursor < mark {
            self.go_to(mark);
        }
        Some(mark)
    }

    /// Sends again what is not acknowledged: the host asked, or its line is open again.
    pub fn send_again(&mut self, now: Millis) {
        if self.acknowledges
            && self
                .repeated_at
                .is_none_or(|at| at + DELIVERY_REPEAT_MS <= now)
        {
            self.repeated_at = Some(now);
            self.rewind();
        }
    }

    /// Sends again after a wait; a host that never answers is one that only listens.
    ///
    /// `is_sent`: the line is open, and nothing waits for it.
    pub fn keep_time(&mut self, is_sent: bool, now: Millis) {
        if !is_sent {
            self.waits_since = now;
        }
        if self.deadline().is_none_or(|at| now < at) {
            return;
        }
        self.waits_since = now;
        self.acknowledges = self.repeats < DELIVERY_RETRY_MS.len();
        self.repeats += 1;
        self.rewind();
    }

    /// Returns when [`Outbox::keep_time`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        let wait = DELIVERY_RETRY_MS[self.repeats.min(DELIVERY_RETRY_MS.len() - 1)];
        let waits = self.acknowledges && !self.in_flight.is_empty();
        waits.then_some(self.waits_since + wait)
    }

    /// Returns whether every outcome of this start was sent.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.plain_next == self.sequence_next
    }

    /// Returns how many outcomes of this start wait for the link or for an acknowledgement.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        let first = match (self.acknowledges, self.acknowledged) {
            (false, _) => self.plain_next,
            (true, mark) if mark.boot == self.boot => mark.next,
            (true, _) => 0,
        };
        self.sequence_next.saturating_sub(first) as usize
    }

    /// Returns the mark before which everything has arrived.
    #[must_use]
    pub fn acknowledged(&self) -> Mark {
        self.acknowledged
    }

    fn first_kept(&self) -> u32 {
        let count = u32::try_from(self.kept.len()).unwrap_or(0);
        self.sequence_next.wrapping_sub(count)
    }

    fn kept_at(&mut self, index: usize, now: Millis) -> Option<&Finished> {
        let finished = self.kept.iter_mut().nth(index)?;
        finished.outcome.timing.link_ms = short(now.saturating_sub(finished.done_at));
        Some(finished)
    }

    /// Returns the index in memory of what follows the cursor, if memory has that.
    fn index_of_cursor(&self, first: u32) -> Option<usize> {
        if self.cursor.boot == self.boot && first <= self.cursor.next {
            return Some((self.cursor.next - first) as usize);
        }
        let bridge = self.bridge?;
        (bridge.from == self.cursor && bridge.sequence == first).then_some(0)
    }

    fn go_to(&mut self, mark: Mark) {
        self.cursor = mark;
        self.fetched = None;
        self.bridge = None;
    }

    fn rewind(&mut self) {
        self.in_flight.clear();
        self.go_to(self.acknowledged);
    }
}

#[cfg(test)]
mod tests;
