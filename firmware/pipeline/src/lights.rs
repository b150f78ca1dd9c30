//! The lights: a pure function of what the appliance does and of time.
//!
//! What there is to show is a [`Sign`]. Each sign has a [`Pattern`]: on which light, in which
//! rhythm, in which colour. The board's file may change each of them; [`Patterns::usual`] are the
//! ones that the README draws. Of all the signs of a light, the first in the order of [`Sign::ALL`]
//! has it alone, so that a rhythm is never mixed with another one. Lights are on or off, never dim.
//!
//! The error light counts: its flashes every four seconds are a number that stands for what is
//! wrong.

use crate::limits::RHYTHM_TIMES_MAX;
use crate::time::Millis;

/// A light of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// The one that shows that Pressel records.
    Listening,
    /// The one that shows that Pressel recognises.
    Thinking,
    /// The one that shows that a text went out.
    Sent,
    /// The one that shows that something is wrong.
    Error,
}

impl Light {
    /// All lights.
    pub const ALL: [Self; 4] = [Self::Listening, Self::Thinking, Self::Sent, Self::Error];

    /// Returns the name, as board files have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Thinking => "thinking",
            Self::Sent => "sent",
            Self::Error => "error",
        }
    }
}

/// Something to show. The first ones go before the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// An utterance failed. Once.
    Failed,
    /// An utterance was dropped, or a press found no microphone. Once.
    Dropped,
    /// There is no microphone.
    NoMicrophone,
    /// An utterance is recorded.
    Listening,
    /// There is no worker that answers.
    NoWorker,
    /// An utterance waits or is recognised.
    Thinking,
    /// A text went out. Once.
    Sent,
    /// The microphone is closed by the owner.
    Muted,
    /// Three crashes in a minute: built-in model, processor, no wake word.
    SafeMode,
    /// The serial line is gone.
    NoLink,
    /// Transcripts are in memory only.
    NoJournal,
    /// The processor does the work in place of CUDA.
    OnProcessor,
    /// The level tells speech from silence.
    ByLevel,
    /// No wake word is heard.
    NoWake,
    /// Nothing else is shown on the light.
    Idle,
}

impl Sign {
    /// All signs, the most urgent first.
    pub const ALL: [Self; 15] = [
        Self::Failed,
        Self::Dropped,
        Self::NoMicrophone,
        Self::Listening,
        Self::NoWorker,
        Self::Thinking,
        Self::Sent,
        Self::Muted,
        Self::SafeMode,
        Self::NoLink,
        Self::NoJournal,
        Self::OnProcessor,
        Self::ByLevel,
        Self::NoWake,
        Self::Idle,
    ];

    /// Returns the name, as board files have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Dropped => "dropped",
            Self::NoMicrophone => "no-microphone",
            Self::Listening => "listening",
            Self::NoWorker => "no-worker",
            Self::Thinking => "thinking",
            Self::Sent => "sent",
            Self::Muted => "muted",
            Self::SafeMode => "safe-mode",
            Self::NoLink => "no-link",
            Self::NoJournal => "no-journal",
            Self::OnProcessor => "on-processor",
            Self::ByLevel => "by-level",
            Self::NoWake => "no-wake",
            Self::Idle => "idle",
        }
    }

    /// Returns whether the rhythm is played once, and not for as long as something lasts.
    #[must_use]
    pub const fn is_once(self) -> bool {
        matches!(self, Self::Failed | Self::Dropped | Self::Sent)
    }
}

/// A colour, where a light has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// How much red, 0 to 255.
    pub red: u8,
    /// How much green, 0 to 255.
    pub green: u8,
    /// How much blue, 0 to 255.
    pub blue: u8,
}

impl Colour {
    const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue }
    }
}

/// On and off in turns: milliseconds lit, dark, lit and so on, then from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    times_ms: [u16; RHYTHM_TIMES_MAX],
    count: usize,
}

