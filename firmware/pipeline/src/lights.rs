//! The lights: a pure function of what the appliance does and of time.
//!
//! | light | on | blinking |
//! | --- | --- | --- |
//! | listening | an utterance is recorded | muted: a short flash every four seconds |
//! | thinking | an utterance waits or is recognised | |
//! | sent | for 0.6 s after a text went out | |
//! | error | for 1.5 s after a fault | fast: microphone lost; slow: worker down; rare: makeshift |
//!
//! A fault is an utterance that failed or was dropped, or a press without a microphone. Makeshift
//! is safe mode, or the processor in place of CUDA: a short flash of error every four seconds while
//! nothing else is shown.

use crate::time::Millis;

/// What the lights are made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// An utterance is being recorded.
    pub recording: bool,
    /// An utterance waits or is at the worker.
    pub recognising: bool,
    /// The microphone is closed by the owner.
    pub muted: bool,
    /// There is no microphone.
    pub microphone_lost: bool,
    /// There is no worker that answers.
    pub worker_down: bool,
    /// The appliance works with less than it should: safe mode, or the processor in place of CUDA.
    pub makeshift: bool,
    /// When the last text went out.
    pub text_at: Option<Millis>,
    /// When an utterance last failed or was dropped.
    pub fault_at: Option<Millis>,
}

/// Which lights are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lights {
    /// Pressel records.
    pub listening: bool,
    /// Pressel recognises.
    pub thinking: bool,
    /// A text went out.
    pub sent: bool,
    /// Something is wrong.
    pub error: bool,
}

/// How long `sent` shines after a text.
pub const SENT_MS: u64 = 600;
/// How long `error` shines after a fault.
pub const FAULT_MS: u64 = 1_500;
/// Half a period of the fast blinking: microphone lost.
pub const FAST_MS: u64 = 125;
/// Half a period of the slow blinking: worker down.
pub const SLOW_MS: u64 = 500;
/// Period and length of the flash that says muted.
pub const MUTED_MS: (u64, u64) = (4_000, 100);
/// Period and length of the flash that says that the appliance works with less than it should.
pub const MAKESHIFT_MS: (u64, u64) = (4_000, 100);

/// Returns which lights are on at time `now`.
#[must_use]
pub fn lights(view: &View, now: Millis) -> Lights {
    let since = |at: Option<Millis>, length: u64| at.is_some_and(|at| now < at + length);
    let blink = |half: u64| (now / half).is_multiple_of(2);
    let flash = |(period, length): (u64, u64)| now % period < length;
    Lights {
        listening: view.recording || (view.muted && flash(MUTED_MS)),
        thinking: view.recognising,
        sent: since(view.text_at, SENT_MS),
        error: since(view.fault_at, FAULT_MS)
            || (view.microphone_lost && blink(FAST_MS))
            || (view.worker_down && blink(SLOW_MS))
            || (flashes_error(view) && flash(MAKESHIFT_MS)),
    }
}

/// Returns whether the error light flashes: something lasting is wrong, and nothing else to show.
fn flashes_error(view: &View) -> bool {
    let has_news = view.recording || view.recognising || view.microphone_lost || view.worker_down;
    view.makeshift && !has_news
}

/// Returns how long the lights surely stay as they are, in milliseconds; `None` is for ever.
#[must_use]
pub fn steady_ms(view: &View, now: Millis) -> Option<u64> {
    let left = |at: Option<Millis>, length: u64| {
        at.and_then(|at| (at + length).checked_sub(now))
            .filter(|&left| 0 < left)
    };
    let edge = |on: bool, period: u64| on.then(|| period - now % period);
    let flash = |on: bool, (period, length): (u64, u64)| {
        on.then(|| match now % period {
            in_flash if in_flash < length => length - in_flash,
            after => period - after,
        })
    };
    [
        left(view.text_at, SENT_MS),
        left(view.fault_at, FAULT_MS),
        edge(view.microphone_lost, FAST_MS),
        edge(view.worker_down, SLOW_MS),
        flash(view.muted, MUTED_MS),
        flash(flashes_error(view), MAKESHIFT_MS),
    ]
    .into_iter()
    .flatten()
    .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lights_follow_the_view() {
        let view = View {
            recording: true,
            text_at: Some(100),
            ..View::default()
        };
        let expected = Lights {
            listening: true,
            sent: true,
            ..Lights::default()
        };
        assert_eq!(lights(&view, 699), expected);
        assert_eq!(
            lights(&view, 700),
            Lights {
                listening: true,
                ..Lights::default()
            }
        );
    }

    #[test]
    fn lights_stay_steady_for_as_long_as_promised() {
        let view = View {
            muted: true,
            microphone_lost: true,
            worker_down: true,
            text_at: Some(1_000),
            fault_at: Some(700),
            ..View::default()
        };
        let mut now = 0;
        while now < 10_000 {
            let wait = steady_ms(&view, now).expect("blinking never ends");
            assert!(0 < wait);
            for between in now..now + wait {
                assert_eq!(lights(&view, between), lights(&view, now), "at {between}");
            }
            now += wait;
        }
    }

    #[test]
    fn makeshift_flashes_error_while_nothing_else_is_shown() {
        let view = View {
            makeshift: true,
            ..View::default()
        };
        let lit = |view: &View| (0..8_000).filter(|&now| lights(view, now).error).count();
        assert_eq!(lit(&view), 200);
        let busy = View {
            recording: true,
            ..view
        };
        assert_eq!(lit(&busy), 0);
        let mut now = 0;
        while now < 8_000 {
            let wait = steady_ms(&view, now).expect("flashing never ends");
            assert!((now..now + wait).all(|at| lights(&view, at) == lights(&view, now)));
            now += wait;
        }
    }

    #[test]
    fn idle_appliance_never_wakes_for_its_lights() {
        assert_eq!(steady_ms(&View::default(), 123), None);
    }
}
