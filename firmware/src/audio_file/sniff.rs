//! Which container a file is, by its first bytes; names for what it is not.
//!
//! In: an open file. Out: a [`Container`] and where it starts, or a [`Fault`] that names the thing.
//! The file's name counts only when the bytes say nothing.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Fault;

/// A container that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Wav,
    Flac,
    Mp3,
    Ogg,
}

/// A container and its place in the file, without the tags around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) container: Container,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// Bytes that are looked at.
const LOOK_BYTES: usize = 512;

/// ID3 tags in a row that are skipped. Why 4: two are seen in the wild.
const TAGS_MAX: usize = 4;

/// Names the container of `file`.
pub(super) fn sniff(file: &File, len: u64, path: &Path) -> Result<Found, Fault> {
    let mut start = 0;
    let mut tagged = false;
    let mut look = [0; LOOK_BYTES];
    let mut head = read_head(file, start, &mut look)?;
    for _ in 0..TAGS_MAX {
        let Some(tag_bytes) = id3_bytes(head) else {
            break;
        };
        start += tag_bytes;
        tagged = true;
        if start >= len {
            return Err(Fault::Header {
                detail: "there is nothing after its ID3 tag",
            });
        }
        head = read_head(file, start, &mut look)?;
    }
    let container = match known(head) {
        Some(Known::Readable(container)) => container,
        Some(Known::Sound(name)) => return Err(Fault::Unsupported { name }),
        Some(Known::Thing(looks_like)) => return Err(Fault::NotAudio { looks_like }),
        // Music players write ID3 before padding and MP3 frames: let the decoder search.
        None if tagged || named_mp3(path) => Container::Mp3,
        None => {
            return Err(Fault::NotAudio {
                looks_like: "unknown data",
            });
        }
    };
    let end = if container == Container::Mp3 {
        end_without_tags(file, start, len)?
    } else {
        len
    };
    Ok(Found {
        container,
        start,
        end,
    })
}

/// Returns the end of the frames of an MP3 file that has an APE tag, an ID3v1 tag or both behind.
///
/// Source: id3.org, ID3v1; APEv2 specification (footer).
fn end_without_tags(file: &File, start: u64, len: u64) -> Result<u64, Fault> {
    let mut end = len;
    let mut look = [0; LOOK_BYTES];
    if let Some(at) = end.checked_sub(128)
        && read_head(file, at, &mut look[..128])?.starts_with(b"TAG")
    {
        end = at;
    }
    if let Some(at) = end.checked_sub(32)
        && let [
            b'A',
            b'P',
            b'E',
            b'T',
            b'A',
            b'G',
            b'E',
            b'X',
            _,
            _,
            _,
            _,
            a,
            b,
            c,
            d,
            ..,
        ] = *read_head(file, at, &mut look[..32])?
    {
        let bytes = u64::from(u32::from_le_bytes([a, b, c, d]));
        end = end.saturating_sub(bytes);
    }
    Ok(end.max(start))
}

fn read_head<'a>(file: &File, at: u64, look: &'a mut [u8]) -> Result<&'a [u8], Fault> {
    let mut count = 0;
    while count < look.len() {
        match file.read_at(&mut look[count..], at + count as u64) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Fault::from_io(error)),
        }
    }
    Ok(&look[..count])
}

/// Returns the length of the ID3v2 tag at the start of `head`, its own header included.
///
/// Source: id3.org, ID3v2.4.0 structure, section 3.1.
fn id3_bytes(head: &[u8]) -> Option<u64> {
    let header = head.strip_prefix(b"ID3")?.get(..7)?;
    let size = header[3..7]
        .iter()
        .fold(0, |size, byte| size << 7 | u64::from(byte & 0x7f));
    let footer = if header[2] & 0x10 != 0 { 10 } else { 0 };
    Some(10 + size + footer)
}

fn named_mp3(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("mp3"))
}

/// What the first bytes tell.
enum Known {
    Readable(Container),
    Sound(&'static str),
    Thing(&'static str),
}

/// First bytes of files that are not read, with their names.
const SOUNDS: [(usize, &[u8], &str); 14] = [
    (4, b"ftyp", "MP4 or M4A (AAC)"),
    (0, b"FORM", "AIFF"),
    (0, b"caff", "CAF"),
    (0, b"#!AMR", "AMR"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (0, b"\x30\x26\xb2\x75", "Windows Media (WMA)"),
    (0, b".snd", "Sun AU"),
    (0, b"MThd", "MIDI"),
    (0, b"RIFX", "big-endian WAV (RIFX)"),
    (0, b"riff", "Sony Wave64"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"ADIF", "AAC"),
    (0, b"DSD ", "DSD"),
];
const THINGS: [(&[u8], &str); 9] = [
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x7fELF", "a program"),
    (b"SQLite", "a database"),
];

fn known(head: &[u8]) -> Option<Known> {
    if head.starts_with(b"fLaC") {
        return Some(Known::Readable(Container::Flac));
    }
    if head.starts_with(b"OggS") {
        return Some(known_ogg(head));
    }
    if [&b"RIFF"[..], b"RF64", b"BW64"]
        .iter()
        .any(|id| head.starts_with(id))
    {
        return Some(match head.get(8..12) {
            Some(b"WAVE") => Known::Readable(Container::Wav),
            Some(_) => Known::Thing("a RIFF file without sound (AVI, WebP or other)"),
            None => Known::Thing("the first bytes of a WAV file"),
        });
    }
    let at = |offset: usize, id: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(id));
    if let Some((.., name)) = SOUNDS.iter().find(|(offset, id, _)| at(*offset, id)) {
        return Some(Known::Sound(name));
    }
    if let Some((_, name)) = THINGS.iter().find(|(id, _)| at(0, id)) {
        return Some(Known::Thing(name));
    }
    known_mpeg(head).or_else(|| is_text(head).then_some(Known::Thing("a text file")))
}

/// Names the codec by the first packet of the first page.
///
/// Source: RFC 3533 section 6 (the packet of a first page starts at byte 28).
fn known_ogg(head: &[u8]) -> Known {
    let packet = head.get(28..).unwrap_or_default();
    if packet.starts_with(b"Speex   ") {
        return Known::Sound("Speex");
    }
    Known::Readable(Container::Ogg)
}

/// Looks for an MPEG audio frame header.
///
/// Source: ISO/IEC 11172-3 section 2.4.2.3; ADTS, ISO/IEC 13818-7, has layer bits 00.
fn known_mpeg(head: &[u8]) -> Option<Known> {
    let [0xff, second, third, ..] = *head else {
        return None;
    };
    if second & 0xe0 != 0xe0 {
        return None;
    }
    let (version, layer) = (second >> 3 & 3, second >> 1 & 3);
    let (bit_rate, sample_rate) = (third >> 4, third >> 2 & 3);
    match layer {
        0 if second & 0xf0 == 0xf0 => Some(Known::Sound("AAC")),
        _ if version == 1 || bit_rate == 15 || sample_rate == 3 => None,
        1 => Some(Known::Readable(Container::Mp3)),
        2 | 3 => Some(Known::Sound("MPEG audio layer 1 or 2")),
        _ => None,
    }
}

fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character may be cut by the end of what was looked at.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{c}');
    !valid.is_empty() && valid.chars().all(plain)
}
