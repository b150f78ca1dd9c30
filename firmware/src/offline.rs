//! The same ears and the same worker on recordings, faster than real time.
//!
//! Two ways: a file in, listen's events and outcomes out, as the live path has them (`replay`); or
//! a recording's chunks in, their outcomes out, as a file job has them (`transcribe`). Ears, slots
//! and the worker process are those of the appliance, so the same audio gives the same texts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pressel_hal::PollFd;
use pressel_hal::linux::poll;
use pressel_models::wake_word::FRAME_SAMPLES;
use pressel_pipeline::limits::{BLOCK_SAMPLES, LOAD_MS_MAX, RECOGNISE_BASE_MS, RECOGNISE_FACTOR};
use pressel_pipeline::time::millis;
use pressel_pipeline::waiting::Utterance;
use pressel_wire::{DropReason, OutcomeResult};

use crate::audio_file::{AudioFile, AudioFileError};
use crate::chunks::{Chunk, Chunks};
use crate::failure::{Failure, Kind};
use crate::listen::Ears;
use crate::listen::listener::{Events, Listener, Tuning};
use crate::outcome::{Finished, of_answer, utterance};
use crate::second_looks::{Confirmed, SecondLooks};
use crate::slots::{ChunkSlot as _, FileSlot, OfflineSlots, SharedMemory, Slots as _};
use crate::stream::{Block, Command, Control, ListenEvent, WordName};
use crate::window::Context;
use crate::worker::message::{Canary, Excerpt, Fault};
use crate::worker::socket::Received;
use crate::worker::{Answer, Request, Setup, WorkerProcess, WorkerSocket};

/// Frames of silence behind a file in which wake words are listened for, beside those whose scores
/// are averaged: a word is found a while after its end, and a microphone would have gone on.
const BEHIND_FRAMES: usize = 4;

/// Mono samples at 16 kHz, in order.
pub trait Samples {
    /// Fills `samples` from the front and returns how many; 0 is the end.
    ///
    /// # Errors
    /// What is wrong with the file that they come from.
    fn read(&mut self, samples: &mut [i16]) -> Result<usize, AudioFileError>;
}

impl Samples for AudioFile {
    fn read(&mut self, samples: &mut [i16]) -> Result<usize, AudioFileError> {
        Self::read(self, samples)
    }
}

/// What one file gives, in order.
pub enum Played {
    /// Listen found something.
    Event(ListenEvent),
    /// The recogniser did not hear the wake word that opened this utterance.
    Refused {
        /// Number of the utterance.
        utterance: u32,
        /// The word.
        word: WordName,
    },
    /// An utterance has its outcome.
    Outcome(Box<Finished>),
    /// So many samples have been heard, of the file and then of the silence behind it.
    Progress(u64),
}

/// Ears, slots and a worker process for recordings.
pub struct Offline {
    ears: Option<(Ears, OfflineSlots)>,
    chunk: FileSlot,
    tuning: Tuning,
    setup: Setup,
    memory: SharedMemory,
    worker: Option<(WorkerProcess, WorkerSocket)>,
    confirmed: Confirmed,
}

impl Offline {
    /// Starts a worker and waits until its model is loaded.
    ///
    /// # Errors
    /// [`Kind::Model`] when the model cannot be loaded, [`Kind::Device`] when the machine is out of
    /// memory or descriptors.
    pub fn start(ears: Ears, tuning: Tuning, setup: Setup) -> Result<Self, Failure> {
        let out =
            |error: std::io::Error| Failure::new(Kind::Device, format!("cannot start: {error}"));
        let memory = SharedMemory::create().map_err(out)?;
        let slots = OfflineSlots::new(memory.writer().map_err(out)?);
        let mut offline = Self {
            ears: Some((ears, slots)),
            chunk: memory.file_writer().map_err(out)?,
            tuning,
            setup,
            memory,
            worker: None,
            confirmed: Confirmed::new(),
        };
        offline.start_worker()?;
        Ok(offline)
    }

    /// Says which wake words the worker must hear, too.
    pub fn confirm(&mut self, words: Confirmed) {
        self.confirmed = words;
    }

