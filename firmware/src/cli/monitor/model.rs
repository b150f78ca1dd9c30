//! What the screen knows: everything that was heard, bounded, with its times.
//!
//! In: what the session reads, and the time of each turn. Out: fields that the view draws. Pure: no
//! clock and no terminal, so that a test plays an evening in a moment.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use pressel_wire::{
    Alert, Counters, DecodeError, DeviceMessage, Hello, HostMessage, Job, JobState, Mark, Outcome,
    State,
};

use super::courier::Show;
use crate::plain::plain;

/// Lines of the talk that are kept; older ones have left the screen long ago.
const ENTRIES_MAX: usize = 500;
/// Jobs that are kept: the newest numbers.
const JOBS_MAX: usize = 8;
/// Seconds over which the rate is measured.
const RATE_SECONDS: u64 = 5;
/// A ping every so often; a line that answers none of three is not alive. Source: SPEC.md, Timing.
const PING_EVERY: Duration = Duration::from_secs(5);
const PINGS_MISSED_MAX: u32 = 3;

/// One thing in the talk.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// Time of day, as the clock of this computer had it.
    pub(super) time: String,
    pub(super) what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// An utterance ended; `complete` is false when a part of its text was lost.
    Outcome {
        outcome: Outcome,
        text: String,
        complete: bool,
    },
    /// Something worth knowing.
    Note(String),
    /// Something that is wrong.
    Warning(String),
}

/// Frames that could not be read, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) overlong: u64,
    pub(super) stuffing: u64,
    pub(super) crc: u64,
    pub(super) unknown: u64,
}

impl Bad {
    pub(super) fn all(self) -> u64 {
        self.overlong + self.stuffing + self.crc + self.unknown
    }
}

/// How good the line is.
#[derive(Clone, Debug, Default)]
pub(super) struct Quality {
    pub(super) good: u64,
    pub(super) bad: Bad,
    pub(super) gaps: u64,
    pub(super) acknowledgements: u64,
    /// When something came last.
    pub(super) heard_at: Option<Duration>,
    /// The last ping's way there and back.
    pub(super) answer: Option<Duration>,
    /// Pings without an answer, one after the other.
    pub(super) missed: u32,
    /// Bytes by second, the newest last.
    bytes: VecDeque<(u64, u64)>,
    ping: Option<(u32, Duration)>,
    nonce: u32,
}

impl Quality {
    /// Returns bytes per second, over the last seconds that are over.
    pub(super) fn rate(&self, now: Duration) -> u64 {
        let second = now.as_secs();
        let is_recent = |at: u64| at < second && second <= at + RATE_SECONDS;
        let recent = self.bytes.iter().filter(|(at, _)| is_recent(*at));
        recent.map(|(_, count)| count).sum::<u64>() / RATE_SECONDS
    }

    fn count(&mut self, bytes: u64, now: Duration) {
        self.heard_at = Some(now);
        let second = now.as_secs();
        match self.bytes.back_mut() {
            Some((at, count)) if *at == second => *count += bytes,
            _ => self.bytes.push_back((second, bytes)),
        }
        while RATE_SECONDS + 1 < u64::try_from(self.bytes.len()).unwrap_or(u64::MAX) {
            self.bytes.pop_front();
        }
    }
}

/// Everything that the screen shows.
pub(super) struct Model {
    pub(super) port: String,
    pub(super) baud: u32,
    /// Whether this monitor sends by itself; keys send in any case.
    pub(super) acknowledges: bool,
    pub(super) hello: Option<Hello>,
    pub(super) state: Option<State>,
    /// The last ones, and when they came: they are told once a minute.
    pub(super) counters: Option<(Counters, Duration)>,
    pub(super) alerts: Vec<Alert>,
    pub(super) jobs: Vec<Job>,
    pub(super) entries: VecDeque<Entry>,
    pub(super) quality: Quality,
    /// Since when the port is gone, and why.
    pub(super) lost: Option<(Duration, String)>,
    /// The host's push-to-talk is down.
    pub(super) talks: bool,
    /// Since the monitor began.
    pub(super) now: Duration,
    /// Time of day.
    pub(super) time: String,
    outcomes: u32,
}

impl Model {
    pub(super) fn new(port: &str, baud: u32, acknowledges: bool) -> Self {
        Self {
            port: port.to_owned(),
            baud,
            acknowledges,
            hello: None,
            state: None,
            counters: None,
            alerts: Vec::new(),
            jobs: Vec::new(),
            entries: VecDeque::new(),
            quality: Quality::default(),
            lost: None,
            talks: false,
            now: Duration::ZERO,
            time: String::new(),
            outcomes: 0,
        }
    }

    /// A turn begins.
    pub(super) fn turn(&mut self, now: Duration, time: String) {
        self.now = now;
        self.time = time;
    }

