//! Frame checks and byte stuffing, written once more from their definitions.
//!
//! Bytes in, bytes out. Not the code of the appliance: what it writes is compared with this, and a
//! frame that a fuzzer could not guess (its CRC) is made here around any payload.

/// CRC-16/IBM-SDLC. Source: ISO/IEC 13239, the 16-bit FCS, reflected.
#[must_use]
pub fn crc16(bytes: &[u8]) -> u16 {
    let turn = |crc: u16| (crc >> 1) ^ (0x8408 * (crc & 1));
    let feed = |crc: u16, byte: &u8| (0..8).fold(crc ^ u16::from(*byte), |crc, _| turn(crc));
    !bytes.iter().fold(0xffff, feed)
}

/// CRC-32/ISO-HDLC. Source: ISO/IEC 13239, the 32-bit FCS, reflected.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    let turn = |crc: u32| (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
    let feed = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| turn(crc));
    !bytes.iter().fold(u32::MAX, feed)
}

/// Stuffs bytes so that 0x00 is nowhere. Source: Cheshire and Baker, "Consistent Overhead Byte
/// Stuffing", 1999.
#[must_use]
pub fn stuff(bytes: &[u8]) -> Vec<u8> {
    let mut stuffed = vec![0];
    let mut code = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if byte != 0 {
            stuffed.push(byte);
        }
        let run = stuffed.len() - code;
        // A full run at the very end needs no code behind it.
        if byte == 0 || (run == 255 && index + 1 < bytes.len()) {
            stuffed[code] = u8::try_from(run).unwrap_or(255);
            code = stuffed.len();
            stuffed.push(0);
        }
    }
    stuffed[code] = u8::try_from(stuffed.len() - code).unwrap_or(255);
    stuffed
}

/// One frame of the serial line around a header and a message.
#[must_use]
pub fn frame(header: u8, message: &[u8]) -> Vec<u8> {
    let mut payload = vec![header];
    payload.extend(message);
    payload.extend(crc16(&payload).to_le_bytes());
    let mut frame = vec![0];
    frame.extend(stuff(&payload));
    frame.push(0);
    frame
}

/// One record of the journal around its bytes.
#[must_use]
pub fn record(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut plain = length.to_le_bytes().to_vec();
    plain.extend(bytes);
    plain.extend(crc32(&plain).to_le_bytes());
    let mut record = stuff(&plain);
    record.push(0);
    record
}
