//! Writers: JSON, plain text, SRT and WebVTT.
//!
//! In: transcripts. Out: bytes on any `Write`. Nothing here opens a file or prints.
//!
//! Source: W3C WebVTT (cue text escapes, cue timings); SubRip has no standard, the common form is
//! written.

use std::fmt;
use std::io::{self, Write};

use super::Transcript;

/// How transcripts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// An object with segments, full text, language, duration and file name; of several files, one
    /// object a line.
    Json,
    /// Text alone, a line for each segment.
    Txt,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
}

impl Format {
    /// Returns true when one output can hold several recordings.
    pub fn holds_several(self) -> bool {
        matches!(self, Self::Json | Self::Txt)
    }
}

/// Why nothing, or not all, was written.
#[derive(Debug)]
pub enum WriteError {
    /// The format holds one recording only. Recovery: the user gives one file, or json or txt.
    OneFileOnly,
    /// The output failed; a closed pipe is one of these.
    Io(io::Error),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneFileOnly => {
                f.write_str("srt and vtt hold one recording; give one file, or use json or txt")
            }
            Self::Io(error) => write!(f, "output failed: {error}"),
        }
    }
}
impl std::error::Error for WriteError {}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes `transcripts` to `out` and flushes it.
///
/// * `json`: one recording is one indented object. Several are JSON Lines: one object on each
///   line, which `jq` and line-by-line readers take as it comes. An object has the fields
///   `segments` (each with `start`, `end`, `text`), `full_text`, `language`, `duration`, `file`, in
///   this order.
/// * `txt`: a line for each segment. Several recordings: a line `==> FILE <==` before each, and an
///   empty line between them.
/// * `srt`, `vtt`: one recording only. One without speech gives an empty, valid file.
///
/// # Errors
/// [`WriteError::OneFileOnly`] before anything is written (ask [`Format::holds_several`] before the
/// work is done), [`WriteError::Io`] when the output fails.
pub fn write(
    format: Format,
    transcripts: &[Transcript],
    out: &mut dyn Write,
) -> Result<(), WriteError> {
    if transcripts.len() > 1 && !format.holds_several() {
        return Err(WriteError::OneFileOnly);
    }
    match format {
        Format::Json => write_json(transcripts, out)?,
        Format::Txt => write_txt(transcripts, out)?,
        Format::Srt => transcripts.iter().try_for_each(|one| write_srt(one, out))?,
        Format::Vtt => transcripts.iter().try_for_each(|one| write_vtt(one, out))?,
    }
    Ok(out.flush()?)
}

