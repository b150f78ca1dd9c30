//! Finding a frame of a FLAC file without looking into the frames before it.
//!
//! In: the file. Out: the place of the last frame before a target, or none. Each frame begins with
//! its number, under a checksum, so that the chain of frames is followed at the speed of memory. A
//! chain is followed up to its first fault; behind it, packets are walked through one by one.
//!
//! Source: RFC 9639 sections 8.2 (streaminfo) and 9.1 (frame header).

use std::io::{self, Read, Seek, SeekFrom};

use crc::{CRC_8_SMBUS, Crc};

use super::Part;

/// Bytes read at once.
const BLOCK_BYTES: usize = 256 * 1_024;

/// The longest frame header. Source: RFC 9639 section 9.1.
const HEADER_BYTES_MAX: usize = 16;

/// The checksum of frame headers: polynomial 7, from 0.
const CRC: Crc<u8> = Crc::<u8>::new(&CRC_8_SMBUS);

/// Where a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Landing {
    /// Place of the first frame of the file. Units: bytes.
    pub(super) first: u64,
    /// Place of the frame found.
    pub(super) at: u64,
    /// Its first sample.
    pub(super) start: u64,
}

/// What all frames of the file have in common.
struct Stream {
    /// Whether all frames but the last are equally long, and how long.
    block: Option<u64>,
}

/// Returns the last frame that ends at or before sample `target` and follows all frames before it
/// without a gap; None when there is none.
pub(super) fn leap(part: &mut Part, target: u64) -> io::Result<Option<Landing>> {
    let Some((stream, first)) = read_metadata(part)? else {
        return Ok(None);
    };
    let mut landing = None;
    let mut block = vec![0; BLOCK_BYTES];
    let (mut at, mut next, mut ended) = (first, 0, false);
    while !ended {
        part.seek(SeekFrom::Start(at))?;
        let count = fill(part, &mut block)?;
        ended = count < BLOCK_BYTES;
        // The last bytes are read again, with what follows them.
        let end = if ended {
            count
        } else {
            count - HEADER_BYTES_MAX
        };
        for index in memchr::memchr_iter(0xff, &block[..end]) {
            let Some(frame) = stream.frame(&block[index..count]) else {
                continue;
            };
            if frame.start != next {
                continue;
            }
            next += frame.samples;
            if target < next {
                return Ok(landing);
            }
            landing = Some(Landing {
                first,
                at: at + index as u64,
                start: frame.start,
            });
        }
        at += end as u64;
    }
    // The chain ends before the target: with the file, or where a frame is missing.
    Ok(landing)
}

/// Reads the metadata; returns what the frames have in common, and where the first one is.
fn read_metadata(part: &mut Part) -> io::Result<Option<(Stream, u64)>> {
    part.seek(SeekFrom::Start(0))?;
    let mut marker = [0; 4];
    if fill(part, &mut marker)? < marker.len() || &marker != b"fLaC" {
        return Ok(None);
    }
    let mut stream = None;
    let mut at = 4;
    loop {
        let mut head = [0; 8];
        part.seek(SeekFrom::Start(at))?;
        if fill(part, &mut head)? < head.len() {
            return Ok(None);
        }
        let [kind, a, b, c, sizes @ ..] = head;
        at += 4 + u64::from(u32::from_be_bytes([0, a, b, c]));
        if kind & 0x7f == 0 {
            let [least_high, least_low, most_high, most_low] = sizes;
            let least = u16::from_be_bytes([least_high, least_low]);
            let most = u16::from_be_bytes([most_high, most_low]);
            let block = (least == most).then_some(u64::from(most));
            stream = Some(Stream { block });
        }
        if kind & 0x80 != 0 {
            return Ok(stream.map(|stream| (stream, at)));
        }
    }
}

/// A frame as its header tells it.
struct Frame {
    start: u64,
    samples: u64,
}

