"""Clips of wake words and of all that is none, in pools with the times of the words.

In: wake.toml, the voices of the machine, optionally recordings. Out: pools `words_SIDE` (a line
has `word` and `end`, the sample at which the word ends), `near_SIDE`, `talk_SIDE`, `noise_SIDE`
and, of recordings, `people_words_SIDE`, `people_talk_SIDE`. SIDE is "train" or "test".
"""

import csv
import random
from pathlib import Path

import numpy as np

from .. import espeak, recordings, render, splits
from ..examples import frame_levels
from ..grammar import Grammar
from ..pool import PoolWriter

WORD_TEST_SHARE = 0.3
PCD_TEST_SHARE = 0.5
TALK_TEST_SHARE = 0.5
SECONDS_MAX = 40.0
FLITE_SHARE = 0.15
PAUSE_FRAMES = 25            # 10 ms each: a longer pause parts two pieces of sound
SAID_SHARE = 0.5             # of the sound of the loudest piece: less is no part of a phrase


class Voices:
    """The synthesisers of this machine, with the voices of one side."""

    def __init__(self, side, seed):
        from ..flite import VOICES, Flite

        self.rng, self.side = random.Random(seed), side
        self.espeak, self.flite = espeak.Espeak(), Flite()
        share = render.ESPEAK_VARIANT_SHARE
        self.variants = render._side_voices(render.espeak_variants(), share, side, "variant ")
        self.accents = espeak.ACCENTS
        if side == "train":
            share = render.ESPEAK_ACCENT_SHARE
            self.accents = render._side_voices(espeak.ACCENTS, share, side, "accent ")
        held = render.FLITE_HELD_OUT
        self.flite_voices = [v for v in VOICES if (v in held) == (side == "test")]

    def say(self, text):
        """Returns (speaker, audio at 16 kHz), or None where nothing came out."""
        rng = self.rng
        if rng.random() < FLITE_SHARE:
            voice = rng.choice(self.flite_voices)
            audio, _ = self.flite.speak(
                text, voice, rng.uniform(0.8, 1.25), rng.uniform(0.75, 1.3)
            )
            speaker = "flite " + voice
        else:
            voice = rng.choice(self.accents) + rng.choice(self.variants)
            said = self.espeak.speak(
                text, voice, rate=rng.randint(110, 230), pitch=rng.randint(10, 90),
                pitch_range=rng.randint(20, 80), word_gap=rng.choice([0, 0, 0, 1]),
            )
            if said is None:
                return None
            speaker, audio = "espeak " + voice, said[0]
        if np.abs(audio).max(initial=0) < 0.01:
            return None
        return speaker, trimmed(audio)


def _above_floor(audio, below_db, smooth):
    """How far each 10 ms are above what is far below the loudest ones, in dB."""
    level = frame_levels(audio, smooth)
    # Above the noise of the recording, too: its quietest tenth.
    floor = max(level.max() - below_db, np.percentile(level, 10) + 8)
    return level - min(floor, level.max() - 12)


def sounding(audio, below_db=35.0):
    """The samples from the first to the last 10 ms that are not far below the loudest ones."""
    if len(audio) < 160:
        return 0, len(audio)
    loud = np.flatnonzero(_above_floor(audio, below_db, 1) > 0)
    return int(loud[0]) * 160, int(loud[-1] + 1) * 160


def spoken(audio):
    """First and last sample of what is said in a recording of one phrase.

    A knock before or behind it is a piece with little sound: it is not taken for the end of a word.
    """
    if len(audio) < 480:
        return 0, len(audio)
    above = np.maximum(_above_floor(audio, 35.0, 3), 0)
    loud = np.flatnonzero(above)
    pauses = np.flatnonzero(np.diff(loud) > PAUSE_FRAMES)
    pieces = list(zip(loud[np.r_[0, pauses + 1]], loud[np.r_[pauses, len(loud) - 1]]))
    sound = np.array([above[first : last + 1].sum() for first, last in pieces])
    said = np.flatnonzero(sound >= sound.max() * SAID_SHARE)
    return int(pieces[said[0]][0]) * 160, int(pieces[said[-1]][1] + 1) * 160


def trimmed(audio):
    """Without the silence before and behind."""
    first, last = sounding(audio, 45.0)
    return audio[max(0, first - 320) : last + 320]


def render_words(config, out, side, count, seed):
    """The phrases of wake.toml, each word as often as the others."""
    voices, pool, done = Voices(side, seed), PoolWriter(out), 0
    while done < count:
        index = done % len(config["words"])
        text = voices.rng.choice(config["words"][index]["render"])
        said = voices.say(text)
        if said is None:
            continue
        _, end = sounding(said[1])
        pool.add(said[1], text, said[0], "rendered", word=index, end=end)
        done += 1
    pool.flush()


