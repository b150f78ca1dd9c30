//! The SPI bus of the simulated board: what is written goes into a pipe, byte for byte.
//!
//! Runs on the main loop; one system call a write, never waiting, never allocating.

use std::os::fd::OwnedFd;
use std::path::Path;

use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use rustix::io::Errno;

use super::open_pipe;
use crate::{OpenError, PinError};

/// An SPI device that another process reads.
///
/// When nobody reads and the pipe is full, a write is lost, as it is with no LED on a real bus.
#[derive(Debug)]
pub struct SimSpi {
    pipe: OwnedFd,
}

impl SimSpi {
    /// Opens the pipe or file at `path`.
    ///
    /// # Errors
    /// [`OpenError`] when the file is missing or not permitted.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let pipe = open_pipe("SPI device", path)?;
        Ok(Self { pipe })
    }
}

impl ErrorType for SimSpi {
    type Error = PinError;
}

impl SpiDevice for SimSpi {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), PinError> {
        for operation in operations {
            let Operation::Write(bytes) = operation else {
                return Err(PinError {
                    errno: libc::ENOTSUP,
                });
            };
            match rustix::io::write(&self.pipe, bytes) {
                // Shorter than PIPE_BUF: a pipe takes all of it or nothing.
                Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => {
                    return Err(PinError {
                        errno: errno.raw_os_error(),
                    });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;
    use crate::sim::{SPI_FILE, create_board};
    use crate::{Apa102, Colour, Pixels};

    #[test]
    fn what_the_driver_writes_is_read_on_the_far_side() {
        let folder = tempfile::tempdir().unwrap();
        create_board(folder.path()).unwrap();
        let path = folder.path().join(SPI_FILE);
        let mut far = File::options().read(true).write(true).open(&path).unwrap();
        let bus = SimSpi::open(&path).unwrap();
        let mut leds = Apa102::new(bus, "spi", 1, 31).unwrap();
        let blue = Colour {
            blue: 9,
            ..Colour::DARK
        };
        leds.show(&[blue]).unwrap();
        let mut got = [0; 13];
        far.read_exact(&mut got).unwrap();
        assert_eq!(got, [0, 0, 0, 0, 0xFF, 9, 0, 0, 0, 0, 0, 0, 0]);
        // Nobody reads any more: it never waits.
        for _ in 0..20_000 {
            leds.show(&[blue]).unwrap();
        }
    }
}
