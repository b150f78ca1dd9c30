"""espeak-ng in this process: speech with the time of every sound, and phonemes of a text.

In: text, voice name, rate, pitch, range. Out: 16 kHz audio and (class, end in seconds) pairs.
Uses libespeak-ng through ctypes; about 1 ms for a short command. One thread at a time.
"""

import ctypes
import ctypes.util

import numpy as np
from scipy.signal import resample_poly

from . import phones

ACCENTS = [
    "en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd",
    "en-029", "en-us-nyc",
]

_SYNCHRONOUS = 2
_PHONEME_EVENTS_IPA = 3
_UTF8 = 1
_RATE, _VOLUME, _PITCH, _RANGE, _WORD_GAP = 1, 2, 3, 4, 7
_EVENT_END, _EVENT_PHONEME = 0, 7


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _EventId),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """The one instance of the library in this process."""

    def __init__(self):
        name = ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"
        self.library = ctypes.CDLL(name)
        self.rate_hz = self.library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS_IPA)
        assert self.rate_hz > 0, "espeak-ng did not start"
        self.chunks, self.events = [], []
        self.callback = _CALLBACK(self._receive)
        self.library.espeak_SetSynthCallback(self.callback)
        self.library.espeak_TextToPhonemes.restype = ctypes.c_char_p

    def _receive(self, samples, count, events):
        if samples and count > 0:
            self.chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != _EVENT_END:
            if events[i].type == _EVENT_PHONEME:
                label = events[i].id.string.decode("utf-8", "ignore")
                self.events.append((label, events[i].sample))
            i += 1
        return 0

    def speak(self, text, voice, rate=165, pitch=50, pitch_range=50, word_gap=0):
        """Returns (float32 audio at 16 kHz, [(class, end_s), ...]) or None for an unknown voice."""
        self.chunks.clear()
        self.events.clear()
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            return None
        for parameter, value in (
            (_RATE, rate), (_PITCH, pitch), (_RANGE, pitch_range), (_WORD_GAP, word_gap),
        ):
            self.library.espeak_SetParameter(parameter, value, 0)
        data = text.encode() + b"\0"
        self.library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
        self.library.espeak_Synchronize()
        if not self.chunks:
            return None
        audio = np.concatenate(self.chunks).astype(np.float32) / 32768
        sounds = self._timings(len(audio))
        if self.rate_hz != 16000:
            audio = resample_poly(audio, 320, 441).astype(np.float32)
        return audio, sounds

    def _timings(self, samples):
        """Each event marks where its sound begins; it lasts until the next event."""
        ends = [sample for _, sample in self.events[1:]] + [samples]
        out = []
        for (label, begin), end in zip(self.events, ends):
            begin, end = begin / self.rate_hz, end / self.rate_hz
            if not out and begin > 0:
                out.append((phones.SILENCE, begin))
            classes = phones.from_ipa(label) or [phones.SILENCE]
            for i, index in enumerate(classes):
                out.append((index, begin + (end - begin) * (i + 1) / len(classes)))
        return out

    def to_ipa(self, text, voice="en-us"):
        """Returns the IPA of a text, words separated by blanks."""
        assert self.library.espeak_SetVoiceByName(voice.encode()) == 0
        pointer = ctypes.c_char_p(text.encode())
        parts = []
        while pointer.value:
            part = self.library.espeak_TextToPhonemes(ctypes.byref(pointer), _UTF8, 2)
            parts.append(part.decode("utf-8"))
        return " ".join(parts).strip()
