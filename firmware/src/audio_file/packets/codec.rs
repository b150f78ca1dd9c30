//! Tracks and their decoders.
//!
//! In: a container that symphonia has opened, then its packets. Out: the first track with sound,
//! and interleaved frames. Runs on the caller's thread.

use symphonia::core::audio::Channels;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_FLAC, CODEC_ID_OPUS, CODEC_ID_VORBIS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatReader, Track, TrackType};
use symphonia::core::packet::Packet;

use super::NONSENSE;
use crate::audio_file::Fault;
use crate::audio_file::contain::contain;
use crate::audio_file::downmix::Downmix;
use crate::audio_file::head::{Head, check_head};
use crate::audio_file::opus::Opus;

/// A decoder of one track.
pub(super) enum Codec {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(Box<Opus>),
}

impl Codec {
    /// Decodes a packet into `interleaved`. Returns false when it is broken.
    pub(super) fn decode(
        &mut self,
        packet: &Packet,
        channels: usize,
        interleaved: &mut Vec<f32>,
    ) -> bool {
        match self {
            Self::Opus(opus) => opus.decode(&packet.data, interleaved),
            Self::Symphonia(decoder) => match decoder.decode(packet) {
                Ok(buffer) if buffer.num_planes() == channels => {
                    buffer.copy_to_vec_interleaved(interleaved);
                    true
                }
                _ => false,
            },
        }
    }

    /// Returns whether the decoder forgets what it decoded long ago.
    pub(super) fn forgets(&self) -> bool {
        matches!(self, Self::Symphonia(_))
    }

    /// Forgets what was decoded.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Opus(opus) => opus.reset(),
            Self::Symphonia(decoder) => decoder.reset(),
        }
    }
}

/// Finds the first track with sound.
pub(super) fn audio_track(
    format: &dyn FormatReader,
) -> Result<(&Track, &AudioCodecParameters), Fault> {
    let track = format.default_track(TrackType::Audio);
    match track.map(|track| (track, &track.codec_params)) {
        Some((track, Some(CodecParameters::Audio(params)))) => Ok((track, params)),
        _ => Err(Fault::Unsupported {
            name: "a codec that is not known here",
        }),
    }
}

pub(super) fn open_track(
    track: &Track,
    params: &AudioCodecParameters,
) -> Result<(Codec, Head, Downmix), Fault> {
    let rate_hz = params.sample_rate.unwrap_or(0);
    let channels = params.channels.as_ref().map_or(0, Channels::count);
    check_head(rate_hz, channels)?;
    let mask = match &params.channels {
        Some(Channels::Positioned(places)) => places.bits(),
        _ => 0,
    };
    let mut downmix = Downmix::new(channels, mask);
    let (codec, name) = if params.codec == CODEC_ID_OPUS {
        downmix = Downmix::vorbis_order(channels);
        let header = params.extra_data.as_deref().unwrap_or_default();
        (Codec::Opus(Box::new(Opus::open(header)?)), "Opus")
    } else {
        let options = AudioDecoderOptions::default().gapless(false);
        let codecs = symphonia::default::get_codecs();
        let decoder = contain(|| codecs.make_audio_decoder(params, &options))
            .ok_or(NONSENSE)?
            .map_err(bad_start)?;
        let name = match params.codec {
            CODEC_ID_FLAC => "FLAC",
            CODEC_ID_VORBIS => "Vorbis",
            _ => "MP3",
        };
        (Codec::Symphonia(decoder), name)
    };
    // The length of Opus counts the encoder's delay.
    let lead_in = lead_in(track, &codec) as u64;
    let head = Head {
        codec: name,
        rate_hz,
        channels: channels as u16,
        frames: track
            .num_frames
            .map(|frames| frames.saturating_sub(lead_in)),
    };
    Ok((codec, head, downmix))
}

/// Returns the frames to drop at the start. Symphonia's time stamps say it for all but Opus.
pub(super) fn lead_in(track: &Track, codec: &Codec) -> usize {
    match codec {
        Codec::Opus(_) => track.delay.unwrap_or(0) as usize,
        Codec::Symphonia(_) => 0,
    }
}

pub(super) fn bad_start(error: Error) -> Fault {
    match error {
        Error::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Fault::Header {
                detail: "the file ends inside it",
            }
        }
        Error::IoError(error) => Fault::from_io(error),
        Error::DecodeError(detail) | Error::Unsupported(detail) | Error::LimitError(detail) => {
            Fault::Header { detail }
        }
        _ => NONSENSE,
    }
}

pub(super) fn no_mp3(error: Error) -> Fault {
    match error {
        Error::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            Fault::from_io(error)
        }
        _ => Fault::NotAudio {
            looks_like: "an MP3 file without one whole frame",
        },
    }
}
