//! A microphone through libasound.
//!
//! Flow: the kernel's capture buffer -> one block of `i16`. Opening and listing allocate and run at
//! start-up or on the keeper's thread; reading runs on the main loop, makes one system call and
//! neither blocks nor allocates. Closing is dropping the value: mute does exactly that.
//!
//! Three traps of the `alsa` crate are settled here. Its error numbers are negative or positive by
//! call, so only `errno_of` looks at them. `io_i16` builds hardware parameters at each call, and
//! a kept `IO` would borrow from the value that owns it: `io_bytes` costs one flag, so the bytes go
//! through a buffer of one block. `PCM::state` panics on a value it does not know, so it is not
//! used.

use std::ffi::CString;
use std::time::{Duration, Instant};

use alsa::pcm::{Access, Format, Frames, HwParams, PCM};
use alsa::poll::Descriptors;
use alsa::{Direction, ValueOr};

use crate::{MicError, Microphone, MicrophoneConfig, OpenError, PollFd};

mod list;
pub use list::{Capture, list_captures};

/// Descriptors that one PCM may have. Kernel devices have 1, `dsnoop` has 2.
const FDS_MAX: usize = 4;

const BYTES_PER_SAMPLE: usize = 2;

/// What the device agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureSetup {
    /// Samples in a period; near the block that was asked for.
    pub period_samples: usize,
    /// Samples that the buffer holds; near the time that was asked for.
    pub buffer_samples: usize,
}

/// A capture PCM that is open and running: S16_LE, mono, non-blocking.
pub struct AlsaMicrophone {
    pcm: PCM,
    name: String,
    setup: CaptureSetup,
    rate_hz: u32,
    fds: [PollFd; FDS_MAX],
    fds_count: usize,
    /// One block as bytes; the first `filled_bytes` have arrived.
    bytes: Box<[u8]>,
    filled_bytes: usize,
    caught_up: CaughtUp,
}

impl AlsaMicrophone {
    /// Opens, configures and starts the device.
    ///
    /// # Errors
    /// [`OpenError`] when the device is missing, busy, not permitted, or cannot give mono `i16` at
    /// the rate asked for.
    pub fn open(config: &MicrophoneConfig) -> Result<Self, OpenError> {
        assert!(0 < config.block_samples, "a block has samples");
        let name = config.device.as_str();
        let c_name = CString::new(name)
            .map_err(|_| OpenError::new(DEVICE, name, "the name has a NUL byte", REMEDY_LIST))?;
        // libasound writes its own lines to stderr; the user gets ours instead.
        let _quiet = alsa::Output::local_error_handler();
        let pcm = PCM::open(&c_name, Direction::Capture, true).map_err(|error| {
            let errno = errno_of(error);
            OpenError::from_errno(DEVICE, name, errno, open_remedy(errno))
        })?;
        let setup = configure(&pcm, config)?;
        let mut microphone = Self {
            pcm,
            name: name.to_owned(),
            setup,
            rate_hz: config.rate_hz,
            fds: [NO_FD; FDS_MAX],
            fds_count: 0,
            bytes: vec![0; config.block_samples * BYTES_PER_SAMPLE].into_boxed_slice(),
            filled_bytes: 0,
            caught_up: CaughtUp::now(),
        };
        microphone.cache_descriptors()?;
        microphone
            .pcm
            .start()
            .map_err(|error| failed(name, error, REMEDY_LIST))?;
        microphone.caught_up = CaughtUp::now();
        Ok(microphone)
    }

    /// Returns what the device agreed to.
    pub fn setup(&self) -> CaptureSetup {
        self.setup
    }

    /// Asks for the descriptors once: they stay the same until the PCM is closed.
    fn cache_descriptors(&mut self) -> Result<(), OpenError> {
        let count = self.pcm.count();
        if FDS_MAX < count {
            let cause = format!("it has {count} poll descriptors, more than {FDS_MAX}");
            return Err(OpenError::new(DEVICE, &self.name, cause, REMEDY_PLUG));
        }
        let filled = self.pcm.fill(&mut self.fds);
        self.fds_count = filled.map_err(|error| failed(&self.name, error, REMEDY_LIST))?;
        Ok(())
    }

    /// Puts the device back to work after `errno` and says what was lost.
    fn recover(&mut self, errno: i32) -> MicError {
        let restarted = match errno {
            libc::EPIPE => self.restart(),
            // Some drivers continue by themselves, the others want a fresh start. A resume that
            // is still under way (EAGAIN) is tried again at the next read.
            libc::ESTRPIPE => match self.pcm.resume().map_err(errno_of) {
                Ok(()) | Err(libc::EAGAIN) => Ok(()),
                Err(_) => self.restart(),
            },
            _ => Err(errno),
        };
        // Whole blocks were handed out; a block that had only begun is lost with the rest.
        self.filled_bytes = 0;
        let lost_samples = self.caught_up.lost_samples(Instant::now(), self.rate_hz);
        self.caught_up = CaughtUp::now();
        match restarted {
            Err(errno) => MicError::Lost { errno },
            Ok(()) if errno == libc::ESTRPIPE => MicError::Suspended { lost_samples },
            Ok(()) => MicError::Overrun { lost_samples },
        }
    }

    fn restart(&self) -> Result<(), i32> {
        self.pcm
            .prepare()
            .and_then(|()| self.pcm.start())
            .map_err(errno_of)
    }
}

impl Microphone for AlsaMicrophone {
    fn poll_fds(&self, fds: &mut [PollFd]) -> usize {
        let count = self.fds_count.min(fds.len());
        fds[..count].copy_from_slice(&self.fds[..count]);
        count
    }

