//! The simulated board: a folder of pipes that another process plays the world through.
//!
//! | file | what passes | who writes |
//! | --- | --- | --- |
//! | `mic` | raw s16le mono samples at 16 kHz, in whole blocks, paced by the writer | the world |
//! | `button`, `mute` | `1` pressed, `0` released; other bytes are passed over | the world |
//! | `leds` | lines `NAME 1` and `NAME 0` | the firmware |
//! | `spi` | the bytes that a chain of LEDs gets, for boards with one | the firmware |
//! | `uart` | a pseudo-terminal's path as a symbolic link | the world makes it |
//! | `asound.conf` | a libasound configuration with the device [`DEVICE`] | [`create_board`] |
//!
//! The samples go through the real libasound. It finds the configuration through the environment,
//! which a process cannot safely change for itself: whoever starts the firmware sets
//! `ALSA_CONFIG_PATH` to the path that [`create_board`] returned.

use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mknodat};
use rustix::io::Errno;

use crate::OpenError;

pub mod clock;
pub mod faults;
pub mod memory;
pub mod microphone;
pub mod pins;
pub mod spi;

pub use clock::SimClock;
pub use faults::{FaultRates, FaultyMicrophone};
pub use memory::{MemoryLink, MemoryPeer, ScriptedMicrophone};
pub use microphone::SimMicrophone;
pub use pins::{SimButton, SimLed};
pub use spi::SimSpi;

/// The ALSA name of the simulated microphone.
pub const DEVICE: &str = "pressel_sim";

/// File of the microphone's samples in the board's folder.
pub const MIC_FILE: &str = "mic";
/// File of the button's edges in the board's folder.
pub const BUTTON_FILE: &str = "button";
/// File of the mute switch's edges in the board's folder.
pub const MUTE_FILE: &str = "mute";
/// File of the LEDs' changes in the board's folder.
pub const LEDS_FILE: &str = "leds";
/// File of the bytes on the SPI bus in the board's folder.
pub const SPI_FILE: &str = "spi";
/// Link to the pseudo-terminal of the UART in the board's folder.
pub const UART_FILE: &str = "uart";

/// Makes the folder's pipes and the libasound configuration; what is there already stays.
///
/// Returns the value for the firmware's `ALSA_CONFIG_PATH`.
///
/// # Errors
/// [`OpenError`] when a file cannot be made.
pub fn create_board(dir: &Path) -> Result<PathBuf, OpenError> {
    for file in [MIC_FILE, BUTTON_FILE, MUTE_FILE, LEDS_FILE, SPI_FILE] {
        let path = dir.join(file);
        let owner = Mode::RUSR | Mode::WUSR;
        match mknodat(CWD, &path, rustix::fs::FileType::Fifo, owner, 0) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(file_failed(&path, errno)),
        }
    }
    write_asound_conf(dir)
}

/// Writes `asound.conf` into the folder and returns its path.
///
/// # Errors
/// [`OpenError`] when the file cannot be written, or the path has a character that libasound's
/// configuration language cannot quote.
pub fn write_asound_conf(dir: &Path) -> Result<PathBuf, OpenError> {
    let conf = dir.join("asound.conf");
    let shown = conf.display().to_string();
    let mic = std::path::absolute(dir.join(MIC_FILE)).unwrap_or_else(|_| dir.join(MIC_FILE));
    let mic = match mic.to_str() {
        Some(mic) if !mic.contains(['"', '\\', '\n', '%']) => mic,
        _ => {
            let cause = "the path has a quote, a backslash, a per cent sign or is no UTF-8";
            return Err(OpenError::new(
                "file",
                &shown,
                cause,
                "choose another folder",
            ));
        }
    };
    std::fs::write(&conf, asound_conf(mic)).map_err(|error| {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        OpenError::from_errno("file", &shown, errno, FOLDER_REMEDY)
    })?;
    Ok(conf)
}

/// The `file` plugin takes its samples from the pipe; `plug` above it does what it does above a
/// card.
fn asound_conf(mic: &str) -> String {
    format!(
        "# The simulated microphone of Pressel. Made anew at each start.\n\
         pcm.pressel_sim_pipe {{\n\
         \x20   type file\n\
         \x20   slave.pcm {{ type null }}\n\
         \x20   file \"/dev/null\"\n\
         \x20   infile \"{mic}\"\n\
         \x20   format \"raw\"\n\
         }}\n\
         pcm.{DEVICE} {{\n\
         \x20   type plug\n\
         \x20   slave {{ pcm pressel_sim_pipe format S16_LE rate 16000 channels 1 }}\n\
         \x20   hint {{ show on description \"Simulated microphone\" }}\n\
         }}\n"
    )
}

const FOLDER_REMEDY: &str = "check that the folder exists and may be written to";

/// Opens a pipe so that it never ends and never waits.
///
/// For reading *and* writing: there is then always a writer (no end of file, no hang-up that would
/// make poll(2) return at once for ever) and always a reader (no SIGPIPE). A plain file in the
/// place of `leds` grows at its end.
fn open_pipe(device: &'static str, path: &Path) -> Result<rustix::fd::OwnedFd, OpenError> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::APPEND | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| {
        let remedy = "the simulated board's folder is made by `pressel demo`";
        let name = path.display().to_string();
        OpenError::from_errno(device, &name, errno.raw_os_error(), remedy)
    })
}

fn file_failed(path: &Path, errno: Errno) -> OpenError {
    OpenError::from_errno(
        "file",
        &path.display().to_string(),
        errno.raw_os_error(),
        FOLDER_REMEDY,
    )
}
