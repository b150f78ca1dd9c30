//! `pressel record`: phrases in one's own voice and room, for the training and `pressel evaluate`.
//!
//! Flow: what is wanted, less what the folder holds -> a line that asks -> the appliance's own
//! capture and gate ([`studio`]) -> a verdict ([`judge`]) -> a file and a row ([`folder`]). A take
//! that will not do is asked for again, a bounded number of times. A signal ends it between two
//! blocks of audio, and nothing is half written.

mod folder;
mod judge;
mod phrases;
mod studio;
mod teller;

use pressel_boards::Board;
use pressel_pipeline::limits::RATE_HZ;

use self::folder::{Folder, Label};
use self::judge::{Fault, Kept};
use self::studio::{Heard, ROOM_SECONDS_MAX, Studio, Take};
use self::teller::{Counts, Teller, Wish};
use super::args::RecordArguments;
use crate::appliance::Place;
use crate::config::Config;
use crate::failure::{Failure, Kind};

/// Tries of one take; after the last one the phrase is skipped.
const TRIES_MAX: usize = 5;
/// Takes of one piece of the room.
const PIECE_SECONDS: f64 = ROOM_SECONDS_MAX as f64;
/// A rest of the room that is not worth a piece.
const PIECE_SECONDS_MIN: f64 = 0.5;
/// What is listened to where there is no board: the desktop's own choice.
const DEFAULT_DEVICE: &str = "default";

/// Asks for the takes that are missing, and keeps them.
///
/// # Errors
/// [`Kind::Result`] when a signal ended it before the last take, or phrases were skipped;
/// [`Kind::Usage`], [`Kind::Device`] and [`Kind::Disk`] as the message says. What was kept is
/// there.
pub fn record(arguments: &RecordArguments) -> Result<(), Failure> {
    let phrases = phrases::gather(arguments)?;
    if arguments.speaker.trim().is_empty() {
        return Err(Failure::new(Kind::Usage, "--speaker: write a name"));
    }
    let mut config = Config::load(arguments.config.as_deref())?;
    let (board, place) = choose_place(arguments, &mut config)?;
    let folder = Folder::open(&arguments.out)?;
    let teller = Teller::new(arguments.json);
    let mut session = Session {
        arguments,
        folder,
        teller,
        counts: Counts::default(),
    };
    let wanted = session.wanted(&phrases);
    let is_missing = |wanted: &Wanted| wanted.before < wanted.of;
    if !wanted.iter().any(is_missing) {
        session.end()?;
        return session.judge(true);
    }
    let asked = super::transcribe::take_signals()?;
    let mut studio = Studio::open(config, &board, place, &asked)?;
    session.teller.begin(studio.device())?;
    let done = session.all(&wanted, &mut studio);
    // Also after an error: what was kept is there.
    session.end()?;
    session.judge(done?)
}

/// Returns the board whose microphone it is; a desk computer has its own.
fn choose_place(
    arguments: &RecordArguments,
    config: &mut Config,
) -> Result<(Board, Place), Failure> {
    let device = &mut config.microphone.device;
    if let Some(named) = &arguments.place.mic {
        *device = Some(named.clone());
    }
    if let Some(board) = arguments.place.board(&config.board)? {
        let place = arguments.place.place(&board, 1)?;
        return Ok((board, place));
    }
    device.get_or_insert_with(|| DEFAULT_DEVICE.to_owned());
    let board = Board::builtin("sim").map_err(|error| Failure::new(Kind::Usage, error))?;
    Ok((board, Place::Linux))
}

/// All takes of a phrase, or all pieces of the room.
struct Wanted {
    label: Label,
    /// Takes that are there.
    before: usize,
    /// Takes that there shall be.
    of: usize,
    /// How much of the room is missing; 0 for a phrase.
    seconds: f64,
}

/// What is at work from the first take to the last.
struct Session<'a> {
    arguments: &'a RecordArguments,
    folder: Folder,
    teller: Teller,
    counts: Counts,
}

