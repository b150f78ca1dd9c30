//! An SPI device of the kernel, for LED chains.
//!
//! Bytes out, one system call a write, on the main loop. Opening allocates, writing does not.
//!
//! `linux_embedded_hal::SpidevDevice` opens and sets the device. Its own `transaction` collects the
//! operations in a `Vec`, which the main loop may not; so the one operation that LED chains need
//! goes straight to the device that it holds.

use std::io;

use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use linux_embedded_hal::SpidevDevice;
use linux_embedded_hal::spidev::{SpiModeFlags, Spidev, SpidevOptions, SpidevTransfer};

use crate::{OpenError, PinError};

const DEVICE: &str = "SPI device";

/// An SPI device that is only written to: mode 0, 8 bits a word, the high bit first.
pub struct SpiWriter {
    device: SpidevDevice,
}

impl SpiWriter {
    /// Opens `path`, for example `/dev/spidev0.0`, at `speed_hz`.
    ///
    /// # Errors
    /// [`OpenError`] when the device is missing or not permitted, is no SPI device, or cannot run
    /// at that speed.
    pub fn open(path: &str, speed_hz: u32) -> Result<Self, OpenError> {
        let errno = |error: &io::Error| error.raw_os_error().unwrap_or(libc::EIO);
        let mut device =
            SpidevDevice::open(path).map_err(|error| open_failed(path, errno(error.inner())))?;
        let options = SpidevOptions::new()
            .bits_per_word(8)
            .max_speed_hz(speed_hz)
            .mode(SpiModeFlags::SPI_MODE_0)
            .build();
        device
            .configure(&options)
            .map_err(|error| open_failed(path, errno(&error)))?;
        Ok(Self { device })
    }
}

impl ErrorType for SpiWriter {
    type Error = PinError;
}

impl SpiDevice for SpiWriter {
    /// Each write is a transfer of its own. Nothing else is possible here: there is no chip select
    /// to hold between two.
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), PinError> {
        for operation in operations {
            let Operation::Write(bytes) = operation else {
                return Err(PinError {
                    errno: libc::ENOTSUP,
                });
            };
            // The method of the device itself, not that of the trait.
            Spidev::transfer(&self.device, &mut SpidevTransfer::write(bytes)).map_err(|error| {
                PinError {
                    errno: error.raw_os_error().unwrap_or(libc::EIO),
                }
            })?;
        }
        Ok(())
    }
}

/// Returns the SPI devices of this machine by path, for `pressel devices`.
pub fn list_spi_devices() -> Vec<String> {
    let mut paths: Vec<String> = std::fs::read_dir("/dev")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("spidev"))
        .map(|name| format!("/dev/{name}"))
        .collect();
    paths.sort();
    paths
}

fn open_failed(path: &str, errno: i32) -> OpenError {
    let remedy = match errno {
        libc::ENOENT | libc::ENXIO | libc::ENODEV => {
            "switch SPI on: `dtparam=spi=on` in config.txt of a Raspberry Pi, or correct \
             `pixels.spi` in the board file; `pressel devices` lists what is there"
        }
        libc::EACCES | libc::EPERM => {
            "add the user to the group `spi` (`sudo usermod -aG spi $USER`), log in again"
        }
        libc::ENOTTY | libc::EISDIR => {
            "this is no SPI device: correct `pixels.spi` in the board file"
        }
        libc::EINVAL => "the bus cannot run at this speed: lower `pixels.speed_hz`",
        _ => "check `pixels.spi` in the board file; `pressel devices` lists SPI devices",
    };
    OpenError::from_errno(DEVICE, path, errno, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_no_spi_device_is_named_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plain");
        std::fs::write(&file, "x").unwrap();
        let check = |path: &str, errno: i32, remedy: &str| {
            let error = SpiWriter::open(path, 8_000_000).err().unwrap();
            assert_eq!((error.name.as_str(), error.errno), (path, errno));
            assert!(error.remedy.contains(remedy), "{error}");
        };
        check("/dev/spidev99.0", libc::ENOENT, "dtparam=spi=on");
        check(file.to_str().unwrap(), libc::ENOTTY, "no SPI device");
        check(
            folder.path().to_str().unwrap(),
            libc::EISDIR,
            "no SPI device",
        );
    }

    #[test]
    fn a_device_that_is_not_permitted_names_the_group() {
        for errno in [libc::EACCES, libc::EPERM] {
            let error = open_failed("/dev/spidev0.0", errno).to_string();
            assert!(error.contains("group `spi`"), "{error}");
        }
    }
}
