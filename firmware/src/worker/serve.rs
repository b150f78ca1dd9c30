//! The worker process itself: one model, one job at a time.
//!
//! Two threads: `pressel-worker`, which is this one, reads requests and can cancel at any time;
//! `recognise` owns the model. Between them lies the desk of [`ahead`](super::ahead).
//! When the appliance is gone, or closes its end, the process ends at once, also in the middle of a
//! job.

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use pressel_hal::linux::cpu;
use pressel_models::runtime::{Provider, Runtime};
use pressel_models::whisper::{Canceller, Whisper, WhisperConfig};
use pressel_models::{
    DecodeOptions, Language, ModelError, Transcriber as _, Transcript, Transcription, places,
};
use pressel_pipeline::limits::{
    CONTEXT_BYTES_MAX, FILE_SLOT, REASON_BYTES_MAX, TEXT_BYTES_MAX, UTTERANCE_SAMPLES_MAX,
};
use pressel_pipeline::time::millis;
use pressel_wire::text::cut;
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::set_name;

use super::ahead::{Desk, Job, Kept, Stuck, Task, to_request};
use super::canary;
use super::faults::{Faults, Kind};
use super::message::{Canary, Excerpt, Fault, NOT_ASKED, Sense};
use super::socket::Received;
use super::{Answer, Request, Setup, WorkerSocket};
use crate::levels;
use crate::slots::SlotReader;
use crate::window::Heard;

/// Words that were drawn at a higher temperature do not go with the next window. Source: openai
/// whisper, transcribe.py.
const FORGETS_ABOVE: f32 = 0.5;

/// Serves until the appliance closes its end. Standard input is the socket.
///
/// # Errors
/// When the descriptors of the appliance are not there: this was not started by Pressel.
pub fn serve(setup: &Setup, slots: RawFd) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It was started as `exe`; threads of ONNX Runtime take their name from this one.
    set_name(c"pressel-worker")?;
    if !setup.cores.is_empty() {
        // A machine with fewer cores works too.
        cpu::pin_thread_to(&setup.cores).ok();
    }
    let fd = io::stdin().as_fd().try_clone_to_owned()?;
    let mut requests = WorkerSocket::new(fd.try_clone()?);
    let mut answers = WorkerSocket::new(fd);
    let slots = SlotReader::inherit(slots)?;

    let (greeting, loaded) = get_ready(setup);
    answers.send(&greeting)?;
    let Some((mut whisper, canceller)) = loaded else {
        // The appliance ends this process: an end that it did not ask for would be a second piece
        // of bad news.
        while let Received::Nothing = requests.receive::<Request>() {}
        return Ok(());
    };
    let mut faults = Faults::new(setup.fault);
    // When ONNX Runtime refuses, the flag is left.
    let end_run = move || _ = canceller.cancel();
    let desk = Arc::new(Desk::new(Box::new(end_run)));
    let theirs = Arc::clone(&desk);
    let options = setup.recognition.options();
    let margin = (!setup.commands.list.is_empty()).then_some(setup.commands.margin);
    std::thread::Builder::new()
        .name("recognise".into())
        .spawn(move || {
            let mut room = Room {
                whisper: &mut whisper,
                options: &options,
                margin,
                faults: &mut faults,
                slots: &slots,
                desk: &theirs,
                audio: Vec::with_capacity(UTTERANCE_SAMPLES_MAX),
                transcript: Transcript {
                    text: String::with_capacity(TEXT_BYTES_MAX),
                    segments: Vec::new(),
                },
                context: String::with_capacity(CONTEXT_BYTES_MAX),
                kept: Kept::default(),
            };
            let work = || room.recognise(&mut answers);
            // The appliance is gone, or this thread panicked and must not be trusted: the process
            // ends at once, and the appliance sees that and starts another.
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            std::process::exit(i32::from(ended.is_err()));
        })?;
    let ended = read_requests(&mut requests, &desk);
    std::process::exit(i32::from(ended.is_err()));
}

/// Loads the model and lets it hear the known clip. Returns what to say, and the model if it is to
/// be worked with.
fn get_ready(setup: &Setup) -> (Answer, Option<(Whisper, Canceller)>) {
    let began = Instant::now();
    let (mut whisper, canceller) = match load(setup) {
        Ok(loaded) => loaded,
        Err(reason) => {
            let reason =
                heapless::String::try_from(cut(&reason, REASON_BYTES_MAX)).unwrap_or_default();
            return (Answer::CannotLoad { reason }, None);
        }
    };
    let is_broken = setup.fault.is_some_and(|plan| plan.kind == Kind::BadCanary);
    let canary = match canary::hear(&mut whisper, is_broken) {
        Ok(Some(canary)) => canary,
        Ok(None) => return (Answer::CanaryFailed(Canary::OtherWords), None),
        Err(error) => return (Answer::CanaryFailed(misheard(error)), None),
    };
    let ready = Answer::Ready {
        cuda: whisper.provider() == Provider::Cuda.name(),
        load_ms: milliseconds(began),
        canary,
    };
    (ready, Some((whisper, canceller)))
}

