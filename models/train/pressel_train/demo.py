"""Renders the short commands of firmware/demo in voices that training never heard.

In: the natural voices, an exported model that must understand every clip. Out: WAV files
(16 kHz, mono, 16 bit, less than 80 KB) and demo.csv with `file,text`.
"""

import csv
import random
from pathlib import Path

import numpy as np
import soundfile

from . import espeak, render
from .export import CANARY, OnnxRecogniser
from .grammar import ONES
from .scoring import features_of
from .tokens import Tokens

TEXTS = [
    CANARY,
    "set a timer for ten minutes",
    "stop",
    "seven three nine",
    "go left",
    "yes",
]
BYTES_MAX = 80_000
LEAD_S, TAIL_S = 0.1, 0.15
LEVEL = 0.35


def _finish(audio):
    """Short fades of silence around the clip, and a level that leaves head room."""
    audio = audio * (LEVEL / np.abs(audio).max())
    pad = lambda seconds: np.zeros(int(seconds * 16000), np.float32)
    return np.concatenate([pad(LEAD_S), audio, pad(TAIL_S)])


def hears(recogniser, tokens, audio, text):
    """Whether the clip is understood plain, quieter, and with a little noise."""
    noise = np.random.default_rng(1).standard_normal(len(audio)).astype(np.float32)
    for changed in (audio, audio * 0.2, audio + 0.004 * noise):
        if recogniser.transcribe(features_of(changed), tokens) != [text]:
            return False
    return True


def write_demo(out, natural, exported, seed=5):
    """Tries held-out voices, in a fixed random order, until each text is understood."""
    from .natural import Kokoro

    network, engine = Kokoro(natural), espeak.Espeak()
    recogniser, tokens = OnnxRecogniser(exported), Tokens(Path(exported) / "tokenizer.json")
    out, rng = Path(out), random.Random(seed)
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for text in TEXTS:
        voices = render.held_out_natural(network.styles)
        rng.shuffle(voices)
        for voice in voices:
            spoken = text.replace(" ", ", ") if set(text.split()) <= set(ONES) else text
            ipa = engine.to_ipa(spoken, "en" if voice.startswith("b") else "en-us")
            audio, _ = network.speak([ipa], ".", network.styles[voice], 1.0)[0]
            audio = _finish(audio)
            if 44 + 2 * len(audio) < BYTES_MAX and hears(recogniser, tokens, audio, text):
                name = text.replace(" ", "_") + ".wav"
                soundfile.write(out / name, audio, 16000, subtype="PCM_16")
                lines.append((name, text, voice))
                break
        else:
            raise SystemExit(f"no held-out voice is understood saying: {text}")
    with open(out / "demo.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "text"])
        writer.writerows(line[:2] for line in lines)
    return lines


def check_demo(folder, exported):
    """Returns the clips of demo.csv that are misheard, as (file, text, heard)."""
    recogniser, tokens = OnnxRecogniser(exported), Tokens(Path(exported) / "tokenizer.json")
    wrong = []
    with open(Path(folder) / "demo.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            audio, rate = soundfile.read(Path(folder) / row["file"], dtype="float32")
            assert rate == 16000
            heard = recogniser.transcribe(features_of(audio), tokens)[0]
            if heard != row["text"]:
                wrong.append((row["file"], row["text"], heard))
    return wrong