    fn read(&mut self, block: &mut [i16]) -> Result<bool, MicError> {
        assert_eq!(
            block.len() * BYTES_PER_SAMPLE,
            self.bytes.len(),
            "one block, as opened"
        );
        let wanted = &mut self.bytes[self.filled_bytes..];
        let wanted_bytes = wanted.len();
        let read = self.pcm.io_bytes().readi(wanted).map_err(errno_of);
        let frames = match read {
            Ok(frames) => frames,
            Err(libc::EAGAIN | libc::EINTR) => 0,
            Err(errno) => return Err(self.recover(errno)),
        };
        self.filled_bytes += frames * BYTES_PER_SAMPLE;
        if frames * BYTES_PER_SAMPLE < wanted_bytes {
            // The buffer is empty: from here on, time that passes is samples that must come.
            self.caught_up = CaughtUp::now();
            return Ok(false);
        }
        for (sample, pair) in block.iter_mut().zip(self.bytes.as_chunks().0) {
            *sample = i16::from_le_bytes(*pair);
        }
        self.filled_bytes = 0;
        self.caught_up.read_samples += block.len() as u64;
        Ok(true)
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// When the kernel's buffer was last seen empty, and what was read since.
///
/// The estimate of a gap needs no time stamp of the driver (plugins have none), and is right within
/// one period also when the process itself was stopped for a while.
#[derive(Clone, Copy, Debug)]
struct CaughtUp {
    at: Instant,
    read_samples: u64,
}

impl CaughtUp {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            read_samples: 0,
        }
    }

    /// Returns the samples that passed since and were not read.
    fn lost_samples(&self, now: Instant, rate_hz: u32) -> u32 {
        let passed: Duration = now.saturating_duration_since(self.at);
        let samples = passed.as_micros() * u128::from(rate_hz) / 1_000_000;
        let lost = samples.saturating_sub(u128::from(self.read_samples));
        u32::try_from(lost).unwrap_or(u32::MAX)
    }
}

const DEVICE: &str = "microphone";
const NO_FD: PollFd = PollFd {
    fd: -1,
    events: 0,
    revents: 0,
};
const REMEDY_LIST: &str = "`pressel devices` lists the microphones of this machine";
const REMEDY_PLUG: &str = "write `plughw:CARD=…` instead of `hw:…`, or `default`: libasound then \
                           converts rate, channels and format; `pressel devices` lists the names";

/// Returns the positive errno, whichever sign the `alsa` crate gave it.
fn errno_of(error: alsa::Error) -> i32 {
    error.errno().saturating_abs()
}

fn failed(name: &str, error: alsa::Error, remedy: &str) -> OpenError {
    let mut open_error = OpenError::from_errno(DEVICE, name, errno_of(error), remedy);
    open_error.cause = format!("{} in {}", open_error.cause, error.func());
    open_error
}

fn open_remedy(errno: i32) -> String {
    match errno {
        libc::EBUSY => "another program records from it: end that, or use a `dsnoop:` name".into(),
        libc::EACCES | libc::EPERM => {
            "add the user to the group `audio` (`sudo usermod -aG audio $USER`), log in again"
                .into()
        }
        _ => format!("check the cable and the name; {REMEDY_LIST}"),
    }
}

/// Sets S16_LE, mono, the exact rate, and period and buffer as near as the device can.
fn configure(pcm: &PCM, config: &MicrophoneConfig) -> Result<CaptureSetup, OpenError> {
    let name = config.device.as_str();
    let refused = |what: String| {
        move |error: alsa::Error| {
            let cause = format!("the device refuses {what}");
            let mut open_error = OpenError::new(DEVICE, name, cause, REMEDY_PLUG);
            open_error.errno = errno_of(error);
            open_error
        }
    };
    let hardware = HwParams::any(pcm).map_err(|error| failed(name, error, REMEDY_LIST))?;
    hardware
        .set_access(Access::RWInterleaved)
        .map_err(refused("interleaved reading".into()))?;
    hardware
        .set_format(Format::S16LE)
        .map_err(refused("16-bit samples".into()))?;
    hardware
        .set_channels(1)
        .map_err(refused("one channel".into()))?;
    let rate_hz = config.rate_hz;
    hardware
        .set_rate(rate_hz, ValueOr::Nearest)
        .map_err(refused(format!("{rate_hz} Hz")))?;
    let block = frames(config.block_samples as u64);
    hardware
        .set_period_size_near(block, ValueOr::Nearest)
        .map_err(refused(format!("a period near {block} samples")))?;
    let buffer = frames(u64::from(config.buffer_ms) * u64::from(rate_hz) / 1_000);
    hardware
        .set_buffer_size_near(buffer.max(2 * block))
        .map_err(refused(format!("a buffer near {buffer} samples")))?;
    pcm.hw_params(&hardware)
        .map_err(|error| failed(name, error, REMEDY_PLUG))?;

    let software = |error| failed(name, error, REMEDY_PLUG);
    let setup = {
        let current = pcm.hw_params_current().map_err(software)?;
        let buffer_samples = current.get_buffer_size().map_err(software)?;
        let period_samples = current.get_period_size().map_err(software)?;
        CaptureSetup {
            period_samples: usize::try_from(period_samples).unwrap_or(0),
            buffer_samples: usize::try_from(buffer_samples).unwrap_or(0),
        }
    };
    let parameters = pcm.sw_params_current().map_err(software)?;
    parameters.set_start_threshold(1).map_err(software)?;
    // A wake-up for each block, also when the device took another period.
    parameters.set_avail_min(block).map_err(software)?;
    pcm.sw_params(&parameters).map_err(software)?;
    Ok(setup)
}

fn frames(samples: u64) -> Frames {
    Frames::try_from(samples).unwrap_or(Frames::MAX)
}

#[cfg(test)]
mod tests;
