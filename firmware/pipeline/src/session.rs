//! The session: what button, host and mute switch mean.
//!
//! ```text
//!            down / host down              up, held >= tap_ms_max
//!   Idle ───────────────────▶ Held ───────────────────────────────▶ Idle
//!    ▲                         │ up, held < tap_ms_max
//!    │  down, host up, limit   ▼          Held ── limit ──▶ Idle
//!    └──────────────────── Latched          (any) ── mute ──▶ Muted ── unmute ──▶ Idle
//! ```
//!
//! Events and the time in, actions out. Runs on the main loop. Recording itself is the business of
//! the `utterance` machine; what is waiting or being recognised never changes what a press does.

use crate::time::Millis;

/// What the appliance's owner is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody presses.
    Idle,
    /// The button (or the host) is down.
    Held {
        /// When it went down.
        since: Millis,
    },
    /// A tap started talking; the next tap ends it.
    Latched {
        /// When the tap began.
        since: Millis,
    },
    /// The microphone is closed.
    Muted,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The button went down (debounced).
    ButtonDown,
    /// The button went up (debounced).
    ButtonUp,
    /// The host on the serial line pressed (`true`) or released its push-to-talk.
    HostTalk(bool),
    /// The host cancels what is recorded and what is recognised.
    HostCancel,
    /// The mute switch or the host muted (`true`) or unmuted.
    Mute(bool),
    /// Time passed.
    Tick,
}

/// What the main loop does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell listen that talking starts now.
    TalkStart,
    /// Tell listen that talking stops now.
    TalkStop,
    /// Discard the open utterance and what waits or runs.
    Cancel,
    /// Close the microphone and forget its audio.
    Mute,
    /// Open the microphone again.
    Unmute,
}

/// How the button behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ButtonMode {
    /// Talk while it is held; every release ends.
    Hold,
    /// The first tap starts, the second one ends.
    Toggle,
    /// A press shorter than `tap_ms_max` latches, a longer one is hold-to-talk.
    HoldOrTap,
}

/// Numbers that the configuration may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// How the button behaves.
    pub mode: ButtonMode,
    /// The longest press that counts as a tap, in `HoldOrTap`.
    pub tap_ms_max: u64,
    /// Talking ends by itself after this time: a tap was forgotten, a release was lost, or the
    /// button is stuck.
    pub talk_ms_max: u64,
}

/// What one event led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub next: State,
    /// What to do, if anything.
    pub action: Option<Action>,
}

impl Step {
    const fn stay(state: State) -> Self {
        Self {
            next: state,
            action: None,
        }
    }
    const fn to(next: State, action: Action) -> Self {
        Self {
            next,
            action: Some(action),
        }
    }
}

impl State {
    /// Returns when [`step`] wants an [`Event::Tick`].
    #[must_use]
    pub const fn deadline(&self, tuning: &Tuning) -> Option<Millis> {
        match self {
            Self::Held { since } | Self::Latched { since } => {
                Some(since.saturating_add(tuning.talk_ms_max))
            }
            Self::Idle | Self::Muted => None,
        }
    }

    /// Returns whether an utterance is being spoken by button or host.
    #[must_use]
    pub const fn is_talking(&self) -> bool {
        matches!(self, Self::Held { .. } | Self::Latched { .. })
    }
}

