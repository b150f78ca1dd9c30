//! Line mode: any bytes, for the host's decoder and for the appliance's.
//!
//! Bytes in, as they come from a UART. Each line that is understood is written again and must be
//! understood the same way; a line behind the noise must arrive.

use pressel_wire::limits::{HOST_LINE_BYTES_MAX, LINE_BYTES_MAX};
use pressel_wire::line::{parse_host_line, write_device_line, write_host_line};
use pressel_wire::{DeviceLine, HostMessage, LineDecoder, LineError};

/// Checks any bytes as what comes out of a UART in line mode.
pub fn check(bytes: &[u8]) {
    for line in hear::<LINE_BYTES_MAX>(bytes).iter().flatten() {
        let Some(parsed) = DeviceLine::parse(line) else {
            continue;
        };
        // Spaces and unknown words may be gone after the first writing, nothing after it.
        if let Some(first) = write(&parsed) {
            let read = DeviceLine::parse(&first).expect("what was written is a line");
            assert_eq!(write(&read), Some(first));
        }
    }
    for line in hear::<HOST_LINE_BYTES_MAX>(bytes).iter().flatten() {
        if let Some(message) = parse_host_line(line) {
            let mut room = [0; HOST_LINE_BYTES_MAX + 1];
            let count = write_host_line(&message, &mut room).expect("a host's message fits");
            let written = core::str::from_utf8(&room[..count]).expect("a line is text");
            assert_eq!(parse_host_line(written.trim_end()), Some(message));
        }
    }
}

/// Writes a line; `None` when it has grown too long for one.
fn write(line: &DeviceLine<'_>) -> Option<String> {
    let mut room = [0; 2 * LINE_BYTES_MAX];
    let count = write_device_line(line, &mut room).ok()?;
    let written = core::str::from_utf8(&room[..count]).expect("a line is text");
    let line = written.strip_suffix('\n').expect("a line ends");
    assert!(!line.contains(char::is_control), "{line:?}");
    Some(line.to_owned())
}

fn hear<const N: usize>(bytes: &[u8]) -> Vec<Result<String, LineError>> {
    let mut decoder = LineDecoder::<N>::new();
    let mut heard = Vec::new();
    for byte in bytes {
        if let Some(line) = decoder.push_byte(*byte) {
            heard.push(line.map(str::to_owned));
        }
    }
    let seen = decoder.lines() + decoder.bad_lines();
    assert_eq!(heard.len(), seen as usize);
    assert!(heard.iter().flatten().all(|line| line.len() <= N));
    let mut last = None;
    for byte in b"\nPING 7\n" {
        if let Some(line) = decoder.push_byte(*byte) {
            last = line.ok().and_then(parse_host_line);
        }
    }
    assert_eq!(last, Some(HostMessage::Ping { nonce: 7 }));
    heard
}