impl Stream {
    /// Reads the header of the frame with which `bytes` begin, if they do.
    fn frame(&self, bytes: &[u8]) -> Option<Frame> {
        let kind = if self.block.is_some() { 0xf8 } else { 0xf9 };
        let [0xff, second, sizes, _, rest @ ..] = bytes else {
            return None;
        };
        if *second != kind {
            return None;
        }
        let (number, number_bytes) = coded_number(rest)?;
        let rest = &rest[number_bytes..];
        let (samples, samples_bytes) = match sizes >> 4 {
            0 => return None,
            1 => (192, 0),
            code @ 2..=5 => (576 << (code - 2), 0),
            6 => (u64::from(*rest.first()?) + 1, 1),
            7 => (
                u64::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])) + 1,
                2,
            ),
            code => (256 << (code - 8), 0),
        };
        let rate_bytes = match sizes & 0x0f {
            12 => 1,
            13 | 14 => 2,
            15 => return None,
            _ => 0,
        };
        let header_bytes = 4 + number_bytes + samples_bytes + rate_bytes;
        let checksum = *bytes.get(header_bytes)?;
        (CRC.checksum(&bytes[..header_bytes]) == checksum).then(|| Frame {
            start: self.block.map_or(number, |block| number * block),
            samples,
        })
    }
}

/// Reads a number as FLAC writes it, in the manner of UTF-8; returns it and its bytes.
fn coded_number(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let count = match first.leading_ones() {
        0 => return Some((u64::from(first), 1)),
        ones @ 2..=7 => ones as usize,
        _ => return None,
    };
    let mut number = u64::from(first) & (0x7f >> count);
    for &byte in bytes.get(1..count)? {
        if byte & 0xc0 != 0x80 {
            return None;
        }
        number = number << 6 | u64::from(byte & 0x3f);
    }
    Some((number, count))
}

/// Fills `bytes` and returns how many there were.
fn fill(part: &mut Part, bytes: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < bytes.len() {
        match part.read(&mut bytes[count..]) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use super::*;

    /// 6 s at 16 kHz in frames of 1,024 samples.
    fn fixture() -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/audio");
        std::fs::read(folder.join("long.flac")).unwrap()
    }

    fn check(bytes: &[u8], target: u64, start: Option<u64>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.flac");
        std::fs::write(&path, bytes).unwrap();
        let file = File::open(path).unwrap();
        let mut part = Part::new(file, 0, bytes.len() as u64);
        let landing = leap(&mut part, target).unwrap();
        assert_eq!(landing.map(|landing| landing.start), start, "{target}");
        if let Some(landing) = landing {
            let at = landing.at as usize;
            assert_eq!(bytes[at..at + 2], [0xff, 0xf8]);
        }
    }

    #[test]
    fn last_frame_before_the_target_is_found() {
        let bytes = fixture();
        check(&bytes, 0, None);
        check(&bytes, 1_023, None);
        check(&bytes, 1_024, Some(0));
        check(&bytes, 50_000, Some(47 * 1_024));
        check(&bytes, 51_200, Some(49 * 1_024));
        check(&bytes, 1 << 40, Some(93 * 1_024));
    }

    #[test]
    fn chain_ends_at_its_first_fault() {
        let mut bytes = fixture();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4_000].fill(0);
        let file = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut file, bytes).unwrap();
            Part::new(file, 0, bytes.len() as u64)
        };
        let landing = leap(&mut file(&bytes), 90_000).unwrap().unwrap();
        assert!((30_000..60_000).contains(&landing.start), "{landing:?}");
        assert!(landing.at < middle as u64 + 4_000);
        assert_eq!(leap(&mut file(&bytes[..30]), 90_000).unwrap(), None);
        assert_eq!(leap(&mut file(b"RIFF and so on"), 90_000).unwrap(), None);
    }

    #[test]
    fn numbers_are_read_as_flac_writes_them() {
        for (bytes, expected) in [
            (&[0x7f][..], Some((0x7f, 1))),
            (&[0xc2, 0x80], Some((0x80, 2))),
            (&[0xe0, 0xa0, 0x80], Some((0x800, 3))),
            (
                &[0xfe, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf],
                Some((0xf_ffff_ffff, 7)),
            ),
            (&[0x80], None),
            (&[0xff], None),
            (&[0xc2], None),
            (&[0xc2, 0x00], None),
            (&[], None),
        ] {
            assert_eq!(coded_number(bytes), expected, "{bytes:x?}");
        }
    }
}
