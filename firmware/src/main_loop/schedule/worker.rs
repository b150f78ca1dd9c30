//! The worker of the schedule: hears real slots, answers late, obeys or not, and dies.
//!
//! Requests and random numbers in; answers out, each the text of the samples that it really read.
//! Compiled for tests only.

use std::collections::BTreeSet;

use pressel_pipeline::limits::FILE_SLOT;

use super::air::{Dice, text_of};
use crate::main_loop::tests::rig::READY;
use crate::slots::SlotReader;
use crate::window::Heard;
use crate::worker::message::{Canary, Excerpt, Fault, NOT_ASKED};
use crate::worker::socket::Received;
use crate::worker::{Answer, Request, WorkerSocket};

/// What the worker did, for the line of the proof.
#[derive(Default)]
pub(super) struct Work {
    pub(super) utterances: usize,
    pub(super) chunks: usize,
    /// Chunks that it had been given before.
    pub(super) chunks_again: usize,
    heard: BTreeSet<String>,
    pub(super) yields: usize,
    pub(super) deaths: usize,
    pub(super) hangs: usize,
    pub(super) late: usize,
    /// Looks ahead, guesses among them, those that were asked for, and workers that they cost.
    pub(super) looks: usize,
    pub(super) guesses: usize,
    pub(super) adopted: usize,
    pub(super) deaths_ahead: usize,
    /// The next so many requests kill it.
    pub(super) poison: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Text,
    Fault(Fault),
    Death,
    Never,
}

struct Task {
    id: u32,
    part: Excerpt,
    /// What it read when it was asked: nobody else may write there meanwhile.
    text: String,
    answers_at: u64,
    ending: Ending,
}

/// One worker process.
pub(super) struct PlayedWorker {
    socket: WorkerSocket,
    memory: SlotReader,
    ready_at: Option<u64>,
    /// A worker of this life was ready before: this one may fail at the known clip. The first one
    /// would end the program.
    pub(super) may_fail: bool,
    task: Option<Task>,
    /// What it has begun before it was asked.
    guess: Option<Task>,
}

impl PlayedWorker {
    pub(super) fn new(socket: WorkerSocket, memory: SlotReader, ready_at: u64) -> Self {
        Self {
            socket,
            memory,
            ready_at: Some(ready_at),
            may_fail: false,
            task: None,
            guess: None,
        }
    }

    /// Lets it work until now. Returns false when it dies.
    pub(super) fn turn(&mut self, now: u64, dice: &mut Dice, calm: bool, work: &mut Work) -> bool {
        if self.ready_at.is_some_and(|at| at <= now) {
            self.ready_at = None;
            let fails = !calm && dice.chance(10) && self.may_fail;
            let answer = if fails {
                Answer::CanaryFailed(Canary::OtherWords)
            } else {
                READY
            };
            self.socket.send(&answer).ok();
        }
        loop {
            match self.socket.receive() {
                Received::Message(Request::Recognise { id, part }) => {
                    assert!(self.task.is_none(), "two requests at once");
                    let text = self.text(part);
                    if part.slot == FILE_SLOT {
                        work.chunks += 1;
                        work.chunks_again += usize::from(!work.heard.insert(text.clone()));
                    } else {
                        work.utterances += 1;
                    }
                    let guess = self.guess.take_if(|guess| guess.part == part);
                    self.guess = None;
                    self.task = Some(match guess {
                        Some(guess) => {
                            work.adopted += 1;
                            assert_eq!(guess.text, text, "{part:?} was written after it was told");
                            Task { id, ..guess }
                        }
                        None => self.begin(id, part, now, dice, calm, work),
                    });
                }
                Received::Message(Request::Ahead { part, is_guess }) => {
                    assert!(self.task.is_none(), "work ahead beside a request");
                    work.looks += 1;
                    self.guess = None;
                    if is_guess {
                        work.guesses += 1;
                        let guess = self.begin(NOT_ASKED, part, now, dice, calm, work);
                        self.guess = Some(guess);
                        if !calm && dice.chance(100) {
                            work.deaths_ahead += 1;
                            if !self.fail_ahead(dice) {
                                return false;
                            }
                        }
                    }
                }
                Received::Message(Request::Forget) => self.guess = None,
                Received::Message(Request::Cancel { id }) => self.cancel(id, now, dice, work),
                Received::Nothing => break,
                // The main loop has let go of it.
                Received::Closed => return true,
                Received::Garbage => panic!("the worker was asked garbage"),
            }
        }
        self.answer(now)
    }

