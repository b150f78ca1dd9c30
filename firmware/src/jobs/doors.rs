//! The doors of the thread `jobs`: to the main loop, and to whoever manages jobs.
//!
//! Chunks and progress out, what became of a chunk in; requests of the control socket in, answers
//! out. All queues are bounded. Nothing happens here.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use pressel_pipeline::limits::CONTROL_JOBS_MS;
use pressel_pipeline::waiting::Utterance;
use pressel_wire::{Job, JobState};
use serde::{Deserialize, Serialize};

use crate::bell::Bell;
use crate::outcome::Finished;

/// News for the main loop on their way. One chunk at most is among them; progress that finds no
/// room is left out, for newer progress follows.
pub const JOB_NEWS_MAX: usize = 8;

/// How long a request waits for its answer: the thread may be reading from a slow stick.
const PATIENCE: Duration = Duration::from_millis(CONTROL_JOBS_MS);

/// Why a request did not reach `jobs`. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// Others wait already: the same request may be sent again.
    Full,
    /// The thread has ended.
    Gone,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the jobs are busy with a slow disk: try again",
            Self::Gone => "nobody manages jobs any more: see the appliance's log",
        })
    }
}

/// From `jobs` to the main loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobNews {
    /// A chunk stands in [`FILE_SLOT`](pressel_pipeline::limits::FILE_SLOT): trigger `File`, `id`
    /// is the chunk's own number since start, `start` its place in the recording. The slot belongs
    /// to the main loop until its [`Finished`] comes back; there is never a second one before that.
    Chunk(Utterance),
    /// How far a job is, for the link.
    Progress(Job),
}

/// The main loop's side of the doors.
pub struct JobsEnds {
    /// What `jobs` tells.
    pub news: Receiver<JobNews>,
    /// What became of the chunk: text, no speech, or a failure; `Dropped` means that it is to be
    /// done again. One chunk is under way at a time, so there is always room.
    pub done: Sender<Finished>,
    /// Wakes `jobs`.
    pub bell: Bell,
}

/// What `jobs` itself reads and writes of the main loop.
pub struct JobsInside {
    /// To the main loop.
    pub news: Sender<JobNews>,
    /// From the main loop.
    pub done: Receiver<Finished>,
    /// Rings when there is something for `jobs`.
    pub bell: Bell,
    /// From those who manage jobs.
    pub calls: Receiver<JobCall>,
}

/// What is answered: the jobs that were asked for, or why not and what to do, in one line.
pub type JobAnswer = Result<Vec<JobInfo>, String>;

/// One request on its way, and where its answer goes.
pub struct JobCall {
    /// What is wanted.
    pub request: JobRequest,
    /// One answer, in a queue of one place; nobody may wait for it any more.
    pub reply: Sender<JobAnswer>,
}

/// What can be asked about jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobRequest {
    /// Adds a recording; answered by its job. A recording that is a job already stays that job.
    Add {
        /// Absolute path.
        path: PathBuf,
    },
    /// Answered by all jobs, the oldest first.
    List,
    /// Ends a job that is not done; answered by it at once. A chunk of it that the worker hears is
    /// not called back: it is heard to its end, its text is thrown away, and the next job begins
    /// when the slot is free again (seconds; more while somebody speaks).
    Cancel {
        /// Number of the job.
        number: u32,
    },
    /// Takes up a failed, cancelled or quarantined job again, behind its last checkpoint; answered
    /// by it.
    Retry {
        /// Number of the job.
        number: u32,
    },
}

impl JobRequest {
    /// Returns what to say when there is no answer in time, and what to do.
    #[must_use]
    pub fn late(&self) -> &'static str {
        match self {
            Self::List => "the jobs are busy with a slow disk: try again",
            Self::Add { .. } | Self::Cancel { .. } | Self::Retry { .. } => {
                "the jobs are busy with a slow disk: it may still be done: look with `pressel \
                 jobs list`"
            }
        }
    }
}

/// A job, as `pressel jobs list` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobInfo {
    /// Number of the job; it stays the same over restarts.
    pub number: u32,
    /// The recording.
    pub path: PathBuf,
    /// Stable name of its [`JobState`].
    pub state: String,
    /// Percent that is done.
    pub percent: u8,
    /// Seconds until it is done; `None` when nobody knows.
    pub left_s: Option<u32>,
    /// Length of the recording in seconds; `None` while that is not known.
    pub duration_s: Option<f64>,
    /// Why it failed, is paused or was quarantined, and what to do.
    pub why: Option<String>,
}

impl JobInfo {
    /// Returns the state as a code.
    #[must_use]
    pub fn code(&self) -> JobState {
        JobState::from_name(&self.state)
    }
}

/// The way to `jobs` for those who manage them.
#[derive(Clone)]
pub struct JobClient {
    calls: Sender<JobCall>,
    bell: Bell,
}

impl JobClient {
    /// Asks, and waits some seconds for the answer: not for the appliance's own threads.
    ///
    /// # Errors
    /// Why it was refused and what to do, in one line.
    pub fn ask(&self, request: JobRequest) -> JobAnswer {
        let late = request.late();
        let answer = self.send(request).map_err(|error| error.to_string())?;
        let late = |_| Err(late.to_owned());
        answer.recv_timeout(PATIENCE).unwrap_or_else(late)
    }

    /// Asks and does not wait. The answer comes out of the receiver, which ends without one should
    /// `jobs` end.
    ///
    /// # Errors
    /// [`SendError`]: it is not on its way.
    pub fn send(&self, request: JobRequest) -> Result<Receiver<JobAnswer>, SendError> {
        let (reply, answer) = bounded(1);
        let sent = self.calls.try_send(JobCall { request, reply });
        sent.map_err(|error| match error {
            TrySendError::Full(_) => SendError::Full,
            TrySendError::Disconnected(_) => SendError::Gone,
        })?;
        self.bell.ring();
        Ok(answer)
    }
}

/// Makes all doors of a thread that `bell` wakes.
#[must_use]
pub fn doors(bell: &Bell) -> (JobsEnds, JobsInside, JobClient) {
    let (news_in, news) = bounded(JOB_NEWS_MAX);
    let (done, done_out) = bounded(1);
    let (calls, calls_out) = bounded(4);
    let ends = JobsEnds {
        news,
        done,
        bell: bell.clone(),
    };
    let inside = JobsInside {
        news: news_in,
        done: done_out,
        bell: bell.clone(),
        calls: calls_out,
    };
    let client = JobClient {
        calls,
        bell: bell.clone(),
    };
    (ends, inside, client)
}