    fn start_worker(&mut self) -> Result<(), Failure> {
        let started = WorkerProcess::start(&self.setup, self.memory.raw_fd());
        let (process, mut socket) = started.map_err(|error| {
            Failure::new(Kind::Device, format!("cannot start a worker: {error}"))
        })?;
        let failed = match wait_for(&mut socket, LOAD_MS_MAX) {
            Some(Answer::Ready { .. }) => {
                self.worker = Some((process, socket));
                return Ok(());
            }
            Some(Answer::CannotLoad { reason }) => reason.as_str().to_owned(),
            Some(Answer::CanaryFailed(canary)) => wrong_canary(&self.setup, canary),
            Some(_) => "the worker answers before it was asked".to_owned(),
            None => "the worker ended while it loaded the model, or did not finish".to_owned(),
        };
        process.end();
        Err(Failure::new(Kind::Model, failed))
    }

    /// Plays one file, and some silence behind it where wake words are listened for. With `held`
    /// the push-to-talk is held for all of it. `give` gets what is found, and its answer to
    /// [`Played::Progress`] tells whether to go on.
    ///
    /// # Errors
    /// [`Kind::Disk`] when the file cannot be read on; what was recognised before has been given
    /// out.
    pub fn play(
        &mut self,
        file: &mut dyn Samples,
        held: bool,
        give: &mut dyn FnMut(Played) -> bool,
    ) -> Result<(), Failure> {
        let (ears, slots) = self.ears.take().ok_or_else(no_ears)?;
        let smoothings = ears.words().iter().map(|word| word.tuning.smoothing);
        let behind = match smoothings.max() {
            Some(count) if !held => BEHIND_FRAMES + count,
            _ => 0,
        };
        let mut listener = Listener::new(self.tuning, ears, slots);
        let mut looks = SecondLooks::new(self.confirmed.clone());
        let mut events = Events::new();
        if held {
            listener.obey(
                Command {
                    at: 0,
                    control: Control::TalkStart,
                },
                &mut events,
            );
        }
        let mut read = Ok(());
        let mut silent_blocks = behind * FRAME_SAMPLES / BLOCK_SAMPLES;
        loop {
            let mut block = Block {
                start: listener.heard(),
                samples: [0; BLOCK_SAMPLES],
            };
            match file.read(&mut block.samples) {
                Ok(0) if silent_blocks == 0 => break,
                Ok(0) => {
                    silent_blocks -= 1;
                    listener.hear(&block, &mut events);
                }
                Ok(_) => listener.hear(&block, &mut events),
                Err(error) => {
                    read = Err(Failure::new(Kind::Disk, error));
                    break;
                }
            }
            let goes_on = give(Played::Progress(listener.heard()));
            self.work_off(&mut listener, &mut looks, &mut events, give);
            if !goes_on {
                break;
            }
        }
        listener.finish(&mut events);
        self.work_off(&mut listener, &mut looks, &mut events, give);
        self.ears = Some(listener.into_parts());
        read
    }

    /// Transcribes the chunks, and gives each out; with its outcome, if something was said in it.
    /// Returns false when it was asked to end before the last one.
    ///
    /// # Errors
    /// [`Kind::Disk`] when the recording cannot be read on; what was recognised before has been
    /// given out.
    pub fn transcribe(
        &mut self,
        chunks: &mut Chunks,
        asked_to_end: &AtomicBool,
        give: &mut dyn FnMut(&Chunk, Option<Finished>),
    ) -> Result<bool, Failure> {
        let mut context = Context::default();
        for id in 1.. {
            let (ears, _) = self.ears.as_mut().ok_or_else(no_ears)?;
            let cut = chunks.next(ears, self.chunk.samples());
            let Some(mut chunk) = cut.map_err(|error| Failure::new(Kind::Disk, error))? else {
                break;
            };
            if asked_to_end.load(Ordering::Relaxed) {
                return Ok(false);
            }
            self.chunk.note(chunks.has_windows().then_some(&context));
            let said = chunk
                .speech
                .map(|_| self.recognise(&chunk.utterance(id, 0)));
            let is_heard = |said: &&Finished| said.outcome.result.is_heard();
            if let Some(said) = said.as_ref().filter(is_heard) {
                chunk.next = chunks.heard(said.heard.samples);
                context.learn(&said.text, said.language, said.heard.forgets);
            }
            give(&chunk, said);
        }
        Ok(true)
    }