def render_natural(config, out, side, count, seed, folder):
    """The same with Kokoro's voices, several phrases at once; near ones too, without a word."""
    from ..natural import Kokoro

    rng, engine, pool, done = random.Random(seed), espeak.Espeak(), PoolWriter(out), 0
    network = Kokoro(folder)
    held = render.held_out_natural(network.styles)
    voices = held if side == "test" else [n for n in network.styles if n not in held]
    near = [(None, text) for word in config["words"] for text in word["near"]]
    while done < count:
        voice, other = rng.choice(voices), rng.choice(voices)
        share = rng.random() if side == "train" and rng.random() < 0.6 else 1.0
        style = network.styles[voice] * share + network.styles[other] * (1 - share)
        texts = [(i, rng.choice(word["render"])) for i, word in enumerate(config["words"])]
        texts.append(rng.choice(near))
        rng.shuffle(texts)
        accent = "en" if voice.startswith("b") else "en-us"
        ipa = [engine.to_ipa(text, accent) for _, text in texts]
        said = network.speak(ipa, rng.choice(".!,?"), style, rng.uniform(0.75, 1.35))
        for (word, text), one in zip(texts, said):
            if one is None or np.abs(one[0]).max(initial=0) < 0.01:
                continue
            audio = trimmed(one[0])
            extra = {} if word is None else {"word": word, "end": sounding(audio)[1]}
            pool.add(audio, text, "natural " + voice, "rendered", **extra)
            done += 1
        pool.flush()


def render_near(config, out, side, count, seed):
    """What sounds like a wake word."""
    voices, pool, done = Voices(side, seed), PoolWriter(out), 0
    phrases = [text for word in config["words"] for text in word["near"]]
    while done < count:
        text = voices.rng.choice(phrases)
        said = voices.say(text)
        if said is not None:
            pool.add(said[1], text, said[0], "rendered")
            done += 1
    pool.flush()


def render_talk(config, out, side, count, seed):
    """Commands and loose words."""
    voices, pool, grammar, done = Voices(side, seed), PoolWriter(out), Grammar(), 0
    names = [word["name"].split()[-1] for word in config["words"]]
    while done < count:
        draw = grammar.draw_other if voices.rng.random() < 0.5 else grammar.draw_command
        text = draw(voices.rng)
        said = None if any(name in text for name in names) else voices.say(text)
        if said is not None:
            pool.add(said[1], text, said[0], "rendered")
            done += 1
    pool.flush()


def word_of(config, row):
    """The index of the wake word that a recording holds, or None."""
    text = recordings.clean_text(row["text"])
    for index, word in enumerate(config["words"]):
        if row["category"] == "wake" and text in word["recorded"]:
            return index
    return None


def use_of(config, row, few=False):
    """Returns (pool, side) of a line of the manifest, or None when it is not used.

    Wake words of unnamed contributors are split by clip; half of the smaller collection (pcd), with
    other people and other microphones, judges. So is all that few people say.
    """
    top, stem = row["file"].split("/")[0], Path(row["file"]).stem
    if top == "noise":
        return "noise", "test" if splits.draw(stem) < 0.3 else "train"
    if row["human"] != "yes" or row["category"] not in (
        "wake", "wake_mixed", "word", "command", "sentence", "sentence_untranscribed",
        "command_slots", "long_speech",
    ):
        return None
    if row["category"] == "wake_mixed":
        return None  # Several keywords, at unknown times.
    if word_of(config, row) is not None:
        share = PCD_TEST_SHARE if stem.startswith("pcd_") else WORD_TEST_SHARE
        held = splits.draw("wake " + stem) < share
        return "people_words", "test" if held else "train"
    if row["category"] in ("word", "command", "wake"):
        if few:
            return "people_talk", recordings.side_of_clip(row)
        speaker = row["speaker"] or "clip " + stem
        return "people_talk", "train" if splits.of_speaker(speaker) == "train" else "test"
    held = splits.draw("talk " + (row["speaker"] or stem)) < TALK_TEST_SHARE
    return "people_talk", "test" if held else "train"


def import_recordings(config, folder, out):
    """Writes the pools of recorded people; returns {pool name: number of clips}."""
    folder, writers, counts = Path(folder), {}, {}
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if use_of(config, row)]
    few = recordings.are_few(rows)
    for row in rows:
        name = "_".join(use_of(config, row, few))
        audio = recordings.read_audio(folder / row["file"])[: int(SECONDS_MAX * 16000)]
        if np.abs(audio).max(initial=0) < 1e-4:
            continue
        extra = {"licence": row["licence"], "file": row["file"]}
        word = word_of(config, row)
        if word is not None:
            extra |= {"word": word, "end": spoken(audio)[1]}
        if name not in writers:
            writers[name] = PoolWriter(out / name)
        speaker = row["speaker"] or "clip " + Path(row["file"]).stem
        said = recordings.clean_text(row["text"])
        writers[name].add(audio, said, speaker, row["file"].rsplit("/", 1)[0], **extra)
        counts[name] = counts.get(name, 0) + 1
    for writer in writers.values():
        writer.flush()
    return counts
