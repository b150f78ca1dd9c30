"""Brings recordings of people into pools: words, sentences, noise.

In: a folder with manifest.csv (columns file, category, text, speaker, human, licence, source), as
`pressel record` makes it.
Out: pools `people_train`, `people_choose`, `people_test` (single words), `reading_train`,
`reading_test` (sentences, out of vocabulary), `noise_train`, `noise_test`.
"""

import csv
import re
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from . import espeak, phones, splits
from .pool import PoolWriter

SECONDS_MAX = 15.0
CROWD_TEST_SHARE = 0.15
READING_TRAIN_SHARE = 0.42
# With fewer people than this, a quarter of them is nobody, or all there are: their clips are split.
SPEAKERS_MIN = 8


def read_audio(path):
    """Reads the first channel of a file at 16 kHz."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    audio = audio[:, 0]
    if rate != 16000:
        common = gcd(rate, 16000)
        audio = resample_poly(audio, 16000 // common, rate // common).astype(np.float32)
    return audio


def clean_text(text):
    """Lower case, letters and apostrophes only."""
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


def _speaker(row):
    """Crowds without speaker names are split by clip; everything else by speaker."""
    speaker = row["speaker"]
    if not speaker or "crowd" in speaker or "contributor" in speaker:
        return "clip " + Path(row["file"]).stem
    return speaker


def _kind(row):
    top = row["file"].split("/")[0]
    if top == "words" or (top == "wake" and row["category"] == "wake"):
        return "people"
    if top == "noise":
        return "noise"
    usable = ("sentence", "sentence_untranscribed", "command_slots")
    return "reading" if top == "sentences" and row["category"] in usable else None


def are_few(rows):
    """Tells whether so few people speak that some clips of each must judge, and not some people."""
    speakers = {_speaker(row) for row in rows if row["human"] == "yes"}
    return len(speakers) < SPEAKERS_MIN


def side_of_clip(row):
    """The side of a clip of few people."""
    return "test" if splits.draw("clip " + row["file"]) < splits.TEST_SHARE else "train"


def _side(row, kind, few):
    speaker = _speaker(row)
    if few and kind == "people":
        return side_of_clip(row)
    value = splits.draw(speaker)
    if kind == "noise":
        return "test" if value < 0.3 else "train"
    if kind == "reading":
        return "train" if value > 1 - READING_TRAIN_SHARE else "test"
    if speaker.startswith("clip "):
        return "test" if value < CROWD_TEST_SHARE else "train"
    return splits.of_speaker(speaker)


def use_of(row, few=False):
    """Returns (kind, side) of a line of the manifest, or None if it is not used."""
    kind = _kind(row)
    if kind is None or (kind != "noise" and row["human"] != "yes"):
        return None
    return kind, _side(row, kind, few)


def import_recordings(folder, out, grammar):
    """Writes all pools; returns {pool name: number of clips}."""
    folder, out = Path(folder), Path(out)
    vocabulary = set(grammar.vocabulary())
    engine = espeak.Espeak()
    writers, counts = {}, {}
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if use_of(row)]
    few = are_few(rows)
    for row in rows:
        kind, side = use_of(row, few)
        audio = read_audio(folder / row["file"])[: int(SECONDS_MAX * 16000)]
        if np.abs(audio).max(initial=0) < 1e-4:
            continue
        whole = float(row["seconds"]) <= SECONDS_MAX
        text = clean_text(row["text"]) if whole and kind != "noise" else ""
        if row["category"] == "command_slots":
            text = ""
        known = kind == "people" and all(w in vocabulary for w in text.split())
        spoken = phones.from_ipa(engine.to_ipa(text)) if text else None
        name = f"{kind}_{side}"
        if name not in writers:
            writers[name] = PoolWriter(out / name)
        writers[name].add(
            audio, text if known else "", _speaker(row), row["file"].rsplit("/", 1)[0],
            phones=spoken, said=text, licence=row["licence"], group=kind,
        )
        counts[name] = counts.get(name, 0) + 1
    for writer in writers.values():
        writer.flush()
    return counts