    /// It dies over a guess, says that it is broken, or lies. Returns false when it dies.
    fn fail_ahead(&mut self, dice: &mut Dice) -> bool {
        let (id, fault) = (NOT_ASKED, Fault::Sticky);
        match dice.below(3) {
            0 => return false,
            1 => self.socket.send(&Answer::Failed { id, fault }).ok(),
            _ => self.socket.send(&Request::Forget).ok(),
        };
        true
    }

    /// Returns the words of what it reads now.
    fn text(&self, part: Excerpt) -> String {
        let Excerpt {
            slot,
            start,
            samples,
            ..
        } = part;
        text_of(&self.memory.audio(slot, start, samples).unwrap())
    }

    fn begin(
        &self,
        id: u32,
        part: Excerpt,
        now: u64,
        dice: &mut Dice,
        calm: bool,
        work: &mut Work,
    ) -> Task {
        Task {
            id,
            part,
            text: self.text(part),
            answers_at: now + dice.between(20, if calm { 300 } else { 2_500 }),
            ending: ending(dice, calm, work),
        }
    }

    /// It obeys, or its answer is on its way already, or it hangs.
    fn cancel(&mut self, id: u32, now: u64, dice: &mut Dice, work: &mut Work) {
        let Some(task) = self.task.as_mut().filter(|task| task.id == id) else {
            return; // It has just answered.
        };
        if task.part.slot == FILE_SLOT {
            work.yields += 1;
        }
        match dice.below(20) {
            0 => work.hangs += 1,
            1..4 => {
                work.late += 1;
                return;
            }
            _ => task.ending = Ending::Fault(Fault::Cancelled),
        }
        if task.ending != Ending::Fault(Fault::Cancelled) {
            task.ending = Ending::Never;
        }
        task.answers_at = now + dice.below(150);
    }

    /// Answers what is due. Returns false when it dies of that.
    fn answer(&mut self, now: u64) -> bool {
        let due = |task: &mut Task| task.answers_at <= now && task.ending != Ending::Never;
        let Some(task) = self.task.take_if(due) else {
            return true;
        };
        let id = task.id;
        let text = self.text(task.part);
        assert_eq!(text, task.text, "{:?} was written meanwhile", task.part);
        let answer = match task.ending {
            Ending::Fault(fault) => Answer::Failed { id, fault },
            Ending::Death => return false,
            Ending::Text | Ending::Never => Answer::Done {
                id,
                sense: crate::worker::message::Sense::Words,
                text: heapless::String::try_from(text.as_str()).unwrap(),
                truncated: false,
                language: *b"en",
                confidence: 90,
                encode_ms: 1,
                decode_ms: 2,
                heard: Heard::default(),
            },
        };
        self.socket.send(&answer).ok();
        true
    }
}

fn ending(dice: &mut Dice, calm: bool, work: &mut Work) -> Ending {
    if calm {
        return Ending::Text;
    }
    if 0 < work.poison {
        work.poison -= 1;
        return Ending::Death;
    }
    match dice.below(1_000) {
        0..3 => {
            work.hangs += 1;
            Ending::Never
        }
        3..6 => Ending::Death,
        6..10 => Ending::Fault(Fault::Model),
        10..12 => Ending::Fault(Fault::Sticky),
        12..14 => Ending::Fault(Fault::Reload),
        _ => Ending::Text,
    }
}