    /// Gives events out, and recognises the utterances among them.
    fn work_off(
        &mut self,
        listener: &mut Listener<OfflineSlots>,
        looks: &mut SecondLooks,
        events: &mut Events,
        give: &mut dyn FnMut(Played) -> bool,
    ) {
        for &event in events.iter() {
            give(Played::Event(event));
            match event {
                ListenEvent::Closed(closed) => {
                    let utterance = utterance(&closed, self.tuning.utterance.post_roll, 0);
                    let refused = self.refuse(&utterance, looks);
                    if let Some(word) = refused {
                        let utterance = utterance.id;
                        give(Played::Refused { utterance, word });
                    }
                    let finished = match refused {
                        Some(_) => Finished::of(&utterance, OutcomeResult::NoSpeech, 0),
                        None => self.recognise(&utterance),
                    };
                    listener.slots().give_back(closed.slot);
                    give(Played::Outcome(Box::new(finished)));
                }
                ListenEvent::Lost(lost) => {
                    give(Played::Outcome(Box::new(Finished::lost(&lost, 0))));
                }
                ListenEvent::Wake { word, .. } => looks.wake(word),
                ListenEvent::Opened { id, trigger, .. } => looks.open(id, trigger),
                _ => {}
            }
        }
        events.clear();
    }

    /// Returns the wake word that opened an utterance when the worker does not hear it. A worker
    /// that dies over it is started again for the utterance.
    fn refuse(&mut self, utterance: &Utterance, looks: &mut SecondLooks) -> Option<WordName> {
        let clip = utterance.speech.and(looks.clip(utterance));
        let answer = clip.and_then(|clip| {
            let (_, socket) = self.worker.as_mut()?;
            let answer = ask(socket, clip);
            if answer.is_none()
                && let Some((process, _)) = self.worker.take()
            {
                process.end();
            }
            answer
        });
        let word = answer.and_then(|answer| looks.refuses(utterance.id, &answer));
        looks.end(utterance.id);
        word
    }

    fn recognise(&mut self, utterance: &Utterance) -> Finished {
        if utterance.speech.is_none() {
            return Finished::of(utterance, OutcomeResult::NoSpeech, 0);
        }
        // A worker that dies is started again and gets the utterance once more.
        for _ in 0..2 {
            if self.worker.is_none() && self.start_worker().is_err() {
                break;
            }
            let socket = self.worker.as_mut().map(|(_, socket)| socket);
            if let Some(answer) = socket.and_then(|socket| ask(socket, Excerpt::of(utterance))) {
                return of_answer(utterance, answer, 0, 0);
            }
            if let Some((process, _)) = self.worker.take() {
                process.end();
            }
        }
        let result = OutcomeResult::Failed(pressel_wire::FailCode::WorkerDied);
        Finished::of(utterance, result, 0)
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        if let Some((process, _)) = self.worker.take() {
            process.end();
        }
    }
}

/// Says that the model hears a known clip wrong, and what to do.
fn wrong_canary(setup: &Setup, canary: Canary) -> String {
    let model = setup.model.display();
    let remedy = match canary {
        _ if setup.cuda => "a board file with `provider = \"cpu\"` tells whether it is the device",
        Canary::OtherWords => {
            "take its files from one export, and `canary` in its pressel.json from what it hears"
        }
        other => other.remedy(),
    };
    format!("{model}: the model {}: {remedy}", canary.problem())
}

fn no_ears() -> Failure {
    Failure::new(Kind::Model, "the ears were lost in a panic")
}

/// Asks the worker; `None` when it is gone, hangs, or cannot be trusted any more.
fn ask(socket: &mut WorkerSocket, part: Excerpt) -> Option<Answer> {
    let request = Request::Recognise {
        id: part.utterance,
        part,
    };
    socket.send(&request).ok()?;
    let audio_ms = millis(u64::from(part.samples));
    match wait_for(socket, RECOGNISE_BASE_MS + RECOGNISE_FACTOR * audio_ms)? {
        Answer::Failed {
            fault: Fault::Sticky | Fault::Reload,
            ..
        } => None,
        answer @ (Answer::Done { id, .. } | Answer::Failed { id, .. }) if id == part.utterance => {
            Some(answer)
        }
        // It answers what was not asked.
        _ => None,
    }
}