impl Rhythm {
    /// Makes a rhythm; without times it is always dark, with one it is always lit.
    ///
    /// `None` when there are more than [`RHYTHM_TIMES_MAX`] times, or one is 0.
    #[must_use]
    pub const fn new(times_ms: &[u16]) -> Option<Self> {
        if RHYTHM_TIMES_MAX < times_ms.len() {
            return None;
        }
        let mut rhythm = Self {
            times_ms: [0; RHYTHM_TIMES_MAX],
            count: times_ms.len(),
        };
        let mut index = 0;
        while index < times_ms.len() {
            if times_ms[index] == 0 {
                return None;
            }
            rhythm.times_ms[index] = times_ms[index];
            index += 1;
        }
        Some(rhythm)
    }

    /// Returns the time from start to start.
    #[must_use]
    pub fn length_ms(&self) -> u64 {
        self.times_ms.iter().map(|time| u64::from(*time)).sum()
    }

    /// Returns whether it is lit `at_ms` after its start, and for how long that stays so; an end of
    /// 0 is never.
    fn at(&self, at_ms: u64) -> (bool, u64) {
        if self.count < 2 {
            return (self.count == 1, 0);
        }
        let mut left = at_ms % self.length_ms();
        for (index, time) in self.times_ms[..self.count].iter().enumerate() {
            let time = u64::from(*time);
            if left < time {
                return (index % 2 == 0, time - left);
            }
            left -= time;
        }
        (false, 0)
    }
}

/// How a sign is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// On which light.
    pub light: Light,
    /// In which rhythm; an empty one is never shown.
    pub rhythm: Rhythm,
    /// In which colour.
    pub colour: Colour,
}

/// How each sign is shown, in the order of [`Sign::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patterns([Pattern; Sign::ALL.len()]);

impl Patterns {
    /// Returns the patterns of a board that says nothing else.
    #[must_use]
    pub const fn usual() -> Self {
        USUAL
    }

    /// Returns how a sign is shown.
    #[must_use]
    pub const fn of(&self, sign: Sign) -> Pattern {
        self.0[sign as usize]
    }

    /// Changes how a sign is shown.
    pub const fn set(&mut self, sign: Sign, pattern: Pattern) {
        self.0[sign as usize] = pattern;
    }
}

const RED: Colour = Colour::new(255, 0, 0);
const ORANGE: Colour = Colour::new(255, 80, 0);
const GREEN: Colour = Colour::new(0, 255, 0);
const BLUE: Colour = Colour::new(0, 0, 255);
const WHITE: Colour = Colour::new(160, 160, 160);

const USUAL: Patterns = {
    use Light::{Error, Listening, Sent, Thinking};
    Patterns([
        pattern(Error, &[1_500], RED),
        pattern(Error, &[300, 300, 300, 300, 300], ORANGE),
        pattern(Error, &[125, 125], RED),
        pattern(Listening, &[1_000], GREEN),
        pattern(Error, &[500, 500], RED),
        pattern(Thinking, &[1_000], BLUE),
        pattern(Sent, &[600], WHITE),
        pattern(Listening, &[100, 3_900], RED),
        pattern(Error, &[100, 3_900], ORANGE),
        pattern(Error, &[100, 250, 100, 3_550], ORANGE),
        pattern(Error, &[100, 250, 100, 250, 100, 3_200], ORANGE),
        pattern(Error, &[100, 250, 100, 250, 100, 250, 100, 2_850], ORANGE),
        pattern(
            Error,
            &[100, 250, 100, 250, 100, 250, 100, 250, 100, 2_500],
            ORANGE,
        ),
        pattern(
            Error,
            &[100, 250, 100, 250, 100, 250, 100, 250, 100, 250, 100, 2_150],
            ORANGE,
        ),
        pattern(Listening, &[], WHITE),
    ])
};

