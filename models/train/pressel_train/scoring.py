"""Word errors of a recogniser on a pool, with the interval that the number of clips allows.

In: anything with `transcribe(mel, tokens)`, a pool. Out: counts, rates, 95 % intervals.
"""

import math
import zlib

import numpy as np
import torch

from .examples import speech_bounds
from .features import HOP_SAMPLES, log_mel
from .pool import Pool

MARGIN_S = 0.4


def word_errors(expected, heard):
    """Least number of words to change, add or drop."""
    a, b = expected.split(), heard.split()
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def wilson(right, count):
    """95 % interval of a share, after Wilson."""
    if count == 0:
        return 0.0, 1.0
    z, share = 1.96, right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2)) / (1 + z * z / count)
    return middle - half, middle + half


class Noisy:
    """A pool with recorded noise mixed into every clip, so many dB below its loud part.

    Which noise a clip gets depends on the clip alone, so that all models hear the same.
    """

    def __init__(self, pool, noises, snr_db):
        self.pool, self.clips, self.snr_db = pool, pool.clips, snr_db
        self.noises = [noises.samples(clip) for clip in noises.clips]

    def samples(self, clip):
        return self.mix(self.pool.samples(clip))

    def mix(self, audio):
        """Adds noise over the whole length; the sum is made quieter where it would clip."""
        rng = np.random.default_rng(zlib.crc32(audio.tobytes()))
        noise = self.noises[rng.integers(len(self.noises))]
        noise = np.tile(noise, len(audio) // len(noise) + 2)
        at = rng.integers(len(noise) - len(audio))
        noise = noise[at : at + len(audio)]
        first, last = speech_bounds(audio)
        speech = (audio[first:last] ** 2).mean() + 1e-10
        noise = noise * np.sqrt(speech / ((noise**2).mean() + 1e-10)) * 10 ** (-self.snr_db / 20)
        both = audio + noise
        return (both * min(1.0, 0.95 / (np.abs(both).max() + 1e-6))).astype(np.float32)


def features_of(audio, window_s=None):
    """Whisper features of one clip with a margin of silence, or in a window of given length."""
    samples = len(audio) + int(MARGIN_S * 16000)
    if window_s is not None:
        samples = max(samples, round(window_s * 16000))
    unit = 2 * HOP_SAMPLES
    padded = np.zeros(-(-samples // unit) * unit, np.float32)
    padded[: len(audio)] = audio
    return log_mel(torch.from_numpy(padded)[None])


def transcribe_clips(recogniser, tokens, pool, clips, window_s=None):
    """Texts of clips, batches of equal length."""
    order = sorted(range(len(clips)), key=lambda i: clips[i]["samples"])
    texts = [None] * len(clips)
    for at in range(0, len(order), 16):
        part = order[at : at + 16]
        longest = max(clips[i]["samples"] for i in part) / 16000 + MARGIN_S
        mel = torch.cat([
            features_of(pool.samples(clips[i]), max(longest, window_s or 0)) for i in part
        ])
        for i, text in zip(part, recogniser.transcribe(mel, tokens)):
            texts[i] = text
    return texts


def summarise(expected, heard):
    """Counts and rates over pairs of texts."""
    errors = sum(word_errors(e, h) for e, h in zip(expected, heard))
    words = sum(len(e.split()) for e in expected)
    exact = sum(e == h for e, h in zip(expected, heard))
    low, high = wilson(exact, len(expected))
    return {
        "clips": len(expected), "words": words, "errors": errors,
        "refused": sum(bool(e) and not h for e, h in zip(expected, heard)),
        "word_error": round(errors / max(1, words), 4),
        "words_right": round(1 - errors / max(1, words), 4),
        "exact": round(exact / max(1, len(expected)), 4),
        "exact_low": round(low, 4), "exact_high": round(high, 4),
    }


def score_pool(recogniser, tokens, folder, limit=None, keep=lambda clip: clip["text"]):
    """Scores the clips of a pool that have a text."""
    pool = Pool(folder)
    clips = [c for c in pool.clips if keep(c)][:limit]
    heard = transcribe_clips(recogniser, tokens, pool, clips)
    return summarise([c["text"] for c in clips], heard)
