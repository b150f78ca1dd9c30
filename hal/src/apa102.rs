//! APA102 and SK9822: LEDs on a clock and a data line.
//!
//! Colours in, one SPI write out, on the caller's thread. A chain of three LEDs is 21 bytes: 21 µs
//! at 8 MHz. Allocates nothing. Works with any `embedded_hal::spi::SpiDevice`; these LEDs have no
//! chip select.
//!
//! ```text
//! 00 00 00 00 | E0+brightness blue green red | ... one for each LED ... | 00 00 00 00 00
//! start frame | LED frames                                              | end frame
//! ```
//!
//! Source: APA102 data sheet (Shiji Lighting), "Data frame"; for the end frame see [`END_BYTES`].

use embedded_hal::spi::SpiDevice;

use crate::pixels::{Colour, Pixels};
use crate::{OpenError, PinError};

/// LEDs of the longest chain.
///
/// Why 4: the firmware drives no more, `firmware/src/checks.rs` compares. It bounds one write.
pub const PIXELS_MAX: usize = 4;
/// Brightest value of the five bits that dim all three colours of an LED.
pub const BRIGHTNESS_MAX: u8 = 31;

/// Bytes of zeros that begin a write.
const START_BYTES: usize = 4;
/// Bytes of one LED.
const LED_BYTES: usize = 4;
/// Bytes of zeros that end a write.
///
/// The clock of an LED is half a period later than that of the one before it, so the last colour
/// arrives only with half a clock for each LED more: a byte does for 16. The SK9822, sold under the
/// same name, shows its colour only after 32 more zeros; ones, as the data sheet has them, would
/// look to it as a white LED. Source: Tim, "APA102 vs SK9822" and "Understanding the APA102
/// Superled", cpldcpu's blog, 2014 and 2016.
const END_BYTES: usize = 4 + PIXELS_MAX.div_ceil(16);
/// Bytes of the longest write.
const WRITE_BYTES_MAX: usize = START_BYTES + LED_BYTES * PIXELS_MAX + END_BYTES;
/// The three bits that mark an LED's frame.
const LED_MARK: u8 = 0b1110_0000;

/// A chain of LEDs on an SPI bus.
pub struct Apa102<Spi> {
    spi: Spi,
    count: usize,
    brightness: u8,
    errors: u32,
}

impl<Spi> Apa102<Spi> {
    /// Takes a bus with `count` LEDs on it. Nothing is written yet. `name` is for messages.
    ///
    /// # Errors
    /// [`OpenError`] when there are more than [`PIXELS_MAX`] LEDs, or none, or `brightness` is more
    /// than [`BRIGHTNESS_MAX`].
    pub fn new(spi: Spi, name: &str, count: usize, brightness: u8) -> Result<Self, OpenError> {
        let refuse = |cause: String, remedy: &str| Err(OpenError::new("LEDs", name, cause, remedy));
        if !(1..=PIXELS_MAX).contains(&count) {
            let cause = format!("a chain of {count} LEDs");
            return refuse(cause, "give 1 to 4 `roles` in the board file");
        }
        if BRIGHTNESS_MAX < brightness {
            let cause = format!("brightness {brightness}");
            return refuse(cause, "use 0 to 31 in the board file");
        }
        Ok(Self {
            spi,
            count,
            brightness,
            errors: 0,
        })
    }

    /// Returns how many writes failed.
    pub fn errors(&self) -> u32 {
        self.errors
    }

    /// Returns the bytes that show these colours, and how many they are.
    fn frame(&self, colours: &[Colour]) -> ([u8; WRITE_BYTES_MAX], usize) {
        let mut bytes = [0; WRITE_BYTES_MAX];
        let shown = colours
            .iter()
            .copied()
            .chain(core::iter::repeat(Colour::DARK));
        let leds = bytes[START_BYTES..].chunks_exact_mut(LED_BYTES);
        for (led, colour) in leds.take(self.count).zip(shown) {
            led.copy_from_slice(&[
                LED_MARK | self.brightness,
                colour.blue,
                colour.green,
                colour.red,
            ]);
        }
        (bytes, START_BYTES + LED_BYTES * self.count + END_BYTES)
    }
}

impl<Spi: SpiDevice> Apa102<Spi> {
    /// Shows these colours in one write; LEDs without one are dark, colours without an LED are left
    /// out.
    ///
    /// # Errors
    /// The bus's own, counted in [`Apa102::errors`].
    pub fn write(&mut self, colours: &[Colour]) -> Result<(), Spi::Error> {
        let (bytes, count) = self.frame(colours);
        let written = self.spi.write(&bytes[..count]);
        self.errors = self.errors.saturating_add(u32::from(written.is_err()));
        written
    }
}