/// Sorts the error of a clip that the model must be able to hear.
fn misheard(error: ModelError) -> Canary {
    match error {
        ModelError::BadOutput => Canary::NoNumbers,
        _ => Canary::NoAnswer,
    }
}

/// Loads the model; the reason why not in words.
fn load(setup: &Setup) -> Result<(Whisper, Canceller), String> {
    let runtime =
        Runtime::load(&places::onnx_runtime_candidates()).map_err(|error| error.to_string())?;
    let provider = if setup.cuda {
        Provider::Cuda
    } else {
        Provider::Cpu
    };
    let config = WhisperConfig {
        threads: setup.threads,
        spin: false,
        provider,
    };
    let mut whisper =
        Whisper::load(&runtime, &setup.model, &config).map_err(|error| error.to_string())?;
    whisper
        .check(&setup.recognition.options())
        .map_err(|error| error.to_string())?;
    whisper
        .set_phrases(&setup.commands.phrases())
        .map_err(|error| error.to_string())?;
    let canceller = whisper.canceller();
    Ok((whisper, canceller))
}

/// Reads requests until the other end is closed, or work ahead hangs.
fn read_requests(requests: &mut WorkerSocket, desk: &Desk) -> Result<(), Stuck> {
    loop {
        match requests.receive() {
            Received::Message(Request::Recognise { id, part }) => {
                let asked_at = Instant::now();
                desk.ask(Job { id, part, asked_at })?;
            }
            Received::Message(Request::Cancel { id }) => desk.cancel(id),
            Received::Message(Request::Ahead { part, is_guess }) => desk.look(part, is_guess),
            Received::Message(Request::Forget) => desk.forget(),
            Received::Nothing => {}
            Received::Garbage | Received::Closed => return Ok(()),
        }
    }
}

/// What the thread `recognise` works with.
struct Room<'a> {
    whisper: &'a mut Whisper,
    options: &'a DecodeOptions,
    /// Of the closed list, if there is one.
    margin: Option<f32>,
    faults: &'a mut Faults,
    slots: &'a SlotReader,
    desk: &'a Desk,
    audio: Vec<i16>,
    transcript: Transcript,
    /// What was said before a window.
    context: String,
    kept: Kept,
}

impl Room<'_> {
    /// Works until the appliance is gone.
    fn recognise(&mut self, answers: &mut WorkerSocket) {
        loop {
            let answer = match self.desk.next() {
                Task::Forget => {
                    self.kept.wipe();
                    self.whisper.forget_ahead();
                    None
                }
                Task::Listen(part) => {
                    self.kept.wipe();
                    self.listen_ahead(part);
                    None
                }
                Task::Job(job) => self.answer_job(&job, answers),
                Task::Guess(part) => self.guess(part, answers),
            };
            let Some(answer) = answer else { continue };
            if answers.send(&answer).is_err() {
                return;
            }
            self.whisper.forget_ahead(); // Nobody waits for that.
        }
    }

    fn answer_job(&mut self, job: &Job, answers: &mut WorkerSocket) -> Option<Answer> {
        let kept = self.kept.take(job.part);
        self.kept.wipe();
        let answer = kept.or_else(|| self.work(job.part, false, answers));
        self.desk.end();
        Some(to_request(answer?, job))
    }

    /// Recognises before it is asked. An answer goes out if it was asked for meanwhile, or when the
    /// process is not to be used any more.
    fn guess(&mut self, part: Excerpt, answers: &mut WorkerSocket) -> Option<Answer> {
        self.kept.wipe();
        let answer = self.work(part, true, answers);
        let asked = self.desk.end();
        match (answer?, asked) {
            (answer, Some(job)) => Some(to_request(answer, &job)),
            (
                answer @ Answer::Failed {
                    fault: Fault::Sticky | Fault::Reload,
                    ..
                },
                None,
            ) => Some(answer),
            (answer @ Answer::Done { id, .. }, None) if id != NOT_ASKED => Some(answer),
            (answer, None) => {
                self.kept.put(part, answer);
                None
            }
        }
    }

    /// Recognises a part, or does what goes wrong with it. The answer has no number yet.
    fn work(&mut self, part: Excerpt, is_guess: bool, answers: &WorkerSocket) -> Option<Answer> {
        let audio_ms = millis(u64::from(part.samples));
        let answer = match self.faults.next(audio_ms, is_guess) {
            None => Some(self.answer(part)),
            Some(kind) => {
                let cancel = self.desk.cancel_flag();
                kind.happen(NOT_ASKED, || self.answer(part), answers, cancel)
            }
        };
        self.audio.fill(0); // What was said is not kept.
        wipe(&mut self.transcript.text);
        wipe(&mut self.context);
        answer
    }

    /// Takes the audio out of its slot and recognises it.
    fn answer(&mut self, part: Excerpt) -> Answer {
        if !self.fetch(part) {
            let (id, fault) = (NOT_ASKED, Fault::BadRequest);
            return Answer::Failed { id, fault };
        }
        let note = self.slots.note(part.slot, &mut self.context);
        let window = note.map(|language| Window {
            language: Language::of_wire(language),
            context: &self.context,
        });
        // Recordings are not made of commands.
        let margin = self.margin.filter(|_| part.slot != FILE_SLOT);
        let (audio, transcript) = (&self.audio, &mut self.transcript);
        // Known at the end only: what was prepared ahead holds with any.
        self.whisper.set_gain(levels::gain(audio));
        let cancel = self.desk.cancel_flag();
        answer(
            self.whisper,
            self.options,
            audio,
            (window, margin),
            cancel,
            transcript,
        )
    }

    /// Prepares what the recognition of this part, and of more after it, will want.
    fn listen_ahead(&mut self, part: Excerpt) {
        if self.fetch(part) {
            self.whisper.listen_ahead(&self.audio);
        }
        self.audio.fill(0);
        self.desk.end();
    }

    /// Takes the audio out of its slot.
    fn fetch(&mut self, part: Excerpt) -> bool {
        let Excerpt {
            slot,
            start,
            samples,
            ..
        } = part;
        self.slots.copy(slot, start, samples, &mut self.audio)
    }
}