/// Waits for one answer; `None` after `ms`, or when the worker is gone.
fn wait_for(socket: &mut WorkerSocket, ms: u64) -> Option<Answer> {
    let deadline = std::time::Instant::now() + Duration::from_millis(ms);
    loop {
        match socket.receive() {
            Received::Message(answer) => return Some(answer),
            Received::Garbage | Received::Closed => return None,
            Received::Nothing => {}
        }
        let left = deadline.checked_duration_since(std::time::Instant::now())?;
        let mut fds = [PollFd {
            fd: socket.raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }];
        poll::wait(
            &mut fds,
            i32::try_from(left.as_millis()).unwrap_or(i32::MAX),
        )
        .ok()?;
    }
}

/// Returns whether an utterance was lost and not recognised: `transcribe` must say so.
#[must_use]
pub fn is_loss(result: &OutcomeResult) -> bool {
    match result {
        OutcomeResult::Dropped(reason) => *reason != DropReason::Cancelled,
        result => !result.is_heard(),
    }
}

#[cfg(test)]
mod tests {
    use pressel_pipeline::waiting::SpeechSpan;
    use pressel_wire::{FailCode, Trigger};

    use super::*;
    use crate::window::Heard;

    fn utterance() -> Utterance {
        Utterance {
            id: 7,
            slot: 3,
            trigger: Trigger::File,
            start: 0,
            samples: 32_000,
            speech: Some(SpeechSpan {
                start: 8_000,
                end: 24_000,
            }),
            closed_at: 0,
            capture_ms: 0,
        }
    }

    fn done(id: u32) -> Answer {
        Answer::Done {
            id,
            text: heapless::String::try_from("lights on").unwrap(),
            truncated: false,
            sense: crate::worker::message::Sense::Words,
            language: *b"en",
            confidence: 90,
            encode_ms: 1,
            decode_ms: 2,
            heard: Heard::default(),
        }
    }

    fn failed(fault: Fault) -> Answer {
        Answer::Failed { id: 7, fault }
    }

    /// A worker that has written its answer before it is asked.
    fn check(answer: &Answer, trusted: bool) {
        let (mut ours, theirs) = WorkerSocket::pair().unwrap();
        let mut theirs = WorkerSocket::new(theirs);
        theirs.send(answer).unwrap();
        let expected = trusted.then(|| answer.clone());
        assert_eq!(ask(&mut ours, Excerpt::of(&utterance())), expected);
        let part = Excerpt {
            utterance: 7,
            slot: 3,
            start: 3_200,
            samples: 24_000,
        };
        let request = Request::Recognise { id: 7, part };
        assert_eq!(theirs.receive(), Received::Message(request));
    }

    #[test]
    fn answer_to_what_was_asked_is_taken() {
        check(&done(7), true);
        check(&failed(Fault::Model), true);
        check(&failed(Fault::BadRequest), true);
    }

    #[test]
    fn worker_that_cannot_be_trusted_is_given_up_as_on_the_live_path() {
        check(&failed(Fault::Sticky), false);
        check(&failed(Fault::Reload), false);
        check(&done(8), false);
        let ready = Answer::Ready {
            cuda: false,
            load_ms: 1,
            canary: 1,
        };
        check(&ready, false);
    }

    #[test]
    fn worker_that_is_gone_or_says_nothing_gives_no_answer() {
        let (mut ours, theirs) = WorkerSocket::pair().unwrap();
        assert_eq!(wait_for(&mut ours, 0), None);
        rustix::net::send(&theirs, &[0xff; 9], rustix::net::SendFlags::NOSIGNAL).unwrap();
        assert_eq!(wait_for(&mut ours, 60_000), None);
        drop(theirs);
        assert_eq!(wait_for(&mut ours, 60_000), None);
        assert_eq!(ask(&mut ours, Excerpt::of(&utterance())), None);
    }

    #[test]
    fn what_was_not_recognised_is_a_loss_unless_it_was_given_up_on_purpose() {
        let text = OutcomeResult::Text {
            bytes: 1,
            truncated: true,
        };
        for (result, expected) in [
            (text, false),
            (OutcomeResult::NoSpeech, false),
            (OutcomeResult::Dropped(DropReason::Cancelled), false),
            (OutcomeResult::Dropped(DropReason::Busy), true),
            (OutcomeResult::Failed(FailCode::ModelFault), true),
        ] {
            assert_eq!(is_loss(&result), expected, "{result:?}");
        }
    }
}
