"""flite in this process: speech with the time of every sound.

In: text, voice, pitch and speed. Out: 16 kHz audio and (class, end in seconds) pairs.
Uses libflite and its voices through ctypes; 10 to 60 ms for a short command.
"""

import ctypes

import numpy as np
from scipy.signal import resample_poly

from . import phones

# Voice name: (symbol of its library, mean pitch in Hz).
VOICES = {"kal16": 105, "awb": 130, "rms": 100, "slt": 170}


class _Wave(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_char_p), ("sample_rate", ctypes.c_int), ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int), ("samples", ctypes.POINTER(ctypes.c_short)),
    ]


class _Voice(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("features", ctypes.c_void_p)]


class Flite:
    """The library and its voices."""

    def __init__(self):
        load = lambda name: ctypes.CDLL(f"lib{name}.so.1", mode=ctypes.RTLD_GLOBAL)
        self.library = load("flite")
        for name in ("flite_usenglish", "flite_cmulex"):
            load(name)
        self.library.flite_init()
        self.voices = {}
        for name in VOICES:
            register = getattr(load(f"flite_cmu_us_{name}"), f"register_cmu_us_{name}")
            register.restype = ctypes.POINTER(_Voice)
            register.argtypes = [ctypes.c_char_p]
            self.voices[name] = register(None)
        pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_float
        for name, result, arguments in (
            ("feat_set_float", None, [pointer, text, number]),
            ("flite_synth_text", pointer, [text, pointer]),
            ("utt_wave", ctypes.POINTER(_Wave), [pointer]),
            ("utt_relation", pointer, [pointer, text]),
            ("relation_head", pointer, [pointer]),
            ("item_next", pointer, [pointer]),
            ("item_feat_string", text, [pointer, text]),
            ("item_feat_float", number, [pointer, text]),
            ("delete_utterance", None, [pointer]),
        ):
            function = getattr(self.library, name)
            function.restype, function.argtypes = result, arguments

    def speak(self, text, voice, pitch=1.0, stretch=1.0):
        """Returns (float32 audio at 16 kHz, [(class, end_s), ...])."""
        library, handle = self.library, self.voices[voice]
        features = handle.contents.features
        library.feat_set_float(features, b"duration_stretch", stretch)
        library.feat_set_float(features, b"int_f0_target_mean", VOICES[voice] * pitch)
        utterance = library.flite_synth_text(text.encode(), handle)
        wave = library.utt_wave(utterance).contents
        audio = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).astype(np.float32) / 32768
        rate = wave.sample_rate
        sounds = []
        item = library.relation_head(library.utt_relation(utterance, b"Segment"))
        while item:
            name = library.item_feat_string(item, b"name").decode()
            sounds.append((phones.from_arpabet(name), library.item_feat_float(item, b"end")))
            item = library.item_next(item)
        library.delete_utterance(utterance)
        if rate != 16000:
            audio = resample_poly(audio, 16000, rate).astype(np.float32)
        return audio, sounds