/// What goes with a window of a recording.
#[derive(Clone, Copy)]
struct Window<'a> {
    /// The recording's, once it is known: all of it is heard in the language of its first words.
    language: Option<Language>,
    /// What was said before.
    context: &'a str,
}

/// Overwrites a text in its place.
fn wipe(text: &mut String) {
    let room = text.capacity();
    text.clear();
    text.extend(std::iter::repeat_n('\0', room));
    text.clear();
}

/// Recognises one utterance, or a window of a recording with what is noted beside it; a fault that
/// may pass is tried once more.
fn answer(
    whisper: &mut Whisper,
    options: &DecodeOptions,
    audio: &[i16],
    (window, margin): (Option<Window<'_>>, Option<f32>),
    cancel: &AtomicBool,
    transcript: &mut Transcript,
) -> Answer {
    let mut options = Cow::Borrowed(options);
    let mut context = "";
    if let Some(window) = window {
        let options = options.to_mut();
        options.without_timestamps = false;
        options.language = options.language.or(window.language);
        context = window.context;
    }
    if margin.is_some() {
        options.to_mut().nearest = true;
    }
    let mut result = whisper.transcribe(audio, &options, context, cancel, transcript);
    if let Err(ModelError::Transient) = result
        && !cancel.load(Ordering::SeqCst)
    {
        result = whisper.transcribe(audio, &options, context, cancel, transcript);
    }
    match result {
        Ok(transcription) => {
            let is_window = window.is_some();
            let sense = sense(&transcription, margin, whisper.unknown_below(), is_window);
            done(sense, &transcription, transcript, is_window)
        }
        Err(error) => Answer::Failed {
            id: NOT_ASKED,
            fault: Fault::from(error),
        },
    }
}

/// A phrase whose tokens are less likely in the mean is no command, however near it is to what was
/// heard freely. Units: natural logarithm. Source: Whisper's own threshold of a text.
const COMMAND_LOGPROB_MIN: f32 = -1.0;

/// Says what became of the words of an utterance, or of a window of a recording. `margin` is that
/// of the closed list, if there is one.
///
/// What is near is measured against what was heard freely. So nothing is near where a model for all
/// words hears silence and its words were made up, or where the words were drawn at a temperature.
/// What a model that knows a vocabulary only makes up is unlikely: [`COMMAND_LOGPROB_MIN`] keeps it
/// out.
fn sense(
    transcription: &Transcription,
    margin: Option<f32>,
    unknown_below: Option<f32>,
    is_window: bool,
) -> Sense {
    let is_measured =
        transcription.temperature <= 0.0 && (unknown_below.is_some() || !transcription.no_speech);
    let near = margin.zip(transcription.nearest.filter(|_| is_measured));
    if let Some((margin, nearest)) = near
        && nearest.margin <= margin
        && COMMAND_LOGPROB_MIN <= nearest.mean_logprob
    {
        return Sense::Command(nearest.command);
    }
    // The gate heard speech, and a model that knows a vocabulary only found none of it.
    let is_odd = |least: f32| transcription.no_speech || transcription.mean_logprob < least.ln();
    let is_unknown = unknown_below.is_some_and(is_odd) && !is_window;
    if is_unknown || (margin.is_some() && !transcription.no_speech) {
        return Sense::Unknown;
    }
    if transcription.no_speech {
        return Sense::NoSpeech;
    }
    Sense::Words
}

fn done(
    sense: Sense,
    transcription: &Transcription,
    transcript: &Transcript,
    is_window: bool,
) -> Answer {
    let text = &transcript.text;
    let cut = cut(text, TEXT_BYTES_MAX);
    let heard = is_window.then(|| {
        let samples = transcription.heard_samples;
        let forgets = FORGETS_ABOVE < transcription.temperature;
        Heard::of(transcript, cut.len(), samples, forgets)
    });
    Answer::Done {
        id: NOT_ASKED,
        text: heapless::String::try_from(cut).unwrap_or_default(),
        truncated: cut.len() < text.len(),
        sense,
        language: transcription.language.map_or([0; 2], Language::wire),
        confidence: percent(match (sense, transcription.nearest) {
            (Sense::Command(_), Some(nearest)) => nearest.mean_logprob,
            _ => transcription.mean_logprob,
        }),
        encode_ms: transcription.encode_ms,
        decode_ms: transcription.decode_ms,
        heard: heard.unwrap_or_default(),
    }
}

/// Returns the mean probability of the tokens in percent.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a probability times 100 is between 0 and 100"
)]
fn percent(mean_logprob: f32) -> u8 {
    let probability = mean_logprob.exp();
    if probability.is_finite() {
        (probability.clamp(0.0, 1.0) * 100.0).round() as u8
    } else {
        0
    }
}