const fn pattern(light: Light, times_ms: &[u16], colour: Colour) -> Pattern {
    let rhythm = Rhythm::new(times_ms);
    assert!(rhythm.is_some());
    let nothing = Rhythm {
        times_ms: [0; RHYTHM_TIMES_MAX],
        count: 0,
    };
    let rhythm = match rhythm {
        Some(rhythm) => rhythm,
        None => nothing,
    };
    Pattern {
        light,
        rhythm,
        colour,
    }
}

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
    /// The serial line is gone, on a board that has one.
    pub link_lost: bool,
    /// Three crashes in a minute.
    pub safe_mode: bool,
    /// The journal cannot be written.
    pub journal_down: bool,
    /// The processor works in place of CUDA.
    pub on_processor: bool,
    /// The level decides what speech is.
    pub by_level: bool,
    /// The model of the wake words failed.
    pub wake_down: bool,
    /// When the last text went out.
    pub text_at: Option<Millis>,
    /// When an utterance last failed.
    pub failed_at: Option<Millis>,
    /// When an utterance was last dropped, or a press found no microphone.
    pub dropped_at: Option<Millis>,
}

impl View {
    /// Returns for how long a sign has been there, if there is something to show; signs that last
    /// count from 0, so that all of them blink together.
    fn since(&self, sign: Sign, pattern: &Pattern, now: Millis) -> Option<u64> {
        let lasts = |is: bool| is.then_some(now);
        let once = |at: Option<Millis>| {
            let passed = now.saturating_sub(at?);
            (passed < pattern.rhythm.length_ms()).then_some(passed)
        };
        match sign {
            Sign::Failed => once(self.failed_at),
            Sign::Dropped => once(self.dropped_at),
            Sign::Sent => once(self.text_at),
            Sign::NoMicrophone => lasts(self.microphone_lost),
            Sign::Listening => lasts(self.recording),
            Sign::NoWorker => lasts(self.worker_down),
            Sign::Thinking => lasts(self.recognising),
            Sign::Muted => lasts(self.muted),
            Sign::SafeMode => lasts(self.safe_mode),
            Sign::NoLink => lasts(self.link_lost),
            Sign::NoJournal => lasts(self.journal_down),
            Sign::OnProcessor => lasts(self.on_processor),
            Sign::ByLevel => lasts(self.by_level),
            Sign::NoWake => lasts(self.wake_down),
            Sign::Idle => lasts(true),
        }
    }
}

/// What each light shows: a colour, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lights([Option<Colour>; Light::ALL.len()]);

impl Lights {
    /// Returns what a light shows.
    #[must_use]
    pub const fn of(&self, light: Light) -> Option<Colour> {
        self.0[light as usize]
    }

    /// Returns whether a light is lit.
    #[must_use]
    pub const fn is_lit(&self, light: Light) -> bool {
        self.of(light).is_some()
    }
}

/// Returns the pattern that has a light now, and how long it has been there.
fn winner(
    light: Light,
    view: &View,
    patterns: &Patterns,
    now: Millis,
) -> Option<(Sign, Pattern, u64)> {
    Sign::ALL.into_iter().find_map(|sign| {
        let pattern = patterns.of(sign);
        let is_here = pattern.light == light && 0 < pattern.rhythm.count;
        let since = view.since(sign, &pattern, now).filter(|_| is_here)?;
        Some((sign, pattern, since))
    })
}

/// Returns what each light shows at time `now`.
#[must_use]
pub fn lights(view: &View, patterns: &Patterns, now: Millis) -> Lights {
    Lights(Light::ALL.map(|light| {
        let (_, pattern, since) = winner(light, view, patterns, now)?;
        pattern.rhythm.at(since).0.then_some(pattern.colour)
    }))
}

/// Returns how long the lights surely stay as they are, in milliseconds; `None` is for ever.
#[must_use]
pub fn steady_ms(view: &View, patterns: &Patterns, now: Millis) -> Option<u64> {
    let steady = |light| {
        let (sign, pattern, since) = winner(light, view, patterns, now)?;
        let change = Some(pattern.rhythm.at(since).1).filter(|left| 0 < *left);
        let end = sign
            .is_once()
            .then(|| pattern.rhythm.length_ms().saturating_sub(since));
        [change, end].into_iter().flatten().min()
    };
    Light::ALL.into_iter().filter_map(steady).min()
}

#[cfg(test)]
mod tests;
