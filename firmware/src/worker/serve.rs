//! The worker process itself: one model, one job at a time.
//!
//! Two threads: `pressel-worker`, which is this one, reads requests and can cancel at any time;
//! `recognise` owns the model.
//! When the appliance is gone, or closes its end, the process ends at once, also in the middle of a
//! job.

use std::io;
use std::os::fd::{AsFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use pressel_hal::linux::cpu;
use pressel_models::runtime::{Provider, Runtime};
use pressel_models::whisper::{Canceller, Whisper, WhisperConfig};
use pressel_models::{
    DecodeOptions, Language, ModelError, Transcriber as _, Transcript, Transcription, places,
};
use pressel_pipeline::limits::{REASON_BYTES_MAX, TEXT_BYTES_MAX, UTTERANCE_SAMPLES_MAX};
use pressel_pipeline::time::millis;
use pressel_wire::text::cut;
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::set_name;

use super::canary;
use super::faults::{Faults, Kind};
use super::message::Fault;
use super::socket::Received;
use super::{Answer, Request, Setup, WorkerSocket};
use crate::levels;
use crate::slots::SlotReader;

/// One request to recognise.
struct Job {
    id: u32,
    slot: u8,
    start: u32,
    samples: u32,
}

/// What both threads look at.
struct Shared {
    /// Number of the job that runs; 0 is none.
    running: AtomicU32,
    /// The running job is cancelled.
    cancel: AtomicBool,
}

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
    let options = setup.recognition.options();
    let shared = Arc::new(Shared {
        running: AtomicU32::new(0),
        cancel: AtomicBool::new(false),
    });
    let (jobs, jobs_out) = sync_channel(1);
    let theirs = Arc::clone(&shared);
    std::thread::Builder::new()
        .name("recognise".into())
        .spawn(move || {
            let mut room = Room {
                whisper: &mut whisper,
                options: &options,
                faults: &mut faults,
                slots: &slots,
                shared: &theirs,
            };
            let work = || room.recognise(&jobs_out, &mut answers);
            // The appliance is gone, or this thread panicked and must not be trusted: the process
            // ends at once, and the appliance sees that and starts another.
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            std::process::exit(i32::from(ended.is_err()));
        })?;
    read_requests(&mut requests, &jobs, &shared, &canceller);
    std::process::exit(0);
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
    let Ok(Some(canary)) = canary::hear(&mut whisper, is_broken) else {
        return (Answer::CanaryFailed, None);
    };
    let ready = Answer::Ready {
        cuda: whisper.provider() == Provider::Cuda.name(),
        load_ms: milliseconds(began),
        canary,
    };
    (ready, Some((whisper, canceller)))
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
    let whisper =
        Whisper::load(&runtime, &setup.model, &config).map_err(|error| error.to_string())?;
    whisper
        .check(&setup.recognition.options())
        .map_err(|error| error.to_string())?;
    let canceller = whisper.canceller();
    Ok((whisper, canceller))
}

/// Reads requests until the other end is closed.
fn read_requests(
    requests: &mut WorkerSocket,
    jobs: &SyncSender<Job>,
    shared: &Shared,
    canceller: &Canceller,
) {
    loop {
        match requests.receive() {
            Received::Message(Request::Recognise {
                id,
                slot,
                start,
                samples,
            }) => {
                shared.cancel.store(false, Ordering::SeqCst);
                shared.running.store(id, Ordering::SeqCst);
                // The appliance sends one request at a time, so there is room.
                if jobs
                    .try_send(Job {
                        id,
                        slot,
                        start,
                        samples,
                    })
                    .is_err()
                {
                    return;
                }
            }
            Received::Message(Request::Cancel { id }) => {
                if shared.running.load(Ordering::SeqCst) == id {
                    shared.cancel.store(true, Ordering::SeqCst);
                    canceller.cancel();
                }
            }
            Received::Nothing => {}
            Received::Garbage | Received::Closed => return,
        }
    }
}

/// What the thread `recognise` works with.
struct Room<'a> {
    whisper: &'a mut Whisper,
    options: &'a DecodeOptions,
    faults: &'a mut Faults,
    slots: &'a SlotReader,
    shared: &'a Shared,
}

impl Room<'_> {
    /// Works off jobs until the appliance is gone.
    fn recognise(&mut self, jobs: &Receiver<Job>, answers: &mut WorkerSocket) {
        let mut audio = Vec::with_capacity(UTTERANCE_SAMPLES_MAX);
        let mut transcript = Transcript {
            text: String::with_capacity(TEXT_BYTES_MAX),
            segments: Vec::new(),
        };
        let shared = self.shared;
        while let Ok(job) = jobs.recv() {
            let fault = self.faults.next(millis(u64::from(job.samples)));
            let id = job.id;
            let right = || self.answer(job, &mut audio, &mut transcript);
            let answer = match fault {
                None => Some(right()),
                Some(kind) => kind.happen(id, right, answers, &shared.cancel),
            };
            audio.fill(0); // What was said is not kept.
            shared.running.store(0, Ordering::SeqCst);
            if answer.is_some_and(|answer| answers.send(&answer).is_err()) {
                return;
            }
        }
    }

    /// Takes the audio out of its slot and recognises it.
    fn answer(&mut self, job: Job, audio: &mut Vec<i16>, transcript: &mut Transcript) -> Answer {
        let Job {
            id,
            slot,
            start,
            samples,
        } = job;
        let Some(slice) = self.slots.audio(slot, start, samples) else {
            let fault = Fault::BadRequest;
            return Answer::Failed { id, fault };
        };
        audio.clear();
        audio.extend_from_slice(slice);
        levels::normalise(audio);
        let options = self.options;
        answer(
            self.whisper,
            id,
            audio,
            options,
            &self.shared.cancel,
            transcript,
        )
    }
}

/// Recognises one utterance; a fault that may pass is tried once more.
fn answer(
    whisper: &mut Whisper,
    id: u32,
    audio: &[i16],
    options: &DecodeOptions,
    cancel: &AtomicBool,
    transcript: &mut Transcript,
) -> Answer {
    let mut result = whisper.transcribe(audio, options, "", cancel, transcript);
    if let Err(ModelError::Transient) = result
        && !cancel.load(Ordering::SeqCst)
    {
        result = whisper.transcribe(audio, options, "", cancel, transcript);
    }
    match result {
        Ok(transcription) => done(id, &transcription, &transcript.text),
        Err(error) => Answer::Failed {
            id,
            fault: Fault::from(error),
        },
    }
}

fn done(id: u32, transcription: &Transcription, text: &str) -> Answer {
    let cut = cut(text, TEXT_BYTES_MAX);
    Answer::Done {
        id,
        text: heapless::String::try_from(cut).unwrap_or_default(),
        truncated: cut.len() < text.len(),
        no_speech: transcription.no_speech,
        language: transcription.language.map_or([0; 2], Language::wire),
        confidence: percent(transcription.mean_logprob),
        encode_ms: transcription.encode_ms,
        decode_ms: transcription.decode_ms,
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
    use super::*;

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
