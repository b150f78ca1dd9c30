"""Recordings with marked speech, for `pressel evaluate vad`: clips of the test pools in silence.

In: the test pools. Out: a folder with WAV files of ten clips each, noise, and `list.csv`, whose
column `note` says from when to when there is speech: from the first sound to the last where
espeak-ng told, else by the level of the clip, which is clean (`speech_bounds`).
"""

import csv
from pathlib import Path

import numpy as np
import soundfile

from .evaluate import EXACT, RENDERED, known_words, span_of_sounds
from .examples import speech_bounds
from .pool import Pool

CLIPS_PER_FILE = 10
GAP_S = (1.2, 3.0)
PEAK, FLOOR = 0.3, 1e-4  # of full scale: peaks of speech at -10 dB, hiss at -80 dB


def _bounds(clip, audio):
    """First and last sample of the speech of a clip."""
    if clip["source"] == EXACT:
        return tuple(round(second * 16000) for second in span_of_sounds(clip))
    return speech_bounds(audio)


def _recording(rng, pool, clips):
    """One recording and the marks of its speech in seconds."""
    parts, marks, at = [], [], 0
    for clip in clips:
        audio = pool.samples(clip)
        gap = np.zeros(int(rng.uniform(*GAP_S) * 16000), np.float32)
        first, last = (at + len(gap) + bound for bound in _bounds(clip, audio))
        marks.append(f"{first / 16000:.3f}-{last / 16000:.3f}")
        parts += [gap, audio * np.float32(PEAK / (np.abs(audio).max() + 1e-6))]
        at += len(gap) + len(audio)
    parts.append(np.zeros(int(GAP_S[0] * 16000), np.float32))
    track = np.concatenate(parts)
    return track + FLOOR * rng.standard_normal(len(track), dtype=np.float32), marks


def write_marked(pools, out, seed=5):
    """Writes the folder; returns how many recordings hold speech."""
    pools, out, rng = Path(pools), Path(out), np.random.default_rng(seed)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in ("people_test", *RENDERED):
        if not (pools / name).exists():
            continue
        pool = Pool(pools / name)
        clips = known_words(pool) if name == "people_test" else pool.clips
        human = "yes" if name == "people_test" else ""
        order = rng.permutation(len(clips))
        for first in range(0, len(order), CLIPS_PER_FILE):
            some = [clips[i] for i in order[first : first + CLIPS_PER_FILE]]
            track, marks = _recording(rng, pool, some)
            file = f"{name}_{first // CLIPS_PER_FILE:03}.wav"
            soundfile.write(out / file, track, 16000, subtype="PCM_16")
            rows.append([file, "talk", "", human, "speech: " + ", ".join(marks)])
    count = len(rows)
    if (pools / "noise_test").exists():
        noise = Pool(pools / "noise_test")
        for number, clip in enumerate(noise.clips):
            file = f"noise_{number:03}.wav"
            soundfile.write(out / file, noise.samples(clip), 16000, subtype="PCM_16")
            rows.append([file, "noise", "", "", ""])
    with open(out / "list.csv", "w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([["file", "category", "text", "human", "note"], *rows])
    return count
