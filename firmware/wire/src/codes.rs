//! The small numbers of the contract and their names.
//!
//! On the wire each is one byte. Lists only grow: a number keeps its meaning for ever. A receiver
//! that is older than the sender reads a number that it does not know as `Unknown`, so a new reason
//! never costs it the message. Names are lower-case and stable: line mode and JSON use them.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Declares a list of codes: the enum, its byte, its stable name, and the ways back.
macro_rules! codes {
    (
        $(#[$meta:meta])*
        $list:ident { $( $(#[$doc:meta])* $code:ident = $byte:literal, $name:literal; )+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "u8", into = "u8")]
        #[repr(u8)]
        pub enum $list {
            $( $(#[$doc])* $code = $byte, )+
            /// A code that this version does not know. Never sent.
            Unknown = 255,
        }

        impl $list {
            /// Every code that this version may send, in the order of their bytes.
            pub const ALL: &'static [Self] = &[ $( Self::$code, )+ ];

            /// Returns the stable name.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$code => $name, )+
                    Self::Unknown => "unknown",
                }
            }

            /// Returns the code of a stable name, [`Self::Unknown`] for any other text.
            pub fn from_name(name: &str) -> Self {
                match name {
                    $( $name => Self::$code, )+
                    _ => Self::Unknown,
                }
            }
        }

        impl From<u8> for $list {
            fn from(byte: u8) -> Self {
                match byte {
                    $( $byte => Self::$code, )+
                    _ => Self::Unknown,
                }
            }
        }

        impl From<$list> for u8 {
            fn from(code: $list) -> u8 {
                code as u8
            }
        }

        impl fmt::Display for $list {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

codes! {
    /// What the appliance is doing.
    DeviceState {
        /// Models are being loaded; nothing can be recognised yet.
        Starting = 0, "starting";
        /// Ready, and listening when a trigger needs it.
        Idle = 1, "idle";
        /// An utterance is being recorded.
        Recording = 2, "recording";
        /// An utterance is at the worker, and none is being recorded.
        Recognising = 3, "recognising";
        /// The microphone is off because someone asked for that.
        Muted = 4, "muted";
        /// The microphone is gone; it is opened again when it comes back.
        MicLost = 5, "miclost";
        /// The worker is not running; it is started again, perhaps after a wait.
        WorkerDown = 6, "workerdown";
        /// The appliance was asked to stop.
        Stopping = 7, "stopping";
    }
}

codes! {
    /// What opened an utterance.
    Trigger {
        /// The button or the host: push to talk.
        Ptt = 0, "ptt";
        /// The wake word.
        Wake = 1, "wake";
        /// Speech, in hands-free operation without a wake word.
        Voice = 2, "voice";
        /// A chunk of a recording.
        File = 3, "file";
    }
}

codes! {
    /// What runs the model.
    Provider {
        /// No model is loaded.
        None = 0, "none";
        /// The processor.
        Cpu = 1, "cpu";
        /// A CUDA device.
        Cuda = 2, "cuda";
    }
}

codes! {
    /// Why an utterance was given up without being recognised.
    DropReason {
        /// No slot or place in the queue was free.
        Busy = 0, "busy";
        /// Someone cancelled it.
        Cancelled = 1, "cancelled";
        /// The microphone was muted while it was being recorded.
        Muted = 2, "muted";
        /// The microphone was lost while it was being recorded.
        MicLost = 3, "miclost";
        /// The appliance stopped before its turn came.
        Shutdown = 4, "shutdown";
        /// A fault inside the appliance; its log says more.
        Internal = 5, "internal";
    }
}

codes! {
    /// Why an utterance could not be recognised.
    FailCode {
        /// There is no model that could be loaded.
        ModelMissing = 0, "modelmissing";
        /// The model failed, also at the second try.
        ModelFault = 1, "modelfault";
        /// Recognition took too long and was stopped.
        Timeout = 2, "timeout";
        /// The worker process died while it recognised this utterance.
        WorkerDied = 3, "workerdied";
        /// The audio cannot be used: wrong length, or a recording that cannot be read.
        BadAudio = 4, "badaudio";
        /// The worker failed too often and is left off for some minutes.
        WorkerDown = 5, "workerdown";
    }
}

codes! {
    /// What becomes of a file job.
    JobState {
        /// It waits for its turn.
        Waiting = 0, "waiting";
        /// It is being transcribed.
        Running = 1, "running";
        /// Its results are written.
        Done = 2, "done";
        /// The file cannot be read as a recording.
        Failed = 3, "failed";
        /// Someone cancelled it.
        Cancelled = 4, "cancelled";
        /// It brought the recognition down; it is left alone until somebody asks for it again.
        Quarantined = 5, "quarantined";
        /// Its file or disk is away; it goes on when that is back.
        Paused = 6, "paused";
    }
}

impl JobState {
    /// Returns whether nothing happens to the job by itself any more.
    pub const fn has_ended(self) -> bool {
        matches!(
            self,
            Self::Done | Self::Failed | Self::Cancelled | Self::Quarantined
        )
    }
}

codes! {
    /// What the owner should know.
    Alert {
        /// Three crashes in a minute: built-in model, processor, no wake word.
        SafeMode = 0, "safemode";
        /// CUDA failed a fourth time in ten minutes: the processor does the work.
        CpuFallback = 1, "cpufallback";
        /// The journal's disk fails: transcripts are kept in memory only.
        JournalDown = 2, "journaldown";
        /// The voice activity model is missing or failed: the level tells speech from silence.
        VadFallback = 3, "vadfallback";
        /// The wake words' model failed: none is heard until the next start.
        WakeDown = 4, "wakedown";
    }
}