fn write_json(transcripts: &[Transcript], out: &mut dyn Write) -> io::Result<()> {
    if let [one] = transcripts {
        serde_json::to_writer_pretty(&mut *out, one)?;
        return out.write_all(b"\n");
    }
    for one in transcripts {
        serde_json::to_writer(&mut *out, one)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn write_txt(transcripts: &[Transcript], out: &mut dyn Write) -> io::Result<()> {
    for (index, one) in transcripts.iter().enumerate() {
        if transcripts.len() > 1 {
            let gap = if index > 0 { "\n" } else { "" };
            let name = one.file().replace(char::is_control, "\u{fffd}");
            writeln!(out, "{gap}==> {name} <==")?;
        }
        for segment in one.segments() {
            writeln!(out, "{}", segment.text)?;
        }
    }
    Ok(())
}

fn write_srt(one: &Transcript, out: &mut dyn Write) -> io::Result<()> {
    for (index, segment) in one.segments().iter().enumerate() {
        let (start, end) = (clock(segment.start, ','), clock(segment.end, ','));
        // SubRip knows no escapes; an arrow in the text would look like a time line.
        let text = segment.text.replace("-->", "->");
        writeln!(out, "{}\n{start} --> {end}\n{text}\n", index + 1)?;
    }
    Ok(())
}

fn write_vtt(one: &Transcript, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"WEBVTT\n")?;
    for segment in one.segments() {
        let (start, end) = (clock(segment.start, '.'), clock(segment.end, '.'));
        let text = segment
            .text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        writeln!(out, "\n{start} --> {end}\n{text}")?;
    }
    Ok(())
}

/// Formats seconds as `HH:MM:SS` and milliseconds after `point`.
fn clock(seconds: f64, point: char) -> String {
    // Not negative, and rounded to milliseconds before.
    let all = (seconds * 1_000.0).round() as u64;
    let (ms, s, min, h) = (
        all % 1_000,
        all / 1_000 % 60,
        all / 60_000 % 60,
        all / 3_600_000,
    );
    format!("{h:02}:{min:02}:{s:02}{point}{ms:03}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::transcript::Segment;

    fn transcript(file: &str, segments: &[(f64, f64, &str)]) -> Transcript {
        let segments = segments.iter().map(|(start, end, text)| Segment {
            start: *start,
            end: *end,
            text: (*text).to_owned(),
        });
        Transcript::new(Path::new(file), segments, "en", 4_000.0).expect("times are in order")
    }

    fn check(format: Format, transcripts: &[Transcript], expected: &str) {
        let mut out = Vec::new();
        write(format, transcripts, &mut out).expect("a vector takes all");
        assert_eq!(String::from_utf8(out).expect("output is UTF-8"), expected);
    }

    const SPOKEN: [(f64, f64, &str); 2] = [
        (0.5, 1.234_56, "a < b & c --> d"),
        (3_661.001, 3_662.0, "stop"),
    ];

    #[test]
    fn one_recording_is_an_indented_object_with_its_fields_in_order() {
        let expected = r#"{
  "segments": [
    {
      "start": 0.5,
      "end": 1.235,
      "text": "a < b & c --> d"
    },
    {
      "start": 3661.001,
      "end": 3662.0,
      "text": "stop"
    }
  ],
  "full_text": "a < b & c --> d stop",
  "language": "en",
  "duration": 4000.0,
  "file": "a b.wav"
}
"#;
        check(Format::Json, &[transcript("a b.wav", &SPOKEN)], expected);
    }

    #[test]
    fn several_recordings_are_json_lines() {
        let two = [transcript("a", &[(0.0, 1.0, "x\"y")]), transcript("b", &[])];
        let expected = concat!(
            r#"{"segments":[{"start":0.0,"end":1.0,"text":"x\"y"}],"full_text":"x\"y","#,
            r#""language":"en","duration":4000.0,"file":"a"}"#,
            "\n",
            r#"{"segments":[],"full_text":"","language":"en","duration":4000.0,"file":"b"}"#,
            "\n"
        );
        check(Format::Json, &two, expected);
    }

    #[test]
    fn text_has_a_line_for_each_segment_and_a_heading_for_each_of_several() {
        let one = transcript("a", &SPOKEN);
        check(
            Format::Txt,
            std::slice::from_ref(&one),
            "a < b & c --> d\nstop\n",
        );
        let two = [one, transcript("b\nc", &[])];
        let expected = "==> a <==\na < b & c --> d\nstop\n\n==> b\u{fffd}c <==\n";
        check(Format::Txt, &two, expected);
    }

    #[test]
    fn subtitles_have_their_clocks_and_escapes() {
        let one = [transcript("a", &SPOKEN)];
        let srt = "1\n00:00:00,500 --> 00:00:01,235\na < b & c -> d\n\n\
                   2\n01:01:01,001 --> 01:01:02,000\nstop\n\n";
        check(Format::Srt, &one, srt);
        let vtt = "WEBVTT\n\n00:00:00.500 --> 00:00:01.235\na &lt; b &amp; c --&gt; d\n\n\
                   01:01:01.001 --> 01:01:02.000\nstop\n";
        check(Format::Vtt, &one, vtt);
    }

    #[test]
    fn a_recording_without_speech_gives_a_valid_empty_file() {
        let one = [transcript("a", &[])];
        check(Format::Txt, &one, "");
        check(Format::Srt, &one, "");
        check(Format::Vtt, &one, "WEBVTT\n");
        check(Format::Json, &[], "");
    }

    #[test]
    fn subtitles_of_several_recordings_are_refused_before_anything_is_written() {
        let two = [transcript("a", &SPOKEN), transcript("b", &SPOKEN)];
        for format in [Format::Srt, Format::Vtt] {
            let mut out = Vec::new();
            let refused = write(format, &two, &mut out);
            assert!(matches!(refused, Err(WriteError::OneFileOnly)));
            assert!(out.is_empty());
        }
    }
}
