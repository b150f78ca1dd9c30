//! The utterance machine: which samples are one utterance.
//!
//! ```text
//!            TalkStart | SpeechStart | WakeHeard
//!   Closed ─────────────────────────────────────▶ Open ── Heard reaches the end ──▶ Closed
//!     ▲                                            │ │
//!     └───────────── Cancel (discarded) ───────────┘ └─ 30 s of a press, 15 s of voice: close, and
//!                                                       open the next sample; 15 s after a wake
//!                                                       word: close
//! ```
//!
//! Events with sample times in, actions out. Runs on listen. Two utterances never share a sample
//! and nothing is lost between two that follow each other.

use heapless::Vec;
use pressel_wire::Trigger;

use crate::limits::{ACTIONS_MAX, HANDS_FREE_SAMPLES_MAX, UTTERANCE_SAMPLES_MAX};
use crate::time::SampleTime;

/// What is being recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Closed {
        /// End of the utterance before: the next one does not start earlier.
        since: SampleTime,
    },
    /// One utterance.
    Open {
        /// Who opened it. A press takes over an utterance that voice or wake word opened.
        trigger: Trigger,
        /// Its first sample.
        start: SampleTime,
        /// Its end, when it is known already.
        end: Option<SampleTime>,
    },
}

/// What happened, with the sample time at which it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Button or host began to talk.
    TalkStart(SampleTime),
    /// Button or host stopped talking.
    TalkStop(SampleTime),
    /// The open utterance is not wanted (cancelled or muted).
    Discard(SampleTime),
    /// The gate opened. Sent only where voice is a trigger or an utterance is open.
    SpeechStart(SampleTime),
    /// The gate closed.
    SpeechEnd(SampleTime),
    /// A wake word ended here.
    WakeHeard(SampleTime),
    /// All samples before this one are in the history.
    Heard(SampleTime),
}

/// Why an utterance was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The button or host let go.
    Released,
    /// The speaker stopped speaking.
    Endpoint,
    /// It was as long as an utterance may be; the next one goes on where it ended, but for a wake
    /// word's.
    Full,
    /// A new press began.
    Pressed,
    /// Nothing was said after the wake word.
    NothingSaid,
}

/// What listen does about it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take a slot and copy audio into it from `start` on.
    Open {
        /// Who opened it.
        trigger: Trigger,
        /// First sample.
        start: SampleTime,
    },
    /// Copy the audio up to `end` and hand the slot over.
    Close {
        /// Who owns it now.
        trigger: Trigger,
        /// Just after the last sample.
        end: SampleTime,
        /// Why.
        reason: CloseReason,
    },
    /// Give the slot back; the utterance ends as dropped.
    Discard {
        /// Who owned it.
        trigger: Trigger,
    },
}

/// Numbers that the configuration may change, in samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Kept from before a press.
    pub pre_roll: u64,
    /// Kept after a release.
    pub post_roll: u64,
    /// Kept from before the gate opened.
    pub start_padding: u64,
    /// Kept after the last speech.
    pub end_padding: u64,
    /// How long a wake word waits for speech.
    pub wake_patience: u64,
    /// Speech that ends earlier than this after the wake word was the wake word itself.
    pub wake_speech_min: u64,
    /// Whether speech alone opens an utterance (`trigger = "voice"`).
    pub voice_opens: bool,
}

/// What one event led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub next: State,
    /// What to do, in order.
    pub actions: Vec<Action, ACTIONS_MAX>,
}

impl Step {
    fn stay(state: State) -> Self {
        Self {
            next: state,
            actions: Vec::new(),
        }
    }
    fn to<const N: usize>(next: State, actions: [Action; N]) -> Self {
        const { assert!(N <= ACTIONS_MAX) };
        Self {
            next,
            actions: Vec::from_array(actions),
        }
    }
    fn open(trigger: Trigger, start: SampleTime, end: Option<SampleTime>) -> Self {
        Self::to(
            State::Open {
                trigger,
                start,
                end,
            },
            [Action::Open { trigger, start }],
        )
    }
}

/// Takes one event.
#[must_use]
pub fn step(state: &State, event: Event, tuning: &Tuning) -> Step {
    match *state {
        State::Closed { since } => step_closed(since, event, tuning),
        State::Open {
            trigger,
            start,
            end,
        } => step_open(
            Open {
                trigger,
                start,
                end,
            },
            event,
            tuning,
        ),
    }
}

fn step_closed(since: SampleTime, event: Event, tuning: &Tuning) -> Step {
    match event {
        Event::TalkStart(at) => Step::open(
            Trigger::Ptt,
            at.saturating_sub(tuning.pre_roll).max(since),
            None,
        ),
        Event::SpeechStart(at) if tuning.voice_opens => Step::open(
            Trigger::Voice,
            at.saturating_sub(tuning.start_padding).max(since),
            None,
        ),
        Event::WakeHeard(at) => Step::open(
            Trigger::Wake,
            at.max(since),
            Some(at.max(since) + tuning.wake_patience),
        ),
        Event::SpeechStart(_)
        | Event::TalkStop(_)
        | Event::Discard(_)
        | Event::SpeechEnd(_)
        | Event::Heard(_) => Step::stay(State::Closed { since }),
    }
}

