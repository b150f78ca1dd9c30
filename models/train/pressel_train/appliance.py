"""Judges the built-in model through `pressel transcribe` and `pressel replay` on the test pools.

In: the program, the pools. Out: the same scores as `evaluate`, with voice activity, cutting, levels
and decoding of the program in between; rendered commands with the button held, too, where voice
activity decides nothing. Clips become WAV files in a temporary folder.
"""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from . import closed
from .evaluate import RENDERED, Strings, known_words
from .grammar import ONES
from .pool import Pool
from .scoring import Noisy, summarise, wilson

FILES_PER_CALL = 200
QUIET = 0.3


def _transcribed(program, model, files):
    """Texts of files, through `pressel transcribe --format json`."""
    command = [program, "transcribe", "--format", "json", *files]
    if model:
        command[2:2] = ["--model", model]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines() if len(files) > 1 else [done.stdout]
    return [json.loads(line)["full_text"] for line in lines]


def _held(program, model, files):
    """Texts of files, through `pressel replay` with the button held from end to end."""
    found = closed.outcomes(program, model, "ptt", files, "")
    return [" ".join(o["text"] for o in one if o["result"] == "text") for one in found]


def texts_of(program, model, pool, clips, change=lambda audio: audio, hear=_transcribed):
    """Texts of clips, with a little silence around each."""
    texts = []
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(clips), FILES_PER_CALL):
            part = clips[start : start + FILES_PER_CALL]
            files = []
            for number, clip in enumerate(part):
                quiet = np.zeros(int(QUIET * 16000), np.float32)
                audio = change(np.concatenate([quiet, pool.samples(clip), quiet]))
                files.append(str(Path(folder) / f"{number}.wav"))
                soundfile.write(files[-1], audio, 16000, subtype="PCM_16")
            texts += hear(program, model, files)
    return texts


def invented(texts):
    """How often text came out where nothing of the vocabulary was said."""
    count = sum(bool(text) for text in texts)
    low, high = wilson(count, len(texts))
    return {"clips": len(texts), "with_text": count, "low": round(low, 4), "high": round(high, 4)}


def _people(program, model, pool, noise):
    """Single words of unseen people, in noise where there is any, and strings of their digits."""
    words, scores = known_words(pool), {}
    change = noise.mix if noise else (lambda audio: audio)
    heard = texts_of(program, model, pool, words, change)
    scores["people_words"] = summarise([c["text"] for c in words], heard)
    scores["people_words"]["speakers"] = len({c["speaker"] for c in words})
    scores["people_words"]["nothing_heard"] = sum(not text for text in heard)
    strings = Strings(pool, [c for c in words if c["text"] in ONES], 100, 1)
    heard = texts_of(program, model, strings, strings.clips, change)
    scores["digit_strings"] = summarise([c["text"] for c in strings.clips], heard)
    return scores


def judge(program, pools, model=None, noise_db=None):
    """Scores of words of unseen people, commands in unseen voices, and clips without commands."""
    pools, scores = Path(pools), {}
    pool = Pool(pools / "people_test")
    scores.update(_people(program, model, pool, None))
    if noise_db is not None:
        noise = Noisy(pool, Pool(pools / "noise_test"), noise_db)
        scores["noisy"] = {"snr_db": noise_db, **_people(program, model, pool, noise)}
    for suffix, hear in (("", _transcribed), ("_held", _held)):
        expected, all_heard = [], []
        for name in RENDERED:
            if (pools / name).exists():
                pool = Pool(pools / name)
                texts = texts_of(program, model, pool, pool.clips, hear=hear)
                scores[name + suffix] = summarise([c["text"] for c in pool.clips], texts)
                expected += [c["text"] for c in pool.clips]
                all_heard += texts
        scores["rendered" + suffix] = summarise(expected, all_heard)
    for name in ("reading_test", "noise_test"):
        if (pools / name).exists():
            pool = Pool(pools / name)
            scores[name] = invented(texts_of(program, model, pool, pool.clips))
    return scores
