//! What can be done while somebody still speaks.
//!
//! Flow: the samples so far -> their part of the spectrogram, which a later recognition of the same
//! audio does not compute again. On the recogniser's thread. The samples themselves decide whether
//! it is the same audio, so nothing that is done here, or left out, changes a text.

use super::Whisper;

impl Whisper {
    /// Does ahead what can be done of audio that begins with `audio`: mono 16 kHz, the samples that
    /// a recognition will be given, as far as they are there. Each call brings all of them.
    ///
    /// Time: see [`Mel::listen`](crate::Mel::listen). No allocation.
    pub fn listen_ahead(&mut self, audio: &[i16]) {
        self.mel.listen(audio);
    }

    /// Overwrites what is kept of audio that was listened to or recognised.
    pub fn forget_ahead(&mut self) {
        self.mel.forget();
        self.features.fill(0.0);
    }

    /// Sets the factor that makes the audio of the next recognitions louder, until it is set again.
    /// It costs nothing, and may be known at the end of the audio only. 1 from the beginning; a
    /// factor that is no positive number makes silence of all audio.
    pub fn set_gain(&mut self, gain: f32) {
        self.gain = gain;
    }
}