/// The data of [`State::Open`], by name.
#[derive(Clone, Copy)]
struct Open {
    trigger: Trigger,
    start: SampleTime,
    end: Option<SampleTime>,
}

fn step_open(open: Open, event: Event, tuning: &Tuning) -> Step {
    let Open {
        trigger,
        start,
        end,
    } = open;
    let stay = State::Open {
        trigger,
        start,
        end,
    };
    match (event, trigger) {
        (Event::TalkStart(at), Trigger::Ptt) => match end {
            // Pressed again in the tail after a release: the tail ends here, nothing is lost.
            Some(end) => press_again(start, end.min(at).max(start), at),
            None => Step::stay(stay),
        },
        (
            Event::TalkStart(_),
            Trigger::Voice | Trigger::Wake | Trigger::File | Trigger::Unknown,
        ) => Step::stay(State::Open {
            trigger: Trigger::Ptt,
            start,
            end: None,
        }),
        (Event::TalkStop(at), Trigger::Ptt) => Step::stay(State::Open {
            trigger,
            start,
            end: Some(end.unwrap_or(at + tuning.post_roll)),
        }),
        // Speech again before the padding behind the last one was over: it goes on.
        (Event::SpeechStart(_), Trigger::Wake | Trigger::Voice) => Step::stay(State::Open {
            trigger,
            start,
            end: None,
        }),
        // The end of the word itself: what is to be said may still come.
        (Event::SpeechEnd(at), Trigger::Wake) if at < start + tuning.wake_speech_min => {
            Step::stay(State::Open {
                trigger,
                start,
                end: Some(end.unwrap_or(start + tuning.wake_patience)),
            })
        }
        (Event::SpeechEnd(at), Trigger::Voice | Trigger::Wake) => {
            let end = (at + tuning.end_padding).max(start);
            Step::stay(State::Open {
                trigger,
                start,
                end: Some(end),
            })
        }
        (Event::Discard(at), _) => Step::to(
            State::Closed {
                since: at.max(start),
            },
            [Action::Discard { trigger }],
        ),
        (Event::Heard(until), _) => close_when_reached(open, until, tuning),
        (Event::TalkStop(_), Trigger::Voice | Trigger::Wake | Trigger::File | Trigger::Unknown)
        | (
            Event::SpeechStart(_) | Event::SpeechEnd(_),
            Trigger::Ptt | Trigger::File | Trigger::Unknown,
        )
        | (Event::WakeHeard(_), _) => Step::stay(stay),
    }
}

/// Closes at `end` and opens the next utterance at once, with no sample between or in both.
fn press_again(start: SampleTime, end: SampleTime, at: SampleTime) -> Step {
    let trigger = Trigger::Ptt;
    let close = Action::Close {
        trigger,
        end,
        reason: CloseReason::Pressed,
    };
    let next_start = end.max(start).min(at);
    let open = Action::Open {
        trigger,
        start: next_start,
    };
    Step::to(
        State::Open {
            trigger,
            start: next_start,
            end: None,
        },
        [close, open],
    )
}

/// Returns how long an utterance may be.
fn samples_max(trigger: Trigger) -> u64 {
    match trigger {
        Trigger::Voice | Trigger::Wake => HANDS_FREE_SAMPLES_MAX as u64,
        Trigger::Ptt | Trigger::File | Trigger::Unknown => UTTERANCE_SAMPLES_MAX as u64,
    }
}

fn close_when_reached(open: Open, until: SampleTime, tuning: &Tuning) -> Step {
    let Open {
        trigger,
        start,
        end,
    } = open;
    let full = start + samples_max(trigger);
    match end {
        Some(end) if end <= full && end <= until => {
            let reason = match trigger {
                Trigger::Ptt => CloseReason::Released,
                Trigger::Wake if end == start + tuning.wake_patience => CloseReason::NothingSaid,
                Trigger::Wake | Trigger::Voice | Trigger::File | Trigger::Unknown => {
                    CloseReason::Endpoint
                }
            };
            Step::to(
                State::Closed { since: end },
                [Action::Close {
                    trigger,
                    end,
                    reason,
                }],
            )
        }
        _ if full <= until => {
            let close = Action::Close {
                trigger,
                end: full,
                reason: CloseReason::Full,
            };
            if trigger == Trigger::Wake {
                return Step::to(State::Closed { since: full }, [close]);
            }
            let next = State::Open {
                trigger,
                start: full,
                end,
            };
            Step::to(
                next,
                [
                    close,
                    Action::Open {
                        trigger,
                        start: full,
                    },
                ],
            )
        }
        _ => Step::stay(State::Open {
            trigger,
            start,
            end,
        }),
    }
}

#[cfg(test)]
mod tests;