    /// Returns the ping that is due, if this monitor sends any.
    pub(super) fn ping(&mut self) -> Option<HostMessage> {
        let quality = &mut self.quality;
        let is_due = quality
            .ping
            .is_none_or(|(_, at)| PING_EVERY <= self.now.saturating_sub(at));
        if !self.acknowledges || self.lost.is_some() || !is_due {
            return None;
        }
        if quality.ping.is_some() && quality.answer.is_none() {
            quality.missed = quality.missed.saturating_add(1);
        }
        quality.nonce = quality.nonce.wrapping_add(1);
        quality.ping = Some((quality.nonce, self.now));
        quality.answer = None;
        let nonce = quality.nonce;
        Some(HostMessage::Ping { nonce })
    }

    /// Whether the line is open and nobody answers.
    pub(super) fn is_silent(&self) -> bool {
        PINGS_MISSED_MAX <= self.quality.missed
    }

    fn note(&mut self, what: What) {
        let time = self.time.clone();
        self.entries.push_back(Entry { time, what });
        if ENTRIES_MAX < self.entries.len() {
            self.entries.pop_front();
        }
    }

    fn greet(&mut self, hello: &Hello) {
        let before = self.hello.as_ref().map(|hello| hello.boot);
        if before.is_some_and(|boot| boot != hello.boot) {
            self.note(What::Note("the appliance has started anew".to_owned()));
            self.talks = false;
        }
        // Those that are on are told again.
        self.alerts.clear();
        self.hello = Some(hello.clone());
    }

    fn job(&mut self, job: Job) {
        match self
            .jobs
            .iter_mut()
            .find(|known| known.number == job.number)
        {
            Some(known) => *known = job,
            None => self.jobs.push(job),
        }
        self.jobs.sort_by_key(|job| job.number);
        if JOBS_MAX < self.jobs.len() {
            // One that has ended, else the oldest.
            let is_over = |job: &Job| {
                !matches!(
                    job.state,
                    JobState::Waiting | JobState::Running | JobState::Paused
                )
            };
            let index = self.jobs.iter().position(is_over).unwrap_or(0);
            self.jobs.remove(index);
        }
    }

    fn alert(&mut self, alert: Alert, on: bool) {
        self.alerts.retain(|known| *known != alert);
        if on {
            self.alerts.push(alert);
        }
    }

    fn pong(&mut self, nonce: u32) {
        let quality = &mut self.quality;
        if let Some((asked, at)) = quality.ping
            && asked == nonce
        {
            quality.answer = Some(self.now.saturating_sub(at));
            quality.missed = 0;
        }
    }
}

impl Show for Model {
    fn message(&mut self, message: &DeviceMessage) -> io::Result<()> {
        match message {
            DeviceMessage::Hello(hello) => self.greet(hello),
            DeviceMessage::State(state) => self.state = Some(*state),
            DeviceMessage::Counters(counters) => self.counters = Some((*counters, self.now)),
            DeviceMessage::Pong { nonce } => self.pong(*nonce),
            DeviceMessage::Job(job) => self.job(*job),
            DeviceMessage::Alert { alert, on } => self.alert(*alert, *on),
            _ => {} // A newer appliance says more than this monitor knows.
        }
        Ok(())
    }

    fn outcome(&mut self, outcome: &Outcome, text: &str, complete: bool) -> io::Result<()> {
        self.outcomes = self.outcomes.saturating_add(1);
        self.note(What::Outcome {
            outcome: *outcome,
            text: plain(text),
            complete,
        });
        Ok(())
    }

    fn gap(&mut self, _from: Mark, _to: Mark) -> io::Result<()> {
        self.quality.gaps += 1;
        let words = "what was said in between is lost or was told to others";
        self.note(What::Warning(words.to_owned()));
        Ok(())
    }

    fn bad(&mut self, error: DecodeError) -> io::Result<()> {
        let bad = &mut self.quality.bad;
        *match error {
            DecodeError::Overlong => &mut bad.overlong,
            DecodeError::BadCobs => &mut bad.stuffing,
            DecodeError::BadCrc => &mut bad.crc,
            DecodeError::BadMessage => &mut bad.unknown,
        } += 1;
        Ok(())
    }

    fn port(&mut self, lost: Option<&str>) -> io::Result<()> {
        self.talks = false;
        self.quality.ping = None;
        self.quality.missed = 0;
        self.lost = lost.map(|why| (self.now, why.to_owned()));
        self.note(match lost {
            Some(why) => What::Warning(format!("the port is {why}")),
            None => What::Note("the port is open again".to_owned()),
        });
        Ok(())
    }

    fn heard(&mut self, bytes: usize) {
        if 0 < bytes {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            self.quality.count(bytes, self.now);
        }
    }

    fn read(&mut self) {
        self.quality.good += 1;
    }

    fn sent(&mut self, message: &HostMessage) {
        match message {
            HostMessage::Acknowledge(_) => self.quality.acknowledgements += 1,
            HostMessage::PttDown => self.talks = true,
            HostMessage::PttUp | HostMessage::Cancel => self.talks = false,
            _ => {}
        }
    }

    fn outcomes(&self) -> u32 {
        self.outcomes
    }
}

#[cfg(test)]
pub(super) mod tests;