impl Session<'_> {
    /// Returns what is wanted, with what is there already.
    fn wanted(&mut self, phrases: &[String]) -> Vec<Wanted> {
        let room = self.arguments.noise.map(|seconds| self.room(seconds));
        let of = self.arguments.takes as usize;
        let of_phrase = |phrase: &String| {
            let label = self.label(Label::category(phrase, self.arguments.wake), phrase);
            let before = self.folder.takes(&label).min(of);
            Wanted {
                label,
                before,
                of,
                seconds: 0.0,
            }
        };
        let wanted: Vec<_> = room
            .into_iter()
            .chain(phrases.iter().map(of_phrase))
            .collect();
        self.counts.wanted = wanted.iter().map(|wanted| wanted.of).sum();
        self.counts.before = wanted.iter().map(|wanted| wanted.before).sum();
        wanted
    }

    /// Returns the room in pieces, so that some can train and others judge.
    fn room(&self, seconds: u32) -> Wanted {
        let wanted = f64::from(seconds);
        let there = self.folder.room_seconds().min(wanted);
        let missing = wanted - there;
        let missing = if missing < PIECE_SECONDS_MIN {
            0.0
        } else {
            missing
        };
        Wanted {
            label: self.label("noise", ""),
            before: pieces(there),
            of: pieces(there) + pieces(missing),
            seconds: missing,
        }
    }

    fn label(&self, category: &'static str, phrase: &str) -> Label {
        let speaker = if phrase.is_empty() {
            ""
        } else {
            self.arguments.speaker.trim()
        };
        Label {
            category,
            text: phrase.to_owned(),
            speaker: speaker.to_owned(),
            licence: self.arguments.licence.clone(),
            note: String::new(),
        }
    }

    /// Asks for all that is missing. Returns false when a signal came.
    fn all(&mut self, wanted: &[Wanted], studio: &mut Studio) -> Result<bool, Failure> {
        for wanted in wanted {
            if !self.all_of(wanted, studio)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Asks for all missing takes of one thing. Returns false when a signal came.
    fn all_of(&mut self, wanted: &Wanted, studio: &mut Studio) -> Result<bool, Failure> {
        let mut seconds = wanted.seconds;
        for take in wanted.before + 1..=wanted.of {
            let wish = Wish {
                phrase: &wanted.label.text,
                take,
                of: wanted.of,
                seconds: seconds.min(PIECE_SECONDS),
            };
            seconds -= wish.seconds;
            match self.one(wanted, &wish, studio)? {
                Some(true) => {}
                Some(false) => {
                    self.counts.skipped += 1;
                    self.teller.skip(&wish, TRIES_MAX)?;
                    if !wish.phrase.is_empty() {
                        return Ok(true);
                    }
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Asks for one take until it will do. Returns whether it did; none when a signal came.
    fn one(
        &mut self,
        wanted: &Wanted,
        wish: &Wish<'_>,
        studio: &mut Studio,
    ) -> Result<Option<bool>, Failure> {
        for _ in 0..TRIES_MAX {
            if !studio.catch_up()? {
                return Ok(None);
            }
            self.teller.ask(wish)?;
            let show = &mut |peak| self.teller.level(peak);
            let heard = if wish.phrase.is_empty() {
                studio.room(samples(wish.seconds), show)?
            } else {
                studio.utterance(show)?
            };
            let judged = match heard {
                Heard::Stopped => return Ok(None),
                Heard::Nothing(loudest) => Err(Fault::Nothing {
                    dead: judge::is_dead(loudest),
                }),
                Heard::Take(take) => verdict(wish, &take).map(|kept| (take, kept)),
            };
            match judged {
                Ok((take, kept)) => {
                    self.keep(wanted, wish, studio.device(), &take, kept)?;
                    return Ok(Some(true));
                }
                Err(fault) => {
                    self.counts.again += 1;
                    self.teller.again(wish, fault)?;
                }
            }
        }
        Ok(Some(false))
    }

    fn keep(
        &mut self,
        wanted: &Wanted,
        wish: &Wish<'_>,
        device: &str,
        take: &Take,
        kept: Kept,
    ) -> Result<(), Failure> {
        let label = Label {
            note: format!("{device}; level {} dB", kept.level_db),
            ..wanted.label.clone()
        };
        let file = self.folder.keep(&label, &take.samples)?;
        self.counts.kept += 1;
        self.teller.kept(wish, &file, take.samples.len(), kept)
    }

    /// Prints what there is.
    fn end(&self) -> Result<(), Failure> {
        let manifest = self.folder.manifest();
        self.teller.end(&self.counts, &manifest.to_string_lossy())
    }

    /// Says what is missing; `is_whole` when no signal came before the last take.
    fn judge(&self, is_whole: bool) -> Result<(), Failure> {
        let Counts {
            wanted, skipped, ..
        } = self.counts;
        let there = self.counts.there();
        let why = if !is_whole {
            format!(
                "stopped by a signal: {there} of {wanted} takes are in {}; the same command goes \
                 on",
                self.arguments.out.display()
            )
        } else if 0 < skipped {
            format!("phrases that were skipped: {skipped}; the same command asks for them again")
        } else {
            return Ok(());
        };
        Err(Failure::new(Kind::Result, why))
    }
}

fn verdict(wish: &Wish<'_>, take: &Take) -> Result<Kept, Fault> {
    if wish.phrase.is_empty() {
        judge::room(take)
    } else {
        judge::phrase(take, wish.phrase)
    }
}

/// Returns in how many pieces a stretch of the room is recorded.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most ten minutes, by the command line"
)]
fn pieces(seconds: f64) -> usize {
    (seconds / PIECE_SECONDS).ceil() as usize
}

/// Returns the samples of a piece.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most ten seconds"
)]
fn samples(seconds: f64) -> u64 {
    (seconds * RATE_HZ as f64).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_of_the_room_comes_in_pieces_of_ten_seconds() {
        for (seconds, expected) in [(0.0, 0), (0.5, 1), (10.0, 1), (10.1, 2), (600.0, 60)] {
            assert_eq!(pieces(seconds), expected, "{seconds}");
        }
        assert_eq!(samples(2.5), 40_000);
    }
}