impl<Spi: SpiDevice<Error = PinError> + Send> Pixels for Apa102<Spi> {
    fn show(&mut self, colours: &[Colour]) -> Result<(), PinError> {
        self.write(colours)
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal::spi::{ErrorType, Operation};
    use embedded_hal_mock::eh1::spi::{Mock, Transaction};

    use super::*;

    const RED: Colour = colour(255, 0, 0);
    const TEAL: Colour = colour(0, 0x80, 0x40);

    const fn colour(red: u8, green: u8, blue: u8) -> Colour {
        Colour { red, green, blue }
    }

    /// One write of the driver: chip selected, all bytes at once, chip let go.
    fn write(bytes: &[u8]) -> [Transaction<u8>; 3] {
        [
            Transaction::transaction_start(),
            Transaction::write_vec(bytes.to_vec()),
            Transaction::transaction_end(),
        ]
    }

    /// Shows each row of colours on `count` LEDs; every byte on the bus is as expected.
    fn check(count: usize, brightness: u8, shown: &[&[Colour]], expected: &[&[u8]]) {
        let all: Vec<_> = expected.iter().flat_map(|bytes| write(bytes)).collect();
        let mut bus = Mock::new(&all);
        let mut leds = Apa102::new(bus.clone(), "test", count, brightness).unwrap();
        for colours in shown {
            leds.write(colours).unwrap();
        }
        assert_eq!(leds.errors(), 0);
        bus.done();
    }

    #[test]
    fn three_leds_are_a_start_frame_three_led_frames_in_blue_green_red_and_an_end_frame() {
        let bytes = [
            0, 0, 0, 0, // start
            0xE8, 0, 0, 255, // red
            0xE8, 0x40, 0x80, 0, // teal: blue, green, red
            0xE8, 0, 0, 0, // dark
            0, 0, 0, 0, 0, // end
        ];
        check(3, 8, &[&[RED, TEAL, Colour::DARK]], &[&bytes]);
    }

    #[test]
    fn brightness_is_the_low_five_bits_of_each_led() {
        for (brightness, byte) in [(0, 0xE0), (1, 0xE1), (16, 0xF0), (31, 0xFF)] {
            let bytes = [0, 0, 0, 0, byte, 3, 2, 1, 0, 0, 0, 0, 0];
            check(1, brightness, &[&[colour(1, 2, 3)]], &[&bytes]);
        }
    }

    #[test]
    fn dark_at_the_end_is_a_write_as_any_other() {
        let lit = [0, 0, 0, 0, 0xE8, 0, 0, 255, 0, 0, 0, 0, 0];
        let dark = [0, 0, 0, 0, 0xE8, 0, 0, 0, 0, 0, 0, 0, 0];
        check(1, 8, &[&[RED], &[]], &[&lit, &dark]);
    }

    #[test]
    fn a_write_is_never_longer_than_its_chain() {
        let four = [RED; 4];
        let led = [0xFF, 0, 0, 255];
        for count in 1..=PIXELS_MAX {
            let bytes = [[0; 4].as_slice(), &led.repeat(count), &[0; 5]].concat();
            assert!(bytes.len() <= WRITE_BYTES_MAX);
            // More colours than LEDs: the rest is left out.
            check(count, 31, &[&four], &[&bytes]);
        }
    }

    /// A bus that fails when it is told to.
    struct Flaky {
        fails: bool,
        writes: u32,
    }

    impl ErrorType for Flaky {
        type Error = PinError;
    }

    impl SpiDevice for Flaky {
        fn transaction(&mut self, _: &mut [Operation<'_, u8>]) -> Result<(), PinError> {
            self.writes += 1;
            if self.fails {
                Err(PinError { errno: libc::EIO })
            } else {
                Ok(())
            }
        }
    }

    #[test]
    fn an_error_of_the_bus_is_counted_and_the_next_write_goes_on() {
        let bus = Flaky {
            fails: true,
            writes: 0,
        };
        let mut leds = Apa102::new(bus, "test", 3, 8).unwrap();
        for _ in 0..2 {
            assert_eq!(leds.show(&[RED]), Err(PinError { errno: libc::EIO }));
        }
        leds.spi.fails = false;
        assert_eq!(leds.show(&[RED]), Ok(()));
        assert_eq!((leds.errors(), leds.spi.writes), (2, 3));
    }

    #[test]
    fn a_chain_or_a_brightness_that_cannot_be_is_refused() {
        let refused = |count, brightness| {
            let nothing: [Transaction<u8>; 0] = [];
            let mut bus = Mock::new(&nothing);
            let error = Apa102::new(bus.clone(), "/dev/spidev0.0", count, brightness).err();
            bus.done();
            error.unwrap().to_string()
        };
        for count in [0, 5] {
            assert!(refused(count, 8).contains("/dev/spidev0.0"), "{count}");
        }
        assert!(refused(3, 32).contains("use 0 to 31"));
    }
}
