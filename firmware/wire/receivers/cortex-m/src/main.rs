//! The lamp on an MPS2 board with a Cortex-M4, which QEMU emulates: `mps2-an386`.
//!
//! UART 0 is the line, LED 0 the lamp. This file is all that depends on the chip.
//!
//! ```text
//! cargo build --release
//! qemu-system-arm -M mps2-an386 -nographic -monitor none -serial stdio \
//!     -kernel target/thumbv7em-none-eabi/release/pressel-cortex-m
//! ```

#![no_std]
#![no_main]

use core::panic::PanicInfo;
use core::ptr::{read_volatile, write_volatile};

use pressel_cortex_m::{Lamp, Uart};

/// Registers of UART 0: data, state, control, divider of the clock.
/// Source: Arm, Cortex-M System Design Kit, table 4-10; application note AN386, table 3-2.
const DATA: *mut u32 = 0x4000_4000 as *mut u32;
const STATE: *mut u32 = 0x4000_4004 as *mut u32;
const CONTROL: *mut u32 = 0x4000_4008 as *mut u32;
const DIVIDER: *mut u32 = 0x4000_4010 as *mut u32;
/// The LEDs. Source: application note AN386, table 4-3.
const LEDS: *mut u32 = 0x4002_8000 as *mut u32;

const SEND_FULL: u32 = 1;
const RECEIVE_FULL: u32 = 1 << 1;
const SEND_AND_RECEIVE: u32 = 0b11;
/// Clock of the board in hertz.
const CLOCK_HZ: u32 = 25_000_000;

fn read(register: *mut u32) -> u32 {
    // SAFETY: the constants above are registers of this board; reading them harms no memory.
    unsafe { read_volatile(register) }
}

fn write(register: *mut u32, value: u32) {
    // SAFETY: the constants above are registers of this board; writing them changes no memory.
    unsafe { write_volatile(register, value) }
}

struct Uart0;

impl Uart for Uart0 {
    fn read(&mut self) -> Option<u8> {
        let has_byte = read(STATE) & RECEIVE_FULL != 0;
        has_byte.then(|| read(DATA).to_le_bytes()[0])
    }

    fn write(&mut self, byte: u8) {
        while read(STATE) & SEND_FULL != 0 {}
        write(DATA, u32::from(byte));
    }
}

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    write(DIVIDER, CLOCK_HZ / 115_200);
    write(CONTROL, SEND_AND_RECEIVE);
    let mut lamp = Lamp::new();
    let mut light = |on: bool| write(LEDS, u32::from(on));
    loop {
        lamp.turn(&mut Uart0, &mut light);
    }
}

/// What the processor reads behind the first stack pointer, which the linker puts in front.
// SAFETY: nothing else is in this section, and the linker script places it.
#[unsafe(link_section = ".vectors")]
#[used]
static VECTORS: [extern "C" fn() -> !; 15] = {
    let mut vectors: [extern "C" fn() -> !; 15] = [stop; 15];
    vectors[0] = reset;
    vectors
};

/// A fault, or an interrupt that nobody asked for.
extern "C" fn stop() -> ! {
    loop {}
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    stop()
}
