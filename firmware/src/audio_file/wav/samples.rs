//! One sample of a WAV file: bytes in, -1 to 1 out.
//!
//! Pure. A NaN may come out of a float file; the down-mix takes it out.

use super::Fault;

/// How a sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Eight bits or less, 128 is silence.
    Unsigned8,
    /// Little-endian, two's complement, left-justified in its bytes.
    Signed,
    Float32,
    Float64,
    ALaw,
    MuLaw,
}

impl Kind {
    /// Chooses by format tag, bits and bytes of one sample.
    ///
    /// Source: mmreg.h, WAVE_FORMAT_*.
    pub(super) fn new(tag: u16, bits: u16, sample_bytes: usize) -> Result<Self, Fault> {
        let kind = match tag {
            1 if sample_bytes == 1 => Self::Unsigned8,
            1 if (2..=8).contains(&sample_bytes) && bits > 0 => Self::Signed,
            3 if sample_bytes == 4 => Self::Float32,
            3 if sample_bytes == 8 => Self::Float64,
            6 if sample_bytes == 1 => Self::ALaw,
            7 if sample_bytes == 1 => Self::MuLaw,
            1 | 3 | 6 | 7 => {
                return Err(Fault::Header {
                    detail: "an impossible number of bits per sample",
                });
            }
            0x02 => {
                return Err(Fault::Unsupported {
                    name: "Microsoft ADPCM",
                });
            }
            0x11 => return Err(Fault::Unsupported { name: "IMA ADPCM" }),
            0x31 => return Err(Fault::Unsupported { name: "GSM 6.10" }),
            0x50 | 0x55 => {
                return Err(Fault::Unsupported {
                    name: "MPEG audio inside a WAV file",
                });
            }
            0xff | 0x1610 => {
                return Err(Fault::Unsupported {
                    name: "AAC inside a WAV file",
                });
            }
            0x161 | 0x162 => {
                return Err(Fault::Unsupported {
                    name: "Windows Media (WMA)",
                });
            }
            _ => return Err(Fault::WavCodec { tag }),
        };
        Ok(kind)
    }

    pub(super) fn name(self, sample_bytes: usize) -> &'static str {
        match (self, sample_bytes) {
            (Self::Unsigned8, _) => "PCM 8 bit",
            (Self::Signed, 2) => "PCM 16 bit",
            (Self::Signed, 3) => "PCM 24 bit",
            (Self::Signed, 4) => "PCM 32 bit",
            (Self::Signed, _) => "PCM",
            (Self::Float32, _) => "PCM 32 bit float",
            (Self::Float64, _) => "PCM 64 bit float",
            (Self::ALaw, _) => "A-law",
            (Self::MuLaw, _) => "µ-law",
        }
    }

    /// Decodes one sample. `bytes` has the length that `new` was told.
    pub(super) fn decode(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Self::Unsigned8, [byte, ..]) => (f32::from(*byte) - 128.0) / 128.0,
            (Self::Signed, [.., a, b, c, d]) => whole(i32::from_le_bytes([*a, *b, *c, *d])),
            (Self::Signed, [a, b, c]) => whole(i32::from_le_bytes([0, *a, *b, *c])),
            (Self::Signed, [a, b]) => f32::from(i16::from_le_bytes([*a, *b])) / 32_768.0,
            (Self::Float32, [a, b, c, d]) => f32::from_le_bytes([*a, *b, *c, *d]),
            (Self::Float64, [a, b, c, d, e, f, g, h]) => {
                f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as f32
            }
            (Self::ALaw, [byte, ..]) => f32::from(a_law(*byte)) / 32_768.0,
            (Self::MuLaw, [byte, ..]) => f32::from(mu_law(*byte)) / 32_768.0,
            _ => 0.0,
        }
    }
}

fn whole(sample: i32) -> f32 {
    sample as f32 / 2_147_483_648.0
}

/// Source: ITU-T G.711 table 1, scaled to 16 bits.
fn a_law(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (segment, step) = (byte >> 4 & 7, i16::from(byte & 0x0f));
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    if byte & 0x80 != 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// Source: ITU-T G.711 table 2, scaled to 16 bits.
fn mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let (segment, step) = (byte >> 4 & 7, i16::from(byte & 0x0f));
    let magnitude = (((step << 3) + 0x84) << segment) - 0x84;
    if byte & 0x80 != 0 {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, bytes: &[u8], expected: f32) {
        assert!(
            (kind.decode(bytes) - expected).abs() < 1e-6,
            "{kind:?} {bytes:?}"
        );
    }

    #[test]
    fn samples_decode_to_their_fraction_of_full_scale() {
        check(Kind::Unsigned8, &[0], -1.0);
        check(Kind::Unsigned8, &[128], 0.0);
        check(Kind::Signed, &[0, 0x80], -1.0);
        check(Kind::Signed, &[0, 0x40], 0.5);
        check(Kind::Signed, &[0, 0, 0x40], 0.5);
        check(Kind::Signed, &[0, 0, 0, 0xc0], -0.5);
        check(Kind::Signed, &[9, 9, 9, 9, 0, 0, 0, 0xc0], -0.5);
        check(Kind::Float32, &0.25_f32.to_le_bytes(), 0.25);
        check(Kind::Float64, &0.25_f64.to_le_bytes(), 0.25);
        // The ends and the middle of both G.711 scales.
        check(Kind::ALaw, &[0xaa], 32_256.0 / 32_768.0);
        check(Kind::ALaw, &[0x2a], -32_256.0 / 32_768.0);
        check(Kind::ALaw, &[0xd5], 8.0 / 32_768.0);
        check(Kind::MuLaw, &[0x80], 32_124.0 / 32_768.0);
        check(Kind::MuLaw, &[0x00], -32_124.0 / 32_768.0);
        check(Kind::MuLaw, &[0xff], 0.0);
    }
}