/// Takes one event at time `now`.
#[must_use]
pub fn step(state: &State, event: Event, now: Millis, tuning: &Tuning) -> Step {
    use State::{Held, Idle, Latched, Muted};
    match (*state, event) {
        (Idle, Event::ButtonDown) if tuning.mode == ButtonMode::Toggle => {
            Step::to(Latched { since: now }, Action::TalkStart)
        }
        (Idle, Event::ButtonDown | Event::HostTalk(true)) => {
            Step::to(Held { since: now }, Action::TalkStart)
        }
        (Held { since }, Event::ButtonUp) => {
            let is_tap = now.saturating_sub(since) < tuning.tap_ms_max;
            if tuning.mode == ButtonMode::HoldOrTap && is_tap {
                Step::stay(Latched { since })
            } else {
                Step::to(Idle, Action::TalkStop)
            }
        }
        (Held { .. } | Latched { .. }, Event::HostTalk(false))
        | (Latched { .. }, Event::ButtonDown) => Step::to(Idle, Action::TalkStop),
        (Held { since } | Latched { since }, Event::Tick)
            if since.saturating_add(tuning.talk_ms_max) <= now =>
        {
            Step::to(Idle, Action::TalkStop)
        }
        (Idle | Held { .. } | Latched { .. }, Event::HostCancel) => Step::to(Idle, Action::Cancel),
        (Idle | Held { .. } | Latched { .. }, Event::Mute(true)) => Step::to(Muted, Action::Mute),
        (Muted, Event::Mute(false)) => Step::to(Idle, Action::Unmute),
        (Muted, Event::HostCancel) => Step::to(Muted, Action::Cancel),

        // A release after the tap that ended, or while muted, means nothing; neither does a second
        // press of host and button together.
        (Idle, Event::ButtonUp | Event::HostTalk(false) | Event::Mute(false) | Event::Tick)
        | (
            Held { .. },
            Event::ButtonDown | Event::HostTalk(true) | Event::Mute(false) | Event::Tick,
        )
        | (
            Latched { .. },
            Event::ButtonUp | Event::HostTalk(true) | Event::Mute(false) | Event::Tick,
        )
        | (Muted, Event::ButtonDown | Event::ButtonUp | Event::HostTalk(_))
        | (Muted, Event::Mute(true) | Event::Tick) => Step::stay(*state),
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const TUNING: Tuning = Tuning {
        mode: ButtonMode::HoldOrTap,
        tap_ms_max: 250,
        talk_ms_max: 120_000,
    };

    /// Plays (time, event) and returns the actions with their times.
    fn check(mode: ButtonMode, events: &[(Millis, Event)], expected: &[(Millis, Action)]) {
        let tuning = Tuning { mode, ..TUNING };
        let mut state = State::Idle;
        let mut actions = Vec::new();
        for &(now, event) in events {
            let step = step(&state, event, now, &tuning);
            state = step.next;
            actions.extend(step.action.map(|action| (now, action)));
        }
        assert_eq!(actions, expected);
    }

    #[test]
    fn holding_talks_until_the_release() {
        check(
            ButtonMode::HoldOrTap,
            &[(0, Event::ButtonDown), (900, Event::ButtonUp)],
            &[(0, Action::TalkStart), (900, Action::TalkStop)],
        );
    }

    #[test]
    fn tap_latches_and_the_next_tap_ends() {
        check(
            ButtonMode::HoldOrTap,
            &[
                (0, Event::ButtonDown),
                (100, Event::ButtonUp),
                (3_000, Event::ButtonDown),
                (3_100, Event::ButtonUp),
            ],
            &[(0, Action::TalkStart), (3_000, Action::TalkStop)],
        );
    }

    #[test]
    fn hold_mode_ends_at_every_release() {
        check(
            ButtonMode::Hold,
            &[(0, Event::ButtonDown), (100, Event::ButtonUp)],
            &[(0, Action::TalkStart), (100, Action::TalkStop)],
        );
    }

    #[test]
    fn toggle_mode_ignores_how_long_a_press_is() {
        check(
            ButtonMode::Toggle,
            &[
                (0, Event::ButtonDown),
                (900, Event::ButtonUp),
                (2_000, Event::ButtonDown),
            ],
            &[(0, Action::TalkStart), (2_000, Action::TalkStop)],
        );
    }

    #[test]
    fn forgotten_latch_ends_by_itself() {
        check(
            ButtonMode::HoldOrTap,
            &[
                (0, Event::ButtonDown),
                (100, Event::ButtonUp),
                (120_000, Event::Tick),
            ],
            &[(0, Action::TalkStart), (120_000, Action::TalkStop)],
        );
    }

    #[test]
    fn stuck_button_ends_by_itself_and_its_release_means_nothing() {
        check(
            ButtonMode::Hold,
            &[
                (0, Event::ButtonDown),
                (120_000, Event::Tick),
                (130_000, Event::ButtonUp),
            ],
            &[(0, Action::TalkStart), (120_000, Action::TalkStop)],
        );
    }

    #[test]
    fn mute_closes_and_presses_do_nothing_until_unmute() {
        check(
            ButtonMode::HoldOrTap,
            &[
                (0, Event::ButtonDown),
                (10, Event::Mute(true)),
                (20, Event::ButtonUp),
                (30, Event::ButtonDown),
                (40, Event::Mute(false)),
                (50, Event::ButtonUp),
            ],
            &[
                (0, Action::TalkStart),
                (10, Action::Mute),
                (40, Action::Unmute),
            ],
        );
    }

    #[test]
    fn host_talks_and_cancels() {
        check(
            ButtonMode::HoldOrTap,
            &[
                (0, Event::HostTalk(true)),
                (10, Event::HostTalk(false)),
                (20, Event::HostCancel),
            ],
            &[
                (0, Action::TalkStart),
                (10, Action::TalkStop),
                (20, Action::Cancel),
            ],
        );
    }
}