fn milliseconds(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use pressel_models::whisper::Nearest;

    use super::*;

    #[test]
    fn phrases_words_and_silence_are_told_apart() {
        let heard = |no_speech: bool, probability: f32, margin: Option<f32>| Transcription {
            no_speech,
            language: None,
            language_probability: 1.0,
            heard_samples: 16_000,
            mean_logprob: probability.ln(),
            temperature: 0.0,
            token_count: 3,
            pass_count: 1,
            encode_ms: 1,
            decode_ms: 1,
            nearest: margin.map(|margin| Nearest {
                command: 7,
                margin,
                mean_logprob: -0.1,
            }),
        };
        let list = Some(3.0);
        let small = Some(0.5);
        for (heard, margin, unknown_below, expected) in [
            (heard(false, 0.4, None), None, None, Sense::Words),
            (heard(true, 0.9, None), None, None, Sense::NoSpeech),
            (heard(false, 0.6, None), None, small, Sense::Words),
            (heard(false, 0.4, None), None, small, Sense::Unknown),
            (heard(true, 0.9, None), None, small, Sense::Unknown),
            (heard(false, 0.9, Some(2.0)), list, None, Sense::Command(7)),
            (heard(false, 0.4, Some(2.0)), list, small, Sense::Command(7)),
            (heard(false, 0.9, Some(4.0)), list, None, Sense::Unknown),
            (heard(false, 0.9, None), list, None, Sense::Unknown),
            (heard(true, 0.9, None), list, None, Sense::NoSpeech),
            (heard(true, 0.9, Some(9.0)), list, small, Sense::Unknown),
            (heard(true, 0.9, Some(2.0)), list, small, Sense::Command(7)),
            (heard(true, 0.9, Some(2.0)), list, None, Sense::NoSpeech),
        ] {
            let found = sense(&heard, margin, unknown_below, false);
            assert_eq!(found, expected, "{heard:?} {margin:?} {unknown_below:?}");
        }
        let mut unlikely = heard(false, 0.1, Some(0.0));
        unlikely.nearest.as_mut().unwrap().mean_logprob = -1.7;
        assert_eq!(sense(&unlikely, list, small, false), Sense::Unknown);
        let drawn = Transcription {
            temperature: 0.4,
            ..heard(false, 0.9, Some(0.0))
        };
        assert_eq!(sense(&drawn, list, None, false), Sense::Unknown);
        let window = sense(&heard(false, 0.1, None), None, small, true);
        assert_eq!(window, Sense::Words);
    }

    #[test]
    fn confidence_is_a_percentage_whatever_the_model_says() {
        for (logprob, expected) in [
            (0.0, 100),
            (-core::f32::consts::LN_2, 50),
            (f32::NEG_INFINITY, 0),
            (f32::NAN, 0),
            (1.0, 100),
        ] {
            assert_eq!(percent(logprob), expected, "{logprob}");
        }
    }
}
