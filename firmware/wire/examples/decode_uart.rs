//! Prints the messages of an appliance.
//!
//! Connect: the appliance's TX to this computer's RX, ground to ground, 3.3 V levels. Then:
//! `stty -F /dev/ttyUSB0 115200 raw && cargo run --example decode_uart < /dev/ttyUSB0`.
//! Prints one line for each message, text when it is whole, and at the end what was damaged.
#![allow(clippy::print_stdout, reason = "printing is what this example does")]

use std::io::Read;

use pressel_wire::{Assembler, Decoder, DeviceMessage};

fn main() -> std::io::Result<()> {
    let mut decoder = Decoder::<DeviceMessage>::new();
    let mut assembler = Assembler::new();
    let mut bytes = [0; 256];
    loop {
        let count = std::io::stdin().lock().read(&mut bytes)?;
        if count == 0 {
            println!("{:?}", decoder.counts());
            return Ok(());
        }
        for result in decoder.push(&bytes[..count]) {
            match result {
                Ok(DeviceMessage::Transcript(part)) => assembler.push(&part),
                Ok(DeviceMessage::Outcome(outcome)) => {
                    let assembled = assembler.finish(&outcome);
                    println!("{outcome:?}\n  {assembled:?}");
                }
                Ok(message) => println!("{message:?}"),
                Err(error) => println!("skipped: {error}"),
            }
        }
    }
}
